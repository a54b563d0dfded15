//! Turns moments into leave to send: token buckets, and the sizes that Weir gives them.
//!
//! They are ceilings that a defect of Weir's own runs into, not its pace: the parts that send know
//! their own, far lower. Nothing here sleeps.

use std::sync::{Mutex, PoisonError};

use weir_core::time::{Moment, Span};

/// How much of one kind of request may be sent.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Allowance {
    /// Requests per second in the long run.
    pub per_second: f64,
    /// Requests that may be sent at once after a rest.
    pub burst: f64,
    /// How long a request may wait for its turn before it fails instead.
    pub wait: Span,
}

/// What Weir may send in all, by kind.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Budget {
    /// GETs, LISTs and the opening of watches.
    pub reads: Allowance,
    /// Statuses, approvals, events.
    pub writes: Allowance,
    /// Removals of gates.
    pub releases: Allowance,
    /// Renewals of the leader's lease.
    pub lease: Allowance,
    /// Beats of the beacon, and the looks at it while none is answered.
    pub beacon: Allowance,
    /// Probes and scrapes, for each API server.
    pub server: Allowance,
    /// Second tries of whatever kind; they are paid from their own kind's allowance too.
    pub retries: Allowance,
}

impl Budget {
    /// The sizes that Weir ships with.
    #[must_use]
    pub const fn standard() -> Self {
        // Far less than a write is given in all: what was never sent is to be told as just that.
        const PATIENT: Span = Span::from_secs(5);
        Self {
            // Eleven watches, each begun anew within a minute, are 0.2 a second; the start, or the
            // return of an API server, begins all at once, with one more for each rollout.
            reads: Allowance {
                per_second: 5.0,
                burst: 40.0,
                wait: PATIENT,
            },
            // A status is written on change only: a few per wave.
            writes: Allowance {
                per_second: 2.0,
                burst: 20.0,
                wait: PATIENT,
            },
            // As many as one policy may ask for; several rollouts share it, and what does not fit is
            // judged anew. Releasing 1,000 pods by hand took 10 s.
            releases: Allowance {
                per_second: 100.0,
                burst: 100.0,
                wait: PATIENT,
            },
            // One renewal in twelve seconds, or one every two while they fail.
            lease: Allowance {
                per_second: 1.0,
                burst: 10.0,
                wait: Span::from_secs(2),
            },
            // A beat in ten seconds; a look every two while the API is silent.
            beacon: Allowance {
                per_second: 1.0,
                burst: 4.0,
                wait: Span::ZERO,
            },
            // A probe a second, and a page every five at most (probes and pages each have a bucket).
            // A wait would count as the server's latency.
            server: Allowance {
                per_second: 3.0,
                burst: 6.0,
                wait: Span::ZERO,
            },
            // A few when a connection breaks; next to none while a server is drowning.
            retries: Allowance {
                per_second: 0.2,
                burst: 5.0,
                wait: Span::ZERO,
            },
        }
    }
}

/// A request was not sent, since Weir's own budget for its kind is spent.
#[derive(Debug, Clone, PartialEq, thiserror::Error)]
#[error(
    "Weir's own budget for {what} ({per_second} a second) is spent: not sent; \
     the next could go in {} s", next.as_secs_f64()
)]
pub struct OverBudget {
    what: &'static str,
    per_second: f64,
    next: Span,
}

/// A token bucket whose tokens can be promised ahead, so that those who wait are served in order.
#[derive(Debug)]
pub(super) struct Bucket {
    what: &'static str,
    allowance: Allowance,
    level: Mutex<Level>,
}

#[derive(Debug)]
struct Level {
    /// Below zero: so many are promised to those who wait.
    tokens: f64,
    /// When `tokens` was right; none before the first request.
    at: Option<Moment>,
}

impl Bucket {
    /// A full bucket.
    pub(super) fn new(what: &'static str, allowance: Allowance) -> Self {
        let level = Level {
            tokens: allowance.burst,
            at: None,
        };
        Self {
            what,
            allowance,
            level: Mutex::new(level),
        }
    }

    /// Takes a token and says how long to wait until it is there.
    ///
    /// What would have to wait for longer than allowed fails at once: its turn is known.
    pub(super) fn take(&self, now: Moment) -> Result<Span, OverBudget> {
        let Allowance {
            per_second,
            burst,
            wait,
        } = self.allowance;
        let mut level = self.level.lock().unwrap_or_else(PoisonError::into_inner);
        let rested = level.at.map_or(Span::ZERO, |at| now.since(at));
        let left = (level.tokens + rested.as_secs_f64() * per_second).min(burst) - 1.0;
        let turn = span_of((-left).max(0.0) / per_second);
        level.at = Some(now);
        if turn > wait {
            level.tokens = left + 1.0;
            return Err(OverBudget {
                what: self.what,
                per_second,
                next: turn,
            });
        }
        level.tokens = left;
        Ok(turn)
    }
}

/// Whole milliseconds, rounded up; a budget of nothing per second means never.
fn span_of(seconds: f64) -> Span {
    // Rounding is wanted, and a float too large (or infinite) saturates to `u64::MAX`.
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "never negative"
    )]
    let millis = (seconds * 1000.0).ceil() as u64;
    Span::from_millis(millis)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn bucket(per_second: f64, burst: f64, wait: u64) -> Bucket {
        let wait = Span::from_secs(wait);
        Bucket::new(
            "tests",
            Allowance {
                per_second,
                burst,
                wait,
            },
        )
    }

    fn at(millis: u64) -> Moment {
        Moment::from_millis(1_000_000 + millis)
    }

    #[test]
    fn a_burst_goes_at_once_and_the_rest_in_turn() {
        let bucket = bucket(2.0, 3.0, 10);
        let waits: Vec<_> = (0..6)
            .map(|_| bucket.take(at(0)).unwrap().as_millis())
            .collect();
        assert_eq!(waits, [0, 0, 0, 500, 1000, 1500]);
    }

    #[test]
    fn what_would_wait_too_long_fails_and_takes_no_token() {
        let bucket = bucket(1.0, 1.0, 1);
        assert_eq!(bucket.take(at(0)), Ok(Span::ZERO));
        assert_eq!(bucket.take(at(0)), Ok(Span::from_secs(1)));
        let refused = bucket.take(at(0)).unwrap_err();
        assert_eq!(
            refused.to_string(),
            "Weir's own budget for tests (1 a second) is spent: not sent; the next could go in 2 s"
        );
        assert_eq!(
            bucket.take(at(1000)),
            Ok(Span::from_secs(1)),
            "the refused one left its turn"
        );
    }

    #[test]
    fn rest_refills_up_to_the_burst_and_no_more() {
        let bucket = bucket(1.0, 2.0, 0);
        assert!(bucket.take(at(0)).is_ok());
        let sent = (0..5)
            .filter(|_| bucket.take(at(3_600_000)).is_ok())
            .count();
        assert_eq!(sent, 2);
    }

    #[test]
    fn time_that_runs_backwards_gives_nothing_away() {
        let bucket = bucket(1.0, 1.0, 0);
        assert!(bucket.take(at(5000)).is_ok());
        assert!(bucket.take(at(0)).is_err());
    }

    #[test]
    fn a_budget_of_nothing_refuses_after_its_burst() {
        let bucket = bucket(0.0, 1.0, 3600);
        assert!(bucket.take(at(0)).is_ok());
        assert!(bucket.take(at(1_000_000)).is_err());
    }
}
