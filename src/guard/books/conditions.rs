//! What is so of an object → conditions as KEP-1623 and kstatus read them.
//!
//! | the rollout is | Ready | Reconciling | Stalled | Held |
//! |---|---|---|---|---|
//! | on its way | False | True | False | False |
//! | held or paused | False | True | False | True |
//! | complete, or paced | True | False | False | False |
//! | refused | False | False | True | False |
//! | superseded | | False | False | False |
//! | let go | | False | False | False |
//!
//! A held rollout reconciles: it goes on by itself when what held it is gone. Only what waits for a
//! person's change of the workload is stalled. What nobody asks for any longer has no Ready: False would keep
//! kstatus waiting for ever, and True would tell a pipeline that waits for this revision that it runs well.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Condition;
use weir_core::time::Moment;

use crate::api::{
    bounds::{self, clip},
    marks::conditions,
    times::time,
};

/// One condition, without its time.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Said {
    pub(super) kind: &'static str,
    pub(super) holds: bool,
    pub(super) reason: String,
    pub(super) message: String,
}

/// Where a rollout stands, as far as conditions care.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Stand<'a> {
    /// Pods are let through, or soak.
    Underway { reason: &'a str },
    /// Nothing more is let through, for this reason.
    Held { reason: &'a str },
    /// The revision is everywhere, and approved.
    Complete,
    /// The revision is everywhere; its pods must not start all at once, so that it is not approved.
    Paced,
    /// It is not guarded until somebody changes the workload.
    Refused { reason: &'a str },
    /// The workload has another revision now.
    Superseded,
    /// Nobody asked for its being held any longer; whether it runs well nobody has seen.
    LetGo,
}

/// The conditions of a rollout.
pub(super) fn of_rollout(stand: Stand<'_>, message: &str) -> Vec<Said> {
    let (ready, reconciling, stalled, held, reason) = match stand {
        Stand::Underway { reason } => (Some(false), true, false, false, reason),
        Stand::Held { reason } => (Some(false), true, false, true, reason),
        Stand::Complete => (Some(true), false, false, false, "Complete"),
        Stand::Paced => (Some(true), false, false, false, "Paced"),
        Stand::Refused { reason } => (Some(false), false, true, false, reason),
        Stand::Superseded => (None, false, false, false, "Superseded"),
        Stand::LetGo => (None, false, false, false, "LetGo"),
    };
    let all = [
        (conditions::READY, ready),
        (conditions::RECONCILING, Some(reconciling)),
        (conditions::STALLED, Some(stalled)),
        (conditions::HELD, Some(held)),
    ];
    let said = all.into_iter().filter_map(|(kind, holds)| {
        Some(Said {
            kind,
            holds: holds?,
            reason: reason.to_owned(),
            message: message.to_owned(),
        })
    });
    said.collect()
}

/// Conditions with their times: one that did not turn keeps its time.
pub(super) fn timed(
    said: Vec<Said>,
    before: &[Condition],
    generation: Option<i64>,
    now: Moment,
) -> Vec<Condition> {
    let timed = |said: Said| {
        let status = if said.holds { "True" } else { "False" };
        let same = before
            .iter()
            .find(|old| old.type_ == said.kind && old.status == status);
        Condition {
            type_: said.kind.to_owned(),
            status: status.to_owned(),
            reason: said.reason,
            message: clip(&said.message, bounds::TEXT),
            observed_generation: generation,
            last_transition_time: same
                .map_or_else(|| time(now), |old| old.last_transition_time.clone()),
        }
    };
    said.into_iter().map(timed).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(seconds * 1000)
    }

    #[test]
    fn a_condition_keeps_its_time_until_it_turns() {
        let soaking = of_rollout(Stand::Underway { reason: "Soaking" }, "soaking");
        let first = timed(soaking.clone(), &[], Some(1), at(100));
        let later = timed(soaking, &first, Some(1), at(200));
        assert_eq!(first, later);

        let held = of_rollout(
            Stand::Held {
                reason: "Rejecting",
            },
            "429",
        );
        let turned = timed(held, &first, Some(2), at(300));
        for condition in &turned {
            let expected = if condition.type_ == conditions::HELD {
                300
            } else {
                100
            };
            assert_eq!(
                condition.last_transition_time,
                time(at(expected)),
                "{}",
                condition.type_
            );
            assert_eq!(condition.observed_generation, Some(2));
        }
    }

    #[test]
    fn a_long_message_is_cut_to_its_bound() {
        let said = of_rollout(Stand::Complete, &"long ".repeat(1000));
        let conditions = timed(said, &[], None, at(1));
        assert!(
            conditions
                .iter()
                .all(|one| one.message.chars().count() <= bounds::TEXT)
        );
    }
}
