//! How a rollout gets wide, and how a person holds it.

use anyhow::{Context, Result, ensure};
use weir::api::State;
use weir_e2e::stage::{Count, Shape, Stage, all_the_while, eventually};

use super::NODES;

/// Never more pods are out than is on record, the first wave is the canary, each grows threefold but by
/// no more than half of all, and tools that know nothing of Weir can wait for the end.
pub(crate) async fn a_new_daemon_set_goes_through_waves_to_complete(
    stage: &Stage<'_>,
) -> Result<()> {
    let logs = stage.logs("fresh", &Shape::default()).await?;
    let hash = logs.revision().await?;
    let mut targets = Vec::new();
    eventually("the rollout completes", async || {
        // Pods first: what is on record may only be ahead of them.
        let out = logs.count(&hash).await?.free;
        let status = logs.status(&hash).await?;
        let target = status.history.map_or(0, |history| history.target);
        if out > target {
            targets.push(u32::MAX);
            return Ok(true);
        }
        if target > 0 && targets.last() != Some(&target) {
            targets.push(target);
        }
        Ok(status.state == Some(State::Complete))
    })
    .await?;
    ensure!(
        targets == [1, 3, 8, NODES],
        "the waves were {targets:?} ({} stands for pods beyond the target)",
        u32::MAX
    );
    logs.completes(stage).await?;
    let rollout = format!("guardedrollout/logs-{hash}");
    let wait = [
        "wait",
        "--for=condition=Ready",
        &rollout,
        "-n",
        "fresh",
        "--timeout=30s",
    ];
    stage.world.kubectl(&wait).await.map(drop)
}

pub(crate) async fn a_paused_rollout_rests_until_the_pause_is_cleared(
    stage: &Stage<'_>,
) -> Result<()> {
    let logs = stage.logs("paused", &Shape::default()).await?;
    let hash = logs.revision().await?;
    eventually("there is a record", async || {
        Ok(logs.record(&hash).await?.is_some())
    })
    .await?;
    logs.pause(&hash, true).await?;
    let status = logs.until_state(&hash, State::Paused).await?;
    let held = status.conditions.iter().find(|one| one.type_ == "Held");
    let held = held.context("a condition Held")?;
    ensure!(held.status == "True" && held.reason == "Paused", "{held:?}");
    let before = logs.count(&hash).await?;
    ensure!(before.gated > 0, "it was paused too late: {before:?}");
    let unmoved = |now: Count| now.gated == before.gated && now.free == before.free;
    all_the_while("a paused rollout rests", async || {
        Ok(unmoved(logs.count(&hash).await?))
    })
    .await?;
    logs.pause(&hash, false).await?;
    logs.completes(stage).await.map(drop)
}
