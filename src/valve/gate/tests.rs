//! Evaluates the policy's expressions and selectors as an API server would, without one. That an
//! API server agrees is shown in `e2e/tests/worlds/valve.rs`.

use std::collections::BTreeMap;

use k8s_openapi::api::core::v1::Pod;
use kube_cel::{
    KubeCelExt,
    cel::{Context, Value as CelValue, parser::Parser},
};
use proptest::prelude::*;
use serde_json::{Value, json};
use weir_core::policy::Mode;

use super::*;
use crate::valve::{Approvals, Enrolment, Membership, enrolment};

/// Evaluates an expression about a pod, with what the Role says in the place of the authorizer, which
/// only an API server has.
fn eval(expression: &str, pod: &Value, approvals: &Approvals) -> CelValue {
    let key = format!("owner.uid + '.' + object.metadata.labels['{REVISION_HASH}']");
    let expression = expression
        .replace(&allowed(VALVE, None, ADOPT), "adopted")
        .replace(
            &allowed(REVISIONS, Some(&key), RUN),
            &format!("(({key}) in approved)"),
        );
    assert!(!expression.contains("authorizer"), "{expression}");
    let parser = Parser::new();
    let parsed = parser.parse(&expression).expect("the expression parses");
    let mut context = Context::default().with_all();
    let approved: Vec<&String> = approvals.approved.keys().collect();
    context.add_variable("object", pod.clone()).unwrap();
    context
        .add_variable("adopted", json!(approvals.adopted))
        .unwrap();
    context.add_variable("approved", json!(approved)).unwrap();
    CelValue::resolve(&parsed, &context).unwrap_or_else(|error| panic!("{error}:\n{expression}"))
}

/// The first match condition that is not true, if any: what keeps the pod from being gated.
fn first_false(pod: &Value, approvals: &Approvals) -> Option<String> {
    let all = match_conditions();
    // All are evaluated, since each must stand for itself.
    let results: Vec<_> = all
        .iter()
        .map(
            |condition| match eval(&condition.expression, pod, approvals) {
                CelValue::Bool(met) => met,
                other => panic!("{} is no bool: {other:?}", condition.name),
            },
        )
        .collect();
    let first = results.iter().position(|met| !met)?;
    Some(all[first].name.clone())
}

fn pod() -> Value {
    json!({
        "metadata": {
            "labels": { "app": "logs", "controller-revision-hash": "7d9f8c" },
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "other" },
                {
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "logs", "uid": "0b5c",
                    "controller": true
                },
            ],
        },
        "spec": { "containers": [{ "name": "a", "image": "a" }] },
    })
}

fn adopted(approved: &[&str]) -> Approvals {
    let note = |key: &&str| ((*key).to_owned(), "note".to_owned());
    Approvals {
        adopted: true,
        approved: approved.iter().map(note).collect(),
    }
}

#[test]
fn a_pod_of_an_unapproved_revision_is_gated() {
    assert_eq!(first_false(&pod(), &adopted(&[])), None);
    assert_eq!(
        first_false(&pod(), &adopted(&["0b5c.other", "other.7d9f8c"])),
        None
    );
}

#[test]
fn the_annotation_is_the_key_that_approves() {
    let CelValue::String(key) = eval(&revision_expression(), &pod(), &Approvals::default()) else {
        panic!("the revision is a string");
    };
    assert_eq!(*key, crate::valve::revision_key("0b5c", "7d9f8c"));
    let found = first_false(&pod(), &adopted(&[&key]));
    assert_eq!(found.as_deref(), Some("unapproved-revision"));
}

#[test]
fn what_is_not_adopted_gates_nothing() {
    let forgotten = Approvals {
        adopted: false,
        ..adopted(&["other.7d9f8c"])
    };
    for approvals in [Approvals::default(), forgotten] {
        assert_eq!(
            first_false(&pod(), &approvals).as_deref(),
            Some("unapproved-revision")
        );
    }
}

/// Else a pod of somebody's Deployment would cost a question to an authorization webhook.
#[test]
fn the_authorizer_is_asked_last_and_of_pods_of_daemon_sets_alone() {
    for condition in match_conditions() {
        let expression = condition.expression;
        if let Some(first) = expression.find("authorizer") {
            assert_eq!(condition.name, "unapproved-revision");
            assert!(expression.find("'DaemonSet' &&").unwrap() < first);
            assert_eq!(expression.matches(".check(").count(), 2, "a third each");
        }
    }
    assert!(unapproved_expression().contains("authorizer"));
}

#[test]
fn a_pod_that_is_placed_already_is_left_alone() {
    let mut pod = pod();
    pod["spec"]["nodeName"] = json!("n1");
    assert_eq!(
        first_false(&pod, &adopted(&[])).as_deref(),
        Some("not-placed")
    );
}

#[test]
fn pods_that_no_daemon_set_made_are_left_alone() {
    let owner = |field: &str, value: Value| {
        let mut pod = pod();
        pod["metadata"]["ownerReferences"][1][field] = value;
        pod
    };
    let not_a_controller = || {
        let mut pod = pod();
        let owners = pod["metadata"]["ownerReferences"].as_array_mut().unwrap();
        owners.truncate(1);
        pod
    };
    let without = |field: &str| {
        let mut pod = pod();
        pod["metadata"].as_object_mut().unwrap().remove(field);
        pod
    };
    for pod in [
        owner("kind", json!("ReplicaSet")),
        owner("apiVersion", json!("apps.kruise.io/v1alpha1")),
        owner("controller", json!(false)),
        not_a_controller(),
        without("ownerReferences"),
        without("labels"),
        json!({ "metadata": {}, "spec": {} }),
    ] {
        let found = first_false(&pod, &adopted(&[]));
        assert_eq!(found.as_deref(), Some("unapproved-revision"), "{pod}");
    }
}

#[test]
fn a_node_critical_pod_is_left_alone_until_acknowledged() {
    let mut pod = pod();
    pod["spec"]["priorityClassName"] = json!("system-node-critical");
    assert_eq!(
        first_false(&pod, &adopted(&[])).as_deref(),
        Some("not-node-critical")
    );
    pod["metadata"]["labels"][marks::NODE_CRITICAL] = json!("yes");
    assert_eq!(
        first_false(&pod, &adopted(&[])).as_deref(),
        Some("not-node-critical")
    );
    pod["metadata"]["labels"][marks::NODE_CRITICAL] = json!(ACKNOWLEDGED);
    assert_eq!(first_false(&pod, &adopted(&[])), None);
}

/// Strings near the table's, from pieces that meet each rule and its neighbours.
fn path() -> impl Strategy<Value = String> {
    let piece = prop_oneof![
        Just("etc"),
        Just("opt"),
        Just("cni"),
        Just("cnix"),
        Just("kubelet"),
        Just("plugins"),
        Just("plugins_registry"),
        Just("device-plugins"),
        Just(""),
        Just("var"),
    ];
    proptest::collection::vec(piece, 0..6).prop_map(|pieces| format!("/{}", pieces.join("/")))
}

fn taint() -> impl Strategy<Value = String> {
    let domain = prop_oneof![
        Just("node.kubernetes.io/"),
        Just("node.cilium.io/"),
        Just("readiness.k8s.io/"),
        Just("startup-taint.cluster-autoscaler.kubernetes.io/"),
        Just(""),
        Just("ignore-taint.cluster-autoscaler.kubernetes.io/"),
        Just("node.cloudprovider.kubernetes.io/"),
    ];
    let name = prop_oneof![
        Just("agent-not-ready"),
        Just("not-ready"),
        Just("not-ready-yet"),
        Just("uninitialized"),
        Just("shutdown"),
    ];
    (domain, name).prop_map(|(domain, name)| format!("{domain}{name}"))
}

/// A pod spec in which each optional part may be missing.
fn pod_spec() -> impl Strategy<Value = Value> {
    let class = proptest::option::of(prop_oneof![
        Just("system-node-critical"),
        Just("system-cluster-critical"),
        Just("")
    ]);
    let volumes = proptest::option::of(proptest::collection::vec(
        proptest::option::of(path()),
        0..3,
    ));
    let taints = proptest::option::of(proptest::collection::vec(
        proptest::option::of(taint()),
        0..3,
    ));
    (class, volumes, taints).prop_map(|(class, volumes, taints)| {
        let mut spec = json!({ "containers": [] });
        if let Some(class) = class {
            spec["priorityClassName"] = json!(class);
        }
        if let Some(volumes) = volumes {
            let volume = |path| match path {
                Some(path) => json!({ "name": "v", "hostPath": { "path": path } }),
                None => json!({ "name": "v", "emptyDir": {} }),
            };
            spec["volumes"] = volumes.into_iter().map(volume).collect();
        }
        if let Some(taints) = taints {
            let toleration = |key| match key {
                Some(key) => json!({ "key": key, "operator": "Exists" }),
                None => json!({ "operator": "Exists" }),
            };
            spec["tolerations"] = taints.into_iter().map(toleration).collect();
        }
        spec
    })
}

proptest! {
    #[test]
    fn node_critical_is_the_same_in_cel_and_in_rust(spec in pod_spec()) {
        let mut pod = pod();
        pod["spec"] = spec;
        let cel = eval(&node_critical::cel(), &pod, &Approvals::default());
        let pod: Pod = serde_json::from_value(pod).unwrap();
        let rust = crate::valve::node_critical(&pod.spec.unwrap()).is_some();
        prop_assert_eq!(cel, CelValue::Bool(rust));
    }
}

/// Whether a selector of match expressions selects an object with these labels.
fn selects(selector: Option<&LabelSelector>, labels: &BTreeMap<String, String>) -> bool {
    let expressions = selector.and_then(|selector| selector.match_expressions.as_ref());
    expressions.into_iter().flatten().all(|requirement| {
        let value = labels.get(&requirement.key);
        let listed =
            value.is_some_and(|value| requirement.values.iter().flatten().any(|v| v == value));
        match requirement.operator.as_str() {
            "In" => listed,
            "NotIn" => !listed,
            "DoesNotExist" => value.is_none(),
            other => panic!("no selector of the gate uses {other}"),
        }
    })
}

fn resources_select(
    resources: &MatchResources,
    namespace: &BTreeMap<String, String>,
    pod: &BTreeMap<String, String>,
) -> bool {
    selects(resources.namespace_selector.as_ref(), namespace)
        && selects(resources.object_selector.as_ref(), pod)
}

/// How many bindings select a pod: whether it is gated, and that it is so once.
fn bound(namespace: &BTreeMap<String, String>, pod: &BTreeMap<String, String>) -> usize {
    let policy = policy()
        .spec
        .and_then(|spec| spec.match_constraints)
        .unwrap();
    if !resources_select(&policy, namespace, pod) {
        return 0;
    }
    let bindings = bindings().map(|binding| binding.spec.and_then(|spec| spec.match_resources));
    let bindings = bindings.into_iter().flatten();
    bindings
        .filter(|resources| resources_select(resources, namespace, pod))
        .count()
}

#[test]
fn selectors_and_enrolment_agree_on_every_combination_of_labels() {
    let guards = [
        None,
        Some("observe"),
        Some("shadow"),
        Some("enforce"),
        Some("Enforce"),
        Some(""),
    ];
    let labels = |guard: Option<&str>| -> BTreeMap<String, String> {
        guard
            .iter()
            .map(|mode| (marks::GUARD.to_owned(), (*mode).to_owned()))
            .collect()
    };
    for namespace in ["shop", "kube-system", "kube-node-lease", "weir-system"] {
        for on_namespace in guards {
            for on_template in guards {
                let template_labels = labels(on_template);
                let mut namespace_labels = labels(on_namespace);
                namespace_labels.insert(
                    "kubernetes.io/metadata.name".to_owned(),
                    namespace.to_owned(),
                );
                let workload = Membership {
                    namespace,
                    namespace_labels: &namespace_labels,
                    template_labels: &template_labels,
                    node_critical: None,
                };
                let enforced =
                    enrolment(&workload, Mode::Enforce) == Enrolment::Mode(Mode::Enforce);
                assert_eq!(
                    bound(&namespace_labels, &template_labels),
                    usize::from(enforced),
                    "{namespace}: {on_namespace:?}, {on_template:?}"
                );
            }
        }
    }
}

#[test]
fn the_policy_can_neither_fail_closed_nor_panic_an_api_server() {
    let spec = policy().spec.unwrap();
    assert_eq!(spec.failure_policy.as_deref(), Some("Ignore"));
    for mutation in spec.mutations.unwrap() {
        assert_eq!(mutation.patch_type, "ApplyConfiguration");
        assert!(mutation.json_patch.is_none());
    }
    assert!(spec.param_kind.is_none());
    for binding in bindings() {
        assert!(binding.spec.unwrap().param_ref.is_none());
    }
}

#[test]
fn the_account_that_is_asked_about_has_the_role_of_the_approvals_and_is_nobody() {
    let binding = role_binding();
    assert_eq!(binding.role_ref.name, ROLE);
    let subjects = binding.subjects.unwrap();
    assert_eq!(subjects.len(), 1);
    assert_eq!(
        (subjects[0].kind.as_str(), subjects[0].name.as_str()),
        ("ServiceAccount", "weir-approved")
    );
    assert_eq!(subjects[0].namespace, binding.metadata.namespace);
}
