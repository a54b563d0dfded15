//! What a RolloutPolicy's conditions say.

use super::{
    lower::{Defect, Problem},
    select::Choice,
};
use crate::api::marks;

/// What a RolloutPolicy's conditions say.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Conditions {
    /// Condition `Ready`: the policy is valid.
    pub ready: Condition,
    /// Condition `Matched`: there is an enrolled workload that it matches.
    pub matched: Condition,
    /// How many enrolled workloads it matches.
    pub workloads: u32,
}

/// One condition, as far as it depends on the policy.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Condition {
    /// Its status.
    pub holds: bool,
    /// Its reason.
    pub reason: Reason,
    /// Its message.
    pub message: String,
}

/// Reasons of a RolloutPolicy's conditions.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// The policy is valid.
    Valid,
    /// A field has no meaning, or none that could work.
    Invalid,
    /// Two fields contradict each other.
    Contradictory,
    /// Workloads are judged by this policy.
    Matches,
    /// For at least one workload another policy applies too.
    Overlaps,
    /// No enrolled workload is judged by this policy.
    MatchesNothing,
}

impl Reason {
    /// The reason as conditions spell it.
    #[must_use]
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::Valid => "Valid",
            Self::Invalid => "Invalid",
            Self::Contradictory => "Contradictory",
            Self::Matches => "Matches",
            Self::Overlaps => "Overlaps",
            Self::MatchesNothing => "MatchesNothing",
        }
    }
}

/// Whether a policy is valid, and what is wrong with it if not.
pub(super) fn ready(problems: &[Problem], selects: bool) -> Condition {
    let contradicts = |problem: &Problem| matches!(problem.defect, Defect::Contradictory(_));
    let reason = match problems {
        [] => {
            let message = "the policy is valid".to_owned();
            return Condition {
                holds: true,
                reason: Reason::Valid,
                message,
            };
        }
        _ if problems.iter().all(contradicts) => Reason::Contradictory,
        _ => Reason::Invalid,
    };
    let problems: Vec<_> = problems.iter().map(ToString::to_string).collect();
    let fallback = if selects {
        "until then the built-in Careful applies to the workloads it selects"
    } else {
        "until then it selects nothing"
    };
    Condition {
        holds: false,
        reason,
        message: format!("{}; {fallback}", problems.join("; ")),
    }
}

/// Whether a policy matches anything; `mine` are the workloads that it applies to.
pub(super) fn matched(name: &str, mine: &[(&str, &Choice)]) -> Condition {
    if mine.is_empty() {
        return Condition {
            holds: false,
            reason: Reason::MatchesNothing,
            message: format!(
                "no enrolled workload matches: a workload is enrolled by the label {} on its \
                 namespace or in its pod template",
                marks::GUARD
            ),
        };
    }
    let shared = mine.iter().find_map(|(workload, choice)| {
        choice
            .names
            .iter()
            .find(|other| *other != name)
            .map(|other| (workload, other))
    });
    let count = mine.len();
    match shared {
        None => Condition {
            holds: true,
            reason: Reason::Matches,
            message: format!("enrolled workloads matched: {count}"),
        },
        Some((workload, other)) => Condition {
            holds: true,
            reason: Reason::Overlaps,
            message: format!(
                "enrolled workloads matched: {count}; to {workload}, for one, policy {other} applies \
                 too: the stricter of each field is used"
            ),
        },
    }
}
