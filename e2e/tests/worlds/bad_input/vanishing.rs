//! Workloads that vanish in the middle of their rollout.

use anyhow::{Result, ensure};
use k8s_openapi::api::core::v1::Namespace;
use kube::Api;
use weir_e2e::stage::{Logs, PATIENCE, Shape, Stage, all_the_while, eventually, policy_for};

/// A rollout with pods out and pods held. It stays like this while there is the policy of the
/// namespace's name.
async fn in_the_middle(stage: &Stage<'_>, namespace: &str) -> Result<Logs> {
    let spec = format!("pace: Fast\nsoak: 10m\n{PATIENCE}");
    let lasting = policy_for(namespace, &[namespace], &spec);
    stage.world.apply(&lasting).await?;
    let logs = stage.logs(namespace, &Shape::default()).await?;
    let hash = logs.revision().await?;
    logs.until(&hash, "a first wave is out", |status| status.width > 0)
        .await?;
    let count = logs.count(&hash).await?;
    ensure!(count.gated > 0, "it is not in the middle: {count:?}");
    Ok(logs)
}

pub(crate) async fn a_daemon_set_deleted_in_the_middle_leaves_nothing_behind(
    stage: &Stage<'_>,
) -> Result<()> {
    let logs = in_the_middle(stage, "deleted").await?;
    logs.delete().await?;
    eventually("its record is gone", async || {
        Ok(logs.records().await?.is_empty())
    })
    .await?;
    // The name is free for another, which begins with its first wave.
    let quick_again = ["delete", "rolloutpolicy", "deleted"];
    stage.world.kubectl(&quick_again).await?;
    let again = Logs::create(stage, "deleted", &Shape::default()).await?;
    again.completes(stage).await.map(drop)
}

pub(crate) async fn a_namespace_deleted_in_the_middle_goes_away(stage: &Stage<'_>) -> Result<()> {
    let logs = in_the_middle(stage, "leaving").await?;
    let key = logs.key(&logs.revision().await?).await?;
    let delete = ["delete", "namespace", "leaving", "--wait=false"];
    stage.world.kubectl(&delete).await?;
    let namespaces: Api<Namespace> = Api::all(stage.admin.clone());
    eventually("the namespace is gone", async || {
        Ok(namespaces.get_opt("leaving").await?.is_none())
    })
    .await?;
    all_the_while("what never came to its end is not approved", async || {
        let said = stage.approvals().await?;
        Ok(said.adopted && !said.approved.contains(&key))
    })
    .await
}
