//! The operator's flags and environment, parsed and valid.

use std::net::SocketAddr;

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
    /// This replica's name, for people
    #[arg(long, env = "POD_NAME", default_value = "weir")]
    pub name: String,
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
