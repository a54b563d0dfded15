//! The one entry point for a rollout: (policy, evidence, history, now) → (report, plan, history).

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    history::History,
    plan::{Plan, Report},
    policy::Policy,
    time::Moment,
};

/// One judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What it says.
    pub report: Report,
    /// What is to be done.
    pub plan: Plan,
    /// What the next judgement needs.
    pub history: History,
}

/// Judges one rollout at one moment.
#[must_use]
pub fn judge(policy: &Policy, evidence: &Evidence, history: History, now: Moment) -> Judgement {
    let _ = (policy, evidence, history, now);
    unimplemented!("written by the judge's author")
}
