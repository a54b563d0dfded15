//! The order of what is written, and what is said where it cannot be.

use serde_json::Value;

use super::*;
use crate::{
    cli::{
        change::DryRun,
        find::tests::{connection, refusal},
        output::Output,
    },
    client::fake::{Answer, Server},
    valve::REVISION_HASH,
};

fn args(dry_run: DryRun) -> ReleaseArgs {
    ReleaseArgs {
        change: ChangeArgs {
            rollout: "logs-5d4f".to_owned(),
            dry_run,
            output: Output::Text,
        },
        reason: "known to be harmless".to_owned(),
        rate: 10,
    }
}

fn whole(object: &Value) -> Answer {
    Answer::whole(200, object.to_string())
}

fn rollout() -> Answer {
    whole(&json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f", "uid": "g" },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
        },
    }))
}

fn role() -> Answer {
    whole(&json!({
        "metadata": { "name": "weir-approved", "resourceVersion": "7" },
        "rules": [
            {
                "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"],
                "resourceNames": ["u.old"],
            },
            { "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"] },
        ],
    }))
}

fn done() -> Answer {
    whole(&json!({ "metadata": { "name": "any" } }))
}

fn pods(names: &[&str]) -> Answer {
    let pods: Vec<_> = names
        .iter()
        .map(|name| {
            json!({
                "metadata": {
                    "namespace": "shop", "name": name, "labels": { REVISION_HASH: "5d4f" },
                    "ownerReferences": [{
                        "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "logs", "uid": "u",
                        "controller": true,
                    }],
                },
                "spec": { "containers": [], "schedulingGates": [{ "name": marks::GATE }] },
            })
        })
        .collect();
    whole(&json!({ "metadata": {}, "items": pods }))
}

#[tokio::test(start_paused = true)]
async fn the_revision_is_approved_first_and_pods_born_meanwhile_are_found() {
    let server = Server::that([
        rollout(),
        role(),
        done(),
        rollout(),
        pods(&["a", "b"]),
        done(),
        done(),
        pods(&["c"]),
        done(),
        pods(&[]),
        done(),
    ]);
    let connection = connection(&server);
    let (changed, left) = open(&connection, &args(DryRun::None)).await.unwrap();
    assert_eq!(left, 0);
    let said = server.said();
    assert!(
        said[2].contains(r#""u.5d4f""#) && said[2].contains(r#""u.old""#),
        "{}",
        said[2]
    );
    assert!(said[3].contains("known to be harmless"), "{}", said[3]);
    let patched: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| asked.starts_with("PATCH") && asked.contains("/pods/"))
        .collect();
    assert_eq!(patched.len(), 3, "{patched:?}");
    assert!(said[10].contains("ReleasedByPerson"), "{}", said[10]);
    assert!(said[10].contains("3 pods were let through"), "{}", said[10]);
    let fields: Vec<_> = changed
        .changes
        .iter()
        .map(|one| one.field.as_str())
        .collect();
    assert_eq!(fields, ["u.5d4f", "annotation weir.dev/released", "gated"]);
    assert_eq!(changed.notes, [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_writes_nothing() {
    let server = Server::that([rollout(), role(), done(), rollout(), pods(&["a"]), done()]);
    let connection = connection(&server);
    let (changed, _) = open(&connection, &args(DryRun::Server)).await.unwrap();
    assert!(changed.dry_run);
    let writes: Vec<_> = server
        .asked()
        .into_iter()
        .filter(|asked| !asked.starts_with("GET"))
        .collect();
    assert_eq!(writes.len(), 3);
    assert!(
        writes.iter().all(|one| one.contains("dryRun=All")),
        "{writes:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn without_the_role_the_gates_are_removed_all_the_same() {
    let server = Server::that([
        rollout(),
        refusal(404),
        pods(&["a"]),
        refusal(403),
        pods(&["a"]),
        refusal(403),
    ]);
    let connection = connection(&server);
    let (changed, left) = open(&connection, &args(DryRun::None)).await.unwrap();
    assert_eq!((left, changed.done), (1, Done::Ungated));
    let notes = changed.notes.join("\n");
    for said in [
        "not approved: there is no Role",
        "1 pods are still gated; a: no. Run it again",
        "no Event",
    ] {
        assert!(notes.contains(said), "{said}: {notes}");
    }
}

#[tokio::test(start_paused = true)]
async fn what_could_not_be_approved_is_not_said_to_be() {
    let all = whole(&json!({
        "metadata": { "name": "weir-approved", "resourceVersion": "7" },
        "rules": [{ "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"] }],
    }));
    let answers = [rollout(), all, pods(&["a"]), done(), pods(&[]), done()];
    let server = Server::that(answers);
    let (changed, left) = open(&connection(&server), &args(DryRun::None))
        .await
        .unwrap();
    assert_eq!((left, changed.done), (0, Done::Ungated));
    let fields = changed.changes.iter().map(|one| one.field.as_str());
    assert_eq!(fields.collect::<Vec<_>>(), ["gated"]);
    let notes = changed.notes.join("\n");
    assert!(
        notes.contains("not approved") && notes.contains("run this again"),
        "{notes}"
    );
    let said = server.said();
    let event = said.last().unwrap();
    assert!(
        event.contains("UngatedByPerson") && event.contains("could not be approved"),
        "{event}"
    );
    assert!(
        !said
            .iter()
            .any(|one| one.contains("approved for good") || one.contains("weir.dev/released"))
    );
}

#[test]
fn whether_it_is_approved_and_all_is_out_decides_the_exit_code() {
    let approved = (Done::Released, 0, FINE);
    for (done, left, code) in [
        approved,
        (Done::Released, 1, TROUBLE),
        (Done::Ungated, 0, TROUBLE),
    ] {
        assert_eq!(exit_code(done, left), code, "{done:?}, {left} left");
    }
}

#[tokio::test]
async fn whoever_may_not_approve_is_told_what_to_ask_for() {
    let server = Server::that([rollout(), role(), refusal(403)]);
    let error = open(&connection(&server), &args(DryRun::None))
        .await
        .unwrap_err();
    assert_eq!(error.kind().code(), 3);
    assert!(
        error.report().contains("patch the Role weir-approved"),
        "{}",
        error.report()
    );
}

#[tokio::test(start_paused = true)]
async fn what_cannot_be_taken_back_is_told_although_the_rest_fails() {
    for (code, looks) in [(403, 1), (500, LOOKS)] {
        let mut answers = vec![rollout(), role(), done(), rollout()];
        answers.extend((0..looks).map(|_| refusal(code)));
        answers.push(done());
        let server = Server::that(answers);
        let (changed, left) = open(&connection(&server), &args(DryRun::None))
            .await
            .unwrap();
        assert_eq!(left, 1);
        assert_eq!(changed.changes[0].field, "u.5d4f");
        let notes = changed.notes.join("\n");
        assert!(notes.contains("could not be listed"), "{notes}");
        let said = server.said();
        assert!(
            said.last().unwrap().contains("ReleasedByPerson"),
            "{said:?}"
        );
    }
}

#[tokio::test(start_paused = true)]
async fn a_dry_run_asks_for_one_pod_and_counts_all() {
    let answers = [
        rollout(),
        role(),
        done(),
        rollout(),
        pods(&["a", "b", "c"]),
        done(),
    ];
    let server = Server::that(answers);
    let (changed, left) = open(&connection(&server), &args(DryRun::Server))
        .await
        .unwrap();
    assert_eq!(left, 0);
    let gated = changed.changes.last().unwrap();
    assert_eq!((gated.before.as_str(), gated.after.as_str()), ("3", "0"));
    assert_eq!(server.asked().len(), 6);
}

#[tokio::test(start_paused = true)]
async fn a_revision_that_was_approved_before_is_told_as_such() {
    let approved = whole(&json!({
        "metadata": { "name": "weir-approved", "resourceVersion": "7" },
        "rules": [
            {
                "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"],
                "resourceNames": ["u.5d4f"],
            },
            { "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"] },
        ],
    }));
    let answers = [
        rollout(),
        approved,
        done(),
        rollout(),
        pods(&[]),
        pods(&[]),
        done(),
    ];
    let server = Server::that(answers);
    let (changed, _) = open(&connection(&server), &args(DryRun::None))
        .await
        .unwrap();
    assert!(
        changed.changes[0].before.starts_with("approved"),
        "{changed:?}"
    );
}
