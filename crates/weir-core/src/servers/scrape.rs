//! A kube-apiserver's `/metrics` page becomes a [`Scrape`], or a sentence that says why not.
//!
//! The names and labels are those of kube-apiserver 1.36.3; five of its pages are test fixtures. A
//! vector without any sample yet is not on the page at all: no rejections is no line. What always is
//! on the page is required, and since the page is sorted by name, `process_start_time_seconds`
//! proves that everything before it has come.

use std::{collections::BTreeMap, time::Duration};

use thiserror::Error;

pub use self::totals::{Schema, Totals};
use crate::{
    exposition::{End, Page, Parser, Sample},
    usage::MAX_LEVELS,
};

mod totals;

const STARTED: &str = "process_start_time_seconds";
const CPU_SECONDS: &str = "process_cpu_seconds_total";
const RESIDENT_BYTES: &str = "process_resident_memory_bytes";
const CPU_LIMIT: &str = "go_sched_gomaxprocs_threads";
const INFLIGHT: &str = "apiserver_current_inflight_requests";
const REQUESTS: &str = "apiserver_request_total";
const WAIT_SUM: &str = "apiserver_flowcontrol_request_wait_duration_seconds_sum";
const WAIT_COUNT: &str = "apiserver_flowcontrol_request_wait_duration_seconds_count";
const REJECTED: &str = "apiserver_flowcontrol_rejected_requests_total";
const IN_QUEUE: &str = "apiserver_flowcontrol_current_inqueue_requests";

const WANTED_HERE: [&str; 10] = [
    STARTED,
    CPU_SECONDS,
    RESIDENT_BYTES,
    CPU_LIMIT,
    INFLIGHT,
    REQUESTS,
    WAIT_SUM,
    WAIT_COUNT,
    REJECTED,
    IN_QUEUE,
];

/// With what [`Totals`] are made of.
const WANTED: [&str; WANTED_HERE.len() + totals::WANTED.len()] = {
    let mut wanted = [""; WANTED_HERE.len() + totals::WANTED.len()];
    let (here, there) = wanted.split_at_mut(WANTED_HERE.len());
    here.copy_from_slice(&WANTED_HERE);
    there.copy_from_slice(&totals::WANTED);
    wanted
};

/// The name of the level that the rest is added up as; no level can be called so.
const OTHER_LEVELS: &str = "(other levels)";

/// The level that never queues and never rejects.
const EXEMPT: &str = "exempt";

/// Lines that are no samples, as a fraction of all lines, from which a page is not trusted.
const MAX_ODD_LINES: f64 = 0.01;

/// What one page said. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq)]
pub struct Scrape {
    /// When the process started, by its own clock: milliseconds since the Unix epoch.
    pub started: u64,
    /// CPU time used, in seconds.
    pub cpu_seconds: f64,
    /// Cores that the process may use (`GOMAXPROCS`), if it says so.
    pub cpu_limit_cores: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: f64,
    /// Requests executing, mutating and read-only.
    pub inflight: f64,
    /// Requests answered with 429, but for evictions: those are refused by disruption budgets, not
    /// by the server.
    pub refused: f64,
    /// Priority levels by name, without `exempt`.
    pub levels: BTreeMap<String, Level>,
    /// What else was counted, in all and of each FlowSchema.
    pub totals: Totals,
}

/// One priority level, all its flow schemas added up.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Level {
    /// Time that requests which left a queue had waited, in seconds.
    pub wait_seconds: f64,
    /// Requests that left a queue, to run or not.
    pub waited: f64,
    /// Requests refused, for whichever reason.
    pub rejected: f64,
    /// Requests waiting now.
    pub in_queue: f64,
}

/// Why there is no [`Scrape`].
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ScrapeError {
    /// No page came.
    #[error("the metrics page could not be read: {why}")]
    Failed {
        /// Why, as the client tells it.
        why: String,
    },
    /// Weir may not read it: this tells nothing about the server, and somebody has to act.
    #[error("the metrics page may not be read: {why}")]
    Denied {
        /// What is missing.
        why: String,
    },
    /// A page came, but cannot be trusted.
    #[error("the metrics page is garbled: {why}")]
    Garbled {
        /// What is wrong with it.
        why: String,
    },
}

/// Takes a page in chunks and keeps only what a [`Scrape`] is made of.
#[derive(Debug)]
pub struct Collector {
    parser: Parser<'static>,
    draft: Draft,
}

impl Default for Collector {
    fn default() -> Self {
        Self {
            parser: Parser::new(&WANTED),
            draft: Draft::default(),
        }
    }
}

impl Collector {
    /// Takes the next bytes of the page.
    pub fn push(&mut self, chunk: &[u8]) {
        self.parser.push(chunk, |sample| self.draft.take(sample));
    }

    /// The page has ended.
    ///
    /// # Errors
    ///
    /// [`ScrapeError::Garbled`] if it was cut, misses what every kube-apiserver tells, or holds too
    /// much that is not understood.
    pub fn finish(self) -> Result<Scrape, ScrapeError> {
        let page = self.parser.finish();
        check(&page)
            .and_then(|()| self.draft.finish())
            .map_err(|why| ScrapeError::Garbled { why })
    }
}

/// Whether the page as a whole can be trusted.
fn check(page: &Page) -> Result<(), String> {
    if page.end == End::Cut {
        return Err(format!(
            "it was cut in line {}, after {} bytes",
            page.lines + 1,
            page.bytes
        ));
    }
    if page.bytes == 0 {
        return Err("it is empty".to_owned());
    }
    let odd = &page.oddities;
    // A wanted line that was not understood may be the one that tells of the harm.
    let is_odd = odd.wanted() > 0 || odd.total() as f64 > MAX_ODD_LINES * page.lines as f64;
    if is_odd {
        Err(format!("of {} lines, {odd}", page.lines))
    } else {
        Ok(())
    }
}

/// A scrape in the making.
#[derive(Debug, Default)]
struct Draft {
    started: Option<f64>,
    cpu_seconds: Option<f64>,
    cpu_limit_cores: Option<f64>,
    resident_bytes: Option<f64>,
    inflight: Option<f64>,
    refused: f64,
    levels: BTreeMap<String, Level>,
    totals: totals::Draft,
    /// The first sample that cannot be true.
    impossible: Option<String>,
}

impl Draft {
    fn take(&mut self, sample: Sample<'_>) {
        let value = sample.value;
        let may_be_negative = totals::Draft::may_be_unknown(sample.name);
        if !value.is_finite() || value < 0.0 && !may_be_negative {
            return self.impossible(format!("{} is {value}", sample.name));
        }
        match sample.name {
            STARTED => self.started = Some(value),
            CPU_SECONDS => self.cpu_seconds = Some(value),
            RESIDENT_BYTES => self.resident_bytes = Some(value),
            CPU_LIMIT => self.cpu_limit_cores = Some(value),
            INFLIGHT => *self.inflight.get_or_insert(0.0) += value,
            REQUESTS if is_refused(sample) => self.refused += value,
            REQUESTS => {}
            IN_QUEUE => self.take_level(sample),
            WAIT_SUM | WAIT_COUNT | REJECTED => {
                self.take_level(sample);
                self.take_total(sample);
            }
            _ => self.take_total(sample),
        }
    }

    fn take_level(&mut self, sample: Sample<'_>) {
        let Some(name) = sample.labels.get("priority_level") else {
            return self.impossible(format!("{} has no label priority_level", sample.name));
        };
        if name == EXEMPT {
            return;
        }
        let is_known = self.levels.contains_key(name.as_ref());
        let name = if is_known || self.levels.len() < MAX_LEVELS {
            &name
        } else {
            OTHER_LEVELS
        };
        let level = self.levels.entry(name.to_owned()).or_default();
        match sample.name {
            WAIT_SUM => level.wait_seconds += sample.value,
            WAIT_COUNT => level.waited += sample.value,
            REJECTED => level.rejected += sample.value,
            _ => level.in_queue += sample.value,
        }
    }

    fn take_total(&mut self, sample: Sample<'_>) {
        if let Err(why) = self.totals.take(sample) {
            self.impossible(why);
        }
    }

    fn impossible(&mut self, why: String) {
        self.impossible.get_or_insert(why);
    }

    fn finish(self) -> Result<Scrape, String> {
        if let Some(why) = self.impossible {
            return Err(why);
        }
        let missing = |name| move || format!("{name} is missing, which every kube-apiserver has");
        let started = self.started.ok_or_else(missing(STARTED))?;
        Ok(Scrape {
            started: whole_millis(started).ok_or_else(|| format!("{STARTED} is {started}"))?,
            cpu_seconds: self.cpu_seconds.ok_or_else(missing(CPU_SECONDS))?,
            cpu_limit_cores: self.cpu_limit_cores,
            resident_bytes: self.resident_bytes.ok_or_else(missing(RESIDENT_BYTES))?,
            inflight: self.inflight.ok_or_else(missing(INFLIGHT))?,
            refused: self.refused,
            levels: self.levels,
            totals: self.totals.finish(),
        })
    }
}

fn is_refused(sample: Sample<'_>) -> bool {
    let is = |name, value| sample.labels.get(name).is_some_and(|label| label == value);
    is("code", "429") && !is("subresource", "eviction")
}

/// Seconds since the Unix epoch, rounded to milliseconds; the page tells hundredths.
fn whole_millis(seconds: f64) -> Option<u64> {
    let since_epoch = Duration::try_from_secs_f64(seconds).ok()?;
    u64::try_from((since_epoch.as_micros() + 500) / 1000).ok()
}

#[cfg(test)]
mod tests;
