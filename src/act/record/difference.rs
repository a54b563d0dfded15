//! How much two statuses differ, by the names of the fields that differ.
//!
//! ```text
//!  what differs      written again no sooner than
//!  Turn               1 s     the state, what holds it, waves: what people and a restart go by
//!  Figures            5 s     the width, lists, counts
//!  Words             60 s     sentences, in which some figure always moves, that there is a forecast, and how
//!                             fast error budgets are spent
//!  Forecast           5 min   what is foreseen, which every page of metrics moves a little
//!  (nothing)        never     latencies, and how much a forecast was made from: those of the last
//!                             change are enough
//! ```

use serde_json::Value;
use weir_core::time::Span;

/// Fields that alone are never worth a write. A transition's time goes with the transition.
const IGNORED: [&str; 6] = [
    "latencyMs",
    "usualLatencyMs",
    "lastTransitionTime",
    // Of a forecast: windows seen and left out, and pods in the cluster.
    "windows",
    "dropped",
    "pods",
];
/// The field that holds a forecast.
const FORECAST: &str = "forecast";
/// Fields that hold sentences, or figures that move as slowly as those in them should.
const WORDS: [&str; 8] = [
    "summary",
    "evidence",
    "clearsWhen",
    "message",
    "what",
    "why",
    "notMeasured",
    "burn",
];
/// Fields that move as a rollout goes on.
const FIGURES: [&str; 12] = [
    "width",
    "fullWidth",
    "nodesWithoutPod",
    "findings",
    "findingsOmitted",
    "policies",
    "matched",
    "rolloutsInFlight",
    "rolloutsHeld",
    // Of DNS: of when its answers are, and until when.
    "asOf",
    "endsAt",
    "warmReplicas",
];

/// How much two statuses differ. Later is more.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Difference {
    Forecast,
    Words,
    Figures,
    Turn,
}

impl Difference {
    /// How long after the last write such a difference has to wait.
    pub(super) const fn patience(self) -> Span {
        match self {
            Self::Forecast => Span::from_secs(300),
            Self::Words => Span::from_secs(60),
            Self::Figures => Span::from_secs(5),
            Self::Turn => Span::from_secs(1),
        }
    }
}

/// How much a status differs from the one before; `None` if it does not.
pub(super) fn difference(before: &Value, after: &Value) -> Option<Difference> {
    let without = |names: &[&[&str]]| {
        let names = names.concat();
        differs(before, after, &names)
    };
    let foreseen = |status: &Value| status.get(FORECAST).is_some();
    if without(&[&IGNORED, &[FORECAST], &WORDS, &FIGURES]) {
        Some(Difference::Turn)
    } else if without(&[&IGNORED, &[FORECAST], &WORDS]) {
        Some(Difference::Figures)
    } else if without(&[&IGNORED, &[FORECAST]]) || foreseen(before) != foreseen(after) {
        Some(Difference::Words)
    } else if without(&[&IGNORED]) {
        Some(Difference::Forecast)
    } else {
        None
    }
}

/// Whether two values differ in anything but fields of these names, at any depth.
fn differs(before: &Value, after: &Value, names: &[&str]) -> bool {
    match (before, after) {
        (Value::Object(before), Value::Object(after)) => {
            let keys = before.keys().chain(after.keys());
            let mut keys = keys.filter(|key| !names.contains(&key.as_str()));
            keys.any(|key| {
                let (before, after) = (before.get(key), after.get(key));
                match (before, after) {
                    (Some(before), Some(after)) => differs(before, after, names),
                    _ => true,
                }
            })
        }
        (Value::Array(before), Value::Array(after)) => {
            before.len() != after.len()
                || before
                    .iter()
                    .zip(after)
                    .any(|(before, after)| differs(before, after, names))
        }
        // A status that was never written.
        (Value::Null, Value::Object(after)) => !after.is_empty(),
        // The API server gives back 1 for 1.0.
        (Value::Number(before), Value::Number(after)) => before.as_f64() != after.as_f64(),
        _ => before != after,
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn held() -> Value {
        json!({
            "state": "Held",
            "width": 8,
            "summary": "held: p50 is 312 ms",
            "history": { "target": 8, "wave": 3, "pace": 0.5 },
            "findings": [{ "reason": "LatencyRegressed", "evidence": "p50 is 312 ms" }],
            "conditions": [{
                "type": "Ready", "status": "False", "reason": "LatencyRegressed",
                "message": "p50 is 312 ms", "lastTransitionTime": "2026-01-01T00:00:00Z",
            }],
        })
    }

    fn with(path: &str, value: Value) -> Value {
        let mut status = held();
        *status.pointer_mut(path).unwrap() = value;
        status
    }

    #[test]
    fn what_differs_says_how_urgent_it_is() {
        for (path, value, expected) in [
            ("/state", json!("Soaking"), Some(Difference::Turn)),
            ("/history/target", json!(16), Some(Difference::Turn)),
            (
                "/conditions/0/reason",
                json!("QueueSaturated"),
                Some(Difference::Turn),
            ),
            ("/width", json!(9), Some(Difference::Figures)),
            (
                "/findings/0/reason",
                json!("QueueSaturated"),
                Some(Difference::Figures),
            ),
            (
                "/findings/0/evidence",
                json!("p50 is 313 ms"),
                Some(Difference::Words),
            ),
            (
                "/summary",
                json!("held: p50 is 313 ms"),
                Some(Difference::Words),
            ),
            (
                "/conditions/0/lastTransitionTime",
                json!("2026-02-02T00:00:00Z"),
                None,
            ),
            ("/history/pace", json!(0.5), None),
        ] {
            assert_eq!(difference(&held(), &with(path, value)), expected, "{path}");
        }
    }

    #[test]
    fn fields_that_come_and_go_are_changes() {
        let mut without = held();
        without.as_object_mut().unwrap().remove("history");
        assert_eq!(difference(&held(), &without), Some(Difference::Turn));
        assert_eq!(difference(&without, &held()), Some(Difference::Turn));
        let mut fewer = held();
        fewer["findings"] = json!([]);
        assert_eq!(difference(&held(), &fewer), Some(Difference::Figures));
    }

    #[test]
    fn a_status_never_written_is_a_turn_unless_there_is_nothing_to_say() {
        assert_eq!(difference(&Value::Null, &held()), Some(Difference::Turn));
        assert_eq!(difference(&Value::Null, &json!({})), None);
    }

    #[test]
    fn a_latency_alone_is_never_written() {
        let server = |ms| json!({ "servers": [{ "state": "Quiet", "latencyMs": ms }] });
        assert_eq!(difference(&server(4), &server(9)), None);
    }

    #[test]
    fn how_fast_a_budget_is_spent_is_written_once_a_minute() {
        let server = |burn| json!({ "servers": [{ "state": "Quiet", "burn": burn }] });
        let some = server(json!({ "hour": 2.5 }));
        for other in [
            server(json!({ "hour": 3.0 })),
            json!({ "servers": [{ "state": "Quiet" }] }),
        ] {
            assert_eq!(difference(&some, &other), Some(Difference::Words));
        }
        assert_eq!(difference(&some, &some), None);
    }

    #[test]
    fn a_forecast_that_only_more_was_seen_for_is_not_written_again() {
        let forecast = |mid: f64, windows: u32| {
            json!({ "state": "Held", "forecast": {
                "kappa": { "mid": mid },
                "points": [{ "width": 4, "cpuCores": 0.5, "windows": windows }],
                "dropped": [{ "why": "starts", "windows": windows }],
                "record": { "template": "sha256:00", "pods": 3000 + windows },
            } })
        };
        let before = forecast(0.9, 5);
        assert_eq!(difference(&before, &forecast(0.9, 6)), None);
        let told = [
            difference(&before, &forecast(0.8, 6)),
            difference(&json!({ "state": "Held" }), &before),
        ];
        assert_eq!(told, [Some(Difference::Forecast), Some(Difference::Words)]);
        assert!(Difference::Forecast < Difference::Words);
        assert!(Difference::Forecast.patience() > Difference::Words.patience());
    }

    #[test]
    fn why_a_second_server_suffers_does_not_go_stale() {
        let server = |why| json!({ "servers": [{ "state": "Suffering", "why": why }] });
        let (before, after) = (server("LatencyRegressed"), server("Rejecting"));
        assert_eq!(difference(&before, &after), Some(Difference::Words));
    }

    #[test]
    fn numbers_are_compared_as_numbers() {
        assert_eq!(
            difference(&json!({ "pace": 1 }), &json!({ "pace": 1.0 })),
            None
        );
    }
}
