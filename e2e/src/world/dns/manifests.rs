//! What a cluster's DNS consists of in the API: CoreDNS's account and rights as kubeadm's manifests have them, the
//! Corefiles, the Service, and the EndpointSlice that its controller would make of the replicas' pods.

use serde_json::{Value, json};

use super::super::weir::{ACCOUNT as WEIR, NAMESPACE as WEIR_NAMESPACE};
use super::{Cluster, DnsSpec, NAMESPACE, PORT, SERVICE, pod_name, replica_address};

/// What all clusters have.
const RIGHTS: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: { name: coredns, namespace: kube-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: system:coredns }
rules:
- { apiGroups: [''], resources: [endpoints, services, pods, namespaces], verbs: [list, watch] }
- { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: system:coredns }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns }
subjects:
- { kind: ServiceAccount, name: coredns, namespace: kube-system }
";

/// All of it.
pub(super) fn all(spec: &DnsSpec) -> String {
    let mut documents = vec![RIGHTS.to_owned()];
    let (namespace, _) = spec.cluster.service();
    if namespace != NAMESPACE {
        for object in elsewhere(spec.cluster) {
            documents.push(object.to_string());
        }
    }
    for object in served(spec) {
        documents.push(object.to_string());
    }
    // The resolver's Corefile is the one that says for how long nodes' caches serve what is stale.
    if let Some(cache) = spec.resolver.or(spec.front) {
        let corefile = cache.corefile(None, &[(SERVICE, PORT).into()]);
        documents.push(config_map(NAMESPACE, "node-local-dns", &corefile).to_string());
    }
    documents.join("\n---\n")
}

/// The Corefile, the Service and its EndpointSlice.
fn served(spec: &DnsSpec) -> [Value; 3] {
    let (namespace, service) = spec.cluster.service();
    let ports = |port: u16| {
        json!([
            { "name": "dns", "port": port, "protocol": "UDP" },
            { "name": "dns-tcp", "port": port, "protocol": "TCP" },
        ])
    };
    let endpoint = |index| {
        json!({
            "addresses": [replica_address(index).to_string()],
            "conditions": { "ready": true },
            "targetRef": { "kind": "Pod", "namespace": namespace, "name": pod_name(index) },
        })
    };
    let endpoints: Vec<Value> = (0..spec.replicas).map(endpoint).collect();
    [
        config_map(
            namespace,
            spec.cluster.config_map(),
            &spec.cluster.corefile(None),
        ),
        json!({
            "apiVersion": "v1",
            "kind": "Service",
            "metadata": { "name": service, "namespace": namespace },
            "spec": { "clusterIP": SERVICE.to_string(), "ports": ports(PORT) },
        }),
        json!({
            "apiVersion": "discovery.k8s.io/v1",
            "kind": "EndpointSlice",
            "metadata": {
                "name": format!("{service}-world"),
                "namespace": namespace,
                "labels": { "kubernetes.io/service-name": service },
            },
            "addressType": "IPv4",
            "ports": ports(spec.cluster.port()),
            "endpoints": endpoints,
        }),
    ]
}

/// A namespace of its own, and Weir's rights there: those that the chart makes for `dns.namespace`, instead of
/// what `deploy/dns` has for kube-system.
fn elsewhere(cluster: Cluster) -> [Value; 3] {
    let (namespace, service) = cluster.service();
    let metadata = json!({ "name": "weir-dns", "namespace": namespace });
    [
        json!({ "apiVersion": "v1", "kind": "Namespace", "metadata": { "name": namespace } }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "Role",
            "metadata": metadata,
            "rules": [
                { "apiGroups": ["discovery.k8s.io"], "resources": ["endpointslices"], "verbs": ["list", "watch"] },
                { "apiGroups": [""], "resources": ["services"], "resourceNames": [service], "verbs": ["get"] },
                {
                    "apiGroups": [""],
                    "resources": ["configmaps"],
                    "resourceNames": ["coredns", "node-local-dns"],
                    "verbs": ["get"],
                },
            ],
        }),
        json!({
            "apiVersion": "rbac.authorization.k8s.io/v1",
            "kind": "RoleBinding",
            "metadata": metadata,
            "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "Role", "name": "weir-dns" },
            "subjects": [
                { "kind": "ServiceAccount", "name": WEIR, "namespace": WEIR_NAMESPACE },
            ],
        }),
    ]
}

fn config_map(namespace: &str, name: &str, corefile: &str) -> Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": { "name": name, "namespace": namespace },
        "data": { "Corefile": corefile },
    })
}
