//! The object is one of kube-apiserver 1.36.3 and kwok, less what is not decoded.

use serde_json::{Value, json};
use weir_core::time::Span;

use super::*;
use crate::observe::watches::slim::Slim;

fn node(ready: &str) -> Value {
    json!({
        "apiVersion": "v1", "kind": "Node",
        "metadata": {
            "creationTimestamp": "2026-11-21T21:37:20Z",
            "labels": {
                "kubernetes.io/hostname": "node-1", "topology.kubernetes.io/zone": "z1",
                "type": "kwok"
            },
            "name": "node-1", "resourceVersion": "235"
        },
        "spec": {},
        "status": {
            "allocatable": { "cpu": "32" },
            "conditions": [
                { "lastTransitionTime": "2026-11-21T21:38:00Z", "status": "False",
                  "type": "MemoryPressure" },
                { "lastTransitionTime": "2026-11-21T21:38:00Z", "reason": "KubeletReady",
                  "status": ready, "type": "Ready" }
            ]
        }
    })
}

fn read(object: &Value, labels: &[&str]) -> Result<NodeView, String> {
    let nodes = Nodes::default();
    nodes.keep_labels(&labels.iter().map(|label| (*label).to_owned()).collect());
    let slim: Slim<Nodes> = serde_json::from_str(&object.to_string()).unwrap();
    let seen = Seen {
        now: moment(slim.meta.creation_timestamp.as_ref().unwrap().0),
        before: None,
    };
    Ok(nodes
        .row(&slim.meta, slim.body?, seen)?
        .expect("every node is of interest"))
}

#[test]
fn only_the_ready_condition_makes_it_ready() {
    assert!(read(&node("True"), &[]).unwrap().ready);
    assert!(!read(&node("False"), &[]).unwrap().ready);
    assert!(!read(&node("Unknown"), &[]).unwrap().ready);
    let mut object = node("True");
    object["status"]["conditions"][1]["type"] = "DiskPressure".into();
    assert!(!read(&object, &[]).unwrap().ready);
}

#[test]
fn one_that_was_just_registered_is_not_ready() {
    let mut object = node("True");
    object["status"] = json!({ "daemonEndpoints": {} });
    let view = read(&object, &[]).unwrap();
    assert!(!view.ready);
    assert_eq!(view.turned, view.joined);
}

#[test]
fn it_is_known_since_when_it_is_ready_or_not() {
    for ready in ["True", "Unknown"] {
        let view = read(&node(ready), &[]).unwrap();
        assert_eq!(view.turned, view.joined + Span::from_secs(40));
    }
}

#[test]
fn only_labels_that_were_asked_for_are_kept() {
    let view = read(&node("True"), &["topology.kubernetes.io/zone", "rack"]).unwrap();
    let expected = BTreeMap::from([("topology.kubernetes.io/zone".into(), "z1".into())]);
    assert_eq!(view.labels, expected);
}

#[test]
fn when_it_joined_is_read() {
    let view = read(&node("True"), &[]).unwrap();
    assert_eq!(view.joined.as_millis(), 1_795_297_040_000);
}
