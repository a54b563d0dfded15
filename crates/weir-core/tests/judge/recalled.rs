//! What is left of a forecast when its evidence is away: after a restart of Weir, of which only a record is
//! left, and while nothing counts what the account asks.

use weir_core::{
    evidence::Reading,
    plan::{Rule, State},
    policy::Policy,
    time::Span,
    usage::Meter,
};

use crate::{
    costs::{Costs, METER},
    foreseen::{fast, has, held_for, play},
    play::Play,
};

/// Each start takes half a CPU second.
fn dear_start() -> Costs {
    Costs {
        start: 0.5,
        ..Costs::of(1.0)
    }
}

fn away() -> Meter {
    Meter::Awaited {
        why: "its FlowSchema is not there yet".to_owned(),
    }
}

fn there() -> Meter {
    Meter::Own {
        schema: METER.to_owned(),
    }
}

#[test]
fn a_restart_of_weir_does_not_forget_what_a_start_costs() {
    let mut play = fast(200, dear_start());
    let width = held_for(&mut play, Rule::UnisonExceedsCapacity);
    play.restart_weir(Span::from_secs(30));
    play.seconds(300);
    assert_eq!(play.report().state, State::Held);
    assert_eq!(play.report().width, width);
}

/// One pod's start may be a leader's. That none but it was seen is on record too.
#[test]
fn a_restart_of_weir_does_not_make_a_leader_s_start_everybody_s() {
    let costs = Costs {
        leader_start: 1.0,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.until("the first pod soaks", |report| {
        report.width == 1 && report.state == State::Soaking
    });
    play.seconds(7);
    play.restart_weir(Span::from_secs(10));
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn a_restart_of_weir_does_not_forget_what_watches_cost() {
    let costs = Costs {
        watches: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    play.restart_weir(Span::from_secs(30));
    play.seconds(600);
    let story = play.story();
    assert_eq!(play.report().state, State::Held, "{story}");
    assert_eq!(play.report().width, width);
}

/// What all clients move together was not recorded: it is not told before it is seen again.
#[test]
fn a_restart_of_weir_takes_nobody_s_memory_for_the_pods() {
    let mut play = fast(200, Costs::of(1.0));
    play.until("some way", |report| report.width >= 16);
    play.restart_weir(Span::from_secs(10));
    play.seconds(20);
    let forecast = play.report().forecast.clone().expect("a forecast");
    for told in &forecast.resources[1..] {
        assert!(
            told.per_pod.mid <= 0.0,
            "nothing grows with the pods, but {told:?}"
        );
    }
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn a_hold_for_starts_outlives_its_meter() {
    let mut play = fast(200, dear_start());
    let width = held_for(&mut play, Rule::UnisonExceedsCapacity);
    for meter in [away(), there()] {
        play.evidence.rollout.meter = meter;
        play.seconds(60);
        let story = play.story();
        assert_eq!(play.report().state, State::Held, "{story}");
        assert!(has(play.report(), Rule::UnisonExceedsCapacity));
        assert_eq!(play.report().width, width);
    }
}

#[test]
fn a_hold_for_what_pods_cost_outlives_its_meter() {
    let costs = Costs {
        each: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    for meter in [away(), there()] {
        play.evidence.rollout.meter = meter;
        play.seconds(60);
        assert!(has(play.report(), Rule::ForecastExceedsCapacity));
        assert_eq!(play.report().width, width);
    }
    play.restart_weir(Span::from_secs(30));
    play.seconds(120);
    let story = play.story();
    assert_eq!(play.report().state, State::Held, "{story}");
}

#[test]
fn nothing_is_approved_because_its_meter_is_away() {
    let mut play = fast(50, dear_start());
    play.policy.forecast.paces = true;
    play.policy.forecast.unison = Span::from_secs(10);
    play.until("everywhere", |report| report.width == 50);
    play.evidence.rollout.meter = away();
    play.until("ended", |report| {
        matches!(report.state, State::Paced | State::Complete)
    });
    let story = play.story();
    assert_eq!(play.report().state, State::Paced, "{story}");
    assert!(!play.evidence.rollout.approved);
}

/// Somebody takes a FlowSchema away for a minute, and it is written again.
#[test]
fn a_meter_that_comes_back_is_no_cost_that_grows() {
    let costs = Costs {
        each: 0.004,
        ..Costs::of(4.0)
    };
    let mut play = play(100, Policy::careful(), costs);
    play.until("some width soaks", |report| {
        report.width >= 2 && report.state == State::Soaking
    });
    for _ in 0..4 {
        for meter in [away(), there()] {
            play.evidence.rollout.meter = meter;
            play.seconds(25);
            assert!(!has(play.report(), Rule::CostGrowsWithAge));
        }
    }
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

/// Until it has seen them again, Weir does not say that no pods are out.
#[test]
fn a_restart_of_weir_does_not_forget_how_wide_it_was() {
    let mut play = Play::first_rollout(Policy::careful(), 100);
    play.until("some are out", |report| report.width > 1);
    let width = play.report().width;
    play.restart_weir(Span::from_secs(5));
    let pods = std::mem::replace(
        &mut play.evidence.rollout.pods,
        Reading::Absent {
            why: "not read yet".to_owned(),
        },
    );
    play.history = play.look().history;
    assert_eq!(play.look().report.width, width);
    play.evidence.rollout.pods = pods;
    assert_eq!(play.look().report.width, width);
}
