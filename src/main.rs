//! The operator's command line: parses it, and hands over.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use weir::{config::Config, generate, guard, telemetry, uninstall};

/// A load guard for the Kubernetes control plane.
#[derive(Debug, Parser)]
#[command(name = "weir", version, args_conflicts_with_subcommands = true)]
struct Args {
    #[command(flatten)]
    config: Config,
    #[command(subcommand)]
    command: Option<Command>,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// Writes the repository's generated files.
    #[command(hide = true)]
    Generate {
        /// The repository's root.
        root: PathBuf,
    },
    /// Removes what Weir made in the cluster and lets through what its gate holds; not the operator.
    ///
    /// Refused (4) while a rollout is held, unless --release-held=true.
    Uninstall(uninstall::UninstallArgs),
}

// Two threads: one that waits for a large page to be parsed must not keep the lease waiting.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    match args.command {
        Some(Command::Generate { root }) => generate::write(&root)?,
        Some(Command::Uninstall(args)) => return uninstalled(&args).await,
        None => {
            log()?;
            guard::run(args.config).await?;
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn log() -> anyhow::Result<()> {
    telemetry::start().map_err(|error| anyhow::anyhow!(error))
}

#[expect(
    clippy::print_stdout,
    clippy::print_stderr,
    reason = "it is run once, and what it did is its answer"
)]
async fn uninstalled(args: &uninstall::UninstallArgs) -> anyhow::Result<ExitCode> {
    log()?;
    Ok(match uninstall::run(args).await {
        Ok(removal) => {
            print!("{removal}");
            ExitCode::from(u8::from(!removal.failed.is_empty()))
        }
        Err(error) => {
            eprintln!("{}", error.report());
            ExitCode::from(error.code())
        }
    })
}
