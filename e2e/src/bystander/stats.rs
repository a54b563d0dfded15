//! Samples of the bystander, turned into what a report says, and the definition of harm.

use std::{collections::BTreeMap, time::Duration};

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use tokio::time::Instant;

use super::Sample;

/// A second is harmful above this multiple of the idle median …
pub const HARM_FACTOR: f64 = 10.0;
/// … if it is also above this many milliseconds: a tenth of the API latency objective of 1 s.
pub const HARM_FLOOR_MS: f64 = 100.0;
/// Seconds that must be harmful in a row before it counts: a rollout's own creation burst may make
/// one second slow, as it does without any harmful agent.
pub const HARM_SECONDS: usize = 2;

/// Latency over a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Latency {
    /// Calls that were due.
    pub calls: u64,
    /// Of those, failed: refused, broken, an error, or timed out after 10 s. They count as 10 s.
    pub failed: u64,
    /// The median in milliseconds.
    pub p50_ms: f64,
    /// The 99th percentile in milliseconds.
    pub p99_ms: f64,
    /// The slowest in milliseconds.
    pub max_ms: f64,
    /// How late calls were sent, 99th percentile in milliseconds: the part of the latency that is the
    /// measuring machine's and not the API server's.
    pub sent_late_p99_ms: f64,
}

impl Latency {
    /// The latency of these calls; all zero if there are none.
    #[must_use]
    pub fn of(samples: &[Sample]) -> Self {
        let sorted = |value: fn(&Sample) -> f64| {
            let mut values: Vec<f64> = samples.iter().map(value).collect();
            values.sort_by(f64::total_cmp);
            values
        };
        let ms = sorted(|sample| sample.ms);
        Self {
            calls: samples.len() as u64,
            failed: samples.iter().filter(|sample| sample.failed).count() as u64,
            p50_ms: round(percentile(&ms, 50)),
            p99_ms: round(percentile(&ms, 99)),
            max_ms: round(percentile(&ms, 100)),
            sent_late_p99_ms: round(percentile(&sorted(|sample| sample.late_ms), 99)),
        }
    }
}

/// Latency of the calls that were due in one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LatencyAt {
    /// The second, counted from the rollout's start; negative before it.
    pub second: i64,
    /// Calls that were due in it.
    pub calls: u64,
    /// Of those, failed.
    pub failed: u64,
    /// The median in milliseconds.
    pub p50_ms: f64,
    /// The slowest in milliseconds.
    pub max_ms: f64,
}

/// The samples by the second in which their calls were due, counted from `zero`.
#[must_use]
pub fn by_second(samples: &[Sample], zero: Instant) -> Vec<LatencyAt> {
    let mut seconds: BTreeMap<i64, Vec<Sample>> = BTreeMap::new();
    for sample in samples {
        seconds
            .entry(second_of(sample.due, zero))
            .or_default()
            .push(*sample);
    }
    seconds
        .into_iter()
        .map(|(second, samples)| {
            let Latency {
                calls,
                failed,
                p50_ms,
                max_ms,
                ..
            } = Latency::of(&samples);
            LatencyAt {
                second,
                calls,
                failed,
                p50_ms,
                max_ms,
            }
        })
        .collect()
}

/// The whole second that `moment` lies in, counted from `zero`.
#[must_use]
pub fn second_of(moment: Instant, zero: Instant) -> i64 {
    let millis = |span: Duration| i64::try_from(span.as_millis()).unwrap_or(i64::MAX);
    let millis = if moment >= zero {
        millis(moment.duration_since(zero))
    } else {
        -millis(zero.duration_since(moment))
    };
    millis.div_euclid(1000)
}

/// Whether and when others were harmed.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Harm {
    /// A second is harmful when its median is above this many milliseconds: ten times the idle
    /// median, and at least 100 ms.
    pub above_ms: f64,
    /// The first harmful second, if at least two came in a row.
    pub first_second: Option<i64>,
    /// How many seconds were harmful, single ones included.
    pub seconds: u64,
}

/// The median, in milliseconds, above which a second is harmful.
#[must_use]
pub fn harmful_above(idle: &Latency) -> f64 {
    (HARM_FACTOR * idle.p50_ms).max(HARM_FLOOR_MS)
}

/// Finds harm in the seconds from the rollout's start on.
#[must_use]
pub fn harm(idle: &Latency, series: &[LatencyAt]) -> Harm {
    let above_ms = harmful_above(idle);
    let during: Vec<_> = series.iter().filter(|at| at.second >= 0).collect();
    let is_harmful = |at: &&LatencyAt| at.p50_ms > above_ms;
    Harm {
        above_ms,
        first_second: during
            .windows(HARM_SECONDS)
            .find(|seconds| seconds.iter().all(is_harmful))
            .map(|seconds| seconds[0].second),
        seconds: during.iter().filter(|at| is_harmful(at)).count() as u64,
    }
}

/// The nearest-rank percentile of sorted values; zero of none.
fn percentile(sorted: &[f64], per_cent: usize) -> f64 {
    let rank = (per_cent * sorted.len()).div_ceil(100);
    sorted
        .get(rank.saturating_sub(1))
        .copied()
        .unwrap_or_default()
}

/// To a hundredth of a millisecond; more would be noise in a report.
fn round(ms: f64) -> f64 {
    (ms * 100.0).round() / 100.0
}

#[cfg(test)]
mod tests {
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
            (2, 101.0),
            (3, 102.0),
            (4, 4.0),
        ];
        let harm = harm(&idle, &series(&medians));
        assert_eq!(
            (harm.above_ms, harm.first_second, harm.seconds),
            (100.0, Some(2), 3)
        );
    }

    #[test]
    fn a_slow_idle_raises_the_bar_and_a_single_second_is_no_harm() {
        let idle = Latency {
            p50_ms: 20.0,
            ..Latency::default()
        };
        let medians = [(0, 199.0), (1, 201.0), (2, 199.0), (3, 400.0)];
        let harm = harm(&idle, &series(&medians));
        assert_eq!(
            (harm.above_ms, harm.first_second, harm.seconds),
            (200.0, None, 2)
        );
    }
}
