//! The workload that is rolled out: a DaemonSet whose pods do nothing, since the swarm plays them.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::{
    apps::v1::{ControllerRevision, DaemonSet},
    core::v1::Pod,
};
use kube::{
    Api, Client, ResourceExt,
    api::{DeleteParams, ListParams},
};
use serde_json::{Value, json};
use tokio::time::{Instant, sleep};

use super::setup;

/// Its name, and the label by which it selects its pods.
pub(super) const NAME: &str = "agent";
/// The label that says which profile's agent a pod is.
pub(super) const PROFILE: &str = "lab.weir.dev/profile";
/// What that label says of the revision before an update, which calls nothing.
pub(super) const BEFORE: &str = "before-the-update";

/// Ten times what a thousand pods take.
const RUNNING_WITHIN: Duration = Duration::from_mins(5);
const GONE_WITHIN: Duration = Duration::from_mins(5);

/// The DaemonSet of an experiment, in its namespace.
#[derive(Clone)]
pub(super) struct Workload {
    client: Client,
    pub(super) namespace: String,
}

impl Workload {
    pub(super) fn new(client: Client, namespace: &str) -> Self {
        Self {
            client,
            namespace: namespace.to_owned(),
        }
    }

    fn api(&self) -> Api<DaemonSet> {
        Api::namespaced(self.client.clone(), &self.namespace)
    }

    /// Creates the DaemonSet, or updates its template: a new revision where the profile is another.
    pub(super) async fn roll_out(&self, profile: &str) -> Result<()> {
        setup::apply(&self.api(), daemon_set(profile)).await
    }

    /// Waits until a pod of the current revision runs on every node.
    pub(super) async fn runs_everywhere(&self, nodes: u32) -> Result<()> {
        let began = Instant::now();
        loop {
            let status = self.api().get(NAME).await?.status.unwrap_or_default();
            let ready = [
                status.number_ready,
                status.updated_number_scheduled.unwrap_or_default(),
            ]
            .into_iter()
            .all(|pods| u32::try_from(pods).is_ok_and(|pods| pods >= nodes));
            if ready {
                return Ok(());
            }
            ensure!(
                began.elapsed() < RUNNING_WITHIN,
                "only {} of {nodes} pods of the revision before the update run",
                status.number_ready
            );
            sleep(Duration::from_millis(500)).await;
        }
    }

    /// The key under which Weir approves the current revision: `<uid>.<hash>`.
    pub(super) async fn revision_key(&self) -> Result<String> {
        let uid = self
            .api()
            .get(NAME)
            .await?
            .uid()
            .context("a DaemonSet without a UID")?;
        let revisions: Api<ControllerRevision> =
            Api::namespaced(self.client.clone(), &self.namespace);
        let list = revisions.list(&ListParams::default()).await?;
        let newest = list.into_iter().max_by_key(|revision| revision.revision);
        let hash = newest
            .and_then(|revision| revision.labels().get("controller-revision-hash").cloned())
            .context("the DaemonSet has no revision yet")?;
        Ok(format!("{uid}.{hash}"))
    }

    /// Deletes the DaemonSet and waits until its pods are gone.
    pub(super) async fn delete(&self) -> Result<()> {
        self.api().delete(NAME, &DeleteParams::background()).await?;
        let pods: Api<Pod> = Api::namespaced(self.client.clone(), &self.namespace);
        let began = Instant::now();
        loop {
            let left = pods
                .list_metadata(&ListParams::default().match_any().limit(1))
                .await?;
            if left.items.is_empty() {
                return Ok(());
            }
            ensure!(
                began.elapsed() < GONE_WITHIN,
                "pods of the deleted DaemonSet remain"
            );
            sleep(Duration::from_millis(500)).await;
        }
    }
}

/// The label selector of the pods that play a profile.
pub(super) fn selector(profile: &str) -> String {
    format!("app={NAME},{PROFILE}={profile}")
}

fn daemon_set(profile: &str) -> Value {
    setup::object::<DaemonSet>(json!({
        "metadata": {"name": NAME},
        "spec": {
            "selector": {"matchLabels": {"app": NAME}},
            // Large clusters do not update one node at a time.
            "updateStrategy": {"rollingUpdate": {"maxUnavailable": "10%"}},
            "template": {
                "metadata": {"labels": {"app": NAME, PROFILE: profile}},
                "spec": {
                    "serviceAccountName": setup::ACCOUNT,
                    "terminationGracePeriodSeconds": 1,
                    "containers": [{
                        "name": "agent",
                        "image": "registry.example/agent:1",
                        "resources": {"requests": {"cpu": "10m", "memory": "20Mi"}},
                    }],
                },
            },
        },
    }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn another_profile_is_another_revision_of_the_same_workload() {
        let of = |profile| -> DaemonSet {
            serde_json::from_value(daemon_set(profile)).expect("a DaemonSet")
        };
        let (before, after) = (of(BEFORE), of("pod-lister"));
        let spec = |set: &DaemonSet| set.spec.clone().expect("a spec");
        assert_eq!(spec(&before).selector, spec(&after).selector);
        assert_ne!(spec(&before).template, spec(&after).template);
        assert_eq!(
            selector("pod-lister"),
            "app=agent,lab.weir.dev/profile=pod-lister"
        );
    }
}
