//! What a DNS server answered to the two questions that it is asked each time.
//!
//! | question | cached | what the answer tells |
//! |---|---|---|
//! | the beacon's name | like any name | the epoch that clients would see, and for how long yet |
//! | a random name under it | never | the moment of the last change that the answering server processed |
//!
//! The second name does not exist. CoreDNS says so with the zone's SOA record, whose serial is the Unix second
//! in which that very process last took in a change (kubernetes plugin, `Serial`); 0 if it never did. A server
//! that has no such serial is known by the first question alone.

use core::net::Ipv4Addr;

use serde::{Deserialize, Serialize};

use super::beacon::Epoch;
use crate::time::{Moment, Span};

/// What a message says of its own success.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Code {
    /// There is such a name, if not necessarily with an address.
    NoError,
    /// There is no such name.
    NxDomain,
    /// The server could not tell.
    ServFail,
    /// The server would not tell.
    Refused,
    /// Any other, by its number (RFC 6895, section 2.3).
    Other(u16),
}

/// One message of a DNS server, as far as freshness goes by it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Message {
    /// Its success.
    pub code: Code,
    /// The addresses among its answers.
    pub addresses: Vec<Ipv4Addr>,
    /// The shortest time that any of its answers may be kept for yet, if there are answers.
    pub ttl: Option<Span>,
    /// The serial of the SOA record among its authorities.
    pub serial: Option<u32>,
}

/// What came back to one question.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Heard {
    /// A message that could be understood.
    Message(Message),
    /// A message that could not be: too large, cut off, not of this question, or no DNS at all.
    Garbled {
        /// What was not understood.
        why: String,
    },
    /// Nothing, by UDP twice and then by TCP.
    Nothing {
        /// What was met instead.
        why: String,
    },
}

/// Both answers of one server.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Answers {
    /// To the beacon's name.
    pub named: Heard,
    /// To a name that does not exist.
    pub nonce: Heard,
}

/// What the beacon's name shows.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) enum Shown {
    /// An epoch, which may be kept for this long yet.
    Epoch(Epoch, Span),
    /// The server does not know the cluster's names yet.
    Cold,
    /// There is no beacon, as the server sees it.
    NoBeacon,
    /// Something else than Weir wrote.
    Strange(String),
    /// Nothing was heard.
    Nothing(String),
}

impl Answers {
    /// What the beacon's name shows, read at `now`.
    pub(super) fn shown(&self, now: Moment) -> Shown {
        let message = match &self.named {
            Heard::Message(message) => message,
            Heard::Garbled { why } => return Shown::Strange(why.clone()),
            Heard::Nothing { why } => return Shown::Nothing(why.clone()),
        };
        match (message.code, message.ttl) {
            (Code::NoError, Some(ttl)) => match Epoch::read(&message.addresses, now) {
                Ok(epoch) => Shown::Epoch(epoch, ttl),
                Err(why) => Shown::Strange(why.to_string()),
            },
            (Code::NoError, None) | (Code::NxDomain, _) => Shown::NoBeacon,
            (Code::ServFail, _) => Shown::Cold,
            (code @ (Code::Refused | Code::Other(_)), _) => {
                Shown::Strange(format!("it answers {}", code.name()))
            }
        }
    }

    /// The SOA serial that came with the answer to the name that does not exist.
    pub(super) fn serial(&self) -> Option<u32> {
        match &self.nonce {
            Heard::Message(message) => message.serial,
            Heard::Garbled { .. } | Heard::Nothing { .. } => None,
        }
    }

    /// Whether there was an answer to the name that does not exist.
    pub(super) const fn denies(&self) -> bool {
        matches!(self.nonce, Heard::Message(_))
    }
}

impl Code {
    /// The name as the registry of DNS parameters has it, or the number.
    #[must_use]
    pub fn name(self) -> String {
        match self {
            Self::NoError => "NOERROR".to_owned(),
            Self::NxDomain => "NXDOMAIN".to_owned(),
            Self::ServFail => "SERVFAIL".to_owned(),
            Self::Refused => "REFUSED".to_owned(),
            Self::Other(number) => format!("code {number}"),
        }
    }
}
