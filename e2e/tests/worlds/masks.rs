//! What DNS hides, and that Weir sees through it: real CoreDNS replicas, which answer on when the API is gone.

#![expect(
    clippy::print_stdout,
    reason = "how long each took is worth reading where it passes too"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir::api::State;
use weir_e2e::inside;
use weir_e2e::line;
use weir_e2e::stage::{Count, Logs, PATIENCE, Shape, Stage, all_the_while, eventually, policy_for};
use weir_e2e::world::{DnsSpec, NameService, WeirProcess, World, WorldSpec};

/// Five waves.
const NODES: u32 = 12;

/// Each width soaks for so long that a mask finds the rollout in its middle.
const SOAK: &str = "20s";

/// Weir's own, which the beacon is in.
const NAMESPACE: &str = include_str!("../../../deploy/namespace.yaml");

/// What a server is masked by, as metrics say it.
const MASKS: [&str; 3] = ["Cache", "FrozenReplica", "ControlPlane"];

#[test]
fn dns_hides_what_weir_sees() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let dns = world.start_dns(&DnsSpec::default()).await?;
        world.apply(NAMESPACE).await?;
        world.install_beacon().await?;
        // What this machine is given names nothing of the world.
        let none = world.directory().join("resolv.conf");
        std::fs::write(&none, "")?;
        let resolv_conf = format!("--resolv-conf={}", none.display());
        let (stage, weir) = Stage::set_with(&world, &["--dns-measured", &resolv_conf]).await?;
        let waves = "waves: { growth: 3, maxStep: 50% }";
        let spec = format!("pace: Fast\nsoak: {SOAK}\n{waves}\n{PATIENCE}");
        world
            .apply(&policy_for("slow", &["masked", "frozen"], &spec))
            .await?;
        let masks = Masks {
            world: &world,
            dns: &dns,
            weir: &weir,
        };
        masks.none().await.context("before anything is wrong")?;
        masks
            .one_replica_frozen(&stage)
            .await
            .context("one replica")?;
        masks.the_api_gone(&stage).await.context("the API")?;
        world.check()
    })
}

/// What the cases look at.
struct Masks<'a> {
    world: &'a World,
    dns: &'a NameService,
    weir: &'a WeirProcess,
}

impl Masks<'_> {
    /// Waits until DNS is measured, and nothing is masked.
    async fn none(&self) -> Result<()> {
        eventually("DNS is measured, and follows the API", async || {
            let page = self.weir.get("/metrics").await?;
            let lags = page
                .lines()
                .filter(|line| line.starts_with("weir_dns_lag_seconds{"));
            Ok(lags.count() == self.dns.replicas.len() + 1 && masked(&page).is_empty())
        })
        .await
    }

    /// Waits until exactly these servers are masked, by this; returns how long that took.
    async fn only(&self, mask: &str, servers: &[&str]) -> Result<Duration> {
        let begun = Instant::now();
        eventually(&format!("{mask} of {servers:?}"), async || {
            let page = self.weir.get("/metrics").await?;
            let masked = masked(&page);
            Ok(masked.len() == servers.len()
                && servers.iter().all(|server| {
                    let is_it =
                        |(by, layer): &(String, String)| by == mask && layer.starts_with(server);
                    masked.iter().any(is_it)
                }))
        })
        .await?;
        Ok(begun.elapsed())
    }

    /// A replica that hears nothing from a healthy API, and answers on.
    async fn one_replica_frozen(&self, stage: &Stage<'_>) -> Result<()> {
        let (logs, revision) = soaking(stage, "frozen").await?;
        let replica = self.dns.replicas.first().context("there are two")?;
        replica.line(line::State::Silent);
        let took = self
            .only("FrozenReplica", &[replica.pod(), "kube-dns"])
            .await?;
        println!(
            "one frozen replica was named after {:.1} s",
            took.as_secs_f64()
        );
        let status = logs.until_state(&revision, State::Held).await?;
        let finding = status.findings.first().context("it says why it is held")?;
        println!("{}: {}", finding.reason, finding.evidence);
        ensure!(
            finding.reason == "ReplicaFrozen" && finding.subject == replica.pod(),
            "{finding:?}"
        );
        replica.line(line::State::Whole);
        self.none().await?;
        logs.until_state(&revision, State::Complete).await?;
        Ok(())
    }

    /// The API falls silent: DNS answers on, no wave goes out, and all goes on once it is back.
    async fn the_api_gone(&self, stage: &Stage<'_>) -> Result<()> {
        let (logs, revision) = soaking(stage, "masked").await?;
        let before = logs.count(&revision).await?;
        let server = self.world.api_servers().first().context("there is one")?;
        server.pause()?;
        let took = self
            .only("ControlPlane", &["coredns-1", "coredns-2", "kube-dns"])
            .await?;
        println!(
            "a lost API was seen through DNS after {:.1} s",
            took.as_secs_f64()
        );
        all_the_while("its DNS is masked", async || {
            let page = self.weir.get("/metrics").await?;
            Ok(masked(&page).len() == 3)
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
        self.none().await?;
        logs.until_state(&revision, State::Complete).await?;
        Ok(())
    }
}

/// A rollout whose first wave is out, and soaks.
async fn soaking(stage: &Stage<'_>, namespace: &str) -> Result<(Logs, String)> {
    let logs = stage.logs(namespace, &Shape::default()).await?;
    let revision = logs.revision().await?;
    logs.until(&revision, "its first wave soaks", |status| {
        status.state == Some(State::Soaking) && status.width < NODES / 2
    })
    .await?;
    Ok((logs, revision))
}

/// What is masked by a page of metrics: by what, and which server.
fn masked(page: &str) -> Vec<(String, String)> {
    let lines = page
        .lines()
        .filter(|line| line.starts_with("weir_dns_masked{") && line.ends_with(" 1.0"));
    lines
        .filter_map(|line| {
            let value = |label: &str| {
                let (_, rest) = line.split_once(&format!("{label}=\""))?;
                rest.split('"').next().map(str::to_owned)
            };
            let by = value(",by").filter(|by| MASKS.contains(&by.as_str()))?;
            Some((by, value("{layer")?))
        })
        .collect()
}
