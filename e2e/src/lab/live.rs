//! `lab world`: a world for people, to look around and try things in.

use std::io::IsTerminal;
use std::path::PathBuf;
use std::process::ExitCode;

use anyhow::{Context, Result};
use clap::Args;

use super::{WorldArgs, inside};
use crate::experiment::story::{heading, line};
use crate::tools;
use crate::world::{self, Ceiling, WeirProcess, World};

/// A control plane with nodes and pods, until it is told to end
#[derive(Debug, Args)]
pub(super) struct Live {
    #[command(flatten)]
    world: WorldArgs,
    /// Run Weir in it, as far as this
    #[arg(long, value_enum, value_name = "MODE")]
    weir: Option<Ceiling>,
}

impl Live {
    pub(super) fn run(&self) -> Result<ExitCode> {
        inside(self.weir.is_some(), async {
            let world = self.world.world().await?;
            let weir = match self.weir {
                Some(ceiling) => Some(start_weir(&world, ceiling).await?),
                None => None,
            };
            explain(&world, weir.as_ref())?;
            if std::io::stdin().is_terminal() {
                shell(&world).await
            } else {
                // Ctrl-C, or any other end of this program, ends the world.
                std::future::pending().await
            }
        })
    }
}

async fn start_weir(world: &World, ceiling: Ceiling) -> Result<WeirProcess> {
    world.install_weir(ceiling).await?;
    world.start_weir(ceiling, &[]).await
}

/// What is where, and how to get at it from elsewhere.
fn explain(world: &World, weir: Option<&WeirProcess>) -> Result<()> {
    heading("A control plane of your own");
    line(&format!(
        "kubeconfig (inside only)  {}",
        world.kubeconfig().display()
    ));
    line(&format!(
        "logs (inside only)        {}/*.log",
        world.directory().display()
    ));
    if let Some(weir) = weir {
        line(&format!(
            "Weir's metrics            http://{}/metrics",
            weir.listen
        ));
    }
    if let Some(command) = world::entrance() {
        line("to enter it from another terminal:");
        line(&format!(
            "  {command} env KUBECONFIG={} PATH=\"{}:$PATH\" \"$SHELL\"",
            world.kubeconfig().display(),
            kubectl_directory()?.display()
        ));
    }
    Ok(())
}

fn kubectl_directory() -> Result<PathBuf> {
    let kubectl = tools::program(tools::Tool::Kubernetes, "kubectl")?;
    Ok(kubectl
        .parent()
        .context("kubectl is in no directory")?
        .to_owned())
}

/// A shell inside, until the person leaves it.
async fn shell(world: &World) -> Result<ExitCode> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let directories = std::iter::once(kubectl_directory()?).chain(std::env::split_paths(&path));
    let shell = std::env::var_os("SHELL").unwrap_or_else(|| "/bin/sh".into());
    line("kubectl works in this shell; leaving it ends the world");
    tokio::process::Command::new(&shell)
        .env("KUBECONFIG", world.kubeconfig())
        .env("PATH", std::env::join_paths(directories)?)
        .status()
        .await
        .with_context(|| format!("starting the shell {}", shell.display()))?;
    Ok(ExitCode::SUCCESS)
}
