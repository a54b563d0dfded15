//! What is asked for, in which order, and when it is refused.

use serde_json::{Value, json};

use super::*;
use crate::client::fake::{Answer, Server};

fn args(release_held: bool, deployment: Option<&str>) -> UninstallArgs {
    UninstallArgs {
        release_held,
        deployment: deployment.map(ToOwned::to_owned),
        namespace: "weir-system".to_owned(),
        lease_name: "weir".to_owned(),
        rate: 10,
    }
}

fn whole(object: &Value) -> Answer {
    Answer::whole(200, object.to_string())
}

fn list(items: &[Value]) -> Answer {
    whole(&json!({ "metadata": {}, "items": items }))
}

fn refusal(code: u16) -> Answer {
    let status = json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code });
    Answer::whole(code, status.to_string())
}

fn done() -> Answer {
    whole(&json!({ "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Success" }))
}

fn rollout(state: &str, mode: &str) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f" },
        "spec": { "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f" },
        "status": { "state": state, "mode": mode, "heldBy": "LatencyRegressed" },
    })
}

fn lease(renewed: &str) -> Answer {
    whole(&json!({
        "metadata": { "name": "weir" },
        "spec": { "holderIdentity": "weir-1", "leaseDurationSeconds": 40, "renewTime": renewed },
    }))
}

fn pods(names: &[&str]) -> Answer {
    let pod = |name: &&str| {
        json!({
            "metadata": { "namespace": "shop", "name": name },
            "spec": { "containers": [], "schedulingGates": [{ "name": "weir.dev/gate" }] },
        })
    };
    list(&names.iter().map(pod).collect::<Vec<_>>())
}

async fn ended(server: &Server, args: &UninstallArgs) -> Result<Removal, UninstallError> {
    let steps = Steps {
        client: server.client(),
        releases: server.client(),
        clock: Clock::start(),
        args,
    };
    steps.take().await
}

#[tokio::test]
async fn while_something_is_held_it_is_refused_with_what_to_do() {
    let server = Server::that([list(&[rollout("Held", "Enforce")])]);
    let error = ended(&server, &args(false, None)).await.unwrap_err();
    assert_eq!(error.code(), 4);
    assert_eq!(
        error.report(),
        "error: 1 rollout is held: shop/logs-5d4f by LatencyRegressed. Removing Weir would let all of it \
         through at once.\nUndo these rollouts first, or say that they may run: --release-held=true (Helm: \
         --set uninstall.releaseHeld=true)"
    );
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn while_weir_is_at_work_it_is_refused() {
    let server = Server::that([
        list(&[rollout("Held", "Shadow")]),
        lease("2100-01-01T00:00:00.000000Z"),
    ]);
    let error = ended(&server, &args(false, None)).await.unwrap_err();
    assert_eq!(error.code(), 4);
    assert!(
        error.report().contains("weir-1 holds its lease"),
        "{}",
        error.report()
    );
}

/// All answers from the first removal on.
fn removal() -> Vec<Answer> {
    vec![
        done(),
        done(),
        done(),
        list(&[
            json!({ "metadata": { "name": "weir-meter-shop.logs" } }),
            json!({ "metadata": { "name": "others" } }),
        ]),
        done(),
        pods(&["a", "b"]),
        whole(&json!({ "metadata": { "name": "a" } })),
        whole(&json!({ "metadata": { "name": "b" } })),
        pods(&[]),
        pods(&[]),
        done(),
        done(),
        done(),
        refusal(404),
        list(&[json!({ "metadata": { "name": "careful" }, "spec": {} })]),
    ]
}

#[tokio::test(start_paused = true)]
async fn all_that_weir_made_is_removed_and_told() {
    let mut answers = vec![
        list(&[rollout("Held", "Enforce")]),
        lease("2020-01-01T00:00:00.000000Z"),
    ];
    answers.extend(removal());
    let server = Server::that(answers);
    let removal = ended(&server, &args(true, None)).await.unwrap();
    assert_eq!(
        removal.removed,
        [
            "MutatingAdmissionPolicyBinding weir-gate-namespaces",
            "MutatingAdmissionPolicyBinding weir-gate-templates",
            "Role weir-approved",
            "FlowSchema weir-meter-shop.logs",
            "the gates of 2 pods",
            "GuardedRollout shop/logs-5d4f",
            "ControlPlane cluster",
            "Lease weir",
        ]
    );
    assert_eq!(removal.failed, [""; 0]);
    assert!(
        removal.to_string().contains("left: 1 RolloutPolicies"),
        "{removal}"
    );
}

#[tokio::test(start_paused = true)]
async fn the_operator_is_ended_first_and_waited_for() {
    let replicas = |number: u32| whole(&json!({ "status": { "replicas": number } }));
    let mut answers = vec![list(&[]), whole(&json!({ "metadata": { "name": "weir" } }))];
    answers.extend([replicas(2), replicas(0)]);
    answers.extend(removal());
    let server = Server::that(answers);
    let removal = ended(&server, &args(false, Some("weir"))).await.unwrap();
    assert_eq!(removal.removed[0], "all replicas of Deployment weir");
    assert_eq!(server.said()[1], r#"{"spec":{"replicas":0}}"#);
    assert!(
        server.asked()[1].contains("/deployments/weir/scale"),
        "{:?}",
        server.asked()
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_and_does_not_stop_the_rest() {
    let mut answers = vec![list(&[]), refusal(404), refusal(403)];
    answers.extend(removal().into_iter().skip(1));
    let server = Server::that(answers);
    let removal = ended(&server, &args(false, None)).await.unwrap();
    assert_eq!(
        removal.failed,
        ["MutatingAdmissionPolicyBinding weir-gate-namespaces: no"]
    );
    assert!(removal.removed.contains(&"the gates of 2 pods".to_owned()));
}
