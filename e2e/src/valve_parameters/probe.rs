//! Asks an API server, by dry run, what it would do with a pod; and what its memory holds.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};
use futures::{StreamExt, TryStreamExt, stream};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace, Pod, ServiceAccount};
use kube::api::PostParams;
use kube::{Api, Client};
use serde_json::json;
use weir::api::marks;

use crate::gates::is_gated;
use crate::world::World;

const UID: &str = "11111111-2222-3333-4444-555555555555";
const HASH: &str = "measured";

/// The enrolled namespace, and one that is not.
pub(super) const ENROLLED: &str = "enrolled";
const ELSEWHERE: &str = "elsewhere";

/// Concurrent creations of others' objects.
const AT_ONCE: usize = 16;

/// What a server does with a pod of the probe's revision.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Answer {
    /// The pod has Weir's gate.
    Gated,
    /// The pod does not.
    Open,
    /// There is no pod: the server refused it.
    Refused,
}

/// Pods of one made-up revision, in one namespace.
pub(super) struct Probe {
    pods: Api<Pod>,
    client: Client,
    pod: Pod,
}

impl Probe {
    /// Creates the namespaces and waits until pods can be created in them.
    pub(super) async fn new(world: &World) -> Result<Self> {
        let client = world.client();
        for (name, labels) in [
            (ENROLLED, json!({ (marks::GUARD): "enforce" })),
            (ELSEWHERE, json!({})),
        ] {
            let namespace: Namespace =
                serde_json::from_value(json!({ "metadata": { "name": name, "labels": labels } }))?;
            Api::all(client.clone())
                .create(&PostParams::default(), &namespace)
                .await?;
            let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), name);
            let started = Instant::now();
            while accounts.get_opt("default").await?.is_none() {
                if started.elapsed() > Duration::from_secs(30) {
                    bail!("namespace {name} has no default ServiceAccount");
                }
                tokio::time::sleep(Duration::from_millis(20)).await;
            }
        }
        let pod = serde_json::from_value(json!({
            "metadata": {
                "name": "probe",
                "labels": { "controller-revision-hash": HASH },
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "probe", "uid": UID,
                    "controller": true,
                }],
            },
            "spec": { "containers": [{ "name": "probe", "image": "none.invalid/probe" }] },
        }))?;
        Ok(Self {
            pods: Api::namespaced(client.clone(), ENROLLED),
            client,
            pod,
        })
    }

    /// The same pod in the namespace that is not enrolled.
    pub(super) fn elsewhere(&self) -> Self {
        Self {
            pods: Api::namespaced(self.client.clone(), ELSEWHERE),
            client: self.client.clone(),
            pod: self.pod.clone(),
        }
    }

    /// What the server does with the pod.
    ///
    /// # Errors
    /// It does not answer.
    pub(super) async fn answer(&self) -> Result<Answer> {
        let parameters = PostParams {
            dry_run: true,
            ..PostParams::default()
        };
        match self.pods.create(&parameters, &self.pod).await {
            Ok(pod) => {
                let held = is_gated(&pod);
                Ok(if held { Answer::Gated } else { Answer::Open })
            }
            Err(kube::Error::Api(_)) => Ok(Answer::Refused),
            Err(error) => Err(error).context("asking for a pod by dry run"),
        }
    }

    /// As [`Probe::answer`]; `None` if the server does not answer.
    pub(super) async fn try_answer(&self) -> Option<Answer> {
        self.answer().await.ok()
    }

    /// Time until the server gives this answer; `None` if it does not within the limit.
    pub(super) async fn until(&self, wanted: Answer, limit: Duration) -> Result<Option<Duration>> {
        let started = Instant::now();
        while started.elapsed() < limit {
            if self.answer().await? == wanted {
                return Ok(Some(started.elapsed()));
            }
            tokio::time::sleep(Duration::from_millis(2)).await;
        }
        Ok(None)
    }
}

/// The key of the probe's revision among the approved.
pub(super) fn key() -> String {
    format!("{UID}.{HASH}")
}

/// Creates so many objects of so many bytes each, as others would.
pub(super) async fn create_config_maps(
    world: &World,
    (count, bytes): (usize, usize),
) -> Result<()> {
    let maps: Api<ConfigMap> = Api::namespaced(world.client(), ELSEWHERE);
    stream::iter(0..count)
        .map(|number| {
            let maps = maps.clone();
            async move {
                let map = json!({
                    "metadata": { "name": format!("foreign-{number}") },
                    "data": { "text": number.to_string().repeat(bytes).split_at(bytes).0 },
                });
                let map = serde_json::from_value(map)?;
                maps.create(&PostParams::default(), &map).await?;
                anyhow::Ok(())
            }
        })
        .buffer_unordered(AT_ONCE)
        .try_collect()
        .await
}

/// Bytes in live objects of the API server, after a garbage collection that its profiler makes.
pub(super) async fn live_heap(world: &World) -> Result<f64> {
    let client = world.client();
    let collect = http::Request::get("/debug/pprof/heap?gc=1&debug=1").body(Vec::new())?;
    client.request_text(collect).await?;
    let page = http::Request::get("/metrics").body(Vec::new())?;
    let page = client.request_text(page).await?;
    let line = page
        .lines()
        .find_map(|line| line.strip_prefix("go_memstats_heap_alloc_bytes "));
    Ok(line.context("the metrics page has no heap")?.parse()?)
}
