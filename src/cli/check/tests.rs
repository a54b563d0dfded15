//! Ids, the page, and what checks make of a cluster that is well and of one that is not.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_core::time::Moment;

use super::{
    facts::{Cluster, Enrolled, Running, Shipped},
    *,
};
use crate::{
    api::definitions,
    valve::{gate, remote::Gate},
};

/// 2026-11-21T10:00:00Z.
const NOW: Moment = Moment::from_millis(1_795_255_200_000);

fn parsed<T: serde::de::DeserializeOwned>(value: Value) -> T {
    serde_json::from_value(value).unwrap()
}

/// Facts of a cluster in which nothing is wrong.
fn well() -> Facts {
    let kinds = definitions().map(|mut definition| {
        definition.status = Some(parsed(json!({
            "conditions": [{ "type": "Established", "status": "True" }],
        })));
        (
            definition.metadata.name.clone().unwrap(),
            Ok(Some(definition)),
        )
    });
    let namespace = |labels: Value| Ok(Some(parsed(json!({ "metadata": { "labels": labels } }))));
    let confine = include_str!("../../../deploy/confine.yaml");
    let check = include_str!("../../../deploy/check.yaml");
    let orders = include_str!("../../../deploy/orders.yaml");
    let documents = |kind: &str| -> Vec<Value> {
        let all = [confine, check, orders].into_iter();
        let all = all.flat_map(|text| serde_saphyr::from_multiple::<Value>(text).unwrap());
        all.filter(|one| one["kind"] == kind).collect()
    };
    Facts {
        now: NOW,
        cluster: cluster(),
        shipped: Shipped {
            kinds: kinds.into_iter().collect(),
            namespace: namespace(json!({})),
            check_namespace: namespace(json!({ "weir.dev/guard": "enforce" })),
            account: Ok(Some(parsed(json!({ "metadata": { "name": "weir" } })))),
            confining: Ok(parsed(json!(documents("ValidatingAdmissionPolicy")))),
            confining_bindings: Ok(parsed(json!(documents("ValidatingAdmissionPolicyBinding")))),
            gate_policy: Ok(Some(gate::policy())),
            gate_bindings: gate::bindings().map(|binding| Ok(Some(binding))).to_vec(),
            role_binding: Ok(Some(gate::role_binding())),
        },
        running: running(),
        enrolled: Enrolled {
            namespaces: Ok(parsed(json!([{ "metadata": {
                "name": "shop", "labels": { "weir.dev/guard": "enforce" },
            } }]))),
            daemon_sets: Ok(parsed(json!([daemon_set("logs", "logs", json!({}))]))),
            cluster_bindings: Ok(parsed(json!([binding("logs", "reader")]))),
            cluster_roles: Ok(parsed(json!([
                role("reader", "pods"),
                role("cluster-admin", "*")
            ]))),
        },
        lacks: list::rights().iter().map(|_| Ok(Vec::new())).collect(),
    }
}

fn cluster() -> Cluster {
    let may_install = list::MAY_INSTALL.iter();
    Cluster {
        version: Ok(parsed(json!({
            "major": "1", "minor": "36+", "gitVersion": "v1.36.3", "buildDate": "", "compiler": "",
            "gitCommit": "", "gitTreeState": "", "goVersion": "", "platform": "",
        }))),
        takes_policy: Ok(()),
        may_install: may_install
            .map(|(resource, _)| (*resource, Ok(true)))
            .collect(),
        approves_all: Ok(false),
        addresses: Ok(1),
        identities: Ok(1),
        flow_schemas: Ok(parsed(json!([{ "metadata": {
            "name": "weir-meter-shop.logs", "labels": { "app.kubernetes.io/managed-by": "weir" },
        } }]))),
    }
}

fn running() -> Running {
    let condition = |kind: &str, status: &str| {
        json!({
            "type": kind, "status": status, "reason": "Any", "message": "told",
            "lastTransitionTime": "2026-11-21T09:00:00Z",
        })
    };
    Running {
        gate: Ok(Gate::InForce),
        role: Ok(Some(parsed(json!({
            "metadata": { "name": "weir-approved" },
            "rules": [
                {
                    "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"],
                    "resourceNames": ["u.1"],
                },
                { "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"] },
            ],
        })))),
        lease: Ok(Some(parsed(json!({ "spec": {
            "holderIdentity": "weir-1", "leaseDurationSeconds": 40,
            "renewTime": "2026-11-21T09:59:50.000000Z",
        } })))),
        control_plane: Ok(Some(parsed(json!({
            "metadata": { "name": "cluster" }, "spec": {},
            "status": {
                "mode": "Enforce", "version": env!("CARGO_PKG_VERSION"), "expectedServers": 1,
                "servers": [{ "address": "10.0.0.1:6443", "state": "Quiet" }],
                "conditions": [condition("Ready", "True"), condition("Gating", "True")],
            },
        })))),
        policies: Ok(Vec::new()),
        rollouts: Ok(Vec::new()),
        gated: Ok(Vec::new()),
    }
}

fn daemon_set(name: &str, account: &str, labels: Value) -> Value {
    json!({
        "metadata": { "namespace": "shop", "name": name },
        "spec": {
            "selector": {},
            "template": {
                "metadata": { "labels": labels },
                "spec": { "containers": [], "serviceAccountName": account },
            },
        },
    })
}

fn binding(account: &str, role: &str) -> Value {
    json!({
        "metadata": { "name": account },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role },
        "subjects": [{ "kind": "ServiceAccount", "name": account, "namespace": "shop" }],
    })
}

fn role(name: &str, resource: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "rules": [{ "apiGroups": [""], "resources": [resource], "verbs": ["list", "watch"] }],
    })
}

/// The ids of what is not fine, each with what was said.
fn wrong(facts: &Facts) -> Vec<(String, Level, String)> {
    let all = checks();
    let all: Vec<&Check> = all.iter().collect();
    let checks = examined(&all, facts);
    let all = checks.categories.into_iter().flat_map(|one| one.checks);
    all.filter(|one| !matches!(one.result, Level::Fine | Level::Skipped))
        .map(|one| (one.id, one.result, one.said.unwrap_or_default()))
        .collect()
}

#[test]
fn nothing_is_wrong_with_a_cluster_that_is_well() {
    assert_eq!(wrong(&well()), []);
}

#[test]
fn ids_are_unique_anchors_of_which_each_has_its_heading() {
    let all = checks();
    let ids: BTreeSet<_> = all.iter().map(|check| check.id.as_str()).collect();
    assert_eq!(ids.len(), all.len());
    assert!(all.len() >= 55, "{}", all.len());
    let page = include_str!("../../../docs/reference/checks.md");
    for id in ids {
        let plain = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
        assert!(id.chars().all(plain), "{id}");
        assert!(
            page.contains(&format!("\n### {id}\n")),
            "{id} has no heading"
        );
    }
    for check in &all {
        assert!(
            !check.hint.is_empty() && !check.about.is_empty(),
            "{}",
            check.id
        );
    }
}

/// One thing that goes wrong, and the check that finds it.
type Case = (&'static str, Level, fn(&mut Facts));

const CASES: [Case; 24] = [
    ("kubernetes-version", Level::Trouble, |facts| {
        facts.cluster.version.as_mut().unwrap().minor = "35".to_owned();
    }),
    ("policy-is-taken", Level::Unknown, |facts| {
        facts.cluster.takes_policy = Err("404".to_owned())
    }),
    ("flow-control", Level::Trouble, |facts| {
        facts.cluster.flow_schemas = Ok(Vec::new())
    }),
    ("not-all-is-approved", Level::Trouble, |facts| {
        facts.cluster.approves_all = Ok(true)
    }),
    ("may-create-namespaces", Level::Warning, |facts| {
        facts.cluster.may_install.insert("namespaces", Ok(false));
    }),
    ("kind-guardedrollouts", Level::Trouble, |facts| {
        let kind = facts
            .shipped
            .kinds
            .get_mut("guardedrollouts.weir.dev")
            .unwrap();
        *kind = Ok(None);
    }),
    ("weir-may-daemonsets", Level::Trouble, |facts| {
        facts.lacks[0] = Ok(vec!["watch".to_owned()])
    }),
    ("check-namespace", Level::Trouble, |facts| {
        facts.shipped.check_namespace = Ok(Some(parsed(json!({}))));
    }),
    ("confined-pods", Level::Trouble, |facts| {
        facts
            .shipped
            .confining
            .as_mut()
            .unwrap()
            .retain(|one| one.metadata.name.as_deref() != Some("weir-only-removes-its-gate"))
    }),
    ("confined-roles", Level::Trouble, |facts| {
        for binding in facts.shipped.confining_bindings.as_mut().unwrap() {
            let spec = &mut binding.spec;
            if spec.policy_name == "weir-only-approves" {
                spec.validation_actions = vec!["Audit".to_owned()];
            }
        }
    }),
    ("confined-flowschemas", Level::Trouble, |facts| {
        for policy in facts.shipped.confining.as_mut().unwrap() {
            if policy.metadata.name.as_deref() == Some("weir-only-meters") {
                policy
                    .spec
                    .as_mut()
                    .unwrap()
                    .validations
                    .as_mut()
                    .unwrap()
                    .pop();
            }
        }
    }),
    ("gate-policy", Level::Trouble, |facts| {
        let policy = facts
            .shipped
            .gate_policy
            .as_mut()
            .unwrap()
            .as_mut()
            .unwrap();
        policy
            .spec
            .as_mut()
            .unwrap()
            .match_conditions
            .as_mut()
            .unwrap()
            .pop();
    }),
    ("gate-bindings", Level::Trouble, |facts| {
        facts.shipped.gate_bindings[0] = Ok(None)
    }),
    ("gate-account", Level::Trouble, |facts| {
        facts.shipped.role_binding = Ok(None)
    }),
    ("gate-active", Level::Trouble, |facts| {
        facts.running.gate = Ok(Gate::Open {
            namespaces: true,
            templates: false,
        });
    }),
    ("approvals", Level::Trouble, |facts| {
        facts.running.role = Ok(None)
    }),
    ("lease", Level::Trouble, |facts| {
        facts.now = facts.now + Span::from_secs(60)
    }),
    ("version", Level::Warning, |facts| {
        status(facts).version = Some("0.0.9".to_owned())
    }),
    ("api-servers-seen", Level::Trouble, |facts| {
        status(facts).expected_servers = Some(3)
    }),
    ("api-servers-agree", Level::Warning, |facts| {
        facts.cluster.identities = Ok(3)
    }),
    ("labels-are-modes", Level::Trouble, |facts| {
        let labels = json!({ "weir.dev/guard": "enforced" });
        facts
            .enrolled
            .daemon_sets
            .as_mut()
            .unwrap()
            .push(parsed(daemon_set("slip", "slip", labels)));
    }),
    ("accounts-are-own", Level::Warning, |facts| {
        let other = parsed(daemon_set("metrics", "logs", json!({})));
        facts.enrolled.daemon_sets.as_mut().unwrap().push(other);
    }),
    ("accounts-by-footprint", Level::Warning, |facts| {
        facts.enrolled.cluster_bindings = Ok(parsed(json!([binding("logs", "cluster-admin")])));
    }),
    ("no-pod-is-stranded", Level::Trouble, |facts| {
        facts.running.gated = Ok(vec![crate::valve::gates::Gated {
            namespace: "shop".to_owned(),
            name: "logs-x".to_owned(),
            revision: None,
        }]);
    }),
];

fn status(facts: &mut Facts) -> &mut crate::api::ControlPlaneStatus {
    let object = facts
        .running
        .control_plane
        .as_mut()
        .unwrap()
        .as_mut()
        .unwrap();
    object.status.as_mut().unwrap()
}

#[test]
fn each_thing_that_goes_wrong_is_found_by_its_check_alone() {
    for (id, level, breaks) in CASES {
        let mut facts = well();
        breaks(&mut facts);
        let found = wrong(&facts);
        let ids: Vec<_> = found
            .iter()
            .map(|(id, level, _)| (id.as_str(), *level))
            .collect();
        assert_eq!(ids, [(id, level)], "{found:?}");
    }
}

#[test]
fn accounts_are_ranked_by_what_they_may_list() {
    let mut facts = well();
    for name in ["a", "b"] {
        let one = parsed(daemon_set(name, name, json!({})));
        facts.enrolled.daemon_sets.as_mut().unwrap().push(one);
    }
    let bindings = json!([binding("b", "cluster-admin"), binding("logs", "reader")]);
    facts.enrolled.cluster_bindings = Ok(parsed(bindings));
    let found = wrong(&facts);
    assert_eq!(
        found[0].2,
        "shop/b: everything\nshop/logs: pods\nshop/a: nothing"
    );
}

#[test]
fn checks_can_be_chosen_by_category_and_id() {
    let args = |pre: bool, only: &[&str]| CheckArgs {
        pre,
        only: only.iter().map(|&name| name.to_owned()).collect(),
        weir: WeirArgs {
            weir_namespace: "weir-system".to_owned(),
            lease_name: "weir".to_owned(),
        },
        output: Output::Text,
    };
    let all = checks();
    let ids = |args: &CheckArgs| -> Vec<&str> {
        let chosen = chosen(&all, args).unwrap();
        chosen.into_iter().map(|one| one.id.as_str()).collect()
    };
    assert_eq!(
        ids(&args(false, &["gate-policy", "lease"])),
        ["gate-policy", "lease"]
    );
    assert_eq!(ids(&args(false, &["meters"])).len(), 3);
    assert_eq!(ids(&args(true, &[])).len(), 13);
    let error = chosen(&all, &args(false, &["nonsense"]))
        .map(drop)
        .unwrap_err();
    assert_eq!(error.kind().code(), 2);
}
