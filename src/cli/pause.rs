//! `kubectl weir pause`: a person holds a rollout for as long as they like.

use clap::Args;
use serde_json::json;

use super::{
    Outcome,
    change::{ChangeArgs, reason},
    connect::{ClusterArgs, Connection},
    error::CliError,
    find,
};
use crate::{
    api::{GuardedRollout, Hold, Mode, State},
    view::change::{Change, Changed, Done},
};

/// What to do where the valve is not Weir's to close. kubectl pauses Deployments alone.
const BY_HAND: &str = "stop it where it is with `kubectl patch daemonset NAME -n NAMESPACE -p \
                       '{\"spec\":{\"updateStrategy\":{\"type\":\"OnDelete\"}}}'`, or take it back, which rolls \
                       again, with `kubectl rollout undo daemonset/NAME -n NAMESPACE`; the label \
                       weir.dev/guard=enforce, where Weir's own mode is Enforce too, puts the next revision \
                       behind the valve";

/// Lets nothing more of a rollout through until it is resumed
///
/// What runs goes on running. Weir's own holds are untouched, and an approved revision is not held by
/// it. Refused (4) where the rollout is not behind the valve, such as in mode Shadow: there it would hold
/// nothing.
#[derive(Debug, Clone, Args)]
pub(super) struct PauseArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Why, for the Event that records it
    #[arg(long, value_parser = reason)]
    reason: Option<String>,
}

/// Sets `spec.paused`.
pub(super) async fn pause(cluster: &ClusterArgs, args: &PauseArgs) -> Result<Outcome, CliError> {
    let connection = cluster.connect_to_one().await?;
    let changed = set(&connection, &args.change, true, args.reason.as_deref()).await?;
    args.change.outcome(&changed)
}

/// Sets `spec.paused` to this, and records it.
pub(super) async fn set(
    connection: &Connection,
    args: &ChangeArgs,
    paused: bool,
    reason: Option<&str>,
) -> Result<Changed, CliError> {
    let rollout = find::rollout(connection, &args.rollout).await?;
    if paused {
        heeded(&rollout)?;
    }
    let done = if paused { Done::Paused } else { Done::Resumed };
    let mut changed = args.changed(&rollout, done);
    changed.notes.extend(note(&rollout, paused));
    if rollout.spec.paused == paused {
        return Ok(changed);
    }
    let patch = json!({ "spec": { "paused": paused } });
    args.patch(connection, &changed, &patch).await?;
    changed.changes.push(Change {
        of: None,
        field: "spec.paused".to_owned(),
        before: (!paused).to_string(),
        after: paused.to_string(),
    });
    let verb = if paused { "Paused" } else { "Resumed" };
    let why = reason.map(|why| format!(": {why}")).unwrap_or_default();
    let told = format!("{verb} by a person{why}.");
    args.record(connection, &rollout, &mut changed, told).await;
    Ok(changed)
}

/// Refuses where Weir would not heed a pause: whoever reads `paused` in an emergency does nothing else.
fn heeded(rollout: &GuardedRollout) -> Result<(), CliError> {
    let status = rollout.status.clone().unwrap_or_default();
    let name = rollout.metadata.name.as_deref().unwrap_or_default();
    let (why, instead) = match (status.state, status.mode) {
        (Some(State::Superseded), Some(Mode::Observe | Mode::Shadow)) => (
            "is Superseded: its workload has a newer revision".to_owned(),
            "name that one's rollout",
        ),
        (_, Some(mode @ (Mode::Observe | Mode::Shadow))) => {
            let why = format!("is not behind the valve (mode {mode:?}): it rolls at its own pace");
            (why, BY_HAND)
        }
        (Some(State::Refused), _) => ("is not guarded by Weir".to_owned(), BY_HAND),
        (Some(State::LetGo), _) => (
            "is let go: none of its pods is gated any more".to_owned(),
            BY_HAND,
        ),
        // Enforced, or being let go, or not judged yet.
        (_, Some(Mode::Enforce) | None) => return Ok(()),
    };
    Err(CliError::Unsafe {
        why: format!("{name} {why}; a pause would hold nothing"),
        instead,
    })
}

/// What a person may not expect.
fn note(rollout: &GuardedRollout, paused: bool) -> Option<String> {
    let status = rollout.status.as_ref();
    let Some((status, state)) = status.and_then(|status| Some((status, status.state?))) else {
        let note = "Weir has not judged it yet: it is held only where Weir enforces it";
        return paused.then(|| note.to_owned());
    };
    if let (Some(hold), false) = (Hold::of(status), paused) {
        return Some(format!("Weir holds it by itself: {}", hold.by));
    }
    match (state, paused) {
        (State::Complete, true) => {
            Some("its revision is approved: a pause does not close a valve that is open".to_owned())
        }
        (State::Superseded, _) => {
            Some("its workload has a newer revision: name that one's rollout".to_owned())
        }
        _ => None,
    }
}

#[cfg(test)]
mod tests;
