//! Stands between Weir and the API servers, and alters `/metrics` as it is told; all else passes as it
//! is. Each connection is to the next server, as with a balancer. It has the API servers' own
//! certificate, and passes on whose token a request bears.

use std::net::SocketAddr;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, PoisonError};

use anyhow::{Context, Result};
use bytes::Bytes;
use futures::{StreamExt, stream};
use http::header::{CONTENT_LENGTH, TRANSFER_ENCODING};
use http::{Request, Response};

use http_body_util::combinators::UnsyncBoxBody;
use http_body_util::{BodyExt, Full, StreamBody};
use hyper::body::{Frame, Incoming};
use hyper::client::conn::http1::{SendRequest, handshake};
use hyper::service::service_fn;
use hyper_util::rt::TokioIo;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::{ClientConfig, RootCertStore, ServerConfig};
use tokio::net::{TcpListener, TcpStream};
use tokio::task::JoinHandle;
use tokio_rustls::{TlsAcceptor, TlsConnector};

use crate::world::World;

/// The name in the API server's certificate.
const SERVER_NAME: &str = "kubernetes.default.svc";

/// What a page is made larger by.
const LARGE: usize = 100 << 20;
/// A line that any exposition may have and Weir does not want.
const UNWANTED: &str = "aggregator_extra_duration_seconds_bucket{group=\"extra\",le=\"0.5\"} 17\n";

/// What becomes of `/metrics`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Page {
    /// It passes as it is.
    Whole,
    /// It ends in its middle, as if that were its end.
    Cut,
    /// Every value in it is none.
    Garbled,
    /// 100 MiB of another metric stand before it.
    Large,
    /// It does not come.
    Hanging,
}

/// A running proxy; it ends with this.
pub struct Proxy {
    address: SocketAddr,
    page: Arc<Mutex<Page>>,
    sent: Arc<AtomicU64>,
    listening: JoinHandle<()>,
}

impl Proxy {
    /// Listens on a free port of the first API server's address, in front of all of them.
    ///
    /// # Errors
    /// The world's keys cannot be read, or there is no free port.
    pub async fn start(world: &World) -> Result<Self> {
        let servers = world.addresses();
        let first = servers.first().context("no API server")?;
        let listener = TcpListener::bind((first.ip(), 0)).await?;
        let address = listener.local_addr()?;
        let page = Arc::new(Mutex::new(Page::Whole));
        let sent = Arc::default();
        let way = Way {
            accept: TlsAcceptor::from(Arc::new(own_side(world)?)),
            connect: TlsConnector::from(Arc::new(far_side(world)?)),
            page: Arc::clone(&page),
            sent: Arc::clone(&sent),
        };
        let listening = tokio::spawn(async move {
            for server in servers.into_iter().cycle() {
                let Ok((stream, _)) = listener.accept().await else {
                    break;
                };
                let way = way.clone();
                // A client that went away, or a server that did, ends its connection and no more.
                tokio::spawn(async move { drop(way.carry(stream, server).await) });
            }
        });
        Ok(Self {
            address,
            page,
            sent,
            listening,
        })
    }

    /// Alters the pages that are asked for from now on.
    pub fn alter(&self, page: Page) {
        *self.page.lock().unwrap_or_else(PoisonError::into_inner) = page;
    }

    /// How many large pages were taken in by the client to their end.
    #[must_use]
    pub fn large_sent(&self) -> u64 {
        self.sent.load(Ordering::Relaxed)
    }

    /// Writes the `EndpointSlice` that makes this the API servers' only address. The world's endpoint
    /// reconciler must be none.
    ///
    /// # Errors
    /// The API server refuses it.
    pub async fn publish(&self, world: &World) -> Result<()> {
        let slice = serde_json::json!({
            "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
            "metadata": {
                "name": "kubernetes", "namespace": "default",
                "labels": { "kubernetes.io/service-name": "kubernetes" },
            },
            "addressType": "IPv4",
            "endpoints": [{ "addresses": [self.address.ip()], "conditions": { "ready": true } }],
            "ports": [{ "name": "https", "port": self.address.port(), "protocol": "TCP" }],
        });
        world.apply(&slice.to_string()).await
    }
}

impl Drop for Proxy {
    fn drop(&mut self) {
        self.listening.abort();
    }
}

/// What every connection needs to know.
#[derive(Clone)]
struct Way {
    accept: TlsAcceptor,
    connect: TlsConnector,
    page: Arc<Mutex<Page>>,
    sent: Arc<AtomicU64>,
}

type Answer = Response<UnsyncBoxBody<Bytes, hyper::Error>>;

impl Way {
    /// Serves one connection by way of one to this server.
    async fn carry(self, stream: TcpStream, server: SocketAddr) -> Result<()> {
        let near = self.accept.accept(stream).await?;
        let far = TcpStream::connect(server).await?;
        let name = ServerName::try_from(SERVER_NAME)?;
        let far = self.connect.connect(name, far).await?;
        let (sender, connection) = handshake(TokioIo::new(far)).await?;
        let sender = Arc::new(tokio::sync::Mutex::new(sender));
        let service = service_fn(|request| self.pass(Arc::clone(&sender), request));
        let serve = hyper::server::conn::http1::Builder::new()
            .serve_connection(TokioIo::new(near), service);
        // The far end may close as soon as it has answered; that answer is yet to go out.
        let far = tokio::spawn(connection);
        let ended = serve.await;
        far.abort();
        Ok(ended?)
    }

    async fn pass(
        &self,
        sender: Arc<tokio::sync::Mutex<SendRequest<Incoming>>>,
        request: Request<Incoming>,
    ) -> Result<Answer, hyper::Error> {
        let is_page = request.uri().path() == "/metrics";
        let answer = sender.lock().await.send_request(request).await?;
        let page = *self.page.lock().unwrap_or_else(PoisonError::into_inner);
        if !is_page || page == Page::Whole {
            return Ok(answer.map(BodyExt::boxed_unsync));
        }
        let (mut head, body) = answer.into_parts();
        head.headers.remove(CONTENT_LENGTH);
        head.headers.remove(TRANSFER_ENCODING);
        let body = body.collect().await?.to_bytes();
        let body = match page {
            Page::Whole => whole(body),
            Page::Cut => whole(body.slice(..body.len() / 2)),
            Page::Garbled => whole(garbled(&body)),
            Page::Large => self.large(body),
            Page::Hanging => StreamBody::new(stream::pending()).boxed_unsync(),
        };
        Ok(Response::from_parts(head, body))
    }

    /// The page behind much else, made as it is taken in; counted when all of it was.
    fn large(&self, body: Bytes) -> UnsyncBoxBody<Bytes, hyper::Error> {
        let piece = Bytes::from(UNWANTED.repeat((64 << 10) / UNWANTED.len()));
        let pieces = LARGE / piece.len();
        let sent = Arc::clone(&self.sent);
        let counted = stream::once(async move {
            sent.fetch_add(1, Ordering::Relaxed);
            Bytes::new()
        });
        let all = stream::repeat(piece)
            .take(pieces)
            .chain(stream::once(async { body }))
            .chain(counted);
        StreamBody::new(all.map(|data| Ok(Frame::data(data)))).boxed_unsync()
    }
}

fn whole(body: impl Into<Bytes>) -> UnsyncBoxBody<Bytes, hyper::Error> {
    Full::new(body.into())
        .map_err(|never| match never {})
        .boxed_unsync()
}

/// Lines whose values are no numbers.
fn garbled(page: &[u8]) -> Vec<u8> {
    let lines = page.split_inclusive(|byte| *byte == b'\n');
    let garble = |line: &[u8]| match line.iter().rposition(|byte| *byte == b' ') {
        Some(space) if !line.starts_with(b"#") => {
            [&line[..=space], b"\xff\x00twelve\n".as_slice()].concat()
        }
        _ => line.to_vec(),
    };
    lines.flat_map(garble).collect()
}

fn own_side(world: &World) -> Result<ServerConfig> {
    let pki = |name: &str| world.directory().join("pki").join(name);
    let chain = CertificateDer::pem_file_iter(pki("apiserver.crt"))?.collect::<Result<_, _>>()?;
    let key = PrivateKeyDer::from_pem_file(pki("apiserver.key"))?;
    let builder = ServerConfig::builder().with_no_client_auth();
    Ok(builder.with_single_cert(chain, key)?)
}

fn far_side(world: &World) -> Result<ClientConfig> {
    let mut roots = RootCertStore::empty();
    for certificate in CertificateDer::pem_slice_iter(&world.authority()?) {
        roots.add(certificate?)?;
    }
    let builder = ClientConfig::builder().with_root_certificates(roots);
    Ok(builder.with_no_client_auth())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_garbled_page_keeps_its_lines_and_loses_its_values() {
        let page = b"# TYPE a counter\na{b=\"c d\"} 1\nb 2\n";
        let expected = b"# TYPE a counter\na{b=\"c d\"} \xff\x00twelve\nb \xff\x00twelve\n";
        assert_eq!(garbled(page), expected);
    }
}
