//! A rollout and its last judgement → its GuardedRollout.

use std::collections::BTreeSet;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::OwnerReference;
use weir_core::{
    plan::{self, Report},
    policy,
    time::Moment,
};

use super::{
    conditions::{Said, Stand, of_rollout, timed},
    forecast, incident,
};
use crate::{
    act::failure::Failure,
    api::{
        self, GuardedRollout, GuardedRolloutSpec, GuardedRolloutStatus, WorkloadKind, WorkloadRef,
        bounds::{self, clip},
        marks::conditions::{PODS_STRANDED, WRITE_FAILED},
        times::{moment, time},
    },
    guard::{
        rollout::{Judged, Rollout},
        roster::RolloutId,
    },
};

/// The object as it is created.
pub(super) fn object(id: &RolloutId) -> GuardedRollout {
    let workload = WorkloadRef {
        kind: WorkloadKind::DaemonSet,
        name: id.workload.name.clone(),
        uid: id.uid.clone(),
    };
    let mut object = GuardedRollout::new(
        &id.record_name(),
        GuardedRolloutSpec {
            workload,
            revision: id.hash.clone(),
            paused: false,
            let_through: None,
        },
    );
    object.metadata.namespace = Some(id.workload.namespace.clone());
    // Goes with its workload, and never keeps it from going.
    object.metadata.owner_references = Some(vec![OwnerReference {
        api_version: "apps/v1".to_owned(),
        kind: "DaemonSet".to_owned(),
        name: id.workload.name.clone(),
        uid: id.uid.clone(),
        controller: None,
        block_owner_deletion: None,
    }]);
    object
}

/// The status after a judgement.
pub(super) fn status(
    rollout: &Rollout,
    judged: &Judged,
    record: &GuardedRollout,
    now: Moment,
) -> GuardedRolloutStatus {
    let (report, failure) = (&judged.report, rollout.stuck());
    let failed = failure.map(|_| WRITE_FAILED.to_owned());
    let held_by = failed.or_else(|| held_by(report));
    let summary = clip(&summary(rollout, failure, report), bounds::TEXT);
    let stand = match (report.state, &held_by) {
        (_, Some(reason)) => Stand::Held { reason },
        (plan::State::Complete, None) => Stand::Complete,
        (plan::State::Paced, None) => Stand::Paced,
        (plan::State::LetGo, None) => Stand::LetGo,
        (state, None) => Stand::Underway {
            reason: state.name(),
        },
    };
    let recorded = || template_on_record(record);
    let template = rollout.template.as_deref().or_else(recorded);
    let found = report.findings.len() + usize::from(failure.is_some());
    let omitted = found.saturating_sub(bounds::FINDINGS);
    GuardedRolloutStatus {
        observed_generation: record.metadata.generation,
        state: Some(state(report.state)),
        mode: rollout.mandate.mode().map(mode),
        wave: report.wave,
        width: report.width,
        full_width: report.full_width,
        nodes_without_pod: report.nodes_without_pod,
        findings: failure
            .map(unwritten)
            .into_iter()
            .chain(one_of_each_first(&report.findings).map(finding))
            .take(bounds::FINDINGS)
            .collect(),
        findings_omitted: u32::try_from(omitted).ok().filter(|omitted| *omitted > 0),
        policies: rollout
            .choice
            .names
            .iter()
            .take(bounds::POLICIES)
            .cloned()
            .collect(),
        forecast: report
            .forecast
            .as_ref()
            .map(|forecast| forecast::status(forecast, template)),
        incident: report.incident.as_ref().map(incident::status),
        history: Some(rollout.to_record()),
        obeyed: rollout.history.obeyed.map(time),
        conditions: conditions(of_rollout(stand, &summary), record, now),
        summary: Some(summary),
        held_by,
    }
}

/// The hash of the template that the record says its forecast was measured of.
fn template_on_record(record: &GuardedRollout) -> Option<&str> {
    let forecast = record.status.as_ref()?.forecast.as_ref()?;
    Some(&forecast.record.as_ref()?.template)
}

/// The status of a workload that Weir will not guard until somebody acknowledges what that means.
pub(super) fn refused(
    why: &str,
    acknowledge: &str,
    record: &GuardedRollout,
    now: Moment,
) -> GuardedRolloutStatus {
    let summary = clip(
        &format!("Not guarded, since nodes depend on it: {why}. To guard it, {acknowledge}."),
        bounds::TEXT,
    );
    let stand = Stand::Refused {
        reason: "NodeCritical",
    };
    GuardedRolloutStatus {
        observed_generation: record.metadata.generation,
        state: Some(api::State::Refused),
        conditions: conditions(of_rollout(stand, &summary), record, now),
        summary: Some(summary),
        obeyed: obeyed(record).map(time),
        ..GuardedRolloutStatus::default()
    }
}

/// The status of a rollout whose gated pods Weir may not let through.
pub(super) fn stranded(note: &str, record: &GuardedRollout, now: Moment) -> GuardedRolloutStatus {
    let reason = PODS_STRANDED;
    let summary = clip(note, bounds::TEXT);
    GuardedRolloutStatus {
        observed_generation: record.metadata.generation,
        state: Some(api::State::Held),
        mode: Some(api::Mode::Observe),
        held_by: Some(reason.to_owned()),
        conditions: conditions(of_rollout(Stand::Held { reason }, &summary), record, now),
        summary: Some(summary),
        ..record.status.clone().unwrap_or_default()
    }
}

/// The status once the workload has another revision. The waves are forgotten, and a person's order ends:
/// should the revision come back, it passes the valve from the start.
pub(super) fn superseded(record: &GuardedRollout, by: &str, now: Moment) -> GuardedRolloutStatus {
    let before = record.status.clone().unwrap_or_default();
    let summary = format!("The workload's revision is now {by}.");
    GuardedRolloutStatus {
        observed_generation: record.metadata.generation,
        state: Some(api::State::Superseded),
        nodes_without_pod: 0,
        held_by: None,
        findings: Vec::new(),
        findings_omitted: None,
        history: None,
        obeyed: given(record).max(obeyed(record)).map(time),
        conditions: conditions(of_rollout(Stand::Superseded, &summary), record, now),
        summary: Some(summary),
        ..before
    }
}

/// When the order was given that stands in the spec.
fn given(record: &GuardedRollout) -> Option<Moment> {
    let order = record.spec.let_through.as_ref()?;
    Some(moment(order.given.0))
}

/// When the order was given that is on record as the last one that was obeyed.
fn obeyed(record: &GuardedRollout) -> Option<Moment> {
    let status = record.status.as_ref()?;
    Some(moment(status.obeyed.as_ref()?.0))
}

fn conditions(
    said: Vec<Said>,
    record: &GuardedRollout,
    now: Moment,
) -> Vec<k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition> {
    let before = record
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    timed(
        said,
        before.unwrap_or_default(),
        record.metadata.generation,
        now,
    )
}

/// All findings in their order, but of each rule at first only one where they are too many: what is
/// cut off is forgotten by a restart.
fn one_of_each_first(findings: &[plan::Finding]) -> impl Iterator<Item = &plan::Finding> {
    let mut told = BTreeSet::new();
    let fits = findings.len() < bounds::FINDINGS;
    let (first, rest): (Vec<_>, Vec<_>) = findings
        .iter()
        .partition(|finding| told.insert(finding.rule) || fits);
    first.into_iter().chain(rest)
}

/// What keeps it from going on, in one word.
fn held_by(report: &Report) -> Option<String> {
    let worst = report.worst();
    match report.state {
        plan::State::Held => Some(worst.map_or("Held", |worst| worst.rule.name()).to_owned()),
        plan::State::Paused => Some(api::PAUSED.to_owned()),
        plan::State::Pending
        | plan::State::Progressing
        | plan::State::Soaking
        | plan::State::LetGo
        | plan::State::Paced
        | plan::State::Complete => None,
    }
}

fn summary(rollout: &Rollout, failure: Option<&Failure>, report: &Report) -> String {
    let failed = failure.map(|failure| format!("Stays where it is: {} ", failure.sentence()));
    let mut summary = failed.unwrap_or_default();
    summary.push_str(&report.summary);
    for note in &rollout.choice.notes {
        summary.push_str(" Note: ");
        summary.push_str(note);
        summary.push('.');
    }
    summary
}

fn unwritten(failure: &Failure) -> api::Finding {
    api::Finding {
        reason: WRITE_FAILED.to_owned(),
        severity: api::Severity::Hold,
        subject: "Weir's writes".to_owned(),
        evidence: clip(
            &format!("{}: {}", failure.what, failure.error),
            bounds::TEXT,
        ),
        clears_when: clip(
            &format!("a write succeeds: {}", failure.advice),
            bounds::TEXT,
        ),
    }
}

fn finding(finding: &plan::Finding) -> api::Finding {
    api::Finding {
        reason: finding.rule.name().to_owned(),
        severity: match finding.severity {
            plan::Severity::Hold => api::Severity::Hold,
            plan::Severity::Notice => api::Severity::Notice,
        },
        subject: clip(&finding.subject, bounds::WORD),
        evidence: clip(&finding.evidence, bounds::TEXT),
        clears_when: clip(&finding.clears_when, bounds::TEXT),
    }
}

pub(super) const fn mode(mode: policy::Mode) -> api::Mode {
    match mode {
        policy::Mode::Observe => api::Mode::Observe,
        policy::Mode::Shadow => api::Mode::Shadow,
        policy::Mode::Enforce => api::Mode::Enforce,
    }
}

/// A state as the API spells it.
pub(in crate::guard) const fn state(state: plan::State) -> api::State {
    match state {
        plan::State::Pending => api::State::Pending,
        plan::State::Progressing => api::State::Progressing,
        plan::State::Soaking => api::State::Soaking,
        plan::State::Held => api::State::Held,
        plan::State::Paused => api::State::Paused,
        plan::State::Paced => api::State::Paced,
        plan::State::Complete => api::State::Complete,
        plan::State::LetGo => api::State::LetGo,
    }
}

#[cfg(test)]
mod tests {
    use weir_core::plan::Rule;

    use super::*;

    fn found(rule: Rule, number: usize) -> plan::Finding {
        plan::Finding {
            rule,
            severity: plan::Severity::Hold,
            subject: format!("api-{number}"),
            evidence: String::new(),
            clears_when: String::new(),
        }
    }

    #[test]
    fn of_too_many_findings_each_rule_keeps_one() {
        let mut findings: Vec<_> = (0..bounds::FINDINGS)
            .map(|number| found(Rule::LatencyRegressed, number))
            .collect();
        findings.push(found(Rule::NodesLost, 0));
        let told: Vec<_> = one_of_each_first(&findings).collect();
        assert_eq!(told.len(), findings.len());
        assert_eq!(
            (told[0], told[1]),
            (&findings[0], &findings[bounds::FINDINGS])
        );
        findings.truncate(3);
        assert!(one_of_each_first(&findings).eq(findings.iter()));
    }
}
