//! Turns a rollout's pods and nodes into who is out, who waits, and who can be judged.
//!
//! ```text
//!  pod ─┬─ gated ─┬─ node ready ────▶ Waiting: may be let through
//!       │         └─ node not ready ▶ Stranded: waits for its node
//!       └─ out ───┬─ node ready ────▶ judged: Settling → Settled, or Unplaced, or Unhealthy
//!                 └─ node not ready ▶ Unjudged: counts in width, says nothing of health
//! ```
//!
//! It counts what was last known; whether that may be acted on is the verdict's business.

use std::collections::BTreeSet;

use crate::{
    evidence::{NodeRow, PodRow, PodState, RolloutEvidence},
    policy::PodLimits,
    time::Moment,
};

/// How a pod stands, as far as waves and rules care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Case {
    /// Gated, bound for a ready node.
    Waiting,
    /// Gated, bound for a node that is not ready or not known.
    Stranded,
    /// Out, on a node that is not ready or not known.
    Unjudged,
    /// Out, and still within its time to be placed and ready.
    Settling,
    /// Out and ready.
    Settled,
    /// Out, and not placed on its node in time.
    Unplaced,
    /// Out, and failing or not ready in time.
    Unhealthy,
}

/// One pod with its node and its case.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Member<'a> {
    pub(crate) name: &'a str,
    pub(crate) row: &'a PodRow,
    pub(crate) node: Option<&'a NodeRow>,
    pub(crate) case: Case,
    /// No pod of another revision runs on its node.
    pub(crate) alone: bool,
    /// Its release was refused a short while ago.
    pub(crate) refused: bool,
}

impl Member<'_> {
    /// Held by the gate.
    pub(crate) const fn gated(&self) -> bool {
        matches!(self.case, Case::Waiting | Case::Stranded)
    }

    /// Out, and on a node that lets its health be judged.
    pub(crate) const fn judged(&self) -> bool {
        !self.gated() && !matches!(self.case, Case::Unjudged)
    }
}

/// All pods of a rollout's revision, in the order of their names.
#[derive(Debug, Clone)]
pub(crate) struct Census<'a> {
    pub(crate) members: Vec<Member<'a>>,
    /// Pods that the workload's controller wants.
    pub(crate) desired: u32,
    /// Pods of another revision that an update has yet to replace.
    pub(crate) old: u32,
    /// Full width: what is wanted, or what exists and what is yet to be replaced if that is more (a
    /// node that is not ready may not be wanted for, while its pod lives on).
    pub(crate) full: u32,
}

impl<'a> Census<'a> {
    /// Counts what was last known of `rollout`.
    pub(crate) fn take(rollout: &'a RolloutEvidence, limits: &PodLimits, now: Moment) -> Self {
        let nodes = rollout.nodes.last();
        let members: Vec<Member<'a>> = rollout
            .pods
            .last()
            .into_iter()
            .flatten()
            .map(|(name, row)| {
                let node = nodes.and_then(|nodes| nodes.get(&row.node));
                let case = case_of(row, node.is_some_and(|node| node.ready), limits, now);
                let alone = !rollout.served_by_others.contains(&row.node);
                Member {
                    name,
                    row,
                    node,
                    case,
                    alone,
                    refused: rollout.refused.contains(name),
                }
            })
            .collect();
        let old = yet_to_replace(rollout, &members);
        let full = rollout.desired.max(count(members.len()) + old);
        Self {
            members,
            desired: rollout.desired,
            old,
            full,
        }
    }

    /// The width: pods that are let through, however they got there.
    pub(crate) fn out(&self) -> u32 {
        self.number(|member| !member.gated())
    }

    /// Pods that are out and can be judged.
    pub(crate) fn judged(&self) -> u32 {
        self.number(Member::judged)
    }

    /// Pods in this case.
    pub(crate) fn in_case(&self, case: Case) -> u32 {
        self.number(|member| member.case == case)
    }

    /// Members for which `which` holds.
    pub(crate) fn number(&self, which: impl Fn(&Member<'a>) -> bool) -> u32 {
        count(self.members.iter().filter(|member| which(member)).count())
    }

    /// Nodes that could run this workload now and have no pod of it but a gated one.
    pub(crate) fn nodes_without_pod(&self) -> u32 {
        self.number(|member| {
            member.gated() && member.alone && member.node.is_none_or(|node| node.ready)
        })
    }
}

/// Ready nodes that have only another revision's pod, as far as the controller wants pods there.
fn yet_to_replace(rollout: &RolloutEvidence, members: &[Member<'_>]) -> u32 {
    let ours: BTreeSet<&str> = members
        .iter()
        .map(|member| member.row.node.as_str())
        .collect();
    let ready = |node: &str| {
        let nodes = rollout.nodes.last();
        nodes
            .and_then(|nodes| nodes.get(node))
            .is_some_and(|node| node.ready)
    };
    let others = rollout.served_by_others.iter();
    let old = others
        .filter(|node| !ours.contains(node.as_str()) && ready(node))
        .count();
    let ours_ready = ours.iter().filter(|node| ready(node)).count();
    count(old).min(rollout.desired.saturating_sub(count(ours_ready)))
}

fn case_of(row: &PodRow, node_ready: bool, limits: &PodLimits, now: Moment) -> Case {
    let age = now.since(row.since);
    match (row.state, node_ready) {
        (PodState::Gated, true) => Case::Waiting,
        (PodState::Gated, false) => Case::Stranded,
        (_, false) => Case::Unjudged,
        (PodState::Ready, true) => Case::Settled,
        (PodState::Failing, true) => Case::Unhealthy,
        (PodState::Unscheduled, true) if age > limits.schedule_within => Case::Unplaced,
        (PodState::Starting, true) if age > limits.ready_within => Case::Unhealthy,
        (PodState::Unscheduled | PodState::Starting, true) => Case::Settling,
    }
}

/// How many of `judged` pods may be out of order before it means anything: a fraction, and one pod
/// once there are 20 or more, since in a fleet some node is always being rebooted.
pub(crate) fn tolerated(limits: &PodLimits, judged: u32) -> u32 {
    let share = whole(share(limits.unhealthy, judged));
    if judged >= 20 { share.max(1) } else { share }
}

/// A fraction of a number of pods, to the millionth of a pod: 7 % of 100 are seven, not a hair more.
pub(crate) fn share(fraction: f64, pods: u32) -> f64 {
    (fraction * f64::from(pods) * 1e6).round() / 1e6
}

/// A number of things as a count; no cluster has more pods than fit.
pub(crate) fn count(things: usize) -> u32 {
    u32::try_from(things).unwrap_or(u32::MAX)
}

/// The whole part of a number of pods.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "the cast saturates at both ends and takes what is not a number for 0, as wanted"
)]
pub(crate) const fn whole(pods: f64) -> u32 {
    pods as u32
}
