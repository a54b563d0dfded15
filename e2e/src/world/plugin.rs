//! `kubectl weir` in a world, as the administrator runs it.

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

impl World {
    /// Runs the plugin that was built with [`weir_binary`], and returns what it said, whatever its exit
    /// code.
    ///
    /// # Errors
    /// It cannot be built or started.
    pub async fn kubectl_weir(&self, arguments: &[&str]) -> Result<Said> {
        let plugin = weir_binary()?.with_file_name("kubectl-weir");
        let output = tokio::process::Command::new(&plugin)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", self.directory())
            .output()
            .await
            .with_context(|| format!("starting {}", plugin.display()))?;
        let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
        Ok(Said {
            code: output.status.code(),
            out: text(&output.stdout),
            err: text(&output.stderr),
        })
    }
}
