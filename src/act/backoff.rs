//! How long something that failed, or was undone, is left alone before it is tried again.
//!
//! ```text
//!  failed ──  2 s ── failed ──  4 s ── failed ──  8 s ── … ──  64 s ──  64 s ──▶
//!  undone ── 10 s ── undone ── 20 s ── undone ── 40 s ── … ── 300 s ── 300 s ──▶
//! ```
//!
//! Each wait is up to a quarter shorter, by what failed: things that fail together are not tried
//! again in unison, and the same history always gives the same waits.

use weir_core::time::{Moment, Span};

use crate::fnv;

/// The first wait after a failure, and the longest: soon enough for what a person has to mend.
const FAILED: [Span; 2] = [Span::from_secs(2), Span::from_secs(64)];
/// The same of what was done, and undone by somebody else: a fight costs both.
const UNDONE: [Span; 2] = [Span::from_secs(10), Span::from_secs(300)];
/// How often a wait doubles at most: the longest of all is reached by then.
const DOUBLINGS: u32 = 8;
/// Failures in a row after which people are told: an API server that restarts is over it by then.
const STUCK: u32 = 3;

/// Failures in a row, and when to try again.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Backoff {
    failures: u32,
    not_before: Moment,
}

impl Backoff {
    /// It failed once more. `what` names it.
    pub fn failed(&mut self, what: &str, now: Moment) {
        self.wait(what, FAILED, now);
    }

    /// It was done, and somebody has undone it once more. `what` names it.
    pub fn undone(&mut self, what: &str, now: Moment) {
        self.wait(what, UNDONE, now);
    }

    fn wait(&mut self, what: &str, [first, most]: [Span; 2], now: Moment) {
        let doubled = first.as_millis() << self.failures.min(DOUBLINGS);
        let longest = doubled.min(most.as_millis());
        let shorter = longest / 4 * u64::from(spread(what, self.failures)) / 256;
        self.failures = self.failures.saturating_add(1);
        self.not_before = now + Span::from_millis(longest - shorter);
    }

    /// Whether it is still to be left alone.
    #[must_use]
    pub fn waits(&self, now: Moment) -> bool {
        now < self.not_before
    }

    /// Whether it has failed so often in a row that a person should know.
    #[must_use]
    pub const fn is_stuck(&self) -> bool {
        self.failures >= STUCK
    }
}

/// A number that looks random, and is the same each time.
fn spread(what: &str, failures: u32) -> u8 {
    fnv::hash(what.bytes().chain(failures.to_le_bytes())).to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);

    /// The first waits of what is named so, in milliseconds.
    fn waits_after(what: &str, count: fn(&mut Backoff, &str, Moment)) -> Vec<u64> {
        let mut backoff = Backoff::default();
        let mut wait = || {
            count(&mut backoff, what, NOW);
            backoff.not_before.since(NOW).as_millis()
        };
        (0..8).map(|_| wait()).collect()
    }

    fn waits(what: &str) -> Vec<u64> {
        waits_after(what, Backoff::failed)
    }

    #[test]
    fn each_wait_is_twice_the_last_up_to_about_a_minute_or_five() {
        let undone = waits_after("shop/logs", Backoff::undone);
        for (waits, longest) in [
            (waits("shop/logs"), [2, 4, 8, 16, 32, 64, 64, 64]),
            (undone, [10, 20, 40, 80, 160, 300, 300, 300]),
        ] {
            for (wait, longest) in waits.into_iter().zip(longest.map(|seconds| seconds * 1000)) {
                assert!(wait <= longest && wait > longest * 3 / 4 - 1, "{wait}");
            }
        }
    }

    #[test]
    fn what_fails_together_is_not_tried_again_in_unison() {
        assert_eq!(waits("shop/logs"), waits("shop/logs"));
        assert_ne!(waits("shop/logs"), waits("shop/metrics"));
    }

    #[test]
    fn it_is_stuck_after_the_third_failure_in_a_row() {
        let mut backoff = Backoff::default();
        assert!(!backoff.waits(NOW));
        for stuck in [false, false, true] {
            backoff.failed("x", NOW);
            assert_eq!(backoff.is_stuck(), stuck);
            assert!(backoff.waits(NOW));
        }
    }
}
