//! A world whose DNS is measured by the Weir in it.

use std::net::IpAddr;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use kube::Api;
use weir::api::{ControlPlane, DnsLayerStatus, DnsState, SINGLETON};

use super::{Stage, eventually};
use crate::world::dns::{DnsSeen, DnsSpec, NameService};
use crate::world::{WeirProcess, World, WorldSpec};

/// Weir's own namespace, which the beacon is in.
const NAMESPACE: &str = include_str!("../../../deploy/namespace.yaml");

/// Between two looks at what Weir sees.
const LOOK_EVERY: Duration = Duration::from_millis(100);

/// A world with DNS, and Weir with mode `enforce` that measures it.
pub struct Measured {
    /// Weir.
    pub weir: WeirProcess,
    /// DNS.
    pub dns: NameService,
    /// The world.
    pub world: World,
}

impl Measured {
    /// Starts all of it; does not wait until anything is measured.
    ///
    /// # Errors
    /// A program cannot be built or started, or is not ready in time.
    pub async fn start(world: &WorldSpec, dns: &DnsSpec) -> Result<Self> {
        Self::begin(World::start(world).await?, dns, |_| {}).await
    }

    /// The same in a world that runs, after something was done to its DNS before Weir sees it for the first time.
    ///
    /// # Errors
    /// As [`Measured::start`].
    pub async fn begin(
        world: World,
        dns: &DnsSpec,
        before: impl FnOnce(&NameService),
    ) -> Result<Self> {
        let dns = world.start_dns(dns).await?;
        before(&dns);
        world.apply(NAMESPACE).await?;
        world.install_beacon().await?;
        let flags = dns.flags();
        let flags: Vec<&str> = flags.iter().map(String::as_str).collect();
        let (_, weir) = Stage::set_with(&world, &flags).await?;
        Ok(Self { weir, dns, world })
    }

    /// What acts on it.
    #[must_use]
    pub fn stage(&self) -> Stage<'_> {
        Stage {
            world: &self.world,
            admin: self.world.client(),
        }
    }

    /// Waits until all DNS servers are heard, and none is masked; returns how long that took.
    ///
    /// # Errors
    /// That does not happen, or Weir has ended.
    pub async fn fresh(&self) -> Result<Duration> {
        let servers = self.dns.servers();
        self.until("DNS is measured, and follows the API", |seen| {
            seen.is_fresh(servers)
        })
        .await
    }

    /// Waits until exactly these servers are masked, all by this; returns how long that took.
    ///
    /// # Errors
    /// As [`Measured::fresh`].
    pub async fn only(&self, mask: &str, servers: &[&str]) -> Result<Duration> {
        self.until(&format!("{mask} of {servers:?}"), |seen| {
            seen.is_only(mask, servers)
        })
        .await
    }

    /// Waits until Weir sees this; returns how long that took. It need not answer each time.
    ///
    /// # Errors
    /// It does not, or has ended; the message says what it sees instead.
    pub async fn until(&self, what: &str, is: impl Fn(&DnsSeen) -> bool) -> Result<Duration> {
        let begun = Instant::now();
        let mut seen: Option<DnsSeen> = None;
        let mut unanswered: Option<anyhow::Error> = None;
        let came = eventually(what, async || {
            self.weir.program.check()?;
            match self.weir.dns_seen().await {
                Ok(now) => {
                    let is_so = is(&now);
                    (seen, unanswered) = (Some(now), None);
                    Ok(is_so)
                }
                Err(error) => {
                    unanswered = Some(error);
                    Ok(false)
                }
            }
        })
        .await;
        came.with_context(|| match &unanswered {
            None => format!("Weir sees {seen:?}"),
            Some(error) => format!("Weir does not answer ({error:#}), and saw {seen:?} before"),
        })?;
        Ok(begun.elapsed())
    }

    /// Nothing is masked all this while. Weir need not answer each time, but now and then, and say that it hears a DNS
    /// server; and it may not end.
    ///
    /// # Errors
    /// Something is, and the message says what; or Weir hears nothing.
    pub async fn nothing_masked_for(&self, time: Duration) -> Result<()> {
        let begun = Instant::now();
        let mut heard = 0_u32;
        while begun.elapsed() < time {
            self.weir.program.check()?;
            if let Ok(seen) = self.weir.dns_seen().await {
                heard += u32::from(!seen.lag.is_empty());
                ensure!(
                    seen.masked.is_empty(),
                    "{:?} are masked after {:.1} s",
                    seen.masked,
                    begun.elapsed().as_secs_f64()
                );
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
        ensure!(heard > 0, "Weir told of no DNS server in {time:?}");
        Ok(())
    }

    /// What the ControlPlane says of the server at this address, or of the replica whose pod is called so.
    ///
    /// # Errors
    /// The API does not answer.
    pub async fn told(&self, server: Server<'_>) -> Result<Option<DnsLayerStatus>> {
        let control_planes: Api<ControlPlane> = Api::all(self.world.client());
        let status = control_planes.get(SINGLETON).await?.status;
        let dns = status.and_then(|status| status.dns);
        let mut layers = dns.into_iter().flat_map(|dns| dns.layers);
        Ok(layers.find(|layer| match server {
            Server::Pod(name) => layer.name == name,
            Server::At(address) => layer.name.ends_with(&format!(" {address}")),
        }))
    }

    /// Waits until the ControlPlane says of a server that nothing is known of it, and why: with these words.
    ///
    /// # Errors
    /// It does not; the message says what it says instead.
    pub async fn unseen(&self, server: Server<'_>, because: &str) -> Result<String> {
        let mut told = None;
        let came = eventually(&format!("{server:?} is unseen: {because}"), async || {
            self.weir.program.check()?;
            told = self.told(server).await?;
            Ok(told.as_ref().is_some_and(|layer| {
                let why = layer.why.as_deref().unwrap_or_default();
                layer.state == DnsState::Unseen && why.contains(because)
            }))
        })
        .await;
        came.with_context(|| format!("it is told as {told:?}"))?;
        match told.and_then(|layer| layer.why) {
            Some(why) => Ok(why),
            None => bail!("it does not say why"),
        }
    }
}

/// One of the servers that Weir asks.
#[derive(Debug, Clone, Copy)]
pub enum Server<'a> {
    /// A replica, by its pod's name.
    Pod(&'a str),
    /// The Service or the resolver, by its address.
    At(IpAddr),
}
