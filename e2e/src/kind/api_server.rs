//! Stops the API server, as kubeadm's clusters run it: a static pod, whose kubelet ends it when its
//! manifest goes, and starts it when that is back.

use std::path::Path;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use super::Cluster;
use super::origin::blocking;

/// Where kubelets look for static pods, and where they do not.
const MANIFEST: &str = "/etc/kubernetes/manifests/kube-apiserver.yaml";
const ASIDE: &str = "/etc/kubernetes/kube-apiserver.yaml.stopped";

/// Many times what an API server takes to end, and to be ready again, on a busy machine.
const LIMIT: Duration = Duration::from_mins(4);

/// Between two looks.
const PAUSE: Duration = Duration::from_millis(250);

impl Cluster {
    /// Stops all API servers, and waits until none answers.
    ///
    /// # Errors
    /// The nodes are not kind's, or one goes on answering.
    pub async fn stop_api_server(&self) -> Result<()> {
        for node in &self.control_planes {
            self.on_node(node, &["mv", MANIFEST, ASIDE]).await?;
        }
        let began = Instant::now();
        // While it ends it refuses: that is an answer too.
        while !matches!(self.ask("/version").await, Err(error) if !is_answer(&error)) {
            ensure!(
                began.elapsed() < LIMIT,
                "the API server still answers after {LIMIT:?}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Starts all API servers that were stopped, and waits until they are ready.
    ///
    /// # Errors
    /// The nodes are not kind's, or one does not become ready.
    pub async fn start_api_server(&self) -> Result<()> {
        let back = put_back();
        for node in &self.control_planes {
            self.on_node(node, &["sh", "-c", &back]).await?;
        }
        let began = Instant::now();
        while let Err(error) = self.ask("/readyz").await {
            ensure!(
                began.elapsed() < LIMIT,
                "the API server is not ready after {LIMIT:?}: {error}"
            );
            tokio::time::sleep(PAUSE).await;
        }
        Ok(())
    }

    /// Waits until the API server says that it is ready, stopped or not.
    pub(super) async fn api_server_answers(&self) -> Result<()> {
        if self.ask("/readyz").await.is_ok() {
            return Ok(());
        }
        let started = self.start_api_server().await;
        started.context("the API server does not answer, and starting it did not help")
    }

    /// The same without waiting, for when nothing can be awaited.
    pub(super) fn put_manifests_back(&self) {
        let back = put_back();
        for node in &self.control_planes {
            blocking(Path::new("docker"), &["exec", node, "sh", "-c", &back]);
        }
    }

    async fn ask(&self, path: &str) -> Result<String, kube::Error> {
        let request = http::Request::get(path).body(Vec::new());
        let request = request.map_err(kube::Error::HttpError)?;
        self.client.request_text(request).await
    }
}

/// Does nothing where it is in its place.
fn put_back() -> String {
    format!("if [ -e {ASIDE} ]; then mv {ASIDE} {MANIFEST}; fi")
}

fn is_answer(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(_))
}
