//! A TCP line from a client to a server that can be cut: bytes pass as they are, or nothing does.
//!
//! It is what stands between two programs where a test must part these two and no others.

use std::net::SocketAddr;
use std::sync::Arc;

use anyhow::{Context, Result};
use tokio::io::copy_bidirectional;
use tokio::net::{TcpListener, TcpStream};
use tokio::sync::watch;
use tokio::task::{JoinHandle, JoinSet};

/// What becomes of connections.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum State {
    /// Everything passes.
    Whole,
    /// Those that are open are closed, and new ones too, at once: the server is not there.
    Refused,
    /// Nothing passes, and nobody is told: the network drops all packets.
    Silent,
}

/// A line; it ends with this.
#[derive(Debug)]
pub struct Line {
    address: SocketAddr,
    state: Arc<watch::Sender<State>>,
    passing: JoinHandle<()>,
}

impl Line {
    /// Listens at `at` for whoever is to reach `server`.
    ///
    /// # Errors
    /// The address is taken.
    pub async fn lay(at: SocketAddr, server: SocketAddr) -> Result<Self> {
        let listener = TcpListener::bind(at)
            .await
            .with_context(|| format!("listening at {at}"))?;
        let (state, seen) = watch::channel(State::Whole);
        Ok(Self {
            address: listener.local_addr()?,
            state: Arc::new(state),
            passing: tokio::spawn(pass_all(listener, server, seen)),
        })
    }

    /// Where it listens.
    #[must_use]
    pub const fn address(&self) -> SocketAddr {
        self.address
    }

    /// Cuts it, or mends it. What is open goes on as it was when it is mended after silence.
    pub fn set(&self, state: State) {
        self.state.send_replace(state);
    }
}

impl Drop for Line {
    fn drop(&mut self) {
        self.passing.abort();
    }
}

async fn pass_all(listener: TcpListener, server: SocketAddr, state: watch::Receiver<State>) {
    let mut open = JoinSet::new();
    loop {
        tokio::select! {
            accepted = listener.accept() => {
                if let Ok((client, _)) = accepted {
                    open.spawn(pass(client, server, state.clone()));
                }
            }
            Some(_) = open.join_next() => {}
        }
    }
}

/// One connection, for as long as both ends want it and it is not refused.
async fn pass(mut client: TcpStream, server: SocketAddr, mut state: watch::Receiver<State>) {
    let mut far: Option<TcpStream> = None;
    loop {
        let now = *state.borrow_and_update();
        match now {
            State::Refused => return,
            State::Silent => {
                if state.changed().await.is_err() {
                    return;
                }
            }
            State::Whole => {
                let mut through = match far.take() {
                    Some(through) => through,
                    None => match TcpStream::connect(server).await {
                        Ok(through) => through,
                        Err(_) => return,
                    },
                };
                tokio::select! {
                    _ = copy_bidirectional(&mut client, &mut through) => return,
                    changed = state.changed() => {
                        if changed.is_err() {
                            return;
                        }
                    }
                }
                far = Some(through);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use std::net::Ipv4Addr;
    use std::time::Duration;

    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    use tokio::time::timeout;

    use super::*;

    const ANY: (Ipv4Addr, u16) = (Ipv4Addr::LOCALHOST, 0);

    /// A server that sends back what it gets.
    async fn echo() -> (SocketAddr, JoinHandle<()>) {
        let listener = TcpListener::bind(ANY).await.unwrap();
        let address = listener.local_addr().unwrap();
        let serving = tokio::spawn(async move {
            while let Ok((mut stream, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let (mut read, mut write) = stream.split();
                    drop(tokio::io::copy(&mut read, &mut write).await);
                });
            }
        });
        (address, serving)
    }

    async fn says(stream: &mut TcpStream) -> bool {
        stream.write_all(b"x").await.unwrap();
        let mut byte = [0];
        let read = timeout(Duration::from_millis(300), stream.read_exact(&mut byte)).await;
        matches!(read, Ok(Ok(_)))
    }

    #[tokio::test]
    async fn a_silent_line_goes_on_where_it_was_and_a_refused_one_is_closed() {
        let (server, serving) = echo().await;
        let line = Line::lay(ANY.into(), server).await.unwrap();
        let mut client = TcpStream::connect(line.address()).await.unwrap();
        assert!(says(&mut client).await);
        line.set(State::Silent);
        assert!(!says(&mut client).await);
        line.set(State::Whole);
        let mut late = [0];
        client.read_exact(&mut late).await.unwrap();
        assert!(says(&mut client).await);
        line.set(State::Refused);
        let ended = timeout(Duration::from_secs(5), client.read(&mut late))
            .await
            .unwrap();
        assert!(matches!(ended, Ok(0) | Err(_)), "{ended:?}");
        serving.abort();
    }
}
