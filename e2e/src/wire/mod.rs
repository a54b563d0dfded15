//! A client's wire: one TLS connection of its own to an API server, as each real agent has one, and
//! requests over it. Answers are read and thrown away; nothing is decoded but what a list says about
//! itself ([`list_meta`]). Nothing is shared between links, so that a thousand agents are a thousand
//! connections and TLS sessions to the server, and cost this side as little as possible.

pub mod list_meta;
pub mod read;

use std::{
    fmt,
    net::SocketAddr,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{HeaderValue, Request, Response, StatusCode, header};
use http_body_util::Full;
use hyper::{
    body::Incoming,
    client::conn::{http1, http2},
};
use hyper_util::rt::{TokioExecutor, TokioIo, TokioTimer};
use rustls::{ClientConfig, RootCertStore, client::Resumption, pki_types::ServerName};
use tokio::{net::TcpStream, sync::Mutex};
use tokio_rustls::{TlsConnector, client::TlsStream};

use crate::profile::Http;

/// The name in every API server's certificate; its addresses are not needed then.
const SERVER_NAME: &str = "kubernetes.default.svc";

/// What Go's HTTP/2 transport grants a stream and a connection; with less, a server would wait for
/// windows that real clients leave open.
const STREAM_WINDOW: u32 = 4 << 20;
const CONNECTION_WINDOW: u32 = 1 << 30;

/// client-go pings an idle connection after 30 s and gives it up 15 s later.
const PING_AFTER: Duration = Duration::from_secs(30);
const PING_TIMEOUT: Duration = Duration::from_secs(15);

/// The API servers, and how they prove who they are.
#[derive(Debug, Clone)]
pub struct Servers {
    addresses: Vec<SocketAddr>,
    roots: Arc<RootCertStore>,
}

impl Servers {
    /// API servers at these addresses, whose certificates a CA in `ca_pem` has signed.
    pub fn new(addresses: Vec<SocketAddr>, ca_pem: &[u8]) -> Result<Self> {
        use rustls::pki_types::{CertificateDer, pem::PemObject};

        anyhow::ensure!(!addresses.is_empty(), "no API server address was given");
        let mut roots = RootCertStore::empty();
        for certificate in CertificateDer::pem_slice_iter(ca_pem) {
            roots.add(certificate.context("the cluster's CA is no PEM certificate")?)?;
        }
        Ok(Self {
            addresses,
            roots: Arc::new(roots),
        })
    }

    /// One of them alone.
    #[must_use]
    pub fn only(&self, index: usize) -> Self {
        Self {
            addresses: vec![self.addresses[index % self.addresses.len()]],
            roots: Arc::clone(&self.roots),
        }
    }

    /// How many API servers there are.
    #[must_use]
    pub const fn count(&self) -> usize {
        self.addresses.len()
    }
}

/// Who calls.
#[derive(Debug, Clone)]
pub struct Caller {
    /// Its bearer token.
    pub token: Arc<str>,
    /// What it calls itself.
    pub user_agent: String,
    /// Whether it accepts compressed answers.
    pub gzip: bool,
    /// The protocol of its connection.
    pub http: Http,
}

/// Why an exchange failed.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Trouble {
    /// No connection, or it broke.
    Broken,
    /// No whole answer in time.
    TimedOut,
    /// An answer that is neither 2xx nor 429.
    Status(StatusCode),
    /// A 429, and how long the server asks to wait.
    Refused {
        /// From the `Retry-After` header.
        retry_after: Option<Duration>,
    },
    /// A watch that ended at once, or whose version is too old.
    Cut,
}

impl fmt::Display for Trouble {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Broken => out.write_str("connection failed"),
            Self::TimedOut => out.write_str("timed out"),
            Self::Status(status) => write!(out, "{status}"),
            Self::Refused { .. } => out.write_str("429 Too Many Requests"),
            Self::Cut => out.write_str("watch cut off"),
        }
    }
}

enum Sender {
    H2(http2::SendRequest<Full<Bytes>>),
    Http1(http1::SendRequest<Full<Bytes>>),
}

impl Sender {
    /// Waits until it takes a request; false if it is closed.
    async fn is_ready(&mut self) -> bool {
        match self {
            Self::H2(sender) => sender.ready().await.is_ok(),
            Self::Http1(sender) => sender.ready().await.is_ok(),
        }
    }
}

/// One client's connection, opened when first needed and again when it broke.
///
/// With HTTP/2 requests share it; with HTTP/1.1 it carries one after the other, so a client takes a
/// link for each thing that it does at the same time.
pub struct Link {
    servers: Servers,
    caller: Caller,
    tls: TlsConnector,
    next_server: AtomicUsize,
    open: Mutex<Option<Sender>>,
}

impl Link {
    /// A link that has not connected yet; the first connection goes to the server of that number.
    #[must_use]
    pub fn new(servers: Servers, caller: Caller, first_server: usize) -> Self {
        let mut config = ClientConfig::builder()
            .with_root_certificates(Arc::clone(&servers.roots))
            .with_no_client_auth();
        // Agents on different nodes share no sessions, and Go's client resumes none.
        config.resumption = Resumption::disabled();
        config.alpn_protocols = match caller.http {
            Http::H2 => vec![b"h2".to_vec()],
            Http::Http1 => vec![b"http/1.1".to_vec()],
        };
        Self {
            servers,
            caller,
            tls: TlsConnector::from(Arc::new(config)),
            next_server: AtomicUsize::new(first_server),
            open: Mutex::new(None),
        }
    }

    /// Sends a request and waits for the head of its answer, which is a 2xx.
    pub async fn send(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Trouble> {
        let response = self.send_any(request).await?;
        match response.status() {
            status if status.is_success() => Ok(response),
            StatusCode::TOO_MANY_REQUESTS => Err(Trouble::Refused {
                retry_after: retry_after(&response),
            }),
            status => Err(Trouble::Status(status)),
        }
    }

    async fn send_any(&self, request: Request<Full<Bytes>>) -> Result<Response<Incoming>, Trouble> {
        let request = self.signed(request)?;
        let mut open = self.open.lock().await;
        let usable = match open.as_mut() {
            Some(sender) => sender.is_ready().await,
            None => false,
        };
        if !usable {
            *open = Some(self.connect().await.map_err(|_| Trouble::Broken)?);
        }
        let answer = match open.as_mut().ok_or(Trouble::Broken)? {
            Sender::H2(sender) => {
                let mut sender = sender.clone();
                drop(open);
                sender.send_request(request).await
            }
            Sender::Http1(sender) => sender.send_request(request).await,
        };
        answer.map_err(|_| Trouble::Broken)
    }

    fn signed(&self, mut request: Request<Full<Bytes>>) -> Result<Request<Full<Bytes>>, Trouble> {
        let value = |text: &str| HeaderValue::from_str(text).map_err(|_| Trouble::Broken);
        let mut token = value(&format!("Bearer {}", self.caller.token))?;
        token.set_sensitive(true);
        let user_agent = value(&self.caller.user_agent)?;
        let headers = request.headers_mut();
        headers.insert(header::AUTHORIZATION, token);
        headers.insert(header::USER_AGENT, user_agent);
        headers.insert(header::ACCEPT, HeaderValue::from_static("application/json"));
        if self.caller.gzip {
            headers.insert(header::ACCEPT_ENCODING, HeaderValue::from_static("gzip"));
        }
        if self.caller.http == Http::Http1 {
            headers.insert(header::HOST, HeaderValue::from_static(SERVER_NAME));
            return Ok(request);
        }
        // HTTP/2 takes scheme and host from the URI.
        let path = request.uri().to_string();
        *request.uri_mut() = format!("https://{SERVER_NAME}{path}")
            .parse()
            .map_err(|_| Trouble::Broken)?;
        Ok(request)
    }

    async fn connect(&self) -> Result<Sender> {
        let number = self.next_server.fetch_add(1, Ordering::Relaxed) % self.servers.count();
        let tcp = TcpStream::connect(self.servers.addresses[number]).await?;
        tcp.set_nodelay(true)?;
        let tls = self
            .tls
            .connect(ServerName::try_from(SERVER_NAME)?, tcp)
            .await?;
        match self.caller.http {
            Http::H2 => open_h2(tls).await,
            Http::Http1 => open_http1(tls).await,
        }
    }
}

async fn open_h2(tls: TlsStream<TcpStream>) -> Result<Sender> {
    let (sender, connection) = http2::Builder::new(TokioExecutor::new())
        .timer(TokioTimer::new())
        .initial_stream_window_size(STREAM_WINDOW)
        .initial_connection_window_size(CONNECTION_WINDOW)
        .keep_alive_interval(PING_AFTER)
        .keep_alive_timeout(PING_TIMEOUT)
        .handshake(TokioIo::new(tls))
        .await?;
    // It ends when its sender is dropped or the peer goes; its requests then say so.
    tokio::spawn(connection);
    Ok(Sender::H2(sender))
}

async fn open_http1(tls: TlsStream<TcpStream>) -> Result<Sender> {
    let (sender, connection) = http1::handshake(TokioIo::new(tls)).await?;
    tokio::spawn(connection);
    Ok(Sender::Http1(sender))
}

fn retry_after<B>(response: &Response<B>) -> Option<Duration> {
    let value = response.headers().get(header::RETRY_AFTER)?.to_str().ok()?;
    Some(Duration::from_secs(value.parse().ok()?))
}

#[cfg(test)]
pub(crate) mod stand;
#[cfg(test)]
mod tests;
