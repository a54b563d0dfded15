//! Whether a harmless rollout was blamed for what another account did. It may be held while harm stands,
//! which is safe, but it must be said that it is not the cause, and it must not go slower after that.

use super::outcome::Course;
use crate::{
    bystander::stats::Harm,
    report::{FoundAt, LoopsUse, State},
};

/// Rules that say that this rollout is, or would be, too much.
const BLAMES: [&str; 4] = [
    "ForecastExceedsCapacity",
    "UnisonExceedsCapacity",
    "CostGrowsWithAge",
    "RetryAmplification",
];
/// The rule that says that it is not.
const CLEARS: &str = "NotTheCause";

/// Whether a rollout was blamed for what another account did.
pub(super) enum Blame {
    /// No other account was to do anything.
    Untried,
    /// It was cleared, as it must be.
    Cleared,
    /// It was blamed, or what the run lacks for a proof that it was not.
    Blamed(String),
}

impl Blame {
    /// Whether it was, if there is such an account.
    pub(super) fn of(
        loops: Option<&LoopsUse>,
        course: &Course,
        harm: &Harm,
        findings: &[FoundAt],
    ) -> Self {
        let Some(loops) = loops else {
            return Self::Untried;
        };
        let scene = Scene {
            loops,
            course,
            harm,
            findings,
        };
        blamed(&scene).map_or(Self::Cleared, Self::Blamed)
    }
}

/// What blame is told from.
struct Scene<'a> {
    loops: &'a LoopsUse,
    course: &'a Course,
    harm: &'a Harm,
    findings: &'a [FoundAt],
}

/// How the rollout was blamed, if it was, or what else this run lacks.
fn blamed(scene: &Scene<'_>) -> Option<String> {
    let Some(from) = scene.loops.from_second else {
        return Some("the other account never began to ask".to_owned());
    };
    let said = |reason: &str| scene.findings.iter().find(|found| found.reason == reason);
    if let Some(found) = BLAMES.into_iter().find_map(said) {
        return Some(format!(
            "it was blamed for what {} did: {}, {}",
            scene.loops.namespace, found.reason, found.evidence
        ));
    }
    if let Some(slowest) = scene.course.slowest.filter(|slowest| *slowest < 1.0) {
        return Some(format!(
            "its waves were slowed down to {slowest} for what another account did"
        ));
    }
    if scene
        .harm
        .first_second
        .is_none_or(|harmed| (harmed as f64) < from - 1.0)
    {
        return Some("nobody was harmed from when the other account began to ask".to_owned());
    }
    let Some(cleared) = said(CLEARS) else {
        return Some(format!(
            "others were harmed, and no {CLEARS} said by whom not"
        ));
    };
    let summaries = scene.course.states.iter().map(|at| &at.summary);
    let mut texts = summaries.chain([&cleared.evidence, &cleared.last_evidence]);
    let named = texts.any(|text| text.contains(&scene.loops.namespace));
    if scene.loops.metered && !named {
        return Some(format!(
            "nothing named the account of {}, though it has a meter",
            scene.loops.namespace
        ));
    }
    let state = scene.course.state();
    matches!(state, State::Refused | State::Superseded).then(|| format!("it ended {state:?}"))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::experiment::outcome::tests::{guarded, harm_at};

    fn found(reason: &str, evidence: &str) -> FoundAt {
        FoundAt {
            second: 40.0,
            reason: reason.to_owned(),
            severity: "Hold".to_owned(),
            subject: "172.31.255.1:6443".to_owned(),
            evidence: "at first nobody is known".to_owned(),
            last_evidence: evidence.to_owned(),
            clears_when: "quiet for 10 s".to_owned(),
        }
    }

    fn loops(metered: bool) -> LoopsUse {
        LoopsUse {
            profile: "looping-client".to_owned(),
            namespace: "loops-1".to_owned(),
            clients: 4,
            metered,
            from_second: Some(30.0),
            requests: 100,
            errors: 0,
        }
    }

    /// What is said of a rollout that was held, with these findings, by this pace at least.
    fn said(
        loops: &LoopsUse,
        harmed: Option<i64>,
        findings: &[FoundAt],
        pace: f64,
    ) -> Option<String> {
        let mut course = guarded(&[(35.0, State::Held)]);
        course.slowest = Some(pace);
        blamed(&Scene {
            loops,
            course: &course,
            harm: &harm_at(harmed),
            findings,
        })
    }

    #[test]
    fn a_rollout_that_is_cleared_and_no_slower_is_not_blamed() {
        let cleared = [
            found("LatencyRegressed", "p50 900 ms"),
            found("NotTheCause", "loops-1/agent: 0.9 of 1.0 cores"),
        ];
        assert_eq!(said(&loops(true), Some(32), &cleared, 1.0), None);
        let halved = said(&loops(true), Some(32), &cleared, 0.5);
        assert!(halved.is_some_and(|why| why.contains("0.5")));
        // A cause that was named before anybody harmed is none.
        assert!(said(&loops(true), Some(3), &cleared, 1.0).is_some());
        assert!(said(&loops(true), None, &cleared, 1.0).is_some());
    }

    #[test]
    fn a_rollout_that_is_blamed_or_not_cleared_is_told() {
        let blamed = [found("ForecastExceedsCapacity", "2.0 of 1.0 cores")];
        let why = said(&loops(false), Some(32), &blamed, 1.0).unwrap_or_default();
        assert!(why.contains("ForecastExceedsCapacity"), "{why}");
        let silent = [found("LatencyRegressed", "p50 900 ms")];
        assert!(said(&loops(false), Some(32), &silent, 1.0).is_some());
        // Without a meter nobody can be named.
        let unnamed = [found("NotTheCause", "nobody's meter rose")];
        assert_eq!(said(&loops(false), Some(32), &unnamed, 1.0), None);
        assert!(said(&loops(true), Some(32), &unnamed, 1.0).is_some());
        let never = LoopsUse {
            from_second: None,
            ..loops(true)
        };
        assert!(said(&never, Some(32), &unnamed, 1.0).is_some());
    }
}
