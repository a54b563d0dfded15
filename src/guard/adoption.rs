//! What runs, over time → what the Role of the approvals should say.
//!
//! ```text
//!  lease won ──▶ follow each held workload's pods ──▶ all counted ──▶ approve what runs, adopt
//!                                                                        │
//!  newly enrolled: followed, counted, approved if it runs ◀──────────────┤
//!  emptied or deleted by hand: said again from memory, at once ◀─────────┘
//! ```
//!
//! Only a workload that already was there can have pods that never met the gate through nobody's
//! fault. One that appears later, already enrolled, has to pass the valve, and pods of it that did
//! not are leaks. What is approved is decided by [`valve::adopt`]; here is only what it is told.

mod pending;

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    policy::Mode,
    time::{Moment, Span},
};

use self::pending::Pending;
use super::{
    roster::{Enrolled, is_open},
    world::World,
};
use crate::{
    act::{backoff::Backoff, failure::Failure, permit::Unwritten},
    api::{GuardedRollout, State},
    observe::{DaemonSetView, WorkloadKey},
    valve::{
        self, Approvals, ROLE, Standing,
        adopt::{Change, Completion, Revision, Workload, adopt},
        remote::Effect,
    },
};

/// How long an approval outlives its revision: watches lag, and a revision made a moment ago may be
/// approved by hand before it is seen.
const GRACE: Span = Span::from_secs(60);
/// How long a write is given to come back through the watch before it is made again.
const WATCH_LAG: Span = Span::from_secs(5);

/// What is remembered about the Role.
#[derive(Debug, Default)]
pub(super) struct Adoption {
    /// Workloads, by UID, that the valve does not hold: if they come to be held, they are adopted.
    outside: BTreeSet<String>,
    /// Workloads that the valve holds and that are yet to be adopted.
    pending: Pending,
    /// Whether all workloads were sorted into these since the lease was won.
    sorted: bool,
    /// What the Role said when last seen in order.
    remembered: Option<Approvals>,
    /// Since when approvals have been without a revision.
    orphaned: BTreeMap<String, Moment>,
    /// What was last asked to be written, and when.
    asked: Option<(Write, Moment)>,
    /// How writing it fares.
    backoff: Backoff,
    failure: Option<Failure>,
    /// It has just been written again from memory, with so many approvals.
    rebuilt: Option<usize>,
}

/// What keeps the Role from being in order.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Obstacles {
    /// Workloads whose pods cannot be counted, and why.
    pub(super) unread: Vec<String>,
    /// Why it could not be written.
    pub(super) unwritten: Option<Failure>,
}

/// What one step of adoption asks for.
#[derive(Debug, Default, PartialEq)]
pub(super) struct Step {
    /// Workloads whose pods must be counted first.
    pub(super) follow: BTreeSet<WorkloadKey>,
    /// What is to be written, if anything.
    pub(super) write: Option<Write>,
}

/// A write of the Role.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Write {
    /// How it was seen; `None` if there is no such Role.
    pub(super) current: Option<Standing>,
    /// What it should say.
    pub(super) desired: Approvals,
    /// What is new, for the log.
    pub(super) changes: Vec<Change>,
    /// It had been emptied or deleted, and is said again from memory.
    pub(super) rebuilt: bool,
}

impl Write {
    /// Whether it asks for the same again before the same was seen to change: a Role that was
    /// written, and then emptied once more, is written at once.
    fn repeats(&self, asked: &Self) -> bool {
        self.current == asked.current && self.desired == asked.desired
    }
}

impl Adoption {
    /// Whether the valve's word on this workload can be relied on: it is in order, and what ran
    /// before the workload was enrolled is approved.
    pub(super) fn vouches_for(&self, uid: &str, world: &World) -> bool {
        let Some(Some(Standing { says, .. })) = world.cluster.role.last() else {
            return false;
        };
        let lost = self
            .remembered
            .as_ref()
            .is_some_and(|before| is_lost(says, before));
        says.adopted && !lost && !self.pending.holds(uid)
    }

    /// Whether workloads are yet to be adopted, or the Role is not in order.
    pub(super) fn is_unsettled(&self, world: &World) -> bool {
        world.leads
            && world.ceiling == Mode::Enforce
            && (!self.pending.is_empty() || !self.vouches_for("", world))
    }

    /// Takes in one look at the world. `in_flight` are the revisions, by key, that this process
    /// takes for rollouts.
    pub(super) fn step(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
        in_flight: &BTreeSet<String>,
    ) -> Step {
        let Some(fresh) = Fresh::of(world) else {
            return Step::default();
        };
        if !world.leads {
            // Whoever leads next begins with a look of its own.
            *self = Self {
                remembered: self.remembered.take(),
                ..Self::default()
            };
            self.remember(fresh.says());
            return Step::default();
        }
        self.sort(&fresh, enrolled);
        let follow = self.pending.count(world, enrolled);
        let base = self.base(fresh.says());
        let in_order = fresh.says().is_some_and(|says| says.adopted);
        let counted = self.pending.all_counted();
        // Nothing is gated before all that runs is known, so that nothing that runs is gated.
        let write = if world.ceiling < Mode::Enforce || counted || in_order || base.rebuilt {
            self.write(world, &fresh, &base, in_flight)
        } else {
            None
        };
        Step { follow, write }
    }

    /// Sorts workloads by whether the valve holds them.
    fn sort(&mut self, fresh: &Fresh<'_>, enrolled: &[Enrolled<'_>]) {
        let held: BTreeSet<&str> = enrolled
            .iter()
            .filter(|one| one.mode() == Some(Mode::Enforce))
            .map(|one| one.view.uid.as_str())
            .collect();
        let all: BTreeSet<&str> = fresh
            .daemon_sets
            .values()
            .map(|view| view.uid.as_str())
            .collect();
        self.outside.retain(|uid| all.contains(uid.as_str()));
        self.pending.keep(&held);
        for uid in all {
            if !held.contains(uid) {
                self.outside.insert(uid.to_owned());
            } else if self.outside.remove(uid) || !self.sorted {
                self.pending.add(uid);
            }
        }
        self.sorted = true;
    }

    /// What keeps the Role from being in order, once that has lasted.
    pub(super) fn obstacles(&self) -> Obstacles {
        Obstacles {
            unread: self.pending.unread(),
            unwritten: self.failure.clone().filter(|_| self.backoff.is_stuck()),
        }
    }

    /// How many approvals it was written with, if it was just written from memory.
    pub(super) fn rebuilt(&mut self) -> Option<usize> {
        self.rebuilt.take()
    }

    /// What to start from: what the Role says, or what it said before it was lost.
    fn base(&mut self, says: Option<&Approvals>) -> Base {
        let nothing = Approvals::default();
        match &self.remembered {
            Some(before) if is_lost(says.unwrap_or(&nothing), before) => Base {
                says: Some(before.clone()),
                rebuilt: true,
            },
            _ => {
                self.remember(says);
                Base {
                    says: says.cloned(),
                    rebuilt: false,
                }
            }
        }
    }

    fn remember(&mut self, says: Option<&Approvals>) {
        if let Some(says) = says.filter(|says| says.adopted) {
            self.remembered = Some(says.clone());
        }
    }

    fn write(
        &mut self,
        world: &World,
        fresh: &Fresh<'_>,
        base: &Base,
        in_flight: &BTreeSet<String>,
    ) -> Option<Write> {
        let workloads = self.workloads(fresh, in_flight);
        let adoption = adopt(base.says.as_ref(), &workloads, world.ceiling);
        let (mut desired, mut changes) = (adoption.approvals, adoption.changes);
        self.spare_the_young(&mut desired, &mut changes, base.says.as_ref(), world.now);
        let current = fresh.role.cloned();
        // Below enforce nothing is written but the end of the valve.
        let untidy = current.as_ref().is_some_and(|role| !role.tidy);
        let to_be_merged = untidy && world.ceiling == Mode::Enforce;
        if desired == fresh.says().cloned().unwrap_or_default() && !to_be_merged {
            // What was counted is approved, or need not be. If nothing is approved that once was, so
            // it should be: nothing is lost.
            self.pending.forget_counted();
            self.remember(fresh.says());
            self.asked = None;
            self.backoff = Backoff::default();
            return None;
        }
        let write = Write {
            current,
            desired,
            changes,
            rebuilt: base.rebuilt,
        };
        let lags = |(asked, at): &(Write, Moment)| {
            write.repeats(asked) && world.now.since(*at) < WATCH_LAG
        };
        let waits = self.backoff.waits(world.now) || self.asked.as_ref().is_some_and(lags);
        (!waits).then_some(write)
    }

    /// A write was begun.
    pub(super) fn asked(&mut self, write: &Write, now: Moment) {
        self.asked = Some((write.clone(), now));
    }

    /// A write has ended. One that failed is made again, later each time.
    pub(super) fn concluded(
        &mut self,
        write: &Write,
        result: Result<Effect, &Unwritten>,
        now: Moment,
    ) {
        match result {
            // The watch is about to tell what they wrote.
            Ok(Effect::Overtaken) => self.asked = None,
            Ok(Effect::Unchanged | Effect::Changed | Effect::Created) => {
                self.rebuilt = write.rebuilt.then_some(write.desired.approved.len());
                self.backoff = Backoff::default();
                self.failure = None;
            }
            Err(error) => {
                self.asked = None;
                self.backoff.failed(ROLE, now);
                self.failure = Failure::of("the approvals could not be written", error);
            }
        }
    }

    /// Keeps approvals whose revision has only just gone from sight.
    fn spare_the_young(
        &mut self,
        desired: &mut Approvals,
        changes: &mut Vec<Change>,
        base: Option<&Approvals>,
        now: Moment,
    ) {
        let removed: BTreeSet<String> = changes
            .iter()
            .filter(|change| !change.approved && change.workload.is_none())
            .map(|change| change.key.clone())
            .collect();
        self.orphaned.retain(|key, _| removed.contains(key));
        for key in removed {
            let since = *self.orphaned.entry(key.clone()).or_insert(now);
            let note = base.and_then(|base| base.approved.get(&key));
            if let (Some(note), true) = (note, now.since(since) < GRACE) {
                changes.retain(|change| change.key != key);
                desired.approved.insert(key, note.clone());
            }
        }
    }

    /// All workloads as adoption wants to be told of them.
    fn workloads(&self, fresh: &Fresh<'_>, in_flight: &BTreeSet<String>) -> Vec<Workload> {
        let workload = |(key, view): (&WorkloadKey, &DaemonSetView)| {
            let counts = self.pending.counts(&view.uid);
            let revision = |hash: &str, number| Revision {
                hash: hash.to_owned(),
                number,
                pods: counts
                    .and_then(|counts| counts.get(hash))
                    .copied()
                    .unwrap_or_default(),
                rollout: fresh.progress(key, view, hash, in_flight),
            };
            let revisions = view.revisions.iter();
            Workload {
                uid: view.uid.clone(),
                name: key.to_string(),
                enforced: !self.outside.contains(&view.uid),
                revisions: revisions
                    .map(|one| revision(&one.hash, one.number))
                    .collect(),
            }
        };
        fresh.daemon_sets.iter().map(workload).collect()
    }
}

/// What adoption starts from.
struct Base {
    says: Option<Approvals>,
    rebuilt: bool,
}

/// What adoption is decided by, all of it fresh: on a stale list of revisions approvals that are
/// needed would be removed.
struct Fresh<'a> {
    daemon_sets: &'a BTreeMap<WorkloadKey, DaemonSetView>,
    rollouts: &'a BTreeMap<WorkloadKey, GuardedRollout>,
    role: Option<&'a Standing>,
}

impl<'a> Fresh<'a> {
    fn of(world: &'a World) -> Option<Self> {
        world.cluster.namespaces.fresh()?;
        Some(Self {
            daemon_sets: world.cluster.daemon_sets.fresh()?,
            rollouts: world.cluster.rollouts.fresh()?,
            role: world.cluster.role.fresh()?.as_ref(),
        })
    }

    /// What the Role says, if there is one.
    fn says(&self) -> Option<&'a Approvals> {
        self.role.map(|role| &role.says)
    }

    /// How far the rollout of a revision has come, if it ever was one.
    fn progress(
        &self,
        key: &WorkloadKey,
        view: &DaemonSetView,
        hash: &str,
        in_flight: &BTreeSet<String>,
    ) -> Option<Completion> {
        let name = WorkloadKey {
            namespace: key.namespace.clone(),
            name: format!("{}-{hash}", key.name),
        };
        let record = self.rollouts.get(&name);
        let record = record.filter(|record| record.spec.workload.uid == view.uid);
        match record.and_then(|record| record.status.as_ref()?.state) {
            Some(State::Complete) => return Some(Completion::Complete),
            // It runs, and nobody has ever seen it run calmly: enrolled again, it has that to show.
            Some(State::LetGo) => return Some(Completion::Unfinished),
            _ => {}
        }
        let open = record.is_some_and(is_open);
        (open || in_flight.contains(&valve::revision_key(&view.uid, hash)))
            .then_some(Completion::Unfinished)
    }
}

/// Whether the Role was emptied, or no longer says that it is adopted.
fn is_lost(says: &Approvals, before: &Approvals) -> bool {
    !says.adopted || (says.approved.is_empty() && !before.approved.is_empty())
}
