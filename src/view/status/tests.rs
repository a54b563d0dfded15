//! Screens as they are seen, and what counts as trouble.

use serde_json::{Value, json};
use weir_core::time::Moment;

use super::*;

/// 2026-11-21T10:00:00Z.
const NOW: Moment = Moment::from_millis(1_795_255_200_000);

fn found<T: serde::de::DeserializeOwned>(value: Value) -> Answer<T> {
    Answer::Found(serde_json::from_value(value).unwrap())
}

fn lease(renewed: &str) -> Answer<Lease> {
    found(json!({
        "metadata": { "name": "weir" },
        "spec": {
            "holderIdentity": "weir-7d9f",
            "leaseDurationSeconds": 40,
            "renewTime": renewed,
        },
    }))
}

fn control_plane(servers: &Value) -> Answer<ControlPlane> {
    found(json!({
        "metadata": { "name": "cluster" },
        "spec": {},
        "status": {
            "mode": "Enforce", "version": "0.1.0", "expectedServers": 2, "servers": servers,
            "conditions": [gating("True", "InForce", "they come back gated")],
        },
    }))
}

fn gating(status: &str, reason: &str, message: &str) -> Value {
    json!({
        "type": "Gating", "status": status, "reason": reason, "message": message,
        "lastTransitionTime": "2026-11-21T09:00:00Z",
    })
}

fn quiet_servers() -> Value {
    json!([
        { "address": "10.0.0.1:6443", "state": "Quiet", "latencyMs": 4, "usualLatencyMs": 3 },
        { "address": "10.0.0.12:6443", "state": "Quiet", "latencyMs": 5 },
    ])
}

fn rollout(name: &str, status: &Value) -> GuardedRollout {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "creationTimestamp": "2026-11-21T09:48:00Z",
        },
        "spec": { "workload": { "kind": "DaemonSet", "name": name, "uid": "u" }, "revision": "r" },
        "status": status,
    }))
    .unwrap()
}

fn page(rollouts: impl Into<Vec<GuardedRollout>>) -> Answer<Page> {
    Answer::Found(Page {
        rollouts: rollouts.into(),
        beyond: 0,
    })
}

fn held() -> GuardedRollout {
    let finding = |reason: &str, severity: &str| {
        json!({
            "reason": reason,
            "severity": severity,
            "subject": "10.0.0.1:6443",
            "evidence": "median 310 ms, usually 4 ms",
            "clearsWhen": "it is below 100 ms for 10 s",
        })
    };
    let status = json!({
        "state": "Held", "mode": "Enforce", "width": 12, "fullWidth": 200, "wave": 3,
        "nodesWithoutPod": 2,
        "summary": "held at 12 of 200",
        "findings": [
            finding("LatencyRegressed", "Hold"),
            finding("QueueSaturated", "Hold"),
            finding("Rejecting", "Hold"),
            finding("PodsLeaked", "Notice"),
        ],
        "findingsOmitted": 4,
    });
    rollout("logs-5d4f", &status)
}

fn soaking() -> GuardedRollout {
    let status = json!({
        "state": "Soaking", "mode": "Shadow", "width": 40, "fullWidth": 200, "wave": 4,
        "summary": "soaking at 40 of 200: 20 s of 60 s",
    });
    rollout("metrics-77c9", &status)
}

fn complete() -> GuardedRollout {
    let status = json!({ "state": "Complete", "width": 9, "fullWidth": 9, "wave": 6 });
    rollout("agent-1", &status)
}

fn plain(status: &Status, detail: Detail) -> String {
    anstream::adapter::strip_str(&render(status, detail)).to_string()
}

#[test]
fn a_quiet_cluster_lets_one_go_home() {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([complete(), soaking()]),
        lease: lease("2026-11-21T09:59:55.500000Z"),
    };
    let status = summarize(answers, NOW);
    assert_eq!(status.trouble, [""; 0]);
    assert_eq!(
        plain(&status, Detail::Screen),
        "\
API SERVERS  2 of 2 seen
  10.0.0.1:6443   Quiet  4 ms, usually 3 ms
  10.0.0.12:6443  Quiet  5 ms

ROLLOUTS  1 in flight, 0 held, 1 complete
  NAMESPACE  NAME          STATE    WIDTH   WAVE  MODE    AGE
  shop       metrics-77c9  Soaking  40/200  4     Shadow  12m
      soaking at 40 of 200: 20 s of 60 s

WEIR  Running, version 0.1.0, mode Enforce, gate in force, leader weir-7d9f, lease renewed 4s ago

Nothing is wrong.
"
    );
}

fn of_rollouts(rollouts: impl Into<Vec<GuardedRollout>>) -> Status {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page(rollouts),
        lease: lease("2026-11-21T09:59:55.500000Z"),
    };
    summarize(answers, NOW)
}

#[test]
fn what_weir_cannot_write_or_let_through_is_trouble_whatever_the_state_says() {
    let of = |name: &str, state: &str, mode: &str, by: &str| {
        let status = json!({
            "state": state, "mode": mode, "heldBy": by, "width": 1, "fullWidth": 9,
            "summary": format!("The summary of {name}."),
            "findings": [{
                "reason": "NodesLost", "severity": "Hold", "subject": "n", "evidence": "e", "clearsWhen": "c",
            }],
        });
        rollout(name, &status)
    };
    let status = of_rollouts([
        of("a", "Progressing", "Enforce", "WriteFailed"),
        of("b", "Complete", "Enforce", "WriteFailed"),
        of("c", "Held", "Observe", "PodsStranded"),
        of("d", "Held", "Shadow", "NodesLost"),
    ]);
    assert_eq!(
        status.trouble,
        [
            "rollout shop/a is held, since Weir cannot write (WriteFailed)",
            "rollout shop/b is held, since Weir cannot write (WriteFailed)",
            "rollout shop/c is held: Weir may not let its gated pods through (PodsStranded)",
            "rollout shop/d would be held, if it were enforced",
        ]
    );
    assert_eq!(under_way(&status).len(), 4);
    assert!(line(&status).starts_with("4 in flight, 4 held, 0 complete"));
    let shown = plain(&status, Detail::Screen);
    assert!(shown.contains("4 in flight, 4 held, 0 complete"), "{shown}");
    assert!(shown.contains("The summary of c."), "{shown}");
}

#[test]
fn how_fast_a_budget_is_spent_is_shown_where_that_is_too_fast() {
    let server = |address: &str, burn: Value, why: Option<&str>| json!({ "address": address, "state": "Quiet", "latencyMs": 4, "burn": burn, "why": why });
    let burn = |pace: Option<&str>| {
        json!({
            "fiveMinutes": 0.0, "halfHour": 7.5, "hour": 3.0, "sixHours": 6.5, "threeDays": 0.9,
            "tooFast": pace,
        })
    };
    let answers = Answers {
        control_plane: control_plane(&json!([
            server("10.0.0.1:6443", burn(Some("Slow")), None),
            server("10.0.0.2:6443", burn(None), None),
            server(
                "10.0.0.3:6443",
                burn(Some("Fast")),
                Some("BurnFast (10.0.0.3:6443): bad")
            ),
        ])),
        rollouts: page(Vec::new()),
        lease: lease("2026-11-21T09:59:55.500000Z"),
    };
    let shown = plain(&summarize(answers, NOW), Detail::Screen);
    assert!(
        shown.contains(
            "10.0.0.1:6443  Quiet  4 ms  spends its error budget 6.5 times too fast over 6h, 7.5 over 30m\n"
        ),
        "{shown}"
    );
    assert!(shown.contains("10.0.0.2:6443  Quiet  4 ms\n"), "{shown}");
    assert!(
        shown.contains("4 ms  BurnFast (10.0.0.3:6443): bad\n"),
        "{shown}"
    );
}

#[test]
fn what_others_wrote_neither_forges_a_line_nor_moves_the_cursor() {
    let mut held = held();
    let status = held.status.as_mut().unwrap();
    status.findings[0].evidence = "slow\n\nNothing is wrong.\x1b[8m\x1b[2J".to_owned();
    let status = of_rollouts([held]);
    let shown = render(&status, Detail::Screen);
    assert!(
        shown.contains("slow  Nothing is wrong.^[[8m^[[2J"),
        "{shown}"
    );
    assert!(!shown.lines().any(|line| line.starts_with("Nothing")));
}

#[test]
fn what_is_held_comes_first_with_its_reasons_and_what_clears_them() {
    let servers = json!([{
        "address": "10.0.0.1:6443", "state": "Suffering", "latencyMs": 310, "usualLatencyMs": 4,
        "why": "LatencyRegressed",
    }]);
    let answers = Answers {
        control_plane: control_plane(&servers),
        rollouts: page([complete(), soaking(), held()]),
        lease: lease("2026-11-21T09:30:00.000000Z"),
    };
    let status = summarize(answers, NOW);
    assert_eq!(
        plain(&status, Detail::Screen),
        "\
API SERVERS  1 of 2 seen
  10.0.0.1:6443  Suffering  310 ms, usually 4 ms  LatencyRegressed

ROLLOUTS  2 in flight, 1 held, 1 complete
  NAMESPACE  NAME          STATE    WIDTH   WAVE  MODE     AGE
  shop       logs-5d4f     Held     12/200  3     Enforce  12m
      LatencyRegressed on 10.0.0.1:6443: median 310 ms, usually 4 ms; clears when it is below 100 ms for 10 s
      QueueSaturated on 10.0.0.1:6443: median 310 ms, usually 4 ms; clears when it is below 100 ms for 10 s
      and 5 more findings
      2 nodes wait for a pod
  shop       metrics-77c9  Soaking  40/200  4     Shadow   12m
      soaking at 40 of 200: 20 s of 60 s

WEIR  Silent, version 0.1.0, mode Enforce, gate in force, leader weir-7d9f, lease renewed 30m ago

Not fine:
  - Weir is silent: its lease was last renewed 30m ago. Approved revisions run and scale on, unapproved ones wait; what is shown here is what it last knew
  - API server 10.0.0.1:6443 suffers: LatencyRegressed
  - only 1 of 2 API servers are seen
  - rollout shop/logs-5d4f is held
"
    );
    let wide = plain(&status, Detail::Wide);
    for only_wide in [
        "Rejecting on",
        "PodsLeaked on",
        "and 4 more findings",
        "agent-1",
    ] {
        assert!(wide.contains(only_wide), "{only_wide}");
    }
}

#[test]
fn what_was_not_answered_is_not_known_and_not_fine() {
    let answers = Answers {
        control_plane: Answer::Refused("may not get controlplanes".to_owned()),
        rollouts: Answer::Refused("may not list guardedrollouts".to_owned()),
        lease: Answer::Refused("may not get leases".to_owned()),
    };
    let status = summarize(answers, NOW);
    assert_eq!(
        plain(&status, Detail::Screen),
        "\
API SERVERS  not known: may not get controlplanes

ROLLOUTS  not known: may not list guardedrollouts

WEIR  Not known

Not fine:
  - whether Weir is at work is not known: may not get leases
  - nothing is known of the API servers: may not get controlplanes
  - nothing is known of rollouts: may not list guardedrollouts
"
    );
}

#[test]
fn a_cluster_without_weir_is_said_to_be_one() {
    let answers = Answers {
        control_plane: Answer::Missing,
        rollouts: Answer::Missing,
        lease: Answer::Missing,
    };
    let status = summarize(answers, NOW);
    assert_eq!(
        status.trouble,
        [
            "Weir is not installed here: its kinds are not defined, and there is no lease of it",
            "nothing is known of the API servers: Weir has not written what it sees of them",
            "nothing is known of rollouts: GuardedRollouts are not defined: Weir is not installed",
        ]
    );
}

#[test]
fn where_weir_is_installed_and_holds_no_lease_it_may_only_read() {
    let answers = Answers {
        control_plane: Answer::Missing,
        rollouts: page(Vec::new()),
        lease: Answer::Missing,
    };
    let status = summarize(answers, NOW);
    assert_eq!(status.weir.state, Life::NoLease);
    assert!(
        status.trouble[0].contains("--mode observe"),
        "{:?}",
        status.trouble
    );
    assert!(plain(&status, Detail::Screen).contains("\nWEIR  No lease\n"));
}

#[test]
fn what_should_be_gated_and_is_not_is_trouble() {
    let Answer::Found(object) = control_plane(&quiet_servers()) else {
        unreachable!()
    };
    let told = |mode: Mode, conditions: Value| {
        let mut object = object.clone();
        let status = object.status.as_mut().unwrap();
        status.mode = Some(mode);
        status.conditions = serde_json::from_value(conditions).unwrap();
        let answers = Answers {
            control_plane: Answer::Found(object),
            rollouts: page(Vec::new()),
            lease: lease("2026-11-21T10:00:00.000000Z"),
        };
        let status = summarize(answers, NOW);
        (status.weir.gate, status.trouble)
    };
    let not_known = "whether the gate is in force is not known: ";
    for (mode, conditions, gate, trouble) in [
        (
            Mode::Enforce,
            json!([gating("True", "InForce", "")]),
            Some(Gate::InForce),
            vec![],
        ),
        (
            Mode::Enforce,
            json!([gating("False", "NotInForce", "apply deploy/enforce/")]),
            Some(Gate::NotInForce),
            vec!["the gate is not in force: apply deploy/enforce/".to_owned()],
        ),
        (
            Mode::Enforce,
            json!([gating("False", "NotKnown", "pods is forbidden")]),
            Some(Gate::Unknown),
            vec![format!("{not_known}pods is forbidden")],
        ),
        (
            Mode::Enforce,
            json!([]),
            Some(Gate::Unknown),
            vec![format!("{not_known}Weir has not asked for it yet")],
        ),
        (Mode::Shadow, json!([]), None, vec![]),
        (
            Mode::Shadow,
            json!([gating(
                "False",
                "PodsStranded",
                "2 of shop/logs\n1 of shop/agent"
            )]),
            Some(Gate::Stranding),
            vec!["nobody lets gated pods through: 2 of shop/logs; 1 of shop/agent".to_owned()],
        ),
    ] {
        assert_eq!(told(mode, conditions), (gate, trouble));
    }
}

#[test]
fn a_refused_rollout_is_not_in_flight() {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([rollout("cni", &json!({ "state": "Refused" })), soaking()]),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    let screen = plain(&summarize(answers, NOW), Detail::Screen);
    assert!(
        screen.contains("ROLLOUTS  1 in flight, 0 held, 1 refused, 0 complete\n"),
        "{screen}"
    );
}

#[test]
fn a_rollout_that_was_let_go_is_neither_in_flight_nor_complete() {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([rollout("logs", &json!({ "state": "LetGo" })), soaking()]),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    let screen = plain(&summarize(answers, NOW), Detail::Screen);
    assert!(
        screen.contains("ROLLOUTS  1 in flight, 0 held, 1 let go, 0 complete\n"),
        "{screen}"
    );
}

#[test]
fn a_lease_given_up_in_good_order_is_silence_too() {
    let given_up = found(json!({
        "metadata": {},
        "spec": { "holderIdentity": "", "renewTime": "2026-11-21T09:59:59.000000Z" },
    }));
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page(Vec::new()),
        lease: given_up,
    };
    let status = summarize(answers, NOW);
    assert_eq!(status.weir.state, Life::Silent);
    assert_eq!(
        status.trouble,
        [
            "Weir is silent: its lease was last renewed 1s ago, and nobody holds it: Weir was ended in \
             good order, or runs with --mode observe, in which it writes nothing. Approved revisions \
             run and scale on, unapproved ones wait; what is shown here is what it last knew"
        ]
    );
    assert!(plain(&status, Detail::Screen).contains("ROLLOUTS  none\n"));
}

#[test]
fn a_hold_that_is_only_shadowed_is_not_said_to_hold() {
    let mut shadowed = held();
    shadowed.status.as_mut().unwrap().mode = Some(Mode::Shadow);
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([shadowed]),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    let trouble = summarize(answers, NOW).trouble;
    assert_eq!(
        trouble,
        ["rollout shop/logs-5d4f would be held, if it were enforced"]
    );
}

#[test]
fn a_control_plane_that_is_not_ready_though_its_servers_are_quiet_says_why() {
    let Answer::Found(mut object) = control_plane(&quiet_servers()) else {
        unreachable!()
    };
    let condition = |status: &str| {
        json!({
            "type": "Ready", "status": status, "reason": "EvidenceStale", "message": "no page",
            "lastTransitionTime": "2026-11-21T09:00:00Z",
        })
    };
    let mut trouble = |status: &str| {
        let ready = serde_json::from_value(condition(status)).unwrap();
        let conditions = &mut object.status.as_mut().unwrap().conditions;
        conditions.retain(|condition| condition.type_ != "Ready");
        conditions.push(ready);
        let answers = Answers {
            control_plane: Answer::Found(object.clone()),
            rollouts: page(Vec::new()),
            lease: lease("2026-11-21T10:00:00.000000Z"),
        };
        summarize(answers, NOW).trouble
    };
    assert_eq!(trouble("True"), [""; 0]);
    assert_eq!(
        trouble("Unknown"),
        ["the control plane is not ready: EvidenceStale: no page"]
    );
}

#[test]
fn a_long_list_is_cut_to_a_screen_and_says_so() {
    let many: Vec<_> = (0..30)
        .map(|at| rollout(&format!("r-{at:02}"), &json!({})))
        .collect();
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: Answer::Found(Page {
            rollouts: many,
            beyond: 7,
        }),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    let status = summarize(answers, NOW);
    assert_eq!(status.trouble, ["7 more rollouts were not looked at"]);
    let screen = plain(&status, Detail::Screen);
    assert!(screen.contains("ROLLOUTS  30 in flight, 0 held, 0 complete, 7 more not looked at\n"));
    assert!(
        screen.contains("\n  and 10 more: see them with -o wide\n"),
        "{screen}"
    );
    assert!(screen.contains("r-19") && !screen.contains("r-20"));
    assert!(plain(&status, Detail::Wide).contains("r-29"));
}

#[test]
fn what_is_superseded_is_history() {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([rollout("old", &json!({ "state": "Superseded" }))]),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    assert_eq!(summarize(answers, NOW).rollouts, Rollouts::default());
}

#[test]
fn as_data_nothing_is_cut() {
    let answers = Answers {
        control_plane: control_plane(&quiet_servers()),
        rollouts: page([held(), complete()]),
        lease: lease("2026-11-21T10:00:00.000000Z"),
    };
    let data = serde_json::to_value(summarize(answers, NOW)).unwrap();
    assert_eq!(data["trouble"], json!(["rollout shop/logs-5d4f is held"]));
    assert_eq!(
        data["rollouts"]["open"][0]["findings"]
            .as_array()
            .map(Vec::len),
        Some(4)
    );
    assert_eq!(data["rollouts"]["open"][0]["findingsOmitted"], 4);
    assert_eq!(data["rollouts"]["complete"][0]["name"], "agent-1");
    assert_eq!(data["apiServers"]["seen"][0]["latencyMs"], 4);
    assert_eq!(data["weir"]["state"], "Running");
}
