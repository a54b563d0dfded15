//! Faults of the rollout's own pods. Pods on nodes that are not ready are not judged.

use std::collections::BTreeSet;

use super::{Scene, Stance};
use crate::{
    census::{self, Case, Member},
    plan::{Finding, Rule},
    starving,
};

/// What findings about the rollout's pods as a whole are found on.
const PODS: &str = "pods";

/// How many pods a finding names.
const NAMED: usize = 3;

/// Released pods restart, crash or do not become ready.
pub(super) fn pods_unhealthy(scene: &Scene<'_>) -> Vec<Finding> {
    let limits = &scene.policy.pods;
    out_of_order(
        scene,
        Rule::PodsUnhealthy,
        "kubectl describe and kubectl logs say why; mend it, or delete the pods",
        |number, judged| {
            format!(
                "{number} of {judged} pods fail, or were not ready within {}",
                limits.ready_within
            )
        },
    )
}

/// Released pods are not placed on their nodes.
pub(super) fn released_unschedulable(scene: &Scene<'_>) -> Vec<Finding> {
    let limits = &scene.policy.pods;
    out_of_order(
        scene,
        Rule::ReleasedUnschedulable,
        "kubectl describe says what their nodes lack; make room there, or delete the pods",
        |number, judged| {
            format!(
                "{number} of {judged} pods found no place within {}",
                limits.schedule_within
            )
        },
    )
}

/// The case of the pods that a rule finds, if it finds pods.
const fn case_of(rule: Rule) -> Option<Case> {
    match rule {
        Rule::PodsUnhealthy => Some(Case::Unhealthy),
        Rule::ReleasedUnschedulable => Some(Case::Unplaced),
        Rule::LatencyRegressed
        | Rule::QueueSaturated
        | Rule::Rejecting
        | Rule::MemoryClimbing
        | Rule::ServerRestarted
        | Rule::NodesLost
        | Rule::EvidenceStale
        | Rule::EvidenceAbsent
        | Rule::EvidenceMasked
        | Rule::ReplicaFrozen
        | Rule::BeaconLagging
        | Rule::BurnFast
        | Rule::BurnSlow
        | Rule::DependencyIncident
        | Rule::OutsideWindow
        | Rule::PodsLeaked
        | Rule::NotTheCause
        | Rule::ForecastExceedsCapacity
        | Rule::UnisonExceedsCapacity
        | Rule::EvidenceInsufficient
        | Rule::CostGrowsWithAge
        | Rule::RetryAmplification => None,
    }
}

/// The pods that `rule` finds out of order now, and those of `before` that it found to be so and that
/// cannot be judged any more.
pub(super) fn suspects(
    scene: &Scene<'_>,
    rule: Rule,
    before: &BTreeSet<String>,
) -> BTreeSet<String> {
    let Some(case) = case_of(rule) else {
        return BTreeSet::new();
    };
    if scene.evidence.rollout.pods.last().is_none() {
        return before.clone();
    }
    let suspect = |member: &&Member<'_>| {
        member.case == case || (member.case == Case::Unjudged && before.contains(member.name))
    };
    let suspects = scene.census.members.iter().filter(suspect);
    suspects.map(|member| member.name.to_owned()).collect()
}

/// Whether no more pods than these may be out of order.
pub(super) fn are_tolerated(scene: &Scene<'_>, pods: &BTreeSet<String>) -> bool {
    let tolerated = census::tolerated(&scene.policy.pods, scene.census.judged());
    census::count(pods.len()) <= tolerated
}

/// A hold where more pods are in the rule's case than are tolerated, a notice where fewer are.
fn out_of_order(
    scene: &Scene<'_>,
    rule: Rule,
    advice: &str,
    say: impl Fn(u32, u32) -> String,
) -> Vec<Finding> {
    let Some(case) = case_of(rule) else {
        return Vec::new();
    };
    let (number, judged) = (scene.census.in_case(case), scene.census.judged());
    if number == 0 {
        return Vec::new();
    }
    let tolerated = census::tolerated(&scene.policy.pods, judged);
    let names = names(scene, |member| member.case == case);
    let evidence = format!(
        "{} ({names}); {tolerated} are tolerated",
        say(number, judged)
    );
    let then = match scene.stance {
        Stance::Guards => " (their successors are born gated, and come last)",
        Stance::LetsGo | Stance::LooksOn => "",
    };
    let clears = format!(
        "at most {tolerated} have been so for {}: {advice}{then}",
        scene.clear_after
    );
    let finding = Finding::hold(rule, PODS, evidence, clears);
    vec![if number > tolerated {
        finding
    } else {
        finding.only_told()
    }]
}

/// Pods of an unapproved revision run without having passed the valve, or more than Weir let pass.
///
/// It is a notice. A hold could not call them back, and would only strand the nodes whose pods did
/// wait. What they cost is real, so they count in the width: the waves go on from the width as it
/// is, once it has been soaked.
pub(super) fn pods_leaked(scene: &Scene<'_>) -> Vec<Finding> {
    if scene.stance != Stance::Guards || scene.evidence.rollout.approved {
        return Vec::new();
    }
    let mut findings = Vec::new();
    let leaked = |member: &Member<'_>| !member.gated() && !member.row.born_gated;
    let number = scene.census.number(leaked);
    if number > 0 {
        let leak = Finding::hold(
            Rule::PodsLeaked,
            PODS,
            format!(
                "born without the gate: {} ({number} in all)",
                names(scene, leaked)
            ),
            "they are deleted (their successors are born gated) or the revision is approved; if \
             there are ever more, the ControlPlane's condition Gating says whether the gate is in \
             force",
        );
        findings.push(leak.only_told());
    }
    let (run, target) = (scene.census.judged(), scene.target);
    if run > target + starving::allowance(scene.policy, scene.census.full) {
        let beyond = Finding::hold(
            Rule::PodsLeaked,
            "width",
            format!(
                "{run} pods run where the waves allow {target}: let through by hand, or on nodes \
                 that came back"
            ),
            "at once: it is taken for the width, and soaked anew",
        );
        findings.push(beyond.only_told());
    }
    findings
}

fn names(scene: &Scene<'_>, which: impl Fn(&Member<'_>) -> bool) -> String {
    let members = scene.census.members.iter();
    some_of(
        members
            .filter(|member| which(member))
            .map(|member| member.name),
    )
}

/// The first of these names, and whether there are more.
pub(super) fn some_of<'n>(names: impl Iterator<Item = &'n str>) -> String {
    let all: Vec<&str> = names.collect();
    match all.get(..NAMED) {
        Some(first) if all.len() > NAMED => format!("{}, …", first.join(", ")),
        Some(_) | None => all.join(", "),
    }
}
