//! Runs a program to its end: what it printed, or an error with what it said.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use tokio::process::Command;

/// Runs a program.
///
/// # Errors
/// It cannot be started, or it failed.
pub(super) async fn run(program: &Path, arguments: &[&str]) -> Result<String> {
    with(program, arguments, &[]).await
}

/// Runs a program with these variables set to paths.
///
/// # Errors
/// It cannot be started, or it failed.
pub(super) async fn with(
    program: &Path,
    arguments: &[&str],
    variables: &[(&str, &Path)],
) -> Result<String> {
    let what = said(program, arguments);
    let output = Command::new(program)
        .args(arguments)
        .envs(variables.iter().copied())
        .stdin(Stdio::null())
        .output()
        .await
        .with_context(|| format!("starting {what}"))?;
    printed(&output, &what)
}

/// Runs a program that takes minutes; a person sees what it says meanwhile.
///
/// # Errors
/// It cannot be started, or it failed.
pub(super) async fn shown(program: &Path, arguments: &[&str]) -> Result<String> {
    let what = said(program, arguments);
    let child = Command::new(program)
        .args(arguments)
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .stderr(Stdio::inherit())
        .spawn()
        .with_context(|| format!("starting {what}"))?;
    printed(&child.wait_with_output().await?, &what)
}

fn said(program: &Path, arguments: &[&str]) -> String {
    format!("{} {}", program.display(), arguments.join(" "))
}

fn printed(output: &Output, what: &str) -> Result<String> {
    let printed = String::from_utf8_lossy(&output.stdout).into_owned();
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(
        output.status.success(),
        "{what} failed ({}):\n{printed}{said}",
        output.status
    );
    Ok(printed)
}
