//! Turns two readings into one: DaemonSets and revisions into DaemonSets that know their revisions.

use std::{collections::BTreeMap, sync::Arc};

use weir_core::evidence::Reading;

use super::{
    cluster::{DaemonSetView, RevisionView, Rows, WorkloadKey},
    watches::revision::OwnedRevision,
};

type DaemonSetRows = Arc<BTreeMap<WorkloadKey, DaemonSetView>>;
type RevisionRows = Arc<BTreeMap<WorkloadKey, OwnedRevision>>;

/// Joins DaemonSets with their revisions, anew only if either has changed.
#[derive(Default)]
pub(super) struct Join {
    last: Option<(DaemonSetRows, RevisionRows, DaemonSetRows)>,
}

impl Join {
    /// DaemonSets with their revisions: as fresh as the less fresh of the two.
    pub(super) fn join(
        &mut self,
        daemon_sets: Rows<WorkloadKey, DaemonSetView>,
        revisions: Rows<WorkloadKey, OwnedRevision>,
    ) -> Rows<WorkloadKey, DaemonSetView> {
        map(both(daemon_sets, revisions), |(daemon_sets, revisions)| {
            self.joined(daemon_sets, revisions)
        })
    }

    fn joined(&mut self, daemon_sets: DaemonSetRows, revisions: RevisionRows) -> DaemonSetRows {
        if let Some((sets, revs, joined)) = &self.last
            && Arc::ptr_eq(sets, &daemon_sets)
            && Arc::ptr_eq(revs, &revisions)
        {
            return Arc::clone(joined);
        }
        let joined = Arc::new(with_revisions(&daemon_sets, &revisions));
        self.last = Some((daemon_sets, revisions, Arc::clone(&joined)));
        joined
    }
}

fn with_revisions(
    daemon_sets: &BTreeMap<WorkloadKey, DaemonSetView>,
    revisions: &BTreeMap<WorkloadKey, OwnedRevision>,
) -> BTreeMap<WorkloadKey, DaemonSetView> {
    let mut by_owner: BTreeMap<&str, Vec<RevisionView>> = BTreeMap::new();
    for revision in revisions.values() {
        by_owner
            .entry(&revision.owner)
            .or_default()
            .push(revision.view.clone());
    }
    let with_own = |(key, view): (&WorkloadKey, &DaemonSetView)| {
        let mut view = view.clone();
        view.revisions = by_owner.remove(view.uid.as_str()).unwrap_or_default();
        view.revisions.sort_by_key(|revision| revision.number);
        // Until the controller has looked, the highest number is still the revision before.
        let looked_at = view.observed_generation == view.generation;
        let current = view.revisions.last().filter(|_| looked_at);
        view.revision = current.map(|revision| revision.hash.clone());
        (key.clone(), view)
    };
    daemon_sets.iter().map(with_own).collect()
}

/// Both values, with the worse of the two states.
pub(super) fn both<A, B>(a: Reading<A>, b: Reading<B>) -> Reading<(A, B)> {
    use Reading::{Absent, Fresh, Garbled, Masked, Stale};
    match (a, b) {
        (Absent { why }, _) | (_, Absent { why }) => Absent { why },
        (Garbled { why }, _) | (_, Garbled { why }) => Garbled { why },
        (Masked { value: a, by }, Fresh(b) | Stale { value: b, .. } | Masked { value: b, .. })
        | (Fresh(a) | Stale { value: a, .. }, Masked { value: b, by }) => {
            Masked { value: (a, b), by }
        }
        (Stale { value: a, age }, Fresh(b)) | (Fresh(a), Stale { value: b, age }) => {
            Stale { value: (a, b), age }
        }
        (
            Stale { value: a, age: one },
            Stale {
                value: b,
                age: other,
            },
        ) => Stale {
            value: (a, b),
            age: one.max(other),
        },
        (Fresh(a), Fresh(b)) => Fresh((a, b)),
    }
}

/// Another form of the value, in the same state.
pub(super) fn map<T, U>(reading: Reading<T>, into: impl FnOnce(T) -> U) -> Reading<U> {
    match reading {
        Reading::Fresh(value) => Reading::Fresh(into(value)),
        Reading::Masked { value, by } => Reading::Masked {
            value: into(value),
            by,
        },
        Reading::Stale { value, age } => Reading::Stale {
            value: into(value),
            age,
        },
        Reading::Absent { why } => Reading::Absent { why },
        Reading::Garbled { why } => Reading::Garbled { why },
    }
}

#[cfg(test)]
mod tests;
