//! How often API servers are asked, and hence how old an answer may be.
//!
//! A page that is large, or slow to come, is read less often, and its values last longer:
//!
//! ```text
//!  cost of the last page      next page after            fresh for
//!  small and quick            scrape_every               3 × scrape_every + scrape_timeout
//!  took t                     3 × t                      3 × that + 2 × t  ┐ each of both counts as
//!  n bytes                    n / page_bytes_per_second  3 × that + …      ┘ at most 15 s here
//! ```
//!
//! Beyond those 15 s it is still read as seldom as its cost asks for, and says nothing in between: a
//! rollout must not be judged by what is older than a minute.

use crate::time::Span;

/// Answers missed before a value is stale. One or two are lost to an ordinary hiccup.
const STALE_MISSES: u64 = 3;

/// Answers missed before a value says nothing any more: a minute of scrapes, at a rollout's pace.
const ABSENT_MISSES: u64 = 12;

/// A page is on its way for at most one part in so many of the time: an API server gathers and
/// writes it on one core, and must not be kept at that.
const PAGE_SHARE: u64 = 3;

/// How many times as long as the last page the next may take. A server under load takes longer.
const PAGE_PATIENCE: u64 = 2;

/// No page is waited for any longer: one that takes more than 20 s can not be judged by anyhow.
const PAGE_TIMEOUT_AT_MOST: Span = Span::from_secs(30);

/// What of a costly page's interval and time-out counts towards its age. With three intervals and
/// one time-out that is a minute: the shortest soak of the built-in policies.
const STRETCH_AT_MOST: Span = Span::from_secs(15);

const MIB: u64 = 1 << 20;

/// How often each address is asked at present, and how long an answer may take.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Cadence {
    /// A probe goes out to each address this often.
    pub probe_every: Span,
    /// A probe fails after this long.
    pub probe_timeout: Span,
    /// Each address's page is read this often, if it costs little.
    pub scrape_every: Span,
    /// A page must be read within this long, or within twice the time that the last one took.
    pub scrape_timeout: Span,
    /// Bytes of pages that one address may send per second, on average from page to page.
    pub page_bytes_per_second: u64,
}

/// What it cost to read a page.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct PageCost {
    /// From the request to the end of the page.
    pub took: Span,
    /// Its size.
    pub bytes: u64,
}

impl Cadence {
    /// How long after a page that cost this much was asked for the next one may be.
    #[must_use]
    pub fn page_every(self, cost: PageCost) -> Span {
        let rate = self.page_bytes_per_second.max(1);
        let for_bytes = Span::from_millis(cost.bytes.saturating_mul(1000) / rate);
        self.scrape_every
            .max(times(cost.took, PAGE_SHARE))
            .max(for_bytes)
    }

    /// How long the page after one that took this long may take.
    #[must_use]
    pub fn page_timeout(self, took: Span) -> Span {
        times(took, PAGE_PATIENCE)
            .min(PAGE_TIMEOUT_AT_MOST)
            .max(self.scrape_timeout)
    }

    /// The ages at which a probe's result is stale, and absent.
    pub(super) fn probe_ages(self) -> [Span; 2] {
        ages(self.probe_every, self.probe_timeout)
    }

    /// The ages at which a process's scrape is stale, and absent, if `processes` answer in turn at
    /// its address and the last page cost this much.
    pub(super) fn scrape_ages(self, cost: PageCost, processes: u64) -> [Span; 2] {
        let every = self.page_every(cost);
        let timeout = self.page_timeout(cost.took);
        ages(
            times(stretched(every, self.scrape_every), processes),
            stretched(timeout, self.scrape_timeout),
        )
    }

    /// Why a page of this cost is read too seldom to be judged by, if it is.
    pub(super) fn outgrown(self, cost: PageCost) -> Option<String> {
        let every = self.page_every(cost);
        let [stale_after, _] = self.scrape_ages(cost, 1);
        (every > stale_after).then(|| {
            format!(
                "the metrics page has {} MiB and took {}, so that it is read every {every} only (it \
                 may be on its way for a third of the time, and send {} MiB a second), and is too \
                 old after {stale_after}",
                cost.bytes / MIB,
                cost.took,
                self.page_bytes_per_second / MIB
            )
        })
    }
}

/// What of a span that a costly page has made longer than usual counts towards its age.
fn stretched(span: Span, usual: Span) -> Span {
    span.min(STRETCH_AT_MOST.max(usual))
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

    const CADENCE: Cadence = Cadence {
        probe_every: Span::from_secs(1),
        probe_timeout: Span::from_secs(2),
        scrape_every: Span::from_secs(5),
        scrape_timeout: Span::from_secs(4),
        page_bytes_per_second: 16 * MIB,
    };

    fn cost(millis: u64, mib: u64) -> PageCost {
        PageCost {
            took: Span::from_millis(millis),
            bytes: mib * MIB,
        }
    }

    #[test]
    fn an_answer_on_its_way_is_not_missed() {
        let cost = PageCost::default();
        assert_eq!(CADENCE.probe_ages(), [5, 14].map(Span::from_secs));
        assert_eq!(CADENCE.scrape_ages(cost, 1), [19, 64].map(Span::from_secs));
        assert_eq!(CADENCE.scrape_ages(cost, 3), [49, 184].map(Span::from_secs));
    }

    #[test]
    fn a_page_is_read_as_often_as_its_time_and_its_bytes_allow() {
        for (page, every, timeout) in [
            (cost(300, 10), 5, 4),
            (cost(1600, 80), 5, 4),
            (cost(1600, 160), 10, 4),
            (cost(4000, 160), 12, 8),
            (cost(40_000, 1600), 120, 30),
        ] {
            assert_eq!(CADENCE.page_every(page), Span::from_secs(every), "{page:?}");
            let within = CADENCE.page_timeout(page.took);
            assert_eq!(within, Span::from_secs(timeout), "{page:?}");
        }
    }

    #[test]
    fn what_is_read_less_often_stays_fresh_for_longer_but_for_no_more_than_a_minute() {
        let stale_after = |page| CADENCE.scrape_ages(page, 1)[0];
        assert_eq!(stale_after(cost(300, 10)), Span::from_secs(19));
        assert_eq!(stale_after(cost(1600, 160)), Span::from_secs(34));
        for mib in 0..4000 {
            let page = cost(mib * 20, mib);
            assert!(stale_after(page) <= Span::from_secs(60), "{page:?}");
            let is_read_in_time = CADENCE.page_every(page) <= stale_after(page);
            assert_eq!(CADENCE.outgrown(page).is_none(), is_read_in_time);
        }
    }

    #[test]
    fn hundreds_of_megabytes_can_be_judged_by_and_thousands_are_refused_with_the_limit() {
        assert_eq!(CADENCE.outgrown(cost(6000, 500)), None);
        let why = CADENCE.outgrown(cost(30_000, 2000)).unwrap();
        assert_eq!(
            why,
            "the metrics page has 2000 MiB and took 30 s, so that it is read every 2 min 5 s only (it \
             may be on its way for a third of the time, and send 16 MiB a second), and is too old \
             after 1 min"
        );
    }

    #[test]
    fn a_slow_pace_is_not_cut_to_the_minute() {
        let idle = Cadence {
            scrape_every: Span::from_secs(60),
            ..CADENCE
        };
        assert_eq!(idle.scrape_ages(cost(300, 10), 1)[0], Span::from_secs(184));
    }
}
