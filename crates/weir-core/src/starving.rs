//! Nodes must not starve: those that a held rollout would leave without any pod get theirs, slowly.
//!
//! Where an earlier revision was approved, people rely on the workload being everywhere. A node that
//! joins, or whose old pod went away, can only get a pod of the current revision; behind a closed
//! gate it would get none for as long as the hold lasts. A token bucket serves such nodes whether
//! evidence is missing or not; only a person's pause, or harm that began after this rollout's first
//! pod was out, stops it.

use crate::{
    census::{Census, Member, share, whole},
    evidence::RolloutEvidence,
    policy::Policy,
    time::{Moment, Span},
};

/// The period that the policy's rate is stated for.
const PERIOD: Span = Span::from_secs(600);

/// How many nodes are served per period, and at most at once.
pub(crate) fn allowance(policy: &Policy, full: u32) -> u32 {
    whole(capacity(policy, full))
}

/// The bucket's tokens after `elapsed`.
pub(crate) fn refill(policy: &Policy, full: u32, tokens: f64, elapsed: Span) -> f64 {
    let capacity = capacity(policy, full);
    let refilled = capacity * elapsed.as_secs_f64() / PERIOD.as_secs_f64();
    (tokens + refilled).min(capacity)
}

/// A policy that states no rate at all wants no node served; any other serves at least one.
fn capacity(policy: &Policy, full: u32) -> f64 {
    let rate = policy.starving_per_ten_minutes;
    if rate > 0.0 {
        share(rate, full).max(1.0)
    } else {
        0.0
    }
}

/// The pods whose nodes starve: of nodes that joined since the rollout began first, then those that
/// waited longest.
///
/// The update's own strategy leaves `max_unavailable` nodes without a pod, and whoever wrote it can
/// afford that: as many are left to the waves.
pub(crate) fn starved<'c, 'a>(
    census: &'c Census<'a>,
    rollout: &RolloutEvidence,
    begun: Moment,
) -> Vec<&'c Member<'a>> {
    if !rollout.earlier_approved || rollout.approved {
        return Vec::new();
    }
    let without = census.members.iter().filter(|member| {
        member.alone && member.gated() && member.node.is_some_and(|node| node.ready)
    });
    let (mut joined, mut emptied): (Vec<_>, Vec<_>) =
        without.partition(|member| member.node.is_some_and(|node| node.joined > begun));
    let order = |member: &&Member<'_>| (member.row.since, member.row.node.clone());
    joined.sort_by_key(order);
    emptied.sort_by_key(order);
    let excess = emptied
        .len()
        .saturating_sub(rollout.max_unavailable as usize);
    emptied.truncate(excess);
    joined.append(&mut emptied);
    joined
}
