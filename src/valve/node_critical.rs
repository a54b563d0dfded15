//! Workloads that nodes depend on: one table, used by Rust and rendered as CEL.
//!
//! Holding one of these may keep nodes from ever becoming usable, so that it is refused until its
//! author acknowledges it. The table errs towards refusing: a refusal is loud and costs one label.
//!
//! What it cannot see: a workload that tolerates every taint (`operator: Exists` without a key, as
//! most log and metrics agents do) and clears a start-up taint of its own. Such a workload must be
//! left out by whoever enrols its namespace.

use k8s_openapi::api::core::v1::{PodSpec, Toleration};

/// The priority class that the kubelet never evicts and Kubernetes reserves for node agents.
const PRIORITY_CLASS: &str = "system-node-critical";

/// Parts of a host path below which node agents put what the kubelet needs. Parts rather than
/// whole prefixes, since distributions move the roots: k3s has
/// `/var/lib/rancher/k3s/agent/etc/cni/net.d`, k0s `/var/lib/k0s/kubelet/plugins_registry`.
const HOST_PATHS: [&str; 5] = [
    "/etc/cni/",
    "/opt/cni/",
    "/kubelet/plugins/",
    "/kubelet/plugins_registry/",
    "/kubelet/device-plugins/",
];

/// Start-up taints by how their keys end: `node.cilium.io/agent-not-ready`,
/// `ebs.csi.aws.com/agent-not-ready`, `cni.istio.io/not-ready`,
/// `node.gardener.cloud/critical-components-not-ready`.
const TAINT_ENDING: &str = "not-ready";

/// Start-up taints by how their keys begin: the Node Readiness Controller's, the two that the
/// cluster autoscaler takes for start-up taints, and the cloud controller manager's.
const TAINT_BEGINNINGS: [&str; 4] = [
    "readiness.k8s.io/",
    "startup-taint.cluster-autoscaler.kubernetes.io/",
    "ignore-taint.cluster-autoscaler.kubernetes.io/",
    "node.cloudprovider.kubernetes.io/uninitialized",
];

/// Kubernetes' own taints, `node.kubernetes.io/not-ready` among them: the DaemonSet controller
/// makes every DaemonSet's pods tolerate them.
const ORDINARY_TAINTS: &str = "node.kubernetes.io/";

/// Why nodes depend on pods of this spec, as the rest of a sentence; `None` if they do not.
#[must_use]
pub fn node_critical(spec: &PodSpec) -> Option<String> {
    if spec.priority_class_name.as_deref() == Some(PRIORITY_CLASS) {
        return Some(format!("its priority class is {PRIORITY_CLASS}"));
    }
    let paths = spec.volumes.iter().flatten();
    let path = paths
        .filter_map(|volume| Some(volume.host_path.as_ref()?.path.as_str()))
        .find(|path| is_critical_path(path));
    if let Some(path) = path {
        return Some(format!("it mounts {path} from the node"));
    }
    let tolerations = spec.tolerations.iter().flatten();
    let taint = tolerations
        .filter_map(|toleration: &Toleration| toleration.key.as_deref())
        .find(|key| is_startup_taint(key))?;
    Some(format!("it tolerates the start-up taint {taint}"))
}

fn is_critical_path(path: &str) -> bool {
    // Paths that charts put together often have a slash too many in the middle.
    let plain = format!("{path}/").replace("//", "/");
    HOST_PATHS.iter().any(|part| plain.contains(part))
}

fn is_startup_taint(key: &str) -> bool {
    !key.starts_with(ORDINARY_TAINTS)
        && (key.ends_with(TAINT_ENDING)
            || TAINT_BEGINNINGS.iter().any(|begin| key.starts_with(begin)))
}

/// The same as [`node_critical`], as a CEL expression over the pod `object`: true if critical.
pub(super) fn cel() -> String {
    let paths = cel_list(&HOST_PATHS);
    let beginnings = cel_list(&TAINT_BEGINNINGS);
    format!(
        r"has(object.spec.priorityClassName) && object.spec.priorityClassName == '{PRIORITY_CLASS}' ||
has(object.spec.volumes) && object.spec.volumes
  .filter(volume, has(volume.hostPath))
  .map(volume, (volume.hostPath.path + '/').replace('//', '/'))
  .exists(path, {paths}.exists(part, path.contains(part))) ||
has(object.spec.tolerations) && object.spec.tolerations
  .filter(toleration, has(toleration.key))
  .exists(toleration, !toleration.key.startsWith('{ORDINARY_TAINTS}') && (
    toleration.key.endsWith('{TAINT_ENDING}') ||
    {beginnings}.exists(begin, toleration.key.startsWith(begin))))"
    )
}

/// A CEL list of string literals, one per line. The strings are this file's own: no quotes in them.
fn cel_list(strings: &[&str]) -> String {
    format!("[\n    '{}']", strings.join("',\n    '"))
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    fn why(spec: Value) -> Option<String> {
        let mut spec = spec;
        spec["containers"] = json!([]);
        node_critical(&serde_json::from_value(spec).unwrap())
    }

    fn mounts(path: &str) -> Option<String> {
        why(json!({ "volumes": [
            { "name": "scratch", "emptyDir": {} },
            { "name": "host", "hostPath": { "path": path } },
        ] }))
    }

    fn tolerates(key: &str) -> Option<String> {
        why(json!({ "tolerations": [
            { "operator": "Exists" },
            { "key": key, "operator": "Exists" },
        ] }))
    }

    #[test]
    fn network_and_storage_plugins_and_device_plugins_are_critical() {
        for path in [
            "/etc/cni/net.d",
            "/etc/cni",
            "/opt/cni/bin/",
            "/opt//cni/bin",
            "/var/lib/rancher/k3s/agent/etc/cni/net.d",
            "/var/lib/kubelet/plugins/ebs.csi.aws.com/",
            "/var/lib/kubelet/plugins_registry",
            "/var/lib/k0s/kubelet/device-plugins",
        ] {
            let why = mounts(path);
            assert_eq!(why, Some(format!("it mounts {path} from the node")));
        }
    }

    #[test]
    fn agents_that_only_look_are_not() {
        for path in [
            "/",
            "/var/log",
            "/var/lib/kubelet/pods",
            "/etc/cnix",
            "/my/etc",
            "/proc",
        ] {
            assert_eq!(mounts(path), None, "{path}");
        }
    }

    #[test]
    fn whatever_clears_a_start_up_taint_is_critical() {
        for key in [
            "node.cilium.io/agent-not-ready",
            "ebs.csi.aws.com/agent-not-ready",
            "cni.istio.io/not-ready",
            "readiness.k8s.io/network-unavailable",
            "startup-taint.cluster-autoscaler.kubernetes.io/gpu",
        ] {
            let why = tolerates(key);
            assert_eq!(why, Some(format!("it tolerates the start-up taint {key}")));
        }
    }

    #[test]
    fn what_every_daemon_set_tolerates_is_not() {
        for key in [
            "node.kubernetes.io/not-ready",
            "node.kubernetes.io/unreachable",
            "node-role.kubernetes.io/control-plane",
            "nvidia.com/gpu",
        ] {
            assert_eq!(tolerates(key), None, "{key}");
        }
    }

    #[test]
    fn only_the_node_priority_class_is_critical() {
        assert!(why(json!({ "priorityClassName": "system-node-critical" })).is_some());
        assert_eq!(
            why(json!({ "priorityClassName": "system-cluster-critical" })),
            None
        );
    }
}
