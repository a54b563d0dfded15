//! Where the line of a plot goes.

use super::*;

fn around(mid: f64, share: f64) -> EstimateStatus {
    EstimateStatus {
        low: mid * (1.0 - share),
        mid,
        high: Some(mid * (1.0 + share)),
    }
}

/// Of 200 pods that cost so much each, and so much more with the square of their number.
fn cpu(each: f64, bend: f64) -> ResourceStatus {
    let knee = |capacity: f64| {
        if bend > 0.0 {
            ((each * each + 4.0 * bend * capacity).sqrt() - each) / (2.0 * bend)
        } else {
            capacity / each
        }
    };
    ResourceStatus {
        resource: Resource::Cpu,
        base: 0.0,
        fixed: EstimateStatus {
            high: Some(0.0),
            ..around(0.0, 0.0)
        },
        per_pod: around(each, 0.3),
        at_full: around(each * 200.0 + bend * 40_000.0, 0.3),
        capacity: Some(2.0),
        knee: Some(EstimateStatus {
            low: knee(2.0 / 1.3),
            mid: knee(2.0),
            high: Some(knee(2.0 / 0.7)),
        }),
    }
}

#[test]
fn a_fit_that_bends_is_drawn_bent_and_a_straight_one_straight() {
    for (each, bend) in [(0.001, 0.000_1), (0.02, 0.0), (0.002, 0.000_02)] {
        let cpu = cpu(each, bend);
        let line = Line {
            cpu: &cpu,
            full: 200.0,
        };
        for pods in [0.0, 10.0, 50.0, 120.0, 200.0, 210.0] {
            let cores = each * pods + bend * pods * pods;
            for (drawn, share) in [
                (line.low(pods), 0.7),
                (line.mid(pods), 1.0),
                (line.high(pods), 1.3),
            ] {
                assert!(
                    (drawn - share * cores).abs() < 0.01,
                    "{pods}: {drawn} {cores}"
                );
            }
        }
        assert_eq!(line.is_bent(), bend > 0.0);
    }
}

#[test]
fn the_legend_says_that_a_fit_bends() {
    let mut told: ForecastStatus = serde_json::from_value(serde_json::json!({
        "fullWidth": 200, "budget": 0.5, "resources": [], "servers": 1,
        "points": [{ "width": 100, "cpuCores": 1.1, "ownCores": 1.1, "windows": 6 }],
        "kappa": { "low": 0.3, "mid": 0.9 }, "metered": true, "meter": "",
    }))
    .unwrap();
    for (bend, is_said) in [(0.000_1, true), (0.0, false)] {
        told.resources = vec![cpu(0.015, bend)];
        let shown = render(&told, 100).unwrap().join("\n");
        assert_eq!(shown.contains("* fit, which bends"), is_said, "{shown}");
    }
}
