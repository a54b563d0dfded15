//! Servers that answer as well or as badly as servers can.

use std::net::Ipv4Addr;

use hickory_proto::{
    op::{Message as Packet, MessageType, OpCode},
    rr::{Record, rdata},
};
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{TcpListener, UdpSocket},
};

use super::*;

/// What a server makes of a question; no bytes are no answer.
type Answering = fn(&Packet, bool) -> Vec<u8>;

fn names() -> Names {
    Names::new("weir-beacon", "weir-system", "cluster.local.").unwrap()
}

/// A server that answers by UDP and by TCP, at the same port, for as long as it is polled.
async fn serve(answering: Answering, ask: impl AsyncFnOnce(SocketAddr)) {
    let udp = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = udp.local_addr().unwrap();
    let tcp = TcpListener::bind(address).await.unwrap();
    let by_udp = async {
        let mut buffer = [0; 512];
        loop {
            let (length, from) = udp.recv_from(&mut buffer).await.unwrap();
            let said = answering(&Packet::from_vec(&buffer[..length]).unwrap(), false);
            if !said.is_empty() {
                udp.send_to(&said, from).await.unwrap();
            }
        }
    };
    let by_tcp = async {
        loop {
            let (mut stream, _) = tcp.accept().await.unwrap();
            let length = stream.read_u16().await.unwrap();
            let mut question = vec![0; usize::from(length)];
            stream.read_exact(&mut question).await.unwrap();
            let said = answering(&Packet::from_vec(&question).unwrap(), true);
            if !said.is_empty() {
                let length = u16::try_from(said.len()).unwrap();
                stream.write_all(&length.to_be_bytes()).await.unwrap();
                stream.write_all(&said).await.unwrap();
            }
        }
    };
    tokio::select! {
        () = by_udp => {}
        () = by_tcp => {}
        () = ask(address) => {}
    }
}

fn reply(question: &Packet) -> Packet {
    let mut reply = Packet::new(question.id, MessageType::Response, OpCode::Query);
    reply.queries.clone_from(&question.queries);
    reply
}

fn soa(zone: &str) -> Record {
    let name = |text: &str| Name::from_ascii(text).unwrap();
    let soa = rdata::SOA::new(
        name("ns.dns."),
        name("root."),
        1_795_860_000,
        7200,
        1800,
        86400,
        5,
    );
    Record::from_rdata(name(zone), 5, RData::SOA(soa))
}

/// As CoreDNS answers: two addresses for the beacon, an SOA record for what does not exist.
fn coredns(question: &Packet, _: bool) -> Vec<u8> {
    let mut reply = reply(question);
    let name = question.queries[0].name().clone();
    if name == names().beacon {
        for (address, ttl) in [([198, 18, 1, 2], 30), ([198, 19, 3, 4], 29)] {
            let data = RData::A(rdata::A(Ipv4Addr::from(address)));
            reply
                .answers
                .push(Record::from_rdata(name.clone(), ttl, data));
        }
    } else {
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.authorities.push(soa("cluster.local."));
    }
    reply.to_vec().unwrap()
}

fn beacon() -> Message {
    Message {
        code: Code::NoError,
        addresses: vec![Ipv4Addr::new(198, 18, 1, 2), Ipv4Addr::new(198, 19, 3, 4)],
        ttl: Some(Span::from_secs(29)),
        serial: None,
    }
}

#[tokio::test]
async fn both_answers_are_heard() {
    serve(coredns, async |server| {
        let answers = ask(server, &names()).await;
        assert_eq!(answers.named, Heard::Message(beacon()));
        let Heard::Message(nonce) = answers.nonce else {
            panic!("{answers:?}");
        };
        assert_eq!(
            (nonce.code, nonce.serial),
            (Code::NxDomain, Some(1_795_860_000))
        );
    })
    .await;
}

#[tokio::test]
async fn what_udp_cuts_off_or_loses_tcp_brings() {
    let cut: Answering = |question, by_tcp| {
        if by_tcp {
            return coredns(question, by_tcp);
        }
        let mut reply = reply(question);
        reply.metadata.truncation = true;
        reply.to_vec().unwrap()
    };
    let lost: Answering = |question, by_tcp| {
        if by_tcp {
            coredns(question, by_tcp)
        } else {
            Vec::new()
        }
    };
    for answering in [cut, lost] {
        serve(answering, async |server| {
            let answers = ask(server, &names()).await;
            assert_eq!(answers.named, Heard::Message(beacon()));
        })
        .await;
    }
}

#[tokio::test]
async fn silence_is_nothing() {
    serve(
        |_, _| Vec::new(),
        async |server| {
            let Answers { named, nonce } = ask(server, &names()).await;
            for heard in [named, nonce] {
                assert!(matches!(&heard, Heard::Nothing { .. }), "{heard:?}");
            }
        },
    )
    .await;
    let closed = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = closed.local_addr().unwrap();
    drop(closed);
    let answers = ask(address, &names()).await;
    assert!(
        matches!(&answers.named, Heard::Nothing { why } if why.contains("refused")),
        "{answers:?}"
    );
}

#[tokio::test]
async fn what_makes_no_sense_is_garbled() {
    // The header of an answer to this very question, and then nonsense.
    let nonsense: Answering = |question, _| {
        let mut bytes = reply(question).to_vec().unwrap();
        bytes[6..8].copy_from_slice(&[0xff, 0xff]);
        bytes.extend([0xc0; 40]);
        bytes
    };
    let crowd: Answering = |question, _| {
        let mut reply = reply(question);
        let name = question.queries[0].name().clone();
        for number in 0..200_u8 {
            let data = RData::A(rdata::A(Ipv4Addr::new(10, 0, 0, number)));
            reply
                .answers
                .push(Record::from_rdata(name.clone(), 5, data));
        }
        reply.to_vec().unwrap()
    };
    for answering in [nonsense, crowd] {
        serve(answering, async |server| {
            let answers = ask(server, &names()).await;
            assert!(
                matches!(answers.named, Heard::Garbled { .. }),
                "{answers:?}"
            );
        })
        .await;
    }
}

#[tokio::test]
async fn another_zones_serial_says_nothing() {
    let upstream: Answering = |question, _| {
        let mut reply = reply(question);
        reply.metadata.response_code = ResponseCode::NXDomain;
        reply.authorities.push(soa("."));
        reply.to_vec().unwrap()
    };
    serve(upstream, async |server| {
        let answers = ask(server, &names()).await;
        let Heard::Message(nonce) = answers.nonce else {
            panic!("{answers:?}");
        };
        assert_eq!((nonce.code, nonce.serial), (Code::NxDomain, None));
    })
    .await;
}

#[test]
fn nobody_was_asked_for_a_nonce_before() {
    let names = names();
    let [one, other] = [names.nonce(), names.nonce()];
    assert_ne!(one, other);
    for nonce in [one, other] {
        assert!(names.beacon.zone_of(&nonce), "{nonce}");
        assert_ne!(nonce, names.beacon);
    }
}
