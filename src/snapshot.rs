//! What the loop publishes once per tick, for whoever serves it. Immutable, and never asked back.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::{Dns, Health, Reading, ServerEvidence, ServerId},
    plan::Report,
    policy::Mode,
    time::{Moment, Span},
};

use crate::client::Spent;

/// Everything that one tick knew and decided.
#[derive(Debug, Clone)]
pub struct Snapshot {
    /// When the tick was.
    pub at: Moment,
    /// Ticks since the process started.
    pub ticks: u64,
    /// How far Weir may go in this cluster.
    pub ceiling: Mode,
    /// Who holds the lease, as last seen.
    pub leader: Option<String>,
    /// Whether this process holds it.
    pub leads: bool,
    /// Whether everything that is watched has been read once.
    pub ready: bool,
    /// What of it cannot be read now, and why.
    pub waiting: Vec<String>,
    /// Whether the valve gates: the Role of the approvals is in order. `None` while they are not known.
    pub valve_in_order: Option<bool>,
    /// Whether pods of unapproved revisions come back gated, as the leader last found; `None` where
    /// it is not known, or not asked for.
    pub gate_in_force: Option<bool>,
    /// Approved revisions.
    pub approved: u32,
    /// What is watched that everything depends on, by a name for people.
    pub sources: BTreeMap<&'static str, Reading<()>>,
    /// Each API server.
    pub servers: BTreeMap<ServerId, ServerEvidence>,
    /// How many API servers there should be.
    pub expected_servers: Reading<u32>,
    /// How fresh DNS is.
    pub dns: Dns,
    /// What policies depend on, by the policy's name and its own; empty where nobody asks.
    pub dependencies: BTreeMap<(String, String), Reading<Health>>,
    /// How long ago each watch last said something, by its resource.
    pub watches: BTreeMap<String, Span>,
    /// Workloads that somebody asked Weir to look at.
    pub enrolled: u32,
    /// Each rollout: namespace and workload.
    pub rollouts: BTreeMap<(String, String), RolloutView>,
    /// Gated pods that Weir does not let through: namespace and workload (empty if it is gone).
    pub stranded: BTreeMap<(String, String), u32>,
    /// That for which Weir cannot write what it has to, as its events are about it: namespace, kind and
    /// name.
    pub unwritten: BTreeSet<(String, &'static str, String)>,
    /// Accounts of enrolled workloads, by what counts their requests: `own` or `shared`; workloads
    /// whose requests nothing counts, yet or at all: `awaited` or `none`.
    pub metered: BTreeMap<&'static str, u32>,
    /// What Weir itself has cost.
    pub spent: Spent,
    /// What was written, failed and dropped.
    pub done: Done,
}

/// One rollout's last judgement.
#[derive(Debug, Clone)]
pub struct RolloutView {
    /// The revision's hash.
    pub revision: String,
    /// How far Weir goes with it; none if it is no longer enrolled.
    pub mode: Option<Mode>,
    /// The decision that it is.
    pub decision: String,
    /// What it says.
    pub report: Report,
}

/// Running counts since the process started.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Done {
    /// Judgements made.
    pub judgements: u64,
    /// Pods let through.
    pub released: u64,
    /// Releases that failed or were not answered.
    pub release_failures: u64,
    /// Statuses and objects written.
    pub records: u64,
    /// Of those, attempts that failed.
    pub record_failures: u64,
    /// Events sent.
    pub events: u64,
    /// Events dropped.
    pub events_dropped: u64,
}
