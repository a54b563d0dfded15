//! Two questions to one DNS server → what it was heard to say.
//!
//! By UDP, sent twice at most, then by TCP: one lost packet is no silence, and what does not fit into a packet
//! is asked for anew. Nothing is cached, no search list is gone through, and no other server is asked in this
//! one's place: what counts is what this server says.

use std::{net::SocketAddr, time::Duration};

use futures::future::join;
use hickory_net::{
    NetError,
    client::{Client, ClientHandle},
    runtime::TokioRuntimeProvider,
    tcp::TcpClientStream,
    udp::UdpClientStream,
};
use hickory_proto::{
    op::{DnsResponse, ResponseCode},
    rr::{DNSClass, Name, RData, RecordType},
};
use weir_core::{
    dns::{Answers, Code, Heard, Message},
    time::Span,
};

/// How long an answer may take, by UDP in two tries as by TCP. A server on the same network needs a
/// millisecond.
const ANSWER_WITHIN: Duration = Duration::from_millis(800);
/// Packets by UDP: the second half way. (hickory counts the first as a retry.) More would go out beside these, and
/// hide that packets are lost.
const PACKETS: u8 = 2;
/// When that is, in milliseconds.
const RETRY_AFTER_MS: u64 = 400;
/// Records of a message that are looked at; the beacon has two.
const RECORDS: usize = 64;
/// Letters of the name that nobody has.
const NONCE: usize = 12;

/// The names that are asked for.
#[derive(Debug, Clone)]
pub(super) struct Names {
    /// The beacon's.
    beacon: Name,
    /// The zone that it is in.
    zone: Name,
}

impl Names {
    /// Those of a beacon by its name and namespace, in a zone.
    pub(super) fn new(beacon: &str, namespace: &str, zone: &str) -> Result<Self, String> {
        let name = |text: &str| Name::from_ascii(text).map_err(|error| error.to_string());
        let zone = zone.trim_end_matches('.');
        Ok(Self {
            beacon: name(&format!("{beacon}.{namespace}.svc.{zone}."))?,
            zone: name(&format!("{zone}."))?,
        })
    }

    /// A name under the beacon's that nobody has, nor asked for before.
    fn nonce(&self) -> Name {
        let letters: String = std::iter::repeat_with(fastrand::lowercase)
            .take(NONCE)
            .collect();
        // The beacon's name is far shorter than a name may be.
        self.beacon
            .prepend_label(letters.as_bytes())
            .unwrap_or_else(|_| self.beacon.clone())
    }
}

/// Asks one server both questions, at the same time.
pub(super) async fn ask(server: SocketAddr, names: &Names) -> Answers {
    let of_beacon = question(server, names.beacon.clone(), &names.zone);
    let of_nobody = question(server, names.nonce(), &names.zone);
    let (of_beacon, of_nobody) = join(of_beacon, of_nobody).await;
    Answers {
        named: of_beacon,
        nonce: of_nobody,
    }
}

async fn question(server: SocketAddr, name: Name, zone: &Name) -> Heard {
    let by_udp = by_udp(server, name.clone()).await;
    let odd = match by_udp {
        Ok(answer) if !answer.metadata.truncation => return heard(&answer, zone),
        // What makes no sense by TCP is dropped there, and looks like silence.
        Err(error @ (NetError::Proto(_) | NetError::Dns(_))) => Some(error.to_string()),
        Ok(_) | Err(_) => None,
    };
    match (by_tcp(server, name).await, odd) {
        (Ok(answer), _) if answer.metadata.truncation => Heard::Garbled {
            why: "its answer is cut off even by TCP".to_owned(),
        },
        (Ok(answer), _) => heard(&answer, zone),
        (Err(NetError::Proto(error)), _) => Heard::Garbled {
            why: error.to_string(),
        },
        (Err(_), Some(why)) => Heard::Garbled { why },
        (Err(error), None) => Heard::Nothing {
            why: error.to_string(),
        },
    }
}

async fn by_udp(server: SocketAddr, name: Name) -> Result<DnsResponse, NetError> {
    let stream = UdpClientStream::builder(server, TokioRuntimeProvider::default())
        .with_timeout(Some(ANSWER_WITHIN))
        .with_max_retries(PACKETS)
        .with_retry_interval_floor(RETRY_AFTER_MS)
        .build();
    let (client, background) = Client::<TokioRuntimeProvider>::from_sender(stream);
    one(client, background, name).await
}

async fn by_tcp(server: SocketAddr, name: Name) -> Result<DnsResponse, NetError> {
    let (connecting, sender) = TcpClientStream::new(
        server,
        None,
        Some(ANSWER_WITHIN),
        TokioRuntimeProvider::default(),
    );
    let stream = connecting.await?;
    let (client, background) =
        Client::<TokioRuntimeProvider>::with_timeout(stream, sender, ANSWER_WITHIN);
    one(client, background, name).await
}

/// One question over a connection, which is driven only as long as that takes.
async fn one(
    mut client: Client<TokioRuntimeProvider>,
    background: impl Future<Output = ()>,
    name: Name,
) -> Result<DnsResponse, NetError> {
    let answer = client.query(name, DNSClass::IN, RecordType::A);
    let mut answer = std::pin::pin!(answer);
    tokio::select! {
        answer = &mut answer => answer,
        // It may end as soon as the answer is there.
        () = background => answer.await,
    }
}

fn heard(answer: &DnsResponse, zone: &Name) -> Heard {
    if answer.answers.len() > RECORDS || answer.authorities.len() > RECORDS {
        return Heard::Garbled {
            why: format!("it has more than {RECORDS} records"),
        };
    }
    let seconds = |ttl: u32| Span::from_secs(u64::from(ttl));
    let addresses = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        });
    // Of another zone's it would say when that one was changed.
    let of_zone = answer.authorities.iter().filter(|one| one.name == *zone);
    let mut serials = of_zone.filter_map(|record| match &record.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    });
    Heard::Message(Message {
        code: code(answer.response_code),
        addresses: addresses.collect(),
        ttl: answer
            .answers
            .iter()
            .map(|record| seconds(record.ttl))
            .min(),
        serial: serials.next(),
    })
}

fn code(code: ResponseCode) -> Code {
    match code {
        ResponseCode::NoError => Code::NoError,
        ResponseCode::NXDomain => Code::NxDomain,
        ResponseCode::ServFail => Code::ServFail,
        ResponseCode::Refused => Code::Refused,
        other => Code::Other(other.into()),
    }
}

#[cfg(test)]
mod tests;
