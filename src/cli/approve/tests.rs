//! What is written, and when it is refused.

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

fn args(width: Option<u32>) -> ApproveArgs {
    ApproveArgs {
        change: ChangeArgs {
            rollout: "logs-5d4f".to_owned(),
            dry_run: DryRun::None,
            output: Output::Text,
        },
        weir: WeirArgs {
            weir_namespace: "weir-system".to_owned(),
            lease_name: "weir".to_owned(),
        },
        reason: "known to be harmless".to_owned(),
        width,
    }
}

fn rollout(state: &str, mode: &str, spec: &Value) -> Value {
    let mut object = json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f", "uid": "g" },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
        },
        "status": { "state": state, "mode": mode, "width": 4, "fullWidth": 200 },
    });
    for (key, value) in spec.as_object().unwrap() {
        object["spec"][key] = value.clone();
    }
    object
}

fn whole(object: &Value) -> Answer {
    Answer::whole(200, object.to_string())
}

/// The order as it is sent.
async fn sent(width: Option<u32>) -> LetThrough {
    let held = rollout("Held", "Enforce", &json!({}));
    let server = Server::that([whole(&held), refusal(403)]);
    drop(order(&connection(&server), &args(width)).await.unwrap_err());
    let patch: Value = serde_json::from_str(&server.said()[1]).unwrap();
    serde_json::from_value(patch["spec"]["letThrough"].clone()).unwrap()
}

#[tokio::test]
async fn an_order_names_its_width_its_time_and_its_reason() {
    let order = sent(None).await;
    assert_eq!(
        (order.width, order.reason.as_str()),
        (200, "known to be harmless")
    );
    let said = told(&order);
    assert!(said.starts_with("up to 200 pods, given 2"), "{said}");
    assert!(said.ends_with("Z (known to be harmless)"), "{said}");
    assert_eq!(sent(Some(10)).await.width, 10);
    assert_eq!(sent(Some(900)).await.width, 200);
}

#[tokio::test]
async fn a_cluster_whose_kinds_are_older_drops_the_order_which_is_told() {
    let held = rollout("Held", "Enforce", &json!({}));
    let server = Server::that([whole(&held), whole(&held)]);
    let error = order(&connection(&server), &args(None)).await.unwrap_err();
    assert_eq!(error.kind().code(), 1);
    assert!(
        error.report().contains("apply the crds/"),
        "{}",
        error.report()
    );
}

#[test]
fn nothing_is_approved_that_is_not_held() {
    let of = |state: &str, mode: &str, asked: Option<u32>| {
        let rollout = serde_json::from_value(rollout(state, mode, &json!({}))).unwrap();
        width(&rollout, asked)
    };
    assert_eq!(of("Held", "Enforce", None).unwrap(), 200);
    assert_eq!(of("Paused", "Enforce", Some(8)).unwrap(), 8);
    for (state, mode, asked) in [
        ("Pending", "Enforce", None),
        ("Paced", "Enforce", None),
        ("Superseded", "Enforce", None),
        ("Held", "Shadow", None),
        ("Soaking", "Enforce", None),
        ("Complete", "Enforce", None),
        ("Held", "Enforce", Some(4)),
    ] {
        let error = of(state, mode, asked).unwrap_err();
        assert_eq!(error.kind().code(), 4, "{state} {mode}");
    }
}

#[test]
fn what_weir_could_not_carry_out_is_not_approved() {
    let mut stuck = rollout("Progressing", "Enforce", &json!({}));
    stuck["status"]["heldBy"] = json!("WriteFailed");
    let mut stranded = rollout("Held", "Observe", &json!({}));
    stranded["status"]["heldBy"] = json!("PodsStranded");
    for (object, why) in [
        (stuck.clone(), "since Weir cannot write"),
        (stranded, "it only reads"),
    ] {
        let error = width(&serde_json::from_value(object).unwrap(), None).unwrap_err();
        assert_eq!(error.kind().code(), 4);
        let report = error.report();
        assert!(
            report.contains(why) && !report.contains("goes on by itself: "),
            "{report}"
        );
    }
    stuck["status"]["state"] = json!("Held");
    let held = serde_json::from_value(stuck).unwrap();
    assert_eq!(
        width(&held, None).unwrap(),
        200,
        "what was found stands besides"
    );
}

#[test]
fn what_harm_keeps_from_beginning_can_be_approved_too() {
    let mut waiting = rollout("Pending", "Enforce", &json!({}));
    waiting["status"]["findings"] = json!([{
        "reason": "LatencyRegressed", "severity": "Hold", "subject": "api-a", "evidence": "400 ms",
        "clearsWhen": "it is fast",
    }]);
    let waiting = serde_json::from_value(waiting).unwrap();
    assert_eq!(width(&waiting, None).unwrap(), 200);
}

#[tokio::test]
async fn an_order_is_given_at_the_api_server_s_time_after_a_trial() {
    let held = rollout("Held", "Enforce", &json!({}));
    let given = json!({ "width": 200, "given": "2020-01-01T00:00:00Z", "reason": "any" });
    let mut kept = rollout("Held", "Enforce", &json!({ "letThrough": given }));
    kept["metadata"]["managedFields"] = json!([
        { "manager": "weir", "operation": "Update", "time": "2031-01-01T00:00:00Z" },
        { "manager": "kubectl-weir", "operation": "Update", "time": "2030-01-01T00:00:00Z" },
    ]);
    let event = whole(&json!({ "metadata": { "name": "e" } }));
    let server = Server::that([
        whole(&held),
        whole(&kept),
        whole(&kept),
        refusal(404),
        event,
    ]);
    let changed = order(&connection(&server), &args(None)).await.unwrap();
    let (asked, said) = (server.asked(), server.said());
    assert!(asked[1].contains("dryRun=All"), "{asked:?}");
    assert!(!asked[2].contains("dryRun"), "{asked:?}");
    assert!(said[2].contains("2030-01-01T00:00:00Z"), "{}", said[2]);
    assert!(
        changed.changes[0]
            .after
            .contains("given 2030-01-01T00:00:00Z"),
        "{changed:?}"
    );
}

#[tokio::test]
async fn that_nobody_is_there_to_carry_it_out_is_said() {
    let lease = |renewed: &str| {
        whole(&json!({
            "metadata": { "name": "weir" },
            "spec": { "holderIdentity": "weir-1", "leaseDurationSeconds": 40, "renewTime": renewed },
        }))
    };
    let said = async |answer: Answer| {
        let server = Server::that([answer]);
        silence(&connection(&server), &args(None).weir).await
    };
    assert!(said(lease("2020-01-01T00:00:00.000000Z")).await.is_some());
    assert!(said(refusal(404)).await.is_some());
    assert_eq!(said(lease("2100-01-01T00:00:00.000000Z")).await, None);
    assert_eq!(said(refusal(403)).await, None);
}
