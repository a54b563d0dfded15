//! The one entry point for a rollout: (policy, evidence, history, now) → (report, plan, history).

use serde::{Deserialize, Serialize};

use crate::{
    evidence::Evidence,
    plan::{Plan, Report},
    policy::Policy,
    time::{Moment, Span},
};

/// What a rollout's next judgement needs of its last ones. A value, returned anew by each judgement;
/// the shell keeps it in memory and the part that must survive a restart in the status.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct History {
    /// When the rollout was first judged.
    pub begun: Moment,
    /// The width that the waves so far allow; 0 before the canary.
    pub target: u32,
    /// Waves begun.
    pub wave: u32,
    /// Soak time added at this width.
    pub soaked: Span,
    /// When this rollout was last judged; soak is added from here.
    pub judged: Moment,
    /// When a finding last held the rollout, to clear only after it was gone for a while.
    pub harmed: Option<Moment>,
    /// What waves are multiplied by after holds: halves at each hold, recovers with each clean wave.
    pub pace: f64,
    /// Tokens for nodes that would starve.
    pub starving_tokens: f64,
}

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
