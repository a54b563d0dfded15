//! DaemonSets and labels → who is enrolled, and which revisions are rollouts.
//!
//! A revision is a rollout if its workload is enrolled, it is the current one, and
//!
//! ```text
//!  Enforce           the valve has not approved it
//!  Shadow, Observe   it was not there yet when Weir first looked, or was not everywhere yet
//! ```
//!
//! and it stays one until its record says how it ended.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::policy::Mode;

use super::world::World;
use crate::{
    api::{GuardedRollout, State},
    observe::{DaemonSetView, WorkloadKey},
    valve::{self, Enrolment, Membership},
};

/// No labels at all.
pub(super) static NONE: BTreeMap<String, String> = BTreeMap::new();

/// One revision of one workload. A workload made again has another UID.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct RolloutId {
    /// The workload.
    pub(super) workload: WorkloadKey,
    /// Its UID.
    pub(super) uid: String,
    /// The revision's hash.
    pub(super) hash: String,
}

impl RolloutId {
    /// The name of its record.
    #[must_use]
    pub(super) fn record_name(&self) -> String {
        format!("{}-{}", self.workload.name, self.hash)
    }

    /// The revision's key in the valve.
    #[must_use]
    pub(super) fn revision_key(&self) -> String {
        valve::revision_key(&self.uid, &self.hash)
    }
}

/// A workload that somebody asked Weir to look at.
#[derive(Debug, Clone)]
pub(super) struct Enrolled<'a> {
    pub(super) key: &'a WorkloadKey,
    pub(super) view: &'a DaemonSetView,
    pub(super) namespace_labels: &'a BTreeMap<String, String>,
    pub(super) enrolment: Enrolment,
    /// What is wrong with its label, if it stays as it was in spite of it.
    pub(super) doubt: Option<String>,
}

impl Enrolled<'_> {
    /// How far Weir goes with it, if it does.
    pub(super) const fn mode(&self) -> Option<Mode> {
        match self.enrolment {
            Enrolment::Mode(mode) => Some(mode),
            Enrolment::Not { .. } | Enrolment::Unclear { .. } | Enrolment::Refused { .. } => None,
        }
    }

    /// Its current revision, once the controller has looked at the current template.
    pub(super) fn current(&self) -> Option<RolloutId> {
        Some(RolloutId {
            workload: self.key.clone(),
            uid: self.view.uid.clone(),
            hash: self.view.revision.clone()?,
        })
    }
}

/// All workloads, by what their labels ask for now, also where that cannot be. `None` while
/// DaemonSets or Namespaces are not known.
pub(super) fn members(world: &World) -> Option<Vec<Enrolled<'_>>> {
    let daemon_sets = world.cluster.daemon_sets.last()?;
    let namespaces = world.cluster.namespaces.last()?;
    let living = daemon_sets.iter().filter(|(_, view)| !view.deleting);
    let members = living.map(|(key, view)| {
        let labels = namespaces.get(&key.namespace);
        let critical = valve::node_critical(&view.template_facts);
        let membership = |namespace_labels| Membership {
            namespace: &key.namespace,
            namespace_labels,
            template_labels: &view.template_labels,
            node_critical: critical.as_deref(),
        };
        Enrolled {
            key,
            view,
            namespace_labels: labels.unwrap_or(&NONE),
            // Nobody asks for anything in a namespace that is not there.
            enrolment: labels.map_or(Enrolment::Not { why: None }, |labels| {
                valve::enrolment(&membership(labels), world.ceiling)
            }),
            doubt: None,
        }
    });
    Some(members.collect())
}

/// What is remembered of workloads that are not behind the valve: the revision that was current
/// while nobody asked for it to be looked at, or that has ended. It is no rollout.
#[derive(Debug, Default)]
pub(super) struct Settled {
    by_uid: BTreeMap<String, String>,
    looked: bool,
}

impl Settled {
    /// Takes in one look at all DaemonSets.
    pub(super) fn look(&mut self, world: &World, enrolled: &[Enrolled<'_>]) {
        let Some(daemon_sets) = world.cluster.daemon_sets.fresh() else {
            return;
        };
        let asked = |one: &&Enrolled<'_>| match one.enrolment {
            Enrolment::Not { .. } | Enrolment::Unclear { .. } => false,
            Enrolment::Mode(_) | Enrolment::Refused { .. } => true,
        };
        let asked = enrolled.iter().filter(asked);
        let asked: BTreeSet<_> = asked.map(|one| one.view.uid.as_str()).collect();
        let uids: BTreeSet<_> = daemon_sets.values().map(|view| view.uid.as_str()).collect();
        self.by_uid.retain(|uid, _| uids.contains(uid.as_str()));
        for view in daemon_sets.values() {
            let first_look_at_all = !self.looked && view.updated >= view.desired;
            let nobody_asks = !asked.contains(view.uid.as_str());
            if let (Some(hash), true) = (&view.revision, first_look_at_all || nobody_asks) {
                self.by_uid.insert(view.uid.clone(), hash.clone());
            }
        }
        self.looked = true;
    }

    /// A rollout that is not behind the valve has ended.
    pub(super) fn ended(&mut self, id: &RolloutId) {
        self.by_uid.insert(id.uid.clone(), id.hash.clone());
    }

    fn holds(&self, id: &RolloutId) -> bool {
        self.by_uid.get(&id.uid) == Some(&id.hash)
    }
}

/// Whether the current revision of an enrolled workload is a rollout.
pub(super) fn is_rollout(id: &RolloutId, mode: Mode, world: &World, settled: &Settled) -> bool {
    let record = record(id, world);
    let open = record.is_some_and(is_open);
    match mode {
        Mode::Enforce => open || !approved(id, world),
        Mode::Shadow | Mode::Observe => {
            let unjudged = record.is_none_or(is_refused);
            open || (unjudged && !settled.holds(id))
        }
    }
}

/// Whether a record says that its workload is not guarded.
pub(super) fn is_refused(record: &GuardedRollout) -> bool {
    let status = record.status.as_ref();
    status.is_some_and(|status| status.state == Some(State::Refused))
}

/// Whether the valve has approved a revision, as far as is known.
pub(super) fn approved(id: &RolloutId, world: &World) -> bool {
    let role = world.cluster.role.last().and_then(Option::as_ref);
    role.is_some_and(|role| role.says.approved.contains_key(&id.revision_key()))
}

/// The record of a rollout. Another workload's, which once had the same name, is not its record.
pub(super) fn record<'a>(id: &RolloutId, world: &'a World) -> Option<&'a GuardedRollout> {
    let key = WorkloadKey {
        namespace: id.workload.namespace.clone(),
        name: id.record_name(),
    };
    let record = world.cluster.rollouts.last()?.get(&key)?;
    let same = record.spec.workload.uid == id.uid && record.spec.revision == id.hash;
    same.then_some(record)
}

/// Whether a record says that its rollout is under way: neither ended nor given up for another.
pub(super) fn is_begun(record: &GuardedRollout) -> bool {
    let state = record.status.as_ref().and_then(|status| status.state);
    is_open(record) && state.is_some_and(|state| state != State::Superseded)
}

/// Whether a record's rollout has not ended.
pub(super) fn is_open(record: &GuardedRollout) -> bool {
    match record.status.as_ref().and_then(|status| status.state) {
        Some(State::Complete | State::LetGo | State::Refused) => false,
        Some(
            State::Pending
            | State::Progressing
            | State::Soaking
            | State::Held
            | State::Paused
            | State::Paced
            | State::Superseded,
        )
        | None => true,
    }
}
