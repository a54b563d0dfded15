//! Questions to one DNS server, and to the pages beside it, as a person's dig and curl would ask them: with nothing
//! of Weir's in between.

use std::net::{Ipv4Addr, SocketAddr};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use hickory_proto::op::{Message, MessageType, OpCode, Query};
use hickory_proto::rr::{Name, RData, RecordType};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use crate::relay;

/// How long is waited for an answer, and for a page.
const WITHIN: Duration = Duration::from_secs(2);

/// What a server said.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Said {
    /// Its code: 0 is NOERROR, 2 SERVFAIL, 3 NXDOMAIN (RFC 1035, section 4.1.1).
    pub code: u16,
    /// Whether it says that it is the authority (AA).
    pub authoritative: bool,
    /// For how many seconds the first of its answers may be kept yet.
    pub ttl: Option<u32>,
    /// The addresses among its answers, in order of their value.
    pub addresses: Vec<Ipv4Addr>,
    /// The serial of the SOA record among its authorities.
    pub serial: Option<u32>,
}

/// The name of Weir's beacon.
#[must_use]
pub fn beacon() -> String {
    "weir-beacon.weir-system.svc.cluster.local.".to_owned()
}

/// A name under it that nobody has, nor asked for before.
#[must_use]
pub fn nonce() -> String {
    let letters: String = std::iter::repeat_with(fastrand::lowercase)
        .take(16)
        .collect();
    format!("{letters}.{}", beacon())
}

/// Asks a server for the addresses of a name, by UDP, once; nothing if no answer comes.
///
/// # Errors
/// The name is none, nobody is at that address, or what comes back is no DNS.
pub async fn ask(server: SocketAddr, name: &str) -> Result<Option<Said>> {
    let mut question = Message::new(fastrand::u16(..), MessageType::Query, OpCode::Query);
    question.metadata.recursion_desired = true;
    question.add_query(Query::query(Name::from_ascii(name)?, RecordType::A));
    let said = relay::ask(server, &question.to_vec()?, WITHIN).await?;
    let Some(said) = said else {
        return Ok(None);
    };
    let answer = Message::from_vec(&said).context("an answer that is no DNS")?;
    let mut addresses: Vec<Ipv4Addr> = answer
        .answers
        .iter()
        .filter_map(|record| match &record.data {
            RData::A(address) => Some(address.0),
            _ => None,
        })
        .collect();
    addresses.sort();
    let serial = |data: &RData| match data {
        RData::SOA(soa) => Some(soa.serial),
        _ => None,
    };
    Ok(Some(Said {
        code: answer.metadata.response_code.into(),
        authoritative: answer.metadata.authoritative,
        ttl: answer.answers.first().map(|record| record.ttl),
        addresses,
        serial: answer
            .authorities
            .iter()
            .find_map(|record| serial(&record.data)),
    }))
}

/// Asks for a page; the answer with its head.
///
/// # Errors
/// No whole answer within two seconds.
pub async fn http(at: SocketAddr, path: &str) -> Result<String> {
    let asked = async {
        let mut stream = TcpStream::connect(at).await?;
        let request = format!("GET {path} HTTP/1.0\r\nHost: world\r\n\r\n");
        stream.write_all(request.as_bytes()).await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer)
    };
    let answer = tokio::time::timeout(WITHIN, asked)
        .await
        .with_context(|| format!("{at}{path} does not answer"))??;
    ensure!(!answer.is_empty(), "{at}{path} answers nothing");
    Ok(answer)
}

/// The sum of a metric's series on a page whose labels hold all of these words; zero of none.
#[must_use]
pub fn sum(page: &str, metric: &str, words: &[&str]) -> f64 {
    let values = page.lines().filter_map(|line| {
        let rest = line.strip_prefix(metric)?;
        let (labels, value) = match rest.strip_prefix('{') {
            Some(rest) => rest.rsplit_once('}')?,
            None => ("", rest.strip_prefix(' ')?),
        };
        let has_all = words.iter().all(|word| labels.contains(word));
        value.trim().parse::<f64>().ok().filter(|_| has_all)
    });
    values.sum()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn series_are_added_up_by_their_labels() {
        let page = "HTTP/1.0 200 OK\r\n\r\n# TYPE a counter\na{x=\"1\",y=\"2\"} 3\na{x=\"2\",y=\"2\"} 4.5\n\
                    ab{x=\"1\"} 9\nb 7\n";
        for (metric, words, wanted) in [
            ("a", &["x=\"1\""][..], 3.0),
            ("a", &["y=\"2\""], 7.5),
            ("a", &[], 7.5),
            ("b", &[], 7.0),
            ("c", &[], 0.0),
        ] {
            let added = sum(page, metric, words);
            assert!((added - wanted).abs() < f64::EPSILON, "{metric}: {added}");
        }
    }

    #[test]
    fn no_name_is_asked_for_twice() {
        assert_ne!(nonce(), nonce());
        assert!(nonce().ends_with(&format!(".{}", beacon())));
    }
}
