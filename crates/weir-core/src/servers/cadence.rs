//! How often API servers are asked, and hence how old an answer may be.

use crate::time::Span;

/// Answers missed before a value is stale. One or two are lost to an ordinary hiccup.
const STALE_MISSES: u64 = 3;

/// Answers missed before a value says nothing any more: a minute of scrapes, at a rollout's pace.
const ABSENT_MISSES: u64 = 12;

/// How often each address is asked at present, and how long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// A probe goes out to each address this often.
    pub probe_every: Span,
    /// A probe fails after this long.
    pub probe_timeout: Span,
    /// Each address's page is read this often.
    pub scrape_every: Span,
    /// A page must be read within this long.
    pub scrape_timeout: Span,
}

impl Cadence {
    /// The ages at which a probe's result is stale, and absent.
    pub(super) fn probe_ages(self) -> [Span; 2] {
        ages(self.probe_every, self.probe_timeout)
    }

    /// The ages at which a process's scrape is stale, and absent, if `processes` answer in turn at
    /// its address.
    pub(super) fn scrape_ages(self, processes: u64) -> [Span; 2] {
        ages(times(self.scrape_every, processes), self.scrape_timeout)
    }
}

/// An answer that is on its way is not missed yet: the time-out is added once.
fn ages(every: Span, timeout: Span) -> [Span; 2] {
    [
        times(every, STALE_MISSES) + timeout,
        times(every, ABSENT_MISSES) + timeout,
    ]
}

/// The span `count` times over.
const fn times(span: Span, count: u64) -> Span {
    Span::from_millis(span.as_millis().saturating_mul(count))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_answer_on_its_way_is_not_missed() {
        let cadence = Cadence {
            probe_every: Span::from_secs(1),
            probe_timeout: Span::from_secs(2),
            scrape_every: Span::from_secs(5),
            scrape_timeout: Span::from_secs(10),
        };
        assert_eq!(cadence.probe_ages(), [5, 14].map(Span::from_secs));
        assert_eq!(cadence.scrape_ages(1), [25, 70].map(Span::from_secs));
        assert_eq!(cadence.scrape_ages(3), [55, 190].map(Span::from_secs));
    }
}
