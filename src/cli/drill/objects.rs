//! What a drill makes in a cluster.

use serde_json::{Value, json};

use crate::api::{Mode, marks};

/// The DaemonSet, and the label of its pods.
pub(super) const NAME: &str = "drill";
/// Label of all that a drill makes, so that what one left behind can be found.
pub(super) const LABEL: &str = "weir.dev/drill";

/// The namespace, enrolled as far as Weir may go.
pub(super) fn namespace(name: &str, mode: Mode) -> Value {
    let guard = match mode {
        Mode::Enforce => "enforce",
        Mode::Shadow | Mode::Observe => "shadow",
    };
    json!({
        "apiVersion": "v1", "kind": "Namespace",
        "metadata": { "name": name, "labels": {
            LABEL: "true", marks::GUARD: guard, "pod-security.kubernetes.io/enforce": "restricted",
        } },
    })
}

/// A policy for this namespace alone, so that it takes a minute. What the pods cost is nothing.
pub(super) fn policy(namespace: &str) -> Value {
    json!({
        "apiVersion": "weir.dev/v1alpha1", "kind": "RolloutPolicy",
        "metadata": { "name": namespace, "labels": { LABEL: "true" } },
        "spec": {
            "workloads": { "namespaceSelector": { "matchLabels": {
                "kubernetes.io/metadata.name": namespace,
            } } },
            "pace": "Fast",
            "forecast": { "act": "Tell" },
        },
    })
}

/// A DaemonSet of pods that do nothing, on these nodes only.
pub(super) fn daemon_set(namespace: &str, image: &str, nodes: &[String]) -> Value {
    let terms: Vec<Value> = nodes
        .iter()
        .map(|node| {
            json!({ "matchFields": [
                { "key": "metadata.name", "operator": "In", "values": [node] },
            ] })
        })
        .collect();
    let labels = json!({ "app": NAME, LABEL: "true" });
    json!({
        "apiVersion": "apps/v1", "kind": "DaemonSet",
        "metadata": { "namespace": namespace, "name": NAME, "labels": labels },
        "spec": {
            "selector": { "matchLabels": { "app": NAME } },
            "template": {
                "metadata": { "labels": labels },
                "spec": {
                    "automountServiceAccountToken": false,
                    "terminationGracePeriodSeconds": 0,
                    "affinity": { "nodeAffinity": {
                        "requiredDuringSchedulingIgnoredDuringExecution": { "nodeSelectorTerms": terms },
                    } },
                    "securityContext": {
                        "runAsNonRoot": true, "runAsUser": 65535,
                        "seccompProfile": { "type": "RuntimeDefault" },
                    },
                    "containers": [{
                        "name": NAME, "image": image,
                        "resources": {
                            "requests": { "cpu": "1m", "memory": "8Mi" },
                            "limits": { "memory": "16Mi" },
                        },
                        "securityContext": {
                            "allowPrivilegeEscalation": false, "readOnlyRootFilesystem": true,
                            "capabilities": { "drop": ["ALL"] },
                        },
                    }],
                },
            },
        },
    })
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::{apps::v1::DaemonSet, core::v1::Namespace};

    use super::*;
    use crate::api::RolloutPolicy;

    #[test]
    fn all_of_it_is_of_the_kinds_that_it_says_and_can_be_found() {
        let names = ["node-1".to_owned(), "node-2".to_owned()];
        let made: DaemonSet = serde_json::from_value(daemon_set("d", "pause:1", &names)).unwrap();
        let pod = made.spec.unwrap().template.spec.unwrap();
        let affinity = pod.affinity.unwrap().node_affinity.unwrap();
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .unwrap();
        assert_eq!(required.node_selector_terms.len(), 2);
        assert_eq!(pod.automount_service_account_token, Some(false));

        let made: Namespace = serde_json::from_value(namespace("d", Mode::Shadow)).unwrap();
        let labels = made.metadata.labels.unwrap();
        assert_eq!(labels[marks::GUARD], "shadow");
        assert_eq!(labels[LABEL], "true");
        let made: RolloutPolicy = serde_json::from_value(policy("d")).unwrap();
        assert!(made.spec.workloads.unwrap().namespace_selector.is_some());
    }
}
