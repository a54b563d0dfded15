//! The process that leads is killed in the middle of a rollout: nothing is let through until another
//! leads, which goes on from there.

use std::time::Instant;

use anyhow::{Context, Result};
use weir_e2e::kind::Cluster;

use crate::scenes::Midway;

pub(crate) async fn another_goes_on(cluster: &Cluster) -> Result<()> {
    let midway = Midway::reached(cluster, "orphans").await?;
    let leader = cluster.leader().await?;
    let holder = cluster.holder().await?.context("somebody leads")?;
    let began = Instant::now();
    cluster.kill(&leader).await?;
    midway.rests().await?;
    let successor = cluster.successor(&holder).await?;
    cluster.tell(format!(
        "the leader was killed: another leads after {:.0} s ({} after {})",
        began.elapsed().as_secs_f64(),
        successor,
        leader.pod
    ));
    midway.completes(cluster).await?;
    cluster.weir_is_ready().await
}
