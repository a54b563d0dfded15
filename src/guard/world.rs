//! What one tick begins with: everything observed, at one moment. Nothing in it is ever changed.

use std::collections::{BTreeMap, BTreeSet};

use kube::Resource;
use weir_core::{
    evidence::{Dns, Reading, ServerEvidence, ServerId},
    plan::Rule,
    policy::Mode,
    time::Moment,
};

use super::{inspection::Found, roster::RolloutId};
use crate::{
    act::{failure::Failure, record::Unrecorded},
    api::GuardedRollout,
    observe::{Cluster, DependencyViews},
};

/// Everything observed at one moment, and what this process is.
#[derive(Debug, Clone)]
pub(super) struct World {
    /// The moment.
    pub(super) now: Moment,
    /// What the wall clock shows, for what people say by it: windows, and nothing else.
    pub(super) wall: Moment,
    /// What is watched.
    pub(super) cluster: Cluster,
    /// What is measured of each API server.
    pub(super) servers: BTreeMap<ServerId, ServerEvidence>,
    /// How many API servers there should be.
    pub(super) expected_servers: Reading<u32>,
    /// The addresses that the API servers publish.
    pub(super) addresses: Reading<BTreeSet<String>>,
    /// How fresh DNS is.
    pub(super) dns: Dns,
    /// What is known of all that policies depend on; none where nobody asks.
    pub(super) dependencies: Option<DependencyViews>,
    /// What could not be put on record for some time.
    pub(super) unrecorded: Unrecorded,
    /// What was last found of the gate; `None` before it was asked for.
    pub(super) gate: Option<Found>,
    /// How far Weir may go in this cluster.
    pub(super) ceiling: Mode,
    /// Whether this process holds the lease. If not, it reads and tells, and writes nothing.
    pub(super) leads: bool,
}

impl World {
    /// What is watched that everything depends on, by a name for people.
    pub(super) fn sources(&self) -> [(&'static str, Reading<()>); 8] {
        let cluster = &self.cluster;
        [
            ("daemonsets", cluster.daemon_sets.map(|_| ())),
            ("namespaces", cluster.namespaces.map(|_| ())),
            ("rolloutpolicies", cluster.policies.map(|_| ())),
            ("guardedrollouts", cluster.rollouts.map(|_| ())),
            ("the role of the approvals", cluster.role.map(|_| ())),
            ("controlplanes", cluster.control_plane.map(|_| ())),
            ("gated pods", cluster.gated.map(|_| ())),
            ("endpointslices", self.addresses.map(|_| ())),
        ]
    }

    /// What of it cannot be read now, or not freshly.
    pub(super) fn unread(&self) -> Vec<Gap> {
        let sources = self.sources();
        let gaps = sources
            .iter()
            .filter_map(|(source, reading)| Gap::of(source, reading));
        gaps.collect()
    }

    /// Why a rollout's record cannot be written, if it cannot.
    pub(super) fn unrecorded(&self, id: &RolloutId) -> Option<&Failure> {
        let kind = GuardedRollout::kind(&()).into_owned();
        let namespace = Some(id.workload.namespace.clone());
        self.unrecorded.get(&(kind, namespace, id.record_name()))
    }
}

/// A source that is not fresh.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Gap {
    /// What a rollout would be held for.
    pub(super) rule: Rule,
    /// Which source.
    pub(super) source: &'static str,
    /// The source, and what is wrong with it.
    pub(super) what: String,
}

impl Gap {
    /// What is wrong with a reading, if anything.
    pub(super) fn of<T>(source: &'static str, reading: &Reading<T>) -> Option<Self> {
        let (rule, why) = match reading {
            Reading::Fresh(_) => return None,
            Reading::Masked { by, .. } => (Rule::EvidenceMasked, by.name().to_owned()),
            Reading::Stale { age, .. } => (Rule::EvidenceStale, format!("silent for {age}")),
            Reading::Absent { why } | Reading::Garbled { why } => {
                (Rule::EvidenceAbsent, why.clone())
            }
        };
        let what = format!("{source}: {why}");
        Some(Self { rule, source, what })
    }
}
