//! The operator's command line: parses it, and hands over.

use std::{path::PathBuf, process::ExitCode};

use clap::{Parser, Subcommand};

/// A load guard for the Kubernetes control plane.
#[derive(Debug, Parser)]
#[command(name = "weir", version)]
struct Args {
    #[command(subcommand)]
    command: Command,
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

fn main() -> anyhow::Result<ExitCode> {
    match Args::parse().command {
        Command::Generate { root } => weir::generate::write(&root)?,
    }
    Ok(ExitCode::SUCCESS)
}
