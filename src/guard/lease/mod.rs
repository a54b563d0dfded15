//! Keeps the Lease as the elector says, and publishes until when this process may write.
//!
//! Losing the lease stops writing, never the process: readings, the status page and this task go
//! on, and lead again when they can. Must not be asked for anything else than the right to write.

mod elector;

use std::time::Duration;

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, Client, api::ObjectMeta, api::PostParams};
use tokio::{
    sync::{oneshot, watch},
    time::{sleep, timeout},
};
use tracing::{info, warn};

use self::elector::{Claim, Elector};
use crate::{
    act::permit::{Leadership, LeadershipView},
    api::MANAGER,
    client::chain,
    clock::Clock,
    tasks::TaskError,
};

/// Between renewals: less than a third of the lease's duration, and so far apart that the idle budget
/// of one write in ten seconds has room for what else is written now and then.
const RENEW: Duration = Duration::from_secs(12);
/// After a failure, plus up to as much again so that replicas do not ask in unison.
const RETRY: Duration = Duration::from_secs(2);
/// Between two looks at whether the lease is wanted, besides being told.
const UNWANTED: Duration = Duration::from_mins(1);
/// No request of the lease may take longer: well below what separates writing from losing it.
const REQUEST: Duration = Duration::from_secs(5);

/// Which Lease, and who asks for it.
#[derive(Debug, Clone)]
pub(super) struct LeaseName {
    /// The namespace it lives in.
    pub(super) namespace: String,
    /// Its name.
    pub(super) name: String,
    /// Unique to this process, and telling a person which one it is.
    pub(super) identity: String,
}

/// Asks the lease's task to hand the lease back; the answer comes when that is done or given up.
#[derive(Debug)]
pub(super) struct HandBack(oneshot::Sender<oneshot::Sender<()>>);

impl HandBack {
    /// Hands the lease back and waits for it. No further write may begin from here on.
    pub(super) async fn now(self) {
        let (done, wait) = oneshot::channel();
        if self.0.send(done).is_ok() {
            // An error means that the task is gone, and so is its lease, in time.
            wait.await.unwrap_or_default();
        }
    }
}

/// The task that keeps the lease.
pub(super) struct Keeper {
    leases: Api<Lease>,
    name: LeaseName,
    clock: Clock,
    elector: Elector,
    view: watch::Sender<Leadership>,
    last_error: Option<String>,
    stop: oneshot::Receiver<oneshot::Sender<()>>,
}

impl Keeper {
    /// A keeper that has not asked yet, the view that it keeps, and the way to stop it.
    #[must_use]
    pub(super) fn new(
        client: Client,
        clock: Clock,
        name: LeaseName,
    ) -> (Self, LeadershipView, HandBack) {
        let (view, leadership) = watch::channel(Leadership::default());
        let (ask, stop) = oneshot::channel();
        let keeper = Self {
            leases: Api::namespaced(client, &name.namespace),
            elector: Elector::new(name.identity.clone()),
            name,
            clock,
            view,
            last_error: None,
            stop,
        };
        (keeper, leadership, HandBack(ask))
    }

    /// Keeps the lease while it is `wanted`, and until it is asked to hand it back for good; then waits
    /// for the process to end.
    pub(super) async fn run(mut self, mut wanted: watch::Receiver<bool>) -> Result<(), TaskError> {
        loop {
            let pause = if *wanted.borrow_and_update() {
                self.round().await
            } else {
                self.hand_back().await;
                UNWANTED
            };
            self.publish();
            tokio::select! {
                () = sleep(pause) => {}
                changed = wanted.changed() => changed?,
                asked = &mut self.stop => {
                    self.hand_back().await;
                    if let Ok(done) = asked {
                        // Whoever asked has left already; there is nobody to tell.
                        done.send(()).unwrap_or_default();
                    }
                    return std::future::pending().await;
                }
            }
        }
    }

    /// One look or claim; says how long to wait until the next.
    async fn round(&mut self) -> Duration {
        match self.attempt().await {
            Ok(wait) => {
                self.last_error = None;
                wait
            }
            Err(error) => {
                self.elector.doubt();
                let text = error.to_string();
                if self.last_error.as_ref() != Some(&text) {
                    warn!(
                        error = text,
                        "the lease could not be read or written; asking again"
                    );
                    self.last_error = Some(text);
                }
                RETRY.mul_f64(1.0 + fastrand::f64())
            }
        }
    }

    async fn attempt(&mut self) -> Result<Duration, LeaseError> {
        if !self.elector.can_renew_unread() {
            let lease = within(self.leases.get_opt(&self.name.name)).await?;
            let (spec, version) = lease.map_or_else(
                || (LeaseSpec::default(), None),
                |lease| {
                    (
                        lease.spec.unwrap_or_default(),
                        lease.metadata.resource_version,
                    )
                },
            );
            self.elector.saw(spec, version, self.clock.now());
        }
        let sent = self.clock.now();
        match self.elector.claim(sent) {
            Ok(claim) => {
                let version = self.write(&claim).await?;
                self.elector.won(claim, version, sent);
                Ok(RENEW)
            }
            Err(look_again) => {
                let left = Duration::from_millis(look_again.since(sent).as_millis());
                Ok(left.clamp(Duration::from_secs(1), RENEW))
            }
        }
    }

    /// Writes a claim; the new version says that it is ours.
    async fn write(&self, claim: &Claim) -> Result<Option<String>, LeaseError> {
        let lease = Lease {
            metadata: ObjectMeta {
                name: Some(self.name.name.clone()),
                namespace: Some(self.name.namespace.clone()),
                resource_version: claim.over.clone(),
                ..ObjectMeta::default()
            },
            spec: Some(claim.spec.clone()),
        };
        let params = PostParams {
            field_manager: Some(MANAGER.to_owned()),
            ..PostParams::default()
        };
        let written = if claim.over.is_some() {
            within(self.leases.replace(&self.name.name, &params, &lease)).await?
        } else {
            within(self.leases.create(&params, &lease)).await?
        };
        Ok(written.metadata.resource_version)
    }

    async fn hand_back(&mut self) {
        let claim = self.elector.hand_back(self.clock.now());
        self.publish();
        let Some(claim) = claim else {
            return;
        };
        // Should it be wanted again, another may hold it by then.
        self.elector.doubt();
        match self.write(&claim).await {
            Ok(_) => info!("the lease is handed back"),
            Err(error) => {
                warn!(%error, "the lease could not be handed back; it runs out by itself");
            }
        }
    }

    fn publish(&self) {
        let now = Leadership {
            holder: self.elector.holder().map(str::to_owned),
            until: self.elector.may_write_until(),
        };
        self.view.send_if_modified(|before| {
            if before.until.is_some() != now.until.is_some() || before.holder != now.holder {
                let holder = now.holder.as_deref().unwrap_or("nobody");
                info!(
                    holder,
                    leads = now.until.is_some(),
                    "the lease changed hands"
                );
            }
            let changed = *before != now;
            *before = now;
            changed
        });
    }
}

/// A request of the lease failed.
#[derive(Debug, thiserror::Error)]
enum LeaseError {
    #[error("{}", chain(.0))]
    Request(#[from] kube::Error),
    #[error("no answer within {} s", REQUEST.as_secs())]
    Slow,
}

async fn within<T>(request: impl Future<Output = Result<T, kube::Error>>) -> Result<T, LeaseError> {
    match timeout(REQUEST, request).await {
        Ok(answer) => Ok(answer?),
        Err(_elapsed) => Err(LeaseError::Slow),
    }
}

#[cfg(test)]
mod tests {
    use std::{
        convert::Infallible,
        sync::{Arc, Mutex},
    };

    use http::{Method, Request, Response};
    use http_body_util::BodyExt;
    use kube::client::Body;
    use serde_json::{Value, json};

    use super::*;

    /// Methods of all requests so far, and who holds the lease.
    type Server = Arc<Mutex<(Vec<Method>, Value)>>;

    /// An API server that holds one Lease, which nobody else asks for.
    fn client() -> (Client, Server) {
        let server = Server::default();
        let state = Arc::clone(&server);
        let service = tower::service_fn(move |request: Request<Body>| {
            let state = Arc::clone(&state);
            async move {
                let (parts, body) = request.into_parts();
                let body = body
                    .collect()
                    .await
                    .map(http_body_util::Collected::to_bytes);
                let sent: Option<Value> = serde_json::from_slice(&body.unwrap_or_default()).ok();
                let mut state = state.lock().unwrap();
                let (methods, spec) = &mut *state;
                methods.push(parts.method);
                if let Some(sent) = sent {
                    *spec = sent["spec"].clone();
                }
                let lease = json!({
                    "apiVersion": "coordination.k8s.io/v1", "kind": "Lease",
                    "metadata": { "name": "weir", "resourceVersion": methods.len().to_string() },
                    "spec": spec,
                });
                Ok::<_, Infallible>(Response::new(Body::from(lease.to_string().into_bytes())))
            }
        });
        (Client::new(service, "weir-system"), server)
    }

    #[tokio::test(start_paused = true)]
    async fn the_lease_is_asked_for_while_it_is_wanted_and_handed_back_each_time_it_is_not() {
        let (client, server) = client();
        let name = LeaseName {
            namespace: "weir-system".to_owned(),
            name: "weir".to_owned(),
            identity: "weir-0".to_owned(),
        };
        let (keeper, leadership, _hand_back) = Keeper::new(client, Clock::start(), name);
        let (wanted, asked_for) = watch::channel(false);
        let play = async {
            let holder = || server.lock().unwrap().1["holderIdentity"].clone();
            sleep(Duration::from_mins(5)).await;
            assert!(server.lock().unwrap().0.is_empty(), "nobody wanted it");
            for _ in 0..2 {
                wanted.send_replace(true);
                sleep(Duration::from_secs(5)).await;
                assert_eq!(holder(), "weir-0");
                assert!(leadership.borrow().until.is_some());
                wanted.send_replace(false);
                sleep(Duration::from_secs(5)).await;
                assert!(holder().is_null(), "it was not handed back");
                assert!(leadership.borrow().until.is_none());
            }
        };
        tokio::select! {
            () = play => {}
            ended = keeper.run(asked_for) => panic!("the keeper ended: {ended:?}"),
        }
    }
}
