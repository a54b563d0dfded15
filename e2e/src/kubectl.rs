//! kubectl as a person uses it: one command, manifests, or lines that are copied into a shell.

use std::path::PathBuf;
use std::process::{Output, Stdio};

use anyhow::{Context, Result, ensure};
use tokio::io::AsyncWriteExt;
use tokio::process::Command;

use crate::tools::{Tool, program};

/// kubectl with somebody's kubeconfig.
#[derive(Debug, Clone)]
pub struct Kubectl {
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Kubectl {
    /// With this kubeconfig, and a directory for what it caches.
    #[must_use]
    pub fn new(kubeconfig: PathBuf, home: PathBuf) -> Self {
        Self { kubeconfig, home }
    }

    /// Runs one command and returns what it printed.
    ///
    /// # Errors
    /// It failed; the message has what it said.
    pub async fn run(&self, arguments: &[&str]) -> Result<String> {
        let output = self
            .command(program(Tool::Kubernetes, "kubectl")?)
            .args(arguments)
            .output()
            .await
            .context("starting kubectl")?;
        printed(&output, &format!("kubectl {}", arguments.join(" ")))
    }

    /// Applies manifests, server-side, in their order.
    ///
    /// # Errors
    /// The API server refuses one of them; the message says which.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        let mut child = self
            .command(program(Tool::Kubernetes, "kubectl")?)
            .args(["apply", "--server-side", "--force-conflicts", "-f", "-"])
            .stdin(Stdio::piped())
            .stdout(Stdio::null())
            .stderr(Stdio::piped())
            .spawn()
            .context("starting kubectl")?;
        let mut input = child.stdin.take().context("kubectl's standard input")?;
        input.write_all(manifests.as_bytes()).await?;
        drop(input);
        let output = child.wait_with_output().await?;
        printed(&output, "kubectl apply").map(drop)
    }

    /// Runs a line in a shell that finds kubectl.
    ///
    /// # Errors
    /// It failed; the message has what it said.
    pub async fn shell(&self, line: &str) -> Result<String> {
        let kubectl = program(Tool::Kubernetes, "kubectl")?;
        let directory = kubectl.parent().context("kubectl lies in a directory")?;
        let path = std::env::var("PATH")?;
        let output = self
            .command(PathBuf::from("sh"))
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", directory.display()))
            .output()
            .await
            .context("starting a shell")?;
        printed(&output, line)
    }

    /// Runs the lines of an event's note that a person would copy into a shell.
    ///
    /// # Errors
    /// The note has none, or one of them failed.
    pub async fn by_hand(&self, note: &str) -> Result<()> {
        let lines = note.lines().filter(|line| line.starts_with("kubectl "));
        let lines: Vec<_> = lines.collect();
        ensure!(lines.len() == 2, "no lines to copy: {note}");
        for line in lines {
            self.shell(line).await?;
        }
        Ok(())
    }

    fn command(&self, program: PathBuf) -> Command {
        let mut command = Command::new(program);
        command
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            // Whoever no longer waits for it no longer wants it either.
            .kill_on_drop(true);
        command
    }
}

/// What a program printed, if it ended well.
fn printed(output: &Output, what: &str) -> Result<String> {
    let said = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{what}: {said}");
    Ok(String::from_utf8_lossy(&output.stdout).into_owned())
}
