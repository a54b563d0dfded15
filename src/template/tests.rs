//! Files, and what API servers make of them.

use proptest::prelude::*;
use serde_json::json;

use super::*;

/// As a person writes it.
fn file() -> Value {
    json!({
        "metadata": { "labels": { "app": "logs" } },
        "spec": {
            "serviceAccountName": "logs",
            "hostNetwork": true,
            "nodeSelector": { "node-role.kubernetes.io/worker": "" },
            "affinity": { "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    { "labelSelector": {}, "topologyKey": "kubernetes.io/hostname" }
                ]
            } },
            "containers": [{
                "name": "logs",
                "image": "example.org:5000/logs:1.2",
                "args": ["--cluster", ""],
                "env": [
                    { "name": "NODE", "valueFrom": { "fieldRef": { "fieldPath": "spec.nodeName" } } },
                    { "name": "CORES", "valueFrom": { "resourceFieldRef": { "resource": "limits.cpu" } } },
                    { "name": "EMPTY", "value": "" }
                ],
                "ports": [{ "containerPort": 8080 }],
                "resources": { "limits": { "cpu": 0.5, "memory": "1024Mi" } },
                "livenessProbe": { "httpGet": { "port": 8080 } },
                "volumeMounts": [{ "name": "logs", "mountPath": "/logs", "readOnly": false }]
            }],
            "volumes": [
                { "name": "logs", "hostPath": { "path": "/var/log" } },
                { "name": "config", "configMap": { "name": "logs" } },
                { "name": "tmp" },
                { "name": "token", "projected": { "sources": [
                    { "serviceAccountToken": { "path": "token" } }
                ] } }
            ]
        }
    })
}

/// The same as kube-apiserver 1.36 stores it.
fn live() -> Value {
    json!({
        "metadata": {
            "creationTimestamp": null,
            "annotations": { "kubectl.kubernetes.io/restartedAt": "2026-11-21T10:00:00Z" },
            "labels": { "weir.dev/guard": "enforce", "app": "logs" }
        },
        "spec": {
            "volumes": [
                { "name": "logs", "hostPath": { "path": "/var/log", "type": "" } },
                { "name": "config", "configMap": { "defaultMode": 420, "name": "logs" } },
                { "name": "tmp", "emptyDir": {} },
                { "name": "token", "projected": { "defaultMode": 420, "sources": [
                    { "serviceAccountToken": { "expirationSeconds": 3600, "path": "token" } }
                ] } }
            ],
            "containers": [{
                "args": ["--cluster", ""],
                "env": [
                    { "name": "NODE", "valueFrom": {
                        "fieldRef": { "apiVersion": "v1", "fieldPath": "spec.nodeName" }
                    } },
                    { "name": "CORES", "valueFrom": {
                        "resourceFieldRef": { "divisor": "0", "resource": "limits.cpu" }
                    } },
                    { "name": "EMPTY" }
                ],
                "image": "example.org:5000/logs:1.2",
                "imagePullPolicy": "IfNotPresent",
                "livenessProbe": {
                    "failureThreshold": 3, "periodSeconds": 10, "successThreshold": 1,
                    "timeoutSeconds": 1,
                    "httpGet": { "path": "/", "port": 8080, "scheme": "HTTP" }
                },
                "name": "logs",
                "ports": [{ "containerPort": 8080, "hostPort": 8080, "protocol": "TCP" }],
                "resources": { "limits": { "cpu": "500m", "memory": "1Gi" } },
                "terminationMessagePath": "/dev/termination-log",
                "terminationMessagePolicy": "File",
                "volumeMounts": [{ "mountPath": "/logs", "name": "logs" }]
            }],
            "affinity": { "podAntiAffinity": {
                "requiredDuringSchedulingIgnoredDuringExecution": [
                    { "labelSelector": {}, "topologyKey": "kubernetes.io/hostname" }
                ]
            } },
            "dnsPolicy": "ClusterFirst",
            "hostNetwork": true,
            "nodeSelector": { "node-role.kubernetes.io/worker": "" },
            "restartPolicy": "Always",
            "schedulerName": "default-scheduler",
            "securityContext": {},
            "serviceAccount": "logs",
            "serviceAccountName": "logs",
            "terminationGracePeriodSeconds": 30
        }
    })
}

#[test]
fn a_file_and_the_object_made_of_it_have_one_hash() {
    assert_eq!(canonical(&file()), canonical(&live()));
    assert_eq!(hash(&file()), hash(&live()));
    assert!(hash(&file()).starts_with("sha256:"));
    assert_eq!(hash(&file()).len(), "sha256:".len() + 64);
}

#[test]
fn a_divisor_of_nothing_is_none_however_it_is_written() {
    let divisor = "/spec/containers/0/env/1/valueFrom/resourceFieldRef";
    for (written, is_none) in [
        (json!(0), true),
        (json!("0"), true),
        (json!("0m"), true),
        (json!(1), false),
        (json!("1m"), false),
    ] {
        let mut other = file();
        other.pointer_mut(divisor).unwrap()["divisor"] = written.clone();
        assert_eq!(hash(&other) == hash(&file()), is_none, "{written}");
    }
}

#[test]
fn what_means_something_changes_the_hash() {
    let changes = [
        ("/metadata/labels/app", json!("other")),
        ("/spec/serviceAccountName", json!("other")),
        ("/spec/hostNetwork", json!(false)),
        ("/spec/nodeSelector", json!({})),
        (
            "/spec/containers/0/image",
            json!("example.org:5000/logs:1.3"),
        ),
        ("/spec/containers/0/args", json!(["--cluster"])),
        ("/spec/containers/0/resources/limits/cpu", json!("501m")),
        ("/spec/containers/0/livenessProbe/periodSeconds", json!(11)),
        ("/spec/containers/0/imagePullPolicy", json!("Always")),
        ("/spec/terminationGracePeriodSeconds", json!(0)),
        ("/spec/volumes/1/configMap/defaultMode", json!(256)),
        (
            "/spec/affinity/podAntiAffinity/requiredDuringSchedulingIgnoredDuringExecution/0/labelSelector",
            json!(null),
        ),
    ];
    for (path, value) in changes {
        let mut other = live();
        *other.pointer_mut(path).unwrap() = value;
        assert_ne!(hash(&other), hash(&file()), "{path}");
    }
}

#[test]
fn even_what_is_no_template_has_a_hash() {
    for odd in [json!(null), json!([1]), json!("text"), json!({ "spec": 1 })] {
        assert!(hash(&odd).starts_with("sha256:"));
    }
    assert_ne!(hash(&json!({ "spec": 1 })), hash(&json!(null)));
}

/// Any JSON, with names that the rules know among its keys.
fn any_json() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        (0_i64..40).prop_map(Value::from),
        prop_oneof![Just(""), Just("a"), Just("1Gi")].prop_map(Value::from),
    ];
    let key = prop::sample::select(vec![
        "spec",
        "containers",
        "limits",
        "labels",
        "ports",
        "hostPort",
        "labelSelector",
        "a",
        "b",
        "secret",
        "defaultMode",
        "serviceAccount",
        "serviceAccountName",
        "emptyDir",
    ]);
    leaf.prop_recursive(4, 48, 5, move |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Value::from),
            prop::collection::btree_map(key.clone().prop_map(str::to_owned), inner, 0..5)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}

/// The same with its maps the other way round, and nulls among them.
fn stirred(value: &Value) -> Value {
    match value {
        Value::Object(map) => {
            let pairs = map
                .iter()
                .rev()
                .map(|(key, value)| (key.clone(), stirred(value)));
            Value::Object(pairs.chain([("nothing".to_owned(), Value::Null)]).collect())
        }
        Value::Array(items) => items.iter().map(stirred).collect(),
        other => other.clone(),
    }
}

proptest! {
    #[test]
    fn neither_order_nor_nulls_matter_and_what_is_canonical_stays_so(spec in any_json()) {
        let template = json!({ "metadata": { "labels": { "a": "b" } }, "spec": spec });
        prop_assert_eq!(hash(&template), hash(&stirred(&template)));
        let once = canonical(&template);
        prop_assert_eq!(canonical(&once), once);
    }
}
