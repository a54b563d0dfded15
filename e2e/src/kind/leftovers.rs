//! What of Weir is left in a cluster: every kind that can be listed is looked through.

use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir::api::marks;

use super::{Cluster, WEIR};

/// Records of what happened, which outlive what they are about for an hour.
const RECORDS: [&str; 2] = ["events", "events.events.k8s.io"];

/// What was looked for, and what was found.
#[derive(Debug, Clone)]
pub struct Leftovers {
    /// Every kind that was looked through.
    pub kinds: Vec<String>,
    /// How many objects were looked at.
    pub objects: usize,
    /// What is Weir's, with why it is taken for that.
    pub found: Vec<String>,
}

impl Cluster {
    /// Looks through all kinds for what is Weir's: by its name, by labels and annotations of the chart and
    /// of Weir itself, finalizers, the gate; and for pods that are Pending, whosever they are.
    ///
    /// # Errors
    /// kubectl fails.
    pub async fn leftovers(&self) -> Result<Leftovers> {
        let listed = ["api-resources", "--verbs=list", "--output=name"];
        let listed = self.kubectl(&listed).await?;
        let kinds: Vec<_> = listed
            .lines()
            .filter(|kind| !RECORDS.contains(kind))
            .map(str::to_owned)
            .collect();
        ensure!(kinds.len() > 20, "there is more to look through: {listed}");
        let all = kinds.join(",");
        let words = ["get", all.as_str(), "--all-namespaces", "--output=json"];
        let list: Value = serde_json::from_str(&self.kubectl(&words).await?)?;
        let items = list["items"].as_array().context("kubectl prints a list")?;
        let nodes = node_names(items);
        let found = items.iter().filter_map(|item| {
            let name = item["metadata"]["name"].as_str().unwrap_or_default();
            let why = why(item).filter(|_| !nodes.contains(name))?;
            let namespace = item["metadata"]["namespace"].as_str().unwrap_or_default();
            let kind = item["kind"].as_str().unwrap_or_default();
            Some(format!("{kind} {namespace}/{name}: {why}"))
        });
        let mut found: Vec<_> = found.collect();
        found.sort();
        found.dedup();
        Ok(Leftovers {
            kinds,
            objects: items.len(),
            found,
        })
    }
}

/// Nodes may be called after the cluster, and that after Weir; so are their Leases and what else is theirs.
fn node_names(items: &[Value]) -> BTreeSet<&str> {
    let nodes = items.iter().filter(|item| item["kind"] == "Node");
    nodes
        .filter_map(|node| node["metadata"]["name"].as_str())
        .collect()
}

/// Why an object is taken for Weir's, or for stranded by it.
fn why(item: &Value) -> Option<String> {
    let metadata = &item["metadata"];
    let name = metadata["name"].as_str().unwrap_or_default();
    if is_named(name) {
        return Some("its name".to_owned());
    }
    let finalizers = metadata["finalizers"].as_array();
    let mut finalizers = finalizers.into_iter().flatten().filter_map(Value::as_str);
    if let Some(finalizer) = finalizers.find(|one| one.contains("weir.dev")) {
        return Some(format!("its finalizer {finalizer}"));
    }
    for (fields, key, value) in [
        ("labels", "app.kubernetes.io/name", WEIR),
        ("labels", "app.kubernetes.io/managed-by", WEIR),
        ("annotations", "meta.helm.sh/release-name", WEIR),
    ] {
        if metadata[fields][key] == value {
            return Some(format!("{key}: {value}"));
        }
    }
    let gates = item["spec"]["schedulingGates"].as_array();
    let mut gates = gates.into_iter().flatten();
    if item["kind"] == "Pod" && gates.any(|gate| gate["name"] == marks::GATE) {
        return Some("it is gated".to_owned());
    }
    if item["kind"] == "Pod" && item["status"]["phase"] == "Pending" {
        return Some("it is Pending".to_owned());
    }
    None
}

fn is_named(name: &str) -> bool {
    name == WEIR
        || name.starts_with("weir-")
        || name.starts_with("sh.helm.release.v1.weir.")
        || name.ends_with(".weir.dev")
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    #[test]
    fn whatever_is_weir_s_is_found_and_nothing_else() {
        let pod = |spec: Value, phase: &str| {
            json!({
                "kind": "Pod", "metadata": { "name": "logs-x" }, "spec": spec,
                "status": { "phase": phase },
            })
        };
        let gated = json!({ "schedulingGates": [{ "name": "weir.dev/gate" }] });
        for (item, found) in [
            (json!({ "metadata": { "name": "weir" } }), true),
            (json!({ "metadata": { "name": "weir-meter-a.b" } }), true),
            (json!({ "metadata": { "name": "v1alpha1.weir.dev" } }), true),
            (
                json!({ "metadata": { "name": "logs", "labels": { "app": "logs" } } }),
                false,
            ),
            (
                json!({ "metadata": { "name": "a", "finalizers": ["weir.dev/a"] } }),
                true,
            ),
            (
                json!({ "metadata": { "name": "a", "labels": { "app.kubernetes.io/name": "weir" } } }),
                true,
            ),
            (pod(gated, "Running"), true),
            (pod(json!({}), "Pending"), true),
            (pod(json!({}), "Running"), false),
        ] {
            assert_eq!(why(&item).is_some(), found, "{item}: {:?}", why(&item));
        }
    }

    #[test]
    fn a_cluster_that_is_called_after_weir_has_nodes_of_its_own() {
        let named = |kind: &str| json!({ "kind": kind, "metadata": { "name": "weir-worker" } });
        assert_eq!(node_names(&[named("Lease")]), BTreeSet::new());
        let nodes = [named("Lease"), named("Node")];
        assert_eq!(node_names(&nodes), BTreeSet::from(["weir-worker"]));
    }
}
