//! A real cluster of real nodes, in which Weir is installed from its image and its chart.
//!
//! ```text
//!  E2E_KUBECONFIG and E2E_LOAD ──▶ somebody's cluster ─────────┐
//!  else ../shared/kindlab ───────▶ one of its own, removed ────┴──▶ Cluster ──▶ Stage, Logs
//! ```
//! A stage stands on it as on a world. It is shared by all that is shown on it, one after the other:
//! [`Cluster::tidy`] undoes what came before, also where that failed. What runs outside of the cluster
//! (kwok, the cluster itself) ends when a `Cluster` is dropped.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::Child;
use std::sync::{Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::core::v1::Node;
use kube::api::ListParams;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};

use crate::kubectl::Kubectl;
use crate::stage::{Ground, Stage};
use crate::tools;
use crate::world::weir_binary;

mod agents;
mod api_server;
mod audit;
mod engine;
mod fake_nodes;
mod helm;
mod leftovers;
mod origin;
mod replicas;
mod run;
mod theirs;
mod tidy;

pub use agents::{NODE_PODS, container};
pub use helm::CONSENT;
pub use leftovers::Leftovers;
pub use replicas::Replica;

use origin::Origin;

/// The namespace that Weir is installed in.
pub const NAMESPACE: &str = "weir-system";

/// The name of Weir's Deployment, account, lease and release.
pub const WEIR: &str = "weir";

/// What an agent costs is seen at three widths, of pods that run somewhere.
const FEWEST_NODES: u32 = 3;

/// What an answer may take: far more than any does.
const ANSWERS_WITHIN: Duration = Duration::from_secs(30);

/// A cluster, and the way to everything in it.
pub struct Cluster {
    origin: Origin,
    kubeconfig: PathBuf,
    /// Files that outlive no cluster: values, charts, what kubectl caches.
    directory: PathBuf,
    client: Client,
    control_planes: Vec<String>,
    kwok: Mutex<Option<Child>>,
    figures: Mutex<Vec<String>>,
}

impl Cluster {
    /// Finds the cluster, or makes one, and puts the images on its nodes.
    ///
    /// # Errors
    /// There is no cluster and nothing to make one with, it seems to be somebody's, the images have not
    /// been built, or something that is needed fails; the message says what to do.
    pub async fn bring_up() -> Result<Self> {
        let images = origin::images()?;
        let directory = tools::cache_directory()?.join("kind");
        std::fs::create_dir_all(&directory)
            .with_context(|| format!("creating {}", directory.display()))?;
        let mut origin = Origin::find()?;
        let kubeconfig = origin.bring_up(&directory).await?;
        let config = config(&kubeconfig).await?;
        let server = config.cluster_url.clone();
        let client = Client::try_from(config)?;
        if origin.is_given() {
            theirs::refuse(&client, &server).await?;
        }
        let mut cluster = Self {
            origin,
            kubeconfig,
            directory,
            client,
            control_planes: Vec::new(),
            kwok: Mutex::new(None),
            figures: Mutex::new(Vec::new()),
        };
        cluster.control_planes = cluster
            .nodes("node-role.kubernetes.io/control-plane")
            .await?;
        ensure!(
            !cluster.control_planes.is_empty(),
            "no node of the cluster says that it is a control plane"
        );
        let nodes = cluster.real_nodes().await?;
        ensure!(
            nodes >= FEWEST_NODES,
            "the cluster has {nodes} nodes; what an agent costs is seen at three widths, so that it wants \
             {FEWEST_NODES} (CONTRIBUTING.md)"
        );
        cluster.origin.load(&images).await?;
        Ok(cluster)
    }

    /// The administrator.
    #[must_use]
    pub fn client(&self) -> Client {
        self.client.clone()
    }

    /// A stage on it.
    #[must_use]
    pub fn stage(&self) -> Stage<'_, Self> {
        Stage {
            world: self,
            admin: self.client(),
        }
    }

    /// Runs kubectl as the administrator and returns what it printed.
    ///
    /// # Errors
    /// It failed; the message has what it said.
    pub async fn kubectl(&self, arguments: &[&str]) -> Result<String> {
        self.commands().run(arguments).await
    }

    /// Applies manifests, server-side, in their order.
    ///
    /// # Errors
    /// The API server refuses one of them.
    pub async fn apply(&self, manifests: &str) -> Result<()> {
        self.commands().apply(manifests).await
    }

    /// Runs the plugin that was built with the operator, as the administrator.
    ///
    /// # Errors
    /// It was not built, or it failed; the message has what it said.
    pub async fn plugin(&self, arguments: &[&str]) -> Result<String> {
        let plugin = weir_binary()?.with_file_name("kubectl-weir");
        ensure!(
            plugin.is_file(),
            "{} does not exist: `make build` builds it",
            plugin.display()
        );
        let variables = [("KUBECONFIG", self.kubeconfig.as_path())];
        run::with(&plugin, arguments, &variables).await
    }

    /// The names of all nodes that have this label.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn nodes(&self, label: &str) -> Result<Vec<String>> {
        let nodes: Api<Node> = Api::all(self.client());
        let nodes = nodes.list(&ListParams::default().labels(label)).await?;
        let names = nodes.into_iter().filter_map(|node| node.metadata.name);
        Ok(names.collect())
    }

    /// How many nodes have a real kubelet.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn real_nodes(&self) -> Result<u32> {
        let real = format!("!{}", fake_nodes::LABEL);
        Ok(u32::try_from(self.nodes(&real).await?.len())?)
    }

    /// Keeps a figure for the record, and says it.
    pub fn tell(&self, figure: String) {
        // That nobody listens must not fail a test.
        writeln!(std::io::stdout().lock(), "  {figure}").ok();
        let mut figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.push(figure);
    }

    /// All figures so far.
    #[must_use]
    pub fn figures(&self) -> Vec<String> {
        let figures = self.figures.lock().unwrap_or_else(PoisonError::into_inner);
        figures.clone()
    }

    /// What a person would look at after a failure.
    pub async fn look(&self) -> String {
        let mut seen = Vec::new();
        for words in [
            "get nodes,pods,daemonsets,deployments,jobs -A -o wide",
            "get guardedrollouts,rolloutpolicies,controlplanes -A -o wide",
            "get events -A --sort-by=.lastTimestamp",
            "logs -n weir-system -l app.kubernetes.io/name=weir --tail=60 --prefix",
        ] {
            let arguments: Vec<_> = words.split(' ').collect();
            let said = self.kubectl(&arguments).await;
            let said = said.unwrap_or_else(|error| format!("{error:#}"));
            seen.push(format!("$ kubectl {words}\n{said}\n"));
        }
        seen.concat()
    }

    /// Runs a command on a node of kind's, which is a container of the node's name.
    async fn on_node(&self, node: &str, words: &[&str]) -> Result<String> {
        let mut arguments = vec!["exec", node];
        arguments.extend_from_slice(words);
        let done = run::run(Path::new("docker"), &arguments).await;
        done.context("nodes are reached as containers of docker, as kind's are")
    }
}

impl Ground for Cluster {
    fn commands(&self) -> Kubectl {
        Kubectl::new(self.kubeconfig.clone(), self.directory.clone())
    }

    fn stands(&self) -> Result<()> {
        self.kwok_runs()
    }
}

impl Drop for Cluster {
    fn drop(&mut self) {
        self.end_kwok();
        if self.origin.stays() {
            self.put_manifests_back();
        }
    }
}

/// How a client reaches the cluster.
async fn config(kubeconfig: &Path) -> Result<Config> {
    let shown = kubeconfig.display();
    let read = Kubeconfig::read_from(kubeconfig).with_context(|| format!("reading {shown}"))?;
    let config = Config::from_custom_kubeconfig(read, &KubeConfigOptions::default()).await;
    let mut config = config.with_context(|| format!("{shown} leads to no cluster"))?;
    // Whoever stops an API server wants to be told so, and at once.
    config.default_retry = false;
    config.read_timeout = Some(ANSWERS_WITHIN);
    Ok(config)
}

/// The repository's root.
fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}
