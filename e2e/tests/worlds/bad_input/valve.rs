//! Somebody empties the Role of the approvals, deletes it, or makes it approve everything.

use anyhow::{Result, ensure};
use weir_e2e::stage::{Logs, Shape, Stage, eventually};
use weir_e2e::world::approvals::{adopt, run};

use super::NODES;

/// A DaemonSet whose revision the valve has approved.
pub(crate) async fn approved(stage: &Stage<'_>) -> Result<Logs> {
    let logs = stage.logs("rebuilt", &Shape::default()).await?;
    logs.completes(stage).await?;
    Ok(logs)
}

pub(crate) async fn one_that_is_emptied_deleted_or_approves_everything_is_rebuilt(
    stage: &Stage<'_>,
    logs: &Logs,
) -> Result<()> {
    let hash = logs.revision().await?;
    let pods = logs.pod_uids().await?;
    let key = logs.key(&hash).await?;
    let patch = |rules: serde_json::Value| {
        let patch = serde_json::json!({ "rules": rules }).to_string();
        [
            "patch",
            "role",
            "weir-approved",
            "--type=merge",
            "-p",
            &patch,
        ]
        .map(str::to_owned)
    };
    let wildcard = serde_json::json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] });
    for (how, harm) in [
        ("emptied", patch(serde_json::json!(null)).to_vec()),
        (
            "made to approve everything",
            patch(serde_json::json!([adopt(), run(&[])])).to_vec(),
        ),
        (
            "made a wildcard",
            patch(serde_json::json!([wildcard])).to_vec(),
        ),
        (
            "deleted",
            ["delete", "role", "weir-approved"]
                .map(str::to_owned)
                .to_vec(),
        ),
    ] {
        let mut words: Vec<&str> = harm.iter().map(String::as_str).collect();
        words.extend(["-n", "weir-system"]);
        stage.world.kubectl(&words).await?;
        eventually(
            &format!("the Role was {how}, and says again what it said"),
            async || {
                let said = stage.approvals().await?;
                Ok(said.adopted && said.approved.contains(&key))
            },
        )
        .await?;
        ensure!(logs.pod_uids().await? == pods, "{how}: pods were touched");
        logs.until_runs(&hash, NODES).await?;
    }
    let note = stage
        .event("weir-system", "weir-approved", "ValveRebuilt")
        .await?;
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
