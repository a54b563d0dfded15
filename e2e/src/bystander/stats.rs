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
/// … or if so many of a hundred of its calls failed: writes are a third of them, and no median shows
/// that all of them do.
pub const HARM_FAILED_PER_CENT: u64 = 20;
/// So many seconds must be harmful within so long before it counts: two in a row, or three of a minute,
/// since what comes in phase, once in many seconds, is no accident either.
const HARM_SECONDS: [(usize, i64); 2] = [(2, 2), (3, 60)];

/// How long a stretch of calls is looked at for the worst of them.
pub const WORST: Duration = Duration::from_secs(10);

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
    /// A second is harmful when its median is above this many milliseconds (ten times the idle
    /// median, and at least 100 ms), or when a fifth of its calls failed.
    pub above_ms: f64,
    /// The first harmful second once an agent ran, if two came in a row or three within a minute.
    pub first_second: Option<i64>,
    /// How many seconds were harmful once an agent ran, single ones included.
    pub seconds: u64,
    /// The most of them in a row.
    pub longest: u64,
    /// How many seconds were harmful before any agent ran: the rollout's creation alone did that.
    pub before_agents: u64,
}

/// The median, in milliseconds, above which a second is harmful.
#[must_use]
pub fn harmful_above(idle: &Latency) -> f64 {
    (HARM_FACTOR * idle.p50_ms).max(HARM_FLOOR_MS)
}

/// Whether a second is harmful, if its median may be `above_ms`.
#[must_use]
pub const fn is_harmful(at: &LatencyAt, above_ms: f64) -> bool {
    let failing = at.failed > 0 && 100 * at.failed >= HARM_FAILED_PER_CENT * at.calls;
    at.p50_ms > above_ms || failing
}

/// Finds harm in the seconds from the rollout's start on; `agents_from` is when the first of its agents
/// ran, if one did.
#[must_use]
pub fn harm(idle: &Latency, series: &[LatencyAt], agents_from: Option<f64>) -> Harm {
    let above_ms = harmful_above(idle);
    let harmful: Vec<i64> = series
        .iter()
        .filter(|at| at.second >= 0 && is_harmful(at, above_ms))
        .map(|at| at.second)
        .collect();
    let is_before = |second: &i64| agents_from.is_none_or(|from| (second + 1) as f64 <= from);
    let (before, harmful) = harmful.split_at(harmful.partition_point(is_before));
    let begins = HARM_SECONDS.map(|(many, within)| first_of(harmful, many, within));
    Harm {
        above_ms,
        first_second: begins.into_iter().flatten().min(),
        seconds: harmful.len() as u64,
        longest: longest(harmful),
        before_agents: before.len() as u64,
    }
}

/// The first of so many of these seconds that lie within so long.
fn first_of(seconds: &[i64], many: usize, within: i64) -> Option<i64> {
    let mut windows = seconds.windows(many);
    let found = windows.find(|some| some[many - 1] - some[0] < within)?;
    found.first().copied()
}

/// The most seconds in a row.
fn longest(seconds: &[i64]) -> u64 {
    let rows = seconds.chunk_by(|one, next| *next == one + 1);
    rows.map(|row| row.len() as u64).max().unwrap_or_default()
}

/// The 99th percentile, in milliseconds, of the worst ten seconds in a row: unlike that of the whole
/// run, it does not become better by watching for longer.
#[must_use]
pub fn worst_p99_ms(samples: &[Sample]) -> f64 {
    let mut sorted: Vec<&Sample> = samples.iter().collect();
    sorted.sort_by_key(|sample| sample.due);
    let stretch = |first: usize| {
        let end = sorted.partition_point(|sample| sample.due < sorted[first].due + WORST);
        let mut ms: Vec<f64> = sorted[first..end].iter().map(|sample| sample.ms).collect();
        ms.sort_by(f64::total_cmp);
        percentile(&ms, 99)
    };
    let whole = sorted.last().map(|last| last.due);
    let begins = |first: &usize| *first == 0 || whole >= Some(sorted[*first].due + WORST);
    let stretches = (0..sorted.len()).filter(begins).map(stretch);
    round(stretches.fold(0.0, f64::max))
}

/// The nearest-rank percentile of sorted values; zero of none.
pub(crate) fn percentile(sorted: &[f64], per_cent: usize) -> f64 {
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
mod tests;
