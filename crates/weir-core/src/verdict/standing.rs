//! Hysteresis: harm stands until it has been seen, freshly, to be gone for long enough.
//!
//! Without it a rollout would resume at every dip of a storm, and missing evidence would look like
//! the end of the harm that was last seen. That goes for a single pod too: one that failed when its
//! node stopped being ready has not become well by that.

use std::collections::BTreeSet;

use super::{Scene, nodes, pods};
use crate::{
    burn::FAST,
    history::Standing,
    plan::{Finding, Rule},
    time::Span,
};

/// Harm found now, each since it was first found.
pub(super) fn found(scene: &Scene<'_>, last: &[Standing], findings: &[Finding]) -> Vec<Standing> {
    let none = BTreeSet::new();
    findings
        .iter()
        .filter(|finding| finding.holds_for_harm())
        .map(|finding| {
            let before = last.iter().find(|old| old.finding.is_of(finding));
            let pods = before.map_or(&none, |before| &before.pods);
            Standing {
                finding: finding.clone(),
                since: before.map_or(scene.now, |before| before.since),
                seen: scene.now,
                quiet: Span::ZERO,
                pods: pods::suspects(scene, finding.rule, pods),
            }
        })
        .collect()
}

/// Harm of the last judgement that was not found now, and has not been gone for long enough.
///
/// `quiet` is the time since the last judgement that may count towards clearing.
pub(super) fn lingering(
    scene: &Scene<'_>,
    last: &[Standing],
    findings: &[Finding],
    quiet: Span,
) -> Vec<Standing> {
    let found = |old: &Finding| {
        findings
            .iter()
            .any(|new| new.holds_for_harm() && old.is_of(new))
    };
    last.iter()
        .filter(|old| !found(&old.finding))
        .map(|old| {
            let pods = pods::suspects(scene, old.finding.rule, &old.pods);
            let counts = if pods::are_tolerated(scene, &pods) {
                quiet
            } else {
                Span::ZERO
            };
            Standing {
                quiet: old.quiet + counts,
                pods,
                ..old.clone()
            }
        })
        .filter(|old| old.quiet < needed(scene, old))
        .collect()
}

/// What is told of lingering harm.
pub(super) fn told(scene: &Scene<'_>, harm: &Standing) -> Finding {
    let wait = needed(scene, harm);
    let first = if pods::are_tolerated(scene, &harm.pods) {
        String::new()
    } else {
        format!(
            "the nodes of its pods ({}) are ready again, or these pods are deleted, and ",
            pods::some_of(harm.pods.iter().map(String::as_str))
        )
    };
    let clears_when = format!("{first}it has not been seen for {wait}, on fresh evidence");
    harm.finding.clone().not_seen_for(harm.quiet, clears_when)
}

/// How long harm must have been gone: nodes take longer than servers.
fn needed(scene: &Scene<'_>, harm: &Standing) -> Span {
    match harm.finding.rule {
        // What was spent is not on record: a process that recalls the harm has first to see as much of quiet as ends
        // it for one that saw all of it.
        Rule::BurnFast if scene.now.since(harm.since) < FAST.short => FAST.short,
        // These have quiet times of their own in what they look at.
        Rule::ServerRestarted | Rule::BurnFast | Rule::BurnSlow => Span::ZERO,
        Rule::NodesLost => nodes::quiet(scene),
        Rule::LatencyRegressed
        | Rule::QueueSaturated
        | Rule::Rejecting
        | Rule::MemoryClimbing
        | Rule::PodsUnhealthy
        | Rule::ReleasedUnschedulable
        | Rule::EvidenceStale
        | Rule::EvidenceAbsent
        | Rule::EvidenceMasked
        | Rule::ReplicaFrozen
        | Rule::BeaconLagging
        | Rule::DependencyIncident
        | Rule::OutsideWindow
        | Rule::PodsLeaked
        | Rule::NotTheCause
        | Rule::ForecastExceedsCapacity
        | Rule::UnisonExceedsCapacity
        | Rule::EvidenceInsufficient
        | Rule::CostGrowsWithAge
        | Rule::RetryAmplification => scene.clear_after,
    }
}
