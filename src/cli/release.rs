//! `kubectl weir release`: a person opens the valve for a revision, for good, with or without Weir.
//!
//! As the plain kubectl lines of Weir's Events: the revision is approved first (the other way round, a
//! pod that is born in between would stay gated), then the gates are removed, and looked for again.

use std::time::Duration;

use clap::Args;
use serde_json::json;

use super::{
    Outcome, TROUBLE,
    change::{ChangeArgs, reason, unchanged},
    connect::{ClusterArgs, Connection},
    error::CliError,
    find,
};
use crate::{
    api::{GuardedRollout, bounds, marks, times::time},
    client::chain,
    valve::{
        ROLE,
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
/// still gated in the end: run it again then.
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
        code: if left == 0 { outcome.code } else { TROUBLE },
        ..outcome
    })
}

/// Does it, and says how many pods are still gated for all that.
async fn open(connection: &Connection, args: &ReleaseArgs) -> Result<(Changed, usize), CliError> {
    let rollout = find::rollout(connection, &args.change.rollout).await?;
    let mut changed = args.change.changed(&rollout, Done::Released);
    approve(connection, args, &rollout, &mut changed).await?;
    note_on_rollout(connection, args, &rollout, &mut changed).await;
    let removed = remove(connection, args, &rollout, &changed).await?;
    let released = removed.released;
    changed.changes.push(Change {
        of: Some("pods:".to_owned()),
        field: "gated".to_owned(),
        before: (released as usize + removed.refused.len()).to_string(),
        after: removed.refused.len().to_string(),
    });
    if let Some((pod, error)) = removed.refused.first() {
        changed.notes.push(format!(
            "{} pods are still gated; {}: {}. Run it again",
            removed.refused.len(),
            pod.name,
            chain(error)
        ));
    }
    let note = format!(
        "Released by a person: revision {} is approved for good, and {released} pods were let through: {}.",
        rollout.spec.revision, args.reason
    );
    args.change
        .record(connection, &rollout, &mut changed, note)
        .await;
    Ok((changed, removed.refused.len()))
}

async fn approve(
    connection: &Connection,
    args: &ReleaseArgs,
    rollout: &GuardedRollout,
    changed: &mut Changed,
) -> Result<(), CliError> {
    const NEEDS: &str = "ask for the rights to get and patch the Role weir-approved in weir-system, to `run` \
                         revisions.weir.dev there, and to list and patch the pods of that namespace";
    let workload = &rollout.spec.workload;
    let key = revision_key(&workload.uid, &rollout.spec.revision);
    let whose = format!("{}/{} by kubectl weir", changed.namespace, workload.name);
    let note = bounds::clip(&whose, bounds::NOTE);
    let params = args.change.params();
    match remote::approve_as(&connection.client, &key, &note, &params).await {
        Ok(()) => {
            changed.changes.push(Change {
                of: Some(format!("role.rbac.authorization.k8s.io/{ROLE}")),
                field: key,
                before: "not approved, or not by a person".to_owned(),
                after: "approved".to_owned(),
            });
            Ok(())
        }
        // Without the Role nothing is gated any more, and with one that approves all nothing either.
        Err(ValveError::Approve { source, .. }) if matches!(&*source, kube::Error::Api(status) if status.code == 404) =>
        {
            let note = format!("there is no Role {ROLE}: nothing is gated any more at birth");
            changed.notes.push(note);
            Ok(())
        }
        Err(ValveError::Approve { source, .. }) => Err(unchanged(
            format!("the Role {ROLE}"),
            NEEDS,
            *source,
            connection,
        )),
        Err(lost) => {
            changed.notes.push(chain(&lost));
            Ok(())
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

/// Removes the gates, and looks again for pods that were born in the meantime.
async fn remove(
    connection: &Connection,
    args: &ReleaseArgs,
    rollout: &GuardedRollout,
    changed: &Changed,
) -> Result<Removed, CliError> {
    let which = Which::Revision {
        namespace: &changed.namespace,
        uid: &rollout.spec.workload.uid,
        hash: &rollout.spec.revision,
    };
    let mut all = Removed::default();
    for look in 1..=LOOKS {
        let found = gates::gated(&connection.client, which).await;
        let mut found = found.map_err(|error| connection.unreachable(error))?;
        let refused = |pod: &Gated| all.refused.iter().any(|(one, _)| one == pod);
        found.retain(|pod| !refused(pod));
        if found.is_empty() && look > 1 {
            break;
        }
        let params = args.change.params();
        let removed = gates::remove(&connection.releases, found, args.rate, &params).await;
        all.released += removed.released;
        all.refused.extend(removed.refused);
        if changed.dry_run {
            break;
        }
        tokio::time::sleep(SETTLES).await;
    }
    Ok(all)
}

#[cfg(test)]
mod tests;
