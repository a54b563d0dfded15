//! What the gate policy may read approvals from: a ConfigMap, a custom resource, the namespace, or a
//! role. Each of them, on real API servers.
//!
//! The policy is the one that ships, which asks about a role; for the others only the words that read
//! approvals are exchanged. Each figure comes from dry runs of pod creation, which pass the same
//! admission as any pod and leave nothing behind.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};

use crate::world::{World, WorldSpec};

mod kind;
mod probe;
mod report;
mod reword;

pub use kind::Kind;
use probe::{Answer, Probe};
pub use report::report;

/// Fresh worlds per kind for what happens once in a world's life.
const WORLDS: usize = 3;

/// Restarts of the API server per kind.
const RESTARTS: usize = 10;

/// Approvals written and withdrawn, per world.
const WRITES: usize = 10;

/// An effect that has not come by then is taken not to come: effects that come take seconds.
const NEVER: Duration = Duration::from_mins(1);

/// How long the bindings are gone before they come back. API servers look at policies once a second.
const WITHOUT_BINDINGS: Duration = Duration::from_secs(5);

/// How often pods are tried after an API server's restart.
const EVERY: Duration = Duration::from_millis(20);

/// Other people's `ConfigMap`s: how many, and of how many bytes.
const FOREIGN: (usize, usize) = (2000, 20_000);

/// Pods created by dry run for each figure of latency.
const LATENCY_PODS: usize = 2000;

/// A policy of someone else's, with `ConfigMap`s for parameters.
const THEIRS: &str = include_str!("valve_parameters/theirs.yaml");

/// Everything that was measured.
#[derive(Debug)]
pub struct Figures {
    /// Each kind.
    pub kinds: Vec<KindFigures>,
    /// What a pod creation costs.
    pub latency: Latency,
}

/// What was measured of one kind of parameters; one entry per world, or per write.
#[derive(Debug)]
pub struct KindFigures {
    /// The kind.
    pub kind: Kind,
    /// From the policy, its bindings and the parameters being there to the first gated pod.
    pub activation: Vec<Duration>,
    /// From an approval's answer to the first ungated pod of the revision.
    pub approval: Vec<Duration>,
    /// From an approval's withdrawal to the first gated pod.
    pub withdrawal: Vec<Duration>,
    /// What follows a restart of the API server.
    pub restart: Vec<Restart>,
    /// What follows the bindings' deletion and re-creation.
    pub rebinding: Vec<Rebinding>,
    /// From an approval to the first ungated pod, after a policy of someone else's that had
    /// `ConfigMap`s for parameters, and was there first, has gone. `None` if it never came.
    pub bereaved: Option<Duration>,
    /// Live heap of the API server, in bytes: before and after others' `ConfigMap`s came.
    pub heap: (f64, f64),
}

/// What pods met after an API server's process was killed and started again, until one was gated.
#[derive(Debug, Clone, Copy, Default)]
pub struct Restart {
    /// From the first answer of any kind to the first gated pod; `None` if none was.
    pub gated_after: Option<Duration>,
    /// Pods that were let through ungated by then.
    pub ungated: usize,
    /// Pods that were refused by then, by a server that answered.
    pub refused: usize,
}

/// What pods met after the bindings had been gone for a while; `None` if it never came.
#[derive(Debug, Clone, Copy)]
pub struct Rebinding {
    /// From the bindings' return to the first gated pod.
    pub gated_after: Option<Duration>,
    /// From an approval after that to the first ungated pod.
    pub approved_after: Option<Duration>,
}

/// Milliseconds that the creation of a pod took, as its client saw it: median and 99th percentile.
#[derive(Debug, Clone, Copy)]
pub struct Latency {
    /// Without a policy.
    pub none: (f64, f64),
    /// With the policy, in a namespace that nobody enrolled.
    pub others: (f64, f64),
    /// With the policy, of an approved revision.
    pub approved: (f64, f64),
    /// The same, with the approval in the namespace's annotations.
    pub approved_in_namespace: (f64, f64),
    /// The same, with the approval in a custom resource.
    pub approved_in_resource: (f64, f64),
    /// With the policy, gated.
    pub gated: (f64, f64),
}

/// Measures everything. Must be called inside the world's namespaces.
pub async fn measure() -> Result<Figures> {
    let mut kinds = Vec::new();
    for kind in [
        Kind::ConfigMap,
        Kind::CustomResource,
        Kind::Namespace,
        Kind::Role,
    ] {
        kinds.push(
            measure_kind(kind)
                .await
                .with_context(|| format!("measuring {kind:?}"))?,
        );
    }
    let latency = measure_latency().await.context("measuring latency")?;
    Ok(Figures { kinds, latency })
}

#[expect(
    clippy::print_stderr,
    reason = "progress of a command that takes minutes"
)]
fn say(what: &str) {
    eprintln!("{what}");
}

async fn measure_kind(kind: Kind) -> Result<KindFigures> {
    let mut figures = KindFigures {
        kind,
        activation: Vec::new(),
        approval: Vec::new(),
        withdrawal: Vec::new(),
        restart: Vec::new(),
        rebinding: Vec::new(),
        bereaved: bereave(kind).await?,
        heap: crowd(kind).await?,
    };
    for number in 0..WORLDS {
        say(&format!("{kind:?}: world {} of {WORLDS}", number + 1));
        let world = World::start(&WorldSpec::bare()).await?;
        let probe = Probe::new(&world).await?;
        figures
            .activation
            .push(activate(&world, kind, &probe).await?);
        for _ in 0..WRITES {
            kind.approve(&world, &probe::key()).await?;
            figures.approval.push(expect(&probe, Answer::Open).await?);
            kind.withdraw(&world, &probe::key()).await?;
            figures
                .withdrawal
                .push(expect(&probe, Answer::Gated).await?);
        }
        while figures.restart.len() < (number + 1) * RESTARTS / WORLDS {
            figures.restart.push(restart(&world, &probe).await?);
        }
        figures.rebinding.push(rebind(&world, kind, &probe).await?);
        world.check()?;
    }
    Ok(figures)
}

/// Puts the policy in force and waits until it is.
async fn activate(world: &World, kind: Kind, probe: &Probe) -> Result<Duration> {
    kind.install(world).await?;
    ensure!(
        probe.answer().await? == Answer::Open,
        "gated before anything is adopted"
    );
    kind.adopt(world).await?;
    expect(probe, Answer::Gated).await
}

/// Time until pods are answered so; an error if that never comes.
async fn expect(probe: &Probe, wanted: Answer) -> Result<Duration> {
    let found = probe.until(wanted, NEVER).await?;
    found.with_context(|| format!("no pod was {wanted:?} within {NEVER:?}"))
}

/// Kills the API server, starts it again, and looks what pods meet from its first answer on.
async fn restart(world: &World, probe: &Probe) -> Result<Restart> {
    expect(probe, Answer::Gated).await?;
    let server = &world.api_servers()[0];
    server.kill()?;
    server.restart()?;
    let mut found = Restart::default();
    let mut first_answer = None;
    while first_answer.is_none_or(|first: Instant| first.elapsed() < NEVER) {
        server.check()?;
        if let Some(answer) = probe.try_answer().await {
            let first = *first_answer.get_or_insert_with(Instant::now);
            match answer {
                Answer::Gated => {
                    found.gated_after = Some(first.elapsed());
                    break;
                }
                Answer::Open => found.ungated += 1,
                Answer::Refused => found.refused += 1,
            }
        }
        tokio::time::sleep(EVERY).await;
    }
    Ok(found)
}

/// Lets a policy of someone else's come first and go, and looks whether parameters still have
/// effect after.
async fn bereave(kind: Kind) -> Result<Option<Duration>> {
    let world = World::start(&WorldSpec::bare()).await?;
    let probe = Probe::new(&world).await?;
    world.apply(THEIRS).await?;
    tokio::time::sleep(WITHOUT_BINDINGS).await;
    activate(&world, kind, &probe).await?;
    for theirs in [
        "validatingadmissionpolicybinding/theirs",
        "validatingadmissionpolicy/theirs",
    ] {
        world.kubectl(&["delete", theirs]).await?;
    }
    tokio::time::sleep(WITHOUT_BINDINGS).await;
    kind.approve(&world, &probe::key()).await?;
    probe.until(Answer::Open, NEVER).await
}

/// Takes the bindings away for a while, and looks whether parameters still have effect after.
async fn rebind(world: &World, kind: Kind, probe: &Probe) -> Result<Rebinding> {
    expect(probe, Answer::Gated).await?;
    kind.unbind(world).await?;
    expect(probe, Answer::Open).await?;
    tokio::time::sleep(WITHOUT_BINDINGS).await;
    kind.bind(world).await?;
    let gated_after = probe.until(Answer::Gated, NEVER).await?;
    kind.approve(world, &probe::key()).await?;
    let approved_after = probe.until(Answer::Open, NEVER).await?;
    Ok(Rebinding {
        gated_after,
        // Where no pod is gated at all, an ungated one shows nothing.
        approved_after: approved_after.filter(|_| gated_after.is_some()),
    })
}

/// The API server's live heap before and after others' `ConfigMap`s come, with the policy in force.
async fn crowd(kind: Kind) -> Result<(f64, f64)> {
    let world = World::start(&WorldSpec::bare()).await?;
    let probe = Probe::new(&world).await?;
    activate(&world, kind, &probe).await?;
    let before = probe::live_heap(&world).await?;
    probe::create_config_maps(&world, FOREIGN).await?;
    tokio::time::sleep(Duration::from_secs(5)).await;
    Ok((before, probe::live_heap(&world).await?))
}

/// What a pod's creation costs with and without the policy.
async fn measure_latency() -> Result<Latency> {
    say("latency");
    let with = World::start(&WorldSpec::bare()).await?;
    let probe = Probe::new(&with).await?;
    let none = sample(&probe, LATENCY_PODS).await?;
    activate(&with, Kind::Role, &probe).await?;
    let gated = sample(&probe, LATENCY_PODS).await?;
    Kind::Role.approve(&with, &probe::key()).await?;
    expect(&probe, Answer::Open).await?;
    let approved = sample(&probe, LATENCY_PODS).await?;
    let others = sample(&probe.elsewhere(), LATENCY_PODS).await?;
    drop(with);
    Ok(Latency {
        none,
        others,
        approved,
        approved_in_namespace: approved_pods(Kind::Namespace).await?,
        approved_in_resource: approved_pods(Kind::CustomResource).await?,
        gated,
    })
}

/// What the creation of a pod of an approved revision costs in a world of its own.
async fn approved_pods(kind: Kind) -> Result<(f64, f64)> {
    let world = World::start(&WorldSpec::bare()).await?;
    let probe = Probe::new(&world).await?;
    activate(&world, kind, &probe).await?;
    kind.approve(&world, &probe::key()).await?;
    expect(&probe, Answer::Open).await?;
    sample(&probe, LATENCY_PODS).await
}

async fn sample(probe: &Probe, pods: usize) -> Result<(f64, f64)> {
    // The first ones pay for connections and lazily built tables.
    for _ in 0..pods / 10 {
        probe.answer().await?;
    }
    let mut took = Vec::with_capacity(pods);
    for _ in 0..pods {
        let started = Instant::now();
        probe.answer().await?;
        took.push(started.elapsed());
    }
    Ok((report::percentile(&took, 50), report::percentile(&took, 99)))
}
