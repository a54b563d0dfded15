//! Turns probes and pages of each API server into what the core's `Fleet` tells of them.
//!
//! ```text
//!  EndpointSlice default/kubernetes ──▶ addresses ──▶ a prober and a scraper each ──▶ Fleet
//!  identity Leases in kube-system   ──▶ how many there should be
//!  the most that a policy states    ──▶ whether a balancer stands before them
//! ```
//!
//! - [`tempo`]: how often.
//! - [`probe`]: round trips through ordinary priority levels.
//! - [`scrape`]: pages of metrics.
//! - [`patience`]: how long a page may take, and when the next is due.
//! - [`identities`]: how many API servers there should be.

mod identities;
mod patience;
mod probe;
mod scrape;
mod tempo;

use std::{
    collections::{BTreeMap, BTreeSet},
    future::Future,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::sync::watch;
use weir_core::{
    evidence::{Reading, ServerEvidence, ServerId},
    servers::{Fleet, ProbeKind, ProbeResult},
    time::{Moment, Span},
};

pub use self::tempo::Pace;
use self::{identities::Identities, tempo::Tempo};
use super::{
    crowd::Crowd,
    join::map,
    watches::{
        instance::Instances,
        kept::Kept,
        run::{Selection, run},
    },
};
use crate::{
    client::{Clients, chain},
    clock::Clock,
    tasks::{TaskError, Tasks},
};

/// How often the addresses are looked at: what joins is asked within a second.
const LOOK_EVERY: Duration = Duration::from_secs(1);

/// What is known of the API servers at one moment.
#[derive(Debug, Clone)]
pub struct ServersView {
    /// Each API server process.
    pub servers: BTreeMap<ServerId, ServerEvidence>,
    /// How many there should be.
    pub expected: Reading<u32>,
    /// The addresses that they publish. While they are not fresh, the last known are asked.
    pub addresses: Reading<BTreeSet<String>>,
}

/// The API servers, each one.
pub(super) struct Servers {
    instances: Arc<Kept<Instances>>,
    identities: Arc<Identities>,
    fleet: Arc<Mutex<Fleet>>,
    tempo: watch::Sender<Tempo>,
}

/// What each prober and scraper works with.
#[derive(Clone)]
struct Desk {
    clock: Clock,
    fleet: Arc<Mutex<Fleet>>,
    tempo: watch::Receiver<Tempo>,
}

impl Servers {
    /// Starts to ask; the probe object lives in `namespace`.
    pub(super) fn start(clients: &Clients, namespace: &str, tasks: &mut Tasks) -> Self {
        let clock = clients.clock();
        let instances = Arc::new(Kept::new(Instances, clock));
        let identities = Arc::new(Identities::new(clock));
        let fleet = Arc::new(Mutex::new(Fleet::new(Tempo::default().cadence())));
        let (tempo, paced) = watch::channel(Tempo::default());
        let desk = Desk {
            clock,
            fleet: Arc::clone(&fleet),
            tempo: paced.clone(),
        };

        let watch = run(
            clients.api(),
            Arc::clone(&instances),
            Selection::kubernetes(),
        );
        tasks.start("watch on the API servers' addresses", async {
            watch.await;
            Ok(())
        });
        let poll = Arc::clone(&identities).poll(clients.api(), paced);
        tasks.start("count of the API servers", poll);
        let namespace: Arc<str> = namespace.into();
        let probe =
            move |desk, client, address| probe::run(desk, client, address, Arc::clone(&namespace));
        let probes = desk
            .clone()
            .each(clients.clone(), Arc::clone(&instances), probe);
        tasks.start("probes", probes);
        let scrapes = desk.each(clients.clone(), Arc::clone(&instances), scrape::run);
        tasks.start("scrapes", scrapes);
        Self {
            instances,
            identities,
            fleet,
            tempo,
        }
    }

    /// How often servers are asked.
    pub(super) fn set_pace(&self, pace: Pace) {
        self.set_tempo(|tempo| tempo.pace = pace);
    }

    /// Whether probes write.
    pub(super) fn set_leading(&self, leading: bool) {
        self.set_tempo(|tempo| tempo.leading = leading);
    }

    /// How many servers a policy says there are; 0 if none says.
    pub(super) fn set_stated(&self, stated: u32) {
        self.set_tempo(|tempo| tempo.stated = stated);
    }

    fn set_tempo(&self, change: impl FnOnce(&mut Tempo)) {
        self.tempo.send_if_modified(|tempo| {
            let before = *tempo;
            change(tempo);
            *tempo != before
        });
    }

    /// Whether what is measured from now on is what other times are compared with.
    pub(super) fn set_quiet(&self, quiet: bool) {
        self.fleet().quiet(quiet);
    }

    /// What is known of them.
    pub(super) fn view(&self, now: Moment) -> ServersView {
        let addresses = map(self.instances.reading(now), |slices| flat(&slices));
        let expected = self.identities.reading(now);
        if let Some(known) = addresses.last() {
            let (known, leases) = (known.len(), expected.last().copied());
            self.set_tempo(|tempo| tempo.found(known, leases));
        }
        let mut fleet = self.fleet();
        fleet.pace(self.tempo.borrow().cadence());
        ServersView {
            servers: fleet.evidence(&expected, now),
            expected,
            addresses,
        }
    }

    /// How long ago the watch on their addresses last said something.
    pub(super) fn age(&self, now: Moment) -> Option<Span> {
        self.instances.age(now)
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Desk {
    /// Keeps one future for each address, for as long as it is polled.
    async fn each<F>(
        self,
        clients: Clients,
        instances: Arc<Kept<Instances>>,
        start: impl Fn(Self, kube::Client, String) -> F,
    ) -> Result<(), TaskError>
    where
        F: Future<Output = ()> + Send + 'static,
    {
        let mut crowd = Crowd::new();
        let mut look = tokio::time::interval(LOOK_EVERY);
        loop {
            let now = self.clock.now();
            // Addresses that are no longer heard of for certain are asked all the same.
            if let Some(addresses) = instances.reading(now).last().map(|slices| flat(slices)) {
                self.fleet().endpoints(&addresses, now);
                crowd.set(&addresses, |address: &String| {
                    let client = self.client(&clients, address);
                    let asking = client.map(|client| start(self.clone(), client, address.clone()));
                    async {
                        match asking {
                            Some(asking) => asking.await,
                            None => std::future::pending().await,
                        }
                    }
                });
            }
            tokio::select! {
                _ = look.tick() => {}
                () = crowd.run() => return Ok(()),
            }
        }
    }

    /// A client for one server; that there can be none is told of that server.
    fn client(&self, clients: &Clients, address: &str) -> Option<kube::Client> {
        let failed = match clients.server(address) {
            Ok(client) => return Some(client),
            Err(error) => ProbeResult::Failed { why: chain(&error) },
        };
        self.fleet()
            .probed(address, ProbeKind::Get, failed, self.clock.now());
        None
    }

    fn fleet(&self) -> MutexGuard<'_, Fleet> {
        self.fleet.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

/// The addresses of all slices; there is one.
fn flat(slices: &BTreeMap<String, BTreeSet<String>>) -> BTreeSet<String> {
    slices.values().flatten().cloned().collect()
}

impl Selection {
    /// The one EndpointSlice in which API servers publish themselves.
    fn kubernetes() -> Self {
        Self {
            namespace: Some("default".to_owned()),
            labels: None,
            fields: Some("metadata.name=kubernetes".to_owned()),
        }
    }
}
