//! What of Events and records makes a hold, and how it is told.

use serde_json::{Value, json};

use super::*;

/// 2026-11-21T10:00:00Z.
const NOW: Moment = Moment::from_millis(1_795_255_200_000);
const SINCE: Moment = Moment::from_millis(NOW.as_millis() - 3_600_000);

fn event(at: &str, reason: &str, note: &str, name: &str) -> Event {
    serde_json::from_value(json!({
        "metadata": { "namespace": "shop", "name": "e" }, "involvedObject": {},
        "related": { "namespace": "shop", "name": name },
        "eventTime": format!("2026-11-21T{at}.000000Z"), "reason": reason, "message": note,
    }))
    .unwrap()
}

fn record(name: &str, status: &Value) -> GuardedRollout {
    serde_json::from_value(json!({
        "metadata": {
            "namespace": "shop", "name": name, "creationTimestamp": "2026-11-21T09:30:00Z",
        },
        "spec": { "workload": { "kind": "DaemonSet", "name": name, "uid": "u" }, "revision": "r" },
        "status": status,
    }))
    .unwrap()
}

fn plain(report: &Report) -> String {
    anstream::adapter::strip_str(&render(report)).to_string()
}

#[test]
fn each_hold_is_told_with_its_delay_and_the_forecast_with_its_outcome() {
    let estimate = json!({ "low": 0.2, "mid": 0.3, "high": 0.4 });
    let point = |width: u32, cores: f64| json!({ "width": width, "cpuCores": cores, "ownCores": 0.1, "windows": 9 });
    let points = [
        point(20, 0.12),
        point(50, 0.15),
        point(100, 0.2),
        point(200, 0.35),
    ];
    let complete = record(
        "logs-1",
        &json!({
            "state": "Complete", "mode": "Enforce", "width": 200, "fullWidth": 200,
            "forecast": {
                "fullWidth": 200, "budget": 0.5, "kappa": estimate, "metered": true, "meter": "m",
                "servers": 3, "points": points,
                "resources": [{
                    "resource": "Cpu", "base": 0.1, "fixed": estimate, "perPod": estimate,
                    "atFull": estimate, "capacity": 2.0,
                }],
            },
        }),
    );
    let held = record(
        "agent-1",
        &json!({
            "state": "Held", "mode": "Shadow", "width": 4, "fullWidth": 200,
        }),
    );
    let note = "Held at 4 of 200 pods: LatencyRegressed (api-a): 400 ms. Until calm. Goes on by \
                itself. To release it without Weir:\nkubectl patch …";
    let events = [
        event("09:45:00", "RolloutResumed", "Goes on.", "logs-1"),
        event("09:40:00", "RolloutHeld", note, "logs-1"),
        event("09:50:00", "RolloutComplete", "all", "logs-1"),
        event(
            "09:42:00",
            "PausedByPerson",
            "Paused by a person: lunch.",
            "logs-1",
        ),
        event(
            "09:58:00",
            "RolloutHeld",
            "Would be held at 4 of 200 pods: Rejecting (api-a): 9",
            "agent-1",
        ),
    ];
    let report = report(&[complete, held], &events, SINCE, NOW, Vec::new());
    assert_eq!(
        plain(&report),
        "SINCE 2026-11-21T09:00:00Z: 2 rollouts, 1 holds of 5m in all, 1 that would have been\n\
         \n\
         shop/agent-1  Held, 4 of 200 pods  Shadow\n  \
         2026-11-21T09:58:00Z  would be held for 2m, and still is\n      \
         Rejecting (api-a): 9\n\
         \n\
         shop/logs-1  Complete, 200 of 200 pods  Enforce\n  \
         2026-11-21T09:40:00Z  held for 5m\n      \
         LatencyRegressed (api-a): 400 ms. Until calm\n  \
         2026-11-21T09:42:00Z Paused by a person: lunch.\n  \
         forecast: CPU at full width 0.3 (0.2-0.4) of 2 cores; seen at 200 pods: 0.35 cores; \
             a line through the widths up to 100 says 0.3 cores\n\
         \n\
         Events are there since 2026-11-21T09:40:00Z only; what is older is told as far as records hold it.\n"
    );
}

#[test]
fn a_hold_without_events_is_told_from_its_condition() {
    let lonely = record(
        "agent-1",
        &json!({
            "state": "Held", "mode": "Enforce", "width": 4, "fullWidth": 200,
            "conditions": [{
                "type": "Held", "status": "True", "reason": "Rejecting", "message": "Held at 4.",
                "lastTransitionTime": "2026-11-21T08:00:00Z",
            }],
        }),
    );
    let report = report(&[lonely], &[], SINCE, NOW, vec!["events: no".to_owned()]);
    let hold = &report.rollouts[0].holds[0];
    assert_eq!(
        (hold.seconds, hold.stands, hold.would_be),
        (7200, true, false)
    );
    assert!(plain(&report).ends_with("not known: events: no\n"));
}

#[test]
fn the_times_of_an_incident_are_told_as_long_as_it_is_lately() {
    let told = |mitigated: Option<&str>| {
        let fault = json!({ "reason": "EvidenceMasked", "subject": "DNS", "evidence": "any" });
        let status = json!({
            "state": "Complete", "incident": {
                "seen": "2026-11-21T08:40:00Z", "sign": fault,
                "understood": "2026-11-21T08:40:00Z", "cause": fault, "mitigated": mitigated,
            },
        });
        let mut record = record("logs-1", &status);
        let begun = json!("2026-11-20T09:30:00Z");
        record.metadata.creation_timestamp = serde_json::from_value(begun).unwrap();
        plain(&report(&[record], &[], SINCE, NOW, Vec::new()))
    };
    let lately = told(Some("2026-11-21T09:05:00Z"));
    assert!(
        lately.contains(
            "  incident: seen 2026-11-21T08:40:00Z (EvidenceMasked on DNS), understood at once \
             (EvidenceMasked on DNS), mitigated 25m later\n"
        ),
        "{lately}"
    );
    for before in [Some("2026-11-21T08:55:00Z"), None] {
        let shown = told(before);
        assert!(!shown.contains("incident"), "{shown}");
    }
}

/// The holds of one rollout with these Events and this status.
fn holds_of(events: &[Event], status: &Value) -> Vec<Hold> {
    let record = record("logs-1", status);
    let report = report(&[record], events, SINCE, NOW, Vec::new());
    report.rollouts[0].holds.clone()
}

#[test]
fn a_hold_of_which_no_event_tells_the_end_does_not_last_until_now() {
    let held = event(
        "09:10:00",
        "RolloutHeld",
        "Held at 4 of 9 pods: Rejecting",
        "logs-1",
    );
    let superseded = json!({
        "state": "Superseded",
        "conditions": [{
            "type": "Held", "status": "False", "reason": "Superseded", "message": "",
            "lastTransitionTime": "2026-11-21T09:15:00Z",
        }],
    });
    let holds = holds_of(std::slice::from_ref(&held), &superseded);
    let told = (holds[0].seconds, holds[0].stands, holds[0].at_least);
    assert_eq!(told, (300, false, false));

    let later = event("09:12:00", "PodsStranded", "any", "logs-1");
    let holds = holds_of(&[held, later], &json!({ "state": "Soaking" }));
    let told = (holds[0].seconds, holds[0].stands, holds[0].at_least);
    assert_eq!(told, (120, false, true));
}

#[test]
fn whatever_contradicts_a_hold_ends_it() {
    for reason in [
        "RolloutResumed",
        "RolloutPaused",
        "WaveReleased",
        "RolloutNoLongerGuarded",
    ] {
        let events = [
            event(
                "09:10:00",
                "RolloutHeld",
                "Held at 4 of 9 pods: Rejecting",
                "logs-1",
            ),
            event("09:20:00", reason, "any", "logs-1"),
        ];
        let holds = holds_of(&events, &json!({ "state": "Soaking" }));
        assert_eq!(
            (holds[0].seconds, holds[0].stands),
            (600, false),
            "{reason}"
        );
    }
}

#[test]
fn an_event_that_was_told_again_is_another_hold() {
    let again = |mut event: Event, at: &str, count: i32| {
        let series =
            json!({ "count": count, "lastObservedTime": format!("2026-11-21T{at}.000000Z") });
        event.series = Some(serde_json::from_value(series).unwrap());
        event
    };
    let held = event(
        "09:10:00",
        "RolloutHeld",
        "Held at 4 of 9 pods: Rejecting",
        "logs-1",
    );
    let resumed = event("09:12:00", "RolloutResumed", "any", "logs-1");
    let events = [again(held, "09:30:00", 4), again(resumed, "09:35:00", 4)];
    let record = record("logs-1", &json!({ "state": "Soaking" }));
    let report = report(&[record], &events, SINCE, NOW, Vec::new());
    let holds = &report.rollouts[0].holds;
    let seconds: Vec<_> = holds.iter().map(|hold| hold.seconds).collect();
    assert_eq!(seconds, [120, 300]);
    assert_eq!(report.rollouts[0].like_these, 2);
    assert!(
        plain(&report).contains("and 2 more like these"),
        "{}",
        plain(&report)
    );
}

#[test]
fn too_few_narrow_widths_foretell_nothing() {
    let point = |width: u32| -> PointStatus {
        serde_json::from_value(json!({ "width": width, "cpuCores": 0.1, "windows": 2 })).unwrap()
    };
    assert_eq!(from_half(&[point(1), point(2), point(200)], 200), None);
    assert!(from_half(&[point(1), point(2), point(4), point(200)], 200).is_some());
    assert_eq!(from_half(&[point(1), point(2), point(4)], 4), None);
}
