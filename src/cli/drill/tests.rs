//! When it is refused, what it proves, and that it cleans up whatever happens.

use serde_json::{Value, json};

use super::*;
use crate::{
    cli::find::tests::{connection, refusal},
    client::fake::{Answer, Server},
};

fn args() -> DrillArgs {
    DrillArgs {
        weir: WeirArgs {
            weir_namespace: "weir-system".to_owned(),
            lease_name: "weir".to_owned(),
        },
        nodes: 1,
        image: "pause:1".to_owned(),
        timeout: 300.0,
        force: false,
        output: Output::Json,
    }
}

fn whole(object: &Value) -> Answer {
    Answer::whole(200, object.to_string())
}

fn list(items: &[Value]) -> Answer {
    whole(&json!({ "metadata": {}, "items": items }))
}

fn record(state: &str) -> Value {
    json!({
        "metadata": { "namespace": "weir-drill-1", "name": "drill-5d4f" },
        "spec": { "workload": { "kind": "DaemonSet", "name": "drill", "uid": "u" }, "revision": "5d4f" },
        "status": {
            "state": state, "mode": "Enforce", "width": 1, "wave": 1, "fullWidth": 1,
            "summary": format!("It is {state}."),
        },
    })
}

fn node(ready: &str) -> Value {
    json!({
        "metadata": { "name": "node-1" }, "spec": {},
        "status": { "conditions": [{ "type": "Ready", "status": ready }] },
    })
}

fn pod(name: &str, gated: bool, was_gated: bool) -> Value {
    let annotations = if was_gated {
        json!({ "weir.dev/revision": "u.5d4f" })
    } else {
        json!({})
    };
    let scheduling = if gated {
        json!([{ "name": "weir.dev/gate" }])
    } else {
        json!([])
    };
    json!({
        "metadata": { "name": name, "annotations": annotations },
        "spec": { "containers": [], "schedulingGates": scheduling },
    })
}

fn daemon_set() -> Value {
    json!({
        "metadata": { "name": "drill" },
        "status": {
            "currentNumberScheduled": 1, "desiredNumberScheduled": 1, "numberMisscheduled": 0,
            "numberReady": 0,
        },
    })
}

#[tokio::test]
async fn while_something_is_held_it_is_refused_unless_forced() {
    for (state, is_refused) in [("Held", true), ("Paused", true), ("Soaking", false)] {
        let server = Server::that([list(&[record(state)])]);
        let refused = nothing_held(&connection(&server), false).await;
        assert_eq!(refused.is_err(), is_refused, "{state}");
        if let Err(error) = refused {
            assert_eq!(error.kind().code(), 4);
            let report = error.report();
            assert!(report.contains("weir-drill-1/drill-5d4f held"), "{report}");
        }
    }
    let mut stuck = record("Progressing");
    stuck["status"]["heldBy"] = json!("WriteFailed");
    let mut stranded = record("Held");
    stranded["status"]["mode"] = json!("Observe");
    stranded["status"]["heldBy"] = json!("PodsStranded");
    for object in [stuck, stranded] {
        let server = Server::that([list(&[object])]);
        assert!(nothing_held(&connection(&server), false).await.is_err());
    }
    let server = Server::that([list(&[record("Held")])]);
    nothing_held(&connection(&server), true).await.unwrap();
}

#[tokio::test]
async fn where_weir_is_not_at_work_nothing_is_made() {
    let plane = |mode: &str| {
        whole(&json!({
            "metadata": { "name": "cluster" }, "spec": {}, "status": { "mode": mode },
        }))
    };
    let lease = |renewed: &str| {
        whole(&json!({ "spec": {
            "holderIdentity": "weir-1", "leaseDurationSeconds": 40, "renewTime": renewed,
        } }))
    };
    let (leading, left) = ("2100-01-01T00:00:00.000000Z", "2020-01-01T00:00:00.000000Z");
    for (plane, lease, expected) in [
        (refusal(404), lease(leading), None),
        (plane("Observe"), lease(leading), None),
        (plane("Enforce"), lease(left), None),
        (plane("Enforce"), lease(leading), Some(Mode::Enforce)),
        (plane("Shadow"), lease(leading), Some(Mode::Shadow)),
    ] {
        let server = Server::that([plane, lease]);
        let found = at_work(&connection(&server), &args().weir).await.unwrap();
        assert_eq!(found.ok(), expected);
    }
}

/// The ids of the steps, each with whether it was proven, and what was asked for.
async fn played(mode: Mode, answers: Vec<Answer>) -> (Vec<(&'static str, bool)>, Vec<String>) {
    let server = Server::that(answers);
    let (connection, args) = (connection(&server), args());
    let stage = Stage::new(&connection, &args, "weir-drill-1".to_owned(), mode);
    let mut steps = Vec::new();
    stage.run(&mut steps).await;
    let steps = steps.iter().map(|step| (step.id, step.proven)).collect();
    (steps, server.asked())
}

/// Answers until all is made: nodes, the namespace, the policy and the DaemonSet.
fn made() -> Vec<Answer> {
    let made =
        |kind: &str| whole(&json!({ "kind": kind, "metadata": { "name": "any" }, "spec": {} }));
    vec![
        list(&[node("True")]),
        made("Namespace"),
        made("RolloutPolicy"),
        whole(&daemon_set()),
    ]
}

#[tokio::test(start_paused = true)]
async fn an_installation_that_enforces_is_proven_step_by_step() {
    let mut answers = made();
    let gated = || list(&[pod("drill-a", true, true)]);
    answers.extend([
        list(&[]),
        list(&[record("Pending")]),
        whole(&record("Pending")),
        whole(&daemon_set()),
        gated(),
        list(&[record("Paused")]),
        gated(),
        gated(),
        list(&[record("Paused")]),
        whole(&record("Paused")),
        list(&[record("Soaking")]),
        list(&[record("Complete")]),
        list(&[pod("drill-a", false, true)]),
        whole(&json!({ "kind": "Status", "metadata": {}, "status": "Success" })),
        list(&[pod("drill-a", false, true)]),
        list(&[pod("drill-b", false, false)]),
    ]);
    let (steps, asked) = played(Mode::Enforce, answers).await;
    let expected = [
        "made",
        "record",
        "gated",
        "paused",
        "let-through",
        "approved",
    ];
    assert_eq!(steps, expected.map(|id| (id, true)));
    assert!(
        asked
            .iter()
            .any(|one| one.starts_with("DELETE") && one.contains("/pods/drill-a")),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn in_shadow_it_is_proven_that_nothing_is_gated() {
    let mut answers = made();
    answers.extend([
        list(&[record("Soaking")]),
        whole(&daemon_set()),
        list(&[pod("drill-a", false, false)]),
        list(&[record("Complete")]),
    ]);
    let (steps, _) = played(Mode::Shadow, answers).await;
    let expected = ["made", "record", "free", "judged"];
    assert_eq!(steps, expected.map(|id| (id, true)));
}

#[tokio::test(start_paused = true)]
async fn what_is_not_so_ends_it_with_that_step() {
    let mut answers = made();
    answers.extend([
        list(&[record("Pending")]),
        whole(&record("Pending")),
        whole(&daemon_set()),
        list(&[pod("drill-a", false, false)]),
    ]);
    let (steps, _) = played(Mode::Enforce, answers).await;
    assert_eq!(steps, [("made", true), ("record", true), ("gated", false)]);

    let (steps, _) = played(Mode::Enforce, vec![list(&[node("False")])]).await;
    assert_eq!(steps, [("made", false)]);

    let mut answers = made();
    answers.extend((0..70).map(|_| list(&[])));
    let (steps, _) = played(Mode::Enforce, answers).await;
    assert_eq!(steps, [("made", true), ("record", false)]);
}

#[tokio::test(start_paused = true)]
async fn all_that_was_made_is_removed_and_what_is_left_is_told_with_how() {
    let done = || whole(&json!({ "kind": "Status", "metadata": {}, "status": "Success" }));
    let namespace = || whole(&json!({ "metadata": { "name": "weir-drill-1" } }));
    let missing = || refusal(404);
    let server = Server::that([done(), done(), namespace(), missing(), missing(), missing()]);
    assert_eq!(remove(&connection(&server), "weir-drill-1").await, [""; 0]);
    let asked = server.asked();
    assert!(asked[0].contains("DELETE /apis/weir.dev/v1alpha1/rolloutpolicies/weir-drill-1"));
    assert!(asked[1].contains("DELETE /api/v1/namespaces/weir-drill-1"));

    // Nothing was made yet.
    let server = Server::that((0..5).map(|_| missing()));
    assert_eq!(remove(&connection(&server), "weir-drill-1").await, [""; 0]);

    // What was being made when it was broken off comes to be after the first look.
    for late in [[done(), missing()], [missing(), done()], [done(), done()]] {
        let mut answers = vec![missing(), missing(), missing()];
        answers.extend(late);
        answers.extend([missing()]);
        let server = Server::that(answers);
        assert_eq!(remove(&connection(&server), "weir-drill-1").await, [""; 0]);
        let asked = server.asked();
        let deletes = asked.iter().filter(|one| one.starts_with("DELETE"));
        assert_eq!(deletes.count(), 4, "{asked:?}");
    }

    let server = Server::that([refusal(403), refusal(403)]);
    let left = remove(&connection(&server), "weir-drill-1").await;
    assert_eq!(
        left,
        [
            "no: kubectl delete rolloutpolicy weir-drill-1",
            "no: kubectl delete namespace weir-drill-1",
        ]
    );

    // Whoever cannot wait is told what may be left.
    let (never, now) = (std::future::pending(), std::future::ready(()));
    let left = removed_or_left(never, now, "weir-drill-1").await;
    assert_eq!(
        left,
        [
            "interrupted again, perhaps not gone: kubectl delete rolloutpolicy weir-drill-1",
            "interrupted again, perhaps not gone: kubectl delete namespace weir-drill-1",
        ]
    );

    let mut answers = vec![done(), done()];
    answers.extend((0..100).map(|_| namespace()));
    let left = remove(&connection(&Server::that(answers)), "weir-drill-1").await;
    assert!(left[0].contains("still being deleted"), "{left:?}");
}

#[tokio::test(start_paused = true)]
async fn a_drill_that_fails_is_cleaned_up_after_and_says_what_weir_said_last() {
    let mut answers = vec![list(&[])];
    answers.extend((0..5).map(|_| refusal(404)));
    let server = Server::that(answers);
    let (connection, args) = (connection(&server), args());
    let stage = Stage::new(&connection, &args, "weir-drill-1".to_owned(), Mode::Enforce);
    let mut drill = Drill {
        namespace: "weir-drill-1".to_owned(),
        mode: Some(Mode::Enforce),
        success: false,
        steps: Vec::new(),
        left: Vec::new(),
    };
    Box::pin(play(&stage, &args, &mut drill)).await;
    assert_eq!((drill.steps.len(), drill.left.len()), (1, 0));
    let asked = server.asked();
    let deleted = asked.iter().filter(|one| one.starts_with("DELETE")).count();
    assert_eq!(deleted, 4, "{asked:?}");
}
