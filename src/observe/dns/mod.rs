//! Turns DNS servers into what the core's `Layers` tells of how fresh their answers are.
//!
//! ```text
//!  lease holder ──▶ beacon (EndpointSlice) ──▶ API ──▶ CoreDNS ──▶ … ──▶ asked here, each by its address
//!  EndpointSlices of the DNS Service, the Service, the Corefile, resolv.conf ──▶ which servers there are
//! ```
//!
//! Only the replica that leads writes and asks: the others judge nothing.
//!
//! - [`find`]: which DNS servers there are, and what of them is known beforehand.
//! - [`ask`]: the two questions, by UDP and TCP.
//! - [`beat`]: the beacon is written; it is watched as well, since a watch can stand still.
//! - [`caches`]: what caches count of themselves.
//! - [`round`]: all of them are asked, again and again.

mod ask;
mod beat;
mod caches;
mod find;
mod resolv_conf;
mod round;

use std::{
    collections::BTreeMap,
    net::SocketAddr,
    path::PathBuf,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use weir_core::{
    dns::{Epoch, Layers},
    evidence::Dns,
    time::{Moment, Span},
};

use self::find::Facts;
use super::{
    Own,
    watches::{
        beacon::Beacons,
        kept::Kept,
        name_server::NameServers,
        run::{Selection, run},
    },
};
use crate::{client::Clients, clock::Clock, tasks::Tasks};

/// The Service and the EndpointSlice of the beacon; its name below Weir's namespace.
pub(super) const BEACON: &str = "weir-beacon";

/// Where the cluster's DNS is.
#[derive(Debug, Clone)]
pub struct Place {
    /// The namespace of the Service that clients are given.
    pub namespace: String,
    /// Its name.
    pub service: String,
    /// The file that names the servers which this process itself is given.
    pub resolv_conf: PathBuf,
}

/// The cluster's DNS servers, each one.
pub(super) struct NameService {
    servers: Arc<Kept<NameServers>>,
    beacons: Arc<Kept<Beacons>>,
    layers: Arc<Mutex<Layers>>,
    clock: Clock,
    asking: watch::Sender<Asking>,
}

/// Whether this replica asks DNS servers, and whether it writes the beacon.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
struct Asking {
    /// It leads, as far as anybody knows: also while nobody answers who could say otherwise.
    asks: bool,
    /// It may write now.
    writes: bool,
}

/// What each task here works with.
#[derive(Clone)]
struct Desk {
    clock: Clock,
    place: Arc<Place>,
    /// Weir's own namespace, which the beacon is in.
    namespace: Arc<str>,
    /// Who writes, for people.
    writer: Arc<str>,
    servers: Arc<Kept<NameServers>>,
    /// The replicas as they were last known: the API may be silent for longer than its watch tells of them.
    replicas: Arc<Mutex<Replicas>>,
    layers: Arc<Mutex<Layers>>,
    asking: watch::Receiver<Asking>,
}

/// Replicas by their names.
type Replicas = BTreeMap<String, SocketAddr>;

impl NameService {
    /// Starts to write, to look and to ask, as soon as this replica leads.
    pub(super) fn start(clients: &Clients, place: Place, own: Own<'_>, tasks: &mut Tasks) -> Self {
        let clock = clients.clock();
        let servers = Arc::new(Kept::new(NameServers, clock));
        let layers = Arc::new(Mutex::new(Layers::new(clock.now())));
        let (asking, asked) = watch::channel(Asking::default());
        let slices = Selection {
            namespace: Some(place.namespace.clone()),
            labels: Some(format!("kubernetes.io/service-name={}", place.service)),
            fields: None,
        };
        let watch = run(clients.api(), Arc::clone(&servers), slices);
        tasks.start("watch on the DNS servers' addresses", async {
            watch.await;
            Ok(())
        });
        let desk = Desk {
            clock,
            place: Arc::new(place),
            namespace: own.namespace.into(),
            writer: own.identity.into(),
            servers: Arc::clone(&servers),
            replicas: Arc::default(),
            layers: Arc::clone(&layers),
            asking: asked,
        };
        let (facts, known) = watch::channel(Arc::new(Facts::default()));
        tasks.start(
            "facts of DNS",
            find::poll(desk.clone(), clients.api(), facts),
        );
        let beacons = Arc::new(Kept::new(Beacons, clock));
        let watch = run(clients.api(), Arc::clone(&beacons), beacon(own.namespace));
        let told = tell(Arc::clone(&beacons), desk.clone());
        tasks.start("watch on the beacon", async {
            tokio::join!(watch, told);
            Ok(())
        });
        tasks.start("beacon", beat::run(desk.clone(), clients.beacon()));
        tasks.start(
            "metrics of DNS caches",
            caches::run(desk.clone(), known.clone()),
        );
        tasks.start("questions to DNS servers", round::run(desk, known));
        Self {
            servers,
            beacons,
            layers,
            clock,
            asking,
        }
    }

    /// Whether this replica leads as far as it knows, and whether it may write now. What another has asked meanwhile
    /// is not known here: whoever begins to lead begins anew. What its own watch last told of is: one that has stood
    /// still since tells of nothing else.
    pub(super) fn set_leading(&self, leads: bool, may_write: bool) {
        let now = Asking {
            asks: leads,
            writes: may_write,
        };
        self.asking.send_if_modified(|before| {
            if now.asks && !before.asks {
                let at = self.clock.now();
                // Whoever tells of an event waits for this, so that none is lost.
                let mut layers = lock(&self.layers);
                *layers = Layers::new(at);
                if let Some(epoch) = shown(&self.beacons, at) {
                    layers.watched(Some(epoch), at);
                }
            }
            let turned = *before != now;
            *before = now;
            turned
        });
    }

    /// How fresh DNS is.
    pub(super) fn view(&self, now: Moment) -> Dns {
        if !self.asking.borrow().asks {
            return Dns::NotMeasured {
                why: "this replica does not lead, and only the one that does asks; in mode observe none leads"
                    .to_owned(),
            };
        }
        lock(&self.layers).evidence(now)
    }

    /// How long ago the watch on their addresses last said something.
    pub(super) fn age(&self, now: Moment) -> Option<Span> {
        self.servers.age(now)
    }
}

/// The beacon alone.
fn beacon(namespace: &str) -> Selection {
    Selection {
        namespace: Some(namespace.to_owned()),
        labels: None,
        fields: Some(format!("metadata.name={BEACON}")),
    }
}

/// Tells of each event that the watch brings, for as long as it is polled.
async fn tell(beacons: Arc<Kept<Beacons>>, desk: Desk) {
    loop {
        beacons.changed().await;
        let now = desk.clock.now();
        let epoch = shown(&beacons, now);
        desk.layers().watched(epoch, now);
    }
}

/// The epoch that the watch last told of, if that was one.
fn shown(beacons: &Kept<Beacons>, now: Moment) -> Option<Epoch> {
    let reading = beacons.reading(now);
    reading.last().and_then(|all| all.get(BEACON).copied())
}

impl Desk {
    fn layers(&self) -> MutexGuard<'_, Layers> {
        lock(&self.layers)
    }

    /// Comes back once this replica asks.
    async fn lead(&mut self) {
        // The sender lives as long as the process.
        drop(self.asking.wait_for(|now| now.asks).await);
    }

    /// The replicas, as they were last known.
    fn replicas(&self) -> Replicas {
        let reading = self.servers.reading(self.clock.now());
        let slices = reading
            .last()
            .into_iter()
            .flat_map(|slices| slices.values());
        let now: Replicas = slices
            .flatten()
            .map(|(name, at)| (name.clone(), *at))
            .collect();
        let mut known = lock(&self.replicas);
        if !now.is_empty() {
            *known = now;
        }
        known.clone()
    }

    /// Whether this replica may write now.
    fn may_write(&self) -> bool {
        self.asking.borrow().writes
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
