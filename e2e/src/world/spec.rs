//! What a world consists of, and the bounds of it.

use anyhow::{Result, ensure};

use super::{churn, nodes};

/// Every address of 172.31.255.0/24 but the network's and the broadcast address.
const MOST_API_SERVERS: u8 = 254;

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
    /// The API server's word for it.
    pub(super) fn flag(self) -> &'static str {
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
    /// Whether worlds of this shape follow in this program: they take over nodes and pods as they
    /// were when this one had started, in seconds instead of populating again.
    pub reuse: bool,
    /// API servers, each with an address of its own; they share one core.
    pub api_servers: u8,
    /// How the endpoints of the service `kubernetes` come about.
    pub endpoints: EndpointReconciler,
    /// Whether requests of Weir's ServiceAccount, and of proofs of the plugin, are recorded (audit log,
    /// metadata only).
    pub audit: bool,
    /// Go's soft memory limit of each API server, in MiB; none unless stated.
    pub api_server_memory_mib: Option<u32>,
    /// Requests per second, and burst, of each controller and of the scheduler.
    ///
    /// Kubernetes' default of 20 lets a DaemonSet reach 1,000 nodes in 50 s. Large clusters raise it
    /// (Kubernetes' own scale tests use 100 and more), and it is there that a creation burst
    /// hurts: batches of 250 as fast as the API server takes them are the case to survive.
    pub controller_qps: u32,
    /// After how many seconds of silence the controllers take a node for gone; Kubernetes' default
    /// of 50 unless stated. Kubelets say something every 10 s.
    pub node_grace_seconds: Option<u32>,
    /// Whether API servers share themselves out by Priority and Fairness, which is their default.
    pub priority_and_fairness: bool,
}

impl WorldSpec {
    /// A control plane with one API server and nothing in it.
    #[must_use]
    pub fn bare() -> Self {
        Self {
            nodes: 0,
            pods: 0,
            churn_per_second: 0.0,
            reuse: false,
            api_servers: 1,
            endpoints: EndpointReconciler::Lease,
            audit: false,
            api_server_memory_mib: None,
            controller_qps: 500,
            node_grace_seconds: None,
            priority_and_fairness: true,
        }
    }

    /// An error that says what is out of bounds.
    pub(super) fn check(&self) -> Result<()> {
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
        let room = self.nodes * nodes::PODS_PER_NODE;
        ensure!(
            self.pods <= room,
            "{} nodes hold at most {room} pods, not {}",
            self.nodes,
            self.pods
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

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_is_out_of_bounds_is_named() {
        let bare = WorldSpec::bare;
        for (spec, says) in [
            (
                WorldSpec {
                    api_servers: 0,
                    ..bare()
                },
                "1 to 254 API servers",
            ),
            (
                WorldSpec {
                    nodes: 4_097,
                    ..bare()
                },
                "at most 4096 nodes",
            ),
            (
                WorldSpec {
                    nodes: 2,
                    pods: 501,
                    ..bare()
                },
                "2 nodes hold at most 500 pods",
            ),
            (
                WorldSpec {
                    churn_per_second: f64::NAN,
                    ..bare()
                },
                "churn is 0 to 50",
            ),
            (
                WorldSpec {
                    churn_per_second: -1.0,
                    ..bare()
                },
                "churn is 0 to 50",
            ),
            (
                WorldSpec {
                    controller_qps: 0,
                    ..bare()
                },
                "at least 1 request",
            ),
        ] {
            let error = spec.check().expect_err(says).to_string();
            assert!(error.contains(says), "{error}");
        }
        assert!(bare().check().is_ok());
    }
}
