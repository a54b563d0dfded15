//! No Weir is left: what it held stays held, and the lines that its event has printed let it through.

use anyhow::Result;
use weir::api::State;
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::stage::{Count, Ground, all_the_while};

use crate::scenes::blind;

const NAMESPACE: &str = "alone";

pub(crate) async fn a_person_goes_on_by_hand(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    cluster.apply(&blind("alone", NAMESPACE)).await?;
    let logs = stage.agents(NAMESPACE, NODE_PODS).await?;
    let hash = logs.revision().await?;
    logs.until_state(&hash, State::Held).await?;
    let note = stage.event(NAMESPACE, "logs", "RolloutHeld").await?;
    cluster.stop_weir().await?;
    let nodes = cluster.real_nodes().await?;
    let held = Count {
        gated: nodes,
        free: 0,
        running: 0,
    };
    all_the_while("what was held stays held", async || {
        Ok(logs.count(&hash).await? == held)
    })
    .await?;
    cluster.commands().by_hand(&note).await?;
    logs.until_runs(&hash, nodes).await?;
    cluster.start_weir().await?;
    logs.completes(&stage).await.map(drop)
}
