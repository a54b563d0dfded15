//! The command lines of a control plane's programs, as a real cluster runs them where it matters.
//!
//! Differences from `kubeadm`'s defaults are stated next to the flag that makes them.

use std::net::Ipv4Addr;
use std::path::{Path, PathBuf};

use anyhow::Result;

use super::WorldSpec;
use super::process::Launch;
use crate::tools::{Tool, program};

/// Only programs of the same world can reach it.
const ETCD: &str = "http://127.0.0.1:2379";

/// The address of API server `index`, of an unused private range: an `EndpointSlice` refuses
/// loopback addresses.
pub(super) fn server_address(index: u8) -> Ipv4Addr {
    Ipv4Addr::new(172, 31, 255, index + 1)
}

/// Where a world's programs find each other's files.
#[derive(Clone, Debug)]
pub(super) struct Files {
    pub(super) directory: PathBuf,
}

impl Files {
    /// The path of a file in the world.
    pub(super) fn path(&self, name: &str) -> String {
        self.directory.join(name).to_string_lossy().into_owned()
    }

    /// Programs that keep something in their user's home keep it in the world.
    fn environment(&self) -> Vec<(String, String)> {
        vec![("HOME".into(), self.directory.to_string_lossy().into_owned())]
    }

    fn launch(&self, name: &str, program: &Path, flags: Vec<String>) -> Launch {
        let mut words = vec![program.to_string_lossy().into_owned()];
        words.extend(flags);
        Launch {
            name: name.into(),
            words,
            environment: self.environment(),
        }
    }

    /// etcd, which syncs nothing to its tmpfs: a disk's latency is not what is looked at here.
    pub(super) fn etcd(&self) -> Result<Launch> {
        let flags = vec![
            flag("data-dir", self.path("etcd")),
            flag("listen-client-urls", ETCD),
            flag("advertise-client-urls", ETCD),
            flag("listen-peer-urls", "http://127.0.0.1:2380"),
            flag("unsafe-no-fsync", "true"),
            flag("quota-backend-bytes", 4_u64 << 30),
            flag("log-level", "warn"),
        ];
        Ok(self.launch("etcd", &program(Tool::Etcd, "etcd")?, flags))
    }

    /// API server number `index`, on its own address, host name and, where there are two, core.
    pub(super) fn api_server(
        &self,
        index: u8,
        spec: &WorldSpec,
        core: Option<usize>,
    ) -> Result<Launch> {
        let pki = |name: &str| self.path(&format!("pki/{name}"));
        let address = server_address(index);
        let name = format!("kube-apiserver-{}", index + 1);
        let mut flags = vec![
            flag("etcd-servers", ETCD),
            flag("bind-address", address),
            flag("advertise-address", address),
            flag("secure-port", super::PORT),
            flag("tls-cert-file", pki("apiserver.crt")),
            flag("tls-private-key-file", pki("apiserver.key")),
            flag("client-ca-file", pki("ca.crt")),
            flag(
                "service-account-issuer",
                "https://kubernetes.default.svc.cluster.local",
            ),
            flag("service-account-key-file", pki("sa.pub")),
            flag("service-account-signing-key-file", pki("sa.key")),
            flag("service-cluster-ip-range", "10.96.0.0/16"),
            flag("authorization-mode", "Node,RBAC"),
            flag("enable-admission-plugins", "NodeRestriction"),
            flag("anonymous-auth", "false"),
            flag("allow-privileged", "true"),
            flag("endpoint-reconciler-type", spec.endpoints.flag()),
            flag("enable-priority-and-fairness", spec.priority_and_fairness),
        ];
        if spec.audit {
            flags.push(flag("audit-policy-file", self.path("audit-policy.yaml")));
            flags.push(flag("audit-log-path", self.path(&format!("{name}.audit"))));
        }
        let mut launch = self.launch(&name, &program(Tool::Kubernetes, "kube-apiserver")?, flags);
        // Its identity is a hash of the host name: two servers on one host would count as one.
        let named = [
            "unshare",
            "--uts",
            "sh",
            "-c",
            r#"hostname "$0" && exec "$@""#,
            &name,
        ];
        let pinned = core.map(|core| ["taskset".into(), "--cpu-list".into(), core.to_string()]);
        let prefix = named
            .map(str::to_owned)
            .into_iter()
            .chain(pinned.into_iter().flatten());
        launch.words.splice(0..0, prefix);
        if core.is_some() {
            launch.environment.push(("GOMAXPROCS".into(), "1".into()));
        }
        if let Some(mebibytes) = spec.api_server_memory_mib {
            launch
                .environment
                .push(("GOMEMLIMIT".into(), format!("{mebibytes}MiB")));
        }
        Ok(launch)
    }

    /// The controllers. Their client rate is the spec's, see [`WorldSpec::controller_qps`].
    pub(super) fn controller_manager(&self, spec: &WorldSpec) -> Result<Launch> {
        let mut flags = self.client_of("controller-manager");
        flags.extend([
            flag("use-service-account-credentials", "true"),
            flag("service-account-private-key-file", self.path("pki/sa.key")),
            flag("root-ca-file", self.path("pki/ca.crt")),
            flag("kube-api-qps", spec.controller_qps),
            flag("kube-api-burst", spec.controller_qps),
            flag("bind-address", "127.0.0.1"),
            flag("leader-elect", false),
        ]);
        if let Some(seconds) = spec.node_grace_seconds {
            flags.push(flag("node-monitor-grace-period", format!("{seconds}s")));
            // It looks every five seconds, which would be a large part of a short grace.
            flags.push(flag("node-monitor-period", "1s"));
        }
        let program = program(Tool::Kubernetes, "kube-controller-manager")?;
        Ok(self.launch("kube-controller-manager", &program, flags))
    }

    /// The scheduler, with the same client rate as the controllers.
    pub(super) fn scheduler(&self, spec: &WorldSpec) -> Result<Launch> {
        let mut flags = self.client_of("scheduler");
        flags.extend([
            flag("kube-api-qps", spec.controller_qps),
            flag("kube-api-burst", spec.controller_qps),
            flag("bind-address", "127.0.0.1"),
            flag("leader-elect", false),
        ]);
        let program = program(Tool::Kubernetes, "kube-scheduler")?;
        Ok(self.launch("kube-scheduler", &program, flags))
    }

    /// kwok, which plays every node's kubelet: heartbeats through Leases as kubelets send them.
    pub(super) fn kwok(&self) -> Result<Launch> {
        let flags = vec![
            flag("kubeconfig", self.path("kwok.kubeconfig")),
            flag("config", self.path("kwok.yaml")),
            flag("manage-all-nodes", "true"),
            // A kubelet's default; it renews after a quarter of it.
            flag("node-lease-duration-seconds", 40),
            flag("v", "WARN"),
        ];
        Ok(self.launch("kwok", &program(Tool::Kwok, "kwok")?, flags))
    }

    fn client_of(&self, name: &str) -> Vec<String> {
        [
            "kubeconfig",
            "authentication-kubeconfig",
            "authorization-kubeconfig",
        ]
        .map(|flag_name| flag(flag_name, self.path(&format!("{name}.kubeconfig"))))
        .to_vec()
    }
}

fn flag(name: &str, value: impl std::fmt::Display) -> String {
    format!("--{name}={value}")
}
