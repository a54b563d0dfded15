//! Ids, the page, and what checks make of a cluster that is well and of one that is not.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir_core::time::Moment;

use super::{
    facts::{Cluster, Enrolled, NameServer, Part, Running, Shipped},
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
        account: "weir".to_owned(),
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
            daemon_sets: Ok(parsed(json!([daemon_set("logs", "logs", &json!({}))]))),
            cluster_bindings: Ok(parsed(json!([binding("logs", "reader")]))),
            cluster_roles: Ok(parsed(json!([
                role("reader", "pods"),
                role("cluster-admin", "*")
            ]))),
        },
        lacks: list::rights().iter().map(|_| Ok(Vec::new())).collect(),
        dns: Ok(vec![name_server(true, Ok(()))]),
    }
}

fn name_server(ready: bool, answer: Result<(), String>) -> NameServer {
    NameServer {
        name: "coredns-1".to_owned(),
        ready,
        answer: Some(answer),
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

fn daemon_set(name: &str, account: &str, labels: &Value) -> Value {
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
        "rules": [{
            "apiGroups": [if resource == "*" { "*" } else { "" }],
            "resources": [resource], "verbs": ["list", "watch"],
        }],
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

const CASES: &[Case] = &[
    ("kubernetes-version", Level::Trouble, |facts| {
        facts.cluster.version.as_mut().unwrap().minor = "35".to_owned();
    }),
    ("policy-is-taken", Level::Unknown, |facts| {
        facts.cluster.takes_policy = Err("404".to_owned());
    }),
    ("flow-control", Level::Trouble, |facts| {
        facts.cluster.flow_schemas = Ok(Vec::new());
    }),
    ("not-all-is-approved", Level::Trouble, |facts| {
        facts.cluster.approves_all = Ok(true);
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
        facts.lacks[0] = Ok(vec!["watch".to_owned()]);
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
            .retain(|one| one.metadata.name.as_deref() != Some("weir-only-removes-its-gate"));
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
        facts.shipped.gate_bindings[0] = Ok(None);
    }),
    ("gate-account", Level::Trouble, |facts| {
        facts.shipped.role_binding = Ok(None);
    }),
    ("gate-active", Level::Trouble, |facts| {
        facts.running.gate = Ok(Gate::Open {
            namespaces: true,
            templates: false,
        });
    }),
    ("approvals", Level::Trouble, |facts| {
        facts.running.role = Ok(None);
    }),
    ("lease", Level::Trouble, |facts| {
        facts.now = facts.now + Span::from_secs(60);
    }),
    ("version", Level::Warning, |facts| {
        status(facts).version = Some("0.0.9".to_owned());
    }),
    ("api-servers-seen", Level::Trouble, |facts| {
        status(facts).expected_servers = Some(3);
    }),
    ("api-servers-agree", Level::Warning, |facts| {
        facts.cluster.identities = Ok(3);
    }),
    ("labels-are-modes", Level::Trouble, |facts| {
        let labels = json!({ "weir.dev/guard": "enforced" });
        facts
            .enrolled
            .daemon_sets
            .as_mut()
            .unwrap()
            .push(parsed(daemon_set("slip", "slip", &labels)));
    }),
    ("accounts-are-own", Level::Warning, |facts| {
        let other = parsed(daemon_set("metrics", "logs", &json!({})));
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
            since: None,
        }]);
    }),
    ("namespace", Level::Trouble, |facts| {
        facts.shipped.namespace = Ok(None);
    }),
    ("account", Level::Trouble, |facts| {
        facts.shipped.account = Ok(None);
    }),
    ("kind-rolloutpolicies", Level::Trouble, |facts| {
        let kind = facts
            .shipped
            .kinds
            .get_mut("rolloutpolicies.weir.dev")
            .unwrap();
        *kind = Ok(None);
    }),
    ("kind-controlplanes", Level::Trouble, |facts| {
        let kind = facts
            .shipped
            .kinds
            .get_mut("controlplanes.weir.dev")
            .unwrap();
        // It is defined, and not served yet.
        kind.as_mut().unwrap().as_mut().unwrap().status = None;
    }),
    ("api-server-addresses", Level::Trouble, |facts| {
        (facts.cluster.addresses, facts.cluster.identities) = (Ok(0), Ok(0));
    }),
    ("confined-check", Level::Trouble, |facts| {
        confining(facts, "weir-check-dry-run-only").failure_policy = Some("Ignore".to_owned());
    }),
    ("confined-orders", Level::Trouble, |facts| {
        let off = parsed(json!({ "name": "off", "expression": "false" }));
        let spec = confining(facts, "weir-orders-need-approval");
        spec.match_conditions.as_mut().unwrap().push(off);
    }),
    ("gate-as-weir-sees-it", Level::Trouble, |facts| {
        status(facts).conditions[1].status = "False".to_owned();
    }),
    ("approvals-room", Level::Warning, |facts| {
        let role = facts.running.role.as_mut().unwrap().as_mut().unwrap();
        let names = (0..2000).map(|number| format!("u.{number}"));
        role.rules.as_mut().unwrap()[0].resource_names = Some(names.collect());
    }),
    ("ready", Level::Trouble, |facts| {
        status(facts).conditions[0].status = "False".to_owned();
    }),
    ("api-servers-quiet", Level::Trouble, |facts| {
        status(facts).servers[0].state = crate::api::ServerState::Suffering;
    }),
    ("api-servers-fresh", Level::Trouble, |facts| {
        status(facts).servers[0].state = crate::api::ServerState::Unseen;
    }),
    ("meters-work", Level::Trouble, |facts| {
        let dangling = json!({ "conditions": [{ "type": "Dangling", "status": "True" }] });
        facts.cluster.flow_schemas.as_mut().unwrap()[0].status = Some(parsed(dangling));
    }),
    ("meters-few", Level::Warning, |facts| {
        let meter = facts.cluster.flow_schemas.as_ref().unwrap()[0].clone();
        facts.cluster.flow_schemas = Ok(vec![meter; 101]);
    }),
    ("policies-are-valid", Level::Trouble, |facts| {
        facts.running.policies = Ok(parsed(json!([policy("Ready")])));
    }),
    ("policies-are-used", Level::Warning, |facts| {
        facts.running.policies = Ok(parsed(json!([policy("Matched")])));
    }),
    ("dependencies-are-known", Level::Warning, |facts| {
        facts.running.policies = Ok(parsed(json!([policy("DependenciesKnown")])));
    }),
    ("nothing-is-held", Level::Warning, |facts| {
        in_state(facts, "Held", 0);
    }),
    ("nothing-is-held", Level::Warning, |facts| {
        in_state(facts, "Progressing", 0);
        let status = facts.running.rollouts.as_mut().unwrap()[0].status.as_mut();
        status.unwrap().held_by = Some("WriteFailed".to_owned());
    }),
    ("nothing-is-refused", Level::Warning, |facts| {
        in_state(facts, "Refused", 0);
    }),
    ("nothing-is-paused", Level::Warning, |facts| {
        in_state(facts, "Paused", 0);
    }),
    ("no-node-starves", Level::Warning, |facts| {
        in_state(facts, "Soaking", 3);
    }),
    ("somebody-is-enrolled", Level::Warning, |facts| {
        facts.enrolled.daemon_sets = Ok(Vec::new());
    }),
    ("dns-served", Level::Trouble, |facts| {
        facts.dns = Ok(vec![name_server(false, Ok(()))]);
    }),
    ("dns-answers", Level::Trouble, |facts| {
        facts.dns = Ok(vec![name_server(true, Err("refused".to_owned()))]);
    }),
    ("dns-fresh", Level::Trouble, |facts| {
        let status = status(facts);
        status.dns = Some(crate::api::DnsStatus::default());
        let mut fresh = status.conditions.first().unwrap().clone();
        "DNSFresh".clone_into(&mut fresh.type_);
        "False".clone_into(&mut fresh.status);
        status.conditions.push(fresh);
    }),
];

/// What goes wrong with others: each with the check that names the cause.
const AMONG: &[Case] = &[
    ("control-plane", Level::Trouble, |facts| {
        facts.running.control_plane = Ok(None);
    }),
    ("api-servers-expected", Level::Trouble, |facts| {
        status(facts).expected_servers = None;
    }),
    ("meters-attended", Level::Warning, |facts| {
        let lease = facts.running.lease.as_mut().unwrap().as_mut().unwrap();
        lease.spec.as_mut().unwrap().holder_identity = Some(String::new());
    }),
];

fn confining<'a>(
    facts: &'a mut Facts,
    name: &str,
) -> &'a mut k8s_openapi::api::admissionregistration::v1::ValidatingAdmissionPolicySpec {
    let mut policies = facts.shipped.confining.as_mut().unwrap().iter_mut();
    let policy = policies.find(|one| one.metadata.name.as_deref() == Some(name));
    policy.unwrap().spec.as_mut().unwrap()
}

fn policy(wrong: &str) -> Value {
    json!({
        "metadata": { "name": "careful" }, "spec": {},
        "status": { "conditions": [{
            "type": wrong, "status": "False", "reason": "Any", "message": "told",
            "lastTransitionTime": "2026-11-21T09:00:00Z",
        }] },
    })
}

fn in_state(facts: &mut Facts, state: &str, without_pod: u32) {
    facts.running.rollouts = Ok(parsed(json!([{
        "metadata": { "namespace": "shop", "name": "logs-1" },
        "spec": { "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "r" },
        "status": { "state": state, "nodesWithoutPod": without_pod },
    }])));
}

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
    for &(id, level, breaks) in CASES {
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
fn what_goes_wrong_with_others_is_found_by_the_check_that_names_it() {
    for &(id, level, breaks) in AMONG {
        let mut facts = well();
        breaks(&mut facts);
        let found = wrong(&facts);
        let is_found = found.iter().any(|(one, how, _)| one == id && *how == level);
        assert!(is_found, "{id}: {found:?}");
    }
}

#[test]
fn every_check_is_shown_something_that_is_wrong() {
    let shown: BTreeSet<&str> = CASES.iter().chain(AMONG).map(|(id, ..)| *id).collect();
    // Of those that are made from lists one stands for all.
    let made = |id: &str| id.starts_with("weir-may-") || id.starts_with("may-create-");
    let all = checks();
    let ids = all.iter().map(|check| check.id.as_str());
    let without: Vec<_> = ids.filter(|id| !shown.contains(id) && !made(id)).collect();
    assert_eq!(without, [""; 0]);
}

/// The facts of a well cluster, as far as these parts are asked for.
fn asked(parts: &[Part]) -> Facts {
    let (well, none) = (well(), Facts::none(NOW));
    let of = |part: Part| parts.contains(&part);
    let (state, gate, rollouts) = (of(Part::State), of(Part::Gate), of(Part::Rollouts));
    let (known, unknown) = (well.running, none.running);
    Facts {
        now: NOW,
        account: "weir".to_owned(),
        cluster: if of(Part::Cluster) {
            well.cluster
        } else {
            none.cluster
        },
        shipped: if of(Part::Shipped) {
            well.shipped
        } else {
            none.shipped
        },
        running: Running {
            gate: if gate { known.gate } else { unknown.gate },
            role: if gate { known.role } else { unknown.role },
            lease: if state { known.lease } else { unknown.lease },
            control_plane: if state {
                known.control_plane
            } else {
                unknown.control_plane
            },
            policies: if rollouts {
                known.policies
            } else {
                unknown.policies
            },
            rollouts: if rollouts {
                known.rollouts
            } else {
                unknown.rollouts
            },
            gated: if rollouts { known.gated } else { unknown.gated },
        },
        enrolled: if of(Part::Enrolled) {
            well.enrolled
        } else {
            none.enrolled
        },
        lacks: if of(Part::Rights) {
            well.lacks
        } else {
            none.lacks
        },
        dns: if of(Part::Dns) { well.dns } else { none.dns },
    }
}

#[test]
fn a_check_that_is_run_alone_asks_for_what_it_needs() {
    let well = well();
    for check in checks() {
        assert!(!check.needs().is_empty(), "{}", check.id);
        let alone = check.run(&asked(check.needs()));
        assert_eq!(alone, check.run(&well), "{}", check.id);
    }
}

#[test]
fn a_pod_that_was_gated_just_now_or_while_weir_is_down_is_not_stranded_yet() {
    let gated = |since: Moment| {
        Ok(vec![crate::valve::gates::Gated {
            namespace: "shop".to_owned(),
            name: "logs-x".to_owned(),
            revision: None,
            since: Some(since),
        }])
    };
    let mut facts = well();
    facts.running.gated = gated(NOW - Span::from_secs(20));
    assert_eq!(wrong(&facts), []);
    facts.running.gated = gated(NOW - Span::from_secs(600));
    assert_eq!(wrong(&facts)[0].1, Level::Trouble);
    facts.running.lease = Ok(None);
    let found = wrong(&facts);
    let stranded = found.iter().find(|(id, ..)| id == "no-pod-is-stranded");
    let (_, level, said) = stranded.unwrap();
    assert_eq!(*level, Level::Warning);
    assert!(said.contains("Weir is not at work"), "{said}");
}

/// The chart takes another name (serviceAccount.name), and confines that one.
#[test]
fn an_account_of_another_name_is_confined_as_well() {
    let mut facts = well();
    facts.account = "guard".to_owned();
    facts.shipped.account = Ok(Some(parsed(json!({ "metadata": { "name": "guard" } }))));
    let found = wrong(&facts);
    assert!(
        !found.is_empty() && found.iter().all(|(id, ..)| id.starts_with("confined-")),
        "{found:?}"
    );
    let shipped = serde_json::to_string(&facts.shipped.confining.unwrap()).unwrap();
    let other = shipped.replace("weir-system:weir'", "weir-system:guard'");
    facts.shipped.confining = Ok(serde_json::from_str(&other).unwrap());
    assert_eq!(wrong(&facts), []);
}

#[test]
fn what_accounts_may_list_is_told_with_its_group() {
    let rule = |group: &str, resource: &str| json!({ "apiGroups": [group], "resources": [resource], "verbs": ["list"] });
    let mut facts = well();
    facts.enrolled.cluster_roles = Ok(parsed(json!([{
        "metadata": { "name": "reader" },
        "rules": [rule("cilium.io", "*"), rule("metrics.k8s.io", "pods"), rule("", "nodes")],
    }])));
    assert_eq!(wrong(&facts), []);
    let all = checks();
    let check = all.iter().find(|one| one.id == "accounts-by-footprint");
    assert_eq!(
        check.unwrap().run(&facts).unwrap(),
        "shop/logs: nodes, *.cilium.io, pods.metrics.k8s.io"
    );
}

#[test]
fn accounts_are_ranked_by_what_they_may_list() {
    let mut facts = well();
    for name in ["a", "b"] {
        let one = parsed(daemon_set(name, name, &json!({})));
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
        weir_account: None,
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
    assert_eq!(
        ids(&args(false, &["dns"])),
        ["dns-served", "dns-answers", "dns-fresh"]
    );
    assert_eq!(ids(&args(true, &[])).len(), 13);
    assert_eq!(
        ids(&args(true, &["kubernetes-version"])),
        ["kubernetes-version"]
    );
    let refused: [(bool, &[&str], &str); 4] = [
        (false, &["nonsense"], "there is no check"),
        (true, &["gate-active"], "no part of --pre"),
        (
            true,
            &["kubernetes-version", "gate-active"],
            "`gate-active`",
        ),
        (true, &["meters"], "`meters` is no part"),
    ];
    for (pre, only, said) in refused {
        let error = chosen(&all, &args(pre, only)).map(drop).unwrap_err();
        assert_eq!(error.kind().code(), 2, "{only:?}");
        assert!(error.to_string().contains(said), "{error}");
    }
}

#[test]
fn a_kind_that_knows_fewer_values_is_of_an_older_version() {
    let mut facts = well();
    let kind = facts.shipped.kinds.get_mut("guardedrollouts.weir.dev");
    let kind = kind.unwrap().as_mut().unwrap().as_mut().unwrap();
    let mut value = serde_json::to_value(&*kind).unwrap();
    let path = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/state/enum";
    let states = value.pointer_mut(path).unwrap().as_array_mut().unwrap();
    let all = states.len();
    states.retain(|state| state != "LetGo");
    assert_eq!(states.len(), all - 1);
    *kind = parsed(value);
    let found = wrong(&facts);
    assert_eq!(
        (found.len(), found[0].0.as_str()),
        (1, "kind-guardedrollouts")
    );
    assert_eq!(
        found[0].2,
        "1 fields or values are not defined in the cluster, .status.state=LetGo among them: it is of an older \
         version"
    );
}
