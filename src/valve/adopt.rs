//! What runs → what the Role should say: which revisions are approved.
//!
//! Approvals are rebuilt from what runs, at every start of Weir and after every change of
//! enrolment, so that losing the Role never gates what is already there:
//!
//! | the revision has | approved? |
//! |---|---|
//! | a rollout that is complete | yes |
//! | a rollout that is not | no: its waves go on |
//! | no rollout, pods that run, and no gated ones | yes, unless it is on its way through the valve |
//! | no rollout, pods that run, and gated ones | only if most of its pods never met the gate |
//! | no rollout and nothing that runs | no: it has yet to pass the valve |
//!
//! A revision is on its way through the valve if it is the current one, some of its pods bear the
//! valve's mark, and pods of another revision still exist. The fourth row tells two cases apart: a
//! pod that was replaced between enrolment and adoption is gated although its revision ran
//! everywhere, and then most of its pods do not bear the mark; an unfinished rollout whose record
//! was lost has pods that do.
//!
//! An approval that exists, by whose hand ever, is kept as long as its ControllerRevision exists,
//! so that a rollback is never gated. The caller must only adopt on fresh readings of everything:
//! on a stale list of revisions, approvals that are needed would be removed.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{PodRow, PodState},
    policy::Mode,
};

use super::{Approvals, revision_key};
use crate::api::bounds;

/// Places that are kept free in the list of approvals, for those that are made between two looks.
/// More than there ever are.
const ROOM: usize = 64;

/// A DaemonSet, enrolled or not.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Workload {
    /// Its UID.
    pub uid: String,
    /// `namespace/name`, for people.
    pub name: String,
    /// Whether Weir holds its rollouts (see [`super::Enrolment`]). What runs is only looked at then.
    pub enforced: bool,
    /// Its revisions, each a ControllerRevision.
    pub revisions: Vec<Revision>,
}

/// One ControllerRevision of a workload, and what runs of it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Revision {
    /// The hash that its pods are labelled with.
    pub hash: String,
    /// Its number; the highest is the workload's current revision.
    pub number: i64,
    /// Its pods.
    pub pods: Pods,
    /// Its GuardedRollout, if there is one.
    pub rollout: Option<Completion>,
}

/// How many pods of a revision there are, by what they have to do with the valve.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Pods {
    /// Held by the gate.
    pub gated: u32,
    /// Born gated, and let through since.
    pub released: u32,
    /// Never gated: older than the enrolment, of an approved revision, or slipped past.
    pub free: u32,
}

impl Pods {
    /// Counts a pod as the watches tell it. One that is being deleted is to be left out.
    pub const fn add(&mut self, row: &PodRow) {
        let kind = match (row.state, row.born_gated) {
            (PodState::Gated, _) => &mut self.gated,
            (_, true) => &mut self.released,
            (_, false) => &mut self.free,
        };
        *kind = kind.saturating_add(1);
    }

    const fn running(self) -> u32 {
        self.released.saturating_add(self.free)
    }
}

/// How far a GuardedRollout has come.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Completion {
    /// It reached full width and soaked there.
    Complete,
    /// It did not, whatever it waits for.
    Unfinished,
}

/// What the Role should say, and what is new in it.
#[derive(Debug, Clone, PartialEq)]
pub struct Adoption {
    /// What it should say.
    pub approvals: Approvals,
    /// What differs from what it said, for the log and for events.
    pub changes: Vec<Change>,
}

/// An approval that was added or removed.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Change {
    /// The revision's key.
    pub key: String,
    /// The workload's `namespace/name`, if it still exists.
    pub workload: Option<String>,
    /// Whether the revision is approved now.
    pub approved: bool,
    /// Why.
    pub why: &'static str,
}

/// Decides what the Role should say. Below [`Mode::Enforce`] it says that nothing is to
/// be gated, and is otherwise left as it is.
#[must_use]
pub fn adopt(role: Option<&Approvals>, workloads: &[Workload], ceiling: Mode) -> Adoption {
    let before = role.cloned().unwrap_or_default();
    if ceiling != Mode::Enforce {
        let approvals = Approvals {
            adopted: false,
            ..before
        };
        let changes = Vec::new();
        return Adoption { approvals, changes };
    }
    let rows = rows(workloads);
    let mut approved = before.approved.clone();
    let mut reasons = BTreeMap::new();
    approved.retain(|key, _| {
        let exists = rows.contains_key(key);
        if !exists {
            reasons.insert(key.clone(), "its revision no longer exists");
        }
        exists
    });
    for (key, row) in &rows {
        if let (false, Some(why)) = (approved.contains_key(key), row.reason()) {
            approved.insert(key.clone(), note(&row.workload.name));
            reasons.insert(key.clone(), why);
        }
    }
    for key in surplus(&approved, &rows) {
        approved.remove(&key);
        reasons.insert(key, "the list has to have room, and nothing runs of it");
    }
    let changes = reasons
        .into_iter()
        .map(|(key, why)| Change {
            workload: rows.get(&key).map(|row| row.workload.name.clone()),
            approved: approved.contains_key(&key),
            why,
            key,
        })
        .filter(|change| change.approved != before.approved.contains_key(&change.key))
        .collect();
    let approvals = Approvals {
        adopted: true,
        approved,
    };
    Adoption { approvals, changes }
}

/// The note beside an approval, for people.
#[must_use]
pub fn note(workload: &str) -> String {
    bounds::clip(&format!("{workload} by weir"), bounds::NOTE)
}

/// A revision beside what must be known of its siblings.
struct Row<'a> {
    workload: &'a Workload,
    revision: &'a Revision,
    /// How many revisions of the workload are newer: 0 for the current one.
    behind: usize,
    /// Whether pods of another revision of the workload exist.
    mixed: bool,
}

impl Row<'_> {
    /// Why the revision is to be approved, if it is.
    fn reason(&self) -> Option<&'static str> {
        if !self.workload.enforced {
            return None;
        }
        match self.revision.rollout {
            Some(Completion::Complete) => Some("its rollout is complete"),
            Some(Completion::Unfinished) => None,
            None => self.reason_in_pods(),
        }
    }

    /// Why what runs says that the revision is to be approved, without a rollout on record.
    fn reason_in_pods(&self) -> Option<&'static str> {
        let pods = self.revision.pods;
        let on_its_way = self.behind == 0 && self.mixed;
        if pods.running() == 0 {
            None
        } else if pods.free > pods.gated.saturating_add(pods.released) {
            Some("most of its pods ran before the valve held it")
        } else if pods.gated == 0 && !on_its_way {
            Some("its pods run, and none of them is held")
        } else {
            None
        }
    }

    /// Whether an approval of it must not be given up for want of room.
    const fn needed(&self) -> bool {
        self.behind == 0 || self.revision.pods.running() > 0
    }
}

fn rows(workloads: &[Workload]) -> BTreeMap<String, Row<'_>> {
    let mut rows = BTreeMap::new();
    for workload in workloads {
        let all = &workload.revisions;
        for revision in all {
            let newer = all.iter().filter(|other| other.number > revision.number);
            let mixed = all
                .iter()
                .any(|other| other.hash != revision.hash && other.pods != Pods::default());
            let row = Row {
                workload,
                revision,
                behind: newer.count(),
                mixed,
            };
            rows.insert(revision_key(&workload.uid, &revision.hash), row);
        }
    }
    rows
}

/// The approvals to give up so that the list has room for others: the longest superseded first, and
/// none that is current or runs, even if the list is then longer than its bound.
fn surplus(approved: &BTreeMap<String, String>, rows: &BTreeMap<String, Row<'_>>) -> Vec<String> {
    let excess = approved.len().saturating_sub(bounds::APPROVED - ROOM);
    if excess == 0 {
        return Vec::new();
    }
    let mut dispensable: Vec<_> = approved
        .keys()
        .filter_map(|key| Some((key, rows.get(key)?)))
        .filter(|(_, row)| !row.needed())
        .collect();
    dispensable.sort_by_key(|(key, row)| (std::cmp::Reverse(row.behind), *key));
    dispensable
        .into_iter()
        .take(excess)
        .map(|(key, _)| key.clone())
        .collect()
}

#[cfg(test)]
mod tests;
