//! What the cases do to a cluster, and what they ask of it.

use std::collections::BTreeMap;
use std::time::Duration;

use anyhow::{Context, Result};
use k8s_openapi::api::apps::v1::DaemonSet;
use k8s_openapi::api::core::v1::{Namespace, Pod, ServiceAccount};
use k8s_openapi::api::rbac::v1::Role;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use weir::api::marks;
use weir_e2e::gates::is_gated;
use weir_e2e::world::World;
use weir_e2e::world::approvals::{ROLE, adopt, approval, role, roles, run};

use super::eventually;

/// What kubectl's merge key makes of a list: only the named gate goes.
pub(crate) const RELEASE: &str =
    r#"{"spec":{"schedulingGates":[{"$patch":"delete","name":"weir.dev/gate"}]}}"#;

/// Far above what controllers need on a busy machine.
pub(crate) const SOON: Duration = Duration::from_secs(30);

/// Long enough for controllers to do what they should not do.
pub(crate) const A_WHILE: Duration = Duration::from_secs(3);

/// The world, and clients for two.
pub(crate) struct Cluster<'a> {
    pub(crate) world: &'a World,
    /// The administrator.
    pub(crate) admin: Client,
    /// Weir's ServiceAccount.
    pub(crate) weir: Client,
}

/// Pods of one revision.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub(crate) struct Count {
    pub(crate) gated: usize,
    pub(crate) running: usize,
}

impl<'a> Cluster<'a> {
    pub(crate) async fn new(world: &'a World) -> Result<Self> {
        let kubeconfig = world.account_kubeconfig("weir-system", "weir").await?;
        let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
        let options = KubeConfigOptions::default();
        let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
        Ok(Self {
            world,
            admin: world.client(),
            weir: Client::try_from(config)?,
        })
    }

    pub(crate) fn pods(&self, namespace: &str) -> Api<Pod> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    pub(crate) fn daemon_sets(&self, namespace: &str) -> Api<DaemonSet> {
        Api::namespaced(self.admin.clone(), namespace)
    }

    /// The Roles among which that of the approvals is.
    pub(crate) fn roles(&self) -> Api<Role> {
        roles(&self.admin)
    }

    /// Adds a rule to the Role that approves a revision, as a person would.
    pub(crate) async fn allow(&self, key: &str) -> Result<()> {
        let patch = Patch::<()>::Json(serde_json::from_value(approval(key))?);
        self.roles()
            .patch(ROLE, &PatchParams::default(), &patch)
            .await?;
        Ok(())
    }

    /// Creates a namespace with this label, and waits until pods can be created in it.
    pub(crate) async fn namespace(&self, name: &str, guard: Option<&str>) -> Result<()> {
        let labels: BTreeMap<_, _> = guard.iter().map(|mode| (marks::GUARD, *mode)).collect();
        let namespace = json!({ "metadata": { "name": name, "labels": labels } });
        let namespace: Namespace = serde_json::from_value(namespace)?;
        Api::all(self.admin.clone())
            .create(&PostParams::default(), &namespace)
            .await?;
        let accounts: Api<ServiceAccount> = Api::namespaced(self.admin.clone(), name);
        eventually("a default ServiceAccount", SOON, async || {
            Ok(accounts.get_opt("default").await?.is_some())
        })
        .await
        .map(drop)
    }

    /// Creates the DaemonSet `logs` and waits until it has a pod for each node.
    pub(crate) async fn logs(&self, namespace: &str, template_labels: Value) -> Result<()> {
        let daemon_set = daemon_set("logs", &template_labels);
        let daemon_sets = self.daemon_sets(namespace);
        daemon_sets
            .create(&PostParams::default(), &daemon_set)
            .await?;
        eventually("a pod for each node", SOON, async || {
            let status = daemon_sets.get("logs").await?.status.unwrap_or_default();
            let wanted = status.desired_number_scheduled;
            let there = self
                .pods(namespace)
                .list(&ListParams::default())
                .await?
                .items
                .len();
            Ok(wanted > 0 && usize::try_from(wanted)? == there)
        })
        .await
        .map(drop)
    }

    /// A namespace that enforces, with a DaemonSet whose first revision is approved and runs.
    pub(crate) async fn running_logs(&self, namespace: &str) -> Result<String> {
        self.namespace(namespace, Some("enforce")).await?;
        self.logs(namespace, json!({})).await?;
        let first = self.revision(namespace).await?;
        self.approve(namespace, &first).await?;
        for pod in self.pods(namespace).list(&ListParams::default()).await? {
            self.release(namespace, pod.metadata.name.as_deref().context("a name")?)
                .await?;
        }
        self.until(namespace, "the first revision runs", |counts| {
            counts
                .get(&first)
                .is_some_and(|count| count.gated == 0 && count.running > 0)
                && counts.len() == 1
                && counts
                    .values()
                    .all(|count| count.running >= usize::try_from(super::NODES).unwrap_or(0))
        })
        .await?;
        Ok(first)
    }

    /// Changes the DaemonSet's template; returns the new revision.
    pub(crate) async fn update(&self, namespace: &str, image: &str) -> Result<String> {
        let before = self.revision(namespace).await?;
        let container = json!([{ "name": "logs", "image": image }]);
        let patch = json!({ "spec": { "template": { "spec": { "containers": container } } } });
        let daemon_sets = self.daemon_sets(namespace);
        daemon_sets
            .patch("logs", &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        eventually("a new revision", SOON, async || {
            Ok(self.revision(namespace).await? != before)
        })
        .await?;
        self.revision(namespace).await
    }

    /// The hash of the DaemonSet's newest revision.
    pub(crate) async fn revision(&self, namespace: &str) -> Result<String> {
        use k8s_openapi::api::apps::v1::ControllerRevision;
        let revisions: Api<ControllerRevision> = Api::namespaced(self.admin.clone(), namespace);
        let revisions = revisions.list(&ListParams::default()).await?;
        let newest = revisions
            .into_iter()
            .max_by_key(|revision| revision.revision);
        let labels = newest
            .and_then(|revision| revision.metadata.labels)
            .unwrap_or_default();
        let hash = labels.get("controller-revision-hash").cloned();
        hash.context("the newest revision has a hash")
    }

    pub(crate) async fn key(&self, namespace: &str, hash: &str) -> Result<String> {
        let daemon_set = self.daemon_sets(namespace).get("logs").await?;
        Ok(format!(
            "{}.{hash}",
            daemon_set.metadata.uid.context("a UID")?
        ))
    }

    /// Approves a revision and waits until API servers know it.
    pub(crate) async fn approve(&self, namespace: &str, hash: &str) -> Result<()> {
        let key = self.key(namespace, hash).await?;
        self.allow(&key).await?;
        let (uid, hash) = key.split_once('.').context("a key has two parts")?;
        let probe = Probe {
            uid,
            hash,
            ..Probe::of(namespace)
        };
        eventually("the approval is known", SOON, async || {
            Ok(!self.gates(&probe).await?)
        })
        .await?;
        Ok(())
    }

    /// Writes the Role, whatever it was before, and waits until it has effect.
    pub(crate) async fn adopt(&self) -> Result<()> {
        let role = role(&[run(&["none"]), adopt()])?;
        let parameters = PatchParams::apply("test").force();
        self.roles()
            .patch(ROLE, &parameters, &Patch::Apply(role))
            .await?;
        self.in_force().await
    }

    /// Waits until the gate is in force.
    pub(crate) async fn in_force(&self) -> Result<()> {
        let probe = Probe::of("weir-check");
        eventually("the gate is in force", SOON, async || {
            self.gates(&probe).await
        })
        .await?;
        Ok(())
    }

    pub(crate) async fn release(&self, namespace: &str, pod: &str) -> Result<()> {
        self.world
            .kubectl(&["patch", "pod", pod, "-n", namespace, "-p", RELEASE])
            .await
            .map(drop)
    }

    /// Pods that are not being deleted, by revision.
    pub(crate) async fn count(&self, namespace: &str) -> Result<BTreeMap<String, Count>> {
        let mut counts = BTreeMap::<String, Count>::new();
        for pod in self
            .pods(namespace)
            .list(&ListParams::default().labels("app=logs"))
            .await?
        {
            if pod.metadata.deletion_timestamp.is_some() {
                continue;
            }
            let labels = pod.metadata.labels.clone().unwrap_or_default();
            let hash = labels
                .get("controller-revision-hash")
                .cloned()
                .unwrap_or_default();
            let count = counts.entry(hash).or_default();
            if is_gated(&pod) {
                count.gated += 1;
            } else if pod
                .status
                .is_some_and(|status| status.phase.as_deref() == Some("Running"))
            {
                count.running += 1;
            }
        }
        Ok(counts)
    }

    /// Waits until the pods are as wanted.
    pub(crate) async fn until(
        &self,
        namespace: &str,
        what: &str,
        wanted: impl Fn(&BTreeMap<String, Count>) -> bool,
    ) -> Result<()> {
        let reached = eventually(what, SOON, async || {
            Ok(wanted(&self.count(namespace).await?))
        })
        .await;
        let counts = self.count(namespace).await?;
        reached
            .map(drop)
            .with_context(|| format!("pods are {counts:?}"))
    }

    /// Whether a pod would be gated, by dry run.
    pub(crate) async fn gates(&self, probe: &Probe<'_>) -> Result<bool> {
        self.dry_run(probe).await.map(|pod| is_gated(&pod))
    }

    /// What the API server makes of a pod, by dry run.
    pub(crate) async fn dry_run(&self, probe: &Probe<'_>) -> Result<Pod> {
        let pods = self.pods(probe.namespace);
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        Ok(pods.create(&parameters, &probe.pod()?).await?)
    }
}

/// A pod as a DaemonSet controller would make it.
#[derive(Debug, Clone)]
pub(crate) struct Probe<'a> {
    pub(crate) namespace: &'a str,
    pub(crate) uid: &'a str,
    pub(crate) hash: &'a str,
    /// Besides the revision's.
    pub(crate) labels: Value,
    /// Besides the containers.
    pub(crate) spec: Value,
}

impl<'a> Probe<'a> {
    pub(crate) fn of(namespace: &'a str) -> Self {
        Self {
            namespace,
            uid: "11111111-2222-3333-4444-555555555555",
            hash: "unapproved",
            labels: json!({}),
            spec: json!({}),
        }
    }

    pub(crate) fn pod(&self) -> Result<Pod> {
        let mut pod = json!({
            "metadata": {
                "name": "probe",
                "labels": self.labels,
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "probe",
                    "uid": self.uid, "controller": true,
                }],
            },
            "spec": self.spec,
        });
        pod["metadata"]["labels"]["controller-revision-hash"] = json!(self.hash);
        // As the Pod Security Standard `restricted` wants it, which weir-check enforces.
        pod["spec"]["containers"] = json!([{
            "name": "probe", "image": "none.invalid/probe",
            "securityContext": {
                "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                "runAsNonRoot": true, "seccompProfile": { "type": "RuntimeDefault" },
            },
        }]);
        Ok(serde_json::from_value(pod)?)
    }
}

fn daemon_set(name: &str, template_labels: &Value) -> DaemonSet {
    let mut labels = template_labels.clone();
    labels["app"] = json!(name);
    let daemon_set = json!({
        "metadata": { "name": name },
        "spec": {
            "selector": { "matchLabels": { "app": name } },
            "updateStrategy": { "rollingUpdate": { "maxUnavailable": 2 } },
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [{ "name": name, "image": "none.invalid/logs:1" }] },
            },
        },
    });
    serde_json::from_value(daemon_set).expect("a literal of the right shape")
}
