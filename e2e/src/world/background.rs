//! What already runs in a cluster: Deployments of ordinary pods with their Services, and the pods
//! that come and go at a stated rate.

use anyhow::{Context, Result};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::{Namespace, Service};
use kube::Api;
use kube::api::{ListParams, PostParams};
use serde_json::{Value, json};

use super::nodes::AT_ONCE;
use super::{World, wait};

/// Sizes of Deployments, in turn: 60 pods on average, so that a ReplicaSet's creations come in
/// batches, as in clusters of some size.
const SIZES: [u32; 8] = [30, 100, 45, 60, 80, 35, 70, 60];

/// Deployments in each namespace.
const PER_NAMESPACE: usize = 4;

/// Marks what is background; its pods carry it too.
pub(super) const LABEL: (&str, &str) = ("weir.dev/world", "background");

/// One Deployment of the background.
#[derive(Debug, PartialEq, Eq)]
struct Part {
    namespace: String,
    name: String,
    replicas: u32,
}

/// Splits `pods` into Deployments of the usual sizes; the last one takes what is left.
fn parts(pods: u32) -> Vec<Part> {
    let mut parts = Vec::new();
    let mut left = pods;
    for (at, size) in SIZES.iter().cycle().enumerate() {
        if left == 0 {
            break;
        }
        let replicas = left.min(*size);
        left -= replicas;
        parts.push(Part {
            namespace: format!("team-{:03}", at / PER_NAMESPACE + 1),
            name: format!("service-{:03}", at + 1),
            replicas,
        });
    }
    parts
}

impl World {
    /// Creates `pods` background pods by way of their Deployments.
    pub(super) async fn populate(&self, pods: u32) -> Result<()> {
        let parts = parts(pods);
        let mut names: Vec<_> = parts.iter().map(|part| part.namespace.as_str()).collect();
        names.dedup();
        let namespaces: Api<Namespace> = Api::all(self.client());
        for name in names {
            create(&namespaces, json!({ "metadata": { "name": name } })).await?;
        }
        stream::iter(&parts)
            .map(|part| self.deploy(part))
            .buffer_unordered(AT_ONCE)
            .try_collect()
            .await
    }

    async fn deploy(&self, part: &Part) -> Result<()> {
        let services: Api<Service> = Api::namespaced(self.client(), &part.namespace);
        create(&services, service(part)).await?;
        let deployments: Api<Deployment> = Api::namespaced(self.client(), &part.namespace);
        create(&deployments, deployment(part)).await
    }

    /// Waits until the Deployments of the background say that `pods` of their pods are available.
    ///
    /// # Errors
    /// A program has ended, or no more pods run than two minutes ago.
    pub async fn background_running(&self, pods: u32) -> Result<()> {
        let deployments: Api<Deployment> = Api::all(self.client());
        let (label, value) = LABEL;
        let background = ListParams::default()
            .labels(&format!("{label}={value}"))
            .match_any();
        wait::reach(pods as usize, "pods run", async || {
            self.check()?;
            let list = deployments.list(&background).await?;
            let available = list
                .iter()
                .filter_map(|one| one.status.as_ref()?.available_replicas);
            Ok(usize::try_from(available.sum::<i32>())?)
        })
        .await
    }
}

/// Creates an object given as JSON.
async fn create<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + serde::Serialize + serde::de::DeserializeOwned,
{
    let name = object["metadata"]["name"].to_string();
    let object = serde_json::from_value(object).with_context(|| format!("the object {name}"))?;
    api.create(&PostParams::default(), &object)
        .await
        .map(drop)
        .with_context(|| format!("creating {name}"))
}

fn labels(part: &Part) -> Value {
    let (label, value) = LABEL;
    json!({ "app": part.name, label: value })
}

fn service(part: &Part) -> Value {
    json!({
        "metadata": { "name": part.name, "namespace": part.namespace, "labels": labels(part) },
        "spec": {
            "selector": { "app": part.name },
            "ports": [{ "name": "http", "port": 80, "targetPort": 8080 }],
        },
    })
}

fn deployment(part: &Part) -> Value {
    json!({
        "metadata": { "name": part.name, "namespace": part.namespace, "labels": labels(part) },
        "spec": {
            "replicas": part.replicas,
            "selector": { "matchLabels": { "app": part.name } },
            "template": {
                "metadata": {
                    "labels": labels(part),
                    "annotations": {
                        "prometheus.io/scrape": "true",
                        "prometheus.io/port": "8080",
                        "checksum/config": format!("{:064x}", part.replicas),
                    },
                },
                "spec": {
                    "containers": [container(part)],
                    // Nodes that go for a while must not set the whole background in motion.
                    "tolerations": [{ "operator": "Exists", "effect": "NoExecute" }],
                },
            },
        },
    })
}

/// A container whose pod is 7.5 kB of JSON, as measured on clusters in use: settings make the bulk.
fn container(part: &Part) -> Value {
    let settings: Vec<_> = (0..11)
        .map(|at| {
            let value = format!(
                "https://{}.{}.svc.cluster.local:8080/{at}",
                part.name, part.namespace
            );
            json!({ "name": format!("UPSTREAM_ENDPOINT_{at:02}"), "value": value })
        })
        .collect();
    let probe = |path: &str| {
        let get = json!({ "path": path, "port": 8080 });
        json!({ "httpGet": get, "periodSeconds": 10, "timeoutSeconds": 2 })
    };
    json!({
        "name": "main",
        "image": format!("registry.example/{}/{}:1.2.3", part.namespace, part.name),
        "args": ["--listen=:8080", "--log-format=json", "--shutdown-grace=5s"],
        "env": settings,
        "ports": [{ "name": "http", "containerPort": 8080 }],
        "resources": {
            "requests": { "cpu": "50m", "memory": "64Mi" },
            "limits": { "memory": "256Mi" },
        },
        "livenessProbe": probe("/healthz"),
        "readinessProbe": probe("/readyz"),
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn pods_are_split_without_remainder() {
        for pods in [0, 1, 30, 31, 480, 3_000, 10_007] {
            let parts = parts(pods);
            assert_eq!(parts.iter().map(|part| part.replicas).sum::<u32>(), pods);
            assert!(parts.iter().all(|part| part.replicas > 0));
        }
        let few = parts(3_000);
        assert_eq!(
            (few.len(), few[0].replicas, few[4].namespace.as_str()),
            (50, 30, "team-002")
        );
    }
}
