use hickory_proto::op::{Message, MessageType, OpCode, Query, ResponseCode};
use hickory_proto::rr::{Name, RData, Record, RecordType, rdata};

use super::*;

const SERIAL: u32 = 1_795_860_000;

fn name(text: &str) -> Name {
    Name::from_ascii(text).unwrap()
}

/// A question, and what a server that knows nothing says to it.
fn question() -> Vec<u8> {
    let mut message = Message::new(7, MessageType::Query, OpCode::Query);
    message.add_query(Query::query(name("a.cluster.local."), RecordType::A));
    message.to_vec().unwrap()
}

fn denial(question: &[u8]) -> Vec<u8> {
    let question = Message::from_vec(question).unwrap();
    let mut message = Message::new(question.id, MessageType::Response, OpCode::Query);
    message.queries.clone_from(&question.queries);
    message.metadata.response_code = ResponseCode::NXDomain;
    let soa = rdata::SOA::new(name("ns.dns."), name("root."), SERIAL, 7200, 1800, 86400, 5);
    let soa = Record::from_rdata(name("cluster.local."), 5, RData::SOA(soa));
    message.authorities.push(soa);
    message.to_vec().unwrap()
}

/// A server that denies everything, and what each way in hears of it through a relay.
async fn heard(manner: Manner) -> [Option<Message>; 2] {
    let server = UdpSocket::bind((Ipv4Addr::LOCALHOST, 0)).await.unwrap();
    let address = server.local_addr().unwrap();
    let denying = tokio::spawn(async move {
        let mut buffer = vec![0; LONGEST];
        while let Ok((length, from)) = server.recv_from(&mut buffer).await {
            server
                .send_to(&denial(&buffer[..length]), from)
                .await
                .unwrap();
        }
    });
    let relay = Relay::lay((Ipv4Addr::LOCALHOST, 0).into(), &[address], 1)
        .await
        .unwrap();
    relay.set(manner);
    let within = Duration::from_millis(500);
    let by_udp = ask(relay.address(), &question(), within).await.unwrap();
    let by_tcp = tokio::time::timeout(within, by_tcp(relay.address())).await;
    denying.abort();
    assert_eq!(relay.asked(), 2);
    let read = |bytes: Vec<u8>| Message::from_vec(&bytes).ok();
    [by_udp.and_then(read), by_tcp.ok().and_then(read)]
}

async fn by_tcp(at: SocketAddr) -> Vec<u8> {
    let mut stream = TcpStream::connect(at).await.unwrap();
    let question = question();
    stream
        .write_u16(u16::try_from(question.len()).unwrap())
        .await
        .unwrap();
    stream.write_all(&question).await.unwrap();
    let length = stream.read_u16().await.unwrap();
    let mut said = vec![0; usize::from(length)];
    stream.read_exact(&mut said).await.unwrap();
    said
}

fn serial(message: &Message) -> Option<u32> {
    match &message.authorities.first()?.data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    }
}

#[tokio::test]
async fn an_honest_one_says_what_it_hears_and_a_late_one_an_earlier_serial() {
    for (manner, late) in [(Manner::Honest, 0), (Manner::Late { seconds: 90 }, 90)] {
        for message in heard(manner).await {
            let message = message.expect("an answer");
            assert_eq!(message.metadata.response_code, ResponseCode::NXDomain);
            assert_eq!(serial(&message), Some(SERIAL - late));
        }
    }
}

#[tokio::test]
async fn what_it_alters_is_altered_by_udp_and_by_tcp() {
    for message in heard(Manner::Rewritten).await {
        let message = message.expect("an answer");
        assert_eq!(message.metadata.response_code, ResponseCode::NoError);
        let address = &message.answers.first().expect("an address").data;
        assert_eq!(*address, RData::A(rdata::A(manner::REWRITTEN)));
    }
    for message in heard(Manner::CutOff).await {
        assert!(message.expect("an answer").metadata.truncation);
    }
    for message in heard(Manner::Huge).await {
        assert!(message.expect("an answer").answers.len() > 64);
    }
    assert_eq!(heard(Manner::Garbled).await, [None, None]);
}

#[tokio::test]
async fn what_is_lost_or_comes_from_elsewhere_is_not_heard() {
    assert_eq!(heard(Manner::Elsewhere).await, [None, None]);
    let [by_udp, by_tcp] = heard(Manner::Silent).await;
    assert_eq!((by_udp, by_tcp), (None, None));
    // Of every packet one is lost: by TCP it arrives all the same.
    let relay = Relay::lay(
        (Ipv4Addr::LOCALHOST, 0).into(),
        &[(Ipv4Addr::LOCALHOST, 9).into()],
        1,
    )
    .await
    .unwrap();
    relay.set(Manner::Lossy { one_of: 1 });
    let within = Duration::from_millis(200);
    let lost = ask(relay.address(), &question(), within).await.unwrap();
    assert_eq!((lost, relay.asked()), (None, 1));
}

#[test]
fn the_same_seed_loses_the_same_packets() {
    let lost = |seed| -> Vec<bool> {
        let desk = Desk {
            servers: vec![(Ipv4Addr::LOCALHOST, 9).into()],
            manner: Mutex::new(Manner::Lossy { one_of: 100 }),
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            asked: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        };
        (0..10_000).map(|_| desk.loses()).collect()
    };
    assert_eq!(lost(1), lost(1));
    assert_ne!(lost(1), lost(2));
    let number = lost(1).into_iter().filter(|lost| *lost).count();
    assert!((60..140).contains(&number), "{number} of 10,000");
}
