//! A rollout that full width would make too much: what the first real pods cost says so, it is held
//! there, and a person lets it through all the same.

use anyhow::{Result, ensure};
use weir::api::{GuardedRolloutStatus, State};
use weir_e2e::kind::Cluster;
use weir_e2e::stage::{Count, PATIENCE, all_the_while, policy_for};

const NAMESPACE: &str = "held";

/// Nodes beside the real ones: their pods cost nothing, and full width is what is foreseen of it.
const FAKE: u32 = 37;

/// What holds a rollout for what it would be at full width.
const FORESEEN: [&str; 2] = ["ForecastExceedsCapacity", "UnisonExceedsCapacity"];

/// Forecasts hold, against a capacity that does not depend on this machine's; nothing that a busy
/// machine does is harm. With fewer API servers than are required nothing begins.
fn policy(required: u32) -> String {
    let harm = PATIENCE.lines().find(|line| line.starts_with("harm: "));
    let harm = harm.unwrap_or_default();
    let spec = format!(
        "pace: Fast\n\
         soak: 30s\n\
         capacity: {{ cpu: 1 }}\n\
         forecast: {{ act: Hold }}\n\
         required: {{ apiServers: {required} }}\n\
         waves: {{ growth: 2 }}\n\
         {harm}"
    );
    policy_for("foreseeing", &[NAMESPACE], &spec)
}

pub(crate) async fn by_what_the_first_cost(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    // Of pods that wait, the oldest go first: the real ones are to be the older.
    cluster.apply(&policy(2)).await?;
    let logs = stage.agents(NAMESPACE, "scenarios/large-lister").await?;
    let hash = logs.revision().await?;
    logs.until_state(&hash, State::Held).await?;
    cluster.add_fake_nodes(FAKE).await?;
    let full = cluster.real_nodes().await? + FAKE;
    let gated = Count {
        gated: full,
        free: 0,
        running: 0,
    };
    logs.until_count(&hash, gated).await?;
    cluster.apply(&policy(1)).await?;

    let is_foreseen = |status: &GuardedRolloutStatus| {
        let mut findings = status.findings.iter();
        status.state == Some(State::Held)
            && findings.any(|finding| FORESEEN.contains(&finding.reason.as_str()))
    };
    let held = logs
        .until(&hash, "held for what it would cost", is_foreseen)
        .await?;
    ensure!(
        held.width > 0 && held.width < full / 2,
        "it was held at {} of {full} pods",
        held.width
    );
    let summary = held.summary.unwrap_or_default();
    cluster.tell(format!("held at {} of {full} pods: {summary}", held.width));
    cluster.tell(format!("an agent: {}", stage.answered(NAMESPACE).await?));
    let note = stage.event(NAMESPACE, "logs", "RolloutHeld").await?;
    ensure!(note.contains("kubectl patch"), "no lines to copy: {note}");
    all_the_while("it stays held", async || {
        Ok(logs.count(&hash).await?.free <= held.width)
    })
    .await?;

    let name = format!("logs-{hash}");
    let name = name.as_str();
    // It exits with 1, since the rollout is held.
    let explained = cluster.plugin(&["-n", NAMESPACE, "explain", name]).await;
    let explained = explained.map_or_else(|error| format!("{error:#}"), |_| String::new());
    ensure!(
        FORESEEN.iter().any(|rule| explained.contains(rule)),
        "kubectl weir explain does not say what holds it: {explained}"
    );
    let reason = "its load was looked at, and is borne";
    let release = ["-n", NAMESPACE, "release", name, "--reason", reason];
    cluster.plugin(&release).await?;
    logs.until_runs(&hash, full).await?;
    logs.completes(&stage).await.map(drop)
}
