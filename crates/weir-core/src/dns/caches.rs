//! What DNS caches count of themselves: how much load each keeps off what it asks, and whether it serves answers beyond
//! their end.
//!
//! A cache that answers nine of ten requests lets a tenth through. Emptied, by a restart or a change of every name at
//! once, it lets all through: ten times as many. That is its *leverage*, 1 / (1 − hit ratio), and why DNS servers that
//! bear their load today need not bear tomorrow's restart.

use std::collections::BTreeMap;

use crate::{
    census::{count, whole},
    evidence::Caches,
    exposition::{End, Parser, Sample},
    time::{Moment, Span},
};

const HITS: &str = "coredns_cache_hits_total";
const REQUESTS: &str = "coredns_cache_requests_total";
const SERVED_STALE: &str = "coredns_cache_served_stale_total";
const WANTED: [&str; 3] = [HITS, REQUESTS, SERVED_STALE];

/// Requests that a ratio is taken over at the least.
const ENOUGH: f64 = 100.0;
/// How far back it goes: twice this, at the most.
const PERIOD: Span = Span::from_secs(300);
/// How long what a cache said counts as known.
const KNOWN: Span = Span::from_secs(120);

/// What one process had counted, all its caches together. Counters count from its start.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct CacheCounts {
    /// Requests that a cache was asked for.
    pub requests: f64,
    /// Of those, answered from it.
    pub hits: f64,
    /// Answers given beyond their end.
    pub served_stale: f64,
}

/// Takes a page of metrics in chunks and keeps only what [`CacheCounts`] are made of.
#[derive(Debug)]
pub struct CacheCollector {
    parser: Parser<'static>,
    counts: CacheCounts,
    tells: bool,
}

impl Default for CacheCollector {
    fn default() -> Self {
        Self {
            parser: Parser::new(&WANTED),
            counts: CacheCounts::default(),
            tells: false,
        }
    }
}

impl CacheCollector {
    /// Takes the next bytes of the page.
    pub fn push(&mut self, chunk: &[u8]) {
        let (counts, tells) = (&mut self.counts, &mut self.tells);
        self.parser.push(chunk, |sample: Sample<'_>| {
            let count = match sample.name {
                HITS => &mut counts.hits,
                REQUESTS => {
                    *tells = true;
                    &mut counts.requests
                }
                _ => &mut counts.served_stale,
            };
            *count += sample.value.max(0.0);
        });
    }

    /// The page has ended; nothing where it was cut, or tells of no cache.
    #[must_use]
    pub fn finish(self) -> Option<CacheCounts> {
        let page = self.parser.finish();
        let is_whole = page.end == End::Whole && page.oddities.wanted() == 0;
        (is_whole && self.tells).then_some(self.counts)
    }
}

/// One process's caches over time.
#[derive(Debug, Clone, Copy)]
struct Cache {
    /// What ratios are taken from, and what they will be taken from next.
    base: (CacheCounts, Moment),
    next: (CacheCounts, Moment),
    last: (CacheCounts, Moment),
    /// It served stale answers between the last two looks.
    stale: bool,
}

impl Cache {
    const fn new(counts: CacheCounts, at: Moment) -> Self {
        Self {
            base: (counts, at),
            next: (counts, at),
            last: (counts, at),
            stale: false,
        }
    }

    fn counted(self, counts: CacheCounts, at: Moment) -> Self {
        if counts.requests < self.last.0.requests {
            // It has begun anew.
            return Self::new(counts, at);
        }
        let is_over = at.since(self.next.1) >= PERIOD;
        let (base, next) = if is_over {
            (self.next, (counts, at))
        } else {
            (self.base, self.next)
        };
        Self {
            base,
            next,
            last: (counts, at),
            stale: counts.served_stale > self.last.0.served_stale,
        }
    }

    /// Requests of a thousand that are answered from it.
    fn hits_per_mille(&self) -> Option<u32> {
        let (base, last) = (self.base.0, self.last.0);
        let requests = last.requests - base.requests;
        let share = (last.hits - base.hits) / requests;
        (requests >= ENOUGH).then(|| whole((share.clamp(0.0, 1.0) * 1000.0).round()))
    }
}

/// All caches that tell.
#[derive(Debug, Clone)]
pub(super) struct Counted {
    /// Those of DNS servers that are asked, and those on nodes, by their names.
    servers: BTreeMap<String, Cache>,
    nodes: BTreeMap<String, Cache>,
}

impl Counted {
    /// Nothing was told yet.
    pub(super) const fn new() -> Self {
        Self {
            servers: BTreeMap::new(),
            nodes: BTreeMap::new(),
        }
    }

    /// A DNS server's caches had counted this by `at`.
    pub(super) fn server(&mut self, name: &str, counts: CacheCounts, at: Moment) {
        take(&mut self.servers, name, counts, at);
    }

    /// The same of the cache on a node.
    pub(super) fn node(&mut self, name: &str, counts: CacheCounts, at: Moment) {
        take(&mut self.nodes, name, counts, at);
    }

    /// What is known at `now`; what was silent for long is not.
    pub(super) fn told(&self, now: Moment) -> Caches {
        let is_known = |cache: &Cache| now.since(cache.last.1) <= KNOWN;
        let servers = self.servers.iter().filter(|(_, cache)| is_known(cache));
        let nodes = self.nodes.iter().filter(|(_, cache)| is_known(cache));
        let stale = nodes.clone().filter(|(_, cache)| cache.stale);
        Caches {
            hits_per_mille: servers
                .filter_map(|(name, cache)| Some((name.clone(), cache.hits_per_mille()?)))
                .collect(),
            nodes: count(nodes.count()),
            stale_nodes: stale.map(|(name, _)| name.clone()).collect(),
        }
    }
}

/// Takes counts into those that are kept, and forgets who has been silent for long.
fn take(caches: &mut BTreeMap<String, Cache>, name: &str, counts: CacheCounts, at: Moment) {
    caches.retain(|_, cache| at.since(cache.last.1) <= PERIOD);
    let before = caches.get(name).copied();
    let after = before.map_or_else(|| Cache::new(counts, at), |cache| cache.counted(counts, at));
    caches.insert(name.to_owned(), after);
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_795_860_000_000) + Span::from_secs(seconds)
    }

    fn counts(requests: f64, hits: f64, served_stale: f64) -> CacheCounts {
        CacheCounts {
            requests,
            hits,
            served_stale,
        }
    }

    #[test]
    fn a_page_of_coredns_is_added_up() {
        let page = "# TYPE coredns_cache_hits_total counter\n\
                    coredns_cache_hits_total{server=\"dns://:53\",type=\"denial\",view=\"\",zones=\".\"} 6\n\
                    coredns_cache_hits_total{server=\"dns://:53\",type=\"success\",view=\"\",zones=\".\"} 90\n\
                    coredns_cache_requests_total{server=\"dns://:53\",view=\"\",zones=\".\"} 100\n\
                    coredns_cache_served_stale_total{server=\"dns://:53\",view=\"\",zones=\".\"} 2\n\
                    go_goroutines 7\n";
        let mut collector = CacheCollector::default();
        for chunk in page.as_bytes().chunks(17) {
            collector.push(chunk);
        }
        assert_eq!(collector.finish(), Some(counts(100.0, 96.0, 2.0)));
        for odd in [
            "",
            "<html>",
            "coredns_cache_hits_total 3\n",
            "coredns_cache_requests_total 3",
        ] {
            let mut collector = CacheCollector::default();
            collector.push(odd.as_bytes());
            assert_eq!(collector.finish(), None, "{odd}");
        }
    }

    #[test]
    fn leverage_is_what_an_empty_cache_would_let_through() {
        let mut counted = Counted::new();
        counted.server("coredns-a", counts(1000.0, 500.0, 0.0), at(0));
        assert_eq!(
            counted.told(at(0)).leverage("coredns-a"),
            None,
            "one look tells no ratio"
        );
        counted.server("coredns-a", counts(2000.0, 1400.0, 0.0), at(30));
        let leverage = counted.told(at(30)).leverage("coredns-a");
        assert!(
            leverage.is_some_and(|times| (times - 10.0).abs() < 1e-9),
            "{leverage:?}"
        );
        // It restarts, and is cold.
        counted.server("coredns-a", counts(50.0, 0.0, 0.0), at(60));
        assert_eq!(counted.told(at(60)).leverage("coredns-a"), None);
        counted.server("coredns-a", counts(1050.0, 0.0, 0.0), at(90));
        assert_eq!(counted.told(at(90)).leverage("coredns-a"), Some(1.0));
        assert_eq!(
            counted.told(at(300)).leverage("coredns-a"),
            None,
            "it has been silent"
        );
    }

    #[test]
    fn what_was_long_ago_no_longer_counts() {
        let mut counted = Counted::new();
        for minute in 0..30_u32 {
            let warm = f64::from(minute.min(10)) * 1000.0;
            let cold = f64::from(minute.saturating_sub(10)) * 1000.0;
            let now = at(u64::from(minute) * 60);
            counted.server("coredns-a", counts(warm + cold, warm, 0.0), now);
        }
        assert_eq!(counted.told(at(29 * 60)).leverage("coredns-a"), Some(1.0));
    }

    #[test]
    fn nodes_that_serve_stale_answers_are_named() {
        let mut counted = Counted::new();
        for (second, stale) in [(0, 3.0), (30, 3.0), (60, 4.0)] {
            counted.node("10.0.0.1", counts(10.0, 9.0, stale), at(second));
            counted.node("10.0.0.2", counts(10.0, 9.0, 0.0), at(second));
            let told = counted.told(at(second));
            assert_eq!(
                (told.nodes, told.stale_nodes.len()),
                (2, usize::from(second == 60))
            );
        }
    }
}
