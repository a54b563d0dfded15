//! `kubectl weir` in a world, as the administrator runs it, or anybody else.

use std::{ffi::OsString, num::NonZeroU16, path::PathBuf, time::Duration};

use anyhow::{Context, Result};

use super::{World, weir_binary};

/// What `kubectl weir` answered.
#[derive(Debug)]
pub struct Said {
    /// Its exit code; none if a signal ended it.
    pub code: Option<i32>,
    /// Its standard output.
    pub out: String,
    /// Its standard error.
    pub err: String,
}

/// The plugin, in somebody's hands.
#[derive(Debug, Clone)]
pub struct Plugin {
    program: PathBuf,
    kubeconfig: PathBuf,
    home: PathBuf,
}

impl Plugin {
    /// Runs it, and returns what it said, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn run(&self, arguments: &[&str]) -> Result<Said> {
        let output = tokio::process::Command::new(&self.program)
            .args(arguments)
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .output()
            .await
            .with_context(|| format!("starting {}", self.program.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        })
    }

    /// Runs it on a terminal of this size, and ends it after so long if it goes on; what it wrote there.
    ///
    /// # Errors
    /// It cannot be started.
    pub async fn on_terminal(
        &self,
        arguments: &[&str],
        rows: NonZeroU16,
        columns: NonZeroU16,
        longest: Duration,
    ) -> Result<Vec<u8>> {
        let mut line = OsString::from(format!(
            "stty rows {rows} cols {columns}; exec timeout {} ",
            longest.as_secs_f64()
        ));
        line.push(&self.program);
        line.push(format!(" {}", arguments.join(" ")));
        let output = tokio::process::Command::new("script")
            .args(["--quiet", "--return", "--command"])
            .args([line, "/dev/null".into()])
            .env("KUBECONFIG", &self.kubeconfig)
            .env("HOME", &self.home)
            .env("TERM", "xterm-256color")
            .env_remove("NO_COLOR")
            .output()
            .await
            .context("starting script (Debian's bsdutils)")?;
        Ok(output.stdout)
    }
}

impl World {
    /// The plugin that was built with [`weir_binary`], for whoever has this kubeconfig.
    ///
    /// # Errors
    /// It cannot be built.
    pub fn plugin(&self, kubeconfig: PathBuf) -> Result<Plugin> {
        Ok(Plugin {
            program: weir_binary()?.with_file_name("kubectl-weir"),
            kubeconfig,
            home: self.directory().to_owned(),
        })
    }

    /// Runs it as the administrator, and returns what it said, whatever its exit code.
    ///
    /// # Errors
    /// It cannot be built or started.
    pub async fn kubectl_weir(&self, arguments: &[&str]) -> Result<Said> {
        self.plugin(self.kubeconfig())?.run(arguments).await
    }
}
