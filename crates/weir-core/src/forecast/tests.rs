//! What holds of any fit, whatever was seen.

use proptest::{collection::vec, prelude::*};

use super::{
    cells::Cells,
    cost::Cost,
    estimate::Estimate,
    quantity::{Quantity, Values},
    told::{Counted, Point},
};

/// One window: width, seconds, execution seconds per second.
type Seen = (u32, f64, f64);

fn cells(windows: &[Seen]) -> Cells {
    let mut cells = Cells::default();
    for (width, seconds, own) in windows {
        let mut values = Values::default();
        values.set(Quantity::Own, *own);
        cells.add(*width, *seconds, &values, true);
    }
    cells
}

fn cost(windows: &[Seen]) -> Cost {
    Cost::fit(&cells(windows), Quantity::Own, 0.0)
}

fn windows() -> impl Strategy<Value = Vec<Seen>> {
    let noise = vec((0.5..1.5_f64, 1.0..10.0_f64), 3..12);
    let widths = vec(1..200_u32, 1..8);
    (0.0..0.1_f64, 0.0..0.5_f64, widths, noise).prop_map(|(each, leader, widths, noise)| {
        let at = |width: u32| {
            let mean = leader + each * f64::from(width);
            let window = move |(strays, seconds): &(f64, f64)| (width, *seconds, mean * strays);
            noise.iter().map(window).collect::<Vec<_>>()
        };
        widths.into_iter().flat_map(at).collect()
    })
}

fn close(one: f64, other: f64) -> bool {
    let both_infinite = one.is_infinite() && other.is_infinite();
    both_infinite || (one - other).abs() <= 1e-6 * one.abs().max(other.abs())
}

fn same(one: Estimate, other: Estimate) -> bool {
    close(one.low, other.low) && close(one.mid, other.mid) && close(one.high, other.high)
}

proptest! {
    /// An interval holds its figure, is never negative, and never narrower than the floor.
    #[test]
    fn intervals_are_intervals(windows in windows(), width in 1..2000_u32) {
        let told = cost(&windows).at(f64::from(width)).floored();
        prop_assert!(0.0 <= told.low && told.low <= told.mid && told.mid <= told.high, "{told:?}");
        prop_assert!(told.high >= 1.29 * told.mid && told.low <= 0.71 * told.mid, "{told:?}");
    }

    #[test]
    fn the_order_of_windows_is_irrelevant(windows in windows(), width in 1..2000_u32) {
        let mut turned = windows.clone();
        turned.reverse();
        let (one, other) = (cost(&windows), cost(&turned));
        prop_assert!(same(one.at(f64::from(width)), other.at(f64::from(width))), "{one:?} {other:?}");
    }

    /// A thousand times the cost is a thousand times the forecast.
    #[test]
    fn the_unit_is_irrelevant(windows in windows(), width in 1..2000_u32, scale in 0.001..1000.0_f64) {
        let scaled: Vec<Seen> = windows.iter().map(|(w, s, own)| (*w, *s, own * scale)).collect();
        let told = cost(&windows).at(f64::from(width)).map(|value| value * scale);
        let other = cost(&scaled).at(f64::from(width));
        prop_assert!(same(told, other), "{told:?} {other:?}");
    }

    /// Beyond what was seen more pods never cost less, neither most likely nor at most.
    #[test]
    fn the_forecast_grows_with_the_dose(windows in windows(), beyond in 1..1000_u32) {
        let widest = windows.iter().map(|(width, ..)| *width).max().unwrap_or(1);
        let cost = cost(&windows);
        let [near, far] = [widest, widest + beyond].map(|width| cost.at(f64::from(width)));
        prop_assert!(far.mid >= near.mid * (1.0 - 1e-9), "{near:?} {far:?}");
        prop_assert!(far.high >= near.high * (1.0 - 1e-9), "{near:?} {far:?}");
    }

    /// What was seen four times over is known better, and is the same most likely.
    #[test]
    fn fewer_points_widen_the_interval(windows in windows(), width in 1..2000_u32) {
        let more: Vec<Seen> = windows.iter().cycle().take(4 * windows.len()).copied().collect();
        let (few, many) = (cost(&windows), cost(&more));
        // Only the same kind of fit can be compared: more points may show a bend.
        prop_assume!(few.is_alike(&many));
        let [few, many] = [few, many].map(|cost| cost.at(f64::from(width)));
        prop_assert!(many.high <= few.high * (1.0 + 1e-9), "{few:?} {many:?}");
        prop_assert!(many.low >= few.low * (1.0 - 1e-9), "{few:?} {many:?}");
    }
}

#[test]
fn one_point_bounds_the_dearest_and_tells_no_slope() {
    let told = cost(&[(1, 5.0, 0.1)]);
    let wide = told.at(200.0);
    assert!(!told.is_fitted());
    assert_eq!(
        wide.low.to_bits(),
        0.0_f64.to_bits(),
        "it may be a leader's, or an accident"
    );
    assert!(close(wide.mid, 20.0) && close(wide.high, 40.0), "{wide:?}");
}

#[test]
fn nothing_seen_is_nothing_known() {
    let told = cost(&[]).at(10.0);
    assert!(told.high.is_infinite() && told.low == 0.0);
    // Before the first pod is no width with pods.
    assert!(cost(&[(0, 5.0, 0.0)]).at(10.0).high.is_infinite());
}

#[test]
fn zero_cost_is_zero_at_any_width() {
    let told = cost(&[(1, 5.0, 0.0), (2, 5.0, 0.0), (4, 5.0, 0.0), (4, 5.0, 0.0)]);
    assert_eq!(told.at(5000.0), Estimate::default());
}

#[test]
fn identical_points_keep_the_floor() {
    let same: Vec<Seen> = [1, 2, 4]
        .into_iter()
        .flat_map(|width| [(width, 5.0, 0.1); 3])
        .collect();
    let told = cost(&same);
    // The same at every width: a leader.
    let wide = told.at(200.0).floored();
    assert!(
        close(wide.mid, 0.1) && close(wide.low, 0.07) && wide.high < 0.2,
        "{wide:?}"
    );
}

#[test]
fn a_negative_slope_is_none_and_still_may_rise() {
    let falling = [
        (1, 5.0, 0.12),
        (2, 5.0, 0.11),
        (4, 5.0, 0.09),
        (8, 5.0, 0.02),
        (8, 5.0, 0.06),
    ];
    let told = cost(&falling);
    let [near, far] = [8.0, 200.0].map(|width| told.at(width));
    assert!(close(near.mid, far.mid), "{near:?} {far:?}");
    assert_eq!(told.per_pod(200.0).mid.to_bits(), 0.0_f64.to_bits());
    assert!(far.high >= near.high);
}

#[test]
fn ten_thousand_points_are_no_more_than_their_sums() {
    let many: Vec<Seen> = (0..10_000)
        .map(|index| (1 + index % 500, 5.0, 0.01 * f64::from(1 + index % 500)))
        .collect();
    let kept = cells(&many);
    assert!(kept.all().count() <= 64);
    let told = Cost::fit(&kept, Quantity::Own, 0.0).at(1000.0);
    assert!((told.mid - 10.0).abs() < 0.01, "{told:?}");
}

/// A quarter of the pods of full width show what it costs: the true cost lies in the interval, and the
/// most likely is near it.
#[test]
fn a_leader_and_a_slope_are_told_apart() {
    let truth = |width: u32| 0.2 + 0.01 * f64::from(width);
    let strays = [0.9, 1.1, 1.05, 0.95];
    let seen: Vec<Seen> = [1, 2, 4, 8, 16]
        .into_iter()
        .flat_map(|width| strays.map(|strays| (width, 5.0, truth(width) * strays)))
        .collect();
    let told = cost(&seen);
    let full = told.at(64.0);
    assert!(full.low <= truth(64) && truth(64) <= full.high, "{full:?}");
    assert!((full.mid - truth(64)).abs() < 0.25 * truth(64), "{full:?}");
    assert!((told.fixed().mid - 0.2).abs() < 0.05, "{:?}", told.fixed());
    assert!(
        (told.per_pod(64.0).mid - 0.01).abs() < 0.003,
        "{:?}",
        told.per_pod(64.0)
    );
}

/// A leader's list falls into the only window of the widest width: seen on a real control plane, and taken for a
/// bend that would need seven cores.
#[test]
fn one_window_at_the_widest_width_is_no_slope_nor_bend() {
    let mut seen: Vec<Seen> = vec![];
    for _ in 0..6 {
        seen.extend([(1, 5.0, 0.07), (2, 5.0, 0.05)]);
    }
    let narrow = [(4, 0.12), (6, 0.008), (12, 0.015), (24, 0.02), (48, 0.42)];
    seen.extend(narrow.map(|(width, own)| (width, 5.0, own)));
    let one = cost(&seen);
    assert!(one.at(200.0).low < 0.5, "{:?}", one.at(200.0));
    assert!(
        one.at(200.0).mid > 1.0,
        "it may be one: {:?}",
        one.at(200.0)
    );
    assert!(!one.grows());
    seen.extend([(48, 5.0, 0.42); 2]);
    let three = cost(&seen);
    assert!(three.at(200.0).low > 1.0, "{:?}", three.at(200.0));
    assert!(three.grows());
}

#[test]
fn what_is_on_record_tells_the_same_again() {
    let mut kept = Cells::default();
    for (width, own_cores) in [(0, 0.0), (1, 0.05), (2, 0.1), (4, 0.2)] {
        kept.recall(
            &Point {
                width,
                cpu_cores: 0.1 + own_cores,
                counted: Some(Counted {
                    own_cores,
                    ..Counted::default()
                }),
                windows: 6,
            },
            1.0,
        );
    }
    let told = Cost::fit(&kept, Quantity::Own, 0.0);
    assert!(told.is_fitted());
    let full = told.at(200.0);
    assert!((full.mid - 10.0).abs() < 0.1 && full.low > 1.0, "{full:?}");
    let by_cpu = Cost::fit(&kept, Quantity::Cpu, 0.1).at(200.0);
    assert!((by_cpu.mid - 10.0).abs() < 0.1, "{by_cpu:?}");
}
