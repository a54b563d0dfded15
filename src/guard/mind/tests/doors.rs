//! How rollouts leave the guard otherwise than by completing, and pods that nobody may forget.

use std::sync::Arc;

use k8s_openapi::{apimachinery::pkg::apis::meta::v1::Time, jiff::SignedDuration};
use weir_core::{
    evidence::{PodState, Reading},
    policy::Mode,
    time::Span,
};

use super::{
    new_daemon_set,
    play::{Play, adopted, logs, role},
    running,
};
use crate::{
    api::{LetThrough, State, marks, times::time},
    valve::Approvals,
};

fn label(play: &mut Play, mode: &str) {
    play.labels()
        .insert(marks::GUARD.to_owned(), mode.to_owned());
}

#[test]
fn a_label_lowered_to_observe_lets_go_of_what_is_held_and_ends_the_record() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    label(&mut play, "observe");
    assert!(play.until(60, |play| play.gated() == 0));
    assert!(play.until(60, |play| play.state("logs-aaa") == Some(State::LetGo)));
    let told = play.told.len();
    play.steps(60);
    assert_eq!(play.told.len(), told, "{:?}", play.reasons());
}

/// A rollout that is held for what letting go does not wait for: its own pods fail.
fn failing() -> Play {
    let mut play = new_daemon_set(100);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    for pod in play.pods.get_mut(&logs()).unwrap().values_mut() {
        if pod.row.state != PodState::Gated {
            pod.row.state = PodState::Failing;
        }
    }
    assert!(play.until(5, |play| play.state("logs-aaa") == Some(State::Held)));
    play
}

/// A person orders to let through up to so many pods of each rollout.
fn order(play: &mut Play, width: u32) {
    let given = time(play.world.now);
    for record in play.records().values_mut() {
        let reason = "known to be harmless".to_owned();
        record.spec.let_through = Some(LetThrough {
            width,
            given: given.clone(),
            reason,
        });
    }
}

#[test]
fn a_person_s_order_lets_through_what_is_held_once_and_outlives_a_restart() {
    let mut play = failing();
    order(&mut play, 20);
    assert!(play.until(60, |play| play.out("aaa") == 20));
    play.steps(30);
    play.restart();
    play.steps(60);
    assert_eq!(play.out("aaa"), 20);
    order(&mut play, 30);
    assert!(play.until(60, |play| play.out("aaa") == 30));
    assert_eq!(play.notices("RolloutComplete").len(), 0);
}

#[test]
fn an_order_ends_with_its_revision_s_rollout_and_is_not_obeyed_when_it_returns() {
    for carried_out in [false, true] {
        let mut play = running(30);
        play.steps(5);
        play.update(&logs(), "bbb");
        assert!(play.until(60, |play| play.out("bbb") == 2));
        play.latency(900.0);
        assert!(play.until(5, |play| play.state("logs-bbb") == Some(State::Held)));
        order(&mut play, 20);
        if carried_out {
            assert!(play.until(300, |play| play.out("bbb") == 20));
            play.steps(30);
        }
        play.update(&logs(), "aaa");
        assert!(play.until(5, |play| play.state("logs-bbb") == Some(State::Superseded)));
        assert!(play.until(300, |play| play.out("aaa") == 30));
        // An automatism flips back: the revision passes the valve from the start, whatever was ordered.
        play.update(&logs(), "bbb");
        play.steps(120);
        assert_eq!(play.out("bbb"), 0, "carried out: {carried_out}");
        let status = play.record("logs-bbb").unwrap().status.unwrap();
        assert!(status.obeyed.is_some());
    }
}

#[test]
fn an_order_that_was_given_between_two_seconds_is_obeyed_once() {
    let mut play = failing();
    order(&mut play, 20);
    for record in play.records().values_mut() {
        let order = record.spec.let_through.as_mut().unwrap();
        order.given = Time(order.given.0 + SignedDuration::from_millis(700));
    }
    assert!(play.until(60, |play| play.out("aaa") == 20));
    play.steps(30);
    play.restart();
    // One of its pods is made again: it was not ordered twice.
    let pods = play.pods.get_mut(&logs()).unwrap();
    let out = pods
        .iter()
        .find(|(_, pod)| pod.row.state != PodState::Gated);
    let name = out.map(|(name, _)| name.clone()).unwrap();
    pods.remove(&name);
    play.steps(60);
    assert_eq!(play.out("aaa"), 19);
}

#[test]
fn a_label_that_is_gone_for_seconds_lets_go_of_nothing() {
    let mut play = failing();
    for _ in 0..5 {
        play.labels().clear();
        play.steps(12);
        label(&mut play, "enforce");
        play.steps(3);
    }
    assert_eq!(play.out("aaa"), 4);
    assert_eq!(play.state("logs-aaa"), Some(State::Held));
    assert_eq!(play.notices("RolloutNoLongerGuarded").len(), 0);

    play.labels().clear();
    play.steps(12);
    play.restart();
    play.steps(12);
    assert_eq!(play.out("aaa"), 4);
    assert!(play.until(90, |play| play.state("logs-aaa") == Some(State::LetGo)));
    assert_eq!(play.gated(), 0);
}

#[test]
fn nothing_is_let_go_by_labels_that_are_not_fresh() {
    let stale = |namespaces: &Reading<_>| Reading::Stale {
        value: Arc::clone(namespaces.last().unwrap()),
        age: Span::from_secs(100),
    };
    for restart in [false, true] {
        let mut play = failing();
        play.labels().clear();
        play.steps(5);
        let namespaces = play.world.cluster.namespaces.clone();
        play.world.cluster.namespaces = stale(&namespaces);
        if restart {
            play.restart();
        }
        play.steps(120);
        assert_eq!(play.out("aaa"), 4);
        play.world.cluster.namespaces = namespaces;
        play.steps(10);
        assert_eq!(play.out("aaa"), 4);
        assert!(play.until(90, |play| play.gated() == 0));
    }
}

#[test]
fn what_others_suffer_from_is_not_let_go_until_they_no_longer_do() {
    let mut play = new_daemon_set(50);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    play.latency(900.0);
    assert!(play.until(5, |play| play.state("logs-aaa") == Some(State::Held)));
    let out = play.out("aaa");
    play.labels().clear();
    play.steps(30);
    assert_eq!(play.out("aaa"), out);
    assert_eq!(play.state("logs-aaa"), Some(State::Held));

    play.latency(5.0);
    assert!(play.until(200, |play| play.state("logs-aaa") == Some(State::LetGo)));
    assert_eq!(play.gated(), 0);
    assert!(!play.reasons().contains(&"RolloutComplete"));
}

#[test]
fn what_was_let_go_has_to_soak_before_it_is_approved_if_it_is_enrolled_again() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.labels().clear();
    assert!(play.until(60, |play| play.state("logs-aaa") == Some(State::LetGo)));
    play.latency(900.0);
    label(&mut play, "enforce");
    play.steps(30);
    assert!(!play.approved("uid-1", "aaa"));
    play.latency(5.0);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert!(play.approved("uid-1", "aaa"));
}

#[test]
fn a_label_that_is_mistyped_changes_nothing_and_is_told() {
    for restart in [false, true] {
        let mut play = new_daemon_set(30);
        assert!(play.until(60, |play| play.out("aaa") >= 2));
        play.latency(900.0);
        assert!(play.until(5, |play| play.state("logs-aaa") == Some(State::Held)));
        let out = play.out("aaa");
        label(&mut play, "enforced");
        if restart {
            play.restart();
        }
        play.steps(60);
        assert_eq!(play.out("aaa"), out);
        assert_eq!(play.notices("LabelUnclear").len(), 1);
        let summary = play
            .record("logs-aaa")
            .unwrap()
            .status
            .unwrap()
            .summary
            .unwrap();
        assert!(
            summary.contains("enforced on the namespace is not a mode"),
            "{summary}"
        );
    }
}

#[test]
fn pods_gated_without_a_record_are_let_go_when_nobody_asks_for_their_being_held() {
    let mut play = new_daemon_set(30);
    play.steps(2);
    play.records().clear();
    play.labels().clear();
    play.restart();
    assert!(play.until(90, |play| play.gated() == 0));
    play.steps(30);
    assert!(play.records().is_empty());
    assert!(!play.mind.in_flight());
}

#[test]
fn pods_that_are_gated_only_just_now_are_not_let_go() {
    let mut play = new_daemon_set(30);
    // The watch on namespaces is behind: it does not show yet that the namespace is enrolled.
    play.labels().clear();
    play.steps(10);
    label(&mut play, "enforce");
    play.steps(2);
    assert!(play.out("aaa") <= 1);
}

#[test]
fn gated_pods_of_a_superseded_revision_are_told_with_the_lines_that_release_them() {
    let mut play = running(10);
    play.steps(5);
    play.on_delete = true;
    play.update(&logs(), "bbb");
    for _ in 0..3 {
        let pods = play.pods.get_mut(&logs()).unwrap();
        let name = pods.iter().find(|(_, pod)| pod.revision == "aaa");
        let name = name.map(|(name, _)| name.clone()).unwrap();
        pods.remove(&name);
        play.step();
    }
    play.update(&logs(), "ccc");
    play.steps(60);
    let told = play.notices("PodsStranded");
    assert_eq!(told.len(), 1, "{:?}", play.reasons());
    let note = &told[0].note;
    assert!(
        note.contains("revision bbb") && note.contains("delete them"),
        "{note}"
    );
    assert!(
        note.contains("kubectl get pods -n shop -l controller-revision-hash=bbb"),
        "{note}"
    );
    assert_eq!(play.mind.stranded().len(), 1);
}

#[test]
fn a_ceiling_lowered_to_observe_withdraws_the_valve_and_tells_of_what_stays_gated() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.world.ceiling = Mode::Observe;
    play.restart();
    play.world.leads = false;
    let gated = play.gated();
    assert!(play.step().lease_wanted);
    play.world.leads = true;
    let kept = (0..60).take_while(|_| play.step().lease_wanted).count();
    assert!((20..40).contains(&kept), "the lease was kept for {kept} s");
    play.world.leads = false;
    let role = play.world.cluster.role.fresh().unwrap().clone().unwrap();
    assert!(!role.says.adopted);
    assert_eq!(play.gated(), gated, "it may only read");
    let told = play.notices("PodsStranded");
    assert_eq!(told.len(), 1, "{:?}", play.reasons());
    assert!(
        told[0]
            .note
            .contains("kubectl patch role weir-approved -n weir-system"),
        "{}",
        told[0].note
    );
    let held = play.condition("logs-aaa", "Held");
    assert_eq!(
        (held.status.as_str(), held.reason.as_str()),
        ("True", "PodsStranded")
    );
    assert!(held.message.contains("kubectl"), "{}", held.message);
}

#[test]
fn a_gated_pod_of_an_approved_revision_is_let_through_although_its_rollout_is_over() {
    let mut play = new_daemon_set(20);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    play.steps(5);
    let told = play.told.len();
    let pods = play.pods.get_mut(&logs()).unwrap();
    let (_, late) = pods.iter_mut().next().unwrap();
    (late.row.state, late.row.born_gated) = (PodState::Gated, true);
    assert!(play.until(60, |play| play.gated() == 0));
    play.steps(20);
    assert_eq!(play.state("logs-aaa"), Some(State::Complete));
    assert_eq!(play.told.len(), told, "{:?}", play.reasons());
    assert!(!play.mind.in_flight());
}

#[test]
fn a_weir_that_may_only_read_asks_for_no_lease_where_nothing_gates() {
    let mut play = Play::new(5, Mode::Observe);
    assert!(!play.step().lease_wanted);
    play.world.cluster.role = Reading::Fresh(Some(role(&Approvals::default())));
    assert!(!play.step().lease_wanted);
    let mut play = Play::new(5, Mode::Shadow);
    assert!(play.step().lease_wanted);
}

/// A workload that nodes depend on, running and refused.
fn refused() -> Play {
    let mut play = Play::new(10, Mode::Enforce);
    play.world.cluster.role = Reading::Fresh(Some(adopted(&[])));
    play.step();
    play.create(&logs(), "uid-1", "aaa");
    let view = play.daemon_sets().get_mut(&logs()).unwrap();
    view.template_facts.priority_class_name = Some("system-node-critical".to_owned());
    let pods = play.pods.get_mut(&logs()).unwrap();
    for pod in pods.values_mut() {
        (pod.row.state, pod.row.born_gated) = (PodState::Ready, false);
    }
    play.steps(3);
    assert_eq!(play.state("logs-aaa"), Some(State::Refused));
    play
}

#[test]
fn a_refusal_does_not_outlive_its_cause() {
    let mut play = refused();
    play.labels().clear();
    play.steps(2);
    assert!(play.record("logs-aaa").is_none());
    play.steps(20);
    assert!(play.records().is_empty());
}

#[test]
fn what_was_refused_is_judged_once_it_is_only_shadowed() {
    let mut play = refused();
    label(&mut play, "shadow");
    assert!(play.until(120, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert_eq!(play.condition("logs-aaa", "Stalled").status, "False");
}

#[test]
fn another_reason_for_the_same_hold_is_told_once_with_what_clears_it() {
    let mut play = new_daemon_set(50);
    assert!(play.until(30, |play| play.out("aaa") == 2));
    let absent = || Reading::Absent {
        why: "policies is forbidden".to_owned(),
    };
    let policies = std::mem::replace(&mut play.world.cluster.policies, absent());
    assert!(play.until(5, |play| play.state("logs-aaa") == Some(State::Held)));
    play.latency(900.0);
    play.steps(10);
    play.world.cluster.policies = policies;
    play.steps(10);
    play.world.cluster.policies = absent();
    play.steps(10);
    let told = play.notices("RolloutHeld");
    let notes: Vec<_> = told.iter().map(|notice| &notice.note).collect();
    assert_eq!(told.len(), 2, "{notes:#?}");
    assert_ne!(told[0].action, told[1].action);
    assert!(
        notes[0].contains("EvidenceAbsent") && notes[1].contains("LatencyRegressed"),
        "{notes:#?}"
    );
    for note in notes {
        assert!(note.contains(". Until ") && note.len() <= 1024, "{note}");
    }
}
