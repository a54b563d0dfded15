//! `kubectl weir drill`: proves an installation end to end in a namespace of its own, and cleans up.
//!
//! ```text
//!  Weir at work? nothing held? ──▶ namespace, policy, DaemonSet ──▶ gated, paused, let through, approved
//!        │ no                          │                                │ fails, too long, a signal
//!        ▼                             ▼                                ▼
//!   1, or refused (4)             all of it is removed, whatever happened; what is left is told
//! ```
//!
//! It is small and slow on purpose: a few pods on a few nodes, one look a second.

mod objects;
mod remove;
mod signals;
mod stage;

use std::time::Duration;

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::{Api, api::ListParams};

use self::{
    remove::{remove, removed_or_left},
    signals::{Signals, Stopped, given_up, stopped, tell_removing},
    stage::Stage,
};
use super::{
    FINE, Outcome, TROUBLE,
    connect::{ClusterArgs, Connection, WeirArgs},
    error::CliError,
    output::{Output, Shown, show},
    preflight::seconds,
};
use crate::{
    api::{ControlPlane, GuardedRollout, Hold, Mode, SINGLETON, State, leases},
    client::{is_missing, list_all},
    view::drill::{Drill, Step, render},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What it takes to see whether anything is held.
const NEEDS_ALL: &str = "ask for the right to list guardedrollouts.weir.dev in all namespaces: a drill begins only \
                         where nothing is held";
/// What it takes to see how far Weir may go.
const NEEDS_PLANE: &str = "ask for the right to get controlplanes.weir.dev";
/// What it takes to see whether Weir is at work.
const NEEDS_LEASE: &str = "ask for the right to get leases.coordination.k8s.io in Weir's namespace, or say where \
                           Weir runs with --weir-namespace";

/// Proves the installation end to end, in a namespace of its own that is removed again
///
/// Makes a DaemonSet of a few small pods that is enrolled, and sees that they are born gated, that a pause
/// holds them, that Weir lets them through in waves and approves the revision, and that a pod that is made
/// again then starts at once; in shadow that Weir judges them and gates nothing. Whatever happens, also on
/// Ctrl-C and when the terminal goes away, all of it is removed again; a second Ctrl-C leaves it. Refused (4)
/// while a rollout is held or paused: the API servers may suffer. Exits with 1 if something was not proven, or
/// is left.
#[derive(Debug, Clone, Args)]
pub(super) struct DrillArgs {
    #[command(flatten)]
    weir: WeirArgs,
    /// Nodes that get a pod
    #[arg(long, default_value = "2", value_parser = clap::value_parser!(u32).range(1..=10))]
    nodes: u32,
    /// The image of the pods: one that does nothing until it is ended
    #[arg(long, default_value = "registry.k8s.io/pause:3.10.1")]
    image: String,
    /// How long it may take
    #[arg(long, default_value = "5m", value_name = "DURATION", value_parser = seconds)]
    timeout: f64,
    /// Although a rollout is held or paused
    #[arg(long)]
    force: bool,
    /// How to show it
    #[arg(short, long, value_enum, default_value = "text")]
    output: Output,
}

/// Looks whether it may, does it, and cleans up.
pub(super) async fn drill(cluster: &ClusterArgs, args: &DrillArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect().await?;
    nothing_held(&connection, args.force).await?;
    let namespace = format!("weir-drill-{:06x}", fastrand::u32(..0x0100_0000));
    let mut drill = Drill {
        namespace: namespace.clone(),
        mode: None,
        success: false,
        steps: Vec::new(),
        left: Vec::new(),
    };
    match at_work(&connection, &args.weir).await? {
        Ok(mode) => {
            drill.mode = Some(mode);
            let stage = Stage::new(&connection, args, namespace, mode);
            Box::pin(play(&stage, args, &mut drill)).await;
        }
        Err(why) => drill.steps.push(Step {
            id: "at-work",
            title: "Weir is at work",
            proven: false,
            said: why,
            seconds: 0,
        }),
    }
    let proven = drill.steps.iter().all(|step| step.proven);
    drill.success = proven && drill.left.is_empty();
    Ok(Outcome {
        code: if drill.success { FINE } else { TROUBLE },
        text: show(&drill, args.output)?,
    })
}

/// Plays all steps, until one fails, somebody interrupts it or time runs out; then removes everything.
async fn play(stage: &Stage<'_>, args: &DrillArgs, drill: &mut Drill) {
    let mut signals = Signals::listen();
    let patience = Duration::from_secs_f64(args.timeout);
    let run = Box::pin(stage.run(&mut drill.steps));
    let stopped = stopped(run, signals.any(), patience).await;
    let is_told = stopped == Some(Stopped::Interrupted);
    if is_told {
        tell_removing(&stage.namespace);
    }
    if let Some(why) = stopped {
        drill.steps.push(stage.broken_off(why.words()));
    }
    let removed = Box::pin(remove(stage.connection, &stage.namespace));
    let given_up = given_up(&mut signals, &stage.namespace, is_told);
    drill.left = removed_or_left(removed, given_up, &stage.namespace).await;
}

/// Refuses while something is held: a drill is a rollout too.
async fn nothing_held(connection: &Connection, force: bool) -> Result<(), CliError> {
    let api: Api<GuardedRollout> = Api::all(connection.client.clone());
    let all = match list_all(&api, ListParams::default()).await {
        Err(error) if is_missing(&error) => return Err(CliError::NotInstalled),
        all => all.map_err(|error| connection.unanswered(error, NEEDS_ALL))?,
    };
    let is_held = |one: &&GuardedRollout| {
        let status = one.status.as_ref();
        status.is_some_and(|status| {
            let is_paused = status.state == Some(State::Paused);
            Hold::of(status).is_some() || is_paused && status.mode != Some(Mode::Observe)
        })
    };
    let held: Vec<String> = all
        .iter()
        .filter(is_held)
        .map(|one| {
            let meta = &one.metadata;
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            format!("{namespace}/{}", meta.name.as_deref().unwrap_or_default())
        })
        .collect();
    if held.is_empty() || force {
        return Ok(());
    }
    Err(CliError::Unsafe {
        why: format!(
            "{} held or paused: API servers may suffer, and a drill is a rollout too",
            held.join(", ")
        ),
        instead: "wait until nothing is held (`kubectl weir status --wait`), or give --force",
    })
}

/// How far Weir may go, if it is at work and does more than look; else why a drill would prove nothing.
async fn at_work(
    connection: &Connection,
    weir: &WeirArgs,
) -> Result<Result<Mode, String>, CliError> {
    let planes: Api<ControlPlane> = Api::all(connection.client.clone());
    let plane = planes.get_opt(SINGLETON).await;
    let plane = plane.map_err(|error| connection.unanswered(error, NEEDS_PLANE))?;
    let leases: Api<Lease> = Api::namespaced(connection.client.clone(), &weir.weir_namespace);
    let lease = leases.get_opt(&weir.lease_name).await;
    let lease = lease.map_err(|error| connection.unanswered(error, NEEDS_LEASE))?;
    let lease = lease.and_then(|lease| lease.spec).unwrap_or_default();
    let mode = plane.and_then(|plane| plane.status?.mode);
    Ok(match mode {
        None => Err("it has not written its ControlPlane".to_owned()),
        Some(Mode::Observe) => Err("its mode is observe: there is nothing to prove".to_owned()),
        Some(_) if leases::leader(&lease, connection.clock.now()).is_none() => {
            Err("nobody holds its lease".to_owned())
        }
        Some(mode) => Ok(mode),
    })
}

impl Shown for Drill {
    /// Nothing is left out of it in the first place.
    fn text(&self, _: bool) -> String {
        render(self)
    }

    /// What was not proven.
    fn names(&self) -> Vec<String> {
        let steps = self.steps.iter().filter(|step| !step.proven);
        steps.map(|step| step.id.to_owned()).collect()
    }
}

#[cfg(test)]
mod tests;
