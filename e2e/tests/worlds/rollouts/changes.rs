//! What happens to a DaemonSet after its first rollout.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir::api::State;
use weir_e2e::stage::{Logs, Shape, Stage, all_the_while, eventually};
use weir_e2e::world::WeirProcess;

use super::{NODES, ZONE};

pub(crate) async fn a_restart_is_gated_and_a_rollback_flows(stage: &Stage<'_>) -> Result<()> {
    let logs = stage.logs("restart", &Shape::default()).await?;
    let first = logs.completes(stage).await?;
    let restart = ["rollout", "restart", "ds/logs", "-n", "restart"];
    stage.world.kubectl(&restart).await?;
    let second = logs.revision_after(&first).await?;
    logs.passes(stage, &second).await?;

    // Back to what is approved, twice through the same valve: nothing is held.
    let undo = ["rollout", "undo", "ds/logs", "-n", "restart"];
    stage.world.kubectl(&undo).await?;
    logs.flows(&first, NODES).await
}

pub(crate) async fn what_is_made_again_is_gated_anew(stage: &Stage<'_>) -> Result<()> {
    let logs = stage.logs("again", &Shape::default()).await?;
    let first = logs.completes(stage).await?;
    logs.delete().await?;
    let again = Logs::create(stage, "again", &Shape::default()).await?;
    let second = again.revision().await?;
    ensure!(first == second, "the same template has the same hash");
    let count = again.count(&second).await?;
    // The canary at most may be out by now.
    ensure!(count.gated >= NODES - 1, "not gated: {count:?}");
    again.completes(stage).await.map(drop)
}

/// A DaemonSet for one zone's nodes, whose first revision is complete.
pub(crate) async fn runs_in_a_zone(
    stage: &Stage<'_>,
    namespace: &str,
    max_unavailable: u32,
) -> Result<Logs> {
    let shape = Shape {
        spec: json!({ "nodeSelector": { "topology.kubernetes.io/zone": ZONE } }),
        max_unavailable: json!(max_unavailable),
        ..Shape::default()
    };
    let logs = stage.logs(namespace, &shape).await?;
    logs.completes(stage).await?;
    Ok(logs)
}

/// With `maxUnavailable: 1` the gate leaves one node without a pod and all others as they were.
pub(crate) async fn an_update_stalls_until_weir_lets_it_through(
    stage: &Stage<'_>,
    logs: &Logs,
    weir: &WeirProcess,
) -> Result<()> {
    let first = logs.revision().await?;
    let all = logs.count(&first).await?.running;
    ensure!(all > 2, "there is nothing to stall: {all} pods");
    weir.program.pause()?;
    let second = logs.update("none.invalid/logs:2").await?;
    eventually("one pod is gated", async || {
        Ok(logs.count(&second).await?.gated == 1)
    })
    .await?;
    let stalled = all_the_while("the update stalls", async || {
        let (old, new) = (logs.count(&first).await?, logs.count(&second).await?);
        Ok(old.running == all - 1 && new.gated == 1 && new.free == 0)
    })
    .await;
    // The strategy's only place is to be taken by a node that fails: as without Weir the update may
    // wait for it, and must go on once it is back.
    let failing = logs.nodes(&first).await?.pop();
    let failing = failing.context("an old pod runs")?;
    stage.world.fail_node(&failing).await?;
    weir.program.resume()?;
    let waits = waits_for_a_node(logs, &first, &second).await;
    stage.world.recover_node(&failing).await?;
    stalled.and(waits)?;
    ensure!(logs.completes(stage).await? == second);
    Ok(())
}

/// The canary is soaked and the next wave is open. Which node the strategy takes next is its own
/// choice: it may come to the failed one at once or at last.
async fn waits_for_a_node(logs: &Logs, old: &str, new: &str) -> Result<()> {
    logs.until(new, "its first wave is soaked", |status| status.wave > 1)
        .await?;
    all_the_while("what is not through is not called complete", async || {
        let complete = logs.status(new).await?.state == Some(State::Complete);
        let left = logs.count(old).await?.free;
        Ok(!complete || left == 0)
    })
    .await
}
