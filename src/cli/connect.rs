//! Which cluster, and as whom: kubectl's flags and files.

use std::path::PathBuf;

use clap::Args;
use kube::{
    Config,
    config::{KubeConfigOptions, Kubeconfig},
};

use super::error::CliError;
use crate::{
    client::{Budget, Clients},
    clock::Clock,
};

/// The flags by which kubectl chooses a cluster and a namespace.
#[derive(Debug, Clone, Args)]
pub(super) struct ClusterArgs {
    /// Rollouts of this namespace only; where one is named, the context's namespace is the default
    #[arg(short, long, global = true)]
    namespace: Option<String>,
    /// Rollouts of all namespaces, which is the default
    #[arg(short = 'A', long, global = true, conflicts_with = "namespace")]
    all_namespaces: bool,
    /// The kubeconfig's context to use
    #[arg(long, global = true)]
    context: Option<String>,
    /// The kubeconfig to use
    #[arg(long, global = true)]
    kubeconfig: Option<PathBuf>,
}

/// A way to a cluster.
pub(super) struct Connection {
    /// Its client, with Weir's budget and time limits.
    pub(super) client: kube::Client,
    /// Its address, for messages.
    pub(super) server: String,
    /// The namespace of one rollout that is named.
    pub(super) namespace: String,
    /// Reads the time.
    pub(super) clock: Clock,
}

impl ClusterArgs {
    /// The one namespace that was asked for.
    pub(super) fn namespace(&self) -> Option<&str> {
        self.namespace.as_deref()
    }

    /// Sets up a connection; nothing is sent yet.
    pub(super) async fn connect(&self) -> Result<Connection, CliError> {
        let kubeconfig = match &self.kubeconfig {
            Some(path) => Kubeconfig::read_from(path),
            None => Kubeconfig::read(),
        };
        let options = KubeConfigOptions {
            context: self.context.clone(),
            cluster: None,
            user: None,
        };
        let config =
            Config::from_custom_kubeconfig(kubeconfig.map_err(CliError::Kubeconfig)?, &options)
                .await
                .map_err(CliError::Kubeconfig)?;
        let server = config.cluster_url.to_string();
        let namespace = self.namespace.clone();
        let namespace = namespace.unwrap_or_else(|| config.default_namespace.clone());
        let clock = Clock::start();
        let clients = Clients::new(config, clock, Budget::standard()).map_err(CliError::Client)?;
        Ok(Connection {
            client: clients.api(),
            server,
            namespace,
            clock,
        })
    }

    /// The same for a command about one rollout, which is in one namespace.
    pub(super) async fn connect_to_one(&self) -> Result<Connection, CliError> {
        if self.all_namespaces {
            return Err(CliError::AllNamespaces);
        }
        self.connect().await
    }
}

impl Connection {
    /// Nothing was answered, for this reason.
    pub(super) fn unreachable(&self, source: kube::Error) -> CliError {
        let server = self.server.clone();
        match &source {
            kube::Error::Api(status) if status.code == 401 => CliError::Unauthorized { server },
            kube::Error::Api(status) if status.code == 403 => CliError::Forbidden {
                why: status.message.clone(),
            },
            _ => CliError::Unreachable { server, source },
        }
    }
}
