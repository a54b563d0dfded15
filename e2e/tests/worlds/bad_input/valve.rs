//! Somebody empties the parameter object, or deletes it.

use anyhow::{Result, ensure};
use weir_e2e::stage::{Logs, Shape, Stage, eventually};

use super::NODES;

/// A DaemonSet whose revision the valve has approved.
pub(crate) async fn approved(stage: &Stage<'_>) -> Result<Logs> {
    let logs = stage.logs("rebuilt", &Shape::default()).await?;
    logs.completes(stage).await?;
    Ok(logs)
}

pub(crate) async fn one_that_is_emptied_or_deleted_is_rebuilt(
    stage: &Stage<'_>,
    logs: &Logs,
) -> Result<()> {
    let hash = logs.revision().await?;
    let pods = logs.pod_uids().await?;
    let key = logs.key(&hash).await?;
    let emptied = r#"{"spec":{"adopted":false,"approved":null}}"#;
    for (how, harm) in [
        (
            "emptied",
            vec!["patch", "valve", "cluster", "--type=merge", "-p", emptied],
        ),
        ("deleted", vec!["delete", "valve", "cluster"]),
    ] {
        stage.world.kubectl(&harm).await?;
        eventually(
            &format!("the valve was {how}, and says again what it said"),
            async || {
                let valve = stage.valve().await?.unwrap_or_default();
                Ok(valve.adopted && valve.approved.contains_key(&key))
            },
        )
        .await?;
        ensure!(logs.pod_uids().await? == pods, "{how}: pods were touched");
        logs.until_runs(&hash, NODES).await?;
    }
    let note = stage.event("default", "cluster", "ValveRebuilt").await?;
    ensure!(note.contains("deleted or emptied"), "{note}");
    Ok(())
}

/// As before somebody broke it, and what it had approved runs on.
pub(crate) async fn it_gates_what_is_new(stage: &Stage<'_>, logs: &Logs) -> Result<()> {
    let second = logs.update("none.invalid/logs:2").await?;
    ensure!(logs.completes(stage).await? == second);
    let status = logs.status(&second).await?;
    ensure!(status.wave > 1, "it did not pass the valve: {status:?}");
    Ok(())
}
