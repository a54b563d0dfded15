//! Stands before DNS servers as kube-proxy does, and says what they say: or less, or something else.
//!
//! ```text
//!  who asks ──▶ the address that servers are known by ──▶ one of the servers, each at its own
//!               (UDP, and TCP)                            (UDP)
//! ```
//! Whoever asks from one port is always sent to the same server, as by conntrack. Packets are passed on as they
//! came, unless a [`Manner`] alters them.

mod manner;

use std::net::{Ipv4Addr, SocketAddr};
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream, UdpSocket};
use tokio::task::{JoinHandle, JoinSet};

pub use self::manner::Manner;

/// How long a server has to answer: longer than anybody here waits.
const ANSWER_WITHIN: Duration = Duration::from_secs(6);

/// The longest message by UDP or TCP (RFC 1035, section 4.2.2).
const LONGEST: usize = u16::MAX as usize;

/// Where what is no answer of the server comes from: an address that nobody asked.
const ELSEWHERE: Ipv4Addr = Ipv4Addr::new(127, 53, 53, 53);

/// A relay; it ends with this.
#[derive(Debug)]
pub struct Relay {
    address: SocketAddr,
    desk: Arc<Desk>,
    tasks: [JoinHandle<()>; 2],
}

/// What both ways in share.
#[derive(Debug)]
struct Desk {
    servers: Vec<SocketAddr>,
    manner: Mutex<Manner>,
    /// Which packets are lost: the same ones for the same seed, if they come in the same order.
    dice: Mutex<fastrand::Rng>,
    asked: AtomicU64,
    lost: AtomicU64,
}

impl Relay {
    /// Listens at `at`, by UDP and by TCP, for whoever is to ask one of `servers`. What is lost, where something
    /// is to be, is drawn from `seed`.
    ///
    /// # Errors
    /// There is no server, or the address is taken.
    pub async fn lay(at: SocketAddr, servers: &[SocketAddr], seed: u64) -> Result<Self> {
        ensure!(!servers.is_empty(), "a relay without a server behind it");
        let listening = || format!("listening at {at}");
        let udp = UdpSocket::bind(at).await.with_context(listening)?;
        let address = udp.local_addr()?;
        let tcp = TcpListener::bind(address).await.with_context(listening)?;
        let desk = Arc::new(Desk {
            servers: servers.to_vec(),
            manner: Mutex::new(Manner::Honest),
            dice: Mutex::new(fastrand::Rng::with_seed(seed)),
            asked: AtomicU64::new(0),
            lost: AtomicU64::new(0),
        });
        let tasks = [
            tokio::spawn(by_udp(udp, Arc::clone(&desk))),
            tokio::spawn(by_tcp(tcp, Arc::clone(&desk))),
        ];
        Ok(Self {
            address,
            desk,
            tasks,
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// From now on it is like this.
    pub fn set(&self, manner: Manner) {
        *lock(&self.desk.manner) = manner;
    }

    /// Questions that came so far, each packet of them.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.desk.asked.load(Ordering::Relaxed)
    }

    /// Packets that were lost so far, questions and answers.
    #[must_use]
    pub fn lost(&self) -> u64 {
        self.desk.lost.load(Ordering::Relaxed)
    }
}

impl Drop for Relay {
    fn drop(&mut self) {
        for task in &self.tasks {
            task.abort();
        }
    }
}

impl Desk {
    fn manner(&self) -> Manner {
        *lock(&self.manner)
    }

    /// Whether the next packet is lost.
    fn loses(&self) -> bool {
        let Manner::Lossy { one_of } = self.manner() else {
            return false;
        };
        let is_lost = lock(&self.dice).u32(0..one_of.max(1)) == 0;
        self.lost.fetch_add(u64::from(is_lost), Ordering::Relaxed);
        is_lost
    }

    /// The server that whoever asks from this port is sent to.
    fn server(&self, client: SocketAddr) -> SocketAddr {
        self.servers[usize::from(client.port()) % self.servers.len()]
    }

    /// What a server says to a question, altered; nothing if it does not answer.
    async fn answer(&self, question: &[u8], client: SocketAddr) -> Option<Vec<u8>> {
        let said = ask(self.server(client), question, ANSWER_WITHIN)
            .await
            .ok()??;
        self.manner().alter(said)
    }
}

async fn by_udp(socket: UdpSocket, desk: Arc<Desk>) {
    let socket = Arc::new(socket);
    let mut answering = JoinSet::new();
    let mut buffer = vec![0; LONGEST];
    loop {
        tokio::select! {
            received = socket.recv_from(&mut buffer) => {
                if let Ok((length, client)) = received {
                    desk.asked.fetch_add(1, Ordering::Relaxed);
                    let question = buffer[..length].to_vec();
                    answering.spawn(one_packet(Arc::clone(&socket), Arc::clone(&desk), question, client));
                }
            }
            Some(_) = answering.join_next() => {}
        }
    }
}

async fn one_packet(
    socket: Arc<UdpSocket>,
    desk: Arc<Desk>,
    question: Vec<u8>,
    client: SocketAddr,
) {
    if desk.loses() {
        return;
    }
    let Some(said) = desk.answer(&question, client).await else {
        return;
    };
    if desk.loses() {
        return;
    }
    // One that has gone is no fault of this.
    drop(match desk.manner() {
        Manner::Elsewhere => from_elsewhere(&said, client).await,
        _ => socket.send_to(&said, client).await,
    });
}

async fn from_elsewhere(said: &[u8], client: SocketAddr) -> std::io::Result<usize> {
    let socket = UdpSocket::bind((ELSEWHERE, 0)).await?;
    socket.send_to(said, client).await
}

async fn by_tcp(listener: TcpListener, desk: Arc<Desk>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((stream, client)) = accepted {
                    let desk = Arc::clone(&desk);
                    // It ends when either end does.
                    open.spawn(async move { drop(one_stream(stream, desk, client).await) });
                }
            }
            Some(_) = open.join_next() => {}
        }
    }
}

/// Questions over one connection, each after its length.
async fn one_stream(
    mut stream: TcpStream,
    desk: Arc<Desk>,
    client: SocketAddr,
) -> std::io::Result<()> {
    loop {
        let length = stream.read_u16().await?;
        let mut question = vec![0; usize::from(length)];
        stream.read_exact(&mut question).await?;
        desk.asked.fetch_add(1, Ordering::Relaxed);
        let said = match desk.manner() {
            // What comes from elsewhere by TCP is no part of this connection.
            Manner::Elsewhere => None,
            _ => desk.answer(&question, client).await,
        };
        if let Some(said) = said {
            let length = u16::try_from(said.len()).unwrap_or(u16::MAX);
            stream.write_u16(length).await?;
            stream.write_all(&said[..usize::from(length)]).await?;
        }
    }
}

/// Sends one packet to a server; what comes back, if anything does.
///
/// # Errors
/// There is no server at that address.
pub(crate) async fn ask(
    server: SocketAddr,
    question: &[u8],
    within: Duration,
) -> std::io::Result<Option<Vec<u8>>> {
    let socket = UdpSocket::bind((Ipv4Addr::UNSPECIFIED, 0)).await?;
    socket.connect(server).await?;
    socket.send(question).await?;
    let mut buffer = vec![0; LONGEST];
    match tokio::time::timeout(within, socket.recv(&mut buffer)).await {
        Ok(received) => {
            buffer.truncate(received?);
            Ok(Some(buffer))
        }
        Err(_) => Ok(None),
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

#[cfg(test)]
mod tests;
