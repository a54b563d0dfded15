//! Corefiles as clusters have them where it matters for freshness: what is cached, for how long, and at which port.

use std::fmt::Write;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::Path;

use super::{HEALTH, METRICS, PORT, READY};

/// Whose Corefile CoreDNS has.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cluster {
    /// kubeadm from 1.37 on: the cluster's own zone is not cached (kubernetes PR #128359).
    Kubeadm,
    /// kubeadm before that: everything is cached for 30 s.
    OldKubeadm,
    /// `OpenShift`: port 5353, a cache of 900 s, a TTL of 5 s, names of its own (cluster-dns-operator).
    OpenShift,
}

/// A cache before CoreDNS.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Cache {
    /// NodeLocal `DNSCache` as its addon has it: 30 s, denials 5 s, nothing stale.
    NodeLocal,
    /// AKS LocalDNS: 3,600 s, and stale answers for as long again, at once.
    LocalDns,
    /// Stale answers for so many seconds, at once; else as NodeLocal.
    Stale {
        /// How many seconds.
        seconds: u16,
    },
    /// No answer is kept for less than so many seconds, whatever its TTL: such a cache hides what is new while
    /// everything before and behind it is well.
    Stubborn {
        /// How many seconds.
        seconds: u16,
    },
}

/// What a Corefile says besides in a world: where to listen, and how to reach the API.
#[derive(Clone, Copy, Debug)]
pub(super) struct Running<'a> {
    pub(super) own: Ipv4Addr,
    pub(super) kubeconfig: &'a Path,
}

impl Cluster {
    /// The Service that clients are given: its namespace, and its name.
    #[must_use]
    pub const fn service(self) -> (&'static str, &'static str) {
        match self {
            Self::Kubeadm | Self::OldKubeadm => ("kube-system", "kube-dns"),
            Self::OpenShift => ("openshift-dns", "dns-default"),
        }
    }

    /// The ConfigMap of the Corefile, in the same namespace.
    pub(super) const fn config_map(self) -> &'static str {
        match self {
            Self::Kubeadm | Self::OldKubeadm => "coredns",
            Self::OpenShift => "dns-default",
        }
    }

    /// The port of its pods.
    pub(super) const fn port(self) -> u16 {
        match self {
            Self::Kubeadm | Self::OldKubeadm => PORT,
            Self::OpenShift => 5353,
        }
    }

    /// The Corefile, as its ConfigMap has it, or as a program of the world runs by it.
    pub(super) fn corefile(self, running: Option<Running<'_>>) -> String {
        let ttl = match self {
            Self::Kubeadm | Self::OldKubeadm => "  ttl 30\n",
            // The plugin's own, 5 s.
            Self::OpenShift => "",
        };
        let cache = match self {
            Self::Kubeadm => {
                " cache 30 {\n  disable success cluster.local\n  disable denial cluster.local\n }\n"
            }
            Self::OldKubeadm => " cache 30\n",
            Self::OpenShift => " cache 900 {\n  denial 9984 30\n }\n",
        };
        let mut text = format!(".:{} {{\n errors\n", self.port());
        let api = running.map_or_else(String::new, |running| {
            let Running { own, kubeconfig } = running;
            // Writing to a String cannot fail.
            write!(
                text,
                " bind {own}\n health {own}:{HEALTH}\n ready {own}:{READY}\n prometheus {own}:{METRICS}\n"
            )
            .ok();
            format!("  kubeconfig {} world\n", kubeconfig.display())
        });
        write!(
            text,
            " kubernetes cluster.local in-addr.arpa ip6.arpa {{\n{api}  pods insecure\n  \
             fallthrough in-addr.arpa ip6.arpa\n{ttl} }}\n{cache} loadbalance\n}}\n"
        )
        .ok();
        text
    }
}

impl Cache {
    /// The Corefile, as its ConfigMap has it, or as a program of the world runs by it at its own address.
    pub(super) fn corefile(self, own: Option<Ipv4Addr>, replicas: &[SocketAddr]) -> String {
        let cache = match self {
            Self::NodeLocal => " cache {\n  success 9984 30\n  denial 9984 5\n }\n".to_owned(),
            Self::LocalDns => " cache 3600 {\n  serve_stale 3600s immediate\n }\n".to_owned(),
            Self::Stale { seconds } => format!(
                " cache {{\n  success 9984 30\n  denial 9984 5\n  serve_stale {seconds}s immediate\n }}\n"
            ),
            Self::Stubborn { seconds } => {
                format!(" cache {{\n  success 9984 {seconds} {seconds}\n  denial 9984 5\n }}\n")
            }
        };
        let own = own.map_or_else(String::new, |own| {
            format!(" bind {own}\n prometheus {own}:{METRICS}\n")
        });
        let upstreams: Vec<String> = replicas.iter().map(SocketAddr::to_string).collect();
        format!(
            "cluster.local:{PORT} {{\n errors\n{own}{cache} forward . {} {{\n  force_tcp\n }}\n}}\n",
            upstreams.join(" ")
        )
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_running_one_differs_only_in_where_it_listens_and_reads() {
        let running = Running {
            own: Ipv4Addr::new(172, 31, 252, 11),
            kubeconfig: Path::new("/x/coredns-1.kubeconfig"),
        };
        for cluster in [Cluster::Kubeadm, Cluster::OldKubeadm, Cluster::OpenShift] {
            let published = cluster.corefile(None);
            let run = cluster.corefile(Some(running));
            let own = ["bind", "health", "ready", "prometheus", "kubeconfig"];
            let kept: Vec<&str> = run
                .lines()
                .filter(|line| !own.iter().any(|word| line.trim_start().starts_with(word)))
                .collect();
            assert_eq!(kept, published.lines().collect::<Vec<_>>());
        }
    }

    #[test]
    fn each_says_what_it_is_for() {
        let says = |cache: Cache, text: &str| {
            let corefile = cache.corefile(None, &[([172, 31, 252, 11], 53).into()]);
            assert!(corefile.contains(text), "{corefile}");
        };
        says(Cache::NodeLocal, "forward . 172.31.252.11:53 {");
        says(Cache::LocalDns, "serve_stale 3600s immediate");
        says(Cache::Stale { seconds: 60 }, "serve_stale 60s immediate");
        says(Cache::Stubborn { seconds: 90 }, "success 9984 90 90");
        assert!(Cluster::OpenShift.corefile(None).starts_with(".:5353 {"));
        assert!(!Cluster::OpenShift.corefile(None).contains("ttl"));
    }
}
