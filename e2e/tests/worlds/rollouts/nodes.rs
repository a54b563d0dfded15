//! Nodes that join during a rollout and after it, and nodes that fail.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::ListParams;
use weir::api::State;
use weir_e2e::stage::{Count, Logs, Shape, Stage, eventually};

/// Names of nodes with these labels.
pub(crate) async fn nodes(stage: &Stage<'_>, labels: &str) -> Result<Vec<String>> {
    let nodes: Api<Node> = Api::all(stage.admin.clone());
    let labelled = ListParams::default().labels(labels);
    let list = nodes.list_metadata(&labelled).await?;
    let names = list.items.into_iter().map(|node| node.metadata.name);
    names.collect::<Option<_>>().context("nodes have names")
}

/// During a rollout they belong to its full width; after it their pods are born free.
pub(crate) async fn nodes_that_join_are_served(stage: &Stage<'_>) -> Result<()> {
    let before = u32::try_from(nodes(stage, "").await?.len())?;
    let logs = stage.logs("joining", &Shape::default()).await?;
    let hash = logs.revision().await?;
    logs.until(&hash, "a first wave is out", |status| status.width > 0)
        .await?;
    ensure!(logs.status(&hash).await?.state != Some(State::Complete));
    stage.world.add_nodes(2).await?;
    let status = logs
        .until(&hash, "complete on all nodes", |status| {
            status.state == Some(State::Complete) && status.full_width == before + 2
        })
        .await?;
    logs.until_runs(&hash, before + 2).await?;

    stage.world.add_nodes(2).await?;
    let all = before + 4;
    let mut gated = 0;
    eventually("pods on the new nodes", async || {
        let count = logs.count(&hash).await?;
        gated += count.gated;
        let served = Count {
            gated: 0,
            free: all,
            running: all,
        };
        Ok(count == served)
    })
    .await?;
    ensure!(gated == 0, "pods of an approved revision were gated");
    let after = logs.status(&hash).await?;
    ensure!(after.state == status.state, "it rolls again: {after:?}");
    Ok(())
}

pub(crate) async fn an_update_goes_on_while_a_node_is_not_ready(
    stage: &Stage<'_>,
    logs: &Logs,
) -> Result<()> {
    let name = logs.nodes(&logs.revision().await?).await?.pop();
    let name = name.context("the first revision runs")?;
    let second = logs.update("none.invalid/logs:2").await?;
    logs.until(&second, "a first wave is out", |status| status.width > 0)
        .await?;
    stage.world.fail_node(&name).await?;
    let width = logs.status(&second).await?.width;
    let wider = logs
        .until(&second, "it gets wider all the same", |status| {
            status.width > width
        })
        .await;
    stage.world.recover_node(&name).await?;
    wider?;
    ensure!(logs.completes(stage).await? == second);
    Ok(())
}
