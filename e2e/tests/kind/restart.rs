//! `kubectl rollout restart` is a new revision, and passes the same valve.

use anyhow::{Result, ensure};
use weir_e2e::kind::{Cluster, NODE_PODS};

const NAMESPACE: &str = "restart";

pub(crate) async fn it_passes_the_valve(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    let logs = stage.agents(NAMESPACE, NODE_PODS).await?;
    let first = logs.completes(&stage).await?;
    let before = logs.pod_uids().await?;
    let restart = ["rollout", "restart", "daemonset/logs", "-n", NAMESPACE];
    cluster.kubectl(&restart).await?;
    let second = logs.revision_after(&first).await?;
    logs.passes(&stage, &second).await?;
    let after = logs.pod_uids().await?;
    ensure!(
        after.iter().all(|uid| !before.contains(uid)),
        "some pods were not started again"
    );
    Ok(())
}
