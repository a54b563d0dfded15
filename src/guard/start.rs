//! Puts the operator together, runs it, and ends it in order.
//!
//! ```text
//!  SIGTERM ──▶ no write begins ──▶ those under way end ──▶ lease handed back ──▶ exit 0
//!                                  2 s at most             2 s at most
//! ```

use std::{sync::Arc, time::Duration};

use tokio::{
    signal::unix::{SignalKind, signal},
    sync::watch,
    time::timeout,
};
use tracing::{info, warn};
use weir_core::policy::Mode;

use super::{
    inspection::Inspector,
    lease::{HandBack, Keeper, LeaseName},
    tick::{Channels, Guard},
};
use crate::{
    act::{
        enact::Hands,
        events::Messenger,
        permit::{LeadershipView, Permit},
        record::Recorder,
        tally::Tally,
    },
    client::{Budget, ClientError, Clients},
    clock::Clock,
    config::Config,
    observe::{Observers, Own, Place},
    serve::{self, ListenError},
    snapshot::Snapshot,
    tasks::{TaskEnded, Tasks},
};

/// How long writes under way are waited for at the end.
const WRITES_END_WITHIN: Duration = Duration::from_secs(2);
/// How long handing the lease back may take.
const HAND_BACK_WITHIN: Duration = Duration::from_secs(2);

/// Why the operator could not start, or ended.
#[derive(Debug, thiserror::Error)]
pub enum RunError {
    /// Health and metrics cannot be served.
    #[error(transparent)]
    Listen(#[from] ListenError),
    /// There is no way to the cluster.
    #[error(transparent)]
    Client(#[from] ClientError),
    /// The process could not ask to be told when it is to end.
    #[error("cannot wait for signals")]
    Signal(#[source] std::io::Error),
    /// A part of it gave up, which must never be hidden by the others' going on.
    #[error(transparent)]
    Ended(#[from] TaskEnded),
}

/// Runs the operator until it is told to end.
pub async fn run(config: Config) -> Result<(), RunError> {
    let clock = Clock::start();
    let listener = serve::listen(config.listen).await?;
    let clients = Clients::infer(clock, Budget::standard()).await?;
    let ceiling = Mode::from(config.mode);
    let identity = identity(&config.name, clock);
    info!(
        version = env!("CARGO_PKG_VERSION"),
        mode = ceiling.name(),
        identity,
        listen = %config.listen,
        "Weir begins"
    );

    let lease = LeaseName {
        namespace: config.namespace.clone(),
        name: config.lease_name,
        identity: identity.clone(),
    };
    let mut tasks = Tasks::default();
    let (snapshots, to_serve) = watch::channel(None);
    tasks.start("server", serve::serve(listener, to_serve, clock));
    let (lease_wanted, asked_for) = watch::channel(ceiling > Mode::Observe);
    let (keeper, leadership, hand_back) = Keeper::new(clients.lease(), clock, lease);
    let permit = Permit::new(leadership.clone(), clock);
    let parts = Parts {
        ceiling,
        clients,
        permit: permit.clone(),
        leadership,
        lease_wanted,
    };
    let own = Own {
        namespace: &config.namespace,
        identity: &identity,
    };
    let (namespace, service) = config.dns_service;
    let dns = config.dns_measured.then_some(Place {
        namespace,
        service,
        resolv_conf: config.resolv_conf,
    });
    let guard = parts.guard(own, dns, snapshots, &mut tasks);
    tasks.start("loop", guard.run());
    tasks.start("lease", keeper.run(asked_for));
    if ceiling == Mode::Observe {
        info!("Weir only reads: it asks for no lease, and writes nothing but the end of the valve");
    }

    tokio::select! {
        ended = tasks.first_end() => Err(ended.into()),
        told = told_to_end() => {
            let signal = told.map_err(RunError::Signal)?;
            info!(signal, "Weir ends");
            end(&permit, hand_back).await;
            Ok(())
        }
    }
}

/// What all parts of the operator are made with.
struct Parts {
    ceiling: Mode,
    clients: Clients,
    permit: Permit,
    leadership: LeadershipView,
    lease_wanted: watch::Sender<bool>,
}

impl Parts {
    /// Starts everything that observes and acts, and puts the loop between.
    fn guard(
        self,
        own: Own<'_>,
        dns: Option<Place>,
        snapshots: watch::Sender<Option<Arc<Snapshot>>>,
        tasks: &mut Tasks,
    ) -> Guard {
        let Self {
            ceiling,
            clients,
            permit,
            leadership,
            lease_wanted,
        } = self;
        let tally = Arc::new(Tally::default());
        let (books, to_record) = watch::channel(Arc::default());
        let clock = clients.clock();
        let (recorder, unrecorded) =
            Recorder::new(clients.api(), permit.clone(), clock, Arc::clone(&tally));
        tasks.start("recorder", recorder.run(to_record));
        let (messenger, teller) = Messenger::new(
            clients.api(),
            own.identity,
            permit.clone(),
            Arc::clone(&tally),
        );
        tasks.start("messenger", messenger.run());
        let (inspector, gate) = Inspector::new(clients.api(), permit.clone());
        if ceiling == Mode::Enforce {
            tasks.start("inspector", inspector.run());
        }
        Guard {
            ceiling,
            observers: Observers::start(&clients, own, dns, tasks),
            hands: Hands {
                api: clients.api(),
                releases: clients.releases(),
                permit,
            },
            leadership,
            lease_wanted,
            unrecorded,
            gate,
            clients,
            tally,
            channels: Channels {
                books,
                teller,
                snapshots,
            },
        }
    }
}

/// Lets nothing begin, waits for what is under way, and gives the lease to whoever is next.
async fn end(permit: &Permit, hand_back: HandBack) {
    permit.close(WRITES_END_WITHIN).await;
    if timeout(HAND_BACK_WITHIN, hand_back.now()).await.is_err() {
        warn!("the lease is not handed back; it runs out by itself");
    }
}

async fn told_to_end() -> Result<&'static str, std::io::Error> {
    let mut terminate = signal(SignalKind::terminate())?;
    let mut interrupt = signal(SignalKind::interrupt())?;
    tokio::select! {
        _ = terminate.recv() => Ok("SIGTERM"),
        _ = interrupt.recv() => Ok("SIGINT"),
    }
}

/// Unique to this run of the process, since a predecessor's lease must not be taken for its own.
fn identity(name: &str, clock: Clock) -> String {
    let started = clock.now().as_millis() / 1000;
    format!("{name}-{started:x}-{:08x}", fastrand::u32(..))
}
