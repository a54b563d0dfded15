//! An update of what runs: its pods are gated, go out in waves, and the way back is free.

use anyhow::{Result, ensure};
use serde_json::json;
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::stage::eventually;

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
    let mut gated = false;
    eventually("its pods are gated", async || {
        gated |= logs.count(&second).await?.gated > 0;
        Ok(gated)
    })
    .await?;
    ensure!(logs.completes(&stage).await? == second);

    // Back to what is approved, through the same valve: nothing is held.
    let undo = ["rollout", "undo", "daemonset/logs", "-n", NAMESPACE];
    cluster.kubectl(&undo).await?;
    let mut held = 0;
    eventually("the first revision runs again", async || {
        let counts = logs.counts().await?;
        held += counts.get(&first).map_or(0, |count| count.gated);
        let first = counts.get(&first);
        Ok(counts.len() == 1 && first.is_some_and(|count| count.running == nodes))
    })
    .await?;
    ensure!(held == 0, "pods of the approved revision were gated");
    Ok(())
}
