//! Clusters in which nothing can tell how old what DNS says is: DNS is not required there, which is said.

use std::fs;

use anyhow::{Context, Result, ensure};
use weir::api::DnsState;
use weir_e2e::inside;
use weir_e2e::relay::Manner;
use weir_e2e::stage::{Measured, Server, Shape, Stage};
use weir_e2e::world::dns::{DnsSpec, SERVICE};
use weir_e2e::world::{World, WorldSpec};

const NODES: u32 = 4;

/// Weir's own namespace, which the beacon is in.
const NAMESPACE: &str = include_str!("../../../../deploy/namespace.yaml");

fn some_nodes() -> WorldSpec {
    WorldSpec {
        nodes: NODES,
        ..WorldSpec::bare()
    }
}

#[test]
#[ignore = "minutes that CI has no room for: make test-e2e-dns"]
fn without_any_dns_rollouts_go_on() -> Result<()> {
    inside!(async {
        let world = World::start(&some_nodes()).await?;
        world.apply(NAMESPACE).await?;
        world.install_beacon().await?;
        let none = world.directory().join("resolv.conf");
        fs::write(&none, "")?;
        let resolv_conf = format!("--resolv-conf={}", none.display());
        let flags = ["--dns-measured", &resolv_conf];
        let (stage, weir) = Stage::set_with(&world, &flags).await?;
        let why = goes_on(&stage).await?;
        ensure!(why.contains("no Service kube-dns"), "{why}");
        weir.program.check()?;
        world.check()
    })
}

/// As a resolver that rewrites does, or a portal: every name is there, at one address. Weir has never seen its beacon
/// through it, so that there is nothing to miss.
#[test]
fn dns_that_rewrites_everything_is_left_out() -> Result<()> {
    inside!(async {
        let rewriting = |dns: &weir_e2e::world::NameService| dns.all(Manner::Rewritten);
        let world = World::start(&some_nodes()).await?;
        let here = Measured::begin(world, &DnsSpec::default(), rewriting).await?;
        let why = goes_on(&here.stage()).await?;
        ensure!(why.contains("rewrites answers"), "{why}");
        let told = here.told(Server::At(SERVICE.into())).await?;
        ensure!(
            told.as_ref()
                .is_none_or(|told| told.state == DnsState::NotMeasured),
            "{told:?}"
        );
        here.weir.program.check()?;
        here.world.check()
    })
}

/// A rollout comes through, and the ControlPlane says why DNS had no part in it; returns that.
async fn goes_on(stage: &Stage<'_>) -> Result<String> {
    let logs = stage.logs("unmeasured", &Shape::default()).await?;
    let (status, message) = stage
        .control_plane_says("DNSFresh", "DNSNotMeasured")
        .await?;
    println!("{message}");
    ensure!(status == "False", "{status}: {message}");
    logs.completes(stage)
        .await
        .context("it is held though nothing can be measured")?;
    Ok(message)
}
