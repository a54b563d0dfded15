use serde_json::{Value, json};

use super::*;

fn estimate(low: f64, mid: f64, high: f64) -> Value {
    json!({ "low": low, "mid": mid, "high": high })
}

fn cpu() -> Value {
    json!({
        "resource": "Cpu", "base": 0.1, "fixed": estimate(0.0, 0.02, 0.05),
        "perPod": estimate(0.019, 0.0274, 0.036), "atFull": estimate(3.91, 5.6, 7.28),
        "capacity": 2.0, "knee": estimate(52.7, 68.6, 98.8),
    })
}

fn memory() -> Value {
    json!({
        "resource": "Memory", "base": 471_859_200.0, "fixed": estimate(0.0, 0.0, 0.0),
        "perPod": estimate(1e6, 1_258_291.2, 2e6),
        "atFull": estimate(671_859_200.0, 723_517_440.0, 871_859_200.0),
    })
}

fn forecast(full: u32, points: &[(u32, f64)]) -> Value {
    let points = points
        .iter()
        .map(|(width, cores)| json!({ "width": width, "cpuCores": cores, "ownCores": 0.0, "windows": 6 }));
    json!({
        "fullWidth": full, "budget": 0.5,
        "resources": [cpu(), memory()],
        "unison": {
            "start": estimate(0.35, 0.5, 0.65), "seconds": estimate(35.0, 50.0, 65.0), "budget": 30.0,
        },
        "points": points.collect::<Vec<_>>(),
        "dropped": [{ "why": "above 60 % CPU", "windows": 3 }],
        "kappa": estimate(0.7, 0.9, 1.0), "metered": true,
        "meter": "the account's requests alone, by FlowSchema weir-shop-logs", "servers": 1,
        "record": {
            "template": "sha256:00ff", "weir": "0.1.0", "kubernetes": "v1.36.3", "pods": 3140,
            "leastWidth": 2, "mostWidth": 16,
        },
    })
}

fn rollout(status: &Value) -> GuardedRollout {
    serde_json::from_value(json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f" },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
        },
        "status": status,
    }))
    .unwrap()
}

fn held() -> GuardedRollout {
    rollout(&json!({
        "state": "Held", "mode": "Enforce", "width": 16, "fullWidth": 200, "wave": 4,
        "nodesWithoutPod": 184, "heldBy": "ForecastExceedsCapacity",
        "summary": "Held at 16 of 200: full width would need more CPU than an API server has.",
        "findings": [{
            "reason": "ForecastExceedsCapacity", "severity": "Hold", "subject": "CPU",
            "evidence": "200 pods would use 5.6 cores (3.9 to 7.3) of an API server that has 2; it \
                         is used up at 69 pods",
            "clearsWhen": "the template's cost per pod is below 0.0093 cores, or somebody approves it",
        }],
        "policies": ["fleet"],
        "forecast": forecast(200, &[(0, 0.1), (2, 0.17), (4, 0.23), (8, 0.35), (16, 0.55)]),
    }))
}

fn plain(object: GuardedRollout, columns: usize) -> String {
    anstream::adapter::strip_str(&render(&explain(object), columns)).to_string()
}

#[test]
fn a_hold_is_explained_on_one_screen() {
    let shown = plain(held(), 80);
    assert_eq!(shown, include_str!("tests/held.txt"));
    assert!(shown.lines().all(|line| line.chars().count() <= 80));
    assert!(shown.is_ascii());
}

#[test]
fn few_pods_of_many_are_drawn_on_a_logarithmic_scale() {
    let mut object = held();
    let status = object.status.as_mut().unwrap();
    let told = forecast(
        5000,
        &[(0, 0.1), (1, 0.13), (2, 0.16), (4, 0.2), (50, 0.24)],
    );
    let mut told: ForecastStatus = serde_json::from_value(told).unwrap();
    told.servers = 3;
    told.unison = None;
    let cpu = &mut told.resources[0];
    cpu.at_full = serde_json::from_value(estimate(0.4, 0.6, 0.8)).unwrap();
    (cpu.capacity, cpu.knee) = (Some(8.0), None);
    status.forecast = Some(told);
    let shown = plain(object, 100);
    assert_eq!(shown, include_str!("tests/wide.txt"));
}

#[test]
fn without_bound_without_capacity_and_without_points_all_is_still_told() {
    let mut object = held();
    let told = object.status.as_mut().unwrap().forecast.as_mut().unwrap();
    let cpu = &mut told.resources[0];
    (cpu.capacity, cpu.knee, cpu.at_full.high) = (None, None, None);
    told.record = None;
    let shown = plain(object.clone(), 80);
    assert!(shown.contains("5.6 (at least 3.9)"), "{shown}");
    assert!(shown.contains("state it in"), "{shown}");
    assert!(shown.contains("o measured, * fit"), "{shown}");
    let told = object.status.as_mut().unwrap().forecast.as_mut().unwrap();
    told.points.clear();
    told.full_width = 0;
    let shown = plain(object, 80);
    assert!(!shown.contains("o measured"), "{shown}");
    assert!(shown.contains("widths of no pods, 0 windows"), "{shown}");
}

#[test]
fn where_there_is_no_forecast_it_says_why() {
    let cases = [
        (json!(null), "has not judged this rollout yet"),
        (json!({ "state": "Refused" }), "does not guard"),
        (json!({ "state": "Pending" }), "nothing was let through yet"),
        (
            json!({ "state": "Soaking", "mode": "Observe" }),
            "only reads",
        ),
        (json!({ "state": "Progressing" }), "counters"),
    ];
    for (status, why) in cases {
        let explanation = explain(rollout(&status));
        let said = explanation.no_forecast.clone().unwrap();
        assert!(said.contains(why), "{said}");
        assert!(render(&explanation, 80).contains("none yet"));
    }
}

#[test]
fn what_weir_cannot_write_holds_whatever_the_state_says() {
    let stuck = rollout(&json!({
        "state": "Progressing", "mode": "Enforce", "width": 4, "fullWidth": 200, "wave": 3,
        "heldBy": "WriteFailed", "summary": "Stays where it is: pods may not be patched.",
    }));
    assert!(explain(stuck.clone()).held);
    let shown = plain(stuck, 80);
    assert!(
        shown.contains("Progressing, held by WriteFailed; 4 of 200"),
        "{shown}"
    );
    let paused = rollout(&json!({ "state": "Paused", "mode": "Enforce", "heldBy": "Paused" }));
    assert!(!explain(paused.clone()).held);
    assert!(plain(paused, 80).contains("  Paused; 0 of 0 pods out"));
}

#[test]
fn the_three_times_of_an_incident_are_told() {
    let mut object = held();
    let fault =
        |reason: &str| json!({ "reason": reason, "subject": "api-a", "evidence": "400 ms" });
    let told = json!({
        "seen": "2026-11-21T09:40:00Z", "sign": fault("LatencyRegressed"),
        "understood": "2026-11-21T09:40:30Z", "cause": fault("NotTheCause"),
    });
    object.status.as_mut().unwrap().incident = serde_json::from_value(told).unwrap();
    let shown = plain(object, 80);
    let expected = "\n\nINCIDENT  goes on\n  seen 2026-11-21T09:40:00Z: LatencyRegressed on api-a: 400 ms\n  \
                    understood 30s later: NotTheCause on api-a: 400 ms\n  not mitigated yet\n\n";
    assert!(shown.contains(expected), "{shown}");
}

#[test]
fn as_data_it_is_the_status_and_whether_it_holds() {
    let document = serde_json::to_value(explain(held())).unwrap();
    assert_eq!(document["held"], true);
    assert_eq!(document["workload"]["name"], "logs");
    assert_eq!(document["forecast"]["resources"][0]["atFull"]["mid"], 5.6);
    assert_eq!(document["forecast"]["record"]["mostWidth"], 16);
    assert_eq!(document.get("noForecast"), None);
}
