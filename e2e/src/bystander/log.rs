//! The bystander's calls as they are remembered: those that have ended, and those under way.

use std::{
    collections::BTreeSet,
    sync::{Mutex, MutexGuard, PoisonError},
};

use tokio::time::Instant;

use super::Sample;

/// Calls by when they were due. No two are due at the same instant.
#[derive(Debug, Default)]
pub(super) struct Log(Mutex<Calls>);

#[derive(Debug, Default)]
struct Calls {
    ended: Vec<Sample>,
    under_way: BTreeSet<Instant>,
}

impl Log {
    fn calls(&self) -> MutexGuard<'_, Calls> {
        // A call that panicked has left a whole value behind.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Notes that a call is under way.
    pub(super) fn begin(&self, due: Instant) {
        self.calls().under_way.insert(due);
    }

    /// Notes how a call ended.
    pub(super) fn end(&self, sample: Sample) {
        let mut calls = self.calls();
        calls.under_way.remove(&sample.due);
        calls.ended.push(sample);
    }

    /// The calls that were due from then on and have ended.
    pub(super) fn ended_since(&self, from: Instant) -> Vec<Sample> {
        let calls = self.calls();
        calls
            .ended
            .iter()
            .filter(|sample| sample.due >= from)
            .copied()
            .collect()
    }

    /// The same and those under way, which have taken at least until `now`.
    pub(super) fn felt_since(&self, from: Instant, now: Instant) -> Vec<Sample> {
        let mut samples = self.ended_since(from);
        let so_far = |due: &Instant| Sample {
            due: *due,
            ms: now.saturating_duration_since(*due).as_secs_f64() * 1000.0,
            late_ms: 0.0,
            failed: false,
        };
        samples.extend(self.calls().under_way.range(from..).map(so_far));
        samples
    }

    /// All that have ended; they are forgotten here.
    pub(super) fn take(&self) -> Vec<Sample> {
        std::mem::take(&mut self.calls().ended)
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    use super::*;

    #[test]
    fn calls_under_way_are_felt_before_they_end() {
        let log = Log::default();
        let zero = Instant::now();
        let at = |ms| zero + Duration::from_millis(ms);
        for due in [0, 100, 200] {
            log.begin(at(due));
        }
        log.end(Sample {
            due: at(100),
            ms: 5.0,
            late_ms: 0.0,
            failed: false,
        });
        assert_eq!(log.ended_since(zero).len(), 1);
        let felt: Vec<_> = log
            .felt_since(at(100), at(1200))
            .iter()
            .map(|one| one.ms)
            .collect();
        assert_eq!(felt, [5.0, 1000.0]);
        log.end(Sample {
            due: at(200),
            ms: 1500.0,
            late_ms: 0.0,
            failed: false,
        });
        assert_eq!(log.take().len(), 2);
        assert_eq!(
            log.felt_since(zero, at(3000)).len(),
            1,
            "the first is still under way"
        );
    }
}
