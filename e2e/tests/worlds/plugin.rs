//! `kubectl weir` as a person runs it, on rollouts of a real control plane.

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir_e2e::inside;
use weir_e2e::stage::{Shape, Stage, policy_for};
use weir_e2e::world::{World, WorldSpec};

/// Waves of 1, 2, 4 and 8.
const NODES: u32 = 8;

/// Exit codes, as its help lists them.
const FINE: i32 = 0;
const USAGE: i32 = 2;
const REFUSED: i32 = 4;

/// Long enough at each width to see windows in which nothing starts.
const WATCHED: &str = "pace: Fast\nsoak: 12s\nwaves: { canary: 1%, growth: 2 }";

#[test]
fn what_was_seen_is_explained_exported_and_reckoned_elsewhere() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        let policy = policy_for("watched", &["explained"], WATCHED);
        world.apply(&policy).await?;
        let logs = stage.logs("explained", &Shape::default()).await?;
        logs.completes(&stage).await?;

        status(&world).await?;
        explain(&world).await?;
        let manifest = manifest(&world).await?;
        preflight(&world, &manifest).await?;
        weir.program.check()
    })
}

async fn status(world: &World) -> Result<()> {
    let said = world.kubectl_weir(&["status"]).await?;
    ensure!(said.code == Some(FINE), "{said:?}");
    ensure!(said.out.contains("1 complete"), "{said:?}");
    Ok(())
}

/// The forecast as a person reads it, and as a program does.
async fn explain(world: &World) -> Result<()> {
    let read = ["explain", "daemonset/logs", "-n", "explained"];
    let said = world.kubectl_weir(&read).await?;
    ensure!(said.code == Some(FINE), "{said:?}");
    for part in ["Complete", "cores", "weir-meter-explained.default"] {
        ensure!(said.out.contains(part), "no {part} in {said:?}");
    }
    let as_json = [&read[..], &["-o", "json"]].concat();
    let said = world.kubectl_weir(&as_json).await?;
    let json: Value = serde_json::from_str(&said.out)?;
    let forecast = &json["forecast"];
    ensure!(forecast["metered"] == true, "{json}");
    ensure!(forecast["fullWidth"] == NODES, "{json}");

    let nobody = ["explain", "daemonset/nobody", "-n", "explained"];
    let said = world.kubectl_weir(&nobody).await?;
    ensure!(said.code == Some(USAGE), "{said:?}");
    ensure!(said.err.contains("nobody"), "{said:?}");
    Ok(())
}

/// The DaemonSet as the API server gives it back, with whatever it fills in.
async fn manifest(world: &World) -> Result<String> {
    let get = ["get", "daemonset", "logs", "-n", "explained", "-o", "json"];
    world.kubectl(&get).await
}

/// What was exported answers for the same template, and for no other.
async fn preflight(world: &World, manifest: &str) -> Result<()> {
    let path = |name: &str| world.directory().join(name);
    let [cost, same, other] = ["cost.yaml", "same.json", "other.json"].map(path);
    let export = ["cost", "export", "daemonset/logs", "-n", "explained"];
    let said = world.kubectl_weir(&export).await?;
    ensure!(said.code == Some(FINE), "{said:?}");
    std::fs::write(&cost, said.out)?;
    std::fs::write(&same, manifest)?;
    let changed = manifest.replace("\"image\": \"", "\"image\": \"elsewhere.invalid/");
    ensure!(changed != manifest, "no image in {manifest}");
    std::fs::write(&other, changed)?;

    let ask = async |manifest: &std::path::Path| {
        let [manifest, cost] = [manifest, &cost].map(|path| path.to_str().context("a path"));
        let ask = [
            "preflight",
            "--nodes",
            "40",
            "-f",
            manifest?,
            "--cost",
            cost?,
        ];
        world.kubectl_weir(&ask).await
    };
    let said = ask(&same).await?;
    ensure!(said.code == Some(FINE), "{said:?}");
    ensure!(said.out.contains("40"), "{said:?}");
    let said = ask(&other).await?;
    ensure!(said.code == Some(REFUSED), "{said:?}");
    Ok(())
}
