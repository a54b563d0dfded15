//! How a world comes about: files first, then the store, the API servers, and who works on them.

use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result};
use k8s_openapi::api::core::v1::ConfigMap;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use super::churn::Churn;
use super::components::{Files, server_address};
use super::pki::Pki;
use super::process::Program;
use super::{EndpointReconciler, World, WorldSpec, enter, kubeconfig, stock, wait};

/// An API server alone takes two seconds on a core; several share it.
const START_LIMIT: Duration = Duration::from_mins(2);

impl World {
    /// Starts the control plane, its nodes until all are Ready, and its pods until all run.
    ///
    /// # Errors
    /// Not inside namespaces, a spec out of bounds, or a program that ends or is not ready in time
    /// (with the end of its log).
    pub async fn start(spec: &WorldSpec) -> Result<Self> {
        spec.check()?;
        let files = Files {
            directory: new_directory(&enter::inside()?.directory)?,
        };
        lay_out(&files, spec)?;
        let stock = stock::place(spec)?;
        let stocked = spec.reuse && stock.is_dir();
        if stocked {
            stock::restore(&stock, &files.directory)?;
        }
        let logs = files.directory.clone();
        let etcd = Program::start(files.etcd()?, &logs)?;
        let api_servers = start_api_servers(spec, &files, &etcd).await?;
        let client = admin_of(&files, 0).await?;
        if stocked {
            stock::forget_leases(client.clone()).await?;
        }
        let mut world = Self {
            client,
            controller_manager: Program::start(files.controller_manager(spec)?, &logs)?,
            scheduler: Program::start(files.scheduler(spec)?, &logs)?,
            kwok: Program::start(files.kwok()?, &logs)?,
            churn: None,
            files,
            api_servers,
            etcd,
        };
        if !stocked {
            world.add_first_nodes(spec.nodes).await?;
            world.populate(spec.pods).await?;
        }
        world.settled(spec).await?;
        if spec.reuse && !stocked {
            stock::keep(&world.files.directory, &world.etcd, &stock)?;
        }
        if spec.churn_per_second > 0.0 {
            world.churn = Some(Churn::start(world.client(), spec.churn_per_second));
        }
        Ok(world)
    }

    /// Waits until all that the spec asks for is there.
    async fn settled(&self, spec: &WorldSpec) -> Result<()> {
        self.controllers_work().await?;
        self.nodes_ready(spec.nodes as usize).await?;
        self.background_running(spec.pods).await?;
        match spec.endpoints {
            EndpointReconciler::Lease => self.all_listed().await,
            EndpointReconciler::None => Ok(()),
        }
    }

    /// Waits until the service `kubernetes` lists each API server: one that started before another
    /// learns of it when it next looks, every ten seconds.
    async fn all_listed(&self) -> Result<()> {
        let slices: Api<EndpointSlice> = Api::namespaced(self.client(), "default");
        wait::reach(
            self.api_servers.len(),
            "API servers are listed",
            async || {
                self.check()?;
                let slice = slices.get_opt("kubernetes").await?;
                Ok(slice
                    .and_then(|slice| slice.endpoints)
                    .map_or(0, |all| all.len()))
            },
        )
        .await
    }

    /// Waits until the controllers have begun: they give each namespace the world's authority, and in
    /// a store of an earlier world they find another's.
    async fn controllers_work(&self) -> Result<()> {
        let authority = self.authority()?;
        let maps: Api<ConfigMap> = Api::namespaced(self.client(), "default");
        wait::reach(1, "controller-managers work", async || {
            self.check()?;
            let map = maps
                .get_opt("kube-root-ca.crt")
                .await?
                .and_then(|map| map.data);
            let published = map.and_then(|mut data| data.remove("ca.crt"));
            Ok(usize::from(
                published.is_some_and(|pem| pem.as_bytes() == authority),
            ))
        })
        .await
    }
}

/// Starts the API servers and waits until each is ready.
async fn start_api_servers(
    spec: &WorldSpec,
    files: &Files,
    etcd: &Program,
) -> Result<Vec<Program>> {
    let core = enter::inside()?.server_core;
    let mut api_servers = Vec::new();
    for index in 0..spec.api_servers {
        let launch = files.api_server(index, spec, core)?;
        api_servers.push(Program::start(launch, &files.directory)?);
        // Two that start at once overlook each other in the service `kubernetes`.
        if index == 0 {
            ready(files, 0, &[etcd, &api_servers[0]]).await?;
        }
    }
    for (index, server) in api_servers.iter().enumerate().skip(1) {
        ready(files, index, &[etcd, server]).await?;
    }
    Ok(api_servers)
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
    std::fs::write(files.path("kwok.yaml"), include_str!("kwok.yaml"))?;
    if spec.audit {
        std::fs::write(
            files.path("audit-policy.yaml"),
            include_str!("audit-policy.yaml"),
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
pub(super) async fn admin_of(files: &Files, index: usize) -> Result<Client> {
    client_of(
        &files
            .directory
            .join(format!("admin-{}.kubeconfig", index + 1)),
    )
    .await
}

/// Waits until API server `index` says that it is ready; `programs` must go on running meanwhile.
pub(super) async fn ready(files: &Files, index: usize, programs: &[&Program]) -> Result<()> {
    let client = admin_of(files, index).await?;
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
