//! Pods that our gate holds → the revisions they are of, and what is to become of them.
//!
//! | the workload is | the revision is | its gated pods are |
//! |---|---|---|
//! | enforced | the current one, unapproved | its rollout's, which lets them through in waves |
//! | enforced | approved | let through: they were born while the approval was on its way |
//! | enforced | superseded, unapproved | told: whoever updates by hand deletes them, or releases them |
//! | no longer enforced | any | let go, once that has lasted: nobody asks for their being held |
//! | gone | | told |
//!
//! Where Weir may only read, all of them are told. No pod that carries our gate is forgotten.

use std::collections::BTreeMap;

use weir_core::{
    policy::Mode,
    time::{Moment, Span},
};

use super::{
    rollout::Mandate,
    roster::{RolloutId, approved},
    world::World,
};
use crate::{
    observe::DaemonSetView,
    valve::release::{Target, release_lines, release_pod_line},
};

/// How long pods must have been seen gated before anything but a rollout of theirs deals with them:
/// longer than watches lag behind each other, and than a controller takes to delete what it replaces.
/// So long must a label have asked for less, too, before what is held is let go: what deletes and
/// applies anew does so within seconds.
pub(super) const SETTLED_AFTER: Span = Span::from_secs(15);

/// Since when pods of which revisions have been gated.
#[derive(Debug, Default)]
pub(super) struct Watch {
    since: BTreeMap<Group, Moment>,
}

/// A namespace, and the key of a revision in the valve.
type Group = (String, String);

/// Gated pods of one revision.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    namespace: String,
    /// The revision, if its workload exists.
    pub(super) id: Option<RolloutId>,
    /// Whether it is, or may yet turn out to be, the workload's current one.
    current: bool,
    pods: usize,
    /// One of them.
    pod: String,
    settled: bool,
}

/// What is to become of gated pods.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Fate {
    /// Whatever else is known of their rollout decides.
    Theirs,
    /// They are let through under this mandate.
    Freed(Mandate),
    /// Weir does not let them through; people are told why.
    Stranded(&'static str),
}

/// Gated pods that Weir does not let through, as people are told of them.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Stranded {
    /// Their namespace.
    pub(super) namespace: String,
    /// Their revision, if its workload exists.
    pub(super) id: Option<RolloutId>,
    /// One of them.
    pub(super) pod: String,
    /// How many they are.
    pub(super) pods: usize,
    /// Why, and what to do, down to the kubectl lines.
    pub(super) note: String,
}

impl Watch {
    /// Takes in one look at all gated pods. Where they, or the workloads, are not known, none.
    pub(super) fn look(&mut self, world: &World) -> Vec<Held> {
        let (gated, daemon_sets) = (&world.cluster.gated, &world.cluster.daemon_sets);
        let (Some(gated), Some(daemon_sets)) = (gated.last(), daemon_sets.last()) else {
            return Vec::new();
        };
        let mut groups: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
        for (key, pod) in gated.iter() {
            let group = (key.namespace.as_str(), pod.revision.as_str());
            groups.entry(group).or_default().push(&key.name);
        }
        self.since
            .retain(|(namespace, key), _| groups.contains_key(&(namespace.as_str(), key.as_str())));
        let by_uid: BTreeMap<&str, _> = daemon_sets
            .iter()
            .map(|(key, view)| (view.uid.as_str(), (key, view)))
            .collect();
        let held = groups.into_iter().filter_map(|((namespace, key), pods)| {
            let group = (namespace.to_owned(), key.to_owned());
            let since = *self.since.entry(group).or_insert(world.now);
            let (uid, hash) = key.split_once('.').unwrap_or_default();
            let workload = by_uid.get(uid).copied();
            let view: Option<&DaemonSetView> = workload.map(|(_, view)| view);
            if view.is_some_and(|view| view.deleting) {
                // The garbage collector takes them with it.
                return None;
            }
            let current =
                |view: &DaemonSetView| view.revision.as_deref().is_none_or(|it| it == hash);
            Some(Held {
                namespace: namespace.to_owned(),
                id: workload.map(|(key, _)| RolloutId {
                    workload: key.clone(),
                    uid: uid.to_owned(),
                    hash: hash.to_owned(),
                }),
                current: view.is_some_and(current),
                pods: pods.len(),
                pod: (*pods.first()?).to_owned(),
                settled: world.now.since(since) >= SETTLED_AFTER,
            })
        });
        held.collect()
    }
}

impl Held {
    /// What is to become of them, by how far Weir goes with the workload. `begun` says whether their
    /// rollout has begun and not ended.
    pub(super) fn fate(&self, mode: Option<Mode>, begun: bool, world: &World) -> Fate {
        let Some(id) = &self.id else {
            return self.once_settled(Fate::Stranded(
                "the DaemonSet that made them is not there any more: delete them, or release them",
            ));
        };
        if world.ceiling == Mode::Observe {
            return self.once_settled(Fate::Stranded(
                "Weir runs with --mode observe, in which it lets nothing through: release them, or let \
                 Weir do so with --mode shadow",
            ));
        }
        match mode {
            Some(Mode::Enforce) if approved(id, world) => {
                self.once_settled(Fate::Freed(Mandate::Remainder))
            }
            Some(Mode::Enforce) if self.current => Fate::Theirs,
            Some(Mode::Enforce) => self.once_settled(Fate::Stranded(
                "the workload has another revision now, whose rollout does not let them through: delete \
                 them to get pods of that one, or release them",
            )),
            Some(Mode::Observe | Mode::Shadow) | None if begun => Fate::Freed(Mandate::LetGo),
            Some(Mode::Observe | Mode::Shadow) | None => self.once_settled(Fate::Freed(Mandate::LetGo)),
        }
    }

    fn once_settled(&self, fate: Fate) -> Fate {
        if self.settled { fate } else { Fate::Theirs }
    }

    /// What people are told, if Weir does not let them through for this reason.
    pub(super) fn stranded(&self, why: &str) -> Stranded {
        let (pods, namespace) = (self.pods, self.namespace.as_str());
        let (whose, lines) = if let Some(id) = &self.id {
            let target = Target {
                namespace,
                uid: &id.uid,
                hash: &id.hash,
            };
            let whose = format!("revision {} of {}", id.hash, id.workload);
            (whose, release_lines(&target))
        } else {
            let line = release_pod_line(namespace, &self.pod);
            (format!("a workload in {namespace}"), vec![line])
        };
        let number = if pods == 1 {
            "1 pod".to_owned()
        } else {
            format!("{pods} pods")
        };
        Stranded {
            namespace: namespace.to_owned(),
            id: self.id.clone(),
            pod: self.pod.clone(),
            pods,
            note: format!(
                "{number} of {whose} stay gated: {why}. To release them without Weir:\n{}",
                lines.join("\n")
            ),
        }
    }
}
