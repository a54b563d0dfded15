//! What is known at one moment, and how freshly it is known.
//!
//! ```text
//!  seen through a mask (a cache that answers for what is gone): Masked, whatever its age
//!  age     0 ───────────── stale_after ─────────────── absent_after ──────▶
//!          Fresh            Stale (the old value is kept, it only holds)   Absent
//! ```
//!
//! Unknown is a value: only [`Reading::Fresh`] can ever count as healthy.

mod dns;
mod outside;
mod rollout;

use std::{collections::BTreeMap, sync::Arc};

use serde::{Deserialize, Serialize};

pub use dns::{
    Caches, Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Measured, Role, Sight, Source,
};
pub use outside::{Dependency, Health, Window};
pub use rollout::{LetThrough, NodeRow, PodRow, PodState, RolloutEvidence};

use crate::{
    burn::BadTime,
    time::{Moment, Span},
    usage::Counted,
};

/// One value from one source at one moment.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Reading<T> {
    /// Read recently enough to be judged by.
    Fresh(T),
    /// A value that something hides the truth behind: it would be the same if there were a fault. It can only
    /// hold.
    Masked {
        /// The value, as it is shown.
        value: T,
        /// What hides it.
        by: Mask,
    },
    /// The last value, read too long ago; it can only hold.
    Stale {
        /// The last value read.
        value: T,
        /// How long ago it was read.
        age: Span,
    },
    /// Nothing was ever read, or nothing for so long that the last value says nothing.
    Absent {
        /// Why there is nothing, for a person to act on.
        why: String,
    },
    /// The source answered, but not in a way that could be understood whole.
    Garbled {
        /// What was not understood, for a person to act on.
        why: String,
    },
}

impl<T> Reading<T> {
    /// A value read `age` ago, by the diagram above: `why` says what became of its source when it is
    /// so old that it is absent.
    #[must_use]
    pub fn aged(
        value: T,
        age: Span,
        [stale_after, absent_after]: [Span; 2],
        why: impl FnOnce() -> String,
    ) -> Self {
        if age <= stale_after {
            Self::Fresh(value)
        } else if age <= absent_after {
            Self::Stale { value, age }
        } else {
            Self::Absent { why: why() }
        }
    }

    /// The value, if it is fresh.
    #[must_use]
    pub const fn fresh(&self) -> Option<&T> {
        match self {
            Self::Fresh(value) => Some(value),
            Self::Masked { .. }
            | Self::Stale { .. }
            | Self::Absent { .. }
            | Self::Garbled { .. } => None,
        }
    }

    /// The last value known, fresh or not: for counting and telling, never for calling it healthy.
    #[must_use]
    pub const fn last(&self) -> Option<&T> {
        match self {
            Self::Fresh(value) | Self::Masked { value, .. } | Self::Stale { value, .. } => {
                Some(value)
            }
            Self::Absent { .. } | Self::Garbled { .. } => None,
        }
    }

    /// What hides the truth behind the value, if something does.
    #[must_use]
    pub const fn mask(&self) -> Option<Mask> {
        match self {
            Self::Masked { by, .. } => Some(*by),
            Self::Fresh(_) | Self::Stale { .. } | Self::Absent { .. } | Self::Garbled { .. } => {
                None
            }
        }
    }

    /// An equally fresh reading of something that is made from the value.
    #[must_use]
    pub fn map<U>(&self, make: impl FnOnce(&T) -> U) -> Reading<U> {
        match self {
            Self::Fresh(value) => Reading::Fresh(make(value)),
            Self::Masked { value, by } => Reading::Masked {
                value: make(value),
                by: *by,
            },
            Self::Stale { value, age } => Reading::Stale {
                value: make(value),
                age: *age,
            },
            Self::Absent { why } => Reading::Absent { why: why.clone() },
            Self::Garbled { why } => Reading::Garbled { why: why.clone() },
        }
    }
}

/// An API server process as Weir tells them apart.
///
/// Behind a load balancer every scrape may meet another process at the same address; the start
/// time of the process tells them apart.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub struct ServerId {
    /// `address:port` it is reached by.
    pub address: String,
    /// `process_start_time_seconds`, in milliseconds since the Unix epoch, once known.
    pub started: Option<u64>,
}

/// What is known of one API server instance at one moment.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ServerEvidence {
    /// Latency as an ordinary client meets it, from Weir's own probes.
    pub latency: Reading<Latency>,
    /// Priority and Fairness: queues and rejections.
    pub flow: Reading<Flow>,
    /// The process: CPU, memory, requests in flight.
    pub process: Reading<Process>,
    /// All that the process has counted by its last page: what forecasts are made from.
    pub counted: Reading<Arc<Counted>>,
    /// How much of the last hours and days was bad, as far as Weir saw: of Weir's own probes, or of all
    /// requests, whichever is worse.
    pub bad: BadTime,
    /// When the process was seen to have restarted, if it did while Weir watched.
    pub restarted: Option<Moment>,
    /// It is not heard, and another answers at its address or the address has left the endpoints: it
    /// may be gone, and is missed only while fewer are heard than there should be.
    pub spare: bool,
}

/// The objective for API calls that Kubernetes itself states, in milliseconds: the 99th percentile of
/// calls for one object within a second (kubernetes/community, sig-scalability/slos/api_call_latency.md).
pub const OBJECTIVE_MS: f64 = 1000.0;

/// Round-trip times of probes through ordinary priority levels, over the short window: the last
/// five probes. A probe that was not served counts as its time-out, however soon it was refused: its
/// client is not served either.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Latency {
    /// Median of the short window, in milliseconds.
    pub p50_ms: f64,
    /// The slowest of the short window, in milliseconds.
    pub max_ms: f64,
    /// Probes in the short window.
    pub probes: u32,
    /// Of those, how many failed, timed out, or took [`OBJECTIVE_MS`] or longer.
    pub slow: u32,
    /// Of those, how many were refused with 429; not counted among the slow.
    pub refused: u32,
    /// Why the last of the failed ones failed.
    pub failure: Option<String>,
    /// The quiet median to compare with, in milliseconds, once enough quiet probes were made.
    pub baseline_p50_ms: Option<f64>,
}

/// Priority and Fairness over the interval between the last two scrapes, all levels but `exempt`.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Flow {
    /// Requests that waited in a queue, on average, over the interval: the wait of those that left
    /// a queue, in seconds per second, or those that surely stayed in it, whichever is more. (A queue
    /// that does not move counts no wait.)
    pub queued: f64,
    /// Requests waiting in queues when scraped.
    pub in_queue: f64,
    /// Requests that surely were in queues from one end of the interval to the other, since fewer left
    /// than had been there: a queue that moves hardly, or not at all.
    pub standing: f64,
    /// Each FlowSchema whose requests waited, by its name.
    pub waits: BTreeMap<String, Wait>,
    /// Requests refused per second: 429s from any level.
    pub rejected_per_second: f64,
    /// The level where most were queued, for the message.
    pub worst_level: Option<String>,
}

impl Flow {
    /// Requests at a time, on average, that wait for as long as would be harm: those of FlowSchemas whose
    /// requests wait for so many milliseconds on average, and those that surely stayed in a queue.
    pub(crate) fn late(&self, floor_ms: f64) -> f64 {
        let late = self.late_schemas(None, floor_ms);
        late.map(|(_, wait)| wait.queued)
            .sum::<f64>()
            .max(self.standing)
    }

    /// The FlowSchemas whose requests wait for so many milliseconds on average, but for the one that is
    /// `spared`.
    pub(crate) fn late_schemas(
        &self,
        spared: Option<&str>,
        floor_ms: f64,
    ) -> impl Iterator<Item = (&str, &Wait)> {
        let waits = self
            .waits
            .iter()
            .map(|(schema, wait)| (schema.as_str(), wait));
        waits.filter(move |(schema, wait)| spared != Some(*schema) && wait.mean_ms() >= floor_ms)
    }
}

/// How the requests of one FlowSchema waited that were let run in an interval. All that a level with
/// queues lets run have been in one, most of them for no time. (Those that are refused are counted apart,
/// after no time at all where the queues are full.)
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Wait {
    /// Requests that waited at a time, on average: their wait in seconds, per second.
    pub queued: f64,
    /// Requests that were let run, per second.
    pub per_second: f64,
}

impl Wait {
    /// How long one of them had waited on average, in milliseconds (Little's law: what waits at a time is
    /// the rate times the wait); zero if none left.
    #[must_use]
    pub fn mean_ms(&self) -> f64 {
        if self.per_second > 0.0 {
            1000.0 * self.queued / self.per_second
        } else {
            0.0
        }
    }
}

/// One API server process.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Process {
    /// Cores used over the interval between the last two scrapes.
    pub cpu_cores: f64,
    /// Cores the process may use (`go_sched_gomaxprocs_threads`), if it says so.
    pub cpu_limit_cores: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: f64,
    /// Growth of resident memory in bytes per second, over the memory window.
    pub resident_growth_per_second: f64,
    /// Resident memory in bytes at the start of the memory window: what growth is compared with.
    pub resident_before_bytes: f64,
    /// Requests executing when scraped, mutating and read-only.
    pub inflight: f64,
}

/// Everything known at one moment that a rollout is judged by.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Evidence {
    /// Each API server instance.
    pub servers: BTreeMap<ServerId, ServerEvidence>,
    /// How many API server instances there should be.
    pub expected_servers: Reading<u32>,
    /// Whatever else the evidence was made of (the watches on `DaemonSet`s, on `GuardedRollout`s, …),
    /// by a name for people: each must be fresh.
    pub sources: BTreeMap<String, Reading<()>>,
    /// How fresh DNS is.
    pub dns: Dns,
    /// What the rollout's policy depends on, by the name that it has there.
    pub dependencies: BTreeMap<String, Dependency>,
    /// The rollout itself.
    pub rollout: RolloutEvidence,
}
