//! Objects are ones of kube-apiserver 1.36.3, less what is not decoded. Times are seconds after
//! [`T0`], and so are the moments of the tests.

use serde_json::{Value, json};

use super::*;
use crate::observe::watches::slim::Slim;

/// 2026-11-21T21:37:00Z
const T0: u64 = 1_795_297_020_000;

fn at(seconds: u64) -> Moment {
    Moment::from_millis(T0 + seconds * 1000)
}

fn pod(spec: &Value, status: &Value) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Pod",
        "metadata": {
            "annotations": { "weir.dev/revision": "x.y" },
            "creationTimestamp": "2026-11-21T21:37:20Z", "generateName": "logs-",
            "labels": { "app": "logs", "controller-revision-hash": "6b878747f8" },
            "name": "logs-jchzx", "namespace": "default", "resourceVersion": "245",
            "uid": "ffd7a53d-8f76-4c7d-b77d-43ffc99e7ee9"
        },
        "spec": spec, "status": status
    })
}

fn affinity() -> Value {
    json!({ "nodeAffinity": { "requiredDuringSchedulingIgnoredDuringExecution": {
        "nodeSelectorTerms": [{ "matchFields": [
            { "key": "metadata.name", "operator": "In", "values": ["node-2"] }
        ] }]
    } } })
}

fn gated() -> Value {
    let gates = json!([{ "name": "example.com/other" }, { "name": "weir.dev/gate" }]);
    let blocked = json!({
        "lastProbeTime": null, "lastTransitionTime": "2026-11-21T21:37:20Z",
        "reason": "SchedulingGated", "status": "False", "type": "PodScheduled"
    });
    pod(
        &json!({ "affinity": affinity(), "schedulingGates": gates, "containers": [] }),
        &json!({ "conditions": [blocked], "phase": "Pending", "qosClass": "BestEffort" }),
    )
}

fn released() -> Value {
    pod(
        &json!({ "affinity": affinity() }),
        &json!({ "phase": "Pending" }),
    )
}

/// On its node, with these containers; ready or not since 21:37:40.
fn placed(ready: bool, containers: &Value) -> Value {
    let ready = if ready { "True" } else { "False" };
    pod(
        &json!({ "affinity": affinity(), "nodeName": "node-2" }),
        &json!({
            "conditions": [
                { "lastTransitionTime": "2026-11-21T21:37:40Z", "status": ready, "type": "Ready" },
                { "lastTransitionTime": "2026-11-21T21:37:25Z", "status": "True",
                  "type": "PodScheduled" }
            ],
            "containerStatuses": containers, "phase": "Running"
        }),
    )
}

fn running(restarts: u32) -> Value {
    json!([{
        "name": "c", "image": "nginx", "imageID": "", "ready": true, "restartCount": restarts,
        "state": { "running": { "startedAt": "2026-11-21T21:37:30Z" } }, "lastState": {}
    }])
}

/// As a kubelet writes it after the third kill for memory, at 21:40:10.
fn crash_looping() -> Value {
    json!([{
        "name": "c", "image": "nginx", "imageID": "", "ready": false, "restartCount": 3,
        "state": { "waiting": { "reason": "CrashLoopBackOff", "message": "back-off 40s" } },
        "lastState": { "terminated": {
            "exitCode": 137, "reason": "OOMKilled",
            "startedAt": "2026-11-21T21:40:00Z", "finishedAt": "2026-11-21T21:40:10Z"
        } }
    }])
}

fn read(object: &Value, now: Moment, before: Option<&PodView>) -> PodView {
    let slim: Slim<Pods> = serde_json::from_str(&object.to_string()).unwrap();
    let seen = Seen { now, before };
    Pods.row(&slim.meta, slim.body.unwrap(), seen)
        .unwrap()
        .expect("every pod is of interest")
}

fn state(object: &Value) -> PodState {
    read(object, at(3600), None).row.state
}

/// Most updates of a pod change nothing that is kept, and then the rows are shared.
#[test]
fn an_update_of_what_is_not_kept_leaves_the_row_as_it_was() {
    let before = gated();
    let mut after = before.clone();
    after["metadata"]["resourceVersion"] = "246".into();
    after["metadata"]["annotations"]["someone/else"] = "was here".into();
    assert_eq!(read(&before, at(60), None), read(&after, at(60), None));
}

#[test]
fn a_gated_pod_knows_the_node_that_it_was_made_for() {
    let view = read(&gated(), at(60), None);
    assert_eq!(view.row.state, PodState::Gated);
    assert_eq!(view.row.node, "node-2");
    assert!(view.row.born_gated);
    assert_eq!(view.revision, "6b878747f8");
    assert!(!view.deleting);
}

#[test]
fn others_gates_are_not_ours() {
    let mut object = gated();
    object["spec"]["schedulingGates"] = json!([{ "name": "example.com/other" }]);
    assert_eq!(state(&object), PodState::Unscheduled);
}

#[test]
fn states_follow_placing_and_readiness() {
    assert_eq!(state(&released()), PodState::Unscheduled);
    assert_eq!(state(&placed(false, &running(0))), PodState::Starting);
    assert_eq!(state(&placed(true, &running(0))), PodState::Ready);
}

#[test]
fn it_is_known_when_a_pod_was_placed_whatever_it_does_since() {
    assert_eq!(read(&gated(), at(3600), None).row.placed, None);
    for ready in [false, true] {
        let view = read(&placed(ready, &running(0)), at(3600), None);
        assert_eq!(view.row.placed, Some(at(25)));
    }
}

#[test]
fn a_pod_that_no_policy_touched_was_not_born_gated() {
    let mut object = placed(true, &running(0));
    object["metadata"]["annotations"] = json!({ "weir.dev/other": "x" });
    object["metadata"]["labels"] = Value::Null;
    let view = read(&object, at(60), None);
    assert!(!view.row.born_gated);
    assert_eq!(view.revision, "");
}

#[test]
fn a_pod_without_a_node_in_sight_has_none() {
    let object = pod(&json!({ "affinity": { "podAffinity": {} } }), &json!({}));
    assert_eq!(read(&object, at(60), None).row.node, "");
}

#[test]
fn ended_and_crashing_pods_fail() {
    for phase in ["Failed", "Succeeded"] {
        let mut object = placed(false, &Value::Null);
        object["status"]["phase"] = phase.into();
        assert_eq!(state(&object), PodState::Failing, "{phase}");
    }
    assert_eq!(state(&placed(false, &crash_looping())), PodState::Failing);
    let mut killed = running(0);
    killed[0]["state"] = json!({ "terminated": { "exitCode": 137, "reason": "OOMKilled" } });
    assert_eq!(state(&placed(false, &killed)), PodState::Failing);
}

#[test]
fn an_init_container_that_has_done_its_work_is_no_failure() {
    let mut object = placed(false, &Value::Null);
    let done = json!([{ "restartCount": 0, "state": { "terminated": { "exitCode": 0 } } }]);
    object["status"]["initContainerStatuses"] = done;
    assert_eq!(state(&object), PodState::Starting);
    object["status"]["initContainerStatuses"][0]["state"]["terminated"]["exitCode"] = 1.into();
    assert_eq!(state(&object), PodState::Failing);
}

#[test]
fn a_restart_that_is_seen_counts_for_ten_minutes_and_is_then_forgiven() {
    let healthy = read(&placed(true, &running(0)), at(60), None);
    let restarted = read(&placed(true, &running(1)), at(100), Some(&healthy));
    assert_eq!(
        (restarted.row.state, restarted.row.since),
        (PodState::Failing, at(100))
    );

    let later = read(&placed(true, &running(1)), at(400), Some(&restarted));
    assert_eq!(
        (later.row.state, later.row.since),
        (PodState::Failing, at(100))
    );
    assert_eq!(Pods.aged(&later, at(699)), None);
    let forgiven = Pods.aged(&later, at(700)).unwrap();
    assert_eq!(
        (forgiven.row.state, forgiven.row.since),
        (PodState::Ready, at(700))
    );
    assert_eq!(Pods.aged(&forgiven, at(701)), None);
}

#[test]
fn a_pod_that_crashes_still_is_never_forgiven() {
    let view = read(&placed(false, &crash_looping()), at(200), None);
    assert_eq!(Pods.aged(&view, at(100_000)), None);
}

#[test]
fn restarts_before_the_first_look_count_from_when_the_kubelet_saw_them() {
    let view = read(&placed(true, &crash_looping()), at(200), None);
    assert_eq!(view.restarts.last, Some(at(190)));
    assert_eq!(view.row.since, at(190));
    let long_ago = read(&placed(true, &running(3)), at(200), None);
    assert_eq!(long_ago.restarts.last, Some(at(200)), "nobody knows when");
}

#[test]
fn a_kubelet_s_clock_that_is_ahead_makes_nothing_later_than_now() {
    let view = read(&placed(true, &crash_looping()), at(30), None);
    assert_eq!((view.restarts.last, view.row.since), (Some(at(30)), at(30)));
}

#[test]
fn since_is_when_weir_saw_the_change() {
    let first = read(&gated(), at(100), None);
    let again = read(&gated(), at(110), Some(&first));
    assert_eq!(again.row.since, first.row.since);
    let released = read(&released(), at(120), Some(&again));
    assert_eq!(released.row.since, at(120));
}

#[test]
fn since_is_what_others_wrote_when_weir_was_not_there() {
    let since = |object: &Value| read(object, at(100), None).row.since;
    assert_eq!(since(&gated()), at(20));
    assert_eq!(since(&placed(false, &running(0))), at(25));
    assert_eq!(since(&placed(true, &running(0))), at(40));
    assert_eq!(
        since(&released()),
        at(100),
        "when a gate was removed is written nowhere"
    );
}

#[test]
fn another_pod_of_the_same_name_starts_anew() {
    let before = read(&placed(true, &running(5)), at(50), None);
    let mut object = placed(true, &running(0));
    object["metadata"]["uid"] = "another".into();
    let after = read(&object, at(3600), Some(&before));
    assert_eq!(
        (after.row.state, after.restarts.last),
        (PodState::Ready, None)
    );
}

#[test]
fn a_pod_that_is_being_deleted_says_so() {
    let mut object = placed(true, &running(0));
    object["metadata"]["deletionTimestamp"] = "2026-11-21T21:40:00Z".into();
    assert!(read(&object, at(60), None).deleting);
}
