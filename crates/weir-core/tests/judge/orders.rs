//! A person's order to let pods through, once, whatever is found.

use std::collections::BTreeSet;

use proptest::prelude::*;
use weir_core::{
    evidence::{LetThrough, PodState, Reading},
    judge::judge,
    plan::{Because, Intent, State},
    policy::Policy,
    time::{Moment, Span},
};

use crate::{
    any::{NOW, case, harmless_case},
    play::Play,
};

/// A rollout of fifty pods that harm holds at its canary.
fn held() -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 50);
    play.seconds(5);
    play.latency("api-a", 400.0);
    play.seconds(2);
    assert_eq!(play.report().state, State::Held);
    play
}

fn order(play: &Play, width: u32) -> LetThrough {
    LetThrough {
        width,
        given: play.now,
    }
}

#[test]
fn an_order_lets_through_what_is_held_at_the_policy_s_pace_and_no_more() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 10));
    play.seconds(1);
    assert_eq!(play.report().state, State::Progressing);
    assert_eq!(
        play.report().summary,
        "Letting through up to 10 of 50 pods, as a person ordered (spec.letThrough). Findings would \
         hold it (1), but a person's order goes before them."
    );
    play.seconds(30);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 10));
    assert!(!play.evidence.rollout.approved);
}

#[test]
fn an_order_is_carried_out_once_also_after_a_restart() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 10));
    play.seconds(30);
    assert_eq!(play.report().width, 10);
    for (node, restarts) in [("node-000", false), ("node-001", true)] {
        play.replace(node);
        if restarts {
            play.restart_weir(Span::from_secs(3));
        }
        play.seconds(60);
        assert_eq!(play.report().width, 9, "restarts: {restarts}");
        play.evidence.rollout.let_through = Some(order(&play, 10));
        play.seconds(30);
        assert_eq!(play.report().width, 10);
    }
}

#[test]
fn a_pause_goes_before_an_order() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 50));
    play.evidence.rollout.paused = true;
    play.seconds(60);
    assert_eq!(
        (play.report().state, play.report().width),
        (State::Paused, 1)
    );
    play.evidence.rollout.paused = false;
    play.seconds(60);
    assert_eq!(play.report().width, 50);
}

#[test]
fn an_order_that_is_hours_old_is_void() {
    let mut play = held();
    let given = Moment::from_millis(play.now.as_millis() - 4 * 3_600_000);
    play.evidence.rollout.let_through = Some(LetThrough { width: 50, given });
    play.seconds(30);
    assert_eq!((play.report().state, play.report().width), (State::Held, 1));
    let summary = &play.report().summary;
    assert!(
        summary.ends_with(
            "The order in spec.letThrough is void: it was given four hours ago or more."
        ),
        "{summary}"
    );
}

#[test]
fn an_order_of_more_than_all_ends_with_all_and_approves_nothing_by_itself() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 1000));
    play.seconds(60);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 50));
    assert!(!play.evidence.rollout.approved);
    // Once the harm is gone it soaks at full width, and is approved as any other.
    play.latency("api-a", 5.0);
    play.until_complete();
}

#[test]
fn an_order_for_all_ends_although_some_nodes_are_not_ready() {
    let mut play = held();
    for node in ["node-048", "node-049"] {
        play.node_ready(node, false);
    }
    play.evidence.rollout.let_through = Some(order(&play, 50));
    play.seconds(60);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 48));

    // What comes later was not ordered: a node that returns, one that joins, a pod that is made again.
    play.node_ready("node-048", true);
    play.join(1);
    play.replace("node-000");
    play.seconds(60);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 47));
}

#[test]
fn what_comes_while_an_order_stands_is_not_ordered() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 50));
    play.seconds(1);
    play.join(5);
    play.seconds(60);
    assert_eq!(play.report().width, 50);
}

#[test]
fn an_order_covers_what_an_update_puts_in_the_place_of_old_pods() {
    let mut play = Play::update(Policy::fast(), 20, 1);
    play.seconds(8);
    play.latency("api-a", 400.0);
    play.seconds(5);
    assert_eq!(play.report().state, State::Held);
    play.evidence.rollout.let_through = Some(order(&play, 20));
    play.seconds(240);
    assert_eq!(play.report().width, 20);
}

#[test]
fn an_order_does_not_wait_for_an_update_that_makes_no_room() {
    let mut play = Play::update(Policy::fast(), 20, 1);
    play.seconds(8);
    play.latency("api-a", 400.0);
    play.seconds(5);
    assert_eq!(play.report().state, State::Held);
    play.ready_in = Span::from_secs(100_000);
    play.evidence.rollout.let_through = Some(order(&play, 20));
    play.seconds(700);
    let stalled = play.report().width;
    assert_eq!(play.report().state, State::Held);
    play.ready_in = Span::from_secs(2);
    play.seconds(60);
    assert_eq!(play.report().width, stalled);
}

#[test]
fn an_order_that_was_carried_out_is_not_obeyed_again_whoever_writes_it_back() {
    let mut play = held();
    let first = order(&play, 10);
    play.evidence.rollout.let_through = Some(first);
    play.seconds(30);
    play.evidence.rollout.let_through = Some(order(&play, 12));
    play.seconds(30);
    assert_eq!(play.report().width, 12);
    play.replace("node-000");
    play.replace("node-001");
    play.replace("node-002");
    play.evidence.rollout.let_through = Some(first);
    play.seconds(60);
    assert_eq!(play.report().width, 9);
}

#[test]
fn an_order_of_the_future_is_void() {
    let mut play = held();
    let given = play.now + Span::from_secs(600);
    play.evidence.rollout.let_through = Some(LetThrough { width: 50, given });
    play.seconds(60);
    assert_eq!((play.report().state, play.report().width), (State::Held, 1));
}

#[test]
fn a_node_that_starves_is_served_while_an_order_stands() {
    let mut policy = Policy::fast();
    policy.starving_per_ten_minutes = 0.5;
    let mut play = Play::update(policy, 20, 1);
    play.seconds(8);
    // Nothing suffers, but Weir is blind: what starves is served.
    let silent = Reading::Absent {
        why: "silent".to_owned(),
    };
    let sources = &mut play.evidence.sources;
    sources.insert("daemon sets".to_owned(), silent);
    // The update makes no room, so that the order stands for minutes.
    play.ready_in = Span::from_secs(100_000);
    play.evidence.rollout.let_through = Some(order(&play, 20));
    play.seconds(30);
    let before = play.report().width;
    play.join(1);
    play.seconds(150);
    assert_eq!(play.report().state, State::Progressing);
    assert_eq!(play.report().width, before + 1);
}

proptest! {
    #![proptest_config(ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(500)
    })]

    #[test]
    fn an_order_lets_no_more_out_than_its_width_and_is_never_obeyed_twice(
        mut case in prop_oneof![case(), harmless_case()],
        width in 1..14_u32,
        ago in 0..20_000_u64,
        is_spent in any::<bool>(),
    ) {
        let given = NOW - Span::from_secs(ago);
        case.evidence.rollout.let_through = Some(LetThrough { width, given });
        case.history.obeyed = is_spent.then_some(given);
        case.history.release_carry = 1000.0;
        let judgement = judge(&case.policy, &case.evidence, case.history.clone(), NOW);
        let ordered: BTreeSet<&String> = judgement
            .plan
            .intents
            .iter()
            .filter_map(|intent| match intent {
                Intent::Release { pods, because: Because::Ordered } => Some(pods),
                Intent::Release { .. } | Intent::Approve => None,
            })
            .flatten()
            .collect();
        let rollout = &case.evidence.rollout;
        let pods = rollout.pods.last().into_iter().flatten();
        let out = pods.filter(|(_, pod)| pod.state != PodState::Gated).count();
        if !ordered.is_empty() {
            prop_assert!(ordered.len() + out <= width as usize);
        }
        let is_void = is_spent || ago >= 4 * 3600 || rollout.paused || rollout.approved;
        prop_assert!(!is_void || ordered.is_empty());
    }
}
