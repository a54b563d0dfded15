//! The object is one of kube-apiserver 1.36.3, less what is not decoded.

use serde_json::{Value, json};
use weir_core::time::Moment;

use super::*;
use crate::observe::watches::slim::Slim;

fn logs() -> Value {
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": {
            "creationTimestamp": "2026-11-21T21:37:20Z", "generation": 2, "name": "logs",
            "namespace": "shop", "resourceVersion": "252",
            "uid": "1dbdd5c0-968b-47bf-bed6-f7ce84378ff7",
            "managedFields": [{ "manager": "kubectl", "fieldsV1": { "f:metadata": {} } }]
        },
        "spec": {
            "revisionHistoryLimit": 10,
            "selector": { "matchLabels": { "app": "logs" } },
            "template": {
                "metadata": { "creationTimestamp": null, "labels": { "app": "logs" } },
                "spec": {
                    "containers": [{ "image": "nginx", "name": "c", "resources": {} }],
                    "priorityClassName": "system-node-critical",
                    "serviceAccountName": "agent", "automountServiceAccountToken": false,
                    "tolerations": [
                        { "key": "node.cilium.io/agent-not-ready", "operator": "Exists" }
                    ],
                    "volumes": [
                        { "hostPath": { "path": "/etc/cni/net.d", "type": "" }, "name": "cni" },
                        { "emptyDir": {}, "name": "tmp" },
                        { "projected": { "sources": [
                            { "configMap": { "name": "ca" } },
                            { "serviceAccountToken": { "path": "token" } }
                        ] }, "name": "api" },
                        { "projected": { "sources": [{ "configMap": { "name": "ca" } }] }, "name": "ca" }
                    ]
                }
            },
            "updateStrategy": {
                "rollingUpdate": { "maxSurge": 0, "maxUnavailable": "10%" },
                "type": "RollingUpdate"
            }
        },
        "status": {
            "currentNumberScheduled": 25, "desiredNumberScheduled": 25, "numberMisscheduled": 0,
            "numberReady": 0, "observedGeneration": 1, "updatedNumberScheduled": 3
        }
    })
}

fn read(object: &Value) -> Result<DaemonSetView, String> {
    let slim: Slim<DaemonSets> = serde_json::from_str(&object.to_string()).unwrap();
    let now = Moment::from_millis(0);
    let row = DaemonSets.row(&slim.meta, slim.body?, Seen { now, before: None })?;
    Ok(row.expect("every DaemonSet is of interest"))
}

fn with_strategy(strategy: Value) -> Value {
    let mut object = logs();
    object["spec"]["updateStrategy"] = strategy;
    object
}

#[test]
fn what_is_needed_is_read() {
    let view = read(&logs()).unwrap();
    assert_eq!(view.uid, "1dbdd5c0-968b-47bf-bed6-f7ce84378ff7");
    assert_eq!((view.generation, view.observed_generation), (2, 1));
    assert_eq!(
        (view.desired, view.updated, view.max_unavailable),
        (25, 3, 3)
    );
    assert_eq!(
        view.template_labels,
        BTreeMap::from([("app".to_owned(), "logs".to_owned())])
    );
    assert_eq!(view.selector, "app=logs");
    assert_eq!(
        view.template_hash,
        template::hash(&logs()["spec"]["template"])
    );
    assert_eq!(
        (view.revision, view.revisions.len(), view.deleting),
        (None, 0, false)
    );
}

#[test]
fn what_makes_nodes_depend_on_it_is_kept_and_nothing_else() {
    let facts = read(&logs()).unwrap().template_facts;
    assert_eq!(
        facts.priority_class_name.as_deref(),
        Some("system-node-critical")
    );
    let keys: Vec<_> = facts
        .tolerations
        .iter()
        .flatten()
        .map(|toleration| toleration.key.as_deref())
        .collect();
    assert_eq!(keys, [Some("node.cilium.io/agent-not-ready")]);
    let volumes = facts.volumes.unwrap();
    let names: Vec<_> = volumes.iter().map(|volume| &volume.name).collect();
    assert_eq!(names, ["cni", "api"], "only the host's, and tokens");
    let projected = volumes[1].projected.as_ref().unwrap();
    assert_eq!(projected.sources.as_ref().unwrap().len(), 1);
    assert_eq!(
        volumes[0].host_path.as_ref().unwrap().path,
        "/etc/cni/net.d"
    );
    assert!(facts.containers.is_empty());
}

#[test]
fn a_new_one_has_no_status_yet() {
    let mut object = logs();
    object.as_object_mut().unwrap().remove("status");
    let view = read(&object).unwrap();
    assert_eq!(
        (view.observed_generation, view.desired, view.max_unavailable),
        (0, 0, 1)
    );
}

#[test]
fn unavailable_nodes_are_counted_as_the_controller_counts_them() {
    let rolling = |rolling: Value| json!({ "type": "RollingUpdate", "rollingUpdate": rolling });
    let cases = [
        (rolling(json!({ "maxUnavailable": 4 })), 4),
        (rolling(json!({ "maxUnavailable": "100%" })), 25),
        (rolling(json!({ "maxUnavailable": "1%", "maxSurge": 0 })), 1),
        (rolling(json!({})), 1),
        (json!({}), 1),
        (
            rolling(json!({ "maxUnavailable": 0, "maxSurge": "10%" })),
            0,
        ),
        (rolling(json!({ "maxUnavailable": 0, "maxSurge": 0 })), 1),
        (json!({ "type": "OnDelete" }), 0),
    ];
    for (strategy, expected) in cases {
        let view = read(&with_strategy(strategy.clone())).unwrap();
        assert_eq!(view.max_unavailable, expected, "{strategy}");
    }
}

#[test]
fn what_makes_no_sense_is_told() {
    let strategy = json!({ "rollingUpdate": { "maxUnavailable": "many" } });
    let why = read(&with_strategy(strategy)).unwrap_err();
    assert!(why.contains("neither a number nor a percentage"), "{why}");

    let mut object = logs();
    object["spec"]["selector"] =
        json!({ "matchExpressions": [{ "key": "a", "operator": "Near", "values": ["b"] }] });
    assert!(read(&object).is_err());

    object["spec"] = json!("none");
    let why = read(&object).unwrap_err();
    assert!(why.contains("invalid type: string"), "{why}");
}

#[test]
fn selectors_become_queries() {
    let mut object = logs();
    object["spec"]["selector"] = json!({
        "matchLabels": { "app": "logs" },
        "matchExpressions": [
            { "key": "tier", "operator": "In", "values": ["node"] },
            { "key": "old", "operator": "DoesNotExist" }
        ]
    });
    let selector = read(&object).unwrap().selector;
    let mut parts: Vec<_> = selector.split(',').collect();
    parts.sort_unstable();
    assert_eq!(parts, ["!old", "app=logs", "tier in (node)"]);
}
