//! Pods that go and are replaced at a steady rate, as on any cluster that people deploy to.

use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use k8s_openapi::api::core::v1::Pod;
use kube::api::{DeleteParams, ListParams};
use kube::{Api, Client};
use tokio::task::JoinHandle;
use tokio::time::MissedTickBehavior;

use super::background::LABEL;

/// More is no longer background: the controllers alone would keep an API server's core busy.
pub(super) const MOST_PER_SECOND: f64 = 50.0;

/// Deletes background pods until it is dropped; their `ReplicaSet`s replace them.
#[derive(Debug)]
pub struct Churn {
    task: JoinHandle<()>,
    counts: Arc<Counts>,
}

#[derive(Debug, Default)]
struct Counts {
    deleted: AtomicU64,
    failed: AtomicU64,
}

impl Churn {
    /// Deletes `per_second` pods (more than 0), one at a time: where the API server is slower than that, fewer.
    pub(super) fn start(client: Client, per_second: f64) -> Self {
        let counts = Arc::new(Counts::default());
        let period = Duration::from_secs_f64(per_second.recip());
        let task = tokio::spawn(run(client, period, Arc::clone(&counts)));
        Self { task, counts }
    }

    /// Pods deleted so far.
    #[must_use]
    pub fn deleted(&self) -> u64 {
        self.counts.deleted.load(Ordering::Relaxed)
    }

    /// Requests that failed so far.
    #[must_use]
    pub fn failed(&self) -> u64 {
        self.counts.failed.load(Ordering::Relaxed)
    }
}

impl Drop for Churn {
    fn drop(&mut self) {
        self.task.abort();
    }
}

async fn run(client: Client, period: Duration, counts: Arc<Counts>) {
    let mut ticks = tokio::time::interval(period);
    ticks.set_missed_tick_behavior(MissedTickBehavior::Delay);
    let mut names = Vec::new();
    loop {
        ticks.tick().await;
        let done = match names.pop() {
            None => victims(&client).await.map(|found| names = found),
            Some((namespace, name)) => delete(&client, &namespace, &name).await.map(|()| {
                counts.deleted.fetch_add(1, Ordering::Relaxed);
            }),
        };
        if done.is_err() {
            counts.failed.fetch_add(1, Ordering::Relaxed);
        }
    }
}

/// Half of the background's pods, every other one, so that each Deployment gives its share. The
/// names of replacements are not known; they come with the next list.
async fn victims(client: &Client) -> kube::Result<Vec<(String, String)>> {
    let (label, value) = LABEL;
    let background = ListParams::default()
        .labels(&format!("{label}={value}"))
        .match_any();
    let pods = Api::<Pod>::all(client.clone())
        .list_metadata(&background)
        .await?;
    let names = pods.items.into_iter().step_by(2);
    Ok(names
        .filter_map(|pod| Some((pod.metadata.namespace?, pod.metadata.name?)))
        .collect())
}

async fn delete(client: &Client, namespace: &str, name: &str) -> kube::Result<()> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), namespace);
    pods.delete(name, &DeleteParams::default()).await.map(drop)
}
