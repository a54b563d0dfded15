//! Nodes join: what is approved runs there at once, what is not waits.

use anyhow::{Result, ensure};
use tokio::try_join;
use weir::api::State;
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::stage::{Count, eventually};

use crate::scenes::blind;

/// Nodes that join, played by kwok.
const JOIN: u32 = 6;

pub(crate) async fn only_what_is_approved_flows(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    cluster.apply(&blind("unseen", "unseen")).await?;
    let (approved, waiting) = try_join!(
        stage.agents("approved", NODE_PODS),
        stage.agents("unseen", NODE_PODS),
    )?;
    let through = approved.completes(&stage).await?;
    let held = waiting.revision().await?;
    waiting.until_state(&held, State::Held).await?;
    let all = cluster.real_nodes().await? + JOIN;
    cluster.add_fake_nodes(JOIN).await?;
    let mut gated = 0;
    eventually("what is approved runs on all nodes", async || {
        let count = approved.count(&through).await?;
        gated += count.gated;
        Ok(count.running == all)
    })
    .await?;
    ensure!(gated == 0, "pods of an approved revision were gated");
    let rest = Count {
        gated: all,
        free: 0,
        running: 0,
    };
    waiting.until_count(&held, rest).await
}
