//! One DaemonSet, its pods by revision, and what Weir has on record about it.

use std::collections::BTreeMap;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::apps::v1::{ControllerRevision, DaemonSet};
use k8s_openapi::api::core::v1::Pod;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams, PropagationPolicy};
use serde_json::{Value, json};
use weir::api::{GuardedRollout, GuardedRolloutStatus, State};

use super::{Ground, Stage, eventually};
use crate::gates::is_gated;

/// The label by which the DaemonSet controller tells a pod's revision.
const REVISION_HASH: &str = "controller-revision-hash";

/// What the DaemonSet is called.
const NAME: &str = "logs";

/// How the DaemonSet differs from the plainest one.
#[derive(Debug, Clone)]
pub struct Shape {
    /// Labels of its template, besides its own.
    pub labels: Value,
    /// Fields of its pods' spec, besides the containers.
    pub spec: Value,
    /// Fields of its container, besides the name.
    pub container: Value,
    /// How many pods an update may take away at once: a number, or text with a percentage.
    pub max_unavailable: Value,
}

impl Default for Shape {
    fn default() -> Self {
        Self {
            labels: json!({}),
            spec: json!({}),
            container: json!({ "image": "none.invalid/logs:1" }),
            max_unavailable: json!("100%"),
        }
    }
}

/// Pods of one revision that are not being deleted.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Count {
    /// Held by Weir's gate.
    pub gated: u32,
    /// Not held.
    pub free: u32,
    /// Of these, running.
    pub running: u32,
}

/// A DaemonSet `logs`.
#[derive(Clone)]
pub struct Logs {
    /// Its namespace.
    pub namespace: String,
    daemon_sets: Api<DaemonSet>,
    revisions: Api<ControllerRevision>,
    pods: Api<Pod>,
    rollouts: Api<GuardedRollout>,
}

impl Logs {
    /// Creates it in an existing namespace; waits until it has a revision, and a pod for each node.
    pub async fn create<G: Ground>(
        stage: &Stage<'_, G>,
        namespace: &str,
        shape: &Shape,
    ) -> Result<Self> {
        let admin = || stage.admin.clone();
        let logs = Self {
            namespace: namespace.to_owned(),
            daemon_sets: Api::namespaced(admin(), namespace),
            revisions: Api::namespaced(admin(), namespace),
            pods: Api::namespaced(admin(), namespace),
            rollouts: Api::namespaced(admin(), namespace),
        };
        let daemon_set = serde_json::from_value(daemon_set(shape))?;
        logs.daemon_sets
            .create(&PostParams::default(), &daemon_set)
            .await?;
        eventually("a pod for each node", async || {
            let status = logs.get().await?.status.unwrap_or_default();
            let wanted = u32::try_from(status.desired_number_scheduled)?;
            let counts = logs.counts().await?;
            let there: u32 = counts.values().map(|count| count.gated + count.free).sum();
            Ok(wanted > 0 && wanted == there)
        })
        .await?;
        Ok(logs)
    }

    /// The object.
    pub async fn get(&self) -> Result<DaemonSet> {
        Ok(self.daemon_sets.get(NAME).await?)
    }

    /// Deletes it and waits until its pods are gone too.
    pub async fn delete(&self) -> Result<()> {
        let parameters = DeleteParams::foreground();
        self.daemon_sets.delete(NAME, &parameters).await?;
        eventually("the DaemonSet and its pods are gone", async || {
            let gone = self.daemon_sets.get_opt(NAME).await?.is_none();
            Ok(gone && self.counts().await?.is_empty())
        })
        .await
    }

    /// Deletes it and nothing that it owns: its pods run on.
    pub async fn abandon(&self) -> Result<()> {
        let parameters = DeleteParams {
            propagation_policy: Some(PropagationPolicy::Orphan),
            ..DeleteParams::default()
        };
        self.daemon_sets.delete(NAME, &parameters).await?;
        Ok(())
    }

    /// The hash of its newest revision.
    pub async fn revision(&self) -> Result<String> {
        let uid = self.get().await?.metadata.uid;
        let all = self.revisions.list(&ListParams::default()).await?;
        let owned = all.into_iter().filter(|revision| {
            let owners = revision.metadata.owner_references.as_deref();
            let mut owners = owners.unwrap_or_default().iter();
            owners.any(|owner| Some(&owner.uid) == uid.as_ref())
        });
        let newest = owned.max_by_key(|revision| revision.revision);
        let labels = newest.and_then(|revision| revision.metadata.labels);
        let hash = labels.and_then(|mut labels| labels.remove(REVISION_HASH));
        hash.context("the newest revision has a hash")
    }

    /// A revision's key in the valve.
    pub async fn key(&self, hash: &str) -> Result<String> {
        let uid = self.get().await?.metadata.uid.context("a UID")?;
        Ok(format!("{uid}.{hash}"))
    }

    /// Changes the template with a merge patch of the DaemonSet; returns the new revision.
    pub async fn change(&self, patch: Value) -> Result<String> {
        let before = self.revision().await?;
        let parameters = PatchParams::default();
        self.daemon_sets
            .patch(NAME, &parameters, &Patch::Merge(patch))
            .await?;
        self.revision_after(&before).await
    }

    /// Sets another image; returns the new revision.
    pub async fn update(&self, image: &str) -> Result<String> {
        let containers = json!([{ "name": NAME, "image": image }]);
        self.change(json!({ "spec": { "template": { "spec": { "containers": containers } } } }))
            .await
    }

    /// Waits until there is a newer revision than this one.
    pub async fn revision_after(&self, before: &str) -> Result<String> {
        eventually("a new revision", async || {
            Ok(self.revision().await? != before)
        })
        .await?;
        self.revision().await
    }

    /// Pods by revision.
    pub async fn counts(&self) -> Result<BTreeMap<String, Count>> {
        let mut counts = BTreeMap::<String, Count>::new();
        let ours = ListParams::default().labels("app=logs");
        for pod in self.pods.list(&ours).await? {
            if pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let gated = is_gated(&pod);
            let labels = pod.metadata.labels.unwrap_or_default();
            let hash = labels.get(REVISION_HASH).cloned().unwrap_or_default();
            let count = counts.entry(hash).or_default();
            let phase = pod.status.and_then(|status| status.phase);
            if gated {
                count.gated += 1;
            } else {
                count.free += 1;
                count.running += u32::from(phase.as_deref() == Some("Running"));
            }
        }
        Ok(counts)
    }

    /// Pods of one revision.
    pub async fn count(&self, hash: &str) -> Result<Count> {
        Ok(self.counts().await?.remove(hash).unwrap_or_default())
    }

    /// Waits until the pods of a revision are as wanted.
    pub async fn until_count(&self, hash: &str, wanted: Count) -> Result<()> {
        let what = format!("{}: {wanted:?} of {hash}", self.namespace);
        let reached = eventually(&what, async || Ok(self.count(hash).await? == wanted)).await;
        let counts = self.counts().await?;
        reached.with_context(|| format!("pods are {counts:?}"))
    }

    /// Waits until exactly so many pods of a revision run, and there are no others.
    pub async fn until_runs(&self, hash: &str, pods: u32) -> Result<()> {
        let wanted = Count {
            gated: 0,
            free: pods,
            running: pods,
        };
        let what = format!("{}: only {hash} runs, with {pods} pods", self.namespace);
        let reached = eventually(&what, async || {
            let counts = self.counts().await?;
            Ok(counts.len() == 1 && counts.get(hash) == Some(&wanted))
        })
        .await;
        let counts = self.counts().await?;
        reached.with_context(|| format!("pods are {counts:?}"))
    }

    /// UIDs of all its pods that are not being deleted.
    pub async fn pod_uids(&self) -> Result<Vec<String>> {
        let ours = ListParams::default().labels("app=logs");
        let alive = self.pods.list(&ours).await?.into_iter().filter_map(|pod| {
            let alive = pod.metadata.deletion_timestamp.is_none();
            pod.metadata.uid.filter(|_| alive)
        });
        let mut uids: Vec<_> = alive.collect();
        uids.sort();
        Ok(uids)
    }

    /// The nodes on which pods of a revision run, by name.
    pub async fn nodes(&self, hash: &str) -> Result<Vec<String>> {
        let of_revision = format!("app=logs,{REVISION_HASH}={hash}");
        let pods = self
            .pods
            .list(&ListParams::default().labels(&of_revision))
            .await?;
        let alive = pods
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let mut nodes: Vec<_> = alive.filter_map(|pod| pod.spec?.node_name).collect();
        nodes.sort();
        Ok(nodes)
    }

    /// All GuardedRollouts of its namespace.
    pub async fn records(&self) -> Result<Vec<GuardedRollout>> {
        Ok(self.rollouts.list(&ListParams::default()).await?.items)
    }

    /// What Weir has on record about a revision.
    pub async fn record(&self, hash: &str) -> Result<Option<GuardedRollout>> {
        Ok(self.rollouts.get_opt(&record_name(hash)).await?)
    }

    /// Its status; the default one while there is none.
    pub async fn status(&self, hash: &str) -> Result<GuardedRolloutStatus> {
        let record = self.record(hash).await?;
        Ok(record.and_then(|record| record.status).unwrap_or_default())
    }

    /// The width that a revision's waves allow, as on record.
    pub async fn target(&self, hash: &str) -> Result<u32> {
        let history = self.status(hash).await?.history;
        Ok(history.map_or(0, |history| history.target))
    }

    /// Waits until a revision's status is as wanted.
    pub async fn until(
        &self,
        hash: &str,
        what: &str,
        wanted: impl Fn(&GuardedRolloutStatus) -> bool,
    ) -> Result<GuardedRolloutStatus> {
        let what = format!("{}/{}: {what}", self.namespace, record_name(hash));
        let reached = eventually(&what, async || Ok(wanted(&self.status(hash).await?))).await;
        let status = self.status(hash).await?;
        reached.with_context(|| format!("its status is {status:?}"))?;
        Ok(status)
    }

    /// Waits until a revision's record is in this state.
    pub async fn until_state(&self, hash: &str, state: State) -> Result<GuardedRolloutStatus> {
        self.until(hash, &format!("state {state:?}"), |status| {
            status.state == Some(state)
        })
        .await
    }

    /// Waits until the newest revision is through, approved and everywhere; returns it.
    pub async fn completes<G: Ground>(&self, stage: &Stage<'_, G>) -> Result<String> {
        let hash = self.revision().await?;
        let status = self.until_state(&hash, State::Complete).await?;
        self.until_runs(&hash, status.full_width).await?;
        let approvals = stage.approvals().await?;
        let key = self.key(&hash).await?;
        ensure!(
            approvals.approved.contains(&key),
            "{key} is not among the approved: {approvals:?}"
        );
        Ok(hash)
    }

    /// Waits until pods of the newest revision, which is this one, were gated, and then until it is
    /// through.
    ///
    /// # Errors
    /// None of its pods is ever gated, it does not come through, or there is a newer one by then.
    pub async fn passes<G: Ground>(&self, stage: &Stage<'_, G>, hash: &str) -> Result<()> {
        eventually("its pods are gated", async || {
            Ok(self.count(hash).await?.gated > 0)
        })
        .await?;
        let through = self.completes(stage).await?;
        ensure!(through == hash, "{through} came through, not {hash}");
        Ok(())
    }

    /// Waits until so many pods of an approved revision run, and there are no others.
    ///
    /// # Errors
    /// That does not happen, or some of its pods were seen gated.
    pub async fn flows(&self, hash: &str, pods: u32) -> Result<()> {
        let mut held = 0;
        eventually("only the approved revision runs", async || {
            let counts = self.counts().await?;
            let count = counts.get(hash).copied().unwrap_or_default();
            held += count.gated;
            Ok(counts.len() == 1 && count.running == pods)
        })
        .await?;
        ensure!(held == 0, "pods of the approved revision were gated");
        Ok(())
    }

    /// Sets `spec.paused` of a revision's record.
    pub async fn pause(&self, hash: &str, paused: bool) -> Result<()> {
        let patch = json!({ "spec": { "paused": paused } });
        let parameters = PatchParams::default();
        self.rollouts
            .patch(&record_name(hash), &parameters, &Patch::Merge(patch))
            .await?;
        Ok(())
    }
}

fn record_name(hash: &str) -> String {
    format!("{NAME}-{hash}")
}

fn daemon_set(shape: &Shape) -> Value {
    let mut labels = shape.labels.clone();
    labels["app"] = json!(NAME);
    let mut container = shape.container.clone();
    container["name"] = json!(NAME);
    let mut spec = shape.spec.clone();
    spec["containers"] = json!([container]);
    json!({
        "metadata": { "name": NAME },
        "spec": {
            "selector": { "matchLabels": { "app": NAME } },
            "updateStrategy": { "rollingUpdate": { "maxUnavailable": shape.max_unavailable } },
            "template": { "metadata": { "labels": labels }, "spec": spec },
        },
    })
}
