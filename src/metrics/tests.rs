use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    burn::BadTime,
    evidence::{
        Caches, Dns, DnsEvidence, Health, Horizon, Latency, LayerEvidence, Mask, Measured, Reading,
        Role, Sight, Source,
    },
    plan::{Finding, Rule, Severity, State},
    still::Still,
    time::{Moment, Span},
};

use super::*;
use crate::{
    client::Spent,
    snapshot::{Done, RolloutView},
};

fn report() -> Report {
    let finding = |subject: &str| Finding {
        rule: Rule::LatencyRegressed,
        severity: Severity::Hold,
        subject: subject.to_owned(),
        evidence: "p50 is 900 ms".to_owned(),
        clears_when: "it is not".to_owned(),
    };
    Report {
        state: State::Held,
        findings: vec![finding("a"), finding("b")],
        hold: None,
        width: 8,
        full_width: 200,
        target: 8,
        wave: 3,
        soaked: Span::from_secs(4),
        soak_needed: Span::from_secs(60),
        soak_stands_still: Some(Still::Harmed),
        incident: None,
        forecast: None,
        nodes_without_pod: 2,
        summary: String::new(),
    }
}

fn stale() -> Reading<()> {
    Reading::Stale {
        value: (),
        age: Span::from_secs(95),
    }
}

fn server() -> ServerEvidence {
    let unknown = || "not yet".to_owned();
    ServerEvidence {
        latency: Reading::Stale {
            value: Latency {
                p50_ms: 250.0,
                max_ms: 900.0,
                probes: 5,
                slow: 0,
                refused: 0,
                failure: None,
                baseline_p50_ms: None,
            },
            age: Span::from_secs(12),
        },
        flow: Reading::Absent { why: unknown() },
        process: Reading::Absent { why: unknown() },
        counted: Reading::Fresh(std::sync::Arc::default()),
        bad: BadTime {
            hour: 0.25,
            ..BadTime::default()
        },
        restarted: None,
        spare: false,
    }
}

fn dns() -> Dns {
    let sight = Sight {
        epoch: Some(1),
        lag: Span::from_secs(55),
        ttl: Span::from_secs(2),
        expires: Moment::from_millis(2_001),
        serial_age: None,
        heard: Moment::from_millis(1),
    };
    let layer = LayerEvidence {
        role: Role::Resolver,
        reading: Reading::Masked {
            value: sight,
            by: Mask::Cache,
        },
        horizon: Some(Horizon::Until {
            at: Moment::from_millis(3_601),
            is_assumed: false,
        }),
        measured: Measured::Yes,
    };
    Dns::Measured(DnsEvidence {
        source: Source::Beating,
        layers: BTreeMap::from([("resolver 169.254.20.10".to_owned(), layer)]),
        skew_ms: -2_500,
        caches: Caches {
            hits_per_mille: BTreeMap::from([("resolver 169.254.20.10".to_owned(), 900)]),
            nodes: 2,
            stale_nodes: BTreeSet::from(["10.0.0.1".to_owned()]),
        },
    })
}

fn snapshot() -> Snapshot {
    let id = ServerId {
        address: "172.16.0.1:6443".to_owned(),
        started: Some(1_700_000_000_000),
    };
    let view = RolloutView {
        revision: "aaa".to_owned(),
        mode: Some(Mode::Enforce),
        decision: "1-1".to_owned(),
        report: report(),
    };
    Snapshot {
        at: Moment::from_millis(1),
        ticks: 7,
        ceiling: Mode::Enforce,
        leader: Some("weir-0".to_owned()),
        leads: true,
        ready: true,
        waiting: Vec::new(),
        gate_in_force: Some(false),
        valve_in_order: None,
        approved: 3,
        sources: BTreeMap::from([("namespaces", stale())]),
        servers: BTreeMap::from([(id, server())]),
        expected_servers: Reading::Fresh(2),
        dns: dns(),
        dependencies: BTreeMap::from([(
            ("fleet".to_owned(), "cloud".to_owned()),
            Reading::Fresh(Health::Incident {
                what: "it is `major`, not `none`".to_owned(),
            }),
        )]),
        watches: BTreeMap::from([("daemonsets".to_owned(), Span::from_secs(2))]),
        enrolled: 1,
        rollouts: BTreeMap::from([(("shop".to_owned(), "logs".to_owned()), view)]),
        stranded: BTreeMap::from([(("shop".to_owned(), "logs".to_owned()), 3)]),
        unwritten: BTreeSet::from([("shop".to_owned(), "DaemonSet", "logs".to_owned())]),
        metered: BTreeMap::from([("own", 2), ("none", 1)]),
        spent: Spent {
            requests: 12,
            ..Spent::default()
        },
        done: Done::default(),
    }
}

#[test]
fn the_page_shows_what_is_known_and_nothing_for_what_is_not() {
    let page = page(&snapshot()).unwrap();
    for line in [
        "weir_rollout_width_pods{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\"} 8.0",
        "weir_nodes_without_pod{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\"} 2.0",
        "weir_stranded_pods{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\"} 3.0",
        "weir_write_failed{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\"} 1.0",
        "weir_metered_accounts{state=\"own\"} 2.0",
        "weir_rollout_findings{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\",\
         rule=\"LatencyRegressed\",severity=\"hold\"} 2.0",
        "weir_watch_age_seconds{resource=\"daemonsets\"} 2.0",
        "weir_dns_measured 1.0",
        "weir_dns_lag_seconds{layer=\"resolver 169.254.20.10\",role=\"resolver\"} 55.0",
        "weir_dns_masked{layer=\"resolver 169.254.20.10\",role=\"resolver\",by=\"Cache\"} 1.0",
        "weir_dns_masked{layer=\"resolver 169.254.20.10\",role=\"resolver\",by=\"ControlPlane\"} 0.0",
        "weir_dns_clock_skew_seconds -2.5",
        "weir_dns_leverage{layer=\"resolver 169.254.20.10\",role=\"resolver\"} 10.0",
        "weir_dns_node_caches 2.0",
        "weir_dns_node_caches_stale 1.0",
        "weir_dns_horizon_seconds{layer=\"resolver 169.254.20.10\",role=\"resolver\"} 3.6",
        "weir_dependency_state{policy=\"fleet\",dependency=\"cloud\",state=\"incident\"} 1.0",
        "weir_dependency_state{policy=\"fleet\",dependency=\"cloud\",state=\"silent\"} 0.0",
        "weir_client_requests_total 12",
        "weir_guard_leader 1.0",
        "weir_gate_in_force 0.0",
        "weir_apiserver_expected_instances 2.0",
        "weir_apiserver_probe_p50_seconds{server=\"172.16.0.1:6443\",started=\"1700000000\"} 0.25",
        "weir_evidence_age_seconds{server=\"172.16.0.1:6443\",started=\"1700000000\",source=\"probes\"} 12.0",
        "weir_evidence_state{server=\"172.16.0.1:6443\",started=\"1700000000\",source=\"probes\",\
         state=\"Stale\"} 1.0",
        "weir_evidence_state{server=\"172.16.0.1:6443\",started=\"1700000000\",source=\"queues\",\
         state=\"Absent\"} 1.0",
        "weir_evidence_age_seconds{resource=\"namespaces\",source=\"watch\"} 95.0",
        "weir_evidence_state{resource=\"namespaces\",source=\"watch\",state=\"Stale\"} 1.0",
        "weir_evidence_age_seconds{layer=\"resolver 169.254.20.10\",role=\"resolver\",source=\"dns\"} 55.0",
        "weir_evidence_state{layer=\"resolver 169.254.20.10\",role=\"resolver\",source=\"dns\",\
         state=\"Masked\"} 1.0",
        "weir_dns_beacon_state{state=\"Beating\"} 1.0",
        "weir_burn_rate{server=\"172.16.0.1:6443\",started=\"1700000000\",window=\"6h\"} 0.0",
        "weir_soak_seconds{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\",revision=\"aaa\"} 4.0",
        "weir_soak_needed_seconds{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\",revision=\"aaa\"} 60.0",
        "weir_soak_standing_still{namespace=\"shop\",kind=\"DaemonSet\",name=\"logs\",revision=\"aaa\",\
         why=\"Harmed\"} 1.0",
    ] {
        assert!(
            page.lines().any(|one| one == line),
            "{line} is not in\n{page}"
        );
    }
    let hour = "window=\"1h\"} 2";
    assert!(
        page.contains(hour),
        "{hour}5 times, but for the rounding\n{page}"
    );
    for absent in ["weir_apiserver_cpu_cores{", "weir_valve_in_order "] {
        assert!(!page.contains(absent), "{absent} is shown, but not known");
    }
    assert!(page.ends_with("# EOF\n"));
}

#[test]
fn no_label_comes_from_a_message() {
    let page = page(&snapshot()).unwrap();
    assert!(!page.contains("900 ms") && !page.contains("major"));
    assert!(!page.contains("weir-0"));
}

/// Metrics of Weir's that a text names.
fn named(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '_';
    let names = text
        .match_indices("weir_")
        .filter_map(|(at, _)| text[at..].split(|c| !is_name(c)).next());
    names.map(str::to_owned).collect()
}

/// As Prometheus stores them: a counter's samples end in `_total`.
fn exported() -> BTreeSet<String> {
    let mut known = snapshot();
    known.valve_in_order = Some(true);
    let page = page(&known).unwrap();
    let shown = page.lines().filter_map(|line| {
        let (name, kind) = line.strip_prefix("# TYPE ")?.split_once(' ')?;
        let total = if kind == "counter" { "_total" } else { "" };
        Some(format!("{name}{total}"))
    });
    let of_servers = SERVER_GAUGES.iter().map(|(name, _, _)| *name);
    let gauges = of_servers.chain(foreseen::names()).chain(dns::names());
    let gauges = gauges
        .chain(burn::names())
        .chain(evidence::names())
        .chain(soak::names());
    let gauges = gauges.map(|name| format!("weir_{name}"));
    shown.chain(gauges).collect()
}

#[test]
fn alerts_and_the_dashboard_name_what_is_exported() {
    let exported = exported();
    for text in [
        include_str!("../../charts/weir/files/alerts.yaml"),
        include_str!("../../charts/weir/files/dashboard.json"),
    ] {
        let named = named(text);
        assert!(named.len() > 5, "{named:?}");
        let unknown: Vec<_> = named.difference(&exported).collect();
        assert!(unknown.is_empty(), "{unknown:?} of {exported:?}");
    }
    for wrong in [
        "weir_client_requests",
        "weir_guard_leader_total",
        "weir_state",
    ] {
        assert!(!exported.contains(wrong), "{wrong}");
    }
}
