//! Whose harm it is: what a rollout's meter, dose and response clear it of is held for, not blamed on it.

use super::Scene;
use crate::{
    history::{History, Standing},
    plan::{Finding, Rule, Severity},
    usage::METERS,
};

/// Harm that this rollout is cleared of. The rollout is held all the same: nothing is gained by going
/// on while the API servers suffer.
pub(super) fn not_the_cause(
    scene: &Scene<'_>,
    history: &History,
    standing: &[Standing],
) -> Option<Finding> {
    let on_servers = |harm: &&Standing| is_of_load(harm.finding.rule);
    let harm = standing.iter().find(on_servers)?;
    if !standing.iter().all(|harm| is_of_load(harm.finding.rule)) {
        return None;
    }
    let outlook = scene.outlook?;
    let cleared = history.ledger.cleared(outlook, harm.seen)?;
    let other = cleared.other.map_or_else(
        || "no metered account's share has grown by as much".to_owned(),
        |(schema, cores)| {
            format!(
                "the share of {} has grown by {cores:.2} cores",
                named(&schema)
            )
        },
    );
    Some(Finding {
        rule: Rule::NotTheCause,
        severity: Severity::Hold,
        subject: harm.finding.subject.clone(),
        evidence: format!(
            "{} stands, but this rollout's account uses {:.3} of the {:.2} cores that the API servers use \
             more than before it; {other}",
            harm.finding.rule.name(),
            cleared.own,
            cleared.more,
        ),
        clears_when: format!("{} has cleared", harm.finding.rule.name()),
    })
}

/// Rules whose harm comes from what clients ask for, as a meter counts it.
const fn is_of_load(rule: Rule) -> bool {
    match rule {
        Rule::LatencyRegressed | Rule::QueueSaturated | Rule::Rejecting | Rule::BurnFast => true,
        // Open watches take memory, and no meter counts them.
        Rule::MemoryClimbing
        | Rule::NotTheCause
        | Rule::ForecastExceedsCapacity
        | Rule::UnisonExceedsCapacity
        | Rule::EvidenceInsufficient
        | Rule::CostGrowsWithAge
        | Rule::RetryAmplification
        | Rule::ServerRestarted
        | Rule::PodsUnhealthy
        | Rule::ReleasedUnschedulable
        | Rule::NodesLost
        | Rule::EvidenceStale
        | Rule::EvidenceAbsent
        | Rule::EvidenceMasked
        | Rule::ReplicaFrozen
        | Rule::BeaconLagging
        | Rule::BurnSlow
        | Rule::DependencyIncident
        | Rule::OutsideWindow
        | Rule::PodsLeaked => false,
    }
}

/// A FlowSchema's clients, for people: a meter's name holds its account's.
pub(super) fn named(schema: &str) -> String {
    match schema
        .strip_prefix(METERS)
        .and_then(|account| account.split_once('.'))
    {
        Some((namespace, name)) => format!("the account {namespace}/{name}"),
        None => format!("the accounts of FlowSchema {schema}"),
    }
}
