//! Weir's replicas: who leads, what they occupy, and their end, sudden or for a while.

use anyhow::{Context, Result};
use futures::future::try_join_all;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Pod;
use kube::api::{ListParams, Patch, PatchParams};
use kube::config::AuthInfo;
use kube::{Api, Client};
use serde_json::json;

use super::{Cluster, NAMESPACE, WEIR, config};
use crate::stage::eventually;
use crate::token::token;

/// The chart's default.
const REPLICAS: i32 = 2;

/// What tells replicas from pods of hooks and tests.
const SELECTOR: &str = "app.kubernetes.io/name=weir,app.kubernetes.io/component=operator";

/// One replica.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Replica {
    /// Its pod.
    pub pod: String,
    /// How often its container was started again.
    pub restarts: i32,
    node: String,
    container: String,
}

impl Replica {
    fn of(pod: Pod) -> Option<Self> {
        let status = pod.status?.container_statuses?.into_iter().next()?;
        let id = status.container_id.unwrap_or_default();
        let id = id.rsplit_once('/').map_or(id.as_str(), |(_, id)| id);
        Some(Self {
            pod: pod.metadata.name?,
            restarts: status.restart_count,
            node: pod.spec?.node_name?,
            container: id.to_owned(),
        })
    }
}

/// Seconds from the start of a pod's container until the pod was ready.
fn start_up(pod: &Pod) -> Option<i64> {
    let status = pod.status.as_ref()?;
    let container = status.container_statuses.as_ref()?.first()?;
    let started = container
        .state
        .as_ref()?
        .running
        .as_ref()?
        .started_at
        .as_ref()?;
    let mut conditions = status.conditions.as_ref()?.iter();
    let ready = conditions.find(|one| one.type_ == "Ready" && one.status == "True")?;
    let ready = ready.last_transition_time.as_ref()?;
    Some(started.0.duration_until(ready.0).as_secs())
}

impl Cluster {
    /// All replicas that are not on their way out, by name.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn replicas(&self) -> Result<Vec<Replica>> {
        let pods: Api<Pod> = Api::namespaced(self.client(), NAMESPACE);
        let pods = pods.list(&ListParams::default().labels(SELECTOR)).await?;
        let alive = pods
            .into_iter()
            .filter(|pod| pod.metadata.deletion_timestamp.is_none());
        let mut replicas: Vec<_> = alive.filter_map(Replica::of).collect();
        replicas.sort_by(|one, other| one.pod.cmp(&other.pod));
        Ok(replicas)
    }

    /// How long each replica took from its container's start until it was ready, by its pod's name: in whole
    /// seconds, since the API has no others.
    ///
    /// # Errors
    /// The API server does not answer, or one of them is not ready.
    pub async fn start_ups(&self) -> Result<Vec<(String, i64)>> {
        let pods: Api<Pod> = Api::namespaced(self.client(), NAMESPACE);
        let pods = pods.list(&ListParams::default().labels(SELECTOR)).await?;
        let taken = pods.into_iter().map(|pod| {
            let taken = start_up(&pod);
            let name = pod.metadata.name.unwrap_or_default();
            let taken = taken.with_context(|| format!("{name} is not ready"))?;
            Ok((name, taken))
        });
        taken.collect()
    }

    /// Waits until as many replicas are ready as there should be, and no others are left.
    ///
    /// # Errors
    /// They do not become ready.
    pub async fn weir_is_ready(&self) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client(), NAMESPACE);
        eventually("all replicas of Weir are ready", async || {
            let status = deployments.get(WEIR).await?.status.unwrap_or_default();
            let all = [
                status.replicas,
                status.updated_replicas,
                status.available_replicas,
            ];
            Ok(all.into_iter().all(|number| number == Some(REPLICAS)))
        })
        .await
    }

    /// Who holds the lease, by the name that each process gives itself anew.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn holder(&self) -> Result<Option<String>> {
        let leases: Api<Lease> = Api::namespaced(self.client(), NAMESPACE);
        let spec = leases.get_opt(WEIR).await?.and_then(|lease| lease.spec);
        let holder = spec.and_then(|spec| spec.holder_identity);
        Ok(holder.filter(|holder| !holder.is_empty()))
    }

    /// Waits until one of the replicas leads.
    ///
    /// # Errors
    /// None does.
    pub async fn leader(&self) -> Result<Replica> {
        let mut leader = None;
        eventually("a replica of Weir leads", async || {
            let holder = self.holder().await?.unwrap_or_default();
            let mut replicas = self.replicas().await?.into_iter();
            leader = replicas.find(|one| holder.starts_with(&format!("{}-", one.pod)));
            Ok(leader.is_some())
        })
        .await?;
        leader.context("one leads")
    }

    /// Kills a replica's process, which gets no chance to say good-bye. Its kubelet starts another.
    ///
    /// # Errors
    /// The nodes are not kind's, or it is gone already.
    pub async fn kill(&self, replica: &Replica) -> Result<()> {
        let Replica {
            node, container, ..
        } = replica;
        let kill = [
            "ctr",
            "--namespace",
            "k8s.io",
            "tasks",
            "kill",
            "--signal",
            "SIGKILL",
            container.as_str(),
        ];
        self.on_node(node, &kill).await.map(drop)
    }

    /// Kills all replicas, and sees to it that none comes back.
    ///
    /// # Errors
    /// One of them cannot be killed, or some are left.
    pub async fn stop_weir(&self) -> Result<()> {
        // Before they are told to end: whoever is told hands the lease back. What their kubelets start
        // again meanwhile waits for a lease that is held.
        let replicas = self.replicas().await?;
        try_join_all(replicas.iter().map(|replica| self.kill(replica))).await?;
        self.scale(0).await?;
        let pods: Api<Pod> = Api::namespaced(self.client(), NAMESPACE);
        let ours = ListParams::default().labels(SELECTOR);
        eventually("no replica of Weir is left", async || {
            Ok(pods.list(&ours).await?.items.is_empty())
        })
        .await
    }

    /// Lets there be as many replicas as the chart says, and waits until they are ready.
    ///
    /// # Errors
    /// They do not become ready.
    pub async fn start_weir(&self) -> Result<()> {
        self.scale(REPLICAS).await?;
        self.weir_is_ready().await
    }

    async fn scale(&self, replicas: i32) -> Result<()> {
        let deployments: Api<Deployment> = Api::namespaced(self.client(), NAMESPACE);
        let patch = Patch::Merge(json!({ "spec": { "replicas": replicas } }));
        let parameters = PatchParams::default();
        deployments.patch_scale(WEIR, &parameters, &patch).await?;
        Ok(())
    }

    /// The most memory that a replica's process has occupied, in KiB.
    ///
    /// # Errors
    /// The nodes are not kind's, or say nothing of it.
    pub async fn peak_memory(&self, replica: &Replica) -> Result<u64> {
        let Replica {
            node, container, ..
        } = replica;
        let tasks = ["ctr", "--namespace", "k8s.io", "tasks", "list"];
        let tasks = self.on_node(node, &tasks).await?;
        let task = tasks.lines().find(|line| line.starts_with(container));
        let pid = task.and_then(|line| line.split_whitespace().nth(1));
        let pid = pid.with_context(|| format!("no process of {container} in:\n{tasks}"))?;
        let status = format!("/proc/{pid}/status");
        let status = self.on_node(node, &["cat", status.as_str()]).await?;
        let peak = status.lines().find_map(|line| line.strip_prefix("VmHWM:"));
        let peak = peak.and_then(|value| value.split_whitespace().next());
        let peak = peak.with_context(|| format!("no VmHWM in:\n{status}"))?;
        Ok(peak.parse()?)
    }

    /// A client that asks as Weir's own account does, for whoever has stolen its token.
    ///
    /// # Errors
    /// There is no such account.
    pub async fn as_weir(&self) -> Result<Client> {
        let token = token(self.client(), NAMESPACE, WEIR).await?;
        let mut config = config(&self.kubeconfig).await?;
        config.auth_info = AuthInfo {
            token: Some(token.into()),
            ..AuthInfo::default()
        };
        Ok(Client::try_from(config)?)
    }

    /// Waits until somebody leads who is not this one; returns who.
    ///
    /// # Errors
    /// Nobody does.
    pub async fn successor(&self, of: &str) -> Result<String> {
        let mut found = None;
        eventually("another process of Weir leads", async || {
            found = self.holder().await?.filter(|holder| holder != of);
            Ok(found.is_some())
        })
        .await?;
        found.context("another leads")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_start_up_lasts_from_the_container_s_start_until_the_pod_is_ready() -> Result<()> {
        let pod = |status: &str| {
            let running = json!({ "startedAt": "2026-11-21T21:00:00Z" });
            serde_json::from_value::<Pod>(json!({ "status": {
                "containerStatuses": [{
                    "name": "weir", "image": "weir", "imageID": "", "ready": true, "restartCount": 0,
                    "state": { "running": running },
                }],
                "conditions": [
                    { "type": "Initialized", "status": "True", "lastTransitionTime": "2026-11-21T20:59:59Z" },
                    { "type": "Ready", "status": status, "lastTransitionTime": "2026-11-21T21:00:02Z" },
                ],
            } }))
        };
        assert_eq!(start_up(&pod("True")?), Some(2));
        assert_eq!(start_up(&pod("False")?), None);
        assert_eq!(start_up(&Pod::default()), None);
        Ok(())
    }
}
