//! A real control plane in namespaces of its own: etcd, API servers, controllers, scheduler, nodes.
//!
//! ```text
//!  core 0                      the other cores
//!  kube-apiserver-1  ◀──────── etcd, kube-controller-manager, kube-scheduler, kwok (the kubelets),
//!  kube-apiserver-2 …          and the program that started the world: its clients and swarms
//! ```
//! The API servers have a core to themselves, so that what a client waits for is the server and not
//! the other clients. [`enter`] (or [`inside!`](crate::inside) in tests) comes first; whatever
//! happens after, nothing is left behind.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Client, Config};

mod accounts;
mod audit;
mod background;
mod churn;
mod components;
mod enter;
mod faults;
mod guidance;
mod kubeconfig;
mod nodes;
mod pki;
mod process;
mod weir;

pub use audit::AuditedRequest;
pub use churn::Churn;
pub use enter::{enter, run_test};
pub use process::Program;
pub use weir::{Ceiling, WeirProcess};

use crate::tools;

use components::{Files, server_address};
use pki::Pki;

/// Where each API server listens, on its own address.
const PORT: u16 = 6443;

/// Every address of 172.31.255.0/24 but the network's and the broadcast address.
const MOST_API_SERVERS: u8 = 254;

/// An API server alone takes three seconds on a core; six of them share it.
const START_LIMIT: Duration = Duration::from_mins(2);

/// How the API servers keep the endpoints of the service `kubernetes`.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum EndpointReconciler {
    /// Each server keeps a lease in etcd and the addresses of those that do are listed: the default
    /// of Kubernetes.
    Lease,
    /// Nobody keeps them, as where a provider does it: the test writes them itself.
    None,
}

impl EndpointReconciler {
    fn flag(self) -> &'static str {
        match self {
            Self::Lease => "lease",
            Self::None => "none",
        }
    }
}

/// What a world consists of.
#[derive(Clone, Debug)]
pub struct WorldSpec {
    /// Ready nodes.
    pub nodes: u32,
    /// Running pods that have nothing to do with Weir, spread over Deployments with Services.
    pub pods: u32,
    /// Of these pods, how many are deleted (and replaced) in each second.
    pub churn_per_second: f64,
    /// API servers, each with an address of its own; they share one core.
    pub api_servers: u8,
    /// How the endpoints of the service `kubernetes` come about.
    pub endpoints: EndpointReconciler,
    /// Whether requests of Weir's ServiceAccount are recorded (audit log, metadata only).
    pub audit: bool,
    /// Go's soft memory limit of each API server, in MiB; none unless stated.
    pub api_server_memory_mib: Option<u32>,
    /// Requests per second, and burst, of each controller and of the scheduler.
    ///
    /// Kubernetes' default of 20 lets a DaemonSet reach 1,000 nodes in 50 s. Large clusters raise it
    /// (Kubernetes' own scale tests use 100 and more), and it is there that a creation burst
    /// hurts: batches of 250 as fast as the API server takes them are the case to survive.
    pub controller_qps: u32,
}

impl WorldSpec {
    /// A control plane with one API server and nothing in it.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            nodes: 0,
            pods: 0,
            churn_per_second: 0.0,
            api_servers: 1,
            endpoints: EndpointReconciler::Lease,
            audit: false,
            api_server_memory_mib: None,
            controller_qps: 500,
        }
    }

    fn check(&self) -> Result<()> {
        ensure!(
            (1..=MOST_API_SERVERS).contains(&self.api_servers),
            "a world has 1 to {MOST_API_SERVERS} API servers, not {}",
            self.api_servers
        );
        ensure!(
            self.nodes <= nodes::MOST,
            "a world has at most {} nodes",
            nodes::MOST
        );
        ensure!(
            (0.0..=churn::MOST_PER_SECOND).contains(&self.churn_per_second),
            "churn is 0 to {} pods per second, not {}",
            churn::MOST_PER_SECOND,
            self.churn_per_second
        );
        ensure!(
            self.controller_qps > 0,
            "controllers need at least 1 request per second"
        );
        Ok(())
    }
}

/// A running control plane. Dropping it kills its programs and removes its files.
pub struct World {
    files: Files,
    client: Client,
    /// First, so that it is dropped before what it works on.
    churn: Option<Churn>,
    api_servers: Vec<Program>,
    controller_manager: Program,
    scheduler: Program,
    kwok: Program,
    /// Last, so that it is dropped after its clients.
    etcd: Program,
}

impl World {
    /// Starts the control plane, its nodes until all are Ready, and its pods until all run.
    ///
    /// # Errors
    /// Not inside namespaces, a spec out of bounds, or a program that ends or is not ready in time
    /// (with the end of its log).
    pub async fn start(spec: &WorldSpec) -> Result<Self> {
        spec.check()?;
        let inside = enter::inside()?;
        let files = Files {
            directory: new_directory(&inside.directory)?,
        };
        lay_out(&files, spec)?;
        let logs = files.directory.clone();
        let etcd = Program::start(files.etcd()?, &logs)?;
        let api_servers = (0..spec.api_servers)
            .map(|index| Program::start(files.api_server(index, spec, inside.server_core)?, &logs))
            .collect::<Result<Vec<_>>>()?;
        let client = client_of(&files.directory.join("admin.kubeconfig")).await?;
        for (index, server) in api_servers.iter().enumerate() {
            ready(&files, index, &[&etcd, server]).await?;
        }
        let controller_manager = Program::start(files.controller_manager(spec)?, &logs)?;
        let scheduler = Program::start(files.scheduler(spec)?, &logs)?;
        let kwok = Program::start(files.kwok()?, &logs)?;
        let mut world = Self {
            churn: None,
            files,
            client,
            api_servers,
            controller_manager,
            scheduler,
            kwok,
            etcd,
        };
        world.add_nodes(spec.nodes).await?;
        world.populate(spec.pods).await?;
        if spec.churn_per_second > 0.0 {
            world.churn = Some(Churn::start(world.client(), spec.churn_per_second));
        }
        Ok(world)
    }

    /// A client with all rights, which no priority level limits.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// The same by way of API server `index` (from 0).
    ///
    /// # Errors
    /// There is no such server.
    pub async fn client_at(&self, index: usize) -> Result<Client> {
        admin_of(&self.files, index).await
    }

    /// The administrator's kubeconfig; it works inside only.
    #[must_use]
    pub fn kubeconfig(&self) -> PathBuf {
        self.files.directory.join("admin.kubeconfig")
    }

    /// The world's own directory, on its tmpfs: logs, keys, and room for a test's files.
    #[must_use]
    pub fn directory(&self) -> &Path {
        &self.files.directory
    }

    /// The API servers. Controllers, scheduler and kubelets talk to the first: pause the others to
    /// see what one hung server does, the first to see what none at all does.
    #[must_use]
    pub fn api_servers(&self) -> &[Program] {
        &self.api_servers
    }

    /// The controllers.
    #[must_use]
    pub fn controller_manager(&self) -> &Program {
        &self.controller_manager
    }

    /// The scheduler.
    #[must_use]
    pub fn scheduler(&self) -> &Program {
        &self.scheduler
    }

    /// The kubelets of all nodes.
    #[must_use]
    pub fn kwok(&self) -> &Program {
        &self.kwok
    }

    /// The store.
    #[must_use]
    pub fn etcd(&self) -> &Program {
        &self.etcd
    }

    /// Waits until API server `index` (from 0) answers that it is ready, after a restart.
    pub async fn api_server_ready(&self, index: usize) -> Result<()> {
        let server = self.api_servers.get(index).context("no such API server")?;
        ready(&self.files, index, &[&self.etcd, server]).await
    }

    /// The pods that go and come, unless the spec says none.
    #[must_use]
    pub fn churn(&self) -> Option<&Churn> {
        self.churn.as_ref()
    }

    /// Runs kubectl as the administrator and returns what it printed.
    ///
    /// # Errors
    /// It failed; the message has what it said.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        let kubectl = tools::program(tools::Tool::Kubernetes, "kubectl")?;
        let output = tokio::process::Command::new(kubectl)
            .args(arguments)
            .env("KUBECONFIG", self.kubeconfig())
            .env("HOME", &self.files.directory)
            .output()
            .await
            .context("starting kubectl")?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(
            output.status.success(),
            "kubectl {}: {said}",
            arguments.join(" ")
        );
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// An error, with the end of its log, if any of the programs has ended.
    pub fn check(&self) -> Result<()> {
        self.programs().try_for_each(Program::check)
    }

    /// All programs, clients before what they are clients of.
    fn programs(&self) -> impl Iterator<Item = &Program> {
        let clients = [&self.kwok, &self.scheduler, &self.controller_manager];
        clients
            .into_iter()
            .chain(&self.api_servers)
            .chain([&self.etcd])
    }
}

impl Drop for World {
    fn drop(&mut self) {
        // Programs that still run would write into what is being removed. None of this is needed to
        // leave nothing behind; it frees memory and addresses for the next world.
        for program in self.programs() {
            drop(program.kill());
        }
        drop(std::fs::remove_dir_all(&self.files.directory));
    }
}

/// A directory for one world: several may follow each other in one program.
fn new_directory(parent: &Path) -> Result<PathBuf> {
    for number in 1.. {
        let directory = parent.join(number.to_string());
        match std::fs::create_dir(&directory) {
            Ok(()) => return Ok(directory),
            Err(error) if error.kind() == std::io::ErrorKind::AlreadyExists => {}
            Err(error) => return Err(error).context("creating the world's directory"),
        }
    }
    unreachable!("there is always a next number")
}

/// Addresses, keys, kubeconfigs and configuration, before any program starts.
fn lay_out(files: &Files, spec: &WorldSpec) -> Result<()> {
    let addresses: Vec<_> = (0..spec.api_servers).map(server_address).collect();
    for address in &addresses {
        enter::run(
            "ip",
            &["address", "replace", &format!("{address}/32"), "dev", "lo"],
        )?;
    }
    let pki = Pki::create(&files.directory.join("pki"))?;
    pki.issue_server(&addresses)?;
    kubeconfig::write_all(&files.directory, &pki, &addresses)?;
    std::fs::write(files.path("kwok.yaml"), include_str!("world/kwok.yaml"))?;
    if spec.audit {
        std::fs::write(
            files.path("audit-policy.yaml"),
            include_str!("world/audit-policy.yaml"),
        )?;
    }
    Ok(())
}

/// A client for a kubeconfig file.
async fn client_of(kubeconfig: &Path) -> Result<Client> {
    let config = Kubeconfig::read_from(kubeconfig).context("reading a kubeconfig of the world")?;
    let config = Config::from_custom_kubeconfig(config, &KubeConfigOptions::default()).await?;
    Client::try_from(config).context("making a client of the world")
}

/// The administrator's client for API server `index` (from 0).
async fn admin_of(files: &Files, index: usize) -> Result<Client> {
    client_of(
        &files
            .directory
            .join(format!("admin-{}.kubeconfig", index + 1)),
    )
    .await
}

/// Waits until API server `index` says that it is ready; `programs` must go on running meanwhile.
async fn ready(files: &Files, index: usize, programs: &[&Program]) -> Result<()> {
    let kubeconfig = files
        .directory
        .join(format!("admin-{}.kubeconfig", index + 1));
    let client = client_of(&kubeconfig).await?;
    let started = Instant::now();
    loop {
        programs.iter().try_for_each(|program| program.check())?;
        let request = http::Request::get("/readyz").body(Vec::new())?;
        let Err(error) = client.request_text(request).await else {
            return Ok(());
        };
        if started.elapsed() > START_LIMIT {
            let logs: Vec<_> = programs.iter().map(|program| program.log_end()).collect();
            return Err(error).with_context(|| {
                format!(
                    "not ready after {START_LIMIT:?}; the logs end:\n{}",
                    logs.join("\n")
                )
            });
        }
        tokio::time::sleep(Duration::from_millis(50)).await;
    }
}
