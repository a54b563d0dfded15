//! Forecasts over time: what is held before anybody suffers, and what never is.

use weir_core::{
    evidence::Reading,
    forecast::{Resource, ResourceForecast},
    plan::{Report, Rule, State},
    policy::Policy,
    time::Span,
};

use crate::{
    costs::{Costs, OTHER},
    play::{Play, server},
};

/// A first rollout on `nodes` nodes, with one API server of one core, steered by its forecast.
pub(crate) fn play(nodes: u32, policy: Policy, costs: Costs) -> Play {
    let mut play = Play::first_rollout(policy, nodes);
    play.policy.forecast.holds = true;
    play.costs = Some(costs);
    play
}

pub(crate) fn fast(nodes: u32, costs: Costs) -> Play {
    play(nodes, Policy::fast(), costs)
}

pub(crate) fn has(report: &Report, rule: Rule) -> bool {
    report.findings.iter().any(|finding| finding.rule == rule)
}

/// What is foreseen of a resource.
#[track_caller]
fn told(play: &Play, resource: Resource) -> ResourceForecast {
    let forecast = play.report().forecast.as_ref().expect("it was forecast");
    let mut resources = forecast.resources.iter();
    let told = resources.find(|told| told.resource == resource);
    told.expect("it is told").clone()
}

/// Runs until it is held for `rule`, and stays so.
#[track_caller]
pub(crate) fn held_for(play: &mut Play, rule: Rule) -> u32 {
    play.until("held", |report| report.state == State::Held);
    assert!(has(play.report(), rule), "{:#?}", play.report().findings);
    let width = play.report().width;
    play.seconds(600);
    let story = play.story();
    assert_eq!(play.report().state, State::Held, "{story}");
    assert_eq!(play.report().width, width, "{story}");
    width
}

#[test]
fn what_costs_nothing_is_never_held() {
    for nodes in [1, 3, 200, 1000] {
        let mut play = fast(nodes, Costs::of(1.0));
        play.until_complete();
        let story = play.story();
        assert!(!story.contains("Held"), "{story}");
        // Nothing to learn makes nothing wait.
        assert!(
            play.elapsed() < 240,
            "{nodes} nodes took {} s\n{story}",
            play.elapsed()
        );
    }
}

#[test]
fn a_steady_cost_is_held_at_two_percent() {
    let costs = Costs {
        each: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    assert!(width <= 4, "held at {width}");
    let forecast = play.report().forecast.clone().expect("it was forecast");
    let cpu = &forecast.resources[0];
    assert!((cpu.at_full.mid - 10.1).abs() < 1.0, "{cpu:?}");
    let knee = cpu.knee.expect("it has one");
    assert!((knee.mid - 18.0).abs() < 2.0, "{knee:?}");
}

#[test]
fn one_pod_that_takes_half_of_everything_stays_alone() {
    let costs = Costs {
        each: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    assert_eq!(held_for(&mut play, Rule::EvidenceInsufficient), 1);
}

#[test]
fn a_leader_is_no_slope() {
    let costs = Costs {
        leader: 0.15,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn what_is_within_budget_is_let_through_and_what_is_not_is_not() {
    for (each, ends) in [(0.001, State::Complete), (0.02, State::Held)] {
        let costs = Costs {
            each,
            ..Costs::of(1.0)
        };
        let mut play = fast(200, costs);
        play.until("ended", |report| {
            matches!(report.state, State::Complete | State::Held)
        });
        let story = play.story();
        assert_eq!(play.report().state, ends, "{each}: {story}");
    }
}

#[test]
fn a_cost_that_begins_late_is_held_in_a_longer_soak() {
    let costs = Costs {
        each: 0.05,
        late: Span::from_secs(40),
        ..Costs::of(1.0)
    };
    let mut play = play(200, Policy::careful(), costs);
    play.until("held", |report| report.state == State::Held);
    assert!(
        has(play.report(), Rule::CostGrowsWithAge),
        "{:?}",
        play.report().findings
    );
    assert_eq!(play.report().width, 1);
    play.until("foreseen", |report| {
        has(report, Rule::ForecastExceedsCapacity)
    });
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    assert!(width <= 4, "held at {width}");
}

#[test]
fn starts_that_would_take_too_long_at_once_are_held() {
    let costs = Costs {
        start: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    let width = held_for(&mut play, Rule::UnisonExceedsCapacity);
    assert!(width <= 4, "held at {width}");
}

/// As with a capacity: else a hold would come and go with each window that strays.
#[test]
fn starts_that_would_take_too_long_stay_held_until_they_probably_would_not() {
    let costs = Costs {
        start: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    held_for(&mut play, Rule::UnisonExceedsCapacity);
    let forecast = play.report().forecast.clone();
    let seconds = forecast
        .expect("a forecast")
        .unison
        .expect("starts")
        .seconds;
    let mut held_at = |seconds: f64| {
        play.policy.forecast.unison = Span::from_secs(1).times(seconds);
        play.seconds(5);
        has(play.report(), Rule::UnisonExceedsCapacity)
    };
    assert!(
        held_at(f64::midpoint(seconds.low, seconds.mid)),
        "{seconds:?}"
    );
    assert!(!held_at(1.2 * seconds.mid), "{seconds:?}");
}

#[test]
fn where_a_policy_paces_it_goes_on_and_is_never_approved() {
    let costs = Costs {
        start: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.policy.forecast.paces = true;
    play.until("paced", |report| report.state == State::Paced);
    assert!(!play.evidence.rollout.approved);
    assert_eq!(play.report().width, 200);
    assert!(!play.report().in_flight());
    // A join storm: forty nodes at once pass at the pace that is borne: less than one a second.
    play.join(40);
    play.seconds(5);
    assert!(play.report().in_flight());
    let out = play.report().width;
    assert!(out < 210, "{out} after five seconds");
    play.until("paced again", |report| report.width == 240);
    play.seconds(10);
    assert_eq!(play.report().state, State::Paced);
    assert!(!play.evidence.rollout.approved);
}

/// A control plane gets busier for a while just as a rollout widens: that is nobody's watch.
#[test]
fn a_drift_of_others_is_not_taken_for_watches() {
    let costs = Costs {
        drift: 0.015,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.until("complete", |report| {
        assert!(
            !has(report, Rule::ForecastExceedsCapacity),
            "{:?}",
            report.findings
        );
        report.state == State::Complete
    });
}

/// Even where the agents do keep watches open, which cost next to nothing.
#[test]
fn a_drift_of_others_that_is_not_felt_is_not_taken_for_watches() {
    let costs = Costs {
        drift: 0.003,
        open: 1.0,
        ..Costs::of(1.0)
    };
    let mut play = fast(400, costs);
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

/// An update shares its account with the old revision, and other workloads may use one too.
#[test]
fn what_others_ask_with_the_same_account_is_not_the_rollout_s() {
    let costs = |each| Costs {
        each,
        shared: 0.15,
        ..Costs::of(1.0)
    };
    let mut harmless = fast(200, costs(0.0));
    harmless.until_complete();
    let story = harmless.story();
    assert!(!story.contains("Held"), "{story}");
    let mut harmful = fast(200, costs(0.05));
    let width = held_for(&mut harmful, Rule::ForecastExceedsCapacity);
    assert!(width <= 4, "held at {width}");
    // Others who use the account somewhat more at present make no cost that grows.
    let mut play = play(200, Policy::careful(), costs(0.0001));
    play.until("the first pod soaks", |report| {
        report.width >= 1 && report.state == State::Soaking
    });
    play.seconds(30);
    play.costs.as_mut().expect("it has costs").shared = 0.2;
    for _ in 0..60 {
        play.seconds(1);
        assert!(!has(play.report(), Rule::CostGrowsWithAge));
    }
}

#[test]
fn clients_that_ask_again_and_again_while_they_are_refused_hold_it() {
    // Two requests a second of each pod.
    let costs = Costs {
        each: 0.002,
        asks: 1000.0,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.until("some way", |report| {
        report.width >= 8 && report.state == State::Soaking
    });
    play.seconds(20);
    let asks = |play: &mut Play, factor: f64, refused: f64| {
        let costs = play.costs.as_mut().expect("it has costs");
        (costs.asks, costs.refused) = (1000.0 * factor, refused);
        if let Reading::Fresh(flow) = &mut play.server("api-a").flow {
            flow.rejected_per_second = refused;
        }
        play.seconds(15);
        has(play.report(), Rule::RetryAmplification)
    };
    assert!(!asks(&mut play, 1.0, 20.0), "they do not ask again");
    assert!(asks(&mut play, 5.0, 20.0), "{:#?}", play.report().findings);
    let story = play.story();
    assert_eq!(play.report().state, State::Held, "{story}");
}

#[test]
fn a_restart_of_weir_does_not_approve_what_is_paced() {
    let costs = Costs {
        start: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = fast(50, costs);
    play.policy.forecast.paces = true;
    play.policy.forecast.unison = Span::from_secs(10);
    play.until("paced", |report| report.state == State::Paced);
    play.restart_weir(Span::from_secs(30));
    play.seconds(120);
    assert_eq!(play.report().state, State::Paced);
    assert!(!play.evidence.rollout.approved);
}

#[test]
fn cost_that_grows_with_the_width_itself_is_seen_to_bend() {
    let costs = Costs {
        squared: 0.0002,
        ..Costs::of(4.0)
    };
    let mut play = fast(1000, costs);
    play.until("held", |report| report.state == State::Held);
    let width = play.report().width;
    assert!(
        has(play.report(), Rule::ForecastExceedsCapacity),
        "{:?}",
        play.report().findings
    );
    assert!(width <= 64, "held at {width}");
}

#[test]
fn cost_that_grows_with_age_is_found() {
    let costs = Costs {
        each: 0.01,
        ageing: 0.05,
        ..Costs::of(8.0)
    };
    let mut play = play(100, Policy::careful(), costs);
    play.until("found", |report| has(report, Rule::CostGrowsWithAge));
}

#[test]
fn without_a_meter_dose_and_response_tell() {
    let harmful = Costs {
        each: 0.05,
        noise: 0.02,
        unmetered: true,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, harmful.clone());
    play.until("held", |report| report.state == State::Held);
    assert!(play.report().width <= 8, "held at {}", play.report().width);

    let harmless = Costs {
        each: 0.0,
        ..harmful
    };
    let mut play = fast(200, harmless);
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn a_busy_control_plane_does_not_stop_what_costs_nothing() {
    let costs = Costs {
        base: 0.8,
        ..Costs::of(1.0)
    };
    let mut play = fast(50, costs);
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn what_asks_now_and_then_is_seen_on_a_busy_control_plane_too() {
    // 200 of them take 1.7 cores, where 0.2 are left.
    let costs = |base| Costs {
        base,
        each: 0.1 / 12.0,
        period: 12,
        ..Costs::of(1.0)
    };
    for base in [0.58, 0.8] {
        let mut play = fast(200, costs(base));
        play.until("held", |report| report.state == State::Held);
        assert!(play.report().width <= 24, "{base}: {}", play.story());
    }
}

#[test]
fn an_update_of_what_costs_already_completes_on_a_busy_control_plane() {
    let costs = Costs {
        base: 0.7,
        shared: 0.15,
        each: 0.00001,
        ..Costs::of(1.0)
    };
    let mut play = fast(50, costs);
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn what_is_full_by_others_is_not_held_for_what_costs_nothing() {
    let costs = Costs {
        base: 1.1,
        ..Costs::of(1.0)
    };
    for servers in [1, 2] {
        let mut play = fast(50, costs.clone());
        if servers == 2 {
            let calm = crate::play::calm();
            play.evidence.servers.insert(server("api-b"), calm);
        }
        play.evidence.expected_servers = Reading::Fresh(servers);
        play.until_complete();
        let story = play.story();
        assert!(!story.contains("Held"), "{servers}: {story}");
    }
}

#[test]
fn one_api_server_less_must_still_bear_it() {
    let costs = |each| Costs {
        each,
        ..Costs::of(1.0)
    };
    // Of two, each would have half of 1.9 cores; one alone has all.
    let mut two = fast(100, costs(0.019));
    two.evidence
        .servers
        .insert(server("api-b"), crate::play::calm());
    two.evidence.expected_servers = Reading::Fresh(2);
    two.until("held", |report| report.state == State::Held);
    assert!(
        has(two.report(), Rule::ForecastExceedsCapacity),
        "{:?}",
        two.report().findings
    );
}

/// The rest share the pods' connections of one that is missing, and none of them gets smaller by that.
#[test]
fn memory_that_one_api_server_less_would_not_have_holds_it() {
    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
    let costs = |added: f64| Costs {
        memory: 4.0 * GIB,
        memory_each: added * GIB / 100.0,
        memory_limit: Some(8.0 * GIB),
        ..Costs::of(4.0)
    };
    let three = |added: f64| {
        let mut play = fast(100, costs(3.0 * added));
        for address in ["api-b", "api-c"] {
            let calm = crate::play::calm();
            play.evidence.servers.insert(server(address), calm);
        }
        play.evidence.expected_servers = Reading::Fresh(3);
        play
    };
    // Each would have 7.5 of 8 GiB with all of them there, and 9.25 with one missing.
    let mut play = three(3.5);
    held_for(&mut play, Rule::ForecastExceedsCapacity);
    let memory = told(&play, Resource::Memory);
    assert!((memory.base - 4.0 * GIB).abs() < 0.01 * GIB, "{memory:?}");
    let full = memory.at_full.mid;
    assert!((full - 9.25 * GIB).abs() < 0.1 * GIB, "{memory:?}");
    let mut less = three(1.5);
    less.until_complete();
    assert!(!less.story().contains("Held"), "{}", less.story());
    // One alone has nobody to bear for.
    let mut one = fast(100, costs(3.5));
    one.until_complete();
    assert!(!one.story().contains("Held"), "{}", one.story());
}

/// After a restart it is not on record what was used before the first pod.
#[test]
fn memory_of_others_is_not_the_rollout_s_after_a_restart_of_weir() {
    const GIB: f64 = 1024.0 * 1024.0 * 1024.0;
    let costs = Costs {
        memory: 4.0 * GIB,
        memory_each: 2.0 * GIB / 200.0,
        memory_limit: Some(8.0 * GIB),
        ..Costs::of(4.0)
    };
    let mut play = fast(200, costs);
    for address in ["api-b", "api-c"] {
        let calm = crate::play::calm();
        play.evidence.servers.insert(server(address), calm);
    }
    play.evidence.expected_servers = Reading::Fresh(3);
    play.until("some way", |report| report.width >= 4);
    play.restart_weir(Span::from_secs(30));
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
    let memory = told(&play, Resource::Memory);
    assert!((memory.base - 4.0 * GIB).abs() < 0.1 * GIB, "{memory:?}");
    let full = memory.at_full.mid;
    assert!((full - 5.0 * GIB).abs() < 0.1 * GIB, "{memory:?}");
}

/// Ten seats of twenty are enough, but not beside fifteen that others take at the same level.
#[test]
fn seats_that_others_take_at_its_level_hold_it() {
    let costs = |others_seats| Costs {
        each: 0.005,
        wide: 20.0,
        others_seats,
        seats: Some(20.0),
        ..Costs::of(4.0)
    };
    let mut play = fast(100, costs(15.0));
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    assert!(width <= 8, "held at {width}");
    let seats = told(&play, Resource::Seats);
    assert!((seats.base - 15.0).abs() < 0.1, "{seats:?}");
    assert!((seats.at_full.mid - 25.0).abs() < 0.5, "{seats:?}");
    let mut alone = fast(100, costs(1.0));
    alone.until_complete();
    assert!(!alone.story().contains("Held"), "{}", alone.story());
}

#[test]
fn more_cores_begin_the_fit_anew() {
    let costs = Costs {
        each: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    held_for(&mut play, Rule::ForecastExceedsCapacity);
    play.costs.as_mut().expect("it has costs").cores = 64.0;
    play.until_complete();
}

#[test]
fn forecasts_that_are_only_told_hold_nothing() {
    let costs = Costs {
        each: 0.004,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    play.policy.forecast.holds = false;
    play.until_complete();
    assert!(!play.story().contains("Held"), "{}", play.story());
}

#[test]
fn another_account_s_harm_is_not_blamed_on_a_harmless_rollout() {
    let mut play = fast(200, Costs::of(1.0));
    play.until("some way", |report| {
        report.width >= 16 && report.state == State::Soaking
    });
    play.seconds(15);
    let pace = play.history.progress.pace;
    play.costs.as_mut().expect("it has costs").other = 0.85;
    play.seconds(10);
    play.latency("api-a", 900.0);
    play.seconds(25);
    let report = play.report();
    assert_eq!(report.state, State::Held, "{:?}", report.findings);
    let worst = report.worst().expect("it is held for something");
    assert_eq!(worst.rule, Rule::NotTheCause, "{:?}", report.findings);
    assert!(
        worst.evidence.contains("shop/other"),
        "{OTHER}: {}",
        worst.evidence
    );
    assert!(
        play.history.progress.pace >= pace,
        "it is not slowed down for it"
    );
}

#[test]
fn watches_that_no_meter_counts_are_foreseen_and_clear_nobody() {
    let costs = Costs {
        watches: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs.clone());
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    assert!(width <= 8, "held at {width}");

    let mut play = fast(200, costs);
    play.policy.forecast.holds = false;
    play.until("wide", |report| {
        report.width >= 8 && report.state == State::Soaking
    });
    play.latency("api-a", 900.0);
    play.seconds(30);
    assert!(
        !has(play.report(), Rule::NotTheCause),
        "{:?}",
        play.report().findings
    );
}

#[test]
fn a_restart_of_weir_does_not_forget_what_pods_cost() {
    let costs = Costs {
        each: 0.05,
        ..Costs::of(1.0)
    };
    let mut play = fast(200, costs);
    let width = held_for(&mut play, Rule::ForecastExceedsCapacity);
    play.restart_weir(Span::from_secs(30));
    play.seconds(600);
    assert_eq!(play.report().state, State::Held);
    assert_eq!(play.report().width, width);
}
