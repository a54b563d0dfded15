//! A real control plane in namespaces of its own: etcd, API servers, controllers, scheduler, nodes.
//!
//! ```text
//!  core 0                      the other cores
//!  kube-apiserver-1  ◀──────── etcd, kube-controller-manager, kube-scheduler, kwok (the kubelets),
//!  kube-apiserver-2 …          and the program that started the world: its clients and swarms
//! ```
//! The API servers have a core to themselves, so that what a client waits for is the server and not
//! the other clients. [`enter()`] (or [`inside!`](crate::inside) in tests) comes first; whatever
//! happens after, nothing is left behind.

use std::net::SocketAddr;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};
use kube::Client;

mod accounts;
pub mod approvals;
mod audit;
mod background;
mod churn;
mod components;
pub mod dns;
mod enrolled;
mod enter;
mod faults;
mod guidance;
mod in_test;
mod kubeconfig;
mod namespaces;
pub(crate) mod nodes;
mod pki;
mod plugin;
mod process;
mod spec;
mod start;
mod stock;
mod wait;
mod weir;

pub use audit::{Asked, AuditedRequest, audited};
pub use churn::Churn;
pub use dns::{DnsSpec, NameService};
pub use enrolled::Enrolled;
pub use enter::{enter, is_inside};
pub use in_test::{Beside, run_test};
pub use namespaces::entrance;
pub use plugin::{Plugin, Said};
pub use process::Program;
pub use spec::{EndpointReconciler, WorldSpec};
pub use weir::{Ceiling, WeirProcess, weir_binary};

use crate::kubectl::Kubectl;

use components::Files;
use start::{admin_of, ready};

/// Where each API server listens, on its own address.
const PORT: u16 = 6443;

/// A running control plane. Dropping it kills its programs and removes its files.
pub struct World {
    files: Files,
    client: Client,
    churn: Option<Churn>,
    api_servers: Vec<Program>,
    controller_manager: Program,
    scheduler: Program,
    kwok: Program,
    etcd: Program,
}

impl World {
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

    /// Where each API server listens, in their order.
    #[must_use]
    pub fn addresses(&self) -> Vec<SocketAddr> {
        (0..=u8::MAX)
            .zip(&self.api_servers)
            .map(|(index, _)| SocketAddr::from((components::server_address(index), PORT)))
            .collect()
    }

    /// The authority that has signed the API servers' certificates, as PEM.
    pub fn authority(&self) -> Result<Vec<u8>> {
        std::fs::read(self.directory().join("pki/ca.crt")).context("reading the world's authority")
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
        self.commands().run(arguments).await
    }

    /// kubectl as the administrator.
    #[must_use]
    pub fn commands(&self) -> Kubectl {
        Kubectl::new(self.kubeconfig(), self.files.directory.clone())
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
