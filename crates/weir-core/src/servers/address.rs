//! One address of an API server, and the processes that answer there.
//!
//! ```text
//!  address ──┬── probes (whichever process answers)
//!            ├── why its page could not be read, if the last try failed
//!            └── processes, told apart by their start:  A ●──●──●
//!                                                       B           ●──●──●──●
//!                                                      B began after A was last heard: a restart
//! ```
//!
//! Behind a balancer several processes answer in turn; each may be silent for as many scrapes as
//! there are processes.

use super::{
    Cadence, PageCost, ProbeKind, ProbeResult, Scrape, ScrapeError,
    probes::Probes,
    series::{MEMORY_WINDOW, Series},
};
use crate::{
    evidence::{Latency, Reading, ServerEvidence, ServerId},
    time::{Moment, Span},
};

/// Processes remembered: more than any balancer is known to have behind it.
const MAX_PROCESSES: usize = 16;

/// When what is not heard any more is given up: as long as an API server's identity Lease lasts.
const GIVE_UP_AFTER: Span = Span::from_secs(3600);

/// What is known of one address.
#[derive(Debug, Clone)]
pub(super) struct Address {
    /// When Weir began to look; a process that started later is a restart.
    first_look: Moment,
    /// When it left the endpoints, if it did.
    gone: Option<Moment>,
    probes: Probes,
    processes: Vec<Series>,
    /// Why its page could not be read when last tried, if so.
    trouble: Option<ScrapeError>,
    /// What the last whole page cost. What fails must not make old values last longer.
    cost: PageCost,
}

/// What there is to tell of one process.
pub(super) struct Told {
    pub(super) id: ServerId,
    pub(super) evidence: ServerEvidence,
    /// Its page was freshly read, at an address that is among the endpoints.
    pub(super) is_live: bool,
    /// It may be left out, if as many as there should be are live.
    pub(super) is_spare: bool,
    /// It has been spare for so long that it is left out in any case.
    pub(super) is_given_up: bool,
}

/// How old a page may be, and why it may be too old between one and the next.
struct Limits {
    /// Stale, and absent.
    ages: [Span; 2],
    /// Its cost keeps it from being read often enough.
    outgrown: Option<String>,
}

impl Address {
    pub(super) fn new(at: Moment) -> Self {
        Self {
            first_look: at,
            gone: None,
            probes: Probes::default(),
            processes: Vec::new(),
            trouble: None,
            cost: PageCost::default(),
        }
    }

    /// It is among the endpoints.
    pub(super) const fn join(&mut self) {
        self.gone = None;
    }

    /// It is not among the endpoints.
    pub(super) fn leave(&mut self, at: Moment) {
        self.gone.get_or_insert(at);
    }

    /// When it left the endpoints, if it is not among them.
    pub(super) const fn gone(&self) -> Option<Moment> {
        self.gone
    }

    /// A probe ended.
    pub(super) fn probed(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        at: Moment,
        (cadence, quiet): (Cadence, bool),
    ) {
        if quiet {
            self.probes.remember_quiet(&result);
        }
        self.probes.push(kind, result, at, cadence);
    }

    /// Its page was read, or not. Returns whether it is the first of a process.
    pub(super) fn scraped(&mut self, scrape: Result<Scrape, ScrapeError>, at: Moment) -> bool {
        let scrape = match scrape {
            Ok(scrape) => scrape,
            Err(error) => {
                self.trouble = Some(error);
                return false;
            }
        };
        self.trouble = None;
        let known = self
            .processes
            .iter_mut()
            .find(|process| process.is_of(&scrape));
        if let Some(process) = known {
            process.push(scrape, at);
            return false;
        }
        self.discover(scrape, at);
        true
    }

    /// Its page, whole, cost so much.
    pub(super) const fn cost(&mut self, cost: PageCost) {
        self.cost = cost;
    }

    /// Takes the first scrape of a process.
    fn discover(&mut self, scrape: Scrape, at: Moment) {
        let started = Moment::from_millis(scrape.started);
        let mut answering = self
            .processes
            .iter_mut()
            .filter(|process| !process.is_replaced);
        if let (Some(only), None) = (answering.next(), answering.next()) {
            // Behind a balancer it may yet be heard again.
            only.is_replaced = started > only.heard();
        }
        if self.processes.len() >= MAX_PROCESSES {
            self.processes.sort_by_key(Series::heard);
            self.processes.remove(0);
        }
        let restarted = (started > self.first_look).then_some(at);
        self.processes.push(Series::new(scrape, at, restarted));
    }

    /// The processes that answer here, as far as is known.
    fn answering(&self) -> impl Iterator<Item = &Series> {
        self.processes.iter().filter(|process| !process.is_replaced)
    }

    /// How many processes answer in turn: those heard lately.
    fn turns(&self, now: Moment, cadence: Cadence) -> u64 {
        let [_, absent_after] = cadence.scrape_ages(self.cost, 1);
        let lately = absent_after.max(MEMORY_WINDOW);
        let heard = self
            .answering()
            .filter(|process| now.since(process.heard()) <= lately);
        (heard.count() as u64).max(1)
    }

    /// What is known at `now` of each of its processes; of the address alone, if it never told one.
    pub(super) fn tell(&self, name: &str, cadence: Cadence, now: Moment) -> Vec<Told> {
        let latency = match self.why_gone(now) {
            Some(why) => Reading::Absent { why },
            None => self.probes.latency(now, cadence),
        };
        if self.processes.is_empty() {
            return vec![self.tell_unknown(name, latency, now)];
        }
        let limits = Limits {
            ages: cadence.scrape_ages(self.cost, self.turns(now, cadence)),
            outgrown: cadence.outgrown(self.cost),
        };
        let is_live = |process: &Series| {
            let read = self.reading(process, Some(()), &limits, now);
            read.fresh().is_some()
        };
        let is_any_live = self.answering().any(is_live);
        let at_most = limits.ages[1];
        let tell = |process: &Series| {
            let is_live = is_live(process);
            let is_spare = !is_live && (is_any_live || self.gone.is_some());
            let silent = now.since(self.gone.unwrap_or(process.heard()));
            Told {
                id: ServerId {
                    address: name.to_owned(),
                    started: Some(process.id),
                },
                evidence: ServerEvidence {
                    latency: latency.clone(),
                    flow: self.reading(process, process.flow(at_most), &limits, now),
                    process: self.reading(process, process.process(at_most), &limits, now),
                    counted: self.reading(process, Some(process.counted()), &limits, now),
                    bad: self.probes.bad(now).worse(&process.bad(now)),
                    restarted: process.restarted,
                    spare: is_spare,
                },
                is_live,
                is_spare,
                is_given_up: is_spare && silent >= GIVE_UP_AFTER,
            }
        };
        self.answering().map(tell).collect()
    }

    /// An address that has not told a process yet.
    fn tell_unknown(&self, name: &str, latency: Reading<Latency>, now: Moment) -> Told {
        let is_spare = self.gone.is_some();
        Told {
            id: ServerId {
                address: name.to_owned(),
                started: None,
            },
            evidence: ServerEvidence {
                latency,
                flow: self.unread(now),
                process: self.unread(now),
                counted: self.unread(now),
                bad: self.probes.bad(now),
                restarted: None,
                spare: is_spare,
            },
            is_live: false,
            is_spare,
            is_given_up: self
                .gone
                .is_some_and(|gone| now.since(gone) >= GIVE_UP_AFTER),
        }
    }

    /// Something read from a process's page; `None` if one scrape does not tell it.
    fn reading<T>(
        &self,
        process: &Series,
        value: Option<T>,
        limits: &Limits,
        now: Moment,
    ) -> Reading<T> {
        if let Some(why) = self.why_gone(now) {
            return Reading::Absent { why };
        }
        match &self.trouble {
            Some(error @ ScrapeError::Garbled { .. }) => {
                let why = error.to_string();
                return Reading::Garbled { why };
            }
            // An answer, not silence: waiting does not mend it.
            Some(error @ ScrapeError::Denied { .. }) => {
                let why = error.to_string();
                return Reading::Absent { why };
            }
            Some(ScrapeError::Failed { .. }) | None => {}
        }
        let age = now.since(process.heard());
        let Limits { ages, outgrown } = limits;
        if let Some(why) = outgrown.as_ref().filter(|_| age > ages[0]) {
            return Reading::Absent { why: why.clone() };
        }
        let why_silent = || match &self.trouble {
            Some(error) => format!("last read {age} ago, {error}"),
            None => format!("the metrics page was last read {age} ago"),
        };
        match value {
            Some(value) => Reading::aged(value, age, *ages, why_silent),
            None if age > ages[0] => Reading::Absent { why: why_silent() },
            None => Reading::Absent {
                why: "the metrics page was read once lately, and a rate needs two".to_owned(),
            },
        }
    }

    /// Something of a page that was never read.
    fn unread<T>(&self, now: Moment) -> Reading<T> {
        match (self.why_gone(now), &self.trouble) {
            (Some(why), _) => Reading::Absent { why },
            (None, None) => Reading::Absent {
                why: "the metrics page has not been read yet".to_owned(),
            },
            (None, Some(error @ (ScrapeError::Failed { .. } | ScrapeError::Denied { .. }))) => {
                Reading::Absent {
                    why: error.to_string(),
                }
            }
            (None, Some(error @ ScrapeError::Garbled { .. })) => Reading::Garbled {
                why: error.to_string(),
            },
        }
    }

    fn why_gone(&self, now: Moment) -> Option<String> {
        let gone = now.since(self.gone?);
        Some(format!(
            "the address left the endpoints of the service default/kubernetes {gone} ago"
        ))
    }
}
