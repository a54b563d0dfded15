//! The operator's command line: parses it, and hands over.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};
use weir::{config::Config, generate, guard, telemetry};

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
}

// Two threads: one that waits for a large page to be parsed must not keep the lease waiting.
#[tokio::main(worker_threads = 2)]
async fn main() -> anyhow::Result<ExitCode> {
    let args = Args::parse();
    if let Some(Command::Generate { root }) = args.command {
        generate::write(&root)?;
        return Ok(ExitCode::SUCCESS);
    }
    telemetry::start().map_err(|error| anyhow::anyhow!(error))?;
    guard::run(args.config).await?;
    Ok(ExitCode::SUCCESS)
}
