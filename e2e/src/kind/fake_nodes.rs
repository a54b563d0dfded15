//! Nodes beside the real ones whose kubelets kwok plays: what grows a fleet without growing a machine.
//!
//! They are tainted, so that nothing is placed there by chance, Weir's own replicas least of all.

use std::fs::File;
use std::os::unix::process::CommandExt;
use std::process::Stdio;
use std::sync::PoisonError;

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{DeleteParams, ListParams, PostParams};
use serde_json::{Value, json};

use super::Cluster;
use crate::leash;
use crate::stage::eventually;
use crate::tools::{Tool, program};
use crate::world::nodes::{is_ready, node};

/// The label of nodes that are not real.
pub(super) const LABEL: &str = "e2e.weir.dev/fake";

/// The annotation by which kwok knows its nodes, and the key of their taint.
const KWOK: &str = "kwok.x-k8s.io/node";

/// Created at once: few enough for an API server that shares a core with everything else.
const AT_ONCE: usize = 8;

/// What tolerates the taint, for workloads that are to run on all nodes.
pub(super) fn toleration() -> Value {
    json!({ "key": KWOK, "operator": "Exists", "effect": "NoSchedule" })
}

impl Cluster {
    /// Adds this many nodes, and waits until all of them are ready.
    ///
    /// # Errors
    /// kwok cannot be started, or the nodes do not become ready.
    pub async fn add_fake_nodes(&self, count: u32) -> Result<()> {
        self.start_kwok()?;
        let nodes: Api<Node> = Api::all(self.client());
        let fake = ListParams::default().labels(LABEL);
        let first = u32::try_from(nodes.list_metadata(&fake).await?.items.len())?;
        stream::iter(first..first + count)
            .map(|number| register(&nodes, number))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        let all = (first + count) as usize;
        eventually("all nodes of kwok are ready", async || {
            self.kwok_runs()?;
            let nodes = nodes.list(&fake).await?;
            Ok(nodes.iter().filter(|node| is_ready(node)).count() >= all)
        })
        .await
    }

    /// Takes all of these nodes away, and ends kwok.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn remove_fake_nodes(&self) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        for name in self.nodes(LABEL).await? {
            nodes.delete(&name, &DeleteParams::default()).await?;
        }
        self.end_kwok();
        Ok(())
    }

    /// Starts kwok, if it does not run.
    fn start_kwok(&self) -> Result<()> {
        let mut kwok = self.kwok.lock().unwrap_or_else(PoisonError::into_inner);
        if kwok.is_some() {
            return Ok(());
        }
        let stages = self.directory.join("kwok.yaml");
        std::fs::write(&stages, include_str!("../world/kwok.yaml"))?;
        let log = File::create(self.directory.join("kwok.log"))?;
        let child = leash::command()
            .arg(program(Tool::Kwok, "kwok")?)
            .arg(format!("--kubeconfig={}", self.kubeconfig.display()))
            .arg(format!("--config={}", stages.display()))
            .arg("--manage-all-nodes=false")
            .arg(format!(
                "--manage-nodes-with-annotation-selector={KWOK}=fake"
            ))
            // A kubelet's default.
            .arg("--node-lease-duration-seconds=40")
            .arg("--v=WARN")
            .env("HOME", &self.directory)
            // Ctrl-C is for this program, which then ends it.
            .process_group(0)
            .stdin(Stdio::null())
            .stdout(log.try_clone()?)
            .stderr(log)
            .spawn()
            .context("starting kwok")?;
        *kwok = Some(child);
        Ok(())
    }

    /// An error with the end of its log, if kwok was started and has ended.
    pub(super) fn kwok_runs(&self) -> Result<()> {
        let mut kwok = self.kwok.lock().unwrap_or_else(PoisonError::into_inner);
        let Some(child) = kwok.as_mut() else {
            return Ok(());
        };
        if let Some(status) = child.try_wait().context("looking at kwok")? {
            let log = std::fs::read_to_string(self.directory.join("kwok.log"));
            let log = log.unwrap_or_default();
            bail!("kwok has ended ({status}); its log:\n{log}");
        }
        Ok(())
    }

    /// Ends kwok, if it runs.
    pub(super) fn end_kwok(&self) {
        let mut kwok = self.kwok.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(mut child) = kwok.take() {
            drop(child.kill());
            drop(child.wait());
        }
    }
}

async fn register(nodes: &Api<Node>, number: u32) -> Result<()> {
    let node = serde_json::from_value(fake(number)).context("a node as the API has it")?;
    let created = nodes.create(&PostParams::default(), &node).await;
    created
        .map(drop)
        .with_context(|| format!("creating fake node {number}"))
}

/// A world's node, as one of another cluster, which gives it its own range of addresses.
fn fake(number: u32) -> Value {
    let mut node = node(number);
    let name = format!("fake-{number:03}");
    let metadata = &mut node["metadata"];
    metadata["name"] = json!(name);
    metadata["annotations"] = json!({ KWOK: "fake" });
    metadata["labels"] = json!({
        LABEL: "true",
        "kubernetes.io/hostname": name,
        "kubernetes.io/os": "linux",
        "kubernetes.io/arch": "amd64",
    });
    node["spec"] = json!({ "taints": [{ "key": KWOK, "value": "fake", "effect": "NoSchedule" }] });
    node
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_fake_node_is_kwok_s_and_nothing_comes_there_by_chance() -> Result<()> {
        let node: Node = serde_json::from_value(fake(7))?;
        assert_eq!(node.metadata.name.as_deref(), Some("fake-007"));
        let annotations = node.metadata.annotations.unwrap_or_default();
        assert_eq!(annotations.get(KWOK).map(String::as_str), Some("fake"));
        assert!(node.metadata.labels.unwrap_or_default().contains_key(LABEL));
        let spec = node.spec.unwrap_or_default();
        assert!(spec.taints.is_some_and(|taints| taints.len() == 1));
        assert!(spec.pod_cidr.is_none());
        Ok(())
    }
}
