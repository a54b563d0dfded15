//! Installs, upgrades and removes Weir as a person does: with helm, from the chart of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;

use super::theirs::RELEASE;
use super::{Cluster, NAMESPACE, WEIR, repository, run};
use crate::stage::{eventually, quick};
use crate::tools::{Tool, program};

/// What helm may take until it gives up, on a machine that others use too.
const TIMEOUT: &str = "5m";

/// What is set of the chart's values: the image that was built here, and that Weir holds what is enrolled.
fn values() -> String {
    format!(
        "mode: Enforce\n\
         image: {{ repository: ghcr.io/weir-dev/weir, tag: {}, pullPolicy: IfNotPresent }}\n",
        env!("CARGO_PKG_VERSION")
    )
}

impl Cluster {
    /// The chart of this repository.
    #[must_use]
    pub fn chart() -> PathBuf {
        repository().join("charts/weir")
    }

    /// The chart, packed as another version; all else of it is the same.
    ///
    /// # Errors
    /// helm refuses it.
    pub async fn chart_as(&self, version: &str) -> Result<PathBuf> {
        let chart = Self::chart().display().to_string();
        let to = self.directory.display().to_string();
        let words = [
            "package",
            chart.as_str(),
            "--version",
            version,
            "--destination",
            to.as_str(),
        ];
        self.helm(&words).await?;
        Ok(self.directory.join(format!("weir-{version}.tgz")))
    }

    /// Whether Weir's Deployment is there.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn is_installed(&self) -> Result<bool> {
        let deployments: Api<Deployment> = Api::namespaced(self.client(), NAMESPACE);
        Ok(deployments.get_opt(WEIR).await?.is_some())
    }

    /// `helm install`, until all of it is ready. Its release is labelled, so that it is known again.
    ///
    /// # Errors
    /// helm says why.
    pub async fn install(&self) -> Result<()> {
        let ours = format!("{RELEASE}=true");
        let more = ["--create-namespace", "--labels", ours.as_str()];
        self.release("install", &Self::chart(), &more).await
    }

    /// `helm upgrade` to a chart, until all of it is ready.
    ///
    /// # Errors
    /// helm says why.
    pub async fn upgrade(&self, chart: &Path) -> Result<()> {
        self.release("upgrade", chart, &[]).await
    }

    /// `helm test`; returns what it printed.
    ///
    /// # Errors
    /// The test fails; with its log.
    pub async fn helm_test(&self) -> Result<String> {
        let words = ["test", WEIR, "--namespace", NAMESPACE, "--timeout", TIMEOUT];
        match self.helm(&words).await {
            Ok(printed) => Ok(printed),
            Err(error) => {
                let log = self.log_of("job/weir-test").await;
                Err(error.context(format!("helm test fails; its log:\n{log}")))
            }
        }
    }

    /// `helm uninstall`.
    ///
    /// # Errors
    /// It was refused, or failed; with the log of the Job that does it.
    pub async fn uninstall(&self) -> Result<()> {
        let words = [
            "uninstall",
            WEIR,
            "--namespace",
            NAMESPACE,
            "--wait",
            "--timeout",
            TIMEOUT,
        ];
        match self.helm(&words).await {
            Ok(_) => Ok(()),
            Err(error) => {
                let log = self.log_of("job/weir-uninstall").await;
                Err(error.context(format!("helm uninstall fails; its Job's log:\n{log}")))
            }
        }
    }

    /// Makes sure that Weir is installed and guards, by the policy `quick` for everything.
    ///
    /// # Errors
    /// It cannot be installed, or adopts nothing.
    pub async fn guards(&self) -> Result<()> {
        if !self.is_installed().await? {
            self.install().await?;
        }
        self.apply(&quick()).await?;
        let stage = self.stage();
        eventually("the valve is adopted", async || {
            Ok(stage.approvals().await?.adopted)
        })
        .await?;
        stage.control_plane_says("Gating", "InForce").await?;
        Ok(())
    }

    async fn release(&self, verb: &str, chart: &Path, more: &[&str]) -> Result<()> {
        ensure!(chart.exists(), "there is no chart {}", chart.display());
        let path = self.directory.join("values.yaml");
        std::fs::write(&path, values()).context("writing the chart's values")?;
        let (chart, path) = (chart.display().to_string(), path.display().to_string());
        let mut words = vec![verb, WEIR, chart.as_str(), "--namespace", NAMESPACE];
        words.extend_from_slice(&["--values", path.as_str(), "--wait", "--timeout", TIMEOUT]);
        words.extend_from_slice(more);
        self.helm(&words).await.map(drop)
    }

    async fn helm(&self, arguments: &[&str]) -> Result<String> {
        let variables = [
            ("KUBECONFIG", self.kubeconfig.as_path()),
            ("HOME", self.directory.as_path()),
        ];
        run::with(&program(Tool::Helm, "helm")?, arguments, &variables).await
    }

    /// What a Job of Weir's has printed, as far as it can be had.
    pub(super) async fn log_of(&self, job: &str) -> String {
        let words = ["logs", "--namespace", NAMESPACE, job];
        let said = self.kubectl(&words).await;
        said.unwrap_or_else(|error| format!("{error:#}"))
    }
}
