//! Runs a program to its end: what it printed, or an error with what it said. Where nobody waits for that
//! any more, it is ended, with whatever it has started.

use std::path::Path;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process_group};
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
    let mut command = Command::new(program);
    command
        .args(arguments)
        .envs(variables.iter().copied())
        .stderr(Stdio::piped());
    printed(&to_its_end(&mut command, &what).await?, &what)
}

/// Runs a program that takes minutes; a person sees what it says meanwhile.
///
/// # Errors
/// It cannot be started, or it failed.
pub(super) async fn shown(program: &Path, arguments: &[&str]) -> Result<String> {
    let what = said(program, arguments);
    let mut command = Command::new(program);
    command.args(arguments).stderr(Stdio::inherit());
    printed(&to_its_end(&mut command, &what).await?, &what)
}

/// In a group of its own: Ctrl-C is for this program, which lets go of it then.
async fn to_its_end(command: &mut Command, what: &str) -> Result<Output> {
    let child = command
        .stdin(Stdio::null())
        .stdout(Stdio::piped())
        .process_group(0)
        .kill_on_drop(true)
        .spawn()
        .with_context(|| format!("starting {what}"))?;
    let mut group = Group::of(child.id());
    let output = child.wait_with_output().await?;
    group.0 = None;
    Ok(output)
}

/// A program and what it has started, which is killed when this is dropped, unless it has come to its end.
struct Group(Option<Pid>);

impl Group {
    fn of(leader: Option<u32>) -> Self {
        let leader = leader.and_then(|id| i32::try_from(id).ok());
        Self(leader.and_then(Pid::from_raw))
    }
}

impl Drop for Group {
    fn drop(&mut self) {
        if let Some(leader) = self.0 {
            // One that is gone already is what is wanted.
            kill_process_group(leader, Signal::KILL).ok();
        }
    }
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

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use tokio::time::timeout;

    use super::*;

    #[tokio::test]
    async fn what_is_no_longer_waited_for_ends_with_all_that_it_started() -> Result<()> {
        let directory = std::env::temp_dir().join(format!("weir-run-{}", std::process::id()));
        std::fs::create_dir_all(&directory)?;
        let file = directory.join("pid");
        let line = format!("sleep 60 & echo $! > {}; wait", file.display());
        let ran = timeout(Duration::from_secs(1), run(Path::new("sh"), &["-c", &line])).await;
        assert!(ran.is_err(), "it did not wait: {ran:?}");
        let pid = std::fs::read_to_string(&file)?;
        let stat = format!("/proc/{}/stat", pid.trim());
        // It is nobody's child any more: whoever inherits it takes a moment to bury it.
        let is_dead = || std::fs::read_to_string(&stat).map_or(true, |stat| stat.contains(") Z "));
        for _ in 0..100 {
            if is_dead() {
                break;
            }
            tokio::time::sleep(Duration::from_millis(50)).await;
        }
        assert!(is_dead(), "{pid} still runs");
        std::fs::remove_dir_all(&directory)?;
        Ok(())
    }

    #[tokio::test]
    async fn a_program_that_fails_is_quoted() -> Result<()> {
        let shell = Path::new("sh");
        assert_eq!(run(shell, &["-c", "echo yes"]).await?, "yes\n");
        let failed = run(shell, &["-c", "echo why >&2; exit 3"]).await;
        let said = failed.expect_err("it fails").to_string();
        assert!(said.contains("why") && said.contains('3'), "{said}");
        Ok(())
    }
}
