//! What one tick begins with: everything observed, at one moment. Nothing in it is ever changed.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::{Reading, ServerEvidence, ServerId},
    policy::Mode,
    time::Moment,
};

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
    /// How far Weir may go in this cluster.
    pub(super) ceiling: Mode,
    /// Whether this process holds the lease. If not, it reads and tells, and writes nothing.
    pub(super) leads: bool,
}
