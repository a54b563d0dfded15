//! What a start costs, from what was seen of waves.

use super::{super::cells::Cells, *};

const SURE: Estimate = Estimate {
    low: 0.8,
    mid: 0.8,
    high: 0.8,
};
const UNSURE: Estimate = Estimate {
    low: 0.5,
    mid: 0.8,
    high: 1.0,
};
/// What running pods cost, of which one was seen to take so much.
fn costing(each: f64) -> Cost {
    let mut cells = Cells::default();
    let mut values = Values::default();
    values.set(Quantity::Own, each);
    for _ in 0..3 {
        cells.add(1, 5.0, &values, true);
    }
    Cost::fit(&cells, Quantity::Own, 0.0)
}

const OTHERS: Rest = Rest {
    cores: 0.2,
    is_metered: true,
};

const fn beside(steady: &Cost, strays: f64) -> Running<'_> {
    Running {
        steady,
        quiet: 0.0,
        strays,
    }
}

/// Waves of so many pods, seen in one window of five seconds each beside 0.2 cores of others.
fn starts(waves: &[(u32, f64, f64)]) -> Starts {
    let mut starts = Starts::default();
    for (pods, own, cpu) in waves {
        let mut values = Values::default();
        values.set(Quantity::Own, *own);
        values.set(Quantity::Cpu, *cpu);
        starts.begin(*pods);
        starts.add(*pods, 5.0, &values, OTHERS);
        starts.end();
    }
    starts
}

#[test]
fn requests_that_have_the_core_to_themselves_cost_their_time_by_kappa() {
    let seen = starts(&[(1, 0.1, 0.28), (2, 0.2, 0.36), (4, 0.4, 0.52)]);
    let cost = seen.cost(beside(&costing(0.0), 0.0), UNSURE).unwrap();
    assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
    assert!((cost.low - 0.25).abs() < 1e-9, "{cost:?}");
}

/// Eight lists of half a CPU second, at once on one core, run for four seconds each.
#[test]
fn requests_that_share_the_core_cost_no_more_than_it_gives() {
    let seen = starts(&[(8, 8.0 * 4.0 / 5.0, 1.0); 3]);
    let cost = seen.cost(beside(&costing(0.0), 0.0), UNSURE).unwrap();
    assert!((cost.mid - 0.5).abs() < 1e-9, "{cost:?}");
    assert!(
        cost.low > 0.49,
        "CPU was seen: κ says nothing of it: {cost:?}"
    );
}

/// What is used by others strays by more than one pod's start costs.
#[test]
fn a_quiet_moment_of_others_makes_no_start_cheap() {
    let seen = starts(&[(1, 0.1, 0.21), (1, 0.1, 0.21)]);
    let cost = seen.cost(beside(&costing(0.0), 0.0), SURE).unwrap();
    assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
}

#[test]
fn the_first_wave_may_be_a_leader_s() {
    let seen = starts(&[(1, 0.1, 0.28)]);
    let cost = seen.cost(beside(&costing(0.0), 0.0), SURE).unwrap();
    assert!(cost.low <= 0.0 && cost.mid > 0.39, "{cost:?}");
    assert!(starts(&[]).cost(beside(&costing(0.0), 0.0), SURE).is_none());
}

#[test]
fn what_running_pods_cost_is_no_start() {
    let running = costing(0.1);
    let seen = starts(&[(1, 0.2, 0.36), (1, 0.2, 0.36)]);
    let cost = seen.cost(beside(&running, 0.0), SURE).unwrap();
    assert!((cost.mid - 0.4).abs() < 1e-9, "{cost:?}");
}

/// A leader lists every ten seconds; the windows of five in which others start hold all of a list, or
/// nothing of it.
#[test]
fn a_list_that_runs_beside_a_start_is_not_taken_for_it() {
    let leader = costing(0.05);
    let seen = starts(&[(1, 0.1, 0.28), (1, 0.1, 0.28)]);
    let calm = seen.cost(beside(&leader, 0.0), SURE).unwrap();
    assert!(calm.low > 0.0, "{calm:?}");
    let beside_lists = seen.cost(beside(&leader, 0.12), SURE).unwrap();
    assert!(
        beside_lists.low <= 0.0 && beside_lists.mid > 0.1,
        "{beside_lists:?}"
    );
}

/// Requests are counted when they end, and CPU when it is used: eight lists of five CPU seconds in all
/// run through one window, and end in the next.
#[test]
fn lists_that_end_in_the_next_window_cost_what_they_used() {
    let mut starts = Starts::default();
    for _ in 0..3 {
        starts.begin(8);
        for (own, cpu) in [(0.0, 1.0), (8.0, 0.4)] {
            let mut values = Values::default();
            values.set(Quantity::Own, own);
            values.set(Quantity::Cpu, cpu);
            starts.add(8, 5.0, &values, OTHERS);
        }
        starts.end();
    }
    let cost = starts.cost(beside(&costing(0.0), 0.0), SURE).unwrap();
    assert!((cost.mid - 5.0 / 8.0).abs() < 1e-9, "{cost:?}");
}

#[test]
fn pods_whose_start_was_not_seen_are_none_of_the_next_wave() {
    let mut seen = starts(&[(1, 0.1, 0.28), (2, 0.2, 0.36)]);
    let before = seen.cost(beside(&costing(0.0), 0.0), SURE).unwrap();
    seen.begin(4);
    seen.end();
    seen.begin(4);
    let mut values = Values::default();
    values.set(Quantity::Own, 0.4);
    values.set(Quantity::Cpu, 0.52);
    seen.add(4, 5.0, &values, OTHERS);
    seen.end();
    let after = seen.cost(beside(&costing(0.0), 0.0), SURE).unwrap();
    assert!((after.mid - before.mid).abs() < 1e-9, "{after:?}");
}

#[test]
fn a_wave_that_no_meter_counted_makes_no_start_cheap() {
    let mut seen = starts(&[(1, 0.1, 0.28), (2, 0.2, 0.36)]);
    let before = seen.cost(beside(&costing(0.0), 0.0), SURE);
    seen.begin(4);
    let away = Rest {
        is_metered: false,
        ..OTHERS
    };
    seen.add(4, 5.0, &Values::default(), away);
    seen.end();
    assert_eq!(seen.cost(beside(&costing(0.0), 0.0), SURE), before);
    assert_eq!(seen.seen(), 2);
}

/// A restart of Weir makes nothing certain that was not.
#[test]
fn what_is_on_record_tells_no_more_than_was_seen() {
    let recalled = |waves| {
        let mut starts = Starts::default();
        starts.recall(0.4, waves);
        starts.cost(beside(&costing(0.0), 0.0), UNSURE)
    };
    assert_eq!(recalled(0), None);
    let one = recalled(1).unwrap();
    assert!(one.low <= 0.0 && (one.mid - 0.4).abs() < 1e-9, "{one:?}");
    let (three, nine) = (recalled(3).unwrap(), recalled(9).unwrap());
    assert!(0.0 < three.low && three.low < nine.low && nine.low < 0.4);
    assert!(
        (nine.mid - 0.4).abs() < 1e-9,
        "κ says nothing of it: {nine:?}"
    );
}
