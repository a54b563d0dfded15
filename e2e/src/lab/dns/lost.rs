//! How long it takes until a lost API, and a replica that hears nothing, are seen.

use std::time::Duration;

use anyhow::{Context, Result};
use tokio::time::Instant;

use super::{DnsRun, Part, Times, rollout, times};
use crate::{
    experiment::story::line,
    line::State,
    report::html::seconds,
    stage::Measured,
    world::{
        Program,
        dns::{DnsSpec, Replica},
    },
};

/// The most that either may take.
const SEEN_WITHIN: f64 = 30.0;

/// Beats are ten seconds apart: when something happens between two of them is left to chance.
const BEAT_MS: u64 = 10_000;

/// A rollout that is in flight the whole time: masks hold it, and it goes on soaking after each.
const IN_FLIGHT: &str = "soak: 2h\nwaves: { canary: 5%, growth: 2, maxStep: 50% }";

pub(super) async fn run(args: &DnsRun) -> Result<Part> {
    let dns = DnsSpec {
        replicas: 3,
        ..DnsSpec::default()
    };
    let here = args.start(&dns).await?;
    rollout(&here, "in-flight", IN_FLIGHT).await?;
    let mut dice = args.dice();
    let mut stopped = Times::new("API servers stopped (SIGSTOP) → masked", SEEN_WITHIN);
    let mut killed = Times::new("API servers killed → masked", SEEN_WITHIN);
    let mut frozen = Times::new("one replica hears nothing → named", SEEN_WITHIN);
    for run in 1..=args.runs {
        chance(&mut dice).await;
        let is_killed = run % 2 == 0;
        let lost = api_lost(&here, is_killed).await?;
        if is_killed {
            killed.add(lost);
        } else {
            stopped.add(lost);
        }
        chance(&mut dice).await;
        let which = dice.usize(0..here.dns.replicas.len());
        let named = one_frozen(&here, which).await?;
        frozen.add(named);
        line(&format!(
            "run {run} of {}: a lost API after {}, a frozen replica after {}",
            args.runs,
            seconds(lost.as_secs_f64()),
            seconds(named.as_secs_f64())
        ));
    }
    let mut lost = Times::new("the API lost in either way → masked", SEEN_WITHIN);
    lost.runs = [stopped.runs.clone(), killed.runs.clone()].concat();
    let all = [&lost, &stopped, &killed, &frozen];
    // With one run nobody is killed.
    let unmet = [&lost, &frozen].into_iter().filter_map(Times::unmet);
    Ok(Part {
        title: "How soon it is seen".to_owned(),
        says: format!(
            "Three CoreDNS replicas behind what kube-proxy does, and a rollout in flight. From the fault, at a moment \
             left to chance, until Weir's own metrics show every server masked by the control plane's absence, or \
             exactly the frozen replica and the Service before it; {} runs of each.",
            args.runs
        ),
        table: times(&all),
        unmet: unmet.collect(),
    })
}

async fn chance(dice: &mut fastrand::Rng) {
    tokio::time::sleep(Duration::from_millis(dice.u64(0..BEAT_MS))).await;
}

/// All API servers are gone; comes back once all is as before.
async fn api_lost(here: &Measured, is_killed: bool) -> Result<Duration> {
    let servers = here.world.api_servers();
    let lose: fn(&Program) -> Result<()> = if is_killed {
        Program::kill
    } else {
        Program::pause
    };
    let begun = Instant::now();
    servers.iter().try_for_each(lose)?;
    let names = here.dns.replicas.iter().map(Replica::pod);
    let names: Vec<&str> = names.chain(["kube-dns"]).collect();
    here.only("ControlPlane", &names).await?;
    let took = begun.elapsed();
    let mend: fn(&Program) -> Result<()> = if is_killed {
        Program::restart
    } else {
        Program::resume
    };
    servers.iter().try_for_each(mend)?;
    for index in 0..servers.len() {
        here.world.api_server_ready(index).await?;
    }
    here.fresh().await.context("after the API was lost")?;
    Ok(took)
}

/// One replica hears nothing; comes back once all is as before.
async fn one_frozen(here: &Measured, which: usize) -> Result<Duration> {
    let replica = here.dns.replicas.get(which).context("no such replica")?;
    let begun = Instant::now();
    replica.line(State::Silent);
    here.only("FrozenReplica", &[replica.pod(), "kube-dns"])
        .await?;
    let took = begun.elapsed();
    replica.line(State::Whole);
    here.fresh().await.context("after a replica froze")?;
    Ok(took)
}
