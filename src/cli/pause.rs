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
    api::{GuardedRollout, Hold, State},
    view::change::{Change, Changed, Done},
};

/// Lets nothing more of a rollout through until it is resumed
///
/// What runs goes on running. Weir's own holds are untouched, and an approved revision is not held by
/// it.
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

/// What a person may not expect.
fn note(rollout: &GuardedRollout, paused: bool) -> Option<String> {
    let status = rollout.status.as_ref()?;
    let hold = Hold::of(status);
    if let (Some(hold), false) = (hold, paused) {
        return Some(format!("Weir holds it by itself: {}", hold.by));
    }
    match (status.state?, paused) {
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
mod tests {
    use serde_json::Value;

    use super::*;
    use crate::{
        cli::{
            change::DryRun,
            find::tests::{connection, refusal},
            output::Output,
        },
        client::fake::{Answer, Server},
    };

    pub(in crate::cli) fn args(dry_run: DryRun) -> ChangeArgs {
        ChangeArgs {
            rollout: "logs-5d4f".to_owned(),
            dry_run,
            output: Output::Text,
        }
    }

    fn rollout(paused: bool, state: &str) -> Answer {
        let object = json!({
            "metadata": { "namespace": "shop", "name": "logs-5d4f", "uid": "g" },
            "spec": {
                "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
                "paused": paused,
            },
            "status": { "state": state },
        });
        Answer::whole(200, object.to_string())
    }

    fn event() -> Answer {
        Answer::whole(201, json!({ "metadata": { "name": "e" } }).to_string())
    }

    #[tokio::test]
    async fn a_pause_is_written_and_recorded_with_its_reason() {
        let server = Server::that([rollout(false, "Soaking"), rollout(true, "Soaking"), event()]);
        let connection = connection(&server);
        let changed = set(&connection, &args(DryRun::None), true, Some("lunch"))
            .await
            .unwrap();
        assert_eq!(
            (changed.changes.len(), changed.notes.len()),
            (1, 0),
            "{changed:?}"
        );
        assert_eq!(server.said()[1], r#"{"spec":{"paused":true}}"#);
        let event: Value = serde_json::from_str(&server.said()[2]).unwrap();
        assert_eq!(event["reason"], "PausedByPerson");
        assert_eq!(event["note"], "Paused by a person: lunch.");
        assert_eq!(event["regarding"]["name"], "logs");
        assert_eq!(event["related"]["name"], "logs-5d4f");
    }

    #[tokio::test]
    async fn a_dry_run_asks_the_server_and_records_nothing() {
        let server = Server::that([rollout(false, "Complete"), rollout(true, "Complete")]);
        let connection = connection(&server);
        let changed = set(&connection, &args(DryRun::Server), true, None)
            .await
            .unwrap();
        assert!(
            changed.dry_run && changed.notes[0].contains("approved"),
            "{changed:?}"
        );
        assert_eq!(server.asked().len(), 2);
        assert!(
            server.asked()[1].contains("dryRun=All"),
            "{:?}",
            server.asked()
        );
    }

    #[tokio::test]
    async fn what_is_so_already_is_not_written() {
        let server = Server::that([rollout(false, "Held")]);
        let changed = set(&connection(&server), &args(DryRun::None), false, None)
            .await
            .unwrap();
        assert!(changed.changes.is_empty());
        assert!(
            changed.notes[0].starts_with("Weir holds it by itself"),
            "{changed:?}"
        );
    }

    #[tokio::test]
    async fn whoever_may_only_look_is_told_what_to_ask_for() {
        let server = Server::that([rollout(true, "Paused"), refusal(403)]);
        let error = set(&connection(&server), &args(DryRun::None), false, None)
            .await
            .unwrap_err();
        assert_eq!(error.kind().code(), 3);
        assert!(
            error
                .report()
                .contains("was not changed: no\nhint: ask for the right to patch"),
            "{}",
            error.report()
        );
    }

    #[tokio::test]
    async fn an_event_that_is_refused_is_only_told() {
        let answers = [
            rollout(false, "Soaking"),
            rollout(true, "Soaking"),
            refusal(403),
        ];
        let server = Server::that(answers);
        let changed = set(&connection(&server), &args(DryRun::None), true, None)
            .await
            .unwrap();
        assert_eq!(changed.changes.len(), 1);
        assert!(changed.notes[0].contains("no Event"), "{changed:?}");
    }
}
