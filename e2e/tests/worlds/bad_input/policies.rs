//! RolloutPolicies that are invalid, contradictory, in vain, or two for one workload.

use anyhow::{Context, Result, ensure};
use weir_e2e::stage::{PATIENCE, Shape, Stage, eventually, policy_for};

pub(crate) async fn an_invalid_one_is_refused_with_words_that_help(
    stage: &Stage<'_>,
) -> Result<()> {
    for (spec, says) in [
        ("soak: 25h", "soak is between 1s and 24h"),
        ("soak: soon", "spec.soak"),
        ("waves: { canary: 0% }", "canary must be more than 0%"),
        (
            "waves: { canary: 20%, maxStep: 10% }",
            "canary must not be larger than maxStep",
        ),
        ("waves: { growth: 1 }", "growth must be at least 1.01"),
        ("pace: Reckless", r#"supported values: "Careful", "Fast""#),
        ("harm: { latencyFloor: 2s }", "latencyFloor is at most 1s"),
    ] {
        let refused = stage
            .world
            .apply(&policy_for("invalid", &["nowhere"], spec))
            .await;
        let error = refused.err().with_context(|| format!("accepted: {spec}"))?;
        let error = error.to_string();
        ensure!(error.contains(says), "{spec}: {error}");
    }
    Ok(())
}

/// What only contradicts the preset passes the schema.
pub(crate) async fn a_contradictory_one_says_so_and_careful_applies(
    stage: &Stage<'_>,
) -> Result<()> {
    let spec = "pace: Fast\nwaves: { canary: 60% }";
    let manifest = policy_for("contradictory", &["nowhere"], spec);
    stage.world.apply(&manifest).await?;
    let (status, message) = stage
        .policy_says("contradictory", "Ready", "Contradictory")
        .await?;
    ensure!(status == "False");
    ensure!(
        message.contains("spec.waves.canary") && message.contains("Careful"),
        "it does not say what and what then: {message}"
    );
    let note = stage
        .event("default", "contradictory", "PolicyInvalid")
        .await?;
    ensure!(note.contains("spec.waves.canary"), "{note}");
    Ok(())
}

pub(crate) async fn one_that_matches_nothing_says_so(stage: &Stage<'_>) -> Result<()> {
    let manifest = policy_for("in-vain", &["no-such-namespace"], "pace: Fast");
    stage.world.apply(&manifest).await?;
    let (status, message) = stage
        .policy_says("in-vain", "Matched", "MatchesNothing")
        .await?;
    ensure!(
        status == "False" && message.contains("weir.dev/guard"),
        "{message}"
    );
    Ok(())
}

/// `quick` applies to everything, and grows tenfold; with `doubling` it is 1, 2, 4, …
pub(crate) async fn of_two_the_stricter_applies(stage: &Stage<'_>) -> Result<()> {
    let spec = format!("pace: Fast\nsoak: 1s\nwaves: {{ growth: 2 }}\n{PATIENCE}");
    let doubling = policy_for("doubling", &["two"], &spec);
    stage.world.apply(&doubling).await?;
    stage.policy_says("doubling", "Ready", "Valid").await?;
    let logs = stage.logs("two", &Shape::default()).await?;
    let (_, message) = stage.policy_says("doubling", "Matched", "Overlaps").await?;
    ensure!(message.contains("quick"), "{message}");
    let hash = logs.revision().await?;
    let mut targets = Vec::new();
    eventually("the second wave", async || {
        let target = logs.target(&hash).await?;
        if target > 0 && targets.last() != Some(&target) {
            targets.push(target);
        }
        Ok(targets.len() > 1)
    })
    .await?;
    ensure!(targets == [1, 2], "the waves were {targets:?}");
    let status = logs.status(&hash).await?;
    ensure!(status.policies == ["doubling", "quick"], "{status:?}");
    // Its many waves would show nothing more.
    logs.delete().await
}
