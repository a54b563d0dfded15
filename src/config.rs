//! The operator's flags and environment, parsed and valid.

use std::{net::SocketAddr, path::PathBuf};

use clap::{Args, ValueEnum};
use weir_core::policy::Mode;

/// How the operator runs. The API server is found as kubectl finds it: `KUBECONFIG`, else the
/// service account of the pod.
#[derive(Debug, Clone, Args)]
pub struct Config {
    /// How far Weir may go in this cluster, whatever a workload's label says
    #[arg(long, env = "WEIR_MODE", value_enum, default_value = "shadow")]
    pub mode: Ceiling,
    /// Where health and metrics are served
    #[arg(long, env = "WEIR_LISTEN", default_value = "0.0.0.0:8080")]
    pub listen: SocketAddr,
    /// The namespace that Weir's Lease lives in: its own
    #[arg(long, env = "WEIR_NAMESPACE", default_value = "weir-system")]
    pub namespace: String,
    /// The Lease that lets one replica write
    #[arg(long, env = "WEIR_LEASE_NAME", default_value = "weir")]
    pub lease_name: String,
    /// The Service of the cluster's DNS, as NAMESPACE/NAME
    #[arg(
        long,
        env = "WEIR_DNS_SERVICE",
        default_value = "kube-system/kube-dns",
        value_parser = namespaced
    )]
    pub dns_service: (String, String),
    /// Whether a beacon is written, and measured by it how old what DNS says is
    #[arg(long, env = "WEIR_DNS_MEASURED")]
    pub dns_measured: bool,
    /// The file that names the DNS servers which this process is given
    #[arg(long, env = "WEIR_RESOLV_CONF", default_value = "/etc/resolv.conf")]
    pub resolv_conf: PathBuf,
    /// This replica's name, for people
    #[arg(long, env = "POD_NAME", default_value = "weir")]
    pub name: String,
}

/// An object's namespace and name.
fn namespaced(text: &str) -> Result<(String, String), String> {
    match text.split_once('/') {
        Some((namespace, name)) if !namespace.is_empty() && !name.is_empty() => {
            Ok((namespace.to_owned(), name.to_owned()))
        }
        Some(_) | None => Err("it is to be a namespace, a slash and a name".to_owned()),
    }
}

/// [`Mode`] as a flag.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
pub enum Ceiling {
    /// Weir only reads
    Observe,
    /// Weir judges what rolls at its own pace, and says what it would have done
    Shadow,
    /// Weir holds enrolled rollouts and lets them through in waves
    Enforce,
}

impl From<Ceiling> for Mode {
    fn from(ceiling: Ceiling) -> Self {
        match ceiling {
            Ceiling::Observe => Self::Observe,
            Ceiling::Shadow => Self::Shadow,
            Ceiling::Enforce => Self::Enforce,
        }
    }
}
