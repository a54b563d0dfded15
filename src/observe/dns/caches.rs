//! What DNS caches count of themselves is read from their metrics, where these are reached.
//!
//! CoreDNS tells at port 9153, and the cache on each node at 9253 (their manifests). Some tell nobody (OpenShift's
//! listens on loopback alone), and a NetworkPolicy may be in the way: of those nothing is told, and nothing is missed.

use std::{
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use bytes::Bytes;
use futures::{StreamExt, stream};
use http::Uri;
use http_body_util::{BodyExt, Empty};
use hyper_util::{
    client::legacy::{Client, connect::HttpConnector},
    rt::TokioExecutor,
};
use tokio::{sync::watch, time::timeout};
use weir_core::dns::{CacheCollector, CacheCounts};

use super::{Desk, find::Facts};
use crate::tasks::TaskError;

/// Between two rounds.
const ROUND: Duration = Duration::from_secs(30);
/// How long one page may take.
const WITHIN: Duration = Duration::from_secs(2);
/// Pages that are read at a time.
const AT_A_TIME: usize = 4;
/// Replicas that are asked in a round.
const REPLICAS: usize = 20;
/// Bytes of a page that are read at the most: CoreDNS's have some tens of thousands.
const LONGEST: usize = 4 << 20;
/// Where CoreDNS tells, and where the cache on a node does.
const CORE_DNS: u16 = 9153;
const NODE_LOCAL: u16 = 9253;

type Http = Client<HttpConnector, Empty<Bytes>>;

/// Whose page is read.
enum Whose {
    /// A replica's, by its pod's name.
    Replica(String),
    /// A node's, by its address.
    Node(IpAddr),
}

/// Reads for as long as it is polled, while this replica leads.
pub(super) async fn run(
    mut desk: Desk,
    facts: watch::Receiver<Arc<Facts>>,
) -> Result<(), TaskError> {
    let http: Http = Client::builder(TokioExecutor::new())
        .pool_max_idle_per_host(0)
        .build_http();
    loop {
        desk.lead().await;
        let nodes = facts.borrow().nodes.clone();
        round(&desk, &http, nodes).await;
        tokio::time::sleep(ROUND).await;
    }
}

async fn round(desk: &Desk, http: &Http, nodes: Vec<IpAddr>) {
    let replicas = desk.replicas().into_iter().take(REPLICAS);
    let replicas = replicas.map(|(name, address)| {
        let at = SocketAddr::new(address.ip(), CORE_DNS);
        (Whose::Replica(name), at)
    });
    let nodes = nodes
        .into_iter()
        .map(|node| (Whose::Node(node), SocketAddr::new(node, NODE_LOCAL)));
    let read = |(whose, at): (Whose, SocketAddr)| async move {
        let counts = timeout(WITHIN, read(http, at)).await.ok().flatten();
        (whose, counts)
    };
    let mut told = stream::iter(replicas.chain(nodes))
        .map(read)
        .buffer_unordered(AT_A_TIME);
    while let Some((whose, counts)) = told.next().await {
        let Some(counts) = counts else { continue };
        let now = desk.clock.now();
        match whose {
            Whose::Replica(name) => desk.layers().counted(&name, counts, now),
            Whose::Node(node) => desk.layers().node_counted(&node.to_string(), counts, now),
        }
    }
}

/// What the page there counts; nothing where it is not reached, or tells of no cache.
async fn read(http: &Http, at: SocketAddr) -> Option<CacheCounts> {
    let uri: Uri = format!("http://{at}/metrics").parse().ok()?;
    let answer = http.get(uri).await.ok()?;
    if !answer.status().is_success() {
        return None;
    }
    let mut body = answer.into_body();
    let mut page = CacheCollector::default();
    let mut bytes = 0;
    while let Some(frame) = body.frame().await {
        if let Ok(chunk) = frame.ok()?.into_data() {
            bytes += chunk.len();
            if bytes > LONGEST {
                return None;
            }
            page.push(&chunk);
        }
    }
    page.finish()
}

#[cfg(test)]
mod tests {
    use tokio::{
        io::{AsyncReadExt, AsyncWriteExt},
        net::TcpListener,
    };

    use super::*;

    /// What is read of a server that answers once with this.
    async fn of(answer: String) -> Option<CacheCounts> {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let server = tokio::spawn(async move {
            let (mut client, _) = listener.accept().await.unwrap();
            let mut asked = [0; 1024];
            let length = client.read(&mut asked).await.unwrap();
            assert!(asked[..length].starts_with(b"GET /metrics "));
            client.write_all(answer.as_bytes()).await.unwrap();
        });
        let http: Http = Client::builder(TokioExecutor::new()).build_http();
        let counts = read(&http, at).await;
        server.await.unwrap();
        counts
    }

    fn page(status: &str, body: &str) -> String {
        let length = body.len();
        format!("HTTP/1.1 {status}\r\ncontent-length: {length}\r\nconnection: close\r\n\r\n{body}")
    }

    #[tokio::test]
    async fn a_page_is_read_and_whatever_is_none_tells_nothing() {
        let body = "coredns_cache_hits_total 3\ncoredns_cache_requests_total 4\n";
        let counts = of(page("200 OK", body)).await;
        let counted = counts.map(|counts| (counts.hits, counts.requests));
        assert_eq!(counted, Some((3.0, 4.0)));
        assert_eq!(of(page("503 Service Unavailable", body)).await, None);
        assert_eq!(of(page("200 OK", "<html>")).await, None);
        let cut = page("200 OK", body).replace("content-length: 58", "content-length: 99");
        assert_eq!(of(cut).await, None);
    }
}
