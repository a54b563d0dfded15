//! What becomes of a DNS server's answer: nothing, as a rule, and otherwise whatever servers, networks and resolvers
//! do to answers.

use std::net::Ipv4Addr;

use hickory_proto::op::{Message, ResponseCode};
use hickory_proto::rr::{RData, Record, rdata};

/// Records of an answer that is too long: tens of thousands of bytes, which TCP alone can carry.
const MANY: usize = 500;

/// The address that is given in place of all others, as by a portal that wants to be looked at first.
pub(super) const REWRITTEN: Ipv4Addr = Ipv4Addr::new(10, 1, 2, 3);

/// How a relay treats what passes through it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Manner {
    /// It passes everything on as it is.
    Honest,
    /// Of so many packets by UDP, questions as answers, one is lost.
    Lossy {
        /// How many; one in a hundred is `100`.
        one_of: u32,
    },
    /// The serial of the zone is as of a server whose clock is so many seconds late (negative: early).
    Late {
        /// By how many seconds.
        seconds: i64,
    },
    /// Nothing is answered.
    Silent,
    /// What is answered is no DNS, after its first two bytes.
    Garbled,
    /// What is answered holds thousands of addresses.
    Huge,
    /// What is answered is cut off, by UDP as by TCP.
    CutOff,
    /// What is answered comes from an address that was not asked.
    Elsewhere,
    /// Every name exists, at one and the same address.
    Rewritten,
}

impl Manner {
    /// What is said in place of a server's answer.
    pub(super) fn alter(self, said: Vec<u8>) -> Option<Vec<u8>> {
        match self {
            Self::Honest | Self::Lossy { .. } | Self::Elsewhere => Some(said),
            Self::Silent => None,
            Self::Garbled => Some(garbled(&said)),
            Self::Late { seconds } => altered(&said, |message| late(message, seconds)),
            Self::Huge => altered(&said, huge),
            Self::CutOff => altered(&said, cut_off),
            Self::Rewritten => altered(&said, rewritten),
        }
    }
}

/// The number of the question it answers, and nothing that makes sense.
fn garbled(said: &[u8]) -> Vec<u8> {
    let mut garbled = said.to_vec();
    if let Some(rest) = garbled.get_mut(2..) {
        rest.fill(0xff);
    }
    garbled
}

fn altered(said: &[u8], alter: impl FnOnce(&mut Message)) -> Option<Vec<u8>> {
    let mut message = Message::from_vec(said).ok()?;
    alter(&mut message);
    message.to_vec().ok()
}

fn late(message: &mut Message, seconds: i64) {
    for record in &mut message.authorities {
        if let RData::SOA(soa) = &mut record.data
            && soa.serial > 0
        {
            let serial = i64::from(soa.serial).saturating_sub(seconds);
            soa.serial = u32::try_from(serial).unwrap_or(0);
        }
    }
}

fn huge(message: &mut Message) {
    let Some(query) = message.queries.first() else {
        return;
    };
    let record = |number: usize| {
        let [.., third, fourth] = number.to_be_bytes();
        let address = Ipv4Addr::new(10, 0, third, fourth);
        Record::from_rdata(query.name().clone(), 30, RData::A(rdata::A(address)))
    };
    message.answers = (0..MANY).map(record).collect();
}

fn cut_off(message: &mut Message) {
    message.metadata.truncation = true;
    message.answers.clear();
    message.authorities.clear();
}

fn rewritten(message: &mut Message) {
    let Some(query) = message.queries.first() else {
        return;
    };
    let record = Record::from_rdata(query.name().clone(), 60, RData::A(rdata::A(REWRITTEN)));
    message.answers = vec![record];
    message.authorities.clear();
    message.metadata.response_code = ResponseCode::NoError;
}
