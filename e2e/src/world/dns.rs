//! DNS in a world: CoreDNS replicas that read the API, each over a line of its own that can be cut, caches before
//! them as on each node, and the Service kube-dns that points to them.
//!
//! ```text
//!  API server ◀── line 1 ── CoreDNS ◀── relay 172.31.254.11  ┐
//!             ◀── line 2 ── CoreDNS ◀── relay 172.31.254.12  ├◀── (a cache) ◀── relay 10.96.0.10, the Service
//!                                                            └◀── a cache ◀──── relay 169.254.20.10, the resolver
//! ```
//! Who asks, asks relays, which pass everything on until they are told otherwise: the programs themselves are asked at
//! addresses that nobody else knows. Replicas' metrics are passed on as they are. At the Service's address stands what
//! kube-proxy does, or a cache, as NodeLocal does where it takes the Service's own address; the resolver is what pods
//! of a node are given instead of it.

mod ask;
mod corefile;
mod listening;
mod manifests;
mod seen;
mod servers;

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;

use anyhow::{Context, Result};
use serde_json::{Value, json};

pub use self::ask::{Said, ask, beacon, http, nonce, sum};
use self::corefile::Running;
pub use self::corefile::{Cache, Cluster};
pub use self::listening::Listening;
pub use self::seen::DnsSeen;
pub use self::servers::{Front, Replica};
use super::World;
use super::enter::run;
use super::kubeconfig;
use super::process::{Launch, Program};
use super::wait::reach;
use crate::line::Line;
use crate::relay::{Manner, Relay};
use crate::tools::{Tool, program};

/// The namespace of CoreDNS's account.
const NAMESPACE: &str = "kube-system";
/// The account of CoreDNS.
const ACCOUNT: &str = "coredns";
/// The name that API servers' certificates carry.
const SERVER_NAME: &str = "kubernetes.default.svc";
/// The port of CoreDNS's plugin `health`.
const HEALTH: u16 = 8080;
/// The port of CoreDNS's plugin `ready`.
const READY: u16 = 8181;
/// The port of CoreDNS's metrics.
const METRICS: u16 = 9153;
/// The port of a Service of DNS, and of a resolver.
const PORT: u16 = 53;

/// The address of the Service that clients are given.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);
/// The address at which a node's own cache is asked.
pub const RESOLVER: Ipv4Addr = Ipv4Addr::new(169, 254, 20, 10);

/// Where clients ask.
struct Place {
    /// What its cache is called.
    name: &'static str,
    /// The address that clients have.
    at: Ipv4Addr,
    /// Where its cache itself is asked.
    own: Ipv4Addr,
}

/// The Service's.
const AT_SERVICE: Place = Place {
    name: "node-cache",
    at: SERVICE,
    own: Ipv4Addr::new(172, 31, 251, 11),
};

/// The resolver's.
const AT_RESOLVER: Place = Place {
    name: "resolver",
    at: RESOLVER,
    own: Ipv4Addr::new(172, 31, 251, 12),
};

/// How a world's DNS is made.
#[derive(Clone, Debug)]
pub struct DnsSpec {
    /// CoreDNS replicas; at most 200.
    pub replicas: u8,
    /// Whose Corefile they have.
    pub cluster: Cluster,
    /// The cache at the Service's address; kube-proxy's place, if there is none.
    pub front: Option<Cache>,
    /// The cache that Weir's own resolv.conf names, if it names any.
    pub resolver: Option<Cache>,
    /// What relays draw from, where packets are to be lost.
    pub seed: u64,
}

impl Default for DnsSpec {
    /// Two replicas as kubeadm has them, behind kube-proxy.
    fn default() -> Self {
        Self {
            replicas: 2,
            cluster: Cluster::Kubeadm,
            front: None,
            resolver: None,
            seed: 1,
        }
    }
}

/// DNS in a world.
#[derive(Debug)]
pub struct NameService {
    /// Each CoreDNS that reads the API.
    pub replicas: Vec<Replica>,
    /// What stands at the Service's address.
    pub front: Front,
    /// What Weir's own resolv.conf names, if it names anything.
    pub resolver: Option<Front>,
    cluster: Cluster,
    resolv_conf: PathBuf,
}

impl World {
    /// Starts CoreDNS and its caches, and waits until all replicas have read the API.
    ///
    /// # Errors
    /// A program cannot be built or started, or does not answer in time.
    pub async fn start_dns(&self, spec: &DnsSpec) -> Result<NameService> {
        self.apply(&manifests::all(spec)).await?;
        let mut replicas = Vec::new();
        for index in 0..spec.replicas {
            replicas.push(self.replica(index, spec).await?);
        }
        let own: Vec<SocketAddr> = replicas.iter().map(|replica| replica.own).collect();
        let front = self.front(&AT_SERVICE, spec.front, &own, spec.seed);
        let front = front.await?;
        let resolver = match spec.resolver {
            Some(_) => {
                let resolver = self.front(&AT_RESOLVER, spec.resolver, &own, spec.seed);
                Some(resolver.await?)
            }
            None => None,
        };
        let dns = NameService {
            replicas,
            front,
            resolv_conf: self.resolv_conf(spec.resolver.is_some())?,
            resolver,
            cluster: spec.cluster,
        };
        dns.answering().await?;
        Ok(dns)
    }

    async fn replica(&self, index: u8, spec: &DnsSpec) -> Result<Replica> {
        let name = pod_name(index);
        let port = spec.cluster.port();
        let own = SocketAddr::from((Ipv4Addr::new(172, 31, 252, index + 11), port));
        let near = Ipv4Addr::new(172, 31, 253, index + 11);
        for address in [replica_address(index), ip(own), near] {
            add_address(address)?;
        }
        let server = *self.addresses().first().context("there is no API server")?;
        let line = Line::lay(SocketAddr::from((near, server.port())), server).await?;
        let kubeconfig = self.coredns_kubeconfig(&name, near).await?;
        let running = Running {
            own: ip(own),
            kubeconfig: &kubeconfig,
        };
        let program = self.coredns(&name, &spec.cluster.corefile(Some(running)))?;
        let seed = spec.seed.wrapping_add(u64::from(index));
        let known = |port: u16| SocketAddr::from((replica_address(index), port));
        let metrics = SocketAddr::from((ip(own), METRICS));
        Ok(Replica {
            program,
            relay: Relay::lay(known(port), &[own], seed).await?,
            own,
            line,
            _metrics: Line::lay(known(METRICS), metrics).await?,
        })
    }

    /// What clients ask at a place: a cache that asks the replicas, or these themselves.
    async fn front(
        &self,
        place: &Place,
        cache: Option<Cache>,
        replicas: &[SocketAddr],
        seed: u64,
    ) -> Result<Front> {
        add_address(place.at)?;
        let program = match cache {
            Some(cache) => {
                add_address(place.own)?;
                let corefile = cache.corefile(Some(place.own), replicas);
                Some(self.coredns(place.name, &corefile)?)
            }
            None => None,
        };
        let own = program
            .as_ref()
            .map(|_| SocketAddr::from((place.own, PORT)));
        let behind = own.map_or_else(|| replicas.to_vec(), |own| vec![own]);
        let seed = seed.wrapping_add(u64::from(u32::from(place.at)));
        Ok(Front {
            cache: program,
            relay: Relay::lay(SocketAddr::from((place.at, PORT)), &behind, seed).await?,
            own,
        })
    }

    fn coredns(&self, name: &str, corefile: &str) -> Result<Program> {
        let path = self.directory().join(format!("{name}.Corefile"));
        fs::write(&path, corefile).with_context(|| format!("writing {}", path.display()))?;
        let words = [
            program(Tool::Coredns, "coredns")?.display().to_string(),
            "-conf".to_owned(),
            path.display().to_string(),
        ];
        let launch = Launch {
            name: name.to_owned(),
            words: words.to_vec(),
            environment: Vec::new(),
        };
        Program::start(launch, self.directory())
    }

    /// A kubeconfig that reaches the API over the line at `near`.
    async fn coredns_kubeconfig(&self, name: &str, near: Ipv4Addr) -> Result<PathBuf> {
        let token = self.token(NAMESPACE, ACCOUNT).await?;
        let authority = self.directory().join("pki/ca.crt");
        let mut config = kubeconfig::kubeconfig(&authority, near, &json!({ "token": token }));
        config["clusters"][0]["cluster"]["tls-server-name"] = Value::from(SERVER_NAME);
        kubeconfig::write(self.directory(), name, &config)
    }

    /// The resolv.conf of a pod. What this machine is given names nothing of the world.
    fn resolv_conf(&self, has_resolver: bool) -> Result<PathBuf> {
        let path = self.directory().join("resolv.conf");
        let text = if has_resolver {
            format!(
                "search weir-system.svc.cluster.local svc.cluster.local cluster.local\n\
                 nameserver {RESOLVER}\noptions ndots:5\n"
            )
        } else {
            String::new()
        };
        fs::write(&path, text).with_context(|| format!("writing {}", path.display()))?;
        Ok(path)
    }
}

impl NameService {
    /// Flags by which Weir measures this DNS.
    #[must_use]
    pub fn flags(&self) -> Vec<String> {
        let (namespace, service) = self.cluster.service();
        vec![
            "--dns-measured".to_owned(),
            format!("--dns-service={namespace}/{service}"),
            format!("--resolv-conf={}", self.resolv_conf.display()),
        ]
    }

    /// How many servers Weir asks.
    #[must_use]
    pub fn servers(&self) -> usize {
        self.replicas.len() + 1 + usize::from(self.resolver.is_some())
    }

    /// What Weir asks, each one.
    pub fn relays(&self) -> impl Iterator<Item = &Relay> {
        let fronts = std::iter::once(&self.front).chain(&self.resolver);
        let replicas = self.replicas.iter().map(|replica| &replica.relay);
        replicas.chain(fronts.map(|front| &front.relay))
    }

    /// All relays are like this from now on.
    pub fn all(&self, manner: Manner) {
        self.relays().for_each(|relay| relay.set(manner));
    }

    /// Questions that all of them were asked so far.
    #[must_use]
    pub fn asked(&self) -> u64 {
        self.relays().map(Relay::asked).sum()
    }

    /// Waits until each replica says that it has read the API.
    ///
    /// # Errors
    /// One has ended, or no more become ready.
    pub async fn answering(&self) -> Result<()> {
        reach(
            self.replicas.len(),
            "CoreDNS replicas are ready",
            async || {
                let fronts = std::iter::once(&self.front).chain(&self.resolver);
                for cache in fronts.filter_map(|front| front.cache.as_ref()) {
                    cache.check()?;
                }
                let mut ready = 0;
                for replica in &self.replicas {
                    replica.program.check()?;
                    let [_, is_ready] = replica.health().await;
                    ready += usize::from(is_ready == Some(200));
                }
                Ok(ready)
            },
        )
        .await
    }
}

/// What a replica's pod is called.
fn pod_name(index: u8) -> String {
    format!("coredns-{}", index + 1)
}

fn replica_address(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 254, index + 11)
}

/// Addresses here are all of version 4.
fn ip(of: SocketAddr) -> Ipv4Addr {
    match of {
        SocketAddr::V4(address) => *address.ip(),
        SocketAddr::V6(_) => Ipv4Addr::UNSPECIFIED,
    }
}

fn add_address(address: Ipv4Addr) -> Result<()> {
    run(
        "ip",
        &["address", "replace", &format!("{address}/32"), "dev", "lo"],
    )
}
