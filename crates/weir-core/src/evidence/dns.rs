//! What is known of how fresh DNS is.
//!
//! DNS caches go on answering for a control plane that is gone. So long as they do, nothing that depends on names
//! shows that anything is wrong, and time proves nothing.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::time::{Moment, Span};

/// DNS, as far as it can be measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Dns {
    /// Weir was not told to measure it: nothing is said of it.
    Unasked,
    /// It cannot be: nothing is missed, and nothing is held for it.
    NotMeasured {
        /// Why, for a person to act on.
        why: String,
    },
    /// Nobody has looked for long enough to know.
    Awaited {
        /// What is waited for.
        why: String,
    },
    /// It can.
    Measured(DnsEvidence),
}

/// How fresh DNS is, layer by layer.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct DnsEvidence {
    /// What there is to be fresh about.
    pub source: Source,
    /// Each server by its name for people.
    pub layers: BTreeMap<String, LayerEvidence>,
    /// How far the API server's clock is ahead of Weir's at the least, in milliseconds; behind where it is negative.
    /// Nothing goes by it.
    pub skew_ms: i64,
    /// What caches count of themselves, where they are reached.
    pub caches: Caches,
}

/// What DNS caches count of themselves.
#[derive(Debug, Clone, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Caches {
    /// Requests of a thousand that a DNS server answers from its cache, by the server's name.
    pub hits_per_mille: BTreeMap<String, u32>,
    /// Nodes whose own cache was heard.
    pub nodes: u32,
    /// Those of them, by their addresses, whose cache served answers beyond their end a moment ago.
    pub stale_nodes: BTreeSet<String>,
}

impl Caches {
    /// How many times the load on what a server asks would be without its cache: 1 where that answers nothing.
    #[must_use]
    pub fn leverage(&self, server: &str) -> Option<f64> {
        let hits = self.hits_per_mille.get(server)?;
        // To a thousandth no more can be told.
        let through = 1000_u32.saturating_sub(*hits).max(1);
        Some(1000.0 / f64::from(through))
    }
}

/// Whether there is anything that DNS servers could be late for.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Source {
    /// Nobody has looked for long enough to know.
    Unknown,
    /// The API takes beats.
    Beating,
    /// The API answers, and has no beat of late: whoever writes them has stalled.
    Stalled {
        /// Since when there was none, as far as Weir saw.
        since: Moment,
        /// Why the last one was not taken, if somebody said so.
        why: Option<String>,
    },
    /// The API does not answer.
    Silent {
        /// Since when.
        since: Moment,
        /// What is met instead.
        why: String,
    },
}

/// What is known of one DNS server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct LayerEvidence {
    /// How it is asked.
    pub role: Role,
    /// What it shows. Masked where what it shows is older than it should be.
    pub reading: Reading<Sight>,
    /// For how long it can go on hiding that; `None` while nothing is hidden.
    pub horizon: Option<Horizon>,
    /// Whether it can be measured at all.
    pub measured: Measured,
}

/// Whether a DNS server can be measured.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Measured {
    /// It has shown the beacon, or when it last took in a change.
    Yes,
    /// It has not been asked for long enough to know.
    NotYet,
    /// It never showed either. It is not missed.
    No,
}

/// How a DNS server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Role {
    /// One CoreDNS process, at its own address.
    Replica,
    /// The address of the Service that clients are given: any of the replicas answers.
    Service,
    /// Whatever Weir's own process was given: a cache on its node, or the Service's address.
    Resolver,
    /// No DNS server: the API, by what it answers.
    ApiRead,
    /// No DNS server: the API, by Weir's own watch.
    ApiWatch,
}

impl Role {
    /// Whether clients are answered by it: what is hidden there is hidden from them.
    #[must_use]
    pub const fn is_on_clients_path(self) -> bool {
        matches!(self, Self::Service | Self::Resolver)
    }

    /// Whether it is the API itself, and no DNS server.
    #[must_use]
    pub const fn is_api(self) -> bool {
        matches!(self, Self::ApiRead | Self::ApiWatch)
    }
}

/// What a DNS server shows of the beacon, and how old that is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct Sight {
    /// The number of the epoch that the beacon's name has there; `None` where it has no such name.
    pub epoch: Option<u64>,
    /// Since that epoch began; where there is none, since the process that answered last took in a change.
    pub lag: Span,
    /// For how long that answer might be kept yet, when it was given.
    pub ttl: Span,
    /// Since the process that answered last took in a change of the API. `None` where it does not tell.
    pub serial_age: Option<Span>,
    /// Until when it could be kept, by whoever keeps it: later answers from the same cache say the same.
    pub expires: Moment,
    /// When all this was heard.
    pub heard: Moment,
}

/// What keeps a fault from being seen.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Mask {
    /// A cache answers with what it was told before.
    Cache,
    /// A DNS server's watch of the API stands still, though the API does not.
    FrozenReplica,
    /// The API is silent, and DNS servers answer with what they last heard of it.
    ControlPlane,
    /// Weir's own watch of the API tells of no change, though the API takes some.
    FrozenWatch,
}

impl Mask {
    /// The name as status and metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Cache => "Cache",
            Self::FrozenReplica => "FrozenReplica",
            Self::ControlPlane => "ControlPlane",
            Self::FrozenWatch => "FrozenWatch",
        }
    }
}

/// For how long a mask can go on hiding a fault.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Horizon {
    /// Until then: what the cache holds ends.
    Until {
        /// When its last answers are given.
        at: Moment,
        /// Whether for how long it serves stale answers is only assumed.
        is_assumed: bool,
    },
    /// Until the last of the servers that know it restarts: they never forget by themselves.
    UntilRestart {
        /// How many there are.
        warm: u32,
    },
}
