//! The API server is away for a minute in the middle of a rollout: nothing moves, Weir is not started
//! again for it, and the rollout goes on from where it was.

use std::time::{Duration, Instant};

use anyhow::{Result, ensure};
use weir_e2e::kind::{Cluster, NODE_PODS};

use crate::scenes::{Midway, blind};

/// Longer than a lease, than evidence is fresh, and than nodes may be silent.
const AWAY: Duration = Duration::from_mins(1);

pub(crate) async fn nothing_moves_and_it_goes_on(cluster: &Cluster) -> Result<()> {
    let midway = Midway::reached(cluster, "away").await?;
    cluster.apply(&blind("fresh", "fresh")).await?;
    let before = cluster.replicas().await?;
    cluster.stop_api_server().await?;
    tokio::time::sleep(AWAY).await;
    let began = Instant::now();
    cluster.start_api_server().await?;
    cluster.tell(format!(
        "the API server is ready {:.0} s after a minute without",
        began.elapsed().as_secs_f64()
    ));
    let free = midway.logs.count(&midway.hash).await?.free;
    ensure!(
        free <= midway.target,
        "{free} pods are out, of {} that were let through",
        midway.target
    );
    // It gates from its first answer on.
    let stage = cluster.stage();
    let fresh = stage.agents("fresh", NODE_PODS).await?;
    let count = fresh.count(&fresh.revision().await?).await?;
    ensure!(
        count.free == 0,
        "what is new is not gated after the restart: {count:?}"
    );
    midway.completes(cluster).await?;
    let after = cluster.replicas().await?;
    ensure!(
        before == after,
        "Weir was started again: {before:?}, and then {after:?}"
    );
    Ok(())
}
