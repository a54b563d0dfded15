//! What a decision changed → what people are told of it, once.
//!
//! A notice is about the workload, where people look, and names the record as related. What holds a
//! rollout is told with the plain kubectl lines that release it: they must be at hand when Weir is
//! not.

use std::collections::BTreeSet;

use k8s_openapi::api::core::v1::ObjectReference;
use kube::Resource;
use weir_core::{
    plan::{Finding, Report, Rule, Severity, State},
    policy::Mode,
};

use super::{books::state, rollout::Course, roster::RolloutId};
use crate::{
    act::events::Notice,
    api::{self, GuardedRollout, RolloutPolicy, SINGLETON, Valve},
    valve::release::{Target, release_lines},
};

/// Bytes of a note that are left for the reason, so that the lines that release fit behind it.
const REASON: usize = 380;

/// What people have been told of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Told {
    state: Option<api::State>,
    wave: u32,
    leaked: bool,
}

impl Told {
    /// What must have been told already, going by the record.
    pub(super) fn by(record: Option<&GuardedRollout>) -> Self {
        let status = record.and_then(|record| record.status.as_ref());
        let leaked = |status: &api::GuardedRolloutStatus| {
            let mut findings = status.findings.iter();
            findings.any(|finding| finding.reason == Rule::PodsLeaked.name())
        };
        Self {
            state: status.and_then(|status| status.state),
            wave: status.map_or(0, |status| status.wave),
            leaked: status.is_some_and(leaked),
        }
    }

    /// What is to be told of a judgement, and is taken as told from here on.
    pub(super) fn tell(&mut self, id: &RolloutId, course: Course, report: &Report) -> Vec<Notice> {
        let mut notices = Vec::new();
        let held = |state| matches!(state, Some(api::State::Held | api::State::Paused));
        let now = state(report.state);
        if self.state.is_none() {
            notices.push(started(id, course, report));
        }
        if report.wave > self.wave && course == Course::Guard(Mode::Enforce) {
            notices.push(wave(id, report));
        }
        if self.state != Some(now) {
            match report.state {
                State::Held => notices.push(held_notice(id, course, report)),
                State::Paused => notices.push(paused(id, report)),
                State::Complete | State::LetGo => notices.push(complete(id, report)),
                State::Pending | State::Progressing | State::Soaking => {
                    if held(self.state) {
                        notices.push(resumed(id, report));
                    }
                }
            }
        }
        let leak = report
            .findings
            .iter()
            .find(|finding| finding.rule == Rule::PodsLeaked);
        if let (Some(leak), false) = (leak, self.leaked) {
            notices.push(leaked(id, leak));
        }
        *self = Self {
            state: Some(now),
            wave: report.wave,
            leaked: leak.is_some(),
        };
        notices
    }
}

fn started(id: &RolloutId, course: Course, report: &Report) -> Notice {
    let how = match course {
        Course::Guard(Mode::Enforce) => "held at the valve, and let through in waves",
        Course::Guard(Mode::Shadow | Mode::Observe) | Course::LetGo => {
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

fn held_notice(id: &RolloutId, course: Course, report: &Report) -> Notice {
    let reasons: Vec<String> = report
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Hold)
        .map(
            |Finding {
                 rule,
                 subject,
                 evidence,
                 ..
             }| { format!("{} ({subject}): {evidence}", rule.name()) },
        )
        .collect();
    let held = match course {
        Course::Guard(Mode::Enforce) => "Held at",
        Course::Guard(Mode::Shadow | Mode::Observe) | Course::LetGo => "Would be held at",
    };
    let (width, full, reasons) = (report.width, report.full_width, reasons.join("; "));
    let mut note = format!("{held} {width} of {full} pods: {reasons}");
    if course == Course::Guard(Mode::Enforce) {
        if note.len() > REASON {
            note.truncate(note.floor_char_boundary(REASON));
            note.push('…');
        }
        note.push_str(". Goes on by itself. To release it without Weir:");
        let target = Target {
            namespace: &id.workload.namespace,
            uid: &id.uid,
            hash: &id.hash,
        };
        for line in release_lines(&target) {
            note.push('\n');
            note.push_str(&line);
        }
    }
    let action = format!("HoldAtWave{}", report.wave);
    warning(about(id, "RolloutHeld", action, note))
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

/// The parameter object was emptied or deleted, and says again what it said.
pub(super) fn valve_rebuilt(approved: usize) -> Notice {
    let note = format!(
        "The Valve had been deleted or emptied; it is rebuilt with {approved} approved revisions. \
         To stop gating, delete the bindings of the policy weir-gate instead."
    );
    warning(Notice {
        about: ObjectReference {
            name: Some(SINGLETON.to_owned()),
            ..kind_of::<Valve>()
        },
        related: None,
        warning: false,
        reason: "ValveRebuilt",
        action: "Rebuild".to_owned(),
        note,
    })
}

/// The gate policy is not in force where it was asked for.
pub(super) fn gate_open() -> Notice {
    let note = "Pods of unapproved revisions come back ungated: rollouts are not held. See that the \
                policy weir-gate, its bindings and the Valve `cluster` exist (deploy/, \
                deploy/enforce/).";
    warning(Notice {
        about: ObjectReference {
            name: Some(SINGLETON.to_owned()),
            ..kind_of::<Valve>()
        },
        related: None,
        warning: false,
        reason: "GateNotInForce",
        action: "CheckGate".to_owned(),
        note: note.to_owned(),
    })
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
