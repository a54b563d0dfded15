//! `kubectl weir release`: a person opens the valve for a revision, for good, with or without Weir.
//!
//! As the plain kubectl lines of Weir's Events: the revision is approved first (the other way round, a
//! pod that is born in between would stay gated), then the gates are removed, and looked for again.

use std::time::Duration;

use clap::Args;
use kube::api::PatchParams;
use serde_json::json;

use super::{
    FINE, Outcome, TROUBLE,
    change::{ChangeArgs, reason, unchanged},
    connect::{ClusterArgs, Connection},
    error::CliError,
    find,
};
use crate::{
    api::{GuardedRollout, bounds, marks, times::time},
    client::{chain, is_missing},
    valve::{
        NAMESPACE, ROLE,
        gates::{self, Gated, Removed, Which},
        remote::{self, ValveError},
        revision_key,
    },
    view::change::{Change, Changed, Done},
};

/// How long after the approval pods are looked for that were born just before it was known everywhere.
const SETTLES: Duration = Duration::from_secs(2);
/// Looks for gated pods; each but the first finds what was born during the one before.
const LOOKS: u32 = 5;

/// Opens the valve for a rollout's revision, for good; works while the operator is down
///
/// Approves the revision, so that its pods are born without the gate from then on, and removes the gate
/// of those that wait, so many a second. Nothing of it is ever held again. Exits with 1 if some pods are
/// still gated in the end, or if the revision could not be approved for the state that Weir's Role is in: run it
/// again then.
#[derive(Debug, Clone, Args)]
pub(super) struct ReleaseArgs {
    #[command(flatten)]
    change: ChangeArgs,
    /// Why; it is noted on the rollout, and an Event tells it
    #[arg(long, value_parser = reason)]
    reason: String,
    /// Pods let through per second at most
    #[arg(long, default_value = "10", value_parser = clap::value_parser!(u32).range(1..=100))]
    rate: u32,
}

/// Approves, and removes the gates.
pub(super) async fn release(
    cluster: &ClusterArgs,
    args: &ReleaseArgs,
) -> Result<Outcome, CliError> {
    let connection = cluster.connect_to_one().await?;
    let (changed, left) = open(&connection, args).await?;
    let outcome = args.change.outcome(&changed)?;
    Ok(Outcome {
        code: exit_code(changed.done, left),
        ..outcome
    })
}

/// Fine only if the valve is open, and no pod is left.
fn exit_code(done: Done, left: usize) -> u8 {
    if left == 0 && done == Done::Released {
        FINE
    } else {
        TROUBLE
    }
}

/// Does it, and says how many pods are still gated for all that, as far as is known: what follows the approval
/// may fail, and cannot take it back, so that from there on all is told.
async fn open(connection: &Connection, args: &ReleaseArgs) -> Result<(Changed, usize), CliError> {
    let rollout = find::rollout(connection, &args.change.rollout).await?;
    let mut changed = args.change.changed(&rollout, Done::Released);
    if approve(connection, args, &rollout, &mut changed).await? {
        note_on_rollout(connection, args, &rollout, &mut changed).await;
    } else {
        changed.done = Done::Ungated;
    }
    let Freed { removed, unlisted } = remove(connection, args, &rollout, &changed).await;
    let (released, left) = (removed.released, removed.left());
    changed.changes.push(Change {
        of: Some("pods:".to_owned()),
        field: "gated".to_owned(),
        before: (released as usize + left).to_string(),
        after: left.to_string(),
    });
    if let Some((pod, error)) = removed.refused.first() {
        changed.notes.push(format!(
            "{left} pods are still gated; {}: {}. Run it again",
            pod.name,
            chain(error)
        ));
    }
    if let Some(why) = &unlisted {
        changed.notes.push(format!(
            "its gated pods could not be listed, so that some may still be gated: {why}. Run it again"
        ));
    }
    let (revision, reason) = (&rollout.spec.revision, &args.reason);
    let note = if changed.done == Done::Released {
        format!(
            "Released by a person: revision {revision} is approved for good, and {released} pods were let \
             through: {reason}."
        )
    } else {
        format!(
            "Ungated by a person: {released} pods were let through. Revision {revision} could not be \
             approved, so that later pods of it may be gated: {reason}."
        )
    };
    args.change
        .record(connection, &rollout, &mut changed, note)
        .await;
    Ok((changed, left.max(usize::from(unlisted.is_some()))))
}

/// Approves it, and says whether it is approved now. Where the Role is not in order it cannot be, and nothing is
/// gated at birth until Weir has put it in order; from then on the revision's pods are gated again.
async fn approve(
    connection: &Connection,
    args: &ReleaseArgs,
    rollout: &GuardedRollout,
    changed: &mut Changed,
) -> Result<bool, CliError> {
    const NEEDS: &str = "ask for the rights to get and patch the Role weir-approved in weir-system, to `run` \
                         revisions.weir.dev there, and to list and patch the pods of that namespace";
    let workload = &rollout.spec.workload;
    let key = revision_key(&workload.uid, &rollout.spec.revision);
    let whose = format!("{}/{} by kubectl weir", changed.namespace, workload.name);
    let note = bounds::clip(&whose, bounds::NOTE);
    let params = args.change.params();
    match remote::approve_as(&connection.client, &key, &note, &params).await {
        Ok(before) => {
            let before = before.map(|note| format!("approved ({note})"));
            changed.changes.push(Change {
                of: Some(format!("role.rbac.authorization.k8s.io/{ROLE}")),
                field: key,
                before: before.unwrap_or_else(|| "not approved".to_owned()),
                after: "approved".to_owned(),
            });
            Ok(true)
        }
        Err(ValveError::Approve { source, .. }) if is_missing(&source) => {
            changed.notes.push(format!(
                "the revision is not approved: there is no Role {ROLE} in {NAMESPACE}. Nothing is gated at birth \
                 until Weir makes it again; if it does, run this again"
            ));
            Ok(false)
        }
        Err(ValveError::Approve { source, .. }) => Err(unchanged(
            format!("the Role {ROLE}"),
            NEEDS,
            *source,
            connection,
        )),
        Err(lost) => {
            changed.notes.push(format!(
                "the revision is not approved: {}. Nothing is gated at birth until then; run this again once \
                 the Role is in order",
                chain(&lost)
            ));
            Ok(false)
        }
    }
}

/// Leaves when and why on the rollout, which outlives its Events. What cannot be noted is told.
async fn note_on_rollout(
    connection: &Connection,
    args: &ReleaseArgs,
    rollout: &GuardedRollout,
    changed: &mut Changed,
) {
    let at = time(connection.clock.now()).0;
    let note = format!("{at} {}", args.reason);
    let patch = json!({ "metadata": { "annotations": { marks::RELEASED: note } } });
    match args.change.patch(connection, changed, &patch).await {
        Ok(_) => {
            let annotations = rollout.metadata.annotations.as_ref();
            let before = annotations.and_then(|all| all.get(marks::RELEASED));
            changed.changes.push(Change {
                of: None,
                field: format!("annotation {}", marks::RELEASED),
                before: before.map_or_else(|| "none".to_owned(), Clone::clone),
                after: note,
            });
        }
        Err(error) => {
            let why = chain(&error);
            changed
                .notes
                .push(format!("it is not noted on the rollout: {why}"));
        }
    }
}

/// What became of the gates.
#[derive(Default)]
struct Freed {
    removed: Removed,
    /// Why the last list of gated pods failed, if it did.
    unlisted: Option<String>,
}

/// Removes the gates, and looks again for pods that were born in the meantime.
async fn remove(
    connection: &Connection,
    args: &ReleaseArgs,
    rollout: &GuardedRollout,
    changed: &Changed,
) -> Freed {
    let which = Which::Revision {
        namespace: &changed.namespace,
        uid: &rollout.spec.workload.uid,
        hash: &rollout.spec.revision,
    };
    let params = args.change.params();
    let mut freed = Freed::default();
    for look in 1..=LOOKS {
        let mut found = match gates::gated(&connection.client, which).await {
            Ok(found) => found,
            Err(error) => {
                freed.unlisted = Some(chain(&error));
                if matches!(&error, kube::Error::Api(status) if status.code == 403) {
                    break;
                }
                tokio::time::sleep(SETTLES).await;
                continue;
            }
        };
        freed.unlisted = None;
        let all = &mut freed.removed;
        if changed.dry_run {
            *all = tried(connection, found, &params).await;
            break;
        }
        found.retain(|pod| !all.refused.iter().any(|(one, _)| one == pod));
        if found.is_empty() && look > 1 {
            break;
        }
        let removed = gates::remove(&connection.releases, found, args.rate, &params).await;
        all.released += removed.released;
        all.refused.extend(removed.refused);
        all.untried = removed.untried;
        tokio::time::sleep(SETTLES).await;
    }
    freed
}

/// What would become of these pods, by a dry run of one of them: what goes for it goes for all.
async fn tried(connection: &Connection, mut found: Vec<Gated>, params: &PatchParams) -> Removed {
    let rest = found.split_off(found.len().min(1)).len();
    let mut removed = gates::remove(&connection.releases, found, 1, params).await;
    if removed.refused.is_empty() {
        removed.released += u32::try_from(rest).unwrap_or(u32::MAX);
    } else {
        removed.untried += rest;
    }
    removed
}

#[cfg(test)]
mod tests;
