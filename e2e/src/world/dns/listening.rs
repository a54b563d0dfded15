//! A client that follows EndpointSlices as others do, and counts what it is told of one of them.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use futures::TryStreamExt;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::api::{WatchEvent, WatchParams};
use kube::{Api, Client};
use tokio::task::JoinHandle;

/// The selector of kube-proxy (k8s.io/kubernetes, cmd/kube-proxy/app/server.go): what is headless, or served by
/// something else, it never hears of.
const KUBE_PROXY: &str =
    "!service.kubernetes.io/headless,!service.kubernetes.io/service-proxy-name";

/// Between the end of a watch and the next one.
const AGAIN_AFTER: Duration = Duration::from_millis(200);

/// The beacon.
const BEACON: &str = "weir-beacon";

/// A watch on all EndpointSlices; it ends with this.
#[derive(Debug)]
pub struct Listening {
    heard: Arc<Heard>,
    following: JoinHandle<()>,
}

/// What it was told.
#[derive(Debug, Default)]
struct Heard {
    of_beacon: AtomicU64,
    of_others: AtomicU64,
}

impl Listening {
    /// Follows what kube-proxy follows.
    #[must_use]
    pub fn as_kube_proxy(client: Client) -> Self {
        Self::follow(client, WatchParams::default().labels(KUBE_PROXY))
    }

    /// Follows all of them.
    #[must_use]
    pub fn to_all(client: Client) -> Self {
        Self::follow(client, WatchParams::default())
    }

    fn follow(client: Client, what: WatchParams) -> Self {
        let heard = Arc::new(Heard::default());
        let counting = Arc::clone(&heard);
        let slices: Api<EndpointSlice> = Api::all(client);
        let following = tokio::spawn(async move {
            // One that ends is begun anew: what there is then is told once more, and counted once more.
            loop {
                drop(count(&slices, &what, &counting).await);
                tokio::time::sleep(AGAIN_AFTER).await;
            }
        });
        Self { heard, following }
    }

    /// Events so far about the beacon.
    #[must_use]
    pub fn of_beacon(&self) -> u64 {
        self.heard.of_beacon.load(Ordering::Relaxed)
    }

    /// Events so far about anything else: there are some as soon as it hears.
    #[must_use]
    pub fn of_others(&self) -> u64 {
        self.heard.of_others.load(Ordering::Relaxed)
    }
}

impl Drop for Listening {
    fn drop(&mut self) {
        self.following.abort();
    }
}

async fn count(slices: &Api<EndpointSlice>, what: &WatchParams, heard: &Heard) -> kube::Result<()> {
    let mut events = pin!(slices.watch(what, "0").await?);
    while let Some(event) = events.try_next().await? {
        if let WatchEvent::Added(slice) | WatchEvent::Modified(slice) | WatchEvent::Deleted(slice) =
            event
        {
            let is_beacon = slice.metadata.name.as_deref() == Some(BEACON);
            let counter = if is_beacon {
                &heard.of_beacon
            } else {
                &heard.of_others
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
    Ok(())
}
