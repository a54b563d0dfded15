//! Caches that go on when CoreDNS does not, and what questions to DNS leave in them.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_e2e::inside;
use weir_e2e::stage::Measured;
use weir_e2e::world::dns::{Cache, Cluster, DnsSeen, DnsSpec, RESOLVER, beacon, sum};

use super::{said, small};

/// What is left of an entry, and the floor of a cache below which it keeps nothing.
const ENDED_WITHIN: Duration = Duration::from_secs(35);

/// For how long caches are asked after CoreDNS is gone.
const ASKED_FOR: Duration = Duration::from_secs(50);

/// Between two questions to them.
const ASKED_EVERY: Duration = Duration::from_millis(250);

/// For how long questions are let pass before caches are looked into.
const WATCHED: Duration = Duration::from_secs(30);

/// Rounds of questions in that time, and one at either end.
const ROUNDS: f64 = 30.0 / 5.0 + 1.0;

#[test]
#[ignore = "minutes that CI has no room for: make test-e2e-dns"]
fn caches_answer_for_replicas_that_are_gone_as_long_as_was_foretold() -> Result<()> {
    inside!(async {
        let dns = DnsSpec {
            cluster: Cluster::OldKubeadm,
            front: Some(Cache::NodeLocal),
            resolver: Some(Cache::LocalDns),
            ..DnsSpec::default()
        };
        let here = Measured::start(&small(), &dns).await?;
        here.fresh().await.context("before anything is wrong")?;
        denials(&here)
            .await
            .context("what questions leave behind")?;
        dead(&here).await.context("CoreDNS is killed")?;
        here.world.check()
    })
}

/// P7: what questions for names that nobody has leave in caches. Predicted: at most 3 entries at a time. That counted
/// one question in ten seconds and entries that vanish as they end; there are two in ten seconds, and CoreDNS counts
/// (and keeps, until something else takes their place) entries that have ended. So this bounds what is *added*: one
/// entry for each round of questions in each cache, which fill the 9,984 that it has room for in half a day and from
/// then on replace one entry every five seconds. If it is more, `weir_core`'s rounds or the nonce are to blame.
async fn denials(here: &Measured) -> Result<()> {
    let before = entries(here).await?;
    tokio::time::sleep(WATCHED).await;
    let after = entries(here).await?;
    for ((name, before), (_, after)) in before.iter().zip(&after) {
        // A replica is also asked by the caches before it.
        let ways = if name.starts_with("coredns") {
            3.0
        } else {
            1.0
        };
        println!(
            "{name}: {} denials more in {WATCHED:?}, of {after} in all",
            after - before
        );
        ensure!(
            after - before <= ways * ROUNDS,
            "{name} has {before} denials before, and {after} after {WATCHED:?}"
        );
    }
    Ok(())
}

/// The denials that each cache has, by its name.
async fn entries(here: &Measured) -> Result<Vec<(String, f64)>> {
    let mut entries = Vec::new();
    let denials = |page: &str| sum(page, "coredns_cache_entries", &["type=\"denial\""]);
    for replica in &here.dns.replicas {
        entries.push((replica.pod().to_owned(), denials(&replica.metrics().await?)));
    }
    let front = &here.dns.front;
    let resolver = here.dns.resolver.as_ref().context("there is one")?;
    for (name, cache) in [("node-cache", front), ("resolver", resolver)] {
        entries.push((name.to_owned(), denials(&cache.metrics().await?)));
    }
    Ok(entries)
}

/// What caches said after CoreDNS was killed.
#[derive(Debug, Default)]
struct Outlived {
    /// When NodeLocal last answered.
    front: Duration,
    /// When the one that serves what is stale last answered.
    resolver: Duration,
    /// The TTL that it gave then.
    ttl: Option<u32>,
}

/// P4: CoreDNS is killed. Predicted: through NodeLocal clients are answered for 35 s at most, and then no longer;
/// through a cache with `serve_stale` for an hour, with a TTL of 0. If NodeLocal lasts longer, the bound of a
/// client's path (TTL, 5 s for each cache) is too low; if a stale answer has another TTL, `Layers::horizon` cannot
/// know by it that it is one.
async fn dead(here: &Measured) -> Result<()> {
    for replica in &here.dns.replicas {
        replica.program.kill()?;
    }
    let (outlived, masked) = tokio::join!(outlived(here), masked(here));
    let outlived = outlived?;
    println!(
        "NodeLocal answered for {:.1} s, LocalDNS for {:.1} s with TTL {:?}",
        outlived.front.as_secs_f64(),
        outlived.resolver.as_secs_f64(),
        outlived.ttl
    );
    ensure!(
        outlived.front <= ENDED_WITHIN + ASKED_EVERY,
        "NodeLocal answered for longer than was predicted: {outlived:?}"
    );
    ensure!(
        outlived.resolver + 10 * ASKED_EVERY >= ASKED_FOR && outlived.ttl == Some(0),
        "stale answers with TTL 0 were predicted: {outlived:?}"
    );
    masked?;
    let resolver = here.dns.resolver.as_ref().context("there is one")?;
    let stale = sum(
        &resolver.metrics().await?,
        "coredns_cache_served_stale_total",
        &[],
    );
    ensure!(stale > 0.0, "the cache itself counts what it serves stale");
    for replica in &here.dns.replicas {
        replica.program.restart()?;
    }
    here.dns.answering().await?;
    here.fresh().await?;
    Ok(())
}

async fn outlived(here: &Measured) -> Result<Outlived> {
    let front = here.dns.front.own.context("NodeLocal's address")?;
    let resolver = here.dns.resolver.as_ref().and_then(|resolver| resolver.own);
    let resolver = resolver.context("the resolver's address")?;
    let begun = Instant::now();
    let mut outlived = Outlived::default();
    while begun.elapsed() < ASKED_FOR {
        let asked = begun.elapsed();
        let name = beacon();
        let (by_front, by_resolver) = tokio::join!(said(front, &name), said(resolver, &name));
        if by_front.is_some_and(|said| said.code == 0) {
            outlived.front = asked;
        }
        if let Some(said) = by_resolver.filter(|said| said.code == 0) {
            (outlived.resolver, outlived.ttl) = (asked, said.ttl);
        }
        tokio::time::sleep(ASKED_EVERY).await;
    }
    Ok(outlived)
}

/// Weir names the cache that goes on, and says until when it does: an hour after what it has ended.
async fn masked(here: &Measured) -> Result<()> {
    let took = here
        .until("a cache masks", |seen| seen.is_only("Cache", &["resolver"]))
        .await?;
    println!("the cache was named after {:.1} s", took.as_secs_f64());
    let seen: DnsSeen = here.weir.dns_seen().await?;
    let horizon = DnsSeen::at(&seen.horizon, RESOLVER.into()).context("it has a horizon")?;
    println!("it is said to go on for {horizon} s");
    ensure!(
        (3_400.0..=3_640.0).contains(&horizon),
        "an hour was foretold, not {horizon} s"
    );
    Ok(())
}
