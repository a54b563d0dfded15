use weir_core::forecast::{Gauge, Measured, elsewhere};

use super::*;

fn measured() -> Measured {
    let around = |mid: f64| Estimate {
        low: mid * 0.7,
        mid,
        high: mid * 1.3,
    };
    Measured {
        objects: Some(3000.0),
        nodes: 200.0,
        servers: 1,
        widest: 8,
        base: 0.1,
        fixed: Estimate::default(),
        per_pod: around(0.001),
        cores: Some(4.0),
        start: Some(around(0.01)),
        others: Vec::new(),
    }
}

/// The same with 1 GiB of memory in use there, and a MiB for each pod.
fn with_memory(capacity: Option<f64>) -> Measured {
    const MIB: f64 = 1024.0 * 1024.0;
    Measured {
        others: vec![Gauge {
            resource: forecast::Resource::Memory,
            base: 1024.0 * MIB,
            fixed: Estimate::default(),
            per_pod: Estimate {
                low: 0.7 * MIB,
                mid: MIB,
                high: 1.3 * MIB,
            },
            capacity: capacity.map(|gib| gib * 1024.0 * MIB),
        }],
        ..measured()
    }
}

fn asked(nodes: f64) -> Asked {
    Asked {
        name: "logs".to_owned(),
        template: "sha256:00ff".to_owned(),
        origins: vec![Origin {
            workload: "shop/logs".to_owned(),
            kubernetes: Some("v1.36.3".to_owned()),
            weir: "0.1.0".to_owned(),
            nodes: 200,
            pods: Some(3000),
            api_servers: 1,
            least_width: 1,
            most_width: 8,
            metered: true,
        }],
        target: Target {
            nodes,
            objects: None,
            servers: Some(3),
            cores: None,
            in_use: None,
            stated: Vec::new(),
            budget: 0.5,
            unison: 30.0,
        },
    }
}

fn unbroken(measured: &Measured, asked: &Asked) -> String {
    let shown = plain(measured, asked);
    shown.split_whitespace().collect::<Vec<_>>().join(" ")
}

fn plain(measured: &Measured, asked: &Asked) -> String {
    let answer = elsewhere(std::slice::from_ref(measured), &asked.target).unwrap();
    let document = preflight(&answer, asked);
    anstream::adapter::strip_str(&render(&document, 90)).to_string()
}

#[test]
fn both_extremes_stand_side_by_side() {
    assert_eq!(
        plain(&measured(), &asked(1500.0)),
        include_str!("tests/open.txt")
    );
}

#[test]
fn what_is_within_budget_says_by_how_much() {
    let shown = plain(&measured(), &asked(60.0));
    assert!(
        shown.contains(
            "\nWithin budget: at most 0.089 cores would be in use, of 2 cores that may be"
        ),
        "{shown}"
    );
    assert!(!shown.contains("a guess"), "{shown}");
}

#[test]
fn what_else_may_run_out_is_told_like_cpu() {
    let within = unbroken(&with_memory(Some(16.0)), &asked(60.0));
    assert!(
        within.contains("that may be, 1.08 GiB of 8 GiB of memory, and all starts"),
        "{within}"
    );
    let open = plain(&with_memory(Some(16.0)), &asked(1500.0));
    assert_eq!(open, include_str!("tests/memory.txt"));
    let unknown = unbroken(&with_memory(None), &asked(60.0));
    assert!(
        unknown.contains("reckoned with: CPU; there is no known capacity of memory (--memory)"),
        "{unknown}"
    );
}

#[test]
fn what_is_not_known_is_asked_for() {
    let unknown = Measured {
        cores: None,
        start: None,
        objects: None,
        ..measured()
    };
    let shown = plain(&unknown, &asked(60.0));
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        shown.contains("state them with --cpu; what all pods would cost"),
        "{shown}"
    );
    assert!(
        shown.contains("0.3 times the pods in the cluster"),
        "{shown}"
    );
}

#[test]
fn what_exceeds_says_what_it_needs_at_least() {
    let shown = plain(&measured(), &asked(10_000.0));
    let shown = shown.split_whitespace().collect::<Vec<_>>().join(" ");
    assert!(
        shown.contains(
            "Too much: if a pod costs the same in any cluster, at least 3.55 cores would be in use"
        ),
        "{shown}"
    );
}

#[test]
fn as_data_it_holds_the_same() {
    let asked = asked(1500.0);
    let answer = elsewhere(&[measured()], &asked.target).unwrap();
    let document = serde_json::to_value(preflight(&answer, &asked)).unwrap();
    assert_eq!(document["verdict"], "Open");
    assert_eq!(document["pods"], 22_500.0);
    assert_eq!(document["budgetCores"], 2.0);
    assert_eq!(document["cases"][1]["growth"], "WithObjects");
}
