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

use http::{Request, StatusCode};
use k8s_openapi::{
    api::discovery::v1::EndpointSlice, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
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
    observe::request::{Answer, get, send, with_body},
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
type Said = Result<Answer, kube::Error>;

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
        let sent = desk.clock.now();
        let said = self.write(epoch, sent).await;
        let now = desk.clock.now();
        let mut layers = desk.layers();
        if let Ok(Answer {
            date: Some(date), ..
        }) = &said
        {
            layers.clock(*date, sent, now);
        }
        match said {
            Ok(answer) if answer.status.is_success() => layers.beats.took(epoch, now),
            said => unwritten(&mut layers.beats, said, now),
        }
    }

    /// What is said to an epoch being written, or to the Service being read that has to be there first.
    async fn write(&mut self, epoch: Epoch, now: Moment) -> Said {
        let owner = match self.owner.take() {
            Some(owner) => owner,
            None => match send(&self.client, get(&self.service)).await? {
                answer if answer.status.is_success() => uid(&answer.body),
                refused => return Ok(refused),
            },
        };
        let request = Request::patch(format!("{}?fieldManager={MANAGER}&force=true", self.slice));
        let content = content(epoch, &self.writer, &owner, now);
        let request = with_body(request, "application/apply-patch+yaml", &content);
        let said = send(&self.client, request).await;
        // One that had to be made anew may have gone with its owner, which may be another by now. A beat that nobody
        // had time for says nothing of the owner: it is not read again for that.
        let keeps_owner = |status: StatusCode| {
            status == StatusCode::OK
                || status == StatusCode::TOO_MANY_REQUESTS
                || status.is_server_error()
        };
        if said
            .as_ref()
            .map_or(true, |answer| keeps_owner(answer.status))
        {
            self.owner = Some(owner);
        }
        said
    }

    /// Reads what there is, whoever wrote it.
    async fn look(&self, desk: &Desk) {
        let said = send(&self.client, get(&self.slice)).await;
        let now = desk.clock.now();
        let mut layers = desk.layers();
        match said {
            Ok(answer) if answer.status.is_success() => {
                layers.beats.read(epoch(&answer.body, now), now);
            }
            // It is made with the first beat.
            Ok(answer) if answer.status == StatusCode::NOT_FOUND => layers.beats.read(None, now),
            said => unwritten(&mut layers.beats, said, now),
        }
    }
}

/// What it says of the API that a request did not succeed. A server that cannot reach its store answers, and knows
/// nothing; what Weir itself did not send says nothing of anybody.
fn unwritten(beats: &mut Beats, said: Said, now: Moment) {
    match said {
        Ok(answer) if answer.status.is_server_error() => beats.unanswered(refusal(&answer)),
        Ok(answer) => beats.refused(refusal(&answer), now),
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

fn refusal(answer: &Answer) -> String {
    let said = answer.said();
    match answer.status {
        StatusCode::NOT_FOUND => format!(
            "there is no Service {BEACON}, whose endpoints are the beacon; it comes with Weir's manifests: apply \
             them again"
        ),
        StatusCode::FORBIDDEN => format!("Weir may not write its beacon: {said}"),
        _ => said,
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
        let refused = |status, body: &str| {
            refusal(&Answer {
                status,
                body: body.as_bytes().to_vec(),
                date: None,
            })
        };
        assert!(refused(StatusCode::NOT_FOUND, "").contains("apply them again"));
        let body = r#"{"kind":"Status","status":"Failure","message":"no","reason":"Forbidden","code":403}"#;
        assert_eq!(
            refused(StatusCode::FORBIDDEN, body),
            "Weir may not write its beacon: no"
        );
        assert_eq!(
            refused(StatusCode::TOO_MANY_REQUESTS, ""),
            "429 Too Many Requests"
        );
    }
}
