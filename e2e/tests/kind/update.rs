//! An update of what runs: its pods are gated, go out in waves, and the way back is free.

use anyhow::Result;
use serde_json::json;
use weir_e2e::kind::{Cluster, NODE_PODS};

const NAMESPACE: &str = "update";

pub(crate) async fn it_passes_and_goes_back(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    let nodes = cluster.real_nodes().await?;
    let logs = stage.agents(NAMESPACE, NODE_PODS).await?;
    let first = logs.completes(&stage).await?;
    stage.answered(NAMESPACE).await?;
    let annotations = json!({ "example.com/version": "2" });
    let template = json!({ "metadata": { "annotations": annotations } });
    let second = logs
        .change(json!({ "spec": { "template": template } }))
        .await?;
    logs.passes(&stage, &second).await?;

    // Back to what is approved, through the same valve: nothing is held.
    let undo = ["rollout", "undo", "daemonset/logs", "-n", NAMESPACE];
    cluster.kubectl(&undo).await?;
    logs.flows(&first, nodes).await
}
