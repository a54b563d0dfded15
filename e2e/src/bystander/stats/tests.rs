//! When others are harmed, and what a stretch of calls says.

use super::*;

fn sample(zero: Instant, due: f64, ms: f64) -> Sample {
    let offset = Duration::from_secs_f64(due.abs());
    Sample {
        due: if due < 0.0 {
            zero - offset
        } else {
            zero + offset
        },
        ms,
        late_ms: 0.1,
        failed: ms >= 10_000.0,
    }
}

fn zero() -> Instant {
    Instant::now() + Duration::from_secs(1000)
}

#[test]
fn percentiles_are_values_that_were_measured() {
    let zero = zero();
    let samples: Vec<_> = (1..=1000)
        .rev()
        .map(|n| sample(zero, 0.0, f64::from(n)))
        .collect();
    let latency = Latency::of(&samples);
    assert_eq!(
        (latency.p50_ms, latency.p99_ms, latency.max_ms),
        (500.0, 990.0, 1000.0)
    );
    assert_eq!((latency.calls, latency.failed), (1000, 0));
    assert_eq!(Latency::of(&samples[..1]).calls, 1);
    assert_eq!(Latency::of(&[]), Latency::default());
}

#[test]
fn calls_belong_to_the_second_in_which_they_were_due() {
    let zero = zero();
    let samples = [
        sample(zero, 1.9, 5000.0),
        sample(zero, 0.0, 4.0),
        sample(zero, 0.9, 8.0),
        sample(zero, -0.1, 2.0),
        sample(zero, 1.0, 10_000.0),
    ];
    let seconds: Vec<_> = by_second(&samples, zero)
        .into_iter()
        .map(|at| (at.second, at.calls, at.failed, at.p50_ms, at.max_ms))
        .collect();
    assert_eq!(
        seconds,
        [
            (-1, 1, 0, 2.0, 2.0),
            (0, 2, 0, 4.0, 8.0),
            (1, 2, 1, 5000.0, 10_000.0)
        ]
    );
}

fn series(medians: &[(i64, f64)]) -> Vec<LatencyAt> {
    medians
        .iter()
        .map(|&(second, p50_ms)| LatencyAt {
            second,
            calls: 10,
            failed: 0,
            p50_ms,
            max_ms: p50_ms,
        })
        .collect()
}

#[test]
fn harm_begins_with_the_first_of_two_harmful_seconds() {
    let idle = Latency {
        p50_ms: 4.0,
        ..Latency::default()
    };
    let medians = [
        (-2, 900.0),
        (-1, 900.0),
        (0, 900.0),
        (1, 4.0),
        (82, 101.0),
        (83, 102.0),
        (84, 4.0),
    ];
    let harm = harm(&idle, &series(&medians), Some(0.0));
    assert_eq!(
        (harm.above_ms, harm.first_second, harm.seconds, harm.longest),
        (100.0, Some(82), 3, 2)
    );
}

#[test]
fn what_was_slow_before_any_agent_ran_is_told_apart() {
    let idle = Latency {
        p50_ms: 4.0,
        ..Latency::default()
    };
    let medians = [(0, 900.0), (1, 900.0), (2, 900.0), (3, 900.0), (4, 4.0)];
    let after = harm(&idle, &series(&medians), Some(2.4));
    assert_eq!(
        (after.first_second, after.seconds, after.before_agents),
        (Some(2), 2, 2)
    );
    let never = harm(&idle, &series(&medians), None);
    assert_eq!(
        (never.first_second, never.seconds, never.before_agents),
        (None, 0, 4)
    );
}

#[test]
fn three_single_seconds_of_a_minute_are_harm_and_three_of_two_are_not() {
    let idle = Latency {
        p50_ms: 4.0,
        ..Latency::default()
    };
    let spikes = |every: i64| {
        let medians: Vec<_> = (0..150)
            .map(|second| (second, if second % every == 9 { 500.0 } else { 4.0 }))
            .collect();
        harm(&idle, &series(&medians), Some(0.0))
    };
    assert_eq!(spikes(29).first_second, Some(9));
    assert_eq!((spikes(30).first_second, spikes(30).longest), (None, 1));
}

#[test]
fn failing_writes_are_harm_though_the_median_is_well() {
    let idle = Latency {
        p50_ms: 4.0,
        ..Latency::default()
    };
    let failing = |failed| {
        let mut series = series(&[(0, 4.0), (1, 4.0)]);
        for at in &mut series {
            at.failed = failed;
        }
        harm(&idle, &series, Some(0.0)).first_second
    };
    assert_eq!((failing(1), failing(2)), (None, Some(0)));
}

#[test]
fn the_worst_ten_seconds_do_not_become_better_by_watching_longer() {
    let zero = zero();
    let run = |seconds: u32| {
        let samples: Vec<_> = (0..10 * seconds)
            .map(|n| {
                let ms = if (100..110).contains(&n) { 900.0 } else { 4.0 };
                sample(zero, f64::from(n) / 10.0, ms)
            })
            .collect();
        (Latency::of(&samples).p99_ms, worst_p99_ms(&samples))
    };
    assert_eq!(run(30), (900.0, 900.0));
    assert_eq!(run(300), (4.0, 900.0));
    assert!(worst_p99_ms(&[]).abs() < f64::EPSILON);
    assert!((worst_p99_ms(&[sample(zero, 0.0, 7.0)]) - 7.0).abs() < f64::EPSILON);
}

#[test]
fn a_slow_idle_raises_the_bar_and_a_single_second_is_no_harm() {
    let idle = Latency {
        p50_ms: 20.0,
        ..Latency::default()
    };
    let medians = [(0, 199.0), (1, 201.0), (2, 199.0), (3, 400.0)];
    let harm = harm(&idle, &series(&medians), Some(0.0));
    assert_eq!(
        (harm.above_ms, harm.first_second, harm.seconds),
        (200.0, None, 2)
    );
}
