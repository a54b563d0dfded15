//! Turns requests to one API server into round trips.
//!
//! One goes out whenever it is its time, whatever became of the last: a server that hangs would else
//! be asked only as often as a probe is given up. They go the way of any ordinary client: through the
//! priority level of Weir's account, to what is newest (no read is from "any" version), measured to
//! the end of the answer. `/livez` and `/readyz` bypass the queues, and are no measure. The object is
//! Weir's own, and is made if it is missing.
//!
//! Where servers stand behind a balancer each probe has a connection of its own, in quiet times too:
//! over one that is kept all would meet one server. The handshake is then part of what is measured,
//! and of what it is compared with.
//!
//! They go out unevenly ([`tempo::uneven`]): agents ask by the second, too, and probes that kept step
//! with them would meet all of their calls, or none.

use std::{collections::BTreeMap, pin::pin, sync::Arc, time::Duration};

use futures::{StreamExt, stream::FuturesUnordered};
use http::{
    Request, StatusCode,
    header::{CONNECTION, HeaderValue},
};
use kube::client::Body;
use serde_json::json;
use weir_core::{
    servers::{ProbeKind, ProbeResult},
    time::Moment,
};

use super::{Desk, tempo};
use crate::{
    api::{MANAGER, times::micro_time},
    client::{chain, is_over_budget},
    clock::Clock,
    observe::{
        request::{self, get, with_body},
        watches::trouble::REFUSAL_LASTS,
    },
};

/// The name of the Lease that probes read and write.
const OBJECT: &str = "weir-probe";
/// Objects that the LIST asks for.
const LIMIT: u32 = 5;
/// How long a probe may take.
const TIMEOUT: Duration = Duration::from_millis(tempo::PROBE_TIMEOUT.as_millis());

/// Probes under way at once: as many as can be before the first is given up.
const OPEN: usize = 5;

/// Probes one API server for as long as it is polled; the object lives in `namespace`.
pub(super) async fn run(desk: Desk, client: kube::Client, address: String, namespace: Arc<str>) {
    probe_by(desk, client, address, namespace, tempo::uneven).await;
}

/// Probes with rests that `rest` makes of the usual one.
async fn probe_by(
    desk: Desk,
    client: kube::Client,
    address: String,
    namespace: Arc<str>,
    rest: fn(Duration) -> Duration,
) {
    let prober = Prober { client, namespace };
    let mut tempo = desk.tempo.clone();
    let mut denials = Denials::default();
    let mut open = FuturesUnordered::new();
    let mut turn: usize = 0;
    loop {
        let now = *tempo.borrow_and_update();
        if open.len() < OPEN {
            let kind = now.kinds()[turn % now.kinds().len()];
            turn = turn.wrapping_add(1);
            open.push(prober.probe(kind, now.balanced, desk.clock));
        }
        let every = Duration::from_millis(now.cadence().probe_every.as_millis());
        let mut resting = pin!(tempo::rest(&mut tempo, now.pace, rest(every)));
        loop {
            let (kind, result) = tokio::select! {
                Some(ended) = open.next() => ended,
                () = &mut resting => break,
            };
            let at = desk.clock.now();
            if let Some(result) = result.and_then(|result| denials.believe(kind, result, at)) {
                desk.fleet().probed(&address, kind, result, at);
            }
        }
    }
}

struct Prober {
    client: kube::Client,
    namespace: Arc<str>,
}

/// What came back to a probe.
type Answer = Result<request::Answer, kube::Error>;

impl Prober {
    /// One probe, and what its end says about the server. A `last` one of its connection lets a
    /// balancer choose anew for the next.
    async fn probe(
        &self,
        kind: ProbeKind,
        last: bool,
        clock: Clock,
    ) -> (ProbeKind, Option<ProbeResult>) {
        let mut request = self.request(kind, clock.now());
        if last {
            let close = HeaderValue::from_static("close");
            request.headers_mut().insert(CONNECTION, close);
        }
        let begun = clock.elapsed();
        let asked = request::send(&self.client, request);
        let answer = tokio::time::timeout(TIMEOUT, asked).await.ok();
        let took = clock.elapsed().saturating_sub(begun);
        if kind == ProbeKind::Write && answer.as_ref().is_some_and(is_missing) {
            self.create(clock.now()).await;
        }
        (kind, self.result(kind, answer, took))
    }

    fn request(&self, kind: ProbeKind, now: Moment) -> Request<Body> {
        let leases = self.leases();
        match kind {
            ProbeKind::Get => get(&format!("{leases}/{OBJECT}")),
            ProbeKind::List => get(&format!("{leases}?limit={LIMIT}")),
            ProbeKind::Write => {
                let patch = json!({ "spec": { "renewTime": micro_time(now) } });
                let uri = format!("{leases}/{OBJECT}?fieldManager={MANAGER}");
                with_body(Request::patch(uri), "application/merge-patch+json", &patch)
            }
        }
    }

    fn leases(&self) -> String {
        format!(
            "/apis/coordination.k8s.io/v1/namespaces/{}/leases",
            self.namespace
        )
    }

    /// Makes the object; the next write tells whether that went well.
    async fn create(&self, now: Moment) {
        let lease = json!({
            "apiVersion": "coordination.k8s.io/v1",
            "kind": "Lease",
            "metadata": { "name": OBJECT, "namespace": &*self.namespace },
            "spec": { "holderIdentity": "weir", "renewTime": micro_time(now) },
        });
        let uri = format!("{}?fieldManager={MANAGER}", self.leases());
        let request = with_body(Request::post(uri), "application/json", &lease);
        let asked = request::send(&self.client, request);
        let why = match tokio::time::timeout(TIMEOUT, asked).await {
            Ok(Ok(answer)) if answer.status.is_success() => return,
            Ok(Ok(answer)) => answer.said(),
            Ok(Err(error)) => chain(&error),
            Err(_) => return,
        };
        tracing::warn!(why, "the Lease that probes write could not be made");
    }

    /// What an answer says about the server; nothing if it was not asked.
    fn result(
        &self,
        kind: ProbeKind,
        answer: Option<Answer>,
        took: Duration,
    ) -> Option<ProbeResult> {
        let Some(answer) = answer else {
            let why = format!("no whole answer within {} s", TIMEOUT.as_secs());
            return Some(ProbeResult::Failed { why });
        };
        let answer = match answer {
            Ok(answer) => answer,
            Err(error) if is_over_budget(&error) => return None,
            Err(error) => return Some(ProbeResult::Failed { why: chain(&error) }),
        };
        Some(match answer.status {
            // That there is no such object is an answer, too.
            status if status.is_success() => ProbeResult::Served(took),
            StatusCode::NOT_FOUND => ProbeResult::Served(took),
            StatusCode::TOO_MANY_REQUESTS => ProbeResult::Refused,
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => ProbeResult::Denied {
                why: format!(
                    "grant Weir the verb {} on leases in {} ({})",
                    verb(kind),
                    self.namespace,
                    answer.said()
                ),
            },
            _ => ProbeResult::Failed { why: answer.said() },
        })
    }
}

/// Since when each kind of probe has been denied.
#[derive(Default)]
struct Denials(BTreeMap<ProbeKind, Moment>);

impl Denials {
    /// The result, unless it is a denial that has not lasted yet: that may be a server which has
    /// just started and knows no roles, and says nothing of what Weir may do.
    fn believe(
        &mut self,
        kind: ProbeKind,
        result: ProbeResult,
        now: Moment,
    ) -> Option<ProbeResult> {
        if !matches!(result, ProbeResult::Denied { .. }) {
            self.0.remove(&kind);
            return Some(result);
        }
        let since = *self.0.entry(kind).or_insert(now);
        (now.since(since) >= REFUSAL_LASTS).then_some(result)
    }
}

fn is_missing(answer: &Answer) -> bool {
    matches!(answer, Ok(answer) if answer.status == StatusCode::NOT_FOUND)
}

const fn verb(kind: ProbeKind) -> &'static str {
    match kind {
        ProbeKind::Get => "get",
        ProbeKind::List => "list",
        ProbeKind::Write => "patch",
    }
}

#[cfg(test)]
mod tests;
