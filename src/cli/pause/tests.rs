//! What is written and recorded, what is refused, and what a person may not expect.

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

fn args(dry_run: DryRun) -> ChangeArgs {
    ChangeArgs {
        rollout: "logs-5d4f".to_owned(),
        dry_run,
        output: Output::Text,
    }
}

fn rollout(paused: bool, state: &str) -> Answer {
    standing(paused, &json!({ "state": state, "mode": "Enforce" }))
}

fn standing(paused: bool, status: &Value) -> Answer {
    let object = json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f", "uid": "g" },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
            "paused": paused,
        },
        "status": status,
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
async fn a_pause_that_would_hold_nothing_is_refused() {
    let cases = [
        (
            json!({ "state": "Progressing", "mode": "Shadow" }),
            "(mode Shadow)",
        ),
        (
            json!({ "state": "Held", "mode": "Observe" }),
            "(mode Observe)",
        ),
        (json!({ "state": "Refused" }), "is not guarded by Weir"),
        (json!({ "state": "LetGo" }), "none of its pods is gated"),
        (
            json!({ "state": "Superseded", "mode": "Shadow" }),
            "has a newer revision",
        ),
    ];
    for (status, why) in cases {
        for was in [false, true] {
            let server = Server::that([standing(was, &status)]);
            let asked = set(&connection(&server), &args(DryRun::None), true, None).await;
            let error = asked.unwrap_err();
            assert_eq!(error.kind().code(), 4, "{error}");
            assert!(error.to_string().contains(why), "{error}");
            assert_eq!(server.asked().len(), 1);
        }
    }
}

#[tokio::test]
async fn what_is_being_let_go_or_is_not_judged_yet_is_paused() {
    let cases = [(json!({ "state": "Progressing" }), 0), (json!({}), 1)];
    for (status, notes) in cases {
        let server = Server::that([standing(false, &status), standing(true, &status), event()]);
        let changed = set(&connection(&server), &args(DryRun::None), true, None)
            .await
            .unwrap();
        assert_eq!((changed.changes.len(), changed.notes.len()), (1, notes));
    }
}

#[tokio::test]
async fn a_pause_is_taken_back_wherever_it_stands() {
    let status = json!({ "state": "Progressing", "mode": "Shadow" });
    let server = Server::that([standing(true, &status), standing(false, &status), event()]);
    let changed = set(&connection(&server), &args(DryRun::None), false, None)
        .await
        .unwrap();
    assert_eq!(changed.changes.len(), 1);
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
