//! The one way to an API server: turns a kube configuration into clients that cannot be the load.
//!
//! ```text
//!  kube::Client ──▶ Gate (budget, time limit, at most one retry, count) ──▶ kube's own stack ──▶ TLS
//! ```
//!
//! Every client made here has passed the same [`gate`]; nobody else may build one. kube's own retry
//! (fifteen times, in 5.0 as before) is off: a guard that multiplies calls under overload is the
//! disease. Nothing here knows what the requests are about.

mod body;
mod budget;
mod causes;
#[cfg(test)]
pub(crate) mod fake;
mod gate;
mod pages;
mod pulse;
mod spent;

use std::{sync::Arc, time::Duration};

use http::{HeaderValue, Uri, header::USER_AGENT};
use kube::{Config, client::ClientBuilder};
use tower::buffer::BufferLayer;

use self::{
    budget::Bucket,
    gate::{ANSWER_WITHIN, GateLayer, Tolls},
};
use crate::clock::Clock;

pub use self::{
    budget::{Allowance, Budget, OverBudget},
    causes::{causes, chain, is_missing, is_over_budget, of_kube},
    gate::TimedOut,
    pages::{PAGE, list_all},
    pulse::Pulse,
    spent::{Counter, Spent},
};

/// How long to try to connect (TCP and TLS). Less than a probe's five seconds, so that the probe
/// names the reason.
const CONNECT_WITHIN: Duration = Duration::from_secs(4);
/// How long an answer of a server that is measured may take. A backstop: whoever measures has limits
/// of their own, of which that for a page is half a minute.
const MEASURED_WITHIN: Duration = Duration::from_secs(35);
/// How long an API server may take to answer for a beat: two that are not answered, one after the other, are to
/// be known within the time to the next.
const BEACON_WITHIN: Duration = Duration::from_secs(4);
/// The longest silence on a connection in use; a watch is never silent for longer, since it is ended
/// and begun anew within a minute. A backstop: requests have their own, shorter limits.
const READ_WITHIN: Duration = Duration::from_secs(75);
/// The name that every API server's certificate carries, however it is reached.
const SERVER_NAME: &str = "kubernetes.default.svc";
/// Requests that may wait for a connection; what exceeds it waits at the budget's gate.
const BUFFER: usize = 256;

/// Why no client could be made.
#[derive(Debug, thiserror::Error)]
pub enum ClientError {
    /// Neither a kubeconfig nor a pod's service account was found.
    #[error(
        "no way to a cluster was found: set KUBECONFIG, or run in a pod with a service account"
    )]
    Infer(#[source] kube::config::InferConfigError),
    /// The address of an API server is not one.
    #[error("`{address}` is not an address of an API server (host:port)")]
    Address {
        /// What was given.
        address: String,
        /// What is wrong with it.
        source: http::Error,
    },
    /// TLS or credentials could not be set up from the configuration.
    #[error("the configured certificates or credentials cannot be used")]
    Build(#[source] kube::Error),
}

/// Makes clients, which all share one budget and one count.
#[derive(Clone)]
pub struct Clients {
    config: Config,
    clock: Clock,
    budget: Budget,
    shared: Arc<gate::Shared>,
    api: kube::Client,
    releases: kube::Client,
    lease: kube::Client,
    beacon: kube::Client,
}

impl Clients {
    /// Clients for the cluster that kube infers: `KUBECONFIG`, `~/.kube/config`, or the pod's
    /// service account (whose token file is read anew as it is rotated).
    pub async fn infer(clock: Clock, budget: Budget) -> Result<Self, ClientError> {
        let config = Config::infer().await.map_err(ClientError::Infer)?;
        Self::new(config, clock, budget, None)
    }

    /// Clients for a given configuration, whose time-outs, retry and user agent are overruled. How long a whole
    /// answer may take, its connection included, is Weir's to say where nobody else does.
    pub fn new(
        mut config: Config,
        clock: Clock,
        budget: Budget,
        answer_within: Option<Duration>,
    ) -> Result<Self, ClientError> {
        // Fails only if a provider was chosen already, which is as good.
        drop(rustls::crypto::ring::default_provider().install_default());
        config.default_retry = false;
        // A limit that somebody set is kept by the gate, which says so: no backstop may come before it. The one
        // on reading is only ever raised, since it bounds watches too, of which the gate bounds no more than the head.
        config.connect_timeout = answer_within.is_none().then_some(CONNECT_WITHIN);
        config.read_timeout = Some(READ_WITHIN + answer_within.unwrap_or_default());
        // Else the time that a pooled connection sat idle counts against the next answer on it.
        config.reset_reader_on_write = true;
        let agent = HeaderValue::from_static(concat!("weir/", env!("CARGO_PKG_VERSION")));
        config.headers.push((USER_AGENT, agent));

        let shared = Arc::new(gate::Shared::new(clock, &budget));
        let reads = Arc::new(Bucket::new("reads", budget.reads));
        let writes = Arc::new(Bucket::new("writes", budget.writes));
        let releases = Arc::new(Bucket::new("releases", budget.releases));
        let lease = Arc::new(Bucket::new("lease renewals", budget.lease));
        let beacon = Arc::new(Bucket::new("the beacon", budget.beacon));
        let usual = |reads: &Arc<Bucket>, writes: &Arc<Bucket>| {
            let tolls = Tolls {
                reads: Arc::clone(reads),
                writes: Arc::clone(writes),
                retries: true,
                answer_within: answer_within.unwrap_or(ANSWER_WITHIN),
            };
            build(config.clone(), &shared, tolls)
        };
        let once = Tolls {
            reads: Arc::clone(&beacon),
            writes: beacon,
            retries: false,
            answer_within: BEACON_WITHIN,
        };
        Ok(Self {
            api: usual(&reads, &writes)?,
            releases: usual(&reads, &releases)?,
            lease: usual(&lease, &lease)?,
            beacon: build(config.clone(), &shared, once)?,
            config,
            clock,
            budget,
            shared,
        })
    }

    /// The usual endpoint: what is neither a release nor a lease renewal.
    #[must_use]
    pub fn api(&self) -> kube::Client {
        self.api.clone()
    }

    /// The usual endpoint, whose writes are paid from the budget for releases.
    #[must_use]
    pub fn releases(&self) -> kube::Client {
        self.releases.clone()
    }

    /// The usual endpoint with a small budget of its own, so that no burst of other requests costs
    /// the leader its lease.
    #[must_use]
    pub fn lease(&self) -> kube::Client {
        self.lease.clone()
    }

    /// The usual endpoint, asked once and not for long: a beat that is late, or sent twice, says less than one
    /// that is missed.
    #[must_use]
    pub fn beacon(&self) -> kube::Client {
        self.beacon.clone()
    }

    /// One API server by its `host:port`, to measure it: never retried, never made to wait, given up by
    /// whoever measures, and with a budget of its own. Its certificate must carry the name of the
    /// `kubernetes` Service.
    pub fn server(&self, address: &str) -> Result<kube::Client, ClientError> {
        let url = Uri::builder()
            .scheme("https")
            .authority(address)
            .path_and_query("/")
            .build()
            .map_err(|source| ClientError::Address {
                address: address.to_owned(),
                source,
            })?;
        let mut config = self.config.clone();
        config.cluster_url = url;
        config.tls_server_name = Some(SERVER_NAME.to_owned());
        let bucket = Arc::new(Bucket::new("one API server's probes", self.budget.server));
        let tolls = Tolls {
            reads: Arc::clone(&bucket),
            writes: bucket,
            retries: false,
            answer_within: MEASURED_WITHIN,
        };
        build(config, &self.shared, tolls)
    }

    /// The clock that requests are paced by.
    #[must_use]
    pub fn clock(&self) -> Clock {
        self.clock
    }

    /// What all clients together have cost so far.
    #[must_use]
    pub fn spent(&self) -> Spent {
        self.shared.spent()
    }
}

fn build(
    config: Config,
    shared: &Arc<gate::Shared>,
    tolls: Tolls,
) -> Result<kube::Client, ClientError> {
    let layer = GateLayer::new(Arc::clone(shared), tolls);
    Ok(ClientBuilder::try_from(config)
        .map_err(ClientError::Build)?
        // The gate may call twice, from tasks of its own.
        .with_layer(&BufferLayer::new(BUFFER))
        .with_layer(&layer)
        .build())
}
