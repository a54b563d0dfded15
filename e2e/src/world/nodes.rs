//! Nodes: registered by the world as their kubelets would, kept alive by kwok.

use std::collections::BTreeSet;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::coordination::v1::Lease;
use k8s_openapi::api::core::v1::Node;
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::{World, wait};

/// Two octets of a private network, a /24 of pods for each node.
pub(super) const MOST: u32 = 16 * 256;

/// Pods that a node takes: more than kubelet's 110, so that few nodes can hold many pods.
pub(super) const PODS_PER_NODE: u32 = 250;

/// Objects created at once: enough to keep an API server's core busy.
pub(super) const AT_ONCE: usize = 48;

/// How often a node's Lease is renewed, counted from when the node joined.
const LEASE_RENEWED_EVERY: Duration = Duration::from_secs(10);

/// From so many nodes on, their Leases are a load of their own.
const FLEET: u32 = 100;

/// Taints of nodes that are not ready, or not heard of.
const FAILED: [&str; 2] = [
    "node.kubernetes.io/not-ready",
    "node.kubernetes.io/unreachable",
];

impl World {
    /// Adds `count` nodes, numbered on from the last, and waits until all are Ready.
    ///
    /// # Errors
    /// More than the world's address plan holds, or not Ready in time.
    pub async fn add_nodes(&self, count: u32) -> Result<()> {
        self.add_nodes_over(count, Duration::ZERO).await
    }

    /// Adds the nodes that a world begins with. Those of a fleet join one after the other: nodes that
    /// join at once renew their Leases at once for ever, and no real fleet beats like that.
    pub(super) async fn add_first_nodes(&self, count: u32) -> Result<()> {
        let takes = if count < FLEET {
            Duration::ZERO
        } else {
            LEASE_RENEWED_EVERY
        };
        self.add_nodes_over(count, takes).await
    }

    async fn add_nodes_over(&self, count: u32, takes: Duration) -> Result<()> {
        if count == 0 {
            return Ok(());
        }
        let nodes: Api<Node> = Api::all(self.client());
        let names = nodes.list_metadata(&ListParams::default()).await?;
        let numbers = names.items.iter().filter_map(|node| {
            node.metadata
                .name
                .as_deref()?
                .strip_prefix("node-")?
                .parse::<u32>()
                .ok()
        });
        let first = numbers.max().map_or(0, |highest| highest + 1);
        ensure!(first + count <= MOST, "a world holds at most {MOST} nodes");
        let each = takes / count;
        stream::iter(0..count)
            .then(async |index| {
                tokio::time::sleep(each).await;
                index
            })
            .map(|index| register(&nodes, first + index))
            .buffer_unordered(AT_ONCE)
            .try_collect::<()>()
            .await?;
        self.nodes_ready(names.items.len() + count as usize).await
    }

    /// Waits until at least `count` nodes are Ready, take pods and send heartbeats.
    pub async fn nodes_ready(&self, count: usize) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        let leases: Api<Lease> = Api::namespaced(self.client(), "kube-node-lease");
        let cached = ListParams::default().match_any();
        wait::reach(count, "nodes are ready and send heartbeats", async || {
            self.check()?;
            // Leases outlive their nodes by a while.
            let leases = leases.list_metadata(&cached).await?.items.into_iter();
            let heard: BTreeSet<_> = leases.map(|lease| lease.metadata.name).collect();
            let nodes = nodes.list(&cached).await?;
            let ready = nodes.iter().filter(|node| is_ready(node));
            Ok(ready
                .filter(|node| heard.contains(&node.metadata.name))
                .count())
        })
        .await
    }

    /// Waits until this node is Ready and takes pods.
    pub async fn node_ready(&self, name: &str) -> Result<()> {
        let nodes: Api<Node> = Api::all(self.client());
        let what = format!("nodes called {name} are ready");
        wait::reach(1, &what, async || {
            Ok(usize::from(is_ready(&nodes.get(name).await?)))
        })
        .await
    }
}

async fn register(nodes: &Api<Node>, number: u32) -> Result<()> {
    let node = serde_json::from_value(node(number)).context("a node as the API has it")?;
    nodes
        .create(&PostParams::default(), &node)
        .await
        .map(drop)
        .with_context(|| format!("creating node {number}"))
}

/// Ready, and without the taint that a new node has until the controllers have seen that it is.
pub(crate) fn is_ready(node: &Node) -> bool {
    let status = node.status.as_ref();
    let conditions = status
        .and_then(|status| status.conditions.as_deref())
        .unwrap_or_default();
    let tainted = node
        .spec
        .as_ref()
        .and_then(|spec| spec.taints.as_deref())
        .unwrap_or_default();
    conditions
        .iter()
        .any(|condition| condition.type_ == "Ready" && condition.status == "True")
        && !tainted
            .iter()
            .any(|taint| FAILED.contains(&taint.key.as_str()))
}

/// A node with the labels, the addresses and about the size of a cloud provider's.
pub(crate) fn node(number: u32) -> Value {
    let name = format!("node-{number:05}");
    let zone = format!("z{}", number % 3 + 1);
    let (high, low) = (number / 256, number % 256);
    let capacity = json!({
        "cpu": "32",
        "memory": "128Gi",
        "ephemeral-storage": "200Gi",
        "pods": PODS_PER_NODE.to_string(),
    });
    let now = jiff::Timestamp::now()
        .strftime("%Y-%m-%dT%H:%M:%SZ")
        .to_string();
    let condition = |kind: &str, status: &str, reason: &str| {
        json!({
            "type": kind, "status": status, "reason": reason,
            "message": format!("kubelet reports {reason}"),
            "lastHeartbeatTime": now, "lastTransitionTime": now,
        })
    };
    json!({
        "metadata": {
            "name": name,
            "labels": {
                "kubernetes.io/hostname": name,
                "kubernetes.io/os": "linux",
                "kubernetes.io/arch": "amd64",
                "node.kubernetes.io/instance-type": "world.8xlarge",
                "topology.kubernetes.io/region": "world",
                "topology.kubernetes.io/zone": zone,
            },
        },
        "spec": {
            "podCIDR": format!("10.{}.{low}.0/24", 128 + high),
            "podCIDRs": [format!("10.{}.{low}.0/24", 128 + high)],
            "providerID": format!("world:///{zone}/{name}"),
        },
        "status": {
            "capacity": capacity,
            "allocatable": capacity,
            "phase": "Running",
            "addresses": [
                { "type": "InternalIP", "address": format!("10.64.{high}.{low}") },
                { "type": "Hostname", "address": name },
            ],
            "conditions": [
                condition("MemoryPressure", "False", "KubeletHasSufficientMemory"),
                condition("DiskPressure", "False", "KubeletHasNoDiskPressure"),
                condition("PIDPressure", "False", "KubeletHasSufficientPID"),
                condition("Ready", "True", "KubeletReady"),
            ],
            "daemonEndpoints": { "kubeletEndpoint": { "Port": 10250 } },
            "nodeInfo": {
                "architecture": "amd64",
                "operatingSystem": "linux",
                "kernelVersion": "6.12.0",
                "osImage": "World 1.0",
                "containerRuntimeVersion": "containerd://2.2.0",
                "kubeletVersion": "v1.36.3",
                "kubeProxyVersion": "",
                "machineID": format!("{number:032x}"),
                "systemUUID": format!("{number:032x}"),
                "bootID": format!("{number:032x}"),
            },
        },
    })
}
