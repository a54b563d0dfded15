//! The DNS servers of a world, one by one: what each says of itself, and what can be done to it.

use std::net::SocketAddr;

use anyhow::{Context, Result};

use super::super::process::Program;
use super::{HEALTH, METRICS, READY, http, ip};
use crate::line::{Line, State};
use crate::relay::Relay;

/// One CoreDNS that reads the API.
#[derive(Debug)]
pub struct Replica {
    /// The program.
    pub program: Program,
    /// What stands at the address that the EndpointSlice has.
    pub relay: Relay,
    /// Where the program itself is asked.
    pub own: SocketAddr,
    pub(super) line: Line,
    /// Passes its metrics on, which Weir asks for at the address that the EndpointSlice has.
    pub(super) _metrics: Line,
}

impl Replica {
    /// The name of its pod, by which it is in the EndpointSlice.
    #[must_use]
    pub fn pod(&self) -> &str {
        self.program.name()
    }

    /// Cuts it from the API, or joins it again.
    pub fn line(&self, state: State) {
        self.line.set(state);
    }

    /// What it says at `/health`, and at `/ready`: the numbers of their statuses, none where nobody answers.
    pub async fn health(&self) -> [Option<u16>; 2] {
        let said = async |port: u16, path: &str| {
            let at = SocketAddr::from((ip(self.own), port));
            let page = http(at, path).await.ok()?;
            page.split_whitespace().nth(1)?.parse::<u16>().ok()
        };
        [said(HEALTH, "/health").await, said(READY, "/ready").await]
    }

    /// Its page of metrics.
    ///
    /// # Errors
    /// It does not answer.
    pub async fn metrics(&self) -> Result<String> {
        http(SocketAddr::from((ip(self.own), METRICS)), "/metrics").await
    }
}

/// A place before the replicas at which clients ask.
#[derive(Debug)]
pub struct Front {
    /// The cache, if there is one.
    pub cache: Option<Program>,
    /// What stands at the address that clients have.
    pub relay: Relay,
    /// Where the cache itself is asked, if there is one.
    pub own: Option<SocketAddr>,
}

impl Front {
    /// The cache's page of metrics.
    ///
    /// # Errors
    /// There is none, or it does not answer.
    pub async fn metrics(&self) -> Result<String> {
        let own = self.own.context("there is no cache here")?;
        http(SocketAddr::from((ip(own), METRICS)), "/metrics").await
    }
}
