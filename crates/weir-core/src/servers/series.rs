//! The scrapes of one process become rates. What belongs to another process never comes here.
//!
//! ```text
//!  memory window  ├───────── two minutes, to see growth ─────────┤
//!  scrapes        ●     ●     ●     ●     ●     ●     ●     ●    ●
//!                                                          before last
//!                                                           └─┬─┘
//!                                                 the interval of all rates
//! ```

use std::{
    collections::{BTreeMap, VecDeque},
    ops::Add,
    sync::Arc,
};

use super::{Scrape, scrape::Schema};
use crate::{
    burn::{BadTime, Spent},
    evidence::{Flow, OBJECTIVE_MS, Process, Wait},
    time::{Moment, Span},
    usage::Counted,
};

/// How far back growth of memory is looked for. Agents that relist every few minutes show within
/// two; a Go heap's own sawtooth is much shorter.
pub(super) const MEMORY_WINDOW: Span = Span::from_secs(120);

/// Scrapes remembered for it: one a second.
const MAX_MEMORY: usize = 121;

/// Two scrapes that are closer count as this many seconds apart: CPU time is told in hundredths of a
/// second, and a request's whole wait is counted in the moment in which it ends.
const MIN_INTERVAL_SECONDS: f64 = 1.0;

/// The longest time between two scrapes that can count as bad: over a longer one nobody watched.
const LONGEST_INTERVAL: Span = Span::from_secs(120);

/// The scrapes of one process.
#[derive(Debug, Clone)]
pub(super) struct Series {
    /// The start time that the process is known by: the first that it told.
    pub(super) id: u64,
    /// When Weir first heard it, if the process started after Weir had begun to look.
    pub(super) restarted: Option<Moment>,
    /// Another process, which began after this one was last heard, has answered in its place.
    pub(super) is_replaced: bool,
    before: Option<Timed>,
    last: Timed,
    /// Resident bytes, over the memory window.
    memory: VecDeque<(Moment, f64)>,
    /// The time between two scrapes is as bad as the share of requests that were not served as they should.
    spent: Spent,
}

#[derive(Debug, Clone)]
struct Timed {
    at: Moment,
    scrape: Scrape,
    /// The same, as it is told: often, and by many.
    counted: Arc<Counted>,
}

impl Timed {
    fn new(at: Moment, scrape: Scrape) -> Self {
        let totals = &scrape.totals;
        let schemas = totals.schemas.iter();
        let counted = Counted {
            at,
            cpu_seconds: scrape.cpu_seconds,
            cpu_limit_cores: scrape.cpu_limit_cores,
            resident_bytes: scrape.resident_bytes,
            memory_limit_bytes: totals.memory_limit_bytes,
            etcd_requests: totals.etcd_requests,
            response_bytes: totals.response_bytes,
            watches: totals.watches,
            schemas: schemas
                .map(|(name, schema)| (name.clone(), schema.count.clone()))
                .collect(),
            version: totals.version.clone(),
            pods: totals.pods,
            seats: totals.seats.clone(),
            executing_seats: totals.executing_seats.clone(),
        };
        Self {
            at,
            scrape,
            counted: Arc::new(counted),
        }
    }
}

impl Series {
    pub(super) fn new(scrape: Scrape, at: Moment, restarted: Option<Moment>) -> Self {
        Self {
            id: scrape.started,
            restarted,
            is_replaced: false,
            before: None,
            memory: VecDeque::from([(at, scrape.resident_bytes)]),
            spent: Spent::default(),
            last: Timed::new(at, scrape),
        }
    }

    /// When the process was last heard.
    pub(super) const fn heard(&self) -> Moment {
        self.last.at
    }

    /// Whether a page is this process's. The kernel derives the start time from the wall clock, so
    /// that a step of the clock moves it by whole seconds: its fraction stays, and so does what was
    /// counted.
    pub(super) fn is_of(&self, scrape: &Scrape) -> bool {
        const STEP_MS: u64 = 2000;
        let last = &self.last.scrape;
        let moved = last.started.abs_diff(scrape.started);
        let is_step = moved <= STEP_MS && moved.is_multiple_of(1000);
        moved == 0 || is_step && scrape.cpu_seconds >= last.cpu_seconds
    }

    /// Takes the process's next scrape. If its CPU time went back, the series begins anew.
    pub(super) fn push(&mut self, mut scrape: Scrape, at: Moment) {
        if at <= self.heard() {
            return;
        }
        self.is_replaced = false;
        let is_continued = scrape.cpu_seconds >= self.last.scrape.cpu_seconds;
        if is_continued {
            scrape.totals.follow(&self.last.scrape.totals);
        }
        let memory = (at, scrape.resident_bytes);
        let last = std::mem::replace(&mut self.last, Timed::new(at, scrape));
        self.before = is_continued.then_some(last);
        if !is_continued {
            self.memory.clear();
        }
        self.remember(memory);
        if let Some(interval) = self.interval(LONGEST_INTERVAL) {
            let lasted = Span::from_secs(1).times(interval.seconds);
            let bad = interval.bad_share();
            self.spent.add(at, lasted, bad);
        }
    }

    /// How much of the last hours and days was bad, by what became of its clients' requests.
    pub(super) fn bad(&self, now: Moment) -> BadTime {
        self.spent.told(now)
    }

    /// Keeps what lies in the memory window, and at least the scrape before.
    fn remember(&mut self, memory: (Moment, f64)) {
        self.memory.push_back(memory);
        let is_old = |(at, _): &(Moment, f64)| memory.0.since(*at) > MEMORY_WINDOW;
        while self.memory.len() > MAX_MEMORY
            || self.memory.len() > 2 && self.memory.front().is_some_and(is_old)
        {
            self.memory.pop_front();
        }
    }

    /// Queues and refusals over the last interval; `None` after a single scrape, or if the interval
    /// is longer than `at_most`: a rate over so long would average out what happened in it.
    pub(super) fn flow(&self, at_most: Span) -> Option<Flow> {
        let interval = self.interval(at_most)?;
        let levels: Vec<LevelFlow<'_>> = interval.levels().collect();
        let total = |of: fn(&LevelFlow<'_>) -> f64| levels.iter().map(of).fold(0.0, f64::add);
        let worst = levels
            .iter()
            .max_by(|one, other| one.queued.total_cmp(&other.queued));
        Some(Flow {
            queued: total(|level| level.queued),
            in_queue: total(|level| level.in_queue),
            standing: total(|level| level.standing),
            waits: interval.waits(),
            rejected_per_second: interval.rejected() / interval.seconds,
            worst_level: worst
                .filter(|level| level.queued > 0.0)
                .map(|level| level.name.to_owned()),
        })
    }

    /// CPU over the last interval, and memory; `None` as with [`Self::flow`].
    pub(super) fn process(&self, at_most: Span) -> Option<Process> {
        let Interval { old, new, seconds } = self.interval(at_most)?;
        let (began, resident_before_bytes) = *self.memory.front()?;
        let growth = new.resident_bytes - resident_before_bytes;
        Some(Process {
            cpu_cores: increase(old.cpu_seconds, new.cpu_seconds) / seconds,
            cpu_limit_cores: new.cpu_limit_cores,
            resident_bytes: new.resident_bytes,
            resident_growth_per_second: growth / seconds_between(began, self.heard()),
            resident_before_bytes,
            inflight: new.inflight,
        })
    }

    /// All that the process had counted by its last page.
    pub(super) fn counted(&self) -> Arc<Counted> {
        Arc::clone(&self.last.counted)
    }

    fn interval(&self, at_most: Span) -> Option<Interval<'_>> {
        let before = self.before.as_ref();
        let before = before.filter(|before| self.heard().since(before.at) <= at_most)?;
        let seconds = seconds_between(before.at, self.heard());
        Some(Interval {
            old: &before.scrape,
            new: &self.last.scrape,
            seconds,
        })
    }
}

/// What all rates are taken over.
struct Interval<'a> {
    old: &'a Scrape,
    new: &'a Scrape,
    seconds: f64,
}

/// One priority level over an interval.
struct LevelFlow<'a> {
    name: &'a str,
    /// Requests that waited, on average.
    queued: f64,
    /// Requests that wait at the end.
    in_queue: f64,
    /// Requests that surely waited from one end to the other.
    standing: f64,
    /// Requests refused.
    rejected: f64,
}

impl<'a> Interval<'a> {
    fn levels(&self) -> impl Iterator<Item = LevelFlow<'a>> {
        self.new.levels.iter().map(|(name, new)| {
            let old = self.old.levels.get(name).copied().unwrap_or_default();
            let wait_seconds = increase(old.wait_seconds, new.wait_seconds);
            // Those that wait at both ends need not be the same: a queue of short waits is there at every look.
            let left = increase(old.waited, new.waited);
            let standing = (old.in_queue - left).clamp(0.0, new.in_queue);
            LevelFlow {
                name,
                queued: (wait_seconds / self.seconds).max(standing),
                in_queue: new.in_queue,
                standing,
                rejected: increase(old.rejected, new.rejected),
            }
        })
    }

    /// Requests refused. The server counts one that it refuses by its code, and one that Priority and Fairness
    /// refuses also at its level.
    fn rejected(&self) -> f64 {
        let at_levels: f64 = self.levels().map(|level| level.rejected).sum();
        at_levels.max(increase(self.old.refused, self.new.refused))
    }

    /// The share of requests that were refused, or of a FlowSchema whose requests waited for longer on average
    /// than the objective allows them to take.
    fn bad_share(&self) -> f64 {
        let none = Schema::default();
        let schemas = self.new.totals.schemas.iter();
        let run: f64 = schemas
            .map(|(name, new)| {
                let old = self.old.totals.schemas.get(name).unwrap_or(&none);
                increase(old.count.dispatched, new.count.dispatched)
            })
            .sum();
        let waits = self.waits();
        let late = waits.values().filter(|wait| wait.mean_ms() >= OBJECTIVE_MS);
        let late: f64 = late.map(|wait| wait.per_second * self.seconds).sum();
        let rejected = self.rejected();
        let all = run + rejected;
        if all > 0.0 {
            (late + rejected) / all
        } else {
            0.0
        }
    }

    fn waits(&self) -> BTreeMap<String, Wait> {
        let none = Schema::default();
        let wait = |(name, new): (&String, &Schema)| {
            let old = self.old.totals.schemas.get(name).unwrap_or(&none);
            let wait = Wait {
                queued: increase(old.wait_seconds, new.wait_seconds) / self.seconds,
                per_second: increase(old.waited, new.waited) / self.seconds,
            };
            (wait.queued > 0.0).then(|| (name.clone(), wait))
        };
        self.new.totals.schemas.iter().filter_map(wait).collect()
    }
}

fn seconds_between(began: Moment, ended: Moment) -> f64 {
    ended.since(began).as_secs_f64().max(MIN_INTERVAL_SECONDS)
}

/// How much a counter grew. One that went down was begun anew, and has grown by all it shows.
fn increase(old: f64, new: f64) -> f64 {
    if new >= old { new - old } else { new }
}
