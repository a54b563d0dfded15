//! Clusters whose DNS differs: another port and other names, clocks that are wrong, packets that get lost.

use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use weir_e2e::inside;
use weir_e2e::line::State;
use weir_e2e::relay::Manner;
use weir_e2e::stage::Measured;
use weir_e2e::world::dns::{Cluster, DnsSpec};

use super::{seen, small};

/// Four rounds of questions, and what a replica may take to hear of a change.
const CALM: Duration = Duration::from_secs(28);

#[test]
#[ignore = "minutes that CI has no room for: make test-e2e-dns"]
fn openshift_is_measured_whatever_its_clocks_say() -> Result<()> {
    inside!(async {
        let dns = DnsSpec {
            cluster: Cluster::OpenShift,
            ..DnsSpec::default()
        };
        let here = Measured::start(&small(), &dns).await?;
        here.fresh().await.context("before anything is wrong")?;
        wrong_clocks(&here).await.context("clocks are wrong")?;
        frozen(&here).await.context("one hears nothing")?;
        here.world.check()
    })
}

/// A replica's clock is known to others by nothing but its serial, which relays alter as clocks that are 90 s late,
/// and 90 s early, would. On one machine there is one clock (time namespaces have none of their own for the time of
/// day), so that Weir's own cannot be another: that is played in the core (`dns/layers/tests.rs`, `judge/masks.rs`).
/// One packet in a hundred is lost besides, of those to and from the Service.
async fn wrong_clocks(here: &Measured) -> Result<()> {
    let manners = [Manner::Late { seconds: 90 }, Manner::Late { seconds: -90 }];
    for (replica, manner) in here.dns.replicas.iter().zip(manners) {
        replica.relay.set(manner);
    }
    here.dns.front.relay.set(Manner::Lossy { one_of: 100 });
    here.nothing_masked_for(CALM).await
}

/// One that hears nothing is named all the same, and no other.
async fn frozen(here: &Measured) -> Result<()> {
    let replica = here.dns.replicas.first().context("there are two")?;
    replica.line(State::Silent);
    let begun = Instant::now();
    here.only("FrozenReplica", &[replica.pod(), "dns-default"])
        .await?;
    seen(
        "a frozen replica with a wrong clock was named",
        begun.elapsed(),
    )?;
    replica.line(State::Whole);
    here.fresh().await?;
    Ok(())
}
