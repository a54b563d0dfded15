//! Turns requests and bytes as they pass into a count of what Weir costs.

use std::sync::atomic::{AtomicU64, Ordering::Relaxed};

/// What all of Weir's clients have cost since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Spent {
    /// Requests sent, writes and retries included.
    pub requests: u64,
    /// Of those, the ones that write (anything but GET).
    pub writes: u64,
    /// Of those, the ones that were a second try.
    pub retries: u64,
    /// Bytes of answers received, as they come in, those of watches included; without headers.
    pub bytes: u64,
    /// Requests not sent, since the budget was spent.
    pub refused: u64,
    /// Requests given up, since no whole answer came within the time limit.
    pub timed_out: u64,
}

/// The running count behind [`Spent`].
#[derive(Debug, Default)]
pub(super) struct Meter {
    pub(super) requests: Counter,
    pub(super) writes: Counter,
    pub(super) retries: Counter,
    pub(super) bytes: Counter,
    pub(super) refused: Counter,
    pub(super) timed_out: Counter,
}

/// A number that only grows.
#[derive(Debug, Default)]
pub struct Counter(AtomicU64);

impl Counter {
    /// Counts some more.
    pub fn add(&self, more: u64) {
        self.0.fetch_add(more, Relaxed);
    }

    /// The count so far.
    #[must_use]
    pub fn get(&self) -> u64 {
        self.0.load(Relaxed)
    }
}

impl Meter {
    pub(super) fn spent(&self) -> Spent {
        Spent {
            requests: self.requests.get(),
            writes: self.writes.get(),
            retries: self.retries.get(),
            bytes: self.bytes.get(),
            refused: self.refused.get(),
            timed_out: self.timed_out.get(),
        }
    }
}
