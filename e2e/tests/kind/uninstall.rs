//! `helm uninstall`: refused while something harmful is held, until a person consents; after that nothing
//! of Weir is left, and whatever it held runs.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir::api::{GuardedRolloutStatus, State};
use weir_e2e::kind::{CONSENT, Cluster, Leftovers, NAMESPACE, NODE_PODS};
use weir_e2e::stage::{Logs, PATIENCE, all_the_while, eventually, policy_for};

use crate::footprint;

/// What helm keeps on purpose, so that no policy is lost with an installation: `crds.keep`.
const KINDS: [&str; 3] = ["controlplanes", "guardedrollouts", "rolloutpolicies"];

pub(crate) async fn it_leaves_nothing(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    let nodes = cluster.real_nodes().await?;
    let spec = format!("pace: Fast\nsoak: 1h\n{PATIENCE}");
    cluster
        .apply(&policy_for("patient", &["waiting"], &spec))
        .await?;
    let calm = stage.agents("calm", NODE_PODS).await?;
    let first = calm.completes(&stage).await?;
    let waiting = stage.agents("waiting", NODE_PODS).await?;
    let hash = waiting.revision().await?;
    let soaks = |status: &GuardedRolloutStatus| status.state == Some(State::Soaking);
    waiting.until(&hash, "the first wave soaks", soaks).await?;
    let harmful = stage.broken_agents("harmful").await?;
    let broken = harmful.revision().await?;
    harmful.until_state(&broken, State::Held).await?;
    let refusal = refused_while_held(cluster, &harmful, &broken).await?;
    let key = cluster.consent(&refusal).await?;
    cluster.tell(format!("helm uninstall was refused; consent: {key}"));

    let began = Instant::now();
    cluster.uninstall().await?;
    cluster.tell(format!(
        "helm uninstall: {:.0} s",
        began.elapsed().as_secs_f64()
    ));
    // The Job asks under Weir's account too.
    footprint::whole(cluster).await?;
    // Whatever waited goes free, what was held too, and nothing waits any more.
    waiting.until_runs(&hash, nodes).await?;
    eventually("what was held is let through", async || {
        let count = harmful.count(&broken).await?;
        Ok(count.gated == 0 && count.free == nodes)
    })
    .await?;
    harmful.delete().await?;
    flows(cluster, &calm, &first, nodes).await?;
    let left = looked_through(cluster).await?;
    ensure!(
        left.found.iter().all(|one| is_kept(one)),
        "left behind: {:#?}",
        left.found
    );

    let kinds = KINDS.map(|kind| format!("{kind}.weir.dev"));
    let mut words = vec!["delete", "customresourcedefinitions"];
    words.extend(kinds.iter().map(String::as_str));
    cluster.kubectl(&words).await?;
    cluster
        .kubectl(&["delete", "namespace", "weir-system"])
        .await?;
    let left = looked_through(cluster).await?;
    ensure!(left.found.is_empty(), "left behind: {:#?}", left.found);
    cluster.tell(format!(
        "nothing of Weir is left among {} objects; looked for in {}",
        left.objects,
        left.kinds.join(", ")
    ));
    Ok(())
}

/// Agents that end as soon as they start are held, and Weir with them; returns what the refusal says.
async fn refused_while_held(cluster: &Cluster, harmful: &Logs, hash: &str) -> Result<String> {
    let replicas = cluster.replicas().await?;
    let refused = cluster.uninstall().await;
    let error = refused.err().context("it was not refused")?;
    // What helm prints by itself: the Job's log is read by the test besides.
    let printed = error.root_cause().to_string();
    for said in [
        "held",
        "harmful/",
        "kubectl create configmap weir-uninstall",
    ] {
        ensure!(
            printed.contains(said),
            "helm does not say {said}: {error:#}"
        );
    }
    all_the_while("all is as it was", async || {
        let count = harmful.count(hash).await?;
        Ok(count.gated > 0 && cluster.replicas().await? == replicas)
    })
    .await?;
    ensure!(
        harmful.status(hash).await?.state == Some(State::Held),
        "it is no longer held"
    );
    Ok(format!("{error:#}"))
}

/// Without Weir a rollout is what it was before there was one.
async fn flows(cluster: &Cluster, calm: &Logs, first: &str, nodes: u32) -> Result<()> {
    let restart = ["rollout", "restart", "daemonset/logs", "-n", "calm"];
    cluster.kubectl(&restart).await?;
    let second = calm.revision_after(first).await?;
    let mut gated = 0;
    eventually("it runs everywhere", async || {
        let counts = calm.counts().await?;
        gated += counts.values().map(|count| count.gated).sum::<u32>();
        let new = counts.get(&second);
        Ok(counts.len() == 1 && new.is_some_and(|count| count.running == nodes))
    })
    .await?;
    ensure!(gated == 0, "pods are still gated without Weir");
    Ok(())
}

/// What there is once nothing more goes: what is on its way out takes a while.
async fn looked_through(cluster: &Cluster) -> Result<Leftovers> {
    let mut left = cluster.leftovers().await?;
    let mut before = Vec::new();
    while left.found != before {
        before = left.found;
        tokio::time::sleep(Duration::from_secs(5)).await;
        left = cluster.leftovers().await?;
    }
    Ok(left)
}

/// The kinds, what the API server makes of them, the namespace that helm was told to create, and in it a
/// person's consent.
fn is_kept(found: &str) -> bool {
    let kind = ["CustomResourceDefinition /", "APIService /"];
    let consent = format!("ConfigMap {NAMESPACE}/{CONSENT}:");
    found.starts_with(&format!("Namespace /{NAMESPACE}:"))
        || found.starts_with(&consent)
        || kind.iter().any(|kind| found.starts_with(kind))
}
