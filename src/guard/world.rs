//! What one tick begins with: everything observed, at one moment. Nothing in it is ever changed.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::{Reading, ServerEvidence, ServerId},
    policy::Mode,
    time::Moment,
};

use super::inspection::Found;
use crate::observe::Cluster;

/// Everything observed at one moment, and what this process is.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// The moment.
    pub(super) now: Moment,
    /// What is watched.
    pub(super) cluster: Cluster,
    /// What is measured of each API server.
    pub(super) servers: BTreeMap<ServerId, ServerEvidence>,
    /// How many API servers there should be.
    pub(super) expected_servers: Reading<u32>,
    /// The addresses that the API servers publish.
    pub(super) addresses: Reading<BTreeSet<String>>,
    /// What was last found of the gate; `None` before it was asked for.
    pub(super) gate: Option<Found>,
    /// How far Weir may go in this cluster.
    pub(super) ceiling: Mode,
    /// Whether this process holds the lease. If not, it reads and tells, and writes nothing.
    pub(super) leads: bool,
}

impl World {
    /// What cannot be read now, and why.
    pub(super) fn unread(&self) -> Vec<String> {
        let cluster = &self.cluster;
        let sources = [
            ("daemonsets", gap(&cluster.daemon_sets)),
            ("namespaces", gap(&cluster.namespaces)),
            ("rolloutpolicies", gap(&cluster.policies)),
            ("guardedrollouts", gap(&cluster.rollouts)),
            ("valves", gap(&cluster.valve)),
            ("controlplanes", gap(&cluster.control_plane)),
            ("endpointslices", gap(&self.addresses)),
        ];
        let unread = sources
            .into_iter()
            .filter_map(|(name, gap)| Some(format!("{name}: {}", gap?)));
        unread.collect()
    }
}

fn gap<T>(reading: &Reading<T>) -> Option<&str> {
    match reading {
        Reading::Fresh(_) | Reading::Stale { .. } => None,
        Reading::Absent { why } | Reading::Garbled { why } => Some(why),
    }
}
