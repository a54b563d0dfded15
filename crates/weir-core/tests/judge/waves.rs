//! How wide waves are, which pods they take, and which nodes are served because they starve.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{PodState, Reading},
    plan::{Because, Intent, State},
    policy::Policy,
    time::Span,
};

use crate::play::Play;

/// The target after each wave, when nothing is ever wrong.
fn targets(policy: Policy, nodes: u32) -> Vec<u32> {
    let mut play = Play::first_rollout(policy, nodes);
    let mut targets = Vec::new();
    while !play.evidence.rollout.approved {
        play.second();
        let target = play.report().target;
        if targets.last() != Some(&target) {
            targets.push(target);
        }
    }
    targets
}

#[test]
fn waves_grow_by_the_factor_and_by_the_largest_step_at_most() {
    assert_eq!(
        targets(Policy::fast(), 200),
        [2, 4, 8, 16, 32, 64, 128, 200]
    );
    assert_eq!(
        targets(Policy::careful(), 100),
        [
            1, 2, 3, 4, 6, 9, 13, 19, 28, 37, 46, 55, 64, 73, 82, 91, 100
        ]
    );
    let steep = Policy {
        growth: 100.0,
        max_step: 0.25,
        canary: 0.1,
        ..Policy::fast()
    };
    assert_eq!(targets(steep, 40), [4, 14, 24, 34, 40]);
}

#[test]
fn a_canary_is_at_least_one_pod_and_rounded_up() {
    let first = |canary, nodes| {
        targets(
            Policy {
                canary,
                ..Policy::fast()
            },
            nodes,
        )[0]
    };
    assert_eq!(
        (first(0.01, 1), first(0.01, 100), first(0.01, 101)),
        (1, 1, 2)
    );
}

#[test]
fn the_step_halves_at_each_hold_and_recovers_by_a_quarter_with_each_wave() {
    let mut play = Play::first_rollout(Policy::fast(), 1000);
    play.until("wave 4", |report| report.wave == 4 && report.width == 80);
    for _ in 0..2 {
        play.latency("api-a", 400.0);
        play.second();
        play.latency("api-a", 5.0);
        play.seconds(15);
    }
    let mut targets = vec![80];
    while !play.evidence.rollout.approved {
        play.second();
        let target = play.report().target;
        if targets.last() != Some(&target) {
            targets.push(target);
        }
    }
    // Steps of a quarter, a half, three quarters, and all of the width that is out.
    assert_eq!(targets, [80, 100, 150, 262, 524, 1000]);
}

/// Pods of the next wave that is let through, by zone.
fn zones(play: &mut Play) -> BTreeMap<String, usize> {
    let pods = next_release(play);
    let mut zones = BTreeMap::new();
    for name in pods {
        let node = play.pods()[&name].node.clone();
        *zones.entry(play.nodes()[&node].zone.clone()).or_default() += 1;
    }
    zones
}

fn next_release(play: &mut Play) -> Vec<String> {
    loop {
        play.second();
        let intents = &play.last.as_ref().expect("it was judged").plan.intents;
        if let [Intent::Release { pods, .. }] = intents.as_slice() {
            return pods.clone();
        }
    }
}

fn by_zone(counts: &[(&str, usize)]) -> BTreeMap<String, usize> {
    counts
        .iter()
        .map(|(zone, count)| ((*zone).to_owned(), *count))
        .collect()
}

#[test]
fn a_wave_is_spread_over_zones() {
    let mut play = Play::first_rollout(
        Policy {
            canary: 0.07,
            ..Policy::fast()
        },
        100,
    );
    assert_eq!(
        zones(&mut play),
        by_zone(&[("zone-0", 3), ("zone-1", 2), ("zone-2", 2)])
    );
}

#[test]
fn a_zone_without_ready_nodes_is_left_to_the_others() {
    let mut play = Play::first_rollout(
        Policy {
            canary: 0.07,
            ..Policy::fast()
        },
        100,
    );
    for node in play
        .nodes()
        .values_mut()
        .filter(|node| node.zone == "zone-1")
    {
        node.ready = false;
    }
    assert_eq!(zones(&mut play), by_zone(&[("zone-0", 4), ("zone-2", 3)]));
}

#[test]
fn zones_that_are_behind_come_first() {
    let mut play = Play::first_rollout(
        Policy {
            canary: 0.07,
            ..Policy::fast()
        },
        100,
    );
    for node in ["node-000", "node-003", "node-006", "node-009"] {
        play.leak(node);
    }
    assert_eq!(zones(&mut play), by_zone(&[("zone-1", 2), ("zone-2", 2)]));
}

#[test]
fn pods_are_let_through_in_the_order_of_their_nodes() {
    let mut play = Play::first_rollout(
        Policy {
            canary: 0.04,
            ..Policy::fast()
        },
        100,
    );
    play.second();
    let intents = &play.last.as_ref().expect("it was judged").plan.intents;
    let pods = ["node-000-1", "node-001-2", "node-002-3", "node-003-4"]
        .map(str::to_owned)
        .into();
    assert_eq!(
        intents,
        &[Intent::Release {
            pods,
            because: Because::Wave
        }]
    );
}

#[test]
fn the_successor_of_a_deleted_pod_comes_last_even_in_the_emptiest_zone() {
    // Each node is a zone of its own.
    let mut play = Play::first_rollout(Policy::fast(), 3);
    assert_eq!(next_release(&mut play), ["node-000-1"]);
    play.seconds(2);
    play.replace("node-000");
    assert_eq!(next_release(&mut play), ["node-001-2"]);
    assert_eq!(next_release(&mut play), ["node-002-3"]);
    play.seconds(2);
    play.replace("node-002");
    assert_eq!(next_release(&mut play), ["node-000-4"]);
}

#[test]
fn of_a_zone_s_pods_those_that_were_gated_longest_come_first() {
    let canary = Policy {
        canary: 0.3,
        ..Policy::fast()
    };
    let mut play = Play::first_rollout(canary, 10);
    let late = play.now;
    for pod in play.pods().values_mut() {
        pod.since = late - Span::from_secs(60);
    }
    for pod in play.pods().values_mut().take(3) {
        pod.since = late;
    }
    let nodes = ["node-003-4", "node-004-5", "node-005-6"];
    assert_eq!(next_release(&mut play), nodes);
}

#[test]
fn a_slow_pace_lets_a_pod_through_as_soon_as_it_is_whole() {
    let slow = Policy {
        releases_per_second: 0.4,
        canary: 0.1,
        ..Policy::fast()
    };
    let mut play = Play::first_rollout(slow, 40);
    play.seconds(10);
    play.expect(
        "
        1 s: Progressing 0/4 of 40
        3 s: Progressing 0/4 of 40, release 1
        5 s: Progressing 1/4 of 40, release 1
        8 s: Progressing 2/4 of 40, release 1
        10 s: Progressing 3/4 of 40, release 1
        ",
    );
}

#[test]
fn a_late_judgement_does_not_burst() {
    let mut play = Play::first_rollout(
        Policy {
            canary: 1.0,
            ..Policy::fast()
        },
        200,
    );
    play.now = play.now + Span::from_secs(3600);
    play.second();
    play.expect("3601 s: Progressing 0/200 of 200, release 40");
}

/// An update of 100 nodes that is held blind at wave 1, with this many nodes that may be empty.
fn blind_update(max_unavailable: u32) -> Play {
    let mut play = Play::update(Policy::fast(), 100, max_unavailable);
    play.until("wave 1 soaks", |report| {
        report.wave == 1 && report.width == 1
    });
    play.evidence.expected_servers = Reading::Fresh(2);
    play.seconds(600);
    play.story();
    play
}

#[test]
fn nodes_whose_old_pod_went_away_are_served_beyond_what_the_update_may_empty() {
    let mut play = blind_update(2);
    play.seconds(1200);
    play.expect("");
    assert_eq!(play.report().nodes_without_pod, 2);
    play.bear("node-050");
    play.bear("node-051");
    play.seconds(1200);
    play.expect(
        "
        1803 s: Held 1/1 of 100, serve 1
        2403 s: Held 2/2 of 100, serve 1
        ",
    );
    assert_eq!(play.report().nodes_without_pod, 2);
}

#[test]
fn a_node_that_joins_is_served_before_those_that_wait() {
    let mut play = blind_update(1);
    play.bear("node-050");
    play.join(1);
    play.second();
    let intents = play
        .last
        .as_ref()
        .expect("it was judged")
        .plan
        .intents
        .clone();
    let pods = vec!["node-100-104".to_owned()];
    assert_eq!(
        intents,
        [Intent::Release {
            pods,
            because: Because::Starving
        }]
    );
}

#[test]
fn nodes_where_another_revision_runs_do_not_starve() {
    let mut play = blind_update(1);
    // A surge: the new pod waits beside the old one.
    for node in ["node-050", "node-051", "node-052"] {
        play.surge(node);
    }
    play.seconds(1200);
    play.expect("");
    assert_eq!(play.report().nodes_without_pod, 1);
}

#[test]
fn a_pause_stops_serving_too_and_counts_what_waits() {
    let mut play = blind_update(1);
    play.evidence.rollout.paused = true;
    play.join(5);
    play.seconds(1200);
    play.expect("603 s: Paused 1/1 of 105");
    assert_eq!(play.report().nodes_without_pod, 6);
    assert!(
        play.report()
            .summary
            .ends_with("6 nodes wait without a pod.")
    );
}

#[test]
fn harm_that_stood_before_the_first_pod_was_out_does_not_stop_serving() {
    let mut play = Play::update(Policy::fast(), 100, 1);
    play.latency("api-a", 400.0);
    play.join(3);
    play.seconds(1300);
    play.expect(
        "
        1 s: Pending 0/0 of 103
        30 s: Held 0/0 of 103
        583 s: Held 0/0 of 103, serve 1
        1166 s: Held 1/1 of 103, serve 1
        ",
    );
}

#[test]
fn a_wave_fills_from_others_while_one_of_its_pods_is_refused() {
    let mut play = Play::first_rollout(Policy::fast(), 100);
    let stubborn = "node-000-1".to_owned();
    play.evidence.rollout.refused = [stubborn.clone()].into();
    // All but one are let through, and the last is waited for.
    play.until("full width", |report| report.width == 99);
    play.seconds(120);
    assert_eq!(play.report().width, 99);
    assert!(!play.evidence.rollout.approved);
    play.evidence.rollout.refused.clear();
    play.until_complete();
}

#[test]
fn a_restart_of_weir_gives_no_new_tokens() {
    let mut play = blind_update(1);
    play.join(5);
    for _ in 0..40 {
        play.seconds(30);
        play.restart_weir(Span::from_secs(1));
    }
    // One token was saved before the first restart, and in half a minute there is never another.
    assert_eq!(play.report().width, 2);
}

#[test]
fn a_token_is_not_lost_when_its_plan_comes_to_nothing() {
    let mut play = blind_update(1);
    play.join(2);
    let planned = |play: &mut Play| {
        play.now = play.now + Span::from_secs(1);
        let judgement = play.look();
        play.history = judgement.history.clone();
        judgement.plan.intents
    };
    let first = planned(&mut play);
    let pods = vec!["node-100-103".to_owned()];
    assert_eq!(
        first,
        [Intent::Release {
            pods,
            because: Because::Starving
        }]
    );
    // Nothing was done, as if the lease had been lost; it is planned again, and only that.
    assert_eq!(planned(&mut play), first);
    play.seconds(300);
    assert_eq!(play.report().width, 2);
}

/// An update of a hundred nodes whose first wave has soaked for a second.
fn soaks_for(soak: Span) -> Play {
    let mut play = Play::update(
        Policy {
            soak,
            ..Policy::fast()
        },
        100,
        1,
    );
    play.until("wave 1 soaks", |report| report.soaked == Span::from_secs(1));
    play
}

#[test]
fn a_node_served_because_it_starved_does_not_disturb_the_soak() {
    let mut play = soaks_for(Span::from_secs(900));
    let before = play.elapsed();
    play.join(1);
    play.until("wave 2", |report| report.wave == 2);
    // The two seconds beside the judgement that saw its pod unready are not counted.
    assert_eq!((play.report().width, play.elapsed() - before), (2, 899 + 2));
}

#[test]
fn a_node_served_because_its_old_pod_went_away_takes_nobody_s_place() {
    let mut play = soaks_for(Span::from_secs(900));
    let before = play.elapsed();
    play.bear("node-050");
    play.until("wave 2", |report| report.wave == 2);
    assert_eq!((play.report().width, play.elapsed() - before), (2, 899 + 2));
}

#[test]
fn a_policy_without_a_rate_serves_no_node() {
    let mut play = blind_update(1);
    play.policy.starving_per_ten_minutes = 0.0;
    play.join(1);
    play.seconds(3600);
    play.expect("");
}

#[test]
fn a_pod_that_finds_no_place_does_not_stop_serving() {
    let mut play = Play::update(Policy::fast(), 100, 1);
    play.until("wave 1 is out", |report| report.width == 1);
    let since = play.now - Span::from_secs(300);
    for pod in play.pods().values_mut() {
        (pod.state, pod.since) = (PodState::Unscheduled, since);
    }
    play.seconds(600);
    play.story();
    play.join(1);
    play.seconds(1);
    assert_eq!(play.report().state, State::Held);
    play.expect("603 s: Held 1/1 of 101, serve 1");
}

#[test]
fn a_node_that_is_not_ready_is_not_served() {
    let mut play = blind_update(1);
    play.join(1);
    play.node_ready("node-100", false);
    play.seconds(1200);
    play.expect("");
    assert_eq!(play.report().nodes_without_pod, 1);
}

#[test]
fn harm_before_the_first_pod_does_not_halve_the_step() {
    let mut play = Play::first_rollout(Policy::fast(), 1000);
    play.latency("api-a", 400.0);
    play.seconds(5);
    play.latency("api-a", 5.0);
    play.until("wave 2", |report| report.wave == 2);
    assert_eq!(play.report().target, 20);
}
