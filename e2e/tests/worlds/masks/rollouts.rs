//! Rollouts that are in progress when DNS begins to hide what goes on.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir::api::SINGLETON;
use weir_e2e::inside;
use weir_e2e::line;
use weir_e2e::stage::{
    Count, Logs, Measured, PATIENCE, Stage, all_the_while, eventually, policy_for,
};
use weir_e2e::world::WorldSpec;
use weir_e2e::world::dns::DnsSpec;

use super::{held_by, seen, stays_held};

/// Five waves.
const NODES: u32 = 12;

/// Each width soaks for so long that a mask finds the rollout in its middle.
const SOAK: Duration = Duration::from_secs(20);

#[test]
fn dns_hides_what_weir_sees() -> Result<()> {
    inside!(async {
        let world = WorldSpec {
            nodes: NODES,
            // While the API stands still kubelets cannot say that they live.
            node_grace_seconds: Some(600),
            ..WorldSpec::bare()
        };
        let dns = DnsSpec {
            replicas: 3,
            ..DnsSpec::default()
        };
        let here = Measured::start(&world, &dns).await?;
        let waves = "waves: { growth: 3, maxStep: 50% }";
        let soak = SOAK.as_secs();
        let spec = format!("pace: Fast\nsoak: {soak}s\n{waves}\n{PATIENCE}");
        here.world
            .apply(&policy_for("slow", &["masked", "frozen"], &spec))
            .await?;
        here.fresh().await.context("before anything is wrong")?;
        one_replica_frozen(&here).await.context("one replica")?;
        the_api_gone(&here).await.context("the API")?;
        here.world.check()
    })
}

/// P5: one of three replicas hears nothing from a healthy API, and answers on. Predicted: it alone is flagged. If
/// another is, a replica is judged by what a cache in it shows, and not by its serial. No wave goes out, though the
/// API would take each.
async fn one_replica_frozen(here: &Measured) -> Result<()> {
    let stage = here.stage();
    let (logs, revision) = stage.soaking("frozen", NODES / 2).await?;
    let replica = here.dns.replicas.first().context("there are three")?;
    replica.line(line::State::Silent);
    let begun = Instant::now();
    here.only("FrozenReplica", &[replica.pod(), "kube-dns"])
        .await?;
    seen("one frozen replica was named", begun.elapsed())?;
    let evidence = held_by(&logs, &revision, "ReplicaFrozen", replica.pod()).await?;
    println!("{}: {evidence}", replica.pod());
    stays_held(&logs, &revision, SOAK).await?;
    told(&stage, "ReplicaFrozen").await?;
    replica.line(line::State::Whole);
    here.fresh().await?;
    goes_on(&logs, &revision).await
}

/// It is told by an event of the ControlPlane.
async fn told(stage: &Stage<'_>, reason: &str) -> Result<()> {
    let note = stage.event("default", SINGLETON, reason).await?;
    println!("{reason}: {note}");
    Ok(())
}

/// The next wave goes out by itself.
async fn goes_on(logs: &Logs, revision: &str) -> Result<()> {
    let before = logs.status(revision).await?.width;
    logs.until(revision, "the next wave is out", |status| {
        status.width > before
    })
    .await?;
    Ok(())
}

/// The API falls silent: DNS answers on, no wave goes out, and all goes on once it is back.
async fn the_api_gone(here: &Measured) -> Result<()> {
    let stage = here.stage();
    let (logs, revision) = stage.soaking("masked", NODES / 2).await?;
    let before = logs.count(&revision).await?;
    let server = here.world.api_servers().first().context("there is one")?;
    server.pause()?;
    let begun = Instant::now();
    let all = ["coredns-1", "coredns-2", "coredns-3", "kube-dns"];
    here.only("ControlPlane", &all).await?;
    seen("a lost API was seen through DNS", begun.elapsed())?;
    all_the_while("its DNS is masked", async || {
        Ok(here.weir.dns_seen().await?.masked.len() == all.len())
    })
    .await?;
    server.resume()?;
    let mut after = Count::default();
    eventually("the API answers", async || {
        after = logs.count(&revision).await?;
        Ok(true)
    })
    .await?;
    ensure!(
        after.gated == before.gated,
        "pods were let through in masked time: {before:?} before, {after:?} after"
    );
    here.fresh().await?;
    told(&stage, "DNSMasked").await?;
    told(&stage, "DNSFresh").await?;
    goes_on(&logs, &revision).await
}
