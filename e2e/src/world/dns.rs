//! DNS in a world: CoreDNS replicas that read the API, each over a line of its own that can be cut, a cache
//! before them as on each node, and the Service kube-dns that points to them.
//!
//! ```text
//!  API server ◀── line 1 ── CoreDNS 172.31.254.11   ┐
//!             ◀── line 2 ── CoreDNS 172.31.254.12   ├◀── cache 10.96.0.10, the address of the Service
//! ```
//! The cache stands where NodeLocal `DNSCache` does: it listens at the Service's own address.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::PathBuf;
use std::time::Duration;

use anyhow::{Context, Result};
use serde_json::{Value, json};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::World;
use super::enter::run;
use super::kubeconfig;
use super::process::{Launch, Program};
use super::wait::reach;
use crate::line::{Line, State};
use crate::tools::{Tool, program};

/// The namespace of all of it.
const NAMESPACE: &str = "kube-system";
/// The account of CoreDNS.
const ACCOUNT: &str = "coredns";
/// The name that API servers' certificates carry.
const SERVER_NAME: &str = "kubernetes.default.svc";
/// The port of CoreDNS's plugin `ready`.
const READY: u16 = 8181;
/// The address of the Service kube-dns.
pub const SERVICE: Ipv4Addr = Ipv4Addr::new(10, 96, 0, 10);

/// How a world's DNS is made.
#[derive(Clone, Copy, Debug)]
pub struct DnsSpec<'a> {
    /// CoreDNS replicas.
    pub replicas: u8,
    /// What follows the plugin `kubernetes` in their Corefile: `cache 30` as older kubeadms have it.
    pub cache: &'a str,
    /// The options of the cache at the Service's address, one a line: NodeLocal's, or with `serve_stale`.
    pub front: &'a str,
}

impl Default for DnsSpec<'_> {
    /// Two replicas as kubeadm has them, and a cache as NodeLocal's.
    fn default() -> Self {
        Self {
            replicas: 2,
            cache: "cache 30 {\n disable success cluster.local\n disable denial cluster.local\n}",
            front: "success 9984 30\ndenial 9984 5",
        }
    }
}

/// One CoreDNS.
#[derive(Debug)]
pub struct Replica {
    /// The program.
    pub program: Program,
    /// Where it is asked.
    pub address: Ipv4Addr,
    line: Line,
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
}

/// DNS in a world.
#[derive(Debug)]
pub struct NameService {
    /// Each CoreDNS.
    pub replicas: Vec<Replica>,
    /// The cache at the Service's address.
    pub cache: Program,
}

impl World {
    /// Starts CoreDNS and a cache, and waits until all of them answer.
    ///
    /// # Errors
    /// A program cannot be built or started, or does not answer in time.
    pub async fn start_dns(&self, spec: &DnsSpec<'_>) -> Result<NameService> {
        self.apply(&objects(spec)).await?;
        let mut replicas = Vec::new();
        for index in 0..spec.replicas {
            replicas.push(self.replica(index, spec).await?);
        }
        let cache = self.cache(spec)?;
        let dns = NameService { replicas, cache };
        dns.answering().await?;
        Ok(dns)
    }

    async fn replica(&self, index: u8, spec: &DnsSpec<'_>) -> Result<Replica> {
        let name = format!("coredns-{}", index + 1);
        let address = replica_address(index);
        let near = Ipv4Addr::new(172, 31, 253, index + 11);
        for own in [address, near] {
            add_address(own)?;
        }
        let server = *self.addresses().first().context("there is no API server")?;
        let line = Line::lay(SocketAddr::from((near, server.port())), server).await?;
        let config = self.coredns_kubeconfig(&name, near).await?;
        let corefile = format!(
            ".:53 {{\n bind {address}\n errors\n health {address}:8080\n ready {address}:{READY}\n\
             kubernetes cluster.local in-addr.arpa ip6.arpa {{\n kubeconfig {} world\n pods insecure\n\
             fallthrough in-addr.arpa ip6.arpa\n ttl 30\n}}\n prometheus {address}:9153\n{}\n loadbalance\n}}\n",
            config.display(),
            spec.cache
        );
        let program = self.coredns(&name, &corefile)?;
        Ok(Replica {
            program,
            address,
            line,
        })
    }

    fn cache(&self, spec: &DnsSpec<'_>) -> Result<Program> {
        add_address(SERVICE)?;
        let upstreams = (0..spec.replicas).map(replica_address);
        let upstreams: Vec<String> = upstreams.map(|address| address.to_string()).collect();
        let corefile = format!(
            "cluster.local:53 {{\n bind {SERVICE}\n errors\n cache {{\n{}\n}}\n forward . {} {{\n force_tcp\n}}\n\
             prometheus {SERVICE}:9253\n}}\n",
            spec.front,
            upstreams.join(" ")
        );
        self.coredns("node-cache", &corefile)
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
}

impl NameService {
    /// Waits until each replica says that it has read the API.
    async fn answering(&self) -> Result<()> {
        reach(
            self.replicas.len(),
            "CoreDNS replicas are ready",
            async || {
                self.cache.check()?;
                let mut ready = 0;
                for replica in &self.replicas {
                    replica.program.check()?;
                    ready += usize::from(is_ready(replica.address).await);
                }
                Ok(ready)
            },
        )
        .await
    }
}

/// Whether a replica's plugin `ready` says that it is.
async fn is_ready(address: Ipv4Addr) -> bool {
    let asked = async {
        let mut stream = TcpStream::connect((address, READY)).await?;
        stream.write_all(b"GET /ready HTTP/1.0\r\n\r\n").await?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).await?;
        std::io::Result::Ok(answer.contains(" 200 "))
    };
    matches!(
        tokio::time::timeout(Duration::from_secs(1), asked).await,
        Ok(Ok(true))
    )
}

fn replica_address(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 254, index + 11)
}

fn add_address(address: Ipv4Addr) -> Result<()> {
    run(
        "ip",
        &["address", "replace", &format!("{address}/32"), "dev", "lo"],
    )
}

/// The account and its rights as kubeadm's manifests have them, the Service, and the EndpointSlice that its
/// controller would make of the replicas' pods.
fn objects(spec: &DnsSpec<'_>) -> String {
    let endpoint = |index| {
        let (address, number) = (replica_address(index), index + 1);
        format!(
            "\n- addresses: [{address}]\n  conditions: {{ ready: true }}\n  \
             targetRef: {{ kind: Pod, namespace: {NAMESPACE}, name: coredns-{number} }}"
        )
    };
    let endpoints: String = (0..spec.replicas).map(endpoint).collect();
    format!("{FIXED}{endpoints}\n")
}

const FIXED: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: { name: coredns, namespace: kube-system }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRole
metadata: { name: system:coredns }
rules:
- { apiGroups: [''], resources: [endpoints, services, pods, namespaces], verbs: [list, watch] }
- { apiGroups: [discovery.k8s.io], resources: [endpointslices], verbs: [list, watch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: system:coredns }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: system:coredns }
subjects:
- { kind: ServiceAccount, name: coredns, namespace: kube-system }
---
apiVersion: v1
kind: Service
metadata: { name: kube-dns, namespace: kube-system }
spec:
  clusterIP: 10.96.0.10
  ports:
  - { name: dns, port: 53, protocol: UDP }
  - { name: dns-tcp, port: 53, protocol: TCP }
---
apiVersion: discovery.k8s.io/v1
kind: EndpointSlice
metadata:
  name: kube-dns-world
  namespace: kube-system
  labels: { kubernetes.io/service-name: kube-dns }
addressType: IPv4
ports:
- { name: dns, port: 53, protocol: UDP }
- { name: dns-tcp, port: 53, protocol: TCP }
endpoints:";
