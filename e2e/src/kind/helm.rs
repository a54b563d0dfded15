//! Installs, upgrades and removes Weir as a person does: with helm, from the chart of this repository.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use serde_json::Value;

use super::theirs::RELEASE;
use super::{Cluster, NAMESPACE, WEIR, repository, run};
use crate::stage::{LABEL, eventually, quick};
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

/// The ConfigMap in which a person consents.
pub const CONSENT: &str = "weir-uninstall";

/// The key for consent that a refusal names.
fn printed_key(refusal: &str) -> Option<&str> {
    let (_, rest) = refusal.split_once("--from-literal=")?;
    let (key, _) = rest.split_once('=')?;
    let revision = key.strip_prefix("revision-")?;
    revision.parse::<u64>().ok().map(|_| key)
}

/// The newest revision in what `helm history` prints.
fn newest(history: &str) -> Option<u64> {
    let history: Value = serde_json::from_str(history).ok()?;
    let revisions = history.as_array()?.iter();
    revisions.filter_map(|one| one["revision"].as_u64()).max()
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

    /// Says, as a person who was refused does, that what is held may be let through: in the words that the
    /// refusal has printed, or else those that the chart's README has for this revision.
    ///
    /// # Errors
    /// There is no such release, or the API server refuses it.
    pub async fn consent(&self, refusal: &str) -> Result<String> {
        let key = match printed_key(refusal) {
            Some(key) => key.to_owned(),
            None => format!("revision-{}", self.revision().await?),
        };
        let literal = format!("--from-literal={key}=true");
        let words = [
            "create",
            "configmap",
            CONSENT,
            "-n",
            NAMESPACE,
            literal.as_str(),
        ];
        self.kubectl(&words).await?;
        // It would be one for whatever refuses next, if this case fails.
        let ours = format!("{LABEL}={WEIR}");
        let label = ["label", "configmap", CONSENT, "-n", NAMESPACE, &ours];
        self.kubectl(&label).await?;
        Ok(key)
    }

    /// The newest revision of the release.
    async fn revision(&self) -> Result<u64> {
        let words = [
            "history",
            WEIR,
            "--namespace",
            NAMESPACE,
            "--output",
            "json",
        ];
        let history = self.helm(&words).await?;
        newest(&history).with_context(|| format!("no revision in: {history}"))
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_key_for_consent_is_read_from_a_refusal_in_either_helm_s_words() {
        let line =
            "kubectl create configmap weir-uninstall -n weir-system --from-literal=revision-7=true";
        for refusal in [
            format!("say so:\n  {line}\nand repeat it"),
            format!(
                "level=INFO msg=\"held: harmful/logs. Say so, `{line}`, and uninstall again.\\n\""
            ),
        ] {
            assert_eq!(printed_key(&refusal), Some("revision-7"));
        }
        for refusal in [
            "held at the valve: harmful/logs",
            "--from-literal=revision-REVISION=true",
        ] {
            assert_eq!(printed_key(refusal), None);
        }
    }

    #[test]
    fn the_newest_revision_is_the_highest_in_the_history() {
        let history =
            r#"[{"revision":2,"status":"superseded"},{"revision":11,"status":"uninstalling"}]"#;
        assert_eq!(newest(history), Some(11));
        assert_eq!(newest("[]"), None);
    }
}
