//! The beacon is written: the current epoch, every ten seconds, into one EndpointSlice.
//!
//! A beat that is refused is not written a second time: a missed beat says more than a late one. One that is not
//! answered at all raises the question whether anything is, which is settled by reading, every two seconds, until
//! something is.
//!
//! Kubelets watch no EndpointSlices, and kube-proxy none with the label `service.kubernetes.io/headless`: only DNS
//! servers hear of a beat.
//!
//! The EndpointSlice is made here, and goes with the Service of the beacon, its owner. It is in no manifest, since
//! whoever keeps a cluster by manifests would take its addresses away again and again, or pass over it (Argo CD 3.0
//! leaves EndpointSlices out: <https://argo-cd.readthedocs.io/en/stable/operator-manual/upgrading/2.14-3.0/>).

use std::{collections::BTreeMap, time::Duration};

use http::{Request, StatusCode, header::CONTENT_TYPE};
use http_body_util::BodyExt;
use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::{client::Body, core::Status};
use serde::Deserialize;
use serde_json::{Value, json};
use weir_core::{
    dns::{BEAT, Beats, Epoch},
    time::{Moment, Span},
};

use super::{BEACON, Desk};
use crate::{
    api::{MANAGER, times::time},
    client::{chain, is_over_budget},
    fnv,
    tasks::TaskError,
};

/// Between two looks at an API that did not answer.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// How many DNS servers may be told of a beat in a second: where one runs on each node, beats are rarer.
const TOLD_PER_SECOND: f64 = 50.0;
/// What makes DNS servers read it, and nobody else.
const LABELS: [(&str, &str); 3] = [
    ("endpointslice.kubernetes.io/managed-by", "weir.dev"),
    ("kubernetes.io/service-name", BEACON),
    ("service.kubernetes.io/headless", ""),
];
/// Which epoch the addresses stand for, in full.
const EPOCH: &str = "weir.dev/epoch";
/// Who wrote it.
const WRITER: &str = "weir.dev/writer";
/// What CoreDNS takes for the moment that caused a change, when it measures its own lag.
const TRIGGER: &str = "endpoints.kubernetes.io/last-change-trigger-time";

/// What an API server said to a request.
type Said = Result<(StatusCode, Vec<u8>), kube::Error>;

/// Writes for as long as it is polled, while this replica leads.
pub(super) async fn run(mut desk: Desk, client: kube::Client) -> Result<(), TaskError> {
    let mut beacon = Beacon::new(client, &desk);
    loop {
        let leads = desk.asking.borrow().asks;
        if !leads {
            desk.lead().await;
            // Whoever wrote last may have another clock.
            beacon.look(&desk).await;
        }
        let servers = desk.replicas();
        let period = period(servers.len());
        desk.layers().beats.pace(period);
        if desk.may_write() {
            let epoch = desk.layers().beats.next(desk.clock.now());
            beacon.beat(&desk, epoch).await;
        } else {
            beacon.look(&desk).await;
        }
        let next = next(desk.clock.now(), period);
        let rest = || next.since(desk.clock.now());
        while desk.layers().beats.is_in_doubt() && rest() > Span::ZERO {
            tokio::time::sleep(LOOK_EVERY).await;
            beacon.look(&desk).await;
        }
        tokio::time::sleep(Duration::from_millis(rest().as_millis())).await;
    }
}

/// How long lies between two beats that so many DNS servers hear of: whole epochs.
fn period(servers: usize) -> Span {
    let beats = servers as f64 / TOLD_PER_SECOND / BEAT.as_secs_f64();
    BEAT.times(beats.ceil().max(1.0))
}

/// When the next beat is due: as a period begins, by the same clock for all writers.
fn next(now: Moment, period: Span) -> Moment {
    let period = period.as_millis();
    Moment::from_millis((now.as_millis() / period + 1) * period)
}

/// The object, and how it is reached.
struct Beacon {
    client: kube::Client,
    slice: String,
    service: String,
    writer: String,
    /// The UID of the Service that it goes with, once that was read.
    owner: Option<String>,
}

impl Beacon {
    fn new(client: kube::Client, desk: &Desk) -> Self {
        let namespace = &desk.namespace;
        Self {
            client,
            slice: format!(
                "/apis/discovery.k8s.io/v1/namespaces/{namespace}/endpointslices/{BEACON}"
            ),
            service: format!("/api/v1/namespaces/{namespace}/services/{BEACON}"),
            writer: desk.writer.to_string(),
            owner: None,
        }
    }

    /// Writes an epoch, and tells what became of it.
    async fn beat(&mut self, desk: &Desk, epoch: Epoch) {
        let said = self.write(epoch, desk.clock.now()).await;
        let now = desk.clock.now();
        let mut layers = desk.layers();
        match said {
            Ok((status, _)) if status.is_success() => layers.beats.took(epoch, now),
            said => unwritten(&mut layers.beats, said, now),
        }
    }

    /// What is said to an epoch being written, or to the Service being read that has to be there first.
    async fn write(&mut self, epoch: Epoch, now: Moment) -> Said {
        let owner = match self.owner.take() {
            Some(owner) => owner,
            None => match self.get(&self.service).await? {
                (status, body) if status.is_success() => uid(&body),
                refused => return Ok(refused),
            },
        };
        let body = content(epoch, &self.writer, &owner, now).to_string();
        let request = Request::patch(format!("{}?fieldManager={MANAGER}&force=true", self.slice))
            .header(CONTENT_TYPE, "application/apply-patch+yaml")
            .body(Body::from(body.into_bytes()))
            .expect("a URI of a valid name");
        let said = self.send(request).await;
        // One that had to be made anew may have gone with its owner: which may be another by now.
        if matches!(said, Ok((StatusCode::OK, _))) {
            self.owner = Some(owner);
        }
        said
    }

    /// Reads what there is, whoever wrote it.
    async fn look(&self, desk: &Desk) {
        let said = self.get(&self.slice).await;
        let now = desk.clock.now();
        let mut layers = desk.layers();
        match said {
            Ok((status, body)) if status.is_success() => {
                layers.beats.read(epoch(&body, now), now);
            }
            // It is made with the first beat.
            Ok((StatusCode::NOT_FOUND, _)) => layers.beats.read(None, now),
            said => unwritten(&mut layers.beats, said, now),
        }
    }

    async fn get(&self, uri: &str) -> Said {
        let request = Request::get(uri)
            .body(Body::empty())
            .expect("a URI of a valid name");
        self.send(request).await
    }

    async fn send(&self, request: Request<Body>) -> Said {
        let response = self.client.send(request).await?;
        let status = response.status();
        let body = response.into_body().collect().await?.to_bytes();
        Ok((status, body.to_vec()))
    }
}

/// What it says of the API that a request did not succeed. A server that cannot reach its store answers, and knows
/// nothing; what Weir itself did not send says nothing of anybody.
fn unwritten(beats: &mut Beats, said: Said, now: Moment) {
    match said {
        Ok((status, body)) if status.is_server_error() => beats.unanswered(refusal(status, &body)),
        Ok((status, body)) => beats.refused(refusal(status, &body), now),
        Err(error) if is_over_budget(&error) => {}
        Err(error) => beats.unanswered(chain(&error)),
    }
}

/// What is written: two endpoints, since some readers take only the first address of each.
fn content(epoch: Epoch, writer: &str, owner: &str, now: Moment) -> Value {
    let [byte, ..] = fnv::hash(writer.bytes()).to_le_bytes();
    let endpoint = |address: &std::net::Ipv4Addr| {
        let addresses = [address.to_string()];
        json!({ "addresses": addresses, "conditions": { "ready": true } })
    };
    json!({
        "apiVersion": "discovery.k8s.io/v1",
        "kind": "EndpointSlice",
        "addressType": "IPv4",
        "metadata": {
            "name": BEACON,
            "ownerReferences": [
                { "apiVersion": "v1", "kind": "Service", "name": BEACON, "uid": owner },
            ],
            // Whoever takes these away would have each beat told to every node.
            "labels": LABELS.iter().copied().collect::<BTreeMap<_, _>>(),
            "annotations": {
                EPOCH: epoch.number().to_string(),
                WRITER: writer,
                TRIGGER: time(now),
            },
        },
        "endpoints": epoch.addresses(byte).iter().map(endpoint).collect::<Vec<_>>(),
    })
}

/// The UID of an object as an API server sends it, which gives one to each.
fn uid(body: &[u8]) -> String {
    #[derive(Deserialize)]
    struct Object {
        metadata: ObjectMeta,
    }
    let object = serde_json::from_slice::<Object>(body).ok();
    object
        .and_then(|object| object.metadata.uid)
        .unwrap_or_default()
}

/// The epoch in an object as an API server sends it, if there is one: somebody may have edited it.
fn epoch(body: &[u8], now: Moment) -> Option<Epoch> {
    let slice: EndpointSlice = serde_json::from_slice(body).ok()?;
    let addresses = slice
        .endpoints
        .iter()
        .flatten()
        .flat_map(|one| &one.addresses);
    let addresses: Result<Vec<_>, _> = addresses.map(|address| address.parse()).collect();
    Epoch::read(&addresses.ok()?, now).ok()
}

fn refusal(status: StatusCode, body: &[u8]) -> String {
    let message = serde_json::from_slice::<Status>(body);
    let message = message.map_or_else(|_| String::new(), |status| format!(": {}", status.message));
    match status {
        StatusCode::NOT_FOUND => format!(
            "there is no Service {BEACON}, whose endpoints are the beacon; it comes with Weir's manifests: apply \
             them again"
        ),
        StatusCode::FORBIDDEN => format!("Weir may not write its beacon{message}"),
        _ => format!("{status}{message}"),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const NOW: Moment = Moment::from_millis(1_795_860_003_000);

    #[test]
    fn what_is_written_is_read_back() {
        let written = Epoch::at(NOW);
        let slice = content(written, "weir-0", "4f7a", NOW);
        assert_eq!(epoch(slice.to_string().as_bytes(), NOW), Some(written));
        assert_eq!(slice["metadata"]["ownerReferences"][0]["uid"], "4f7a");
        assert_eq!(slice["metadata"]["annotations"][EPOCH], "179586000");
        for edited in [
            r#"{"endpoints":[{"addresses":["10.0.0.7"]}]}"#,
            "{}",
            "not JSON",
        ] {
            assert_eq!(epoch(edited.as_bytes(), NOW), None, "{edited}");
        }
    }

    #[test]
    fn beats_are_rarer_where_many_hear_of_them() {
        let periods = [0, 2, 500, 501, 5_000].map(period);
        let seconds = [10, 10, 10, 20, 100].map(Span::from_secs);
        assert_eq!(periods, seconds);
    }

    #[test]
    fn all_writers_beat_at_the_same_time() {
        assert_eq!(next(NOW, BEAT), Epoch::at(NOW).next().begins());
        assert_eq!(
            next(Epoch::at(NOW).begins(), BEAT),
            Epoch::at(NOW).next().begins()
        );
    }

    #[test]
    fn a_refusal_says_what_to_do() {
        assert!(refusal(StatusCode::NOT_FOUND, b"").contains("apply them again"));
        let body = br#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
        assert_eq!(
            refusal(StatusCode::FORBIDDEN, body),
            "Weir may not write its beacon: no"
        );
    }
}
