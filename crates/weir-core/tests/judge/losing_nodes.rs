//! Rollouts whose nodes die: by their own doing, by a zone's end, or by chance.

use proptest::prelude::*;
use weir_core::{
    evidence::NodeRow,
    plan::{Rule, Severity, State},
    policy::Policy,
    time::Span,
};

use crate::play::Play;

/// How long a zone's end is looked at.
const A_MINUTE: Span = Span::from_secs(60);

/// How long a dead node is left alone.
const FIVE_MINUTES: Span = Span::from_secs(300);

fn with_canary(canary: f64) -> Policy {
    Policy {
        canary,
        ..Policy::careful()
    }
}

#[test]
fn a_rollout_that_kills_its_nodes_stops_at_the_canary() {
    let mut play = Play::first_rollout(with_canary(0.1), 100);
    play.kills_after = Some(Span::from_secs(30));
    play.seconds(7200);
    assert_eq!(play.rules(), [Rule::NodesLost]);
    assert_eq!(play.report().state, State::Held);
    assert_eq!(play.dead(), 10);
}

#[test]
fn one_that_kills_some_of_its_nodes_stops_as_well() {
    let mut play = Play::first_rollout(with_canary(0.1), 100);
    play.until("the canary is out", |report| report.width == 10);
    play.seconds(5);
    play.node_ready("node-001", false);
    play.seconds(2);
    assert_eq!(play.report().findings[0].severity, Severity::Notice);
    play.node_ready("node-005", false);
    play.seconds(3600);
    assert_eq!(play.report().state, State::Held);
    assert_eq!(play.report().width, 10);
}

#[test]
fn a_restart_of_weir_forgives_nothing() {
    let mut play = Play::first_rollout(with_canary(0.1), 100);
    play.kills_after = Some(Span::from_secs(30));
    play.until("held", |report| report.state == State::Held);
    play.restart_weir(Span::from_secs(60));
    play.seconds(3600);
    assert_eq!((play.report().state, play.dead()), (State::Held, 10));

    // Nor when the nodes were replaced while nobody looked.
    play.kills_after = None;
    let nodes = play.nodes().iter().filter(|(_, node)| !node.ready);
    let dead: Vec<String> = nodes.map(|(name, _)| name.clone()).collect();
    for name in dead {
        play.leave(&name);
        play.join(1);
    }
    play.restart_weir(Span::from_secs(60));
    play.seconds(600);
    assert_eq!((play.report().state, play.report().width), (State::Held, 0));
    assert_eq!(play.rules(), [Rule::NodesLost]);
    play.until_complete();
}

#[test]
fn it_goes_on_once_the_nodes_are_back() {
    let mut play = Play::first_rollout(with_canary(0.1), 100);
    play.until("the canary is out", |report| report.width == 10);
    play.seconds(3);
    for node in ["node-000", "node-001"] {
        play.node_ready(node, false);
    }
    play.seconds(300);
    assert_eq!(play.report().state, State::Held);
    for node in ["node-000", "node-001"] {
        play.node_ready(node, true);
    }
    play.until_complete();
}

#[test]
fn nodes_that_are_back_hold_for_ten_minutes_or_for_a_longer_clear_after() {
    for (clear_after, quiet) in [(1, 600), (10, 600), (300, 600), (1200, 1200)] {
        let mut policy = with_canary(0.1);
        policy.harm.clear_after = Span::from_secs(clear_after);
        let mut play = Play::first_rollout(policy, 100);
        play.until("the canary is out", |report| report.width == 10);
        play.seconds(3);
        for ready in [false, true] {
            play.node_ready("node-000", ready);
            play.node_ready("node-001", ready);
            play.seconds(1);
        }
        let back = play.now;
        assert_eq!(play.report().state, State::Held);
        play.until("it goes on", |report| report.state != State::Held);
        let held = play.now.since(back) + Span::from_secs(1);
        assert_eq!(held, Span::from_secs(quiet), "clearAfter {clear_after} s");
    }
}

#[test]
fn where_dead_nodes_are_replaced_a_rollout_that_kills_them_goes_on_ever_more_slowly() {
    let mut play = Play::first_rollout(with_canary(0.05), 100);
    play.kills_after = Some(Span::from_secs(30));
    let mut replaced = 0;
    for _ in 0..6 * 3600 {
        play.second();
        let now = play.now;
        let beyond_repair = |node: &NodeRow| !node.ready && now.since(node.turned) > FIVE_MINUTES;
        let nodes = play.nodes().iter();
        let dead = nodes.filter(|(_, node)| beyond_repair(node));
        let dead: Vec<String> = dead.map(|(name, _)| name.clone()).collect();
        for name in dead {
            play.leave(&name);
            play.join(1);
            replaced += 1;
        }
    }
    // At 10, 20, 40, 80 and 160 minutes after the last were gone.
    assert_eq!(replaced, 6 * 5);
}

#[test]
fn the_end_of_a_zone_is_not_held_against_a_rollout_at_any_width() {
    for zone in ["zone-0", "zone-1", "zone-2"] {
        let mut play = Play::first_rollout(Policy::fast(), 60);
        while !play.evidence.rollout.approved {
            play.second();
            if play.report().soaked != Span::from_secs(5) {
                continue;
            }
            let mut outage = play.clone();
            outage.zone_ready(zone, false);
            while !outage.evidence.rollout.approved && outage.now.since(play.now) < A_MINUTE {
                outage.second();
                let findings = &outage.report().findings;
                assert!(
                    findings.iter().all(|one| one.severity == Severity::Notice),
                    "{zone} at {}: {findings:?}",
                    outage.report().width
                );
            }
        }
    }
}

#[test]
fn a_rollout_is_not_acquitted_by_a_zone_that_ends_beside_it() {
    let mut play = Play::first_rollout(with_canary(0.1), 120);
    play.kills_after = Some(Span::from_secs(30));
    play.until("the canary is out", |report| report.width == 12);
    play.zone_ready("zone-0", false);
    play.until("held", |report| report.state == State::Held);
    assert_eq!(play.rules(), [Rule::NodesLost]);
}

#[test]
fn where_no_node_is_left_to_compare_with_the_end_of_all_is_held_against_it() {
    let mut play = Play::first_rollout(Policy::careful(), 6);
    play.until("all are out", |report| report.width == 6);
    play.seconds(5);
    for zone in ["zone-0", "zone-1", "zone-2"] {
        play.zone_ready(zone, false);
    }
    play.seconds(2);
    assert_eq!(play.report().findings[0].rule, Rule::NodesLost);
    assert_eq!(play.report().state, State::Held);
}

#[test]
fn in_search_of_pods_to_judge_no_more_than_twice_the_target_is_let_out() {
    let mut play = Play::first_rollout(with_canary(0.04), 100);
    play.kills_after = Some(Span::from_secs(5));
    // Most nodes die anyway: nothing is held against the rollout.
    for node in 20..100 {
        if node % 5 != 0 {
            play.node_ready(&format!("node-{node:03}"), false);
        }
    }
    let begun = play.history.begun;
    for node in play.nodes().values_mut().filter(|node| !node.ready) {
        node.turned = begun + Span::from_millis(1);
    }
    play.seconds(3600);
    assert_eq!(play.report().state, State::Progressing);
    assert_eq!((play.report().target, play.report().width), (4, 8));
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(40) })]

    #[test]
    fn whatever_its_canary_a_rollout_that_kills_loses_no_more_than_twice_that(
        canary in 0.001..0.3,
        nodes in 5..150_u32,
        kills_after in 1..50_u64,
    ) {
        let mut play = Play::first_rollout(with_canary(canary), nodes);
        play.kills_after = Some(Span::from_secs(kills_after));
        play.seconds(1);
        let first = play.report().target as usize;
        play.seconds(600);
        prop_assert!(play.dead() <= 2 * first, "{} of {first}", play.dead());
        prop_assert!(play.dead() < 2 || play.report().state == State::Held);
    }
}
