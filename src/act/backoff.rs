//! How long something that failed is left alone before it is tried again.
//!
//! ```text
//!  failed ── 2 s ── failed ── 4 s ── failed ── 8 s ── … ── 64 s ── 64 s ──▶
//! ```
//!
//! Each wait is up to a quarter shorter, by what failed: things that fail together are not tried
//! again in unison, and the same history always gives the same waits.

use weir_core::time::{Moment, Span};

/// The first wait after a failure; it doubles with each further one.
const FIRST: Span = Span::from_secs(2);
/// How often it doubles: up to 64 s, which is soon enough for what a person has to mend.
const DOUBLINGS: u32 = 5;
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
        let longest = FIRST.as_millis() << self.failures.min(DOUBLINGS);
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

/// A number that looks random, and is the same each time (FNV-1a).
fn spread(what: &str, failures: u32) -> u8 {
    let bytes = what.bytes().chain(failures.to_le_bytes());
    let hash = bytes.fold(0xcbf2_9ce4_8422_2325_u64, |hash, byte| {
        (hash ^ u64::from(byte)).wrapping_mul(0x0100_0000_01b3)
    });
    hash.to_be_bytes()[0]
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_000_000);

    /// The first waits of what is named so, in milliseconds.
    fn waits(what: &str) -> Vec<u64> {
        let mut backoff = Backoff::default();
        let mut wait = || {
            backoff.failed(what, NOW);
            backoff.not_before.since(NOW).as_millis()
        };
        (0..8).map(|_| wait()).collect()
    }

    #[test]
    fn each_wait_is_twice_the_last_up_to_about_a_minute() {
        let longest = [2, 4, 8, 16, 32, 64, 64, 64].map(|seconds| seconds * 1000);
        for (wait, longest) in waits("shop/logs").into_iter().zip(longest) {
            assert!(wait <= longest && wait > longest * 3 / 4 - 1, "{wait}");
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
