//! What becomes of a rollout when what is to be written cannot be, and what people hear of it.

use weir_core::{evidence::Reading, policy::Mode};

use super::{
    new_daemon_set,
    play::{Play, forbidden, key, logs},
    running,
};
use crate::{
    act::failure::Failure,
    api::{State, marks},
    guard::books,
    valve::remote::Gate,
};

/// For what nothing can be written, as metrics say it.
fn unwritten(play: &Play) -> Vec<String> {
    let found = play.mind.unwritten(&play.world).into_iter();
    let said = found.map(|(namespace, kind, name)| format!("{kind} {namespace}/{name}"));
    said.collect()
}

#[test]
fn refused_releases_are_tried_ever_more_rarely_and_people_are_told_once_what_to_grant() {
    let mut play = new_daemon_set(50);
    play.refusal = Some(forbidden);
    play.steps(300);
    assert!((3..12).contains(&play.refused), "{} writes", play.refused);
    let told = play.notices("WriteFailed");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].warning && told[0].note.contains("deploy/rbac.yaml"),
        "{}",
        told[0].note
    );
    assert!(
        !play.reasons().contains(&"WaveReleased"),
        "of nothing that was released"
    );
    let held = play.condition("logs-aaa", "Held");
    assert_eq!(
        (held.status.as_str(), held.reason.as_str()),
        ("True", "WriteFailed")
    );
    assert_eq!(books::count(&play.mind.rollouts).held, 1);
    assert!(
        held.message.contains("deploy/rbac.yaml"),
        "{}",
        held.message
    );
    assert_eq!(unwritten(&play), ["DaemonSet shop/logs"]);

    play.refusal = None;
    assert!(play.until(70, |play| play.out("aaa") > 0));
    assert_eq!(unwritten(&play), [""; 0]);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert_eq!(play.condition("logs-aaa", "Ready").status, "True");
    assert_eq!(play.notices("WriteFailed").len(), 1);
}

#[test]
fn one_failure_is_nobodys_business() {
    let mut play = new_daemon_set(50);
    play.refusal = Some(forbidden);
    assert!(play.until(10, |play| play.refused > 0));
    assert_eq!(unwritten(&play), [""; 0]);
    play.refusal = None;
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert!(play.notices("WriteFailed").is_empty());
}

#[test]
fn a_pod_that_alone_is_refused_is_tried_once_a_minute_while_others_go_on() {
    let mut play = new_daemon_set(50);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    let gated = |play: &Play| {
        let mut pods = play.pods[&logs()].iter();
        let found = pods.find(|(_, pod)| pod.row.state == weir_core::evidence::PodState::Gated);
        found.map(|(name, _)| name.clone())
    };
    let stubborn = gated(&play).unwrap();
    play.stubborn.insert(stubborn.clone());
    assert!(play.until(240, |play| play.out("aaa") == 49), "others wait");
    play.steps(120);
    assert!((2..8).contains(&play.refused), "{} writes", play.refused);
    assert_eq!(gated(&play).as_deref(), Some(stubborn.as_str()));
    assert!(!play.approved("uid-1", "aaa"));
    assert_eq!(play.notices("WriteFailed").len(), 1);
    assert_eq!(unwritten(&play), ["DaemonSet shop/logs"]);
    play.stubborn.clear();
    assert!(play.until(120, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert_eq!(unwritten(&play), [""; 0]);
}

#[test]
fn pods_that_an_api_server_has_no_time_for_are_not_refused_and_come_at_once_when_it_has() {
    let mut play = new_daemon_set(50);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    let pods = play.pods[&logs()].iter();
    let gated = pods.filter(|(_, pod)| pod.row.state == weir_core::evidence::PodState::Gated);
    let gated: Vec<String> = gated.map(|(name, _)| name.clone()).collect();
    play.shed = gated.iter().skip(1).cloned().collect();
    assert!(play.until(60, |play| play.refused > 0));
    assert_eq!(play.out("aaa"), 5);
    assert_eq!(play.condition("logs-aaa", "Held").status, "False");
    play.shed.clear();
    assert!(play.until(4, |play| play.out("aaa") == 8), "left alone");
    assert!(play.notices("WriteFailed").is_empty());
}

#[test]
fn an_api_server_that_never_has_time_is_told_unless_a_rule_says_so_already() {
    let mut play = new_daemon_set(50);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    play.shed = play.pods[&logs()].keys().cloned().collect();
    play.steps(120);
    // The wave's four, each time.
    assert!((12..48).contains(&play.refused), "{} writes", play.refused);
    let told = play.notices("WriteFailed");
    assert_eq!(told.len(), 1);
    assert!(told[0].note.contains("dump_requests"), "{}", told[0].note);
    let held = play.condition("logs-aaa", "Held");
    assert_eq!(held.reason, "WriteFailed");

    play.latency(900.0);
    play.steps(3);
    let held = play.condition("logs-aaa", "Held");
    assert_eq!(held.reason, "LatencyRegressed");
}

#[test]
fn an_approval_that_is_refused_is_told_with_its_reason() {
    let mut play = new_daemon_set(10);
    assert!(play.until(300, |play| play.out("aaa") == 10));
    play.refusal = Some(forbidden);
    play.steps(200);
    assert!((3..12).contains(&play.refused), "{} writes", play.refused);
    assert!(
        play.notices("WriteFailed")[0]
            .note
            .contains("could not be approved")
    );
}

#[test]
fn a_valve_that_cannot_be_written_is_tried_ever_more_rarely_and_told_once() {
    let mut play = running(20);
    play.world.cluster.role = Reading::Fresh(None);
    play.refusal = Some(forbidden);
    play.steps(300);
    assert!((3..12).contains(&play.refused), "{} writes", play.refused);
    let told = play.notices("ValveNotWritten");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].note.contains("deploy/rbac.yaml"),
        "{}",
        told[0].note
    );
    assert_eq!(unwritten(&play), ["Role weir-system/weir-approved"]);
    play.refusal = None;
    assert!(play.until(70, |play| play.approved("uid-1", "aaa")));
    assert_eq!(unwritten(&play), [""; 0]);
}

#[test]
fn a_record_that_cannot_be_written_stops_the_waves_and_is_told() {
    let mut play = new_daemon_set(50);
    play.recorder = false;
    play.steps(30);
    let key = (
        "GuardedRollout".to_owned(),
        Some("shop".to_owned()),
        "logs-aaa".to_owned(),
    );
    let failure = Failure::of("its record could not be written", &forbidden()).unwrap();
    play.world.unrecorded.insert(key, failure);
    play.steps(30);
    assert_eq!(play.out("aaa"), 0);
    assert_eq!(play.notices("WriteFailed").len(), 1);
    assert_eq!(unwritten(&play), ["DaemonSet shop/logs"]);
    assert!(play.notices("WaveReleased").is_empty());
    play.world.unrecorded.clear();
    play.recorder = true;
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn pods_that_cannot_be_read_keep_no_others_from_being_counted_and_are_named() {
    let mut play = Play::new(3, Mode::Enforce);
    for number in 0..6 {
        let name = format!("agent-{number}");
        play.create(&key("shop", &name), &format!("uid-{number}"), "aaa");
        if number < 4 {
            play.unreadable.insert(key("shop", &name));
        }
    }
    play.world.gate = Some(Ok(Gate::Open {
        namespaces: false,
        templates: false,
    }));
    let mut followed = std::collections::BTreeSet::new();
    for _ in 0..60 {
        let thought = play.step();
        assert!(thought.follow.workloads.len() <= 4);
        followed.extend(thought.follow.workloads.iter().map(|one| one.name.clone()));
    }
    assert_eq!(followed.len(), 6, "{followed:?}");
    assert!(
        matches!(play.world.cluster.role, Reading::Fresh(None)),
        "adopted blindly"
    );
    let told = play.notices("AdoptionWaits");
    assert_eq!(told.len(), 1);
    assert!(
        told[0].note.contains("shop/agent-0: a pod makes no sense")
            && told[0].note.contains(marks::GUARD),
        "{}",
        told[0].note
    );
    assert!(play.notices("GateNotInForce").is_empty(), "bad advice");
    play.unreadable.clear();
    assert!(play.until(60, |play| play.approved("uid-0", "aaa")
        && play.approved("uid-5", "aaa")));
    assert!(play.mind.unadopted().is_empty());
    play.steps(2);
    let told = play.notices("GateNotInForce");
    assert_eq!(told.len(), 1);
    // What no object that is missing explains.
    assert!(
        told[0]
            .note
            .contains("every service account is a cluster-admin")
    );
}

#[test]
fn what_another_leader_never_told_is_told_by_the_next() {
    let mut play = running(4);
    play.world.leads = false;
    play.labels()
        .insert(marks::GUARD.to_owned(), "Enforce".to_owned());
    let policies = super::rows(&mut play.world.cluster.policies);
    policies.get_mut("fast").unwrap().spec.soak = Some("soon".into());
    play.steps(5);
    assert!(play.told.is_empty());
    play.world.leads = true;
    play.steps(5);
    let mut reasons = play.reasons();
    reasons.sort_unstable();
    assert_eq!(reasons, ["LabelUnclear", "PolicyInvalid"]);
}
