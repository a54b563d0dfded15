//! Why soak time is not being added: masked time does not count, nor does time in which something suffers.

use serde::{Deserialize, Serialize};

use crate::{
    history::History,
    plan::{Finding, Rule, Severity},
    verdict::{Scene, Verdict},
    waves,
};

/// What lets soak stand still.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Still {
    /// DNS hides what the control plane does.
    Masked,
    /// Some other evidence is missing.
    Unseen,
    /// Something suffers, or did a short while ago.
    Harmed,
    /// Something elsewhere has an incident of its own.
    Elsewhere,
    /// Many nodes came or went a moment ago.
    NodesTurning,
    /// The wave is not out and ready.
    Unsettled,
}

impl Still {
    /// All there are.
    pub const ALL: [Self; 6] = [
        Self::Masked,
        Self::Unseen,
        Self::Harmed,
        Self::Elsewhere,
        Self::NodesTurning,
        Self::Unsettled,
    ];

    /// The name as metrics carry it.
    #[must_use]
    pub const fn name(self) -> &'static str {
        match self {
            Self::Masked => "Masked",
            Self::Unseen => "Unseen",
            Self::Harmed => "Harmed",
            Self::Elsewhere => "Elsewhere",
            Self::NodesTurning => "NodesTurning",
            Self::Unsettled => "Unsettled",
        }
    }
}

/// What does at this moment, the worst first.
pub(crate) fn of(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Option<Still> {
    let hides = |finding: &Finding| {
        finding.severity == Severity::Hold
            && matches!(finding.rule, Rule::EvidenceMasked | Rule::ReplicaFrozen)
    };
    if verdict.blind {
        let is_masked = verdict.findings.iter().any(hides);
        Some(if is_masked {
            Still::Masked
        } else {
            Still::Unseen
        })
    } else if verdict.harmed() {
        Some(Still::Harmed)
    } else if verdict.elsewhere() {
        Some(Still::Elsewhere)
    } else if history.nodes.is_turning(scene.now) {
        Some(Still::NodesTurning)
    } else if !waves::settled(scene.policy, scene.census, history.progress.target) {
        Some(Still::Unsettled)
    } else {
        None
    }
}
