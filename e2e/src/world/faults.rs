//! Nodes that fail, in the ways in which the node lifecycle controller notices.

use anyhow::{Context, Result};
use jiff::Timestamp;
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::{Node, Pod};
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams};
use serde_json::{Value, json};

use super::World;

/// kwok's stages (`kwok.yaml`) look at it.
const NOT_READY: &str = "weir.dev/world-not-ready";

/// How long a silent node's Lease belongs to nobody who renews it: longer than any world lives.
const FOR_EVER_SECONDS: i32 = 30 * 24 * 60 * 60;

impl World {
    /// The kubelet of this node reports that it is not ready; the node is tainted within a second or
    /// two. Its pods stay Ready, as the controllers set back only those of nodes that fall silent.
    pub async fn fail_node(&self, name: &str) -> Result<()> {
        self.annotate_node(name, Value::from("container runtime is down"))
            .await
    }

    /// Undoes [`World::fail_node`] and waits until the node is Ready.
    pub async fn recover_node(&self, name: &str) -> Result<()> {
        self.annotate_node(name, Value::Null).await?;
        self.pods_ready_again(name).await
    }

    /// The kubelet of this node says nothing any more: it renews no Lease, runs and ends no pods.
    /// The controllers mark the node Unknown after their grace period (50 s, or the spec's).
    pub async fn silence_node(&self, name: &str) -> Result<()> {
        // kwok leaves nodes alone whose Lease somebody else holds, as another kwok would.
        let spec = json!({
            "holderIdentity": "nobody",
            "renewTime": format!("{:.6}", Timestamp::now()),
            "leaseDurationSeconds": FOR_EVER_SECONDS,
        });
        self.patch_lease(name, &spec).await
    }

    /// Undoes [`World::silence_node`] and waits until the node is Ready.
    pub async fn wake_node(&self, name: &str) -> Result<()> {
        let spec = json!({ "holderIdentity": null, "leaseDurationSeconds": 40 });
        self.patch_lease(name, &spec).await?;
        self.pods_ready_again(name).await
    }

    /// Deletes nodes, as a cloud's controller does when their machines are gone. Their pods follow.
    pub async fn delete_nodes(&self, names: &[&str]) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        for name in names {
            nodes
                .delete(name, &DeleteParams::default())
                .await
                .with_context(|| format!("deleting node {name}"))?;
        }
        Ok(())
    }

    async fn annotate_node(&self, name: &str, value: Value) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        let patch = json!({ "metadata": { "annotations": { NOT_READY: value } } });
        nodes
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map(drop)
            .with_context(|| format!("annotating node {name}"))
    }

    async fn patch_lease(&self, name: &str, spec: &Value) -> Result<()> {
        let leases: Api<Lease> = Api::namespaced(self.client(), "kube-node-lease");
        let patch = json!({ "spec": spec });
        leases
            .patch(name, &PatchParams::default(), &Patch::Merge(&patch))
            .await
            .map(drop)
            .with_context(|| format!("patching the Lease of node {name}"))
    }

    /// The controllers have set the pods of a failed node to not ready; a kubelet that is back says
    /// otherwise, and kwok does not know that it should.
    async fn pods_ready_again(&self, node: &str) -> Result<()> {
        // Before that the controllers would set them back.
        self.node_ready(node).await?;
        let on_node = ListParams::default().fields(&format!("spec.nodeName={node}"));
        let pods = Api::<Pod>::all(self.client()).list(&on_node).await?;
        let ready = json!({ "status": { "conditions": [
            { "type": "Ready", "status": "True", "lastTransitionTime": format!("{:.0}", Timestamp::now()) },
        ]}});
        for pod in pods {
            let namespace = pod
                .metadata
                .namespace
                .as_deref()
                .context("a pod has a namespace")?;
            let name = pod.metadata.name.as_deref().context("a pod has a name")?;
            let running = pod
                .status
                .is_some_and(|status| status.phase.as_deref() == Some("Running"));
            if running {
                let pods: Api<Pod> = Api::namespaced(self.client(), namespace);
                pods.patch_status(name, &PatchParams::default(), &Patch::Strategic(&ready))
                    .await?;
            }
        }
        Ok(())
    }
}
