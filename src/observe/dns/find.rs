//! Which DNS servers there are, and what of them is known before they are asked.
//!
//! ```text
//!  EndpointSlices of kube-system/kube-dns (watched)   each replica, by its own address
//!  Service kube-system/kube-dns                       the address that clients are given
//!  /etc/resolv.conf                                   what this pod was given: a cache of its node's, if any
//!  ConfigMaps coredns, node-local-dns                 zone, TTL, for how long stale answers are served
//!  EndpointSlices of kube-system/node-local-dns       some of the nodes that have a cache of their own
//! ```
//!
//! All but the first change next to never, and are read once in five minutes. What cannot be read is not known: a
//! cluster whose DNS is not CoreDNS has no Corefile, and its zone may be in resolv.conf alone.

use std::{
    collections::{BTreeMap, BTreeSet},
    net::{IpAddr, SocketAddr},
    sync::Arc,
    time::Duration,
};

use k8s_openapi::api::{
    core::v1::{ConfigMap, Service},
    discovery::v1::EndpointSlice,
};
use kube::{Api, api::ListParams};
use tokio::sync::watch;
use weir_core::{
    dns::{
        Placed,
        corefile::{self, ServerBlock},
    },
    evidence::Role,
    time::Span,
};

use super::{Desk, resolv_conf};
use crate::{client::chain, tasks::TaskError};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_mins(5);
/// Between two looks as long as something could not be read.
const AGAIN_AFTER: Duration = Duration::from_secs(30);
/// The zone where nothing says otherwise.
const ZONE: &str = "cluster.local";
/// The port of the Service, which it is of each cluster's DNS.
const PORT: u16 = 53;
/// Replicas that are asked at all. Where one runs on each node this is a sample.
const REPLICAS: usize = 100;
/// CoreDNS's configuration, in the namespace of its Service.
const CORE_DNS: &str = "coredns";
/// That of the cache on each node.
const NODE_LOCAL: &str = "node-local-dns";
/// The label of a Service's EndpointSlices. The cache on each node has a Service of its own, for its metrics.
const OF_SERVICE: &str = "kubernetes.io/service-name";
/// Nodes whose cache is asked for its metrics.
const NODES: usize = 20;
/// EndpointSlices of that Service that are read: a hundred nodes each.
const SLICES: u32 = 50;
/// The key of a Corefile in both.
const COREFILE: &str = "Corefile";

/// What is known of DNS servers before they are asked.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Facts {
    /// The zone of the cluster's names; empty before anything was looked at.
    pub(super) zone: String,
    /// For how long CoreDNS lets answers be kept, if it says so.
    pub(super) ttl: Option<Span>,
    /// For how long beyond that CoreDNS serves stale ones, if it says so.
    core_stale: Option<Span>,
    /// The same of the cache on each node.
    node_stale: Option<Span>,
    /// The address that clients are given.
    service: Option<SocketAddr>,
    /// The servers that this process itself was given.
    given: Vec<SocketAddr>,
    /// Nodes that have a cache of their own: a sample of them.
    pub(super) nodes: Vec<IpAddr>,
}

/// A DNS server that can be asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) struct Server {
    pub(super) address: SocketAddr,
    pub(super) placed: Placed,
}

impl Facts {
    /// All servers by their names for people, of which `replicas` are watched.
    pub(super) fn servers(
        &self,
        service: &str,
        replicas: &BTreeMap<String, SocketAddr>,
    ) -> BTreeMap<String, Server> {
        let placed = |role, serve_stale| Placed { role, serve_stale };
        let mut servers: BTreeMap<String, Server> = replicas
            .iter()
            .take(REPLICAS)
            .map(|(name, address)| {
                let server = Server {
                    address: *address,
                    placed: placed(Role::Replica, self.core_stale),
                };
                (name.clone(), server)
            })
            .collect();
        if let Some(address) = self.service {
            let server = Server {
                address,
                placed: placed(Role::Service, self.core_stale),
            };
            servers.insert(format!("{service} {}", address.ip()), server);
        }
        let others = self.given.iter().filter(|one| Some(**one) != self.service);
        servers.extend(others.map(|address| {
            let server = Server {
                address: *address,
                placed: placed(Role::Resolver, self.node_stale),
            };
            (format!("resolver {}", address.ip()), server)
        }));
        servers
    }
}

/// Looks for as long as it is polled, while this replica leads.
pub(super) async fn poll(
    mut desk: Desk,
    client: kube::Client,
    facts: watch::Sender<Arc<Facts>>,
) -> Result<(), TaskError> {
    let mut told = String::new();
    let mut known = Facts::default();
    loop {
        desk.lead().await;
        let (found, trouble) = look(&desk, &client, &known).await;
        known = found;
        facts.send_if_modified(|before| {
            let is_new = **before != known;
            if is_new {
                *before = Arc::new(known.clone());
            }
            is_new
        });
        let again = if trouble.is_empty() {
            LOOK_EVERY
        } else {
            AGAIN_AFTER
        };
        if told != trouble {
            if !trouble.is_empty() {
                tracing::warn!(
                    why = trouble,
                    "not all could be read that is to be known of DNS"
                );
            }
            told = trouble;
        }
        tokio::time::sleep(again).await;
    }
}

/// What is known now, and what could not be read: of that holds what was known `before`.
async fn look(desk: &Desk, client: &kube::Client, before: &Facts) -> (Facts, String) {
    let namespace = &desk.place.namespace;
    let services: Api<Service> = Api::namespaced(client.clone(), namespace);
    let maps: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), namespace);
    let of_nodes = ListParams::default()
        .labels(&format!("{OF_SERVICE}={NODE_LOCAL}"))
        .limit(SLICES);
    let (service, core, node, nodes, given) = tokio::join!(
        services.get_opt(&desk.place.service),
        maps.get_opt(CORE_DNS),
        maps.get_opt(NODE_LOCAL),
        slices.list(&of_nodes),
        tokio::fs::read_to_string(&desk.place.resolv_conf),
    );
    let mut trouble = Trouble::default();
    let given = match given {
        Ok(text) => resolv_conf::parse(&text),
        Err(error) => {
            trouble.add(&format!("{}: {error}", desk.place.resolv_conf.display()));
            resolv_conf::ResolvConf::default()
        }
    };
    let unread = Unread {
        service: service.is_err(),
        core: core.is_err(),
        node: node.is_err(),
    };
    let core = trouble.blocks(CORE_DNS, core);
    let node = trouble.blocks(NODE_LOCAL, node);
    let service = trouble.take("the Service of DNS", service);
    let mut found = gather(&core, &node, service.as_ref(), given);
    found.nodes = match nodes {
        Ok(slices) => sample(&slices.items),
        Err(error) => {
            trouble.add(&format!("where caches on nodes are: {}", chain(&error)));
            before.nodes.clone()
        }
    };
    (unread.keep(found, before), trouble.0)
}

/// Some of the addresses in EndpointSlices, from all over them.
fn sample(slices: &[EndpointSlice]) -> Vec<IpAddr> {
    let endpoints = slices
        .iter()
        .flat_map(|slice| slice.endpoints.iter().flatten());
    let addresses = endpoints.filter_map(|endpoint| endpoint.addresses.first()?.parse().ok());
    let all: BTreeSet<IpAddr> = addresses.collect();
    let step = all.len().div_ceil(NODES).max(1);
    all.into_iter().step_by(step).collect()
}

/// What could not be read.
struct Unread {
    service: bool,
    core: bool,
    node: bool,
}

impl Unread {
    /// What was known before, where nothing is known now.
    fn keep(&self, found: Facts, before: &Facts) -> Facts {
        let mut kept = found;
        if before.zone.is_empty() {
            return kept;
        }
        if self.service {
            kept.service = before.service;
        }
        if self.core {
            kept.zone.clone_from(&before.zone);
            (kept.ttl, kept.core_stale) = (before.ttl, before.core_stale);
        }
        if self.node {
            kept.node_stale = before.node_stale;
        }
        kept
    }
}

/// What could not be read, in sentences.
#[derive(Default)]
struct Trouble(String);

impl Trouble {
    fn add(&mut self, what: &str) {
        if !self.0.is_empty() {
            self.0.push_str("; ");
        }
        self.0.push_str(what);
    }

    fn take<T>(&mut self, what: &str, read: Result<Option<T>, kube::Error>) -> Option<T> {
        read.unwrap_or_else(|error| {
            self.add(&format!("{what}: {}", chain(&error)));
            None
        })
    }

    fn blocks(
        &mut self,
        name: &str,
        read: Result<Option<ConfigMap>, kube::Error>,
    ) -> Vec<ServerBlock> {
        let map = self.take(&format!("ConfigMap {name}"), read);
        let text = map.and_then(|map| map.data?.remove(COREFILE));
        let blocks = text.map_or(Ok(Vec::new()), |text| corefile::parse(&text));
        blocks.unwrap_or_else(|error| {
            self.add(&format!("the Corefile in ConfigMap {name}: {error}"));
            Vec::new()
        })
    }
}

fn gather(
    core: &[ServerBlock],
    node: &[ServerBlock],
    service: Option<&Service>,
    given: resolv_conf::ResolvConf,
) -> Facts {
    let kubernetes = core.iter().find_map(|block| block.kubernetes.as_ref());
    let mut named = kubernetes.iter().flat_map(|one| &one.zones);
    let is_reverse = |zone: &str| zone.rsplit('.').next() == Some("arpa");
    let forward = named.find(|zone| !zone.is_empty() && !is_reverse(zone));
    let is_of_cluster = given.zone.is_some();
    let zone = forward.cloned().or(given.zone);
    let zone = zone.unwrap_or_else(|| ZONE.to_owned());
    let stale = |blocks: &[ServerBlock], zone: &str| {
        Some(corefile::answering(blocks, zone)?.serve_stale(zone))
    };
    let ip = service.and_then(|service| {
        let ip = service.spec.as_ref()?.cluster_ip.as_ref()?;
        ip.parse::<IpAddr>().ok()
    });
    Facts {
        ttl: kubernetes.map(|kubernetes| kubernetes.ttl),
        core_stale: stale(core, &zone),
        node_stale: stale(node, &zone),
        service: ip.map(|ip| SocketAddr::new(ip, PORT)),
        // Without a list of the cluster's zone they are those of the machine, and know no name of the cluster.
        given: if is_of_cluster {
            given.servers
        } else {
            Vec::new()
        },
        nodes: Vec::new(),
        zone,
    }
}

#[cfg(test)]
mod tests;
