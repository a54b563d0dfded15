//! hand NODES PODS CEILING SCRIPT [API_SERVERS]
use std::process::{Command, ExitCode};
use weir_e2e::world::{Ceiling, World, WorldSpec, enter};
fn main() -> anyhow::Result<ExitCode> {
    enter(|| {
        let args: Vec<String> = std::env::args().collect();
        let runtime = tokio::runtime::Runtime::new().unwrap();
        let code = runtime.block_on(async {
            let world = World::start(&WorldSpec {
                nodes: args[1].parse()?,
                pods: args[2].parse()?,
                api_servers: args.get(5).map_or(Ok(1), |n| n.parse())?,
                audit: true,
                ..WorldSpec::bare()
            })
            .await?;
            let ceiling = match args[3].as_str() {
                "enforce" => Ceiling::Enforce,
                "shadow" => Ceiling::Shadow,
                _ => Ceiling::Observe,
            };
            if args[3] != "bare" {
                world.install_weir(ceiling).await?;
                let account = world.account_kubeconfig("weir-system", "weir").await?;
                std::fs::copy(account, world.directory().join("weir.kubeconfig"))?;
            }
            let status = tokio::task::spawn_blocking({
                let kubeconfig = world.kubeconfig();
                let dir = world.directory().to_owned();
                let script = args[4].clone();
                let pids: Vec<String> = world
                    .api_servers()
                    .iter()
                    .map(|p| format!("{p:?}"))
                    .collect();
                move || {
                    Command::new("bash")
                        .arg(script)
                        .env("KUBECONFIG", kubeconfig)
                        .env("DIR", dir)
                        .env("SERVERS", pids.join("\n"))
                        .status()
                }
            })
            .await??;
            println!("script: {status}");
            anyhow::Ok(())
        });
        match code {
            Ok(()) => ExitCode::SUCCESS,
            Err(e) => {
                eprintln!("{e:#}");
                ExitCode::FAILURE
            }
        }
    })
}
