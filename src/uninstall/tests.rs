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
        timeout: 270,
        advice: None,
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
        begun: Duration::ZERO,
        args,
    };
    steps.take().await
}

fn scale(replicas: u32) -> Answer {
    whole(&json!({
        "metadata": { "name": "weir" }, "spec": { "replicas": 2 },
        "status": { "replicas": replicas, "selector": "app.kubernetes.io/component=operator" },
    }))
}

/// The operator's pods.
fn replicas(number: usize) -> Answer {
    let pod = json!({
        "metadata": {
            "namespace": "weir-system", "name": "weir-1",
            "ownerReferences": [{
                "apiVersion": "apps/v1", "kind": "ReplicaSet", "name": "weir", "uid": "r",
            }],
        },
        "status": { "phase": "Running" },
    });
    let job = json!({
        "metadata": {
            "namespace": "weir-system", "name": "weir-uninstall",
            "ownerReferences": [{
                "apiVersion": "batch/v1", "kind": "Job", "name": "weir-uninstall", "uid": "j",
            }],
        },
    });
    let mut all = vec![job];
    all.extend((0..number).map(|_| pod.clone()));
    list(&all)
}

const LEADING: &str = "2100-01-01T00:00:00.000000Z";
const LEFT: &str = "2020-01-01T00:00:00.000000Z";

#[tokio::test]
async fn while_something_is_held_it_is_refused_with_what_to_do() {
    let server = Server::that([list(&[rollout("Held", "Enforce")]), pods(&[])]);
    let error = ended(&server, &args(false, None)).await.unwrap_err();
    assert_eq!(error.code(), 4);
    assert_eq!(
        error.report(),
        "error: held at the valve: shop/logs-5d4f by LatencyRegressed. Removing Weir would let all of it \
         through. What holds a rollout `kubectl get guardedrollouts -A` shows, and why `kubectl weir explain \
         ROLLOUT -n NAMESPACE`.\nUndo these rollouts first, or say that they may run: \
         `--release-held=true`."
    );
    assert_eq!(server.asked().len(), 2);
}

#[tokio::test]
async fn who_runs_it_may_say_how_consent_is_given() {
    let mut args = args(false, None);
    args.advice = Some("Write it on the door.".to_owned());
    let server = Server::that([list(&[rollout("Held", "Enforce")]), pods(&[])]);
    let report = ended(&server, &args).await.unwrap_err().report();
    assert!(report.ends_with("\nWrite it on the door."), "{report}");
    assert!(!report.contains("--release-held"), "{report}");
}

#[tokio::test]
async fn pods_that_no_rollout_lets_through_are_held_too() {
    let server = Server::that([list(&[]), pods(&["a", "b"])]);
    let error = ended(&server, &args(false, None)).await.unwrap_err();
    assert_eq!(error.code(), 4);
    let report = error.report();
    assert!(
        report.contains("2 gated pods in shop without a rollout"),
        "{report}"
    );
}

#[tokio::test]
async fn while_weir_is_at_work_it_is_refused() {
    for (begun, said) in [
        (vec![lease(LEADING)], "weir-1 holds its lease"),
        (
            vec![lease(LEFT), replicas(1)],
            "1 pods of it are in namespace weir-system",
        ),
    ] {
        let mut answers = vec![list(&[rollout("Held", "Shadow")]), pods(&[])];
        answers.extend(begun);
        let error = ended(&Server::that(answers), &args(false, None)).await;
        let error = error.unwrap_err();
        assert_eq!(error.code(), 4);
        assert!(error.report().contains(said), "{}", error.report());
    }
}

/// Answers until the operator is known to have ended by itself, and nothing is held.
fn idle() -> Vec<Answer> {
    vec![
        list(&[]),
        pods(&[]),
        lease(LEFT),
        replicas(0),
        list(&[]),
        pods(&[]),
    ]
}

/// All answers from the first removal on.
fn removal() -> Vec<Answer> {
    vec![
        done(),
        done(),
        done(),
        pods(&["a", "b"]),
        whole(&json!({ "metadata": { "name": "a" } })),
        whole(&json!({ "metadata": { "name": "b" } })),
        pods(&[]),
        pods(&[]),
        list(&[
            json!({ "metadata": { "name": "weir-meter-shop.logs" } }),
            json!({ "metadata": { "name": "others" } }),
        ]),
        done(),
        done(),
        done(),
        done(),
        refusal(404),
        list(&[json!({ "metadata": { "name": "careful" }, "spec": {} })]),
    ]
}

#[tokio::test(start_paused = true)]
async fn all_that_weir_made_is_removed_and_told() {
    let held = || list(&[rollout("Held", "Enforce")]);
    let mut answers = vec![held(), lease(LEFT), replicas(0), held()];
    answers.extend(removal());
    let server = Server::that(answers);
    let removal = ended(&server, &args(true, None)).await.unwrap();
    assert_eq!(
        removal.removed,
        [
            "MutatingAdmissionPolicyBinding weir-gate-namespaces",
            "MutatingAdmissionPolicyBinding weir-gate-templates",
            "Role weir-approved",
            "the gates of 2 pods",
            "FlowSchema weir-meter-shop.logs",
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
async fn the_operator_has_ended_once_its_pods_are_gone_and_its_lease_is_free() {
    let mut answers = vec![list(&[]), pods(&[]), scale(2), scale(2)];
    for (counted, pods, renewed) in [(2, 2, LEADING), (0, 1, LEADING), (0, 0, LEADING)] {
        answers.extend([scale(counted), replicas(pods), lease(renewed)]);
    }
    for _ in 0..2 {
        answers.extend([scale(0), replicas(0), lease(LEFT)]);
    }
    answers.extend([list(&[]), pods(&[])]);
    answers.extend(removal());
    let server = Server::that(answers);
    let removal = ended(&server, &args(false, Some("weir"))).await.unwrap();
    assert_eq!(removal.removed[0], "all replicas of Deployment weir");
    assert_eq!(server.said()[3], r#"{"spec":{"replicas":0}}"#);
    let asked = server.asked();
    assert!(asked[3].contains("/deployments/weir/scale"), "{asked:?}");
    assert!(
        asked[5].contains("app.kubernetes.io%2Fcomponent%3Doperator")
            || asked[5].contains("app.kubernetes.io/component%3Doperator"),
        "{asked:?}"
    );
}

#[tokio::test]
async fn a_deployment_that_is_not_there_does_not_show_that_weir_has_ended() {
    let answers = [list(&[]), pods(&[]), refusal(404), lease(LEADING)];
    let server = Server::that(answers);
    let error = ended(&server, &args(false, Some("wier")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), 4);
    assert!(
        error.report().contains("weir-1 holds its lease"),
        "{}",
        error.report()
    );
}

#[tokio::test(start_paused = true)]
async fn what_came_to_be_held_while_the_operator_ended_refuses_it_and_brings_it_back() {
    let mut answers = vec![list(&[]), pods(&[]), scale(2), scale(2)];
    for _ in 0..2 {
        answers.extend([scale(0), replicas(0), lease(LEFT)]);
    }
    answers.extend([list(&[rollout("Held", "Enforce")]), pods(&["a"]), scale(2)]);
    let server = Server::that(answers);
    let error = ended(&server, &args(false, Some("weir")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), 4);
    let report = error.report();
    for said in [
        "shop/logs-5d4f by LatencyRegressed",
        "the operator runs again (2 replicas)",
    ] {
        assert!(report.contains(said), "{said}: {report}");
    }
    let said = server.said();
    assert_eq!(said.last().unwrap(), r#"{"spec":{"replicas":2}}"#);
}

#[tokio::test(start_paused = true)]
async fn an_operator_that_does_not_end_is_brought_back_and_told() {
    let mut answers = vec![list(&[]), pods(&[]), scale(2), scale(2)];
    for _ in 0..70 {
        answers.extend([scale(0), replicas(1), lease(LEFT)]);
    }
    // Nobody answers the rest.
    answers.truncate(4 + 3 * 62);
    answers.push(refusal(403));
    let server = Server::that(answers);
    let error = ended(&server, &args(false, Some("weir")))
        .await
        .unwrap_err();
    assert_eq!(error.code(), 4);
    let report = error.report();
    assert!(report.contains("1 pods are there"), "{report}");
    assert!(
        report.contains("kubectl scale deployment weir -n weir-system --replicas=2"),
        "{report}"
    );
}

#[tokio::test(start_paused = true)]
async fn what_is_refused_is_told_and_the_records_stay_until_all_is_open() {
    let mut answers = idle();
    answers.push(refusal(403));
    answers.extend(removal().into_iter().skip(1).take(9));
    answers.push(list(&[]));
    let server = Server::that(answers);
    let removal = ended(&server, &args(false, None)).await.unwrap();
    assert_eq!(
        removal.failed,
        ["MutatingAdmissionPolicyBinding weir-gate-namespaces: no"]
    );
    assert!(removal.removed.contains(&"the gates of 2 pods".to_owned()));
    assert!(removal.left[0].starts_with("GuardedRollouts"), "{removal}");
    assert!(
        !server
            .asked()
            .iter()
            .any(|asked| asked.contains("DELETE /apis/weir.dev"))
    );
}

/// What is told where gates are left, after these answers to the looks for them.
async fn with_gates_left(looks: Vec<Answer>) -> (Removal, Vec<String>) {
    let mut answers = idle();
    answers.extend([done(), done(), done()]);
    answers.extend(looks);
    let server = Server::that(answers);
    let removal = ended(&server, &args(false, None)).await.unwrap();
    assert!(removal.left[0].starts_with("GuardedRollouts"), "{removal}");
    assert!(
        removal.to_string().contains("run it again to go on"),
        "{removal}"
    );
    (removal, server.asked())
}

#[tokio::test(start_paused = true)]
async fn without_the_right_to_release_it_ends_after_one_look_and_keeps_the_records() {
    let looks = vec![
        pods(&["a", "b"]),
        refusal(403),
        refusal(403),
        list(&[]),
        list(&[]),
    ];
    let (removal, asked) = with_gates_left(looks).await;
    assert_eq!(
        removal.failed,
        [
            "gates of 2 pods, none of which could be removed",
            "the gate of pod shop/a: no",
            "the gate of pod shop/b: no",
        ]
    );
    let deleted = asked
        .iter()
        .filter(|asked| asked.starts_with("DELETE"))
        .count();
    assert_eq!(deleted, 3, "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_list_that_fails_is_asked_for_again() {
    let mut answers = idle();
    let mut rest = removal();
    rest.insert(3, refusal(429));
    answers.extend(rest);
    let removal = ended(&Server::that(answers), &args(false, None))
        .await
        .unwrap();
    assert_eq!(removal.failed, [""; 0]);
    assert!(removal.removed.contains(&"the gates of 2 pods".to_owned()));

    let looks = vec![
        refusal(500),
        refusal(500),
        refusal(500),
        list(&[]),
        list(&[]),
    ];
    let (removal, _) = with_gates_left(looks).await;
    assert!(
        removal.failed[0].starts_with("gates of pods, which could not be listed"),
        "{removal}"
    );
}

#[tokio::test(start_paused = true)]
async fn time_that_runs_out_is_told_with_how_to_go_on() {
    // One pod is born again and again.
    let mut looks = Vec::new();
    for _ in 0..140 {
        looks.extend([pods(&["a"]), whole(&json!({ "metadata": { "name": "a" } }))]);
    }
    looks.truncate(2 * 135);
    looks.extend([list(&[]), list(&[])]);
    let (removal, _) = with_gates_left(looks).await;
    assert_eq!(
        removal.failed,
        ["gates of pods, 1 of them at the last look: time ran out after 270 s"]
    );
}

#[tokio::test(start_paused = true)]
async fn releases_go_faster_while_the_api_server_keeps_up() {
    let names: Vec<String> = (0..400).map(|number| format!("p{number:03}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let mut answers = idle();
    answers.extend([done(), done(), done(), pods(&names)]);
    answers.extend((0..400).map(|_| whole(&json!({ "metadata": { "name": "p" } }))));
    answers.extend([pods(&[]), pods(&[])]);
    answers.extend(removal().into_iter().skip(8));
    let server = Server::that(answers);
    let begun = tokio::time::Instant::now();
    let mut args = args(false, None);
    args.rate = 50;
    let removal = ended(&server, &args).await.unwrap();
    assert_eq!(removal.failed, [""; 0]);
    // At 10 a second it would be 40 s.
    assert!(
        begun.elapsed() < Duration::from_secs(25),
        "{:?}",
        begun.elapsed()
    );
}

#[test]
fn the_environment_that_a_hook_s_job_sets_is_understood() {
    let command = UninstallArgs::augment_args(clap::Command::new("weir"));
    let arguments = command.get_arguments();
    let known: Vec<&str> = arguments
        .filter_map(|one| one.get_env()?.to_str())
        .collect();
    let job = include_str!("../../charts/weir/templates/uninstall.yaml");
    let set: Vec<&str> = job
        .lines()
        .filter_map(|line| line.trim().strip_prefix("- name: WEIR_"))
        // All of Weir's commands take it.
        .filter(|name| *name != "LOG")
        .collect();
    assert!(set.contains(&"RELEASE_HELD"), "{set:?}");
    // And what docs/reference/plugin.md says can be set by hand.
    for name in set
        .into_iter()
        .chain(["DEPLOYMENT", "LEASE_NAME", "TIMEOUT"])
    {
        let name = format!("WEIR_{name}");
        assert!(known.contains(&name.as_str()), "{name}: {known:?}");
    }
}
