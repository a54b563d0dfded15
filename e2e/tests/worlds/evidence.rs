//! What Weir does when it does not see: every fault of a source holds a rollout with a finding that
//! says what is wrong, and the rollout goes on by itself once the fault is gone.
//!
//! The control planes and Weir are real. Each case has a DaemonSet of its own, and brings about its
//! fault while that is being let through.

#![expect(
    clippy::print_stdout,
    reason = "what Weir says is worth reading where it passes too"
)]

use std::time::Duration;

use anyhow::Result;
use weir::api::{ForecastAct, ForecastLimits, Harm, Pace, RolloutPolicySpec, State, forms};
use weir_e2e::inside;
use weir_e2e::world::{Ceiling, Enrolled, WeirProcess, World, WorldSpec};

mod pages;
mod rights;
mod servers;

/// Five waves: a fault finds the rollout under way.
const NODES: u32 = 16;

/// Far above what anything here takes on a busy machine; the longest is a minute of silence.
const LIMIT: Duration = Duration::from_mins(3);

/// Long enough at each width for a fault to find the rollout in its middle.
const SOAK: &str = "8s";

/// A world with Weir in it, which holds what is new.
async fn guarded(spec: WorldSpec, soak: &str) -> Result<(World, WeirProcess)> {
    let spec = WorldSpec {
        nodes: NODES,
        ..spec
    };
    let world = World::start(&spec).await?;
    world.install_weir(Ceiling::Enforce).await?;
    let span = |text: &str| Some(forms::Duration(text.to_owned()));
    let harm = Harm {
        // What is slow here is the machine.
        latency_floor: span("1s"),
        restart_quiet: span("20s"),
        clear_after: span("3s"),
        ..Harm::default()
    };
    let policy = RolloutPolicySpec {
        pace: Pace::Fast,
        soak: span(soak),
        harm: Some(harm),
        // What pods cost is measured elsewhere; here too little is seen of it to widen quickly.
        forecast: Some(ForecastLimits {
            act: Some(ForecastAct::Tell),
            ..ForecastLimits::default()
        }),
        ..RolloutPolicySpec::default()
    };
    world.policy(&policy).await?;
    let weir = world.start_weir(Ceiling::Enforce, &[]).await?;
    Ok((world, weir))
}

/// A rollout whose first wave is out, and soaks.
async fn under_way(world: &World, namespace: &str) -> Result<Enrolled> {
    let agents = world.enrol(namespace).await?;
    agents
        .until("its first wave soaks", LIMIT, |status| {
            status.state == Some(State::Soaking) && status.width < NODES / 2
        })
        .await?;
    Ok(agents)
}

/// Waits until a held rollout has got wider by itself, and ends it.
async fn goes_on(agents: Enrolled, width: usize) -> Result<()> {
    agents.until_wider(u32::try_from(width)?, LIMIT).await?;
    agents.end().await
}
