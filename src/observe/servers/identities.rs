//! Turns the identity Leases of API servers into how many there should be.
//!
//! Each kube-apiserver keeps one, whatever address it is reached by. One that died without a successor
//! on its host stays for its Lease's hour, and is missed for as long.

use std::{
    sync::{Arc, Mutex, PoisonError},
    time::Duration,
};

use k8s_openapi::api::coordination::v1::{Lease, LeaseSpec};
use kube::{Api, api::ListParams};
use tokio::sync::watch;
use weir_core::{
    evidence::Reading,
    time::{Moment, Span},
};

use super::{Pace, Tempo};
use crate::{api::times::moment, client::chain, clock::Clock, tasks::TaskError};

const NAMESPACE: &str = "kube-system";
const SELECTOR: &str = "apiserver.kubernetes.io/identity=kube-apiserver";
/// Leases in a page.
const PAGE: u32 = 100;
/// The ages at which the count is stale, and absent: three polls missed, and six, at the idle pace.
const AGES: [Span; 2] = [Span::from_secs(180), Span::from_secs(360)];

/// How many API servers there should be.
pub(super) struct Identities {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    count: Option<(u32, Moment)>,
    /// Why the last poll brought none.
    trouble: Option<String>,
}

impl Identities {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    pub(super) fn reading(&self, now: Moment) -> Reading<u32> {
        let state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        let unread = || "the API servers' identity Leases have not been read yet".to_owned();
        let trouble = || state.trouble.clone().unwrap_or_else(unread);
        match state.count {
            Some((count, at)) => Reading::aged(count, now.since(at), AGES, trouble),
            None => Reading::Absent { why: trouble() },
        }
    }

    /// Asks again and again, for as long as it is polled.
    pub(super) async fn poll(
        self: Arc<Self>,
        client: kube::Client,
        mut tempo: watch::Receiver<Tempo>,
    ) -> Result<(), TaskError> {
        let leases = Api::namespaced(client, NAMESPACE);
        loop {
            let counted = count(&leases, self.clock).await;
            let every = match tempo.borrow_and_update().pace {
                Pace::InFlight => Duration::from_secs(30),
                Pace::Idle if counted.is_err() => Duration::from_secs(30),
                Pace::Idle => Duration::from_mins(1),
            };
            self.keep(counted);
            tokio::time::sleep(every).await;
        }
    }

    fn keep(&self, counted: Result<u32, String>) {
        let mut state = self.state.lock().unwrap_or_else(PoisonError::into_inner);
        match counted {
            Ok(count) => {
                *state = State {
                    count: Some((count, self.clock.now())),
                    trouble: None,
                }
            }
            Err(why) => {
                if state.trouble.as_ref() != Some(&why) {
                    tracing::warn!(why, "the API servers could not be counted");
                }
                state.trouble = Some(why);
            }
        }
    }
}

async fn count(leases: &Api<Lease>, clock: Clock) -> Result<u32, String> {
    let mut params = ListParams::default().labels(SELECTOR).limit(PAGE);
    let mut count = 0;
    loop {
        let page = leases.list(&params).await.map_err(|error| why(&error))?;
        let now = clock.now();
        let live = page.items.iter().filter_map(|lease| lease.spec.as_ref());
        count += live.filter(|lease| !has_expired(lease, now)).count();
        match page.metadata.continue_.filter(|token| !token.is_empty()) {
            Some(token) => params = params.continue_token(&token),
            None => break,
        }
    }
    match u32::try_from(count) {
        Ok(0) | Err(_) => Err(format!(
            "no API server keeps an identity Lease in {NAMESPACE}: state in the policy how many \
             there are (required.apiServers)"
        )),
        Ok(count) => Ok(count),
    }
}

/// A Lease without a duration or a time never expires; API servers write both.
fn has_expired(lease: &LeaseSpec, now: Moment) -> bool {
    let (Some(renewed), Some(seconds)) = (&lease.renew_time, lease.lease_duration_seconds) else {
        return false;
    };
    let span = Span::from_secs(u64::try_from(seconds).unwrap_or(0));
    moment(renewed.0) + span < now
}

fn why(error: &kube::Error) -> String {
    match error {
        kube::Error::Api(status) if status.code == 403 => format!(
            "Weir may not list leases in {NAMESPACE}: grant it the verb list on them there ({})",
            status.message
        ),
        error => chain(error),
    }
}

#[cfg(test)]
mod tests;
