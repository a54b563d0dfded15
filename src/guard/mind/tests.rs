//! The mind in a small cluster: what people would see of it, second by second.

mod dependencies;
mod doors;
mod masks;
mod metering;
mod play;
mod restarts;
mod timing;
mod writes;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use weir_core::{evidence::Reading, policy::Mode, time::Span};

use self::play::{Play, adopted, entry, fresh, key, logs, rows};
use crate::{
    api::{State, marks},
    observe::RevisionView,
    valve::{Approvals, Standing, revision_key},
};

/// A cluster whose valve is in order, with a new DaemonSet that is gated from birth.
fn new_daemon_set(nodes: u32) -> Play {
    let mut play = Play::new(nodes, Mode::Enforce);
    play.world.cluster.role = Reading::Fresh(Some(adopted(&[])));
    play.step();
    play.create(&logs(), "uid-1", "aaa");
    play
}

/// A DaemonSet that ran before Weir was installed.
fn running(nodes: u32) -> Play {
    let mut play = Play::new(nodes, Mode::Enforce);
    play.create(&logs(), "uid-1", "aaa");
    play.steps(1);
    play
}

#[test]
fn a_new_daemon_set_goes_through_in_waves_and_is_approved() {
    let mut play = new_daemon_set(50);
    assert!(play.until(10, |play| play.out("aaa") > 0), "no canary");
    assert_eq!(play.out("aaa"), 1);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert_eq!(play.out("aaa"), 50);
    assert!(play.approved("uid-1", "aaa"));
    let reasons = play.reasons();
    assert_eq!(reasons.first(), Some(&"RolloutStarted"));
    assert_eq!(reasons.last(), Some(&"RolloutComplete"));
    assert!(
        reasons
            .iter()
            .filter(|reason| **reason == "WaveReleased")
            .count()
            >= 4
    );
    // Nothing is left to be followed or judged.
    let thought = {
        play.steps(3);
        play.step()
    };
    assert!(thought.follow.workloads.is_empty());
    assert!(!play.mind.in_flight());
}

#[test]
fn no_pod_is_let_through_before_its_wave_is_on_record() {
    let mut play = new_daemon_set(50);
    let mut widest = 0;
    for _ in 0..200 {
        play.step();
        let known = play
            .record("logs-aaa")
            .and_then(|record| record.status?.history);
        widest = widest.max(play.out("aaa"));
        assert!(play.out("aaa") <= known.map_or(0, |known| known.target as usize));
    }
    assert_eq!(widest, 50);
}

#[test]
fn harm_holds_it_and_people_are_told_why_and_how_to_release_it() {
    let mut play = new_daemon_set(50);
    assert!(play.until(30, |play| play.out("aaa") == 2));
    play.latency(900.0);
    assert!(play.until(3, |play| play.state("logs-aaa") == Some(State::Held)));
    let held_at = play.out("aaa");
    play.steps(60);
    assert_eq!(play.out("aaa"), held_at);

    let notice = play
        .told
        .iter()
        .find(|notice| notice.reason == "RolloutHeld")
        .unwrap();
    assert!(
        notice.warning && notice.note.contains("LatencyRegressed"),
        "{}",
        notice.note
    );
    assert!(
        notice
            .note
            .contains("kubectl patch role weir-approved -n weir-system"),
        "{}",
        notice.note
    );
    assert!(notice.note.len() <= 1024);
    let times = play
        .reasons()
        .iter()
        .filter(|reason| **reason == "RolloutHeld")
        .count();
    assert_eq!(times, 1, "told at each tick");
    let record = play.record("logs-aaa").unwrap().status.unwrap();
    assert_eq!(record.held_by.as_deref(), Some("LatencyRegressed"));

    play.latency(5.0);
    assert!(play.until(60, |play| play.reasons().contains(&"RolloutResumed")));
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn a_restart_goes_on_from_the_record_and_repeats_the_soak() {
    let mut play = new_daemon_set(100);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    play.step();
    let waves = play.record("logs-aaa").unwrap().status.unwrap().wave;
    let told = play.told.len();
    play.restart();
    // The soak of ten seconds is repeated: nothing is let through meanwhile.
    play.steps(9);
    assert_eq!(play.out("aaa"), 4);
    assert_eq!(play.told.len(), told, "{:?}", play.reasons());
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert!(play.record("logs-aaa").unwrap().status.unwrap().wave > waves);
    assert!(!play.reasons()[told..].contains(&"RolloutStarted"));
}

#[test]
fn what_ran_before_weir_is_approved_before_anything_is_gated() {
    let mut play = running(20);
    assert!(play.until(5, |play| play.approved("uid-1", "aaa")));
    play.steps(5);
    assert_eq!(play.out("aaa"), 20);
    assert_eq!(play.gated(), 0);
    assert!(play.records().is_empty());
    assert_eq!(play.reasons(), [""; 0]);
}

#[test]
fn an_update_stalls_at_max_unavailable_and_goes_through() {
    let mut play = running(30);
    play.steps(5);
    play.update(&logs(), "bbb");
    play.step();
    assert_eq!(play.gated(), 1);
    assert!(play.until(600, |play| play.state("logs-bbb") == Some(State::Complete)));
    assert_eq!(play.out("bbb"), 30);
    assert!(play.approved("uid-1", "aaa") && play.approved("uid-1", "bbb"));
}

#[test]
fn a_rollback_is_no_rollout_and_ends_the_one_before() {
    let mut play = running(30);
    play.steps(5);
    play.update(&logs(), "bbb");
    assert!(play.until(60, |play| play.out("bbb") == 2));
    play.update(&logs(), "aaa");
    assert!(play.until(3, |play| play.state("logs-bbb") == Some(State::Superseded)));
    assert!(play.until(60, |play| play.out("aaa") == 30));
    assert!(play.record("logs-aaa").is_none());

    // Once more: it passes the valve from the start.
    play.update(&logs(), "bbb");
    play.steps(3);
    let history = play
        .record("logs-bbb")
        .unwrap()
        .status
        .unwrap()
        .history
        .unwrap();
    assert!(history.wave <= 1, "{history:?}");
}

#[test]
fn a_daemon_set_deleted_and_made_again_is_another_one() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.delete(&logs());
    play.steps(2);
    assert!(play.records().is_empty());
    play.create(&logs(), "uid-2", "aaa");
    assert_eq!(play.out("aaa"), 0);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert!(play.approved("uid-2", "aaa"));
}

#[test]
fn nodes_that_join_during_and_after_get_their_pods() {
    let mut play = new_daemon_set(20);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.join();
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert_eq!(play.out("aaa"), 21);
    play.join();
    play.steps(2);
    assert_eq!((play.out("aaa"), play.gated()), (22, 0));
}

#[test]
fn a_lost_valve_is_said_again_at_once_from_memory() {
    for lost in [None, Some(adopted(&[])), Some(everything_approved())] {
        let mut play = running(20);
        play.steps(5);
        assert!(play.approved("uid-1", "aaa"));
        play.world.cluster.role = Reading::Fresh(lost);
        play.step();
        assert!(play.approved("uid-1", "aaa"));
        play.steps(5);
        assert!(
            play.records().is_empty(),
            "what is approved became a rollout"
        );
        assert_eq!(play.reasons(), ["ValveRebuilt"]);
    }
}

/// The Role after somebody removed the names from its rule.
fn everything_approved() -> Standing {
    let mut rules = Approvals::default().rules();
    rules[0].resource_names = None;
    let role = Standing::read(&ObjectMeta::default(), &rules);
    assert!(role.approves_all);
    role
}

#[test]
fn a_role_that_approves_everything_from_the_start_is_adopted_like_an_empty_one() {
    let mut play = Play::new(20, Mode::Enforce);
    play.world.cluster.role = Reading::Fresh(Some(everything_approved()));
    play.create(&logs(), "uid-1", "aaa");
    play.steps(5);
    assert!(play.approved("uid-1", "aaa"));
    let role = play.world.cluster.role.fresh().unwrap().clone().unwrap();
    assert!(role.says.adopted && role.tidy && !role.approves_all);
}

#[test]
fn what_a_person_approves_by_a_rule_of_its_own_is_kept_and_merged() {
    let mut play = new_daemon_set(20);
    play.latency(900.0);
    play.steps(5);
    let key = revision_key("uid-1", "aaa");
    let mut rules = adopted(&[]).says.rules();
    rules.extend(adopted(&[&key]).says.rules());
    let by_hand = Standing::read(&ObjectMeta::default(), &rules);
    assert!(!by_hand.tidy);
    play.world.cluster.role = Reading::Fresh(Some(by_hand));
    play.steps(3);
    let role = play.world.cluster.role.fresh().unwrap().clone().unwrap();
    assert!(role.tidy && role.says.approved.contains_key(&key));
    assert!(
        play.until(60, |play| play.out("aaa") == 20),
        "approval wins"
    );
}

#[test]
fn a_valve_lost_twice_in_a_row_is_said_again_at_once_both_times() {
    let mut play = running(20);
    play.steps(5);
    for lost in [Some(adopted(&[])), None] {
        play.world.cluster.role = Reading::Fresh(lost);
        play.step();
        assert!(play.approved("uid-1", "aaa"));
    }
}

#[test]
fn a_rollout_that_has_just_ended_stays_ended_when_the_valve_is_lost() {
    let mut play = new_daemon_set(20);
    let complete = |play: &mut Play| play.state("logs-aaa") == Some(State::Complete);
    assert!(play.until(300, complete));
    play.world.cluster.role = Reading::Fresh(Some(adopted(&[])));
    for _ in 0..5 {
        play.step();
        assert_eq!(play.state("logs-aaa"), Some(State::Complete));
    }
    assert!(play.approved("uid-1", "aaa"));
}

#[test]
fn approvals_go_with_their_revisions_but_not_at_once() {
    let mut play = running(5);
    play.steps(5);
    play.delete(&logs());
    play.steps(30);
    assert!(play.approved("uid-1", "aaa"));
    play.steps(40);
    assert!(!play.approved("uid-1", "aaa"));
}

#[test]
fn the_last_approval_s_end_is_no_loss_and_what_comes_later_is_let_through() {
    let mut play = new_daemon_set(5);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    play.delete(&logs());
    play.steps(70);
    assert!(!play.approved("uid-1", "aaa"));
    play.create(&logs(), "uid-2", "bbb");
    assert_eq!(play.gated(), 5);
    assert!(play.until(300, |play| play.state("logs-bbb") == Some(State::Complete)));
    assert!(play.approved("uid-2", "bbb"));
    assert!(!play.reasons().contains(&"ValveRebuilt"));
}

#[test]
fn a_workload_that_is_enrolled_later_is_approved_as_it_runs() {
    let mut play = Play::new(20, Mode::Enforce);
    play.labels().clear();
    play.create(&logs(), "uid-1", "aaa");
    play.steps(10);
    assert!(!play.approved("uid-1", "aaa"));
    play.labels()
        .insert(marks::GUARD.to_owned(), "enforce".to_owned());
    play.steps(5);
    assert!(play.approved("uid-1", "aaa"));
    assert!(play.records().is_empty());
}

#[test]
fn pods_that_slip_past_are_told_as_leaked() {
    let mut play = new_daemon_set(20);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    let pods = play.pods.get_mut(&logs()).unwrap();
    let slipped = pods
        .values_mut()
        .find(|pod| pod.row.born_gated && pod.row.node == "node-0019");
    let row = &mut slipped.unwrap().row;
    (row.state, row.born_gated) = (weir_core::evidence::PodState::Ready, false);
    play.steps(2);
    assert!(
        play.reasons().contains(&"PodsLeaked"),
        "{:?}",
        play.reasons()
    );
}

#[test]
fn a_person_pauses_and_resumes() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    let record = key("shop", "logs-aaa");
    play.records().get_mut(&record).unwrap().spec.paused = true;
    play.steps(2);
    let out = play.out("aaa");
    assert_eq!(play.state("logs-aaa"), Some(State::Paused));
    play.steps(60);
    assert_eq!(play.out("aaa"), out);
    play.records().get_mut(&record).unwrap().spec.paused = false;
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    let reasons = play.reasons();
    assert!(reasons.contains(&"RolloutPaused") && reasons.contains(&"RolloutResumed"));
}

#[test]
fn in_shadow_nothing_is_held_and_the_verdict_is_told() {
    let mut play = Play::new(30, Mode::Shadow);
    play.step();
    play.create(&logs(), "uid-1", "aaa");
    play.steps(3);
    assert_eq!(play.out("aaa"), 30);
    play.latency(900.0);
    play.steps(3);
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    assert_eq!(status.state, Some(State::Held));
    assert_eq!(status.mode, Some(crate::api::Mode::Shadow));
    assert!(
        status.summary.unwrap().contains("would"),
        "it does not say that it only watches"
    );
    let held = play
        .told
        .iter()
        .find(|notice| notice.reason == "RolloutHeld")
        .unwrap();
    assert!(held.note.starts_with("Would be held") && !held.note.contains("kubectl"));
    play.latency(5.0);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    assert!(matches!(play.world.cluster.role, Reading::Fresh(None)));
    play.steps(3);
    assert!(!play.mind.in_flight());
}

#[test]
fn in_shadow_what_ran_before_weir_is_no_rollout() {
    let mut play = Play::new(10, Mode::Shadow);
    play.create(&logs(), "uid-1", "aaa");
    play.step();
    let view = play.daemon_sets()[&logs()].clone();
    assert_eq!(view.updated, view.desired);
    play.restart();
    play.records().clear();
    play.steps(5);
    assert!(play.records().is_empty());
    play.update(&logs(), "bbb");
    play.steps(2);
    assert!(play.record("logs-bbb").is_some());
}

#[test]
fn where_weir_only_reads_it_writes_and_tells_nothing() {
    let mut play = Play::new(10, Mode::Enforce);
    play.labels()
        .insert(marks::GUARD.to_owned(), "observe".to_owned());
    play.step();
    play.create(&logs(), "uid-1", "aaa");
    play.steps(3);
    assert_eq!(play.mind.rollouts().count(), 1);
    assert!(play.until(120, |play| !play.mind.in_flight()));
    assert!(play.records().is_empty() && play.told.is_empty());
}

#[test]
fn a_node_critical_workload_is_refused_and_told_how_to_acknowledge() {
    let mut play = Play::new(10, Mode::Enforce);
    play.world.cluster.role = Reading::Fresh(Some(adopted(&[])));
    play.step();
    play.create(&logs(), "uid-1", "aaa");
    let view = play.daemon_sets().get_mut(&logs()).unwrap();
    view.template_facts.priority_class_name = Some("system-node-critical".to_owned());
    play.pods.clear();
    play.steps(3);
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    assert_eq!(status.state, Some(State::Refused));
    let stalled = status
        .conditions
        .iter()
        .find(|one| one.type_ == "Stalled")
        .unwrap();
    assert_eq!(
        (stalled.status.as_str(), stalled.reason.as_str()),
        ("True", "NodeCritical")
    );
    assert!(
        stalled
            .message
            .contains("weir.dev/node-critical=acknowledged"),
        "{}",
        stalled.message
    );
    assert_eq!(play.reasons(), ["RolloutRefused"]);
}

#[test]
fn a_workload_that_is_no_longer_enrolled_is_let_go() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.labels().clear();
    assert!(play.until(60, |play| play.gated() == 0));
    assert!(play.until(60, |play| play.state("logs-aaa") == Some(State::LetGo)));
    assert!(!play.approved("uid-1", "aaa"));
    assert_eq!(play.condition("logs-aaa", "Reconciling").status, "False");
    let reasons = play.reasons();
    assert!(
        reasons.ends_with(&["RolloutNoLongerGuarded", "RolloutLetGo"]),
        "{reasons:?}"
    );
}

#[test]
fn a_mode_lowered_in_the_middle_lets_go_of_what_is_held() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    play.labels()
        .insert(marks::GUARD.to_owned(), "shadow".to_owned());
    assert!(play.until(60, |play| play.gated() == 0));
    assert!(play.until(120, |play| play.state("logs-aaa") == Some(State::LetGo)));
}

#[test]
fn without_the_lease_nothing_is_ordered_and_waves_are_those_of_the_record() {
    let mut play = new_daemon_set(30);
    play.world.leads = false;
    for _ in 0..40 {
        let thought = play.step();
        assert!(thought.orders.rollouts.is_empty() && thought.orders.valve.is_none());
        assert!(thought.notices.is_empty());
    }
    assert_eq!(play.out("aaa"), 0);
    play.world.leads = true;
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn while_hands_are_busy_nothing_new_is_ordered_and_the_asked_count_as_out() {
    let mut play = new_daemon_set(100);
    assert!(play.until(60, |play| play.out("aaa") == 4));
    play.hands = false;
    assert!(
        play.until(60, |play| !play.step().orders.rollouts.is_empty()
            || play.told.len() > 9)
    );
    for _ in 0..60 {
        assert!(play.step().orders.rollouts.is_empty());
    }
    assert_eq!(play.out("aaa"), 4);
}

#[test]
fn a_source_that_may_not_be_read_holds_and_is_named() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    let absent = || Reading::Absent {
        why: "daemonsets is forbidden".to_owned(),
    };
    let daemon_sets = std::mem::replace(&mut play.world.cluster.daemon_sets, absent());
    let thought = play.mind.think(&play.world, false);
    let status = entry(&thought, "GuardedRollout", "logs-aaa").unwrap();
    let said = format!("{:?}", status.want);
    assert!(
        said.contains("EvidenceAbsent") && said.contains("daemonsets is forbidden"),
        "{said}"
    );
    assert!(thought.orders.rollouts.is_empty());
    play.world.cluster.daemon_sets = daemon_sets;
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn only_the_last_few_records_are_kept() {
    let mut play = running(4);
    play.steps(5);
    for hash in ["b1", "b2", "b3", "b4", "b5", "b6"] {
        play.update(&logs(), hash);
        let name = format!("logs-{hash}");
        assert!(
            play.until(300, |play| play.state(&name) == Some(State::Complete)),
            "{hash}"
        );
    }
    play.steps(2);
    let names: Vec<_> = play.records().keys().map(|key| key.name.clone()).collect();
    assert_eq!(names, ["logs-b3", "logs-b4", "logs-b5", "logs-b6"]);
}

#[test]
fn an_invalid_policy_is_told_once() {
    let mut play = Play::new(4, Mode::Enforce);
    let policies = rows(&mut play.world.cluster.policies);
    policies.get_mut("fast").unwrap().spec.soak = Some("soon".into());
    play.steps(5);
    assert_eq!(play.reasons(), ["PolicyInvalid"]);
    play.restart();
    play.steps(5);
    assert_eq!(play.reasons(), ["PolicyInvalid"]);
}

#[test]
fn whom_a_policy_is_for_is_not_told_while_it_is_not_known_who_is_enrolled() {
    let mut play = new_daemon_set(4);
    play.steps(3);
    let told = |play: &mut Play| entry(&play.step(), "RolloutPolicy", "fast").is_some();
    assert!(told(&mut play));
    let absent = || Reading::Absent {
        why: "it is forbidden".to_owned(),
    };
    let namespaces = std::mem::replace(&mut play.world.cluster.namespaces, absent());
    let thought = play.mind.think(&play.world, false);
    assert!(entry(&thought, "RolloutPolicy", "fast").is_none());
    play.world.cluster.namespaces = namespaces;
    assert!(told(&mut play));
    play.world.cluster.daemon_sets = Reading::Garbled {
        why: "one makes no sense".to_owned(),
    };
    let thought = play.mind.think(&play.world, false);
    assert!(entry(&thought, "RolloutPolicy", "fast").is_none());
}

#[test]
fn a_revision_that_the_controller_has_not_looked_at_is_waited_for() {
    let mut play = new_daemon_set(30);
    assert!(play.until(60, |play| play.out("aaa") == 2));
    let view = play.daemon_sets().get_mut(&logs()).unwrap();
    view.revision = None;
    for _ in 0..3 {
        assert!(play.step().orders.rollouts.is_empty());
    }
    let soaked = |play: &Play| {
        play.mind
            .rollouts()
            .next()
            .map(|(_, one)| one.history.soaked)
    };
    assert!(
        soaked(&play).is_some_and(|soaked| soaked > Span::ZERO),
        "its memory is lost"
    );
}

#[test]
fn gone_revisions_are_not_mistaken_for_an_empty_world() {
    let mut play = running(5);
    play.steps(5);
    play.daemon_sets()
        .get_mut(&logs())
        .unwrap()
        .revisions
        .push(RevisionView {
            hash: "zzz".to_owned(),
            number: 0,
        });
    let stale = fresh(play.daemon_sets().clone());
    play.world.cluster.daemon_sets = match stale {
        Reading::Fresh(value) => Reading::Stale {
            value,
            age: Span::from_secs(100),
        },
        other => other,
    };
    let thought = play.mind.think(&play.world, false);
    assert!(thought.orders.valve.is_none());
}
