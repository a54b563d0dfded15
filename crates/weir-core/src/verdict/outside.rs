//! Faults outside the cluster, and times at which nothing should begin.

use super::Scene;
use crate::{
    evidence::{Dependency, Health, Reading, Window},
    plan::{Finding, Rule},
};

/// Something that the policy depends on has an incident: its own, not this rollout's.
pub(super) fn dependency_incident(scene: &Scene<'_>) -> Vec<Finding> {
    let dependencies = scene.evidence.dependencies.iter();
    let incident = |(name, dependency): (&String, &Dependency)| match dependency.reading.fresh() {
        Some(Health::Incident { what }) => Some(Finding::hold(
            Rule::DependencyIncident,
            name.as_str(),
            format!("it has an incident of its own: {what}"),
            "it has none any longer; a person who knows that it does not matter here can let pods through \
             (kubectl weir release)",
        )),
        Some(Health::Well) | None => None,
    };
    dependencies.filter_map(incident).collect()
}

/// Something that the policy depends on says nothing, or nothing of late. That holds until its deadline: a status
/// page that is gone must not keep a fleet from being updated for ever.
pub(super) fn dependency_silent(scene: &Scene<'_>) -> Vec<Finding> {
    let dependencies = scene.evidence.dependencies.iter();
    dependencies
        .filter_map(|(name, dependency)| silent(scene, name, dependency))
        .collect()
}

fn silent(scene: &Scene<'_>, name: &str, dependency: &Dependency) -> Option<Finding> {
    let (rule, why) = match &dependency.reading {
        Reading::Fresh(_) => return None,
        Reading::Stale { age, .. } => (Rule::EvidenceStale, format!("silent for {age}")),
        Reading::Masked { by, .. } => (Rule::EvidenceAbsent, format!("masked ({})", by.name())),
        Reading::Absent { why } => (Rule::EvidenceAbsent, why.clone()),
        Reading::Garbled { why } => (Rule::EvidenceAbsent, format!("not understood: {why}")),
    };
    let is_over = scene.now >= dependency.awaited_until;
    let waits = if is_over {
        "it was waited for as long as the policy says (silentFor), and holds nothing any longer"
    } else {
        "it answers, or was waited for as long as the policy says (silentFor); see its address in the \
         RolloutPolicy, and whether Weir reaches it"
    };
    let finding = Finding::hold(rule, name, why, waits);
    Some(if is_over {
        finding.only_told()
    } else {
        finding
    })
}

/// No window of the policy is open: nothing begins, and what is out soaks on.
pub(super) fn outside_window(scene: &Scene<'_>) -> Vec<Finding> {
    match &scene.evidence.rollout.window {
        Window::Open => Vec::new(),
        Window::Closed { opens } => {
            let finding = Finding::hold(
                Rule::OutsideWindow,
                "windows",
                format!("none of the policy's windows is open; the next opens {opens}"),
                "one opens, or a person lets pods through (kubectl weir release)",
            );
            vec![finding.only_told()]
        }
    }
}
