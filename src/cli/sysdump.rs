//! `kubectl weir sysdump`: one archive for whoever is to find out what is wrong.
//!
//! What is asked for is written down in `collect`; what must not leave the cluster is taken out in `redact`,
//! before anything is written. Secrets and ConfigMaps are never asked for.

mod archive;
mod collect;
mod redact;

use std::{
    fs::{File, OpenOptions},
    io::{self, Write},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use clap::Args;

use self::collect::Dump;
use super::{
    FINE, Outcome, TROUBLE,
    connect::{ClusterArgs, WeirArgs},
    error::CliError,
};
use crate::{
    api::{marks, times::time},
    client::{Allowance, Budget},
};

/// Collects what Weir and the API servers say into one archive, without secrets
///
/// Weir's kinds, its Events, leases, FlowSchemas, policies and rights, versions, and the operator's logs. Values
/// of environment variables, tokens and keys are taken out; Secrets and ConfigMaps are never asked for. What
/// could not be read is named in errors.txt, and makes the exit code 1. Look through it before you send it.
#[derive(Debug, Clone, Args)]
pub(super) struct SysdumpArgs {
    #[command(flatten)]
    weir: WeirArgs,
    /// The archive to write; weir-sysdump-TIME.tar.gz if not given
    #[arg(short = 'f', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// The labels of the operator's Deployment and pods
    #[arg(long, default_value = marks::INSTALLED)]
    selector: String,
}

/// Asks, redacts and writes.
pub(super) async fn sysdump(
    cluster: &ClusterArgs,
    args: &SysdumpArgs,
) -> Result<Outcome, CliError> {
    let many = Allowance {
        burst: 60.0,
        ..Budget::standard().reads
    };
    let budget = Budget {
        reads: many,
        ..Budget::standard()
    };
    let connection = cluster.connect_within(budget).await?;
    let at = time(connection.clock.now()).0;
    let stamp = at.to_string().replace(':', "");
    let path = args.output_file.clone();
    let path = path.unwrap_or_else(|| format!("weir-sysdump-{stamp}.tar.gz").into());
    let unwritten = |source| CliError::Unwritten {
        path: path.clone(),
        source,
    };
    may_write(&path).map_err(unwritten)?;
    let mut dump = Dump::new(&connection, args);
    dump.versions(&at.to_string()).await?;
    dump.collect().await;
    let said = dump.said();
    let code = if dump.errors.is_empty() {
        FINE
    } else {
        TROUBLE
    };
    let archive = dump.finish().map_err(unwritten)?;
    write(&path, &archive).map_err(unwritten)?;
    Ok(Outcome {
        text: format!(
            "{}: {said}\nLook through it before you send it.\n",
            path.display()
        ),
        code,
    })
}

/// Finds out whether the archive could be written, before minutes go into collecting it. No empty file is
/// left for whoever interrupts that.
fn may_write(path: &Path) -> io::Result<()> {
    drop(create(path)?);
    std::fs::remove_file(path)
}

/// Writes the archive where nothing is yet.
fn write(path: &Path, archive: &[u8]) -> io::Result<()> {
    let mut file = create(path)?;
    file.write_all(archive)?;
    file.sync_all()
}

/// A file that was not there, for nobody else to read.
fn create(path: &Path) -> io::Result<File> {
    let mut options = OpenOptions::new();
    options.write(true).create_new(true).mode(0o600).open(path)
}

#[cfg(test)]
mod tests;
