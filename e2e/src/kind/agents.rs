//! A DaemonSet of real pods, which make the calls of a profile: the image of `weir-agent`, the profile in
//! a ConfigMap, and an account with exactly the rights that the profile needs, as in the lab.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::{ConfigMap, Pod};
use kube::Api;
use kube::api::{ListParams, LogParams, PostParams};
use serde_json::{Value, json};

use super::{Cluster, fake_nodes};
use crate::experiment::{needs, setup};
use crate::profile::Profile;
use crate::stage::{Logs, Shape, Stage, eventually};

/// The profile of agents that ask little, and harm nobody.
pub const NODE_PODS: &str = "scenarios/node-pods";

/// Where an agent finds its profile.
const MOUNTED: &str = "/etc/weir-agent";

impl Stage<'_, Cluster> {
    /// The DaemonSet `logs` of real agents on all nodes, in a new namespace that enforces. The profile is
    /// a file below `e2e/profiles`, by its name.
    ///
    /// # Errors
    /// The profile is wrong, or the API server refuses something.
    pub async fn agents(&self, namespace: &str, profile: &str) -> Result<Logs> {
        self.account(namespace, profile).await?;
        Logs::create(self, namespace, &shape(profile)).await
    }

    /// The same, but for agents that end at once: what they are to play is not there.
    ///
    /// # Errors
    /// As [`Stage::agents`].
    pub async fn broken_agents(&self, namespace: &str) -> Result<Logs> {
        self.account(namespace, NODE_PODS).await?;
        let mut shape = shape(NODE_PODS);
        shape.container = container("missing");
        Logs::create(self, namespace, &shape).await
    }

    /// Waits until one of the agents in a namespace says that it was answered; returns what it says.
    ///
    /// # Errors
    /// None was, within the time that everything has.
    pub async fn answered(&self, namespace: &str) -> Result<String> {
        let pods: Api<Pod> = Api::namespaced(self.admin.clone(), namespace);
        let running = ListParams::default().fields("status.phase=Running");
        let last = LogParams {
            tail_lines: Some(1),
            ..LogParams::default()
        };
        let mut said = String::new();
        eventually("an agent was answered", async || {
            for pod in pods.list(&running).await? {
                let name = pod.metadata.name.unwrap_or_default();
                // kwok's pods have no log.
                said = pods.logs(&name, &last).await.unwrap_or_default();
                if said.contains(" answered") && !said.contains(" 0 answered") {
                    return Ok(true);
                }
            }
            Ok(false)
        })
        .await?;
        Ok(said.trim().to_owned())
    }

    /// A namespace with the account `agent`, its rights, the profile, and what the profile needs.
    async fn account(&self, namespace: &str, profile: &str) -> Result<()> {
        let path = path(profile);
        let text = std::fs::read_to_string(&path);
        let text = text.with_context(|| format!("reading {}", path.display()))?;
        let parsed = Profile::read(&path)?;
        self.namespace(namespace, Some("enforce")).await?;
        setup::agents(&self.admin, namespace, &[&parsed]).await?;
        let nodes = self.world.real_nodes().await?;
        needs::provide(&self.admin, &parsed.needs, (nodes, 0)).await?;
        let map = json!({ "metadata": { "name": "profile" }, "data": { (file(profile)): text } });
        let map: ConfigMap = serde_json::from_value(map)?;
        let maps: Api<ConfigMap> = Api::namespaced(self.admin.clone(), namespace);
        maps.create(&PostParams::default(), &map).await?;
        Ok(())
    }
}

/// An agent's container, but for its name.
#[must_use]
pub fn container(profile: &str) -> Value {
    let field = |name: &str, path: &str| json!({ "name": name, "valueFrom": { "fieldRef": { "fieldPath": path } } });
    json!({
        "image": concat!("localhost/weir-agent:", env!("CARGO_PKG_VERSION")),
        "imagePullPolicy": "IfNotPresent",
        "args": [format!("{MOUNTED}/{}", file(profile))],
        "env": [
            field("POD_NAME", "metadata.name"),
            field("POD_NAMESPACE", "metadata.namespace"),
            field("NODE_NAME", "spec.nodeName"),
        ],
        "resources": { "requests": { "cpu": "10m", "memory": "20Mi" } },
        "volumeMounts": [{ "name": "profile", "mountPath": MOUNTED, "readOnly": true }],
    })
}

/// On all nodes, real or not, control planes too.
fn shape(profile: &str) -> Shape {
    let control_plane = json!({
        "key": "node-role.kubernetes.io/control-plane", "operator": "Exists", "effect": "NoSchedule",
    });
    Shape {
        spec: json!({
            "serviceAccountName": setup::ACCOUNT,
            "terminationGracePeriodSeconds": 2,
            "tolerations": [control_plane, fake_nodes::toleration()],
            "volumes": [{ "name": "profile", "configMap": { "name": "profile" } }],
        }),
        container: container(profile),
        ..Shape::default()
    }
}

fn path(profile: &str) -> PathBuf {
    let profiles = Path::new(env!("CARGO_MANIFEST_DIR")).join("profiles");
    profiles.join(format!("{profile}.yaml"))
}

/// A profile's file, without the directories that it is in.
fn file(profile: &str) -> String {
    let name = profile.rsplit_once('/').map_or(profile, |(_, name)| name);
    format!("{name}.yaml")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_agent_finds_its_profile_where_it_is_mounted() {
        let container = container(NODE_PODS);
        assert_eq!(container["args"][0], "/etc/weir-agent/node-pods.yaml");
        assert_eq!(container["volumeMounts"][0]["mountPath"], MOUNTED);
        assert!(path(NODE_PODS).is_file());
    }
}
