//! Weir itself in a world: installed from the repository's manifests, run as a process under its
//! own `ServiceAccount`, so that its RBAC is what is tested.

use std::ffi::OsStr;
use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::atomic::{AtomicU16, Ordering};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;

use super::process::{Launch, Program};
use super::{World, is_inside};

/// Weir's namespace and `ServiceAccount`, as its manifests name them.
pub(super) const NAMESPACE: &str = "weir-system";
pub(super) const ACCOUNT: &str = "weir";

/// The first Weir of a world serves here, the next one port on.
static NEXT_PORT: AtomicU16 = AtomicU16::new(8080);

/// Time to open its port: before that it has only read its flags.
const LISTEN_LIMIT: Duration = Duration::from_secs(30);

/// How far Weir may go in the whole cluster; the same words as its `--mode`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
pub enum Ceiling {
    /// Weir only reads.
    Observe,
    /// Weir judges, and holds nothing.
    Shadow,
    /// Weir holds what is enrolled to be held.
    Enforce,
}

impl Ceiling {
    fn flag(self) -> &'static str {
        match self {
            Self::Observe => "observe",
            Self::Shadow => "shadow",
            Self::Enforce => "enforce",
        }
    }
}

/// A running Weir. It is killed when this is dropped.
#[derive(Debug)]
pub struct WeirProcess {
    /// Its process: kill, stop, restart, pause, memory, log.
    pub program: Program,
    /// Where it serves health and metrics.
    pub listen: SocketAddr,
}

impl WeirProcess {
    /// Waits until it accepts connections on [`WeirProcess::listen`].
    ///
    /// # Errors
    /// It has ended (with the end of its log), or it takes too long.
    pub async fn listening(&self) -> Result<()> {
        let started = Instant::now();
        while TcpStream::connect(self.listen).await.is_err() {
            self.program.check()?;
            ensure!(
                started.elapsed() < LISTEN_LIMIT,
                "Weir does not listen on {}; the end of its log:\n{}",
                self.listen,
                self.program.log_end()
            );
            tokio::time::sleep(Duration::from_millis(20)).await;
        }
        Ok(())
    }

    /// Waits until it says that it is ready: that it has read whatever it watches.
    ///
    /// # Errors
    /// It has ended, or it takes longer than `limit`; with the end of its log.
    pub async fn ready(&self, limit: Duration) -> Result<()> {
        let started = Instant::now();
        loop {
            let answer = self.get("/readyz").await.unwrap_or_default();
            if answer.starts_with("HTTP/1.1 200") {
                return Ok(());
            }
            self.program.check()?;
            ensure!(
                started.elapsed() < limit,
                "Weir is not ready after {limit:?} (it says: {answer}); the end of its log:\n{}",
                self.program.log_end()
            );
            tokio::time::sleep(Duration::from_millis(10)).await;
        }
    }

    /// Asks its own port for a page; the answer with its head.
    ///
    /// # Errors
    /// No whole answer within five seconds.
    pub async fn get(&self, path: &str) -> Result<String> {
        let exchange = async {
            let mut stream = TcpStream::connect(self.listen).await?;
            let request = format!("GET {path} HTTP/1.1\r\nHost: weir\r\nConnection: close\r\n\r\n");
            stream.write_all(request.as_bytes()).await?;
            let mut answer = String::new();
            stream.read_to_string(&mut answer).await?;
            anyhow::Ok(answer)
        };
        tokio::time::timeout(Duration::from_secs(5), exchange).await?
    }

    /// Bytes that it has received so far, by its own metrics; none while it does not say.
    pub async fn received_bytes(&self) -> Option<u64> {
        let page = self.get("/metrics").await.ok()?;
        let values = page
            .lines()
            .filter(|line| line.starts_with("weir_client_received_bytes_total"))
            .filter_map(|line| line.rsplit(' ').next()?.parse::<u64>().ok());
        values.reduce(|sum, value| sum + value)
    }
}

impl World {
    /// Applies `crds/` and `deploy/` of the repository: whatever a person would apply but for the
    /// Deployment, whose place [`World::start_weir`] takes. The bindings that make the valve gate
    /// (`deploy/enforce/`) only with [`Ceiling::Enforce`].
    ///
    /// # Errors
    /// The API server refuses one of the objects.
    pub async fn install_weir(&self, ceiling: Ceiling) -> Result<()> {
        self.apply(&manifests(&["crds"])?).await?;
        self.kubectl(&[
            "wait",
            "--for=condition=Established",
            "--timeout=30s",
            "crd",
            "--all",
        ])
        .await?;
        let directories: &[&str] = match ceiling {
            Ceiling::Observe | Ceiling::Shadow => &["deploy"],
            Ceiling::Enforce => &["deploy", "deploy/enforce"],
        };
        self.apply(&manifests(directories)?).await
    }

    /// Applies what Weir needs to measure DNS: its beacon, and its rights there.
    ///
    /// # Errors
    /// The API server refuses one of the objects.
    pub async fn install_beacon(&self) -> Result<()> {
        self.apply(&manifests(&["deploy/dns"])?).await
    }

    /// Applies manifests, server-side, in their order.
    ///
    /// # Errors
    /// The API server refuses one of them; the message says which.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        self.commands().apply(manifests).await
    }

    /// Starts Weir under its `ServiceAccount`, with `--mode`, `--listen` and the given flags.
    ///
    /// `WEIR_BIN` names the program; without it the workspace's own is built, in the profile of the
    /// program that calls this.
    ///
    /// # Errors
    /// Weir is not installed ([`World::install_weir`]), or cannot be built or started.
    pub async fn start_weir(&self, ceiling: Ceiling, flags: &[&str]) -> Result<WeirProcess> {
        let binary = tokio::task::spawn_blocking(weir_binary).await??;
        let kubeconfig = self.account_kubeconfig(NAMESPACE, ACCOUNT).await?;
        let port = NEXT_PORT.fetch_add(1, Ordering::Relaxed);
        let listen = SocketAddr::from((Ipv4Addr::LOCALHOST, port));
        let name = format!("weir-{port}");
        let mut words = vec![binary.to_string_lossy().into_owned()];
        words.extend([
            format!("--mode={}", ceiling.flag()),
            format!("--listen={listen}"),
        ]);
        words.extend(flags.iter().map(|&flag| flag.to_owned()));
        let environment = vec![
            (
                "KUBECONFIG".into(),
                kubeconfig.to_string_lossy().into_owned(),
            ),
            ("POD_NAME".into(), name.clone()),
        ];
        let program = Program::start(
            Launch {
                name,
                words,
                environment,
            },
            self.directory(),
        )?;
        let weir = WeirProcess { program, listen };
        weir.listening().await?;
        Ok(weir)
    }
}

/// All documents in the YAML files of some directories of the repository, in the order of their
/// names, but for Deployments.
fn manifests(directories: &[&str]) -> Result<String> {
    let mut documents = Vec::new();
    for directory in directories {
        let directory = repository().join(directory);
        let mut files = fs::read_dir(&directory)
            .with_context(|| format!("reading {}", directory.display()))?
            .map(|entry| Ok(entry?.path()))
            .collect::<Result<Vec<_>>>()?;
        files.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml")
        });
        files.sort();
        for file in files {
            let text = fs::read_to_string(&file)?;
            let kept = text
                .split("\n---")
                .filter(|text| !is_deployment(text))
                .map(str::to_owned);
            documents.extend(kept);
        }
    }
    Ok(documents.join("\n---\n"))
}

fn is_deployment(document: &str) -> bool {
    document.lines().any(|line| line == "kind: Deployment")
}

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

/// The program to run: `WEIR_BIN`, else the workspace's. Cargo is asked each time, since a program
/// left from an earlier state of the source would be tested without anyone noticing. Outside it shows
/// its progress; inside there is one core and other output, and it only says what goes wrong.
///
/// # Errors
/// It cannot be built, or `WEIR_BIN` is no file.
pub fn weir_binary() -> Result<PathBuf> {
    if let Some(given) = std::env::var_os("WEIR_BIN").map(PathBuf::from) {
        ensure!(
            given.is_file(),
            "WEIR_BIN={} is not a file",
            given.display()
        );
        return Ok(given);
    }
    let this = std::env::current_exe()?;
    let beside = this.parent().context("this program is in no directory")?;
    let profile = if beside.ends_with("deps") {
        beside.parent()
    } else {
        Some(beside)
    };
    let profile = profile.context("this program is in no profile's directory")?;
    let target = profile
        .parent()
        .context("the profile's directory is in no target directory")?;
    let name = match profile.file_name().and_then(|name| name.to_str()) {
        Some("debug") => "dev",
        Some(name) => name,
        None => bail!("{} is no profile's directory", profile.display()),
    };
    let cargo = std::env::var_os("CARGO").unwrap_or_else(|| "cargo".into());
    let mut build = Command::new(cargo);
    for (name, _) in std::env::vars_os() {
        if is_of_a_package(&name) {
            build.env_remove(name);
        }
    }
    let status = build
        .args(is_inside().then_some("--quiet"))
        // With this package beside it, so that both are built from the same dependencies, once.
        .args([
            "build",
            "--package=weir",
            "--package=weir-e2e",
            "--bin=weir",
            "--bin=kubectl-weir",
            "--profile",
            name,
            "--target-dir",
        ])
        .arg(target)
        .arg("--manifest-path")
        .arg(repository().join("Cargo.toml"))
        .status()
        .context("starting cargo to build Weir: install it, or name a built program in WEIR_BIN")?;
    ensure!(status.success(), "building Weir failed ({status})");
    Ok(profile.join("weir"))
}

/// Whether `cargo run` sets this variable to say which package it runs. Some build scripts look at
/// these, and would be run anew, with all that depends on them, because a cargo within a cargo sees
/// others.
fn is_of_a_package(name: &OsStr) -> bool {
    let name = name.to_string_lossy();
    ["CARGO_PKG_", "CARGO_MANIFEST_"]
        .iter()
        .any(|of_package| name.starts_with(of_package))
}
