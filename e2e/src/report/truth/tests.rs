use super::*;
use crate::{
    bystander::stats::LatencyAt,
    report::{
        ApiServerAt, State, WidthAt,
        foreseen::ForecastAt,
        tests::{forecast, report},
    },
};

/// Seconds at each width.
const AT_EACH: u32 = 60;

/// A run through these widths, of agents that really take `per_pod` on top of a tenth of a core, and
/// whose API server harms others once it has nothing left.
pub(crate) fn run(widths: &[u32], per_pod: f64) -> Report {
    let mut run = report("pod-lister", true, State::Held);
    let seconds = || {
        (0..).zip(
            widths
                .iter()
                .flat_map(|width| vec![*width; AT_EACH as usize]),
        )
    };
    let cores = |width: u32| per_pod.mul_add(f64::from(width), 0.1);
    run.width = seconds()
        .map(|(second, width)| WidthAt {
            second: f64::from(second),
            width,
            // Pods take three seconds to run.
            running: if second % AT_EACH < 3 {
                width / 2
            } else {
                width
            },
        })
        .collect();
    run.api_server.series = seconds()
        .map(|(second, width)| ApiServerAt {
            second: f64::from(second),
            // The start of its pods is no truth of a width.
            cpu_cores: if second % AT_EACH < 9 {
                1.0
            } else {
                cores(width).min(0.98)
            },
            rss_mib: 500.0,
            rejected: None,
        })
        .collect();
    run.bystander.series = seconds()
        .map(|(second, width)| LatencyAt {
            second: i64::from(second),
            calls: 10,
            failed: 0,
            p50_ms: if cores(width) > 0.98 { 900.0 } else { 4.0 },
            max_ms: 900.0,
        })
        .collect();
    run.forecasts = vec![
        ForecastAt {
            second: 100.0,
            width: 2,
            forecast: ForecastStatus {
                full_width: 1,
                ..forecast()
            },
        },
        ForecastAt {
            second: 170.0,
            width: 4,
            forecast: forecast(),
        },
        ForecastAt {
            second: 300.0,
            width: 16,
            forecast: ForecastStatus {
                full_width: 2,
                ..forecast()
            },
        },
    ];
    run
}

const WIDTHS: [u32; 6] = [1, 2, 4, 8, 16, 32];

#[test]
fn each_widths_truth_is_its_mean_once_its_pods_have_settled() {
    let truth = Truth::of(&run(&WIDTHS, 0.025), 4);
    let widths: Vec<_> = truth
        .widths
        .iter()
        .map(|at| (at.width, at.cpu_cores))
        .collect();
    assert_eq!(
        widths,
        [
            (1, 0.125),
            (2, 0.15),
            (4, 0.2),
            (8, 0.3),
            (16, 0.5),
            (32, 0.9)
        ]
    );
    assert!(truth.widths.iter().all(|at| at.error < 1e-6 && !at.harmed));
    assert!(truth.widths.iter().all(|at| at.seconds >= 40));
}

#[test]
fn the_forecast_is_the_last_before_the_canary_was_left_behind() {
    let truth = Truth::of(&run(&WIDTHS, 0.025), 4);
    assert_eq!(truth.forecast.map(|told| told.full_width), Some(200));
    assert_eq!(truth.forecast_second, Some(170.0));
    // A run that ends with its canary has its last one.
    let truth = Truth::of(&run(&[1, 2, 4], 0.025), 4);
    assert_eq!(truth.forecast.map(|told| told.full_width), Some(2));
}

#[test]
fn only_calm_widths_beyond_the_canary_are_compared() {
    let truth = Truth::of(&run(&WIDTHS, 0.025), 4);
    let widths: Vec<_> = truth.compared.iter().map(|one| one.width).collect();
    assert_eq!(widths, [8, 16], "32 pods take 0.9 cores");
    let four = truth.at_four_times().expect("16 pods take half a core");
    // 0.9 were foretold where it took 0.5.
    assert!((four.off - 0.8).abs() < 1e-6 && !four.inside, "{four:?}");
    assert!(truth.unmet().is_some_and(|why| why.contains("+80 %")));
}

#[test]
fn a_knee_lies_on_the_line_of_the_widths_that_left_something() {
    let truth = Truth::of(&run(&WIDTHS, 0.05), 4);
    assert!(truth.widths.last().is_some_and(|at| at.harmed));
    let knee = &truth.knee;
    let found = knee.found.expect("32 pods use it up");
    assert!((found - 18.0).abs() < 0.01, "{knee:?}");
    assert_eq!(knee.inside, Some(true));
    assert!(knee.off.is_some_and(|off| off.abs() < 0.01));
    // At 16 pods nine tenths are in use: the knee alone tells whether it was right.
    assert_eq!(truth.at_four_times(), None);
    assert_eq!(truth.unmet(), None);
    assert_eq!(coverage(&[&truth, &truth]), (2, 2));
}

#[test]
fn what_was_not_seen_proves_nothing() {
    let mut silent = run(&WIDTHS, 0.05);
    silent.forecasts.clear();
    let truth = Truth::of(&silent, 4);
    assert!(
        truth
            .unmet()
            .is_some_and(|why| why.contains("nothing was foretold"))
    );
    let short = Truth::of(&run(&[1, 2, 4, 8], 0.01), 4);
    assert_eq!(short.knee.found, None);
    assert!(short.unmet().is_some_and(|why| why.contains("neither")));
    assert_eq!(line(&short.widths[..1]), None, "one point is no line");
}
