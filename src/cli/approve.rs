//! `kubectl weir approve`: a person lets through what Weir holds, once.
//!
//! It writes an order into the rollout's spec, which Weir carries out: so the pods go out at the policy's
//! pace, and the revision is not approved. Without the operator nothing comes of it, which is said.

use clap::Args;
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use serde_json::{Value, json};

use super::{
    Outcome,
    change::{ChangeArgs, reason, written_at},
    connect::{ClusterArgs, Connection, WeirArgs},
    error::CliError,
    find,
};
use crate::{
    api::{
        GuardedRollout, GuardedRolloutStatus, Hold, LetThrough, Mode, Severity, State, leases,
        times::time,
    },
    view::change::{Change, Changed, Done},
};

/// What it takes to give an order.
const NEEDS: &str = "ask for the rights to patch guardedrollouts.weir.dev in that namespace, and to `approve` \
                     them; check with `kubectl auth can-i approve guardedrollouts.weir.dev -n NAMESPACE`";

/// Lets through once what Weir holds, whatever it found; Weir carries it out
///
/// The order covers the pods that are there, and what an update puts in the place of old ones. It ends once
/// these are out as far as nodes are ready, and after four hours. Pods that come later are held as before, and
/// the revision is approved only once full width has soaked: `kubectl weir release` opens the valve for good
/// instead. Refused (4) where nothing is held.
#[derive(Debug, Clone, Args)]
pub(super) struct ApproveArgs {
    #[command(flatten)]
    change: ChangeArgs,
    #[command(flatten)]
    weir: WeirArgs,
    /// Why; it stays in the rollout's spec, and an Event tells it
    #[arg(long, value_parser = reason)]
    reason: String,
    /// Pods that may be out in all; all of them if not given
    #[arg(long, value_parser = clap::value_parser!(u32).range(1..))]
    width: Option<u32>,
}

/// Gives the order.
pub(super) async fn approve(
    cluster: &ClusterArgs,
    args: &ApproveArgs,
) -> Result<Outcome, CliError> {
    let connection = cluster.connect_to_one().await?;
    let changed = order(&connection, args).await?;
    args.change.outcome(&changed)
}

async fn order(connection: &Connection, args: &ApproveArgs) -> Result<Changed, CliError> {
    let change = &args.change;
    let rollout = find::rollout(connection, &change.rollout).await?;
    let width = width(&rollout, args.width)?;
    let mut changed = change.changed(&rollout, Done::Approved);
    let mut order = LetThrough {
        width,
        given: time(connection.clock.now()),
        reason: args.reason.clone(),
    };
    // First by dry run: how long an order stands goes by the API server's clock, not by the caller's.
    let trial = change
        .try_patch(connection, &changed, &patch(&order), NEEDS)
        .await?;
    taken(&trial)?;
    if let Some(now) = written_at(&trial) {
        order.given = now;
    }
    if !change.is_dry() {
        let answer = change.patch(connection, &changed, &patch(&order)).await?;
        taken(&answer)?;
    }
    let before = rollout.spec.let_through.as_ref();
    changed.changes.push(Change {
        of: None,
        field: "spec.letThrough".to_owned(),
        before: before.map_or_else(|| "none".to_owned(), told),
        after: told(&order),
    });
    if rollout
        .status
        .as_ref()
        .and_then(Hold::of)
        .is_some_and(|hold| hold.is_unwritten())
    {
        let note = "Weir cannot write at the moment (WriteFailed): this is carried out once it can";
        changed.notes.push(note.to_owned());
    }
    if rollout.spec.paused {
        let note = "a person's pause goes before it: `kubectl weir resume` lets it begin";
        changed.notes.push(note.to_owned());
    }
    changed.notes.extend(silence(connection, &args.weir).await);
    let note = format!(
        "Approved by a person, once: up to {width} pods of revision {} are let through, whatever Weir \
         finds: {}.",
        rollout.spec.revision, args.reason
    );
    change
        .record(connection, &rollout, &mut changed, note)
        .await;
    Ok(changed)
}

fn patch(order: &LetThrough) -> Value {
    json!({ "spec": { "letThrough": order } })
}

/// Refuses where the API server has not kept the order: an older definition of the kind drops it without a
/// word.
fn taken(rollout: &GuardedRollout) -> Result<(), CliError> {
    if rollout.spec.let_through.is_some() {
        return Ok(());
    }
    Err(CliError::OldKind {
        field: "spec.letThrough",
    })
}

fn told(order: &LetThrough) -> String {
    let LetThrough {
        width,
        given,
        reason,
    } = order;
    format!("up to {width} pods, given {} ({reason})", given.0)
}

/// The width up to which pods are let through, if anything is held.
fn width(rollout: &GuardedRollout, asked: Option<u32>) -> Result<u32, CliError> {
    let refused = |why: String, instead| Err(CliError::Unsafe { why, instead });
    let status = rollout.status.clone().unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let hold = Hold::of(&status);
    if hold.as_ref().is_some_and(Hold::is_stranded) {
        return refused(
            format!("pods of {name} are gated, and Weir may not let them through: it only reads"),
            "let Weir do so with --mode shadow, or open the valve with `kubectl weir release`",
        );
    }
    let GuardedRolloutStatus {
        state,
        mode,
        width: out,
        full_width,
        findings,
        ..
    } = status;
    let is_unwritten = hold.is_some_and(|hold| hold.is_unwritten());
    let waits = findings.iter().any(|one| one.severity == Severity::Hold);
    if mode != Some(Mode::Enforce) {
        return refused(
            format!("{name} is not held at the valve: there is nothing to let through"),
            "`kubectl weir explain` says how far Weir goes with it, and why",
        );
    }
    match state {
        Some(State::Held | State::Paused) => {}
        state if is_unwritten && state != Some(State::Superseded) => {
            return refused(
                format!(
                    "{name} is held since Weir cannot write: it could not carry out an order either, \
                     and goes on by itself once it can"
                ),
                "mend what `kubectl weir explain` names, or open the valve with `kubectl weir release`",
            );
        }
        // Harm that was there before its first pod keeps it from beginning, which is not told as a hold.
        Some(State::Pending) if waits => {}
        Some(State::Superseded) => {
            return refused(
                format!("{name} is Superseded: its workload has a newer revision"),
                "name that one's rollout",
            );
        }
        state => {
            let state = state.map_or_else(|| "new".to_owned(), |state| format!("{state:?}"));
            return refused(
                format!("{name} is {state}, not held: it goes on by itself"),
                "wait, or open the valve for good with `kubectl weir release`",
            );
        }
    }
    let width = asked.unwrap_or(full_width).min(full_width);
    if width <= out {
        return refused(
            format!("{out} of {full_width} pods of {name} are out already"),
            "give a --width beyond what is out, or none for all",
        );
    }
    Ok(width)
}

/// What to know if nobody is there to carry it out.
async fn silence(connection: &Connection, args: &WeirArgs) -> Option<String> {
    let api: Api<Lease> = Api::namespaced(connection.client.clone(), &args.weir_namespace);
    // Whoever may not read the lease does not learn it.
    let spec = api.get_opt(&args.lease_name).await.ok()?;
    let spec = spec.and_then(|lease| lease.spec).unwrap_or_default();
    let is_alive = leases::leader(&spec, connection.clock.now()).is_some();
    (!is_alive).then(|| {
        "Weir is silent: this is carried out once it is back; `kubectl weir release` works without it"
            .to_owned()
    })
}

#[cfg(test)]
mod tests;
