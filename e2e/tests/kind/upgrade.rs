//! An upgrade in the middle of a rollout costs a change of leaders, and nothing else.
//!
//! Until there is a release, the version before is this chart, packed as an older one: its pods bear
//! another version's label, so that all of them are replaced.

use std::time::Instant;

use anyhow::{Result, ensure};
use tokio::try_join;
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::stage::all_the_while;

use crate::scenes::Midway;

/// Older than any release.
const BEFORE: &str = "0.0.1";

pub(crate) async fn in_the_middle_of_a_rollout(cluster: &Cluster) -> Result<()> {
    let before = cluster.chart_as(BEFORE).await?;
    cluster.upgrade(&before).await?;
    cluster.weir_is_ready().await?;
    let stage = cluster.stage();
    let steady = stage.agents("steady", NODE_PODS).await?;
    let approved = steady.completes(&stage).await?;
    let key = steady.key(&approved).await?;
    let midway = Midway::reached(cluster, "upgraded").await?;
    let old = cluster.replicas().await?;

    let began = Instant::now();
    let chart = Cluster::chart();
    let upgrade = cluster.upgrade(&chart);
    // Helm must leave alone what Weir has written.
    let watch = all_the_while("what is approved stays approved", async || {
        let approvals = stage.approvals().await?;
        Ok(approvals.adopted && approvals.approved.contains(&key))
    });
    try_join!(upgrade, watch)?;
    cluster.weir_is_ready().await?;
    cluster.tell(format!(
        "helm upgrade in the middle of a rollout: {:.0} s",
        began.elapsed().as_secs_f64()
    ));
    let new = cluster.replicas().await?;
    ensure!(
        new.iter()
            .all(|one| old.iter().all(|other| one.pod != other.pod)),
        "some replicas were not replaced: {new:?}"
    );
    midway.completes(cluster).await?;
    let approvals = stage.approvals().await?;
    ensure!(
        approvals.adopted && approvals.approved.contains(&key),
        "the upgrade has lost an approval: {approvals:?}"
    );
    let count = steady.count(&approved).await?;
    ensure!(count.gated == 0, "what was approved is gated: {count:?}");
    Ok(())
}
