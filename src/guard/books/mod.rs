//! What was judged → all that should be on record.
//!
//! Pure: what is written of it, and when, is the recorder's business.
//!
//! - [`conditions`]: what is so, as KEP-1623 and kstatus read it.
//! - [`rollout`]: a GuardedRollout.
//! - [`policy`]: a RolloutPolicy's status; [`mod@dependencies`]: on what it depends.
//! - [`mod@control_plane`]: the one ControlPlane.
//! - [`mod@incident`]: an incident of a rollout.

mod burn;
mod conditions;
mod control_plane;
mod dependencies;
mod dns;
mod forecast;
mod incident;
mod policy;
mod rollout;
#[cfg(test)]
mod tests;

use std::{
    cmp::Reverse,
    collections::{BTreeMap, BTreeSet},
};

use kube::{
    Resource, ResourceExt,
    api::{ApiResource, DynamicObject},
};
use serde::Serialize;
use serde_json::Value;
use weir_core::{
    policy::{Mode, Policy, Servers},
    time::{Moment, Span},
};

use self::control_plane::Known;
pub(super) use self::{
    control_plane::{ADOPTION_ADVICE, Count, GATE_ADVICE, Survey},
    dns::names as dns_names,
    incident::recalled as recalled_incident,
    rollout::state,
};
use super::{
    adoption::Obstacles,
    dependencies::Unheard,
    held::Stranded,
    rollout::{Mandate, Rollout},
    roster::{Enrolled, RolloutId, is_refused, record},
    world::World,
};
use crate::{
    act::record::{Books, Entry, Want},
    api::{ControlPlane, ControlPlaneSpec, GuardedRollout, RolloutPolicy, SINGLETON, State},
    observe::WorkloadKey,
    policy::{Choice, Policies},
    valve::Enrolment,
};

/// Records kept of each workload, besides the current revision's.
const KEPT: usize = 3;
/// How long the API server's garbage collector has to remove a record whose workload is gone.
const ORPHANED_FOR: Span = Span::from_secs(120);

/// All that the books are made of.
pub(super) struct Ledger<'a> {
    pub(super) world: &'a World,
    pub(super) enrolled: &'a [Enrolled<'a>],
    pub(super) rollouts: &'a BTreeMap<RolloutId, Rollout>,
    pub(super) policies: &'a Policies,
    /// What each enrolled workload is judged by, by `namespace/name`.
    pub(super) choices: &'a BTreeMap<String, Choice>,
    pub(super) survey: &'a Survey,
    /// Since when questions are wanted of which nothing is known.
    pub(super) unheard: &'a Unheard,
    /// What keeps the valve from being in order.
    pub(super) gating: Obstacles,
    /// Gated pods that Weir does not let through.
    pub(super) stranded: &'a [Stranded],
}

/// Says what should be on record. Where it is not known what is, nothing is said.
pub(super) fn keep(ledger: &Ledger<'_>) -> Books {
    let mut books = Books::new();
    if let Some(records) = ledger.world.cluster.rollouts.fresh() {
        books.extend(rollouts(ledger));
        books.extend(stranded(ledger));
        books.extend(refused(ledger));
        books.extend(no_longer_refused(ledger, records));
        books.extend(past(ledger, records));
    }
    books.extend(policies(ledger));
    books.extend(control_plane(ledger));
    books
}

fn rollouts(ledger: &Ledger<'_>) -> Vec<Entry> {
    let world = ledger.world;
    let told = ledger
        .rollouts
        .iter()
        .filter(|(_, rollout)| match rollout.mandate {
            // Where Weir only reads, it writes nothing about what it reads.
            Mandate::Guard(Mode::Observe) | Mandate::Remainder => false,
            Mandate::Guard(Mode::Shadow | Mode::Enforce) | Mandate::LetGo => true,
        });
    told.filter_map(|(id, rollout)| {
        let judged = rollout.last.as_ref()?;
        match record(id, world) {
            Some(record) => {
                let status = rollout::status(rollout, judged, record, world.now);
                Some(status_of(record, &status, record.status.as_ref()))
            }
            None if rollout.mandate == Mandate::LetGo => None,
            None => create(id, world),
        }
    })
    .collect()
}

/// Workloads that are not guarded until somebody acknowledges what that means.
fn refused(ledger: &Ledger<'_>) -> Vec<Entry> {
    let world = ledger.world;
    let refused = ledger
        .enrolled
        .iter()
        .filter_map(|one| match &one.enrolment {
            Enrolment::Refused { why, acknowledge } => Some((one.current()?, why, acknowledge)),
            Enrolment::Not { .. } | Enrolment::Unclear { .. } | Enrolment::Mode(_) => None,
        });
    // What of it is still held is let go first.
    let refused = refused.filter(|(id, ..)| !ledger.rollouts.contains_key(id));
    refused
        .filter_map(|(id, why, acknowledge)| match record(&id, world) {
            Some(record) => {
                let status = rollout::refused(why, acknowledge, record, world.now);
                Some(status_of(record, &status, record.status.as_ref()))
            }
            None => create(&id, world),
        })
        .collect()
}

/// Records that say of a workload that it is refused, although it is so no longer: nothing else
/// would ever be said in them.
fn no_longer_refused(
    ledger: &Ledger<'_>,
    records: &BTreeMap<WorkloadKey, GuardedRollout>,
) -> Vec<Entry> {
    let cluster = &ledger.world.cluster;
    let (Some(daemon_sets), Some(_)) = (cluster.daemon_sets.fresh(), cluster.namespaces.fresh())
    else {
        return Vec::new();
    };
    let current: BTreeMap<&str, &str> = daemon_sets
        .values()
        .filter_map(|view| Some((view.uid.as_str(), view.revision.as_deref()?)))
        .collect();
    let refused: BTreeSet<&str> = ledger
        .enrolled
        .iter()
        .filter(|one| matches!(one.enrolment, Enrolment::Refused { .. }))
        .map(|one| one.view.uid.as_str())
        .collect();
    let judged = |record: &GuardedRollout| {
        let spec = &record.spec;
        let mut rollouts = ledger.rollouts.keys();
        rollouts.any(|id| id.uid == spec.workload.uid && id.hash == spec.revision)
    };
    let outlived = |record: &&GuardedRollout| {
        let uid = record.spec.workload.uid.as_str();
        let is_current = current.get(uid) == Some(&record.spec.revision.as_str());
        is_refused(record) && is_current && !refused.contains(uid) && !judged(record)
    };
    records.values().filter(outlived).map(removal).collect()
}

/// Rollouts whose gated pods Weir may not let through: its last words, if it leads at all.
fn stranded(ledger: &Ledger<'_>) -> Vec<Entry> {
    let world = ledger.world;
    if world.ceiling > Mode::Observe {
        return Vec::new();
    }
    let status = |stranded: &Stranded| {
        let id = stranded.id.as_ref()?;
        let view = world.cluster.daemon_sets.fresh()?.get(&id.workload)?;
        let record = record(id, world).filter(|_| view.revision.as_ref() == Some(&id.hash))?;
        let status = rollout::stranded(&stranded.note, record, world.now);
        Some(status_of(record, &status, record.status.as_ref()))
    };
    ledger.stranded.iter().filter_map(status).collect()
}

/// The record is created, unless another workload's record still has its name.
fn create(id: &RolloutId, world: &World) -> Option<Entry> {
    let key = WorkloadKey {
        namespace: id.workload.namespace.clone(),
        name: id.record_name(),
    };
    let taken = world.cluster.rollouts.last()?.contains_key(&key);
    (!taken).then(|| creation(&rollout::object(id)))
}

/// Records of revisions that are no longer current: said to be so, and the oldest removed.
fn past(ledger: &Ledger<'_>, records: &BTreeMap<WorkloadKey, GuardedRollout>) -> Vec<Entry> {
    let Some(daemon_sets) = ledger.world.cluster.daemon_sets.fresh() else {
        return Vec::new();
    };
    let current: BTreeMap<&str, Option<&str>> = daemon_sets
        .values()
        .map(|view| (view.uid.as_str(), view.revision.as_deref()))
        .collect();
    let mut kept: BTreeMap<&str, usize> = BTreeMap::new();
    let mut newest_first: Vec<&GuardedRollout> = records.values().collect();
    newest_first.sort_by_key(|record| (Reverse(created(record)), record.name_any()));
    let past = newest_first.into_iter().filter_map(|record| {
        let spec = &record.spec;
        let uid = spec.workload.uid.as_str();
        let Some(revision) = current.get(uid) else {
            return is_orphan(record, ledger.world.now).then(|| removal(record));
        };
        let revision = revision.filter(|revision| *revision != spec.revision)?;
        let of_record = |id: &RolloutId| id.uid == uid && id.hash == spec.revision;
        if ledger.rollouts.keys().any(of_record) {
            // What is still held of it is let go.
            return None;
        }
        let kept = kept.entry(uid).or_default();
        *kept += 1;
        if *kept > KEPT {
            return Some(removal(record));
        }
        superseded(record, revision, ledger.world.now)
    });
    past.collect()
}

fn superseded(record: &GuardedRollout, by: &str, now: Moment) -> Option<Entry> {
    match record.status.as_ref().and_then(|status| status.state) {
        Some(State::Complete | State::Superseded) => None,
        Some(
            State::Pending
            | State::Progressing
            | State::Soaking
            | State::Held
            | State::Paused
            | State::Paced
            | State::LetGo
            | State::Refused,
        )
        | None => {
            let status = rollout::superseded(record, by, now);
            Some(status_of(record, &status, record.status.as_ref()))
        }
    }
}

fn is_orphan(record: &GuardedRollout, now: Moment) -> bool {
    let created = created(record).and_then(|seconds| u64::try_from(seconds).ok());
    created.is_some_and(|created| now.since(Moment::from_millis(created * 1000)) > ORPHANED_FOR)
}

/// When it was created, in seconds since the epoch.
fn created(record: &GuardedRollout) -> Option<i64> {
    let created = record.metadata.creation_timestamp.as_ref();
    created.map(|time| time.0.as_second())
}

fn policies(ledger: &Ledger<'_>) -> Vec<Entry> {
    let cluster = &ledger.world.cluster;
    let Some(records) = cluster.policies.fresh() else {
        return Vec::new();
    };
    if cluster.daemon_sets.last().is_none() || cluster.namespaces.last().is_none() {
        // Nobody knows whom they are for.
        return Vec::new();
    }
    let choices = || {
        ledger
            .choices
            .iter()
            .map(|(workload, choice)| (workload.as_str(), choice))
    };
    records
        .iter()
        .filter_map(|(name, record): (&String, &RolloutPolicy)| {
            let conditions = ledger.policies.conditions(name, choices())?;
            let world = ledger.world;
            let depends = dependencies::Depends::of(ledger.policies, name, ledger.unheard, world);
            let status = policy::status(&conditions, &depends, record, world.now);
            Some(status_of(record, &status, record.status.as_ref()))
        })
        .collect()
}

fn control_plane(ledger: &Ledger<'_>) -> Option<Entry> {
    let record = ledger.world.cluster.control_plane.fresh()?;
    let Some(record) = record else {
        return Some(creation(&ControlPlane::new(SINGLETON, ControlPlaneSpec {})));
    };
    let count = count(ledger.rollouts);
    let required = required_servers(ledger);
    let known = Known {
        required: &required,
        obstacles: &ledger.gating,
        stranded: ledger.stranded,
    };
    let status = ledger.survey.status(ledger.world, known, count, record);
    Some(status_of(record, &status, record.status.as_ref()))
}

/// How many API servers are asked for: by what enrolled workloads are judged by, or, while there are
/// none, by what they would be.
fn required_servers(ledger: &Ledger<'_>) -> Vec<Servers> {
    let required = |policy: &Policy| policy.required.servers;
    let mut all: Vec<_> = ledger
        .choices
        .values()
        .map(|choice| required(&choice.policy))
        .collect();
    if all.is_empty() {
        all.extend(ledger.policies.all().map(required));
    }
    if all.is_empty() {
        all.push(required(&Policy::careful()));
    }
    all
}

/// Counts rollouts on their way, and those of them that are held.
pub(super) fn count(rollouts: &BTreeMap<RolloutId, Rollout>) -> Count {
    let reports = rollouts
        .values()
        .filter_map(|rollout| Some((rollout, &rollout.last.as_ref()?.report)));
    let mut count = Count::default();
    for (rollout, report) in reports.filter(|(_, report)| report.in_flight()) {
        let is_held = report.state == weir_core::plan::State::Held || rollout.stuck().is_some();
        count.in_flight += 1;
        count.held += u32::from(is_held);
    }
    count
}

fn creation<K>(object: &K) -> Entry
where
    K: Resource<DynamicType = ()> + Serialize,
{
    let made: DynamicObject =
        serde_json::from_value(json(object)).expect("it has a kind and metadata, and is an object");
    entry(object, Want::Created(Box::new(made)))
}

fn status_of<K, S>(record: &K, desired: &S, seen: Option<&S>) -> Entry
where
    K: Resource<DynamicType = ()>,
    S: Serialize,
{
    let (desired, seen) = (json(desired), seen.map_or(Value::Null, json));
    entry(record, Want::Status { desired, seen })
}

fn removal(record: &GuardedRollout) -> Entry {
    let uid = record.metadata.uid.clone().unwrap_or_default();
    entry(record, Want::Gone { uid })
}

fn entry<K: Resource<DynamicType = ()>>(object: &K, want: Want) -> Entry {
    Entry {
        resource: ApiResource::erase::<K>(&()),
        namespace: object.meta().namespace.clone(),
        name: object.meta().name.clone().unwrap_or_default(),
        want,
    }
}

/// A status or object of this crate as JSON.
fn json<T: Serialize>(value: &T) -> Value {
    serde_json::to_value(value).expect("structs with text keys are always JSON")
}
