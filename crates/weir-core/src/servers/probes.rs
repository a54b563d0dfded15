//! Round trips of probes to one address become [`Latency`]: a short window for now, and a long memory
//! of quiet times to compare with.

use std::{
    collections::{BTreeMap, VecDeque},
    time::Duration,
};

use crate::{
    burn::{BadTime, Spent},
    evidence::{Latency, OBJECTIVE_MS, Reading},
    servers::Cadence,
    time::{Moment, Span},
};

/// Probes in the short window. With three kinds in rotation the median of five is one of the middle
/// kind, whichever probe comes next.
const WINDOW: usize = 5;

/// A window holds no probe that is this many intervals older than its last: ten seconds in flight.
const WINDOW_INTERVALS: u64 = 10;

/// Quiet probes remembered: five minutes at one a second, most of an hour at one in ten.
const QUIET_PROBES: usize = 300;

/// Quiet probes needed for a baseline; in flight that takes ten seconds.
const MIN_QUIET_PROBES: usize = 10;

/// What a failure's reason is cut to, in characters: it is repeated in findings and events.
const REASON_LENGTH: usize = 200;

/// What a probe does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum ProbeKind {
    /// Reads one object.
    Get,
    /// Lists a few objects.
    List,
    /// Writes a Lease.
    Write,
}

/// How a probe ended.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum ProbeResult {
    /// It was served within this time.
    Served(Duration),
    /// It was refused with 429.
    Refused,
    /// It timed out, was answered with an error of the server (5xx), or could not connect.
    Failed {
        /// Why.
        why: String,
    },
    /// Weir may not make it: this tells nothing about the server, and somebody has to act.
    Denied {
        /// What is missing.
        why: String,
    },
}

/// One probe of the short window.
#[derive(Debug, Clone)]
struct Probe {
    at: Moment,
    outcome: Outcome,
}

#[derive(Debug, Clone)]
enum Outcome {
    Served { ms: f64 },
    Refused { ms: f64 },
    Failed { ms: f64, why: String },
}

impl Outcome {
    /// Whether a client that met it was served as it may expect.
    fn is_bad(&self) -> bool {
        self.is_slow() || matches!(self, Self::Refused { .. })
    }

    const fn ms(&self) -> f64 {
        match self {
            Self::Served { ms } | Self::Refused { ms } | Self::Failed { ms, .. } => *ms,
        }
    }

    fn is_slow(&self) -> bool {
        match self {
            Self::Served { ms } => *ms >= OBJECTIVE_MS,
            Self::Failed { .. } => true,
            Self::Refused { .. } => false,
        }
    }
}

/// The probes of one address.
#[derive(Debug, Clone, Default)]
pub(super) struct Probes {
    window: VecDeque<Probe>,
    /// Round trips in quiet times, in milliseconds.
    quiet: VecDeque<f64>,
    /// The time between two probes is as the later one was.
    spent: Spent,
    /// Kinds whose last probe was denied, and why.
    denied: BTreeMap<ProbeKind, String>,
}

impl Probes {
    /// Remembers a probe of quiet times. What failed then is left out, so that the baseline stays
    /// what a healthy server takes.
    pub(super) fn remember_quiet(&mut self, result: &ProbeResult) {
        if let ProbeResult::Served(time) = result {
            push_bounded(&mut self.quiet, millis(*time), QUIET_PROBES);
        }
    }

    /// Takes the result of a probe that ended at `at`, and might have taken as long as a probe may.
    pub(super) fn push(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        at: Moment,
        cadence: Cadence,
    ) {
        let timeout = cadence.probe_timeout;
        let timeout_ms = timeout.as_millis() as f64;
        let outcome = match result {
            ProbeResult::Served(time) => Outcome::Served { ms: millis(time) },
            ProbeResult::Refused => Outcome::Refused { ms: timeout_ms },
            ProbeResult::Failed { why } => Outcome::Failed {
                ms: timeout_ms,
                why: shortened(&why),
            },
            ProbeResult::Denied { why } => {
                self.denied.insert(kind, shortened(&why));
                return;
            }
        };
        self.denied.remove(&kind);
        if let Some(last) = self.window.back() {
            // Over a longer gap nobody watched.
            let lasted = at.since(last.at).min(cadence.probe_every + timeout);
            self.spent
                .add(at, lasted, f64::from(u8::from(outcome.is_bad())));
        }
        push_bounded(&mut self.window, Probe { at, outcome }, WINDOW);
    }

    /// How much of the last hours and days was bad, by what probes met.
    pub(super) fn bad(&self, now: Moment) -> BadTime {
        self.spent.told(now)
    }

    /// What is known at `now`.
    pub(super) fn latency(&self, now: Moment, cadence: Cadence) -> Reading<Latency> {
        if let Some((kind, why)) = self.denied.first_key_value() {
            return Reading::Absent {
                why: format!("a probe ({kind:?}) is not permitted: {why}"),
            };
        }
        let Some(last) = self.window.iter().map(|probe| probe.at).max() else {
            return Reading::Absent {
                why: "no probe has ended yet".to_owned(),
            };
        };
        let age = now.since(last);
        let reach = Span::from_millis(cadence.probe_every.as_millis() * WINDOW_INTERVALS);
        let is_in_reach = |probe: &&Probe| last.since(probe.at) <= reach;
        let window: Vec<&Probe> = self.window.iter().filter(is_in_reach).collect();
        Reading::aged(self.latency_of(&window), age, cadence.probe_ages(), || {
            format!("the last probe ended {age} ago")
        })
    }

    fn latency_of(&self, window: &[&Probe]) -> Latency {
        let times: Vec<f64> = window.iter().map(|probe| probe.outcome.ms()).collect();
        let count = |is: fn(&Outcome) -> bool| {
            let count = window.iter().filter(|probe| is(&probe.outcome)).count();
            u32::try_from(count).unwrap_or(u32::MAX)
        };
        let failure = window.iter().rev().find_map(|probe| match &probe.outcome {
            Outcome::Failed { why, .. } => Some(why.clone()),
            Outcome::Served { .. } | Outcome::Refused { .. } => None,
        });
        let enough = self.quiet.len() >= MIN_QUIET_PROBES;
        Latency {
            max_ms: times.iter().copied().fold(0.0, f64::max),
            probes: count(|_| true),
            slow: count(Outcome::is_slow),
            refused: count(|outcome| matches!(outcome, Outcome::Refused { .. })),
            failure,
            baseline_p50_ms: enough.then(|| median(self.quiet.iter().copied().collect())),
            p50_ms: median(times),
        }
    }
}

fn millis(time: Duration) -> f64 {
    time.as_secs_f64() * 1000.0
}

/// The middle value, or the mean of the middle two; zero if there is none.
fn median(mut values: Vec<f64>) -> f64 {
    values.sort_unstable_by(f64::total_cmp);
    let middle = values.len() / 2;
    match values.get(middle) {
        None => 0.0,
        Some(upper) if values.len() % 2 == 1 => *upper,
        Some(upper) => f64::midpoint(values[middle - 1], *upper),
    }
}

fn push_bounded<T>(ring: &mut VecDeque<T>, value: T, bound: usize) {
    if ring.len() >= bound {
        ring.pop_front();
    }
    ring.push_back(value);
}

fn shortened(reason: &str) -> String {
    reason.chars().take(REASON_LENGTH).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    const CADENCE: Cadence = Cadence {
        probe_every: Span::from_secs(1),
        probe_timeout: Span::from_secs(2),
        scrape_every: Span::from_secs(5),
        scrape_timeout: Span::from_secs(5),
        page_bytes_per_second: 16 << 20,
    };

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_000_000) + Span::from_secs(seconds)
    }

    fn served(ms: u64) -> ProbeResult {
        ProbeResult::Served(Duration::from_millis(ms))
    }

    fn failed() -> ProbeResult {
        ProbeResult::Failed {
            why: "connection refused".to_owned(),
        }
    }

    /// One probe a second from second 1.
    fn probes(results: impl IntoIterator<Item = ProbeResult>) -> Probes {
        let mut probes = Probes::default();
        for (second, result) in (1..).zip(results) {
            probes.push(ProbeKind::Get, result, at(second), CADENCE);
        }
        probes
    }

    #[test]
    fn the_median_is_that_of_the_last_five() {
        let probes = probes([900, 900, 1, 9, 3, 7, 5].map(served));
        let latency = probes.latency(at(7), CADENCE);
        let latency = latency.fresh().expect("a probe has just ended");
        assert_eq!(
            (latency.p50_ms, latency.max_ms, latency.probes),
            (5.0, 9.0, 5)
        );
    }

    #[test]
    fn a_failed_or_refused_probe_counts_as_its_time_out() {
        let probes = probes([
            served(1),
            failed(),
            ProbeResult::Refused,
            served(2),
            failed(),
        ]);
        let latency = probes.latency(at(5), CADENCE);
        let latency = latency.fresh().expect("a probe has just ended");
        assert_eq!((latency.p50_ms, latency.max_ms), (2000.0, 2000.0));
        assert_eq!((latency.probes, latency.slow, latency.refused), (5, 2, 1));
        assert_eq!(latency.failure.as_deref(), Some("connection refused"));
    }

    #[test]
    fn slow_are_those_that_took_a_second_or_failed() {
        let probes = probes([
            served(999),
            served(1000),
            failed(),
            ProbeResult::Refused,
            served(1),
        ]);
        let latency = probes.latency(at(5), CADENCE);
        assert_eq!(latency.fresh().map(|latency| latency.slow), Some(2));
    }

    #[test]
    fn silence_makes_latency_stale_and_then_absent() {
        let probes = probes([served(1)]);
        assert!(probes.latency(at(6), CADENCE).fresh().is_some());
        assert!(matches!(
            probes.latency(at(7), CADENCE),
            Reading::Stale { .. }
        ));
        assert!(matches!(
            probes.latency(at(15), CADENCE),
            Reading::Stale { .. }
        ));
        assert!(matches!(
            probes.latency(at(16), CADENCE),
            Reading::Absent { .. }
        ));
    }

    #[test]
    fn what_was_probed_long_before_the_last_probe_is_left_out() {
        let mut probes = probes([served(500), served(500)]);
        probes.push(ProbeKind::Get, served(1), at(60), CADENCE);
        let latency = probes.latency(at(60), CADENCE);
        let latency = latency.fresh().expect("a probe has just ended");
        assert_eq!((latency.p50_ms, latency.probes), (1.0, 1));
    }

    #[test]
    fn a_denied_kind_hides_the_others_until_it_is_permitted() {
        let mut probes = probes([served(1)]);
        let denied = ProbeResult::Denied {
            why: "create leases".to_owned(),
        };
        probes.push(ProbeKind::Write, denied, at(1), CADENCE);
        probes.push(ProbeKind::Get, served(1), at(1), CADENCE);
        assert!(matches!(
            probes.latency(at(1), CADENCE),
            Reading::Absent { .. }
        ));
        probes.push(ProbeKind::Write, served(1), at(2), CADENCE);
        assert!(probes.latency(at(2), CADENCE).fresh().is_some());
    }

    #[test]
    fn the_baseline_is_the_median_of_enough_quiet_probes_that_were_served() {
        let mut probes = probes([served(7)]);
        let baseline = |probes: &Probes| {
            let latency = probes.latency(at(1), CADENCE);
            latency
                .fresh()
                .expect("a probe has just ended")
                .baseline_p50_ms
        };
        for _ in 0..9 {
            probes.remember_quiet(&served(4));
            probes.remember_quiet(&failed());
        }
        assert_eq!(baseline(&probes), None);
        probes.remember_quiet(&served(900));
        assert_eq!(baseline(&probes), Some(4.0));
        for _ in 0..1000 {
            probes.remember_quiet(&served(6));
        }
        assert_eq!(
            (baseline(&probes), probes.quiet.len()),
            (Some(6.0), QUIET_PROBES)
        );
    }
}
