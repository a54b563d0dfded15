//! Workloads that are yet to be adopted: whose pods are counted when, and what keeps them unread.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::Reading,
    time::{Moment, Span},
};

use crate::{
    guard::{roster::Enrolled, world::World},
    observe::{PodView, WorkloadKey},
    valve::adopt::Pods,
};

/// Workloads whose pods are counted at once: a fleet's agents have one pod per node each.
const FOLLOWED_AT_ONCE: usize = 4;
/// How long a workload's pods may keep its place while others wait: a list of 5,000 takes seconds.
const TURN: Span = Span::from_secs(20);
/// How long pods may stay unread before people are told that everything waits for them.
const PATIENCE: Span = Span::from_secs(10);
/// Pods of each revision of a workload, by the revision's hash.
pub(super) type Counts = BTreeMap<String, Pods>;

/// Workloads that are yet to be adopted, by UID.
#[derive(Debug, Default)]
pub(super) struct Pending {
    by_uid: BTreeMap<String, One>,
}

/// A workload that is yet to be adopted.
#[derive(Debug, Default)]
struct One {
    /// What was counted.
    counts: Option<Counts>,
    /// Since when its pods have been followed, if they are.
    followed: Option<Moment>,
    /// How often it gave up its place to others.
    turns: u32,
    /// Why its pods could not be counted, if that has lasted.
    unread: Option<String>,
}

impl Pending {
    /// One more.
    pub(super) fn add(&mut self, uid: &str) {
        self.by_uid.entry(uid.to_owned()).or_default();
    }

    /// Whether a workload is among them.
    pub(super) fn holds(&self, uid: &str) -> bool {
        self.by_uid.contains_key(uid)
    }

    /// Whether there are none.
    pub(super) fn is_empty(&self) -> bool {
        self.by_uid.is_empty()
    }

    /// Forgets all but these.
    pub(super) fn keep(&mut self, uids: &BTreeSet<&str>) {
        self.by_uid.retain(|uid, _| uids.contains(uid.as_str()));
    }

    /// Forgets those that were counted.
    pub(super) fn forget_counted(&mut self) {
        self.by_uid.retain(|_, one| one.counts.is_none());
    }

    /// Whether all were counted.
    pub(super) fn all_counted(&self) -> bool {
        self.by_uid.values().all(|one| one.counts.is_some())
    }

    /// What was counted of one.
    pub(super) fn counts(&self, uid: &str) -> Option<&Counts> {
        self.by_uid.get(uid)?.counts.as_ref()
    }

    /// Those whose pods cannot be read, and why, once that has lasted.
    pub(super) fn unread(&self) -> Vec<String> {
        let all = self.by_uid.values();
        all.filter_map(|one| one.unread.clone()).collect()
    }

    /// Counts the pods of those pending that are followed; says whom to follow. Those whose pods
    /// cannot be read give up their place to others.
    pub(super) fn count(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
    ) -> BTreeSet<WorkloadKey> {
        let mut waiting = Vec::new();
        for one in enrolled {
            if let Some(pending) = self.by_uid.get_mut(&one.view.uid) {
                pending.count(one.key, world);
                if pending.counts.is_none() {
                    waiting.push((pending.turns, one.key, one.view.uid.as_str()));
                }
            }
        }
        waiting.sort_unstable();
        let others_wait = waiting.len() > FOLLOWED_AT_ONCE;
        let mut follow = BTreeSet::new();
        for (at, (_, key, uid)) in waiting.into_iter().enumerate() {
            let Some(pending) = self.by_uid.get_mut(uid) else {
                continue;
            };
            if at >= FOLLOWED_AT_ONCE {
                pending.followed = None;
                continue;
            }
            follow.insert(key.clone());
            let since = *pending.followed.get_or_insert(world.now);
            if others_wait && world.now.since(since) >= TURN {
                pending.turns += 1;
            }
        }
        follow
    }
}

impl One {
    /// Counts its pods, if they can be read.
    fn count(&mut self, key: &WorkloadKey, world: &World) {
        if self.counts.is_some() {
            return;
        }
        let Some(pods) = world.cluster.pods.get(key) else {
            return;
        };
        self.counts = pods.fresh().map(|pods| tally(pods.values()));
        let patient = self
            .followed
            .is_none_or(|since| world.now.since(since) < PATIENCE);
        match pods {
            Reading::Fresh(_) => self.unread = None,
            Reading::Masked { .. }
            | Reading::Stale { .. }
            | Reading::Absent { .. }
            | Reading::Garbled { .. }
                if patient => {}
            Reading::Masked { .. } | Reading::Stale { .. } => {
                self.unread = Some(format!("pods of {key}: their watch is silent"));
            }
            Reading::Absent { why } | Reading::Garbled { why } => {
                self.unread = Some(format!("pods of {key}: {why}"));
            }
        }
    }
}

/// Counts pods by their revision and by what they have to do with the valve.
fn tally<'a>(pods: impl Iterator<Item = &'a PodView>) -> Counts {
    let mut counts = Counts::new();
    for pod in pods.filter(|pod| !pod.deleting) {
        counts
            .entry(pod.revision.clone())
            .or_default()
            .add(&pod.row);
    }
    counts
}
