//! What a decision changed → what people are told of it, once.
//!
//! A notice is about the workload, where people look, and names the record as related. What holds a
//! rollout is told with the plain kubectl lines that release it: they must be at hand when Weir is
//! not.

mod masks;
mod told;

use std::collections::BTreeSet;

use k8s_openapi::api::{core::v1::ObjectReference, rbac::v1::Role};
use kube::Resource;
use weir_core::{
    plan::{Finding, Report, Severity},
    policy::Mode,
};

pub(super) use self::{masks::Masks, told::Told};
use super::{
    books::{ADOPTION_ADVICE, GATE_ADVICE},
    held::Stranded,
    rollout::Mandate,
    roster::RolloutId,
};
use crate::{
    act::{events::Notice, failure::Failure},
    api::{GuardedRollout, RolloutPolicy},
    valve::{
        self,
        release::{Target, release_lines},
    },
};

/// Bytes of a note that are left for the reason, and for what clears it, so that the lines that
/// release fit behind them.
const REASON: usize = 280;
const CLEARS: usize = 100;

fn started(id: &RolloutId, mandate: Mandate, report: &Report) -> Notice {
    let how = match mandate {
        Mandate::Guard(Mode::Enforce) => "held at the valve, and let through in waves",
        Mandate::Guard(Mode::Shadow | Mode::Observe) | Mandate::LetGo | Mandate::Remainder => {
            "watched; it rolls at its own pace"
        }
    };
    let note = format!(
        "Revision {} is to run on {} nodes: {how}.",
        id.hash, report.full_width
    );
    about(id, "RolloutStarted", "Start".to_owned(), note)
}

fn wave(id: &RolloutId, report: &Report) -> Notice {
    let note = format!(
        "Wave {} of revision {}: up to {} of {} pods.",
        report.wave, id.hash, report.target, report.full_width
    );
    about(
        id,
        "WaveReleased",
        format!("ReleaseWave{}", report.wave),
        note,
    )
}

fn held_notice(id: &RolloutId, mandate: Mandate, report: &Report) -> Notice {
    let reasons: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Hold)
        .map(Finding::sentence)
        .collect();
    let gates = match mandate {
        Mandate::Guard(Mode::Enforce) | Mandate::LetGo | Mandate::Remainder => true,
        Mandate::Guard(Mode::Shadow | Mode::Observe) => false,
    };
    let held = if gates { "Held at" } else { "Would be held at" };
    let (width, full, reasons) = (report.width, report.full_width, reasons.join("; "));
    let mut note = short(format!("{held} {width} of {full} pods: {reasons}"), REASON);
    if let Some(worst) = report.worst() {
        note.push_str(&short(format!(". Until {}", worst.clears_when), CLEARS));
    }
    if gates {
        note.push_str(". Goes on by itself. To release it without Weir:");
        for line in release_lines(&target(id)) {
            note.push('\n');
            note.push_str(&line);
        }
    }
    let rule = report.worst().map_or("", |worst| worst.rule.name());
    let action = format!("HoldAtWave{}For{rule}", report.wave);
    warning(about(id, "RolloutHeld", action, note))
}

/// A text of no more than so many bytes, and a mark where something is left out.
fn short(mut text: String, bytes: usize) -> String {
    if text.len() > bytes {
        text.truncate(text.floor_char_boundary(bytes));
        text.push('…');
    }
    text
}

fn target(id: &RolloutId) -> Target<'_> {
    Target {
        namespace: &id.workload.namespace,
        uid: &id.uid,
        hash: &id.hash,
    }
}

fn paused(id: &RolloutId, report: &Report) -> Notice {
    let note = format!(
        "Paused by a person at {} of {} pods. To go on: kubectl patch {} {} -n {} --type=merge -p \
         '{{\"spec\":{{\"paused\":false}}}}'",
        report.width,
        report.full_width,
        "guardedrollouts.weir.dev",
        id.record_name(),
        id.workload.namespace,
    );
    about(
        id,
        "RolloutPaused",
        format!("PauseAtWave{}", report.wave),
        note,
    )
}

fn resumed(id: &RolloutId, report: &Report) -> Notice {
    let note = format!("Goes on at {} of {} pods.", report.width, report.full_width);
    about(
        id,
        "RolloutResumed",
        format!("ResumeAtWave{}", report.wave),
        note,
    )
}

fn complete(id: &RolloutId, report: &Report) -> Notice {
    let note = format!(
        "Revision {} runs on all {} nodes.",
        id.hash, report.full_width
    );
    about(id, "RolloutComplete", "Complete".to_owned(), note)
}

fn paced(id: &RolloutId, report: &Report) -> Notice {
    let note = format!("Revision {}: {}", id.hash, report.summary);
    about(id, "RolloutPaced", "Pace".to_owned(), note)
}

fn letting_go_notice(id: &RolloutId, report: &Report) -> Notice {
    let note = format!("Revision {}: {}", id.hash, report.summary);
    about(id, "RolloutNoLongerGuarded", "LetGo".to_owned(), note)
}

fn let_go(id: &RolloutId, report: &Report) -> Notice {
    let note = format!("Revision {}: {}", id.hash, report.summary);
    about(id, "RolloutLetGo", "EndGuard".to_owned(), note)
}

/// Nothing can be written for a rollout.
pub(super) fn unwritten(id: &RolloutId, failure: &Failure) -> Notice {
    let note = format!("Weir cannot write what it has to: {}", failure.sentence());
    warning(about(id, "WriteFailed", "Write".to_owned(), note))
}

/// Gated pods that Weir does not let through.
pub(super) fn stranded(stranded: &Stranded) -> Notice {
    let (reason, action) = ("PodsStranded", "TellOfGated".to_owned());
    let note = stranded.note.clone();
    match &stranded.id {
        Some(id) => warning(about(id, reason, action, note)),
        None => warning(Notice {
            about: ObjectReference {
                api_version: Some("v1".to_owned()),
                kind: Some("Pod".to_owned()),
                namespace: Some(stranded.namespace.clone()),
                name: Some(stranded.pod.clone()),
                ..ObjectReference::default()
            },
            related: None,
            warning: false,
            reason,
            action,
            note,
        }),
    }
}

fn leaked(id: &RolloutId, leak: &Finding) -> Notice {
    let note = format!("{}: {}", leak.subject, leak.evidence);
    warning(about(id, "PodsLeaked", "FindLeak".to_owned(), note))
}

/// A workload that is not guarded until somebody acknowledges what that means.
pub(super) fn refused(id: &RolloutId, why: &str, acknowledge: &str) -> Notice {
    let note = format!("Not guarded, since nodes depend on it: {why}. To guard it, {acknowledge}.");
    warning(about(id, "RolloutRefused", "Refuse".to_owned(), note))
}

/// A workload for which what its label asks for cannot be.
pub(super) fn not_enrolled(id: &RolloutId, why: &str) -> Notice {
    let note = format!("Not guarded: {why}.");
    warning(about(id, "NotEnrolled", "Enrol".to_owned(), note))
}

/// A workload that stays as it was, since its label says nothing that Weir understands.
pub(super) fn label_unclear(id: &RolloutId, why: &str) -> Notice {
    let note = format!("Mend it: {why}.");
    warning(about(id, "LabelUnclear", "ReadLabel".to_owned(), note))
}

/// The Role of the approvals was emptied or deleted, and says again what it said.
pub(super) fn valve_rebuilt(approved: usize) -> Notice {
    let note = format!(
        "The Role had been deleted or emptied, or approved everything; it is rebuilt with {approved} \
         approved revisions. To stop gating, delete the bindings of the policy weir-gate instead."
    );
    about_valve("ValveRebuilt", "Rebuild", note)
}

/// Workloads whose pods cannot be read keep the valve from being adopted.
pub(super) fn adoption_waits(unread: &[String]) -> Notice {
    let note = format!("{}{}", short(unread.join("; "), 800), ADOPTION_ADVICE);
    about_valve("AdoptionWaits", "Adopt", note)
}

/// The Role of the approvals cannot be written.
pub(super) fn valve_unwritten(failure: &Failure) -> Notice {
    about_valve("ValveNotWritten", "Write", failure.sentence())
}

fn about_valve(reason: &'static str, action: &str, note: String) -> Notice {
    warning(Notice {
        about: ObjectReference {
            namespace: Some(valve::NAMESPACE.to_owned()),
            name: Some(valve::ROLE.to_owned()),
            ..kind_of::<Role>()
        },
        related: None,
        warning: false,
        reason,
        action: action.to_owned(),
        note,
    })
}

/// The gate policy is not in force where it was asked for.
pub(super) fn gate_open() -> Notice {
    let note = format!(
        "Pods of unapproved revisions come back ungated: rollouts are not held. {GATE_ADVICE}."
    );
    about_valve("GateNotInForce", "CheckGate", note)
}

/// A policy that cannot be used as it is.
pub(super) fn policy_invalid(policy: &RolloutPolicy, message: &str) -> Notice {
    warning(Notice {
        about: policy.object_ref(&()),
        related: None,
        warning: false,
        reason: "PolicyInvalid",
        action: "Lower".to_owned(),
        note: message.to_owned(),
    })
}

fn about(id: &RolloutId, reason: &'static str, action: String, note: String) -> Notice {
    Notice {
        about: ObjectReference {
            api_version: Some("apps/v1".to_owned()),
            kind: Some("DaemonSet".to_owned()),
            namespace: Some(id.workload.namespace.clone()),
            name: Some(id.workload.name.clone()),
            uid: Some(id.uid.clone()),
            ..ObjectReference::default()
        },
        related: Some(ObjectReference {
            namespace: Some(id.workload.namespace.clone()),
            name: Some(id.record_name()),
            ..kind_of::<GuardedRollout>()
        }),
        warning: false,
        reason,
        action,
        note,
    }
}

fn warning(notice: Notice) -> Notice {
    Notice {
        warning: true,
        ..notice
    }
}

fn kind_of<K: Resource<DynamicType = ()>>() -> ObjectReference {
    ObjectReference {
        api_version: Some(K::api_version(&()).into_owned()),
        kind: Some(K::kind(&()).into_owned()),
        ..ObjectReference::default()
    }
}

/// What has been told about objects that are no rollouts: by a key of its own for each.
#[derive(Debug, Default)]
pub(super) struct Once {
    told: BTreeSet<String>,
}

impl Once {
    /// Whether this is new since it last was so.
    pub(super) fn is_new(&mut self, key: &str) -> bool {
        self.told.insert(key.to_owned())
    }

    /// Forgets all but what is still so.
    pub(super) fn keep(&mut self, still: &BTreeSet<String>) {
        self.told.retain(|key| still.contains(key));
    }
}

#[cfg(test)]
mod tests {
    use weir_core::{
        plan::{Rule, State},
        time::Span,
    };

    use super::*;
    use crate::observe::WorkloadKey;

    #[test]
    fn the_lines_that_release_fit_behind_the_longest_of_reasons() {
        let long = || "x".repeat(1000);
        let id = RolloutId {
            workload: WorkloadKey {
                namespace: "n".repeat(63),
                name: "logs".to_owned(),
            },
            uid: "11111111-2222-3333-4444-555555555555".to_owned(),
            hash: "5d9f8c6b5d".to_owned(),
        };
        let report = Report {
            state: State::Held,
            findings: vec![Finding {
                rule: Rule::LatencyRegressed,
                severity: Severity::Hold,
                subject: long(),
                evidence: long(),
                clears_when: long(),
            }],
            hold: None,
            width: 12_345,
            full_width: 15_000,
            target: 12_345,
            wave: 9,
            soaked: Span::ZERO,
            soak_needed: Span::ZERO,
            soak_stands_still: None,
            incident: None,
            forecast: None,
            nodes_without_pod: 0,
            summary: long(),
        };
        let note = held_notice(&id, Mandate::Guard(Mode::Enforce), &report).note;
        assert!(note.len() <= 1024, "{} bytes: {note}", note.len());
        let lines = release_lines(&target(&id)).join("\n");
        assert!(note.ends_with(&lines), "{note}");
    }
}
