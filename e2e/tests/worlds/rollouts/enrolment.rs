//! Who is guarded, how far, and who is not.

use anyhow::{Context, Result, ensure};
use serde_json::json;
use weir::api::{Mode, State, marks};
use weir_e2e::stage::{Count, Logs, Shape, Stage, all_the_while, eventually};

use super::NODES;
use super::nodes::nodes;

pub(crate) async fn what_nodes_depend_on_is_refused_until_acknowledged(
    stage: &Stage<'_>,
) -> Result<()> {
    let cni = json!({ "name": "cni", "hostPath": { "path": "/etc/cni/net.d" } });
    let shape = Shape {
        spec: json!({ "volumes": [cni] }),
        ..Shape::default()
    };
    let logs = stage.logs("critical", &shape).await?;
    let first = logs.revision().await?;
    logs.until_runs(&first, NODES).await?;
    let status = logs.until_state(&first, State::Refused).await?;
    let stalled = status.conditions.iter().find(|one| one.type_ == "Stalled");
    let stalled = stalled.context("a condition Stalled")?;
    ensure!(stalled.status == "True", "{stalled:?}");
    ensure!(
        stalled.message.contains("/etc/cni") && stalled.message.contains(marks::NODE_CRITICAL),
        "it does not say why and what to do: {}",
        stalled.message
    );

    let labels = json!({ marks::NODE_CRITICAL: "acknowledged" });
    let second = logs
        .change(json!({ "spec": { "template": { "metadata": { "labels": labels } } } }))
        .await?;
    ensure!(logs.completes(stage).await? == second);
    ensure!(
        logs.status(&second).await?.wave > 1,
        "it did not pass the valve"
    );
    Ok(())
}

pub(crate) async fn shadow_gates_nothing_and_tells(stage: &Stage<'_>) -> Result<()> {
    // Nodes of the other zone fail meanwhile.
    let zone = "topology.kubernetes.io/zone";
    let shape = Shape {
        spec: json!({ "nodeSelector": { zone: "z2" } }),
        ..Shape::default()
    };
    let nodes = nodes(stage, &format!("{zone}=z2")).await?.len();
    stage.namespace("shadow", Some("shadow")).await?;
    let logs = Logs::create(stage, "shadow", &shape).await?;
    let hash = logs.revision().await?;
    let mut gated = 0;
    eventually("a shadowed rollout completes", async || {
        gated += logs.count(&hash).await?.gated;
        let status = logs.status(&hash).await?;
        ensure!(status.mode.is_none_or(|mode| mode == Mode::Shadow));
        Ok(status.mode == Some(Mode::Shadow) && status.state == Some(State::Complete))
    })
    .await?;
    ensure!(gated == 0, "shadow gated pods");
    logs.until_runs(&hash, u32::try_from(nodes)?).await
}

pub(crate) async fn what_is_only_observed_or_not_enrolled_is_left_alone(
    stage: &Stage<'_>,
) -> Result<()> {
    stage.namespace("observed", Some("observe")).await?;
    stage.namespace("strangers", None).await?;
    let observed = Logs::create(stage, "observed", &Shape::default()).await?;
    let strange = Logs::create(stage, "strangers", &Shape::default()).await?;
    for logs in [&observed, &strange] {
        logs.until_runs(&logs.revision().await?, NODES).await?;
        let second = logs.update("none.invalid/logs:2").await?;
        logs.until_runs(&second, NODES).await?;
    }
    all_the_while("nothing is on record", async || {
        let of_observed = observed.records().await?;
        let of_strange = strange.records().await?;
        Ok(of_observed.is_empty() && of_strange.is_empty())
    })
    .await
}

/// A namespace is enrolled while its workload runs: that is approved as it is, and the next
/// revision is the first that is held.
pub(crate) async fn what_runs_already_is_adopted(stage: &Stage<'_>) -> Result<()> {
    stage.namespace("adopted", None).await?;
    let logs = Logs::create(stage, "adopted", &Shape::default()).await?;
    let first = logs.revision().await?;
    logs.until_runs(&first, NODES).await?;
    let pods = logs.pod_uids().await?;

    let label = format!("{}=enforce", marks::GUARD);
    let enrol = ["label", "namespace", "adopted", &label];
    stage.world.kubectl(&enrol).await?;
    let key = logs.key(&first).await?;
    eventually("what runs is approved", async || {
        Ok(stage.approvals().await?.approved.contains(&key))
    })
    .await?;
    ensure!(logs.pod_uids().await? == pods, "its pods were touched");
    let free = Count {
        gated: 0,
        free: NODES,
        running: NODES,
    };
    ensure!(logs.count(&first).await? == free);

    let second = logs.update("none.invalid/logs:2").await?;
    ensure!(logs.completes(stage).await? == second);
    let status = logs.status(&second).await?;
    ensure!(
        status.wave > 1,
        "the next revision was not held: {status:?}"
    );
    Ok(())
}

/// Whoever takes the label off while pods are held gets them all; nobody has seen how they do, so that
/// nothing is approved.
pub(crate) async fn what_is_no_longer_enrolled_is_let_go(stage: &Stage<'_>) -> Result<()> {
    let logs = stage.logs("leaving", &Shape::default()).await?;
    let hash = logs.revision().await?;
    logs.until(&hash, "a first wave is out", |status| status.width > 0)
        .await?;
    ensure!(logs.count(&hash).await?.gated > 0, "nothing is held");
    let unlabel = format!("{}-", marks::GUARD);
    stage
        .world
        .kubectl(&["label", "namespace", "leaving", &unlabel])
        .await?;
    logs.until_state(&hash, State::LetGo).await?;
    logs.until_runs(&hash, NODES).await?;
    let key = logs.key(&hash).await?;
    ensure!(
        !stage.approvals().await?.approved.contains(&key),
        "what was let go is approved"
    );
    stage
        .event("leaving", "logs", "RolloutLetGo")
        .await
        .map(drop)
}
