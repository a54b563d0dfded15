//! `kubectl weir sysdump`: one archive for whoever is to find out what is wrong.
//!
//! What is asked for is written down here; what must not leave the cluster is taken out in `redact`, before
//! anything is written. Secrets and ConfigMaps are never asked for.

mod archive;
mod redact;

use std::path::PathBuf;

use clap::Args;
use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding,
        },
        apps::v1::{DaemonSet, Deployment},
        coordination::v1::Lease,
        core::v1::{Event, Namespace, Pod},
        discovery::v1::EndpointSlice,
        flowcontrol::v1::{FlowSchema, PriorityLevelConfiguration},
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
};
use kube::{
    Api, Resource,
    api::{ListParams, LogParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::Value;

use self::archive::Archive;
use super::{
    FINE, Outcome,
    connect::{ClusterArgs, Connection, WeirArgs},
    error::CliError,
    output,
};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy, marks, times::time},
    client::{Allowance, Budget, chain},
    valve::NAMESPACE,
};

/// Objects of one page.
const PAGE: u32 = 500;
/// Lines of each operator pod's log.
const LINES: i64 = 20_000;
/// Bytes of each, in case lines are long.
const BYTES: i64 = 16 * 1024 * 1024;

/// Collects what Weir and the API servers say into one archive, without secrets
///
/// Weir's kinds, its Events, leases, FlowSchemas, policies and rights, versions, and the operator's logs. Values
/// of environment variables, tokens and keys are taken out; Secrets and ConfigMaps are never asked for. What
/// could not be read is named in errors.txt. Look through it before you send it.
#[derive(Debug, Clone, Args)]
pub(super) struct SysdumpArgs {
    #[command(flatten)]
    weir: WeirArgs,
    /// The archive to write; weir-sysdump-TIME.tar.gz if not given
    #[arg(short = 'f', long, value_name = "FILE")]
    output_file: Option<PathBuf>,
    /// The labels of the operator's pods
    #[arg(long, default_value = "app.kubernetes.io/name=weir")]
    selector: String,
}

/// Asks, redacts and writes.
pub(super) async fn sysdump(
    cluster: &ClusterArgs,
    args: &SysdumpArgs,
) -> Result<Outcome, CliError> {
    let many = Allowance {
        burst: 60.0,
        ..Budget::standard().reads
    };
    let budget = Budget {
        reads: many,
        ..Budget::standard()
    };
    let connection = cluster.connect_within(budget).await?;
    let version = connection.client.apiserver_version().await;
    let version = version.map_err(|error| connection.unreachable(error))?;
    let at = time(connection.clock.now()).0;
    let mut dump = Dump::new(&connection, args);
    let versions = serde_json::json!({
        "kubectl-weir": env!("CARGO_PKG_VERSION"), "apiServer": version, "at": at.to_string(),
    });
    dump.add("versions.json", &versions);
    dump.collect().await;
    let stamp = at.to_string().replace(':', "");
    let path = args.output_file.clone();
    let path = path.unwrap_or_else(|| format!("weir-sysdump-{stamp}.tar.gz").into());
    let said = dump.said();
    let archive = dump.finish().map_err(|error| CliError::Unwritten {
        path: path.clone(),
        source: error,
    })?;
    std::fs::write(&path, archive).map_err(|source| CliError::Unwritten {
        path: path.clone(),
        source,
    })?;
    Ok(Outcome {
        text: format!(
            "{}: {said}\nLook through it before you send it.\n",
            path.display()
        ),
        code: FINE,
    })
}

/// What is collected.
struct Dump<'a> {
    connection: &'a Connection,
    args: &'a SysdumpArgs,
    archive: Archive,
    errors: Vec<String>,
}

impl<'a> Dump<'a> {
    fn new(connection: &'a Connection, args: &'a SysdumpArgs) -> Self {
        Self {
            connection,
            args,
            archive: Archive::new(connection.clock.now()),
            errors: Vec::new(),
        }
    }

    fn all<K: Resource<DynamicType = ()>>(&self) -> Api<K> {
        Api::all(self.connection.client.clone())
    }

    async fn collect(&mut self) {
        let any = ListParams::default;
        let ours = || any().labels("app.kubernetes.io/name=weir");
        self.list("kinds/rolloutpolicies", self.all::<RolloutPolicy>(), any())
            .await;
        self.list("kinds/guardedrollouts", self.all::<GuardedRollout>(), any())
            .await;
        self.list("kinds/controlplanes", self.all::<ControlPlane>(), any())
            .await;
        for reporter in ["weir.dev/weir", "weir.dev/kubectl-weir"] {
            let of = any().fields(&format!("reportingComponent={reporter}"));
            let name = format!("events/{}", reporter.replace('/', "-"));
            self.list(&name, self.all::<Event>(), of).await;
        }
        self.list("flowcontrol/flowschemas", self.all::<FlowSchema>(), any())
            .await;
        let levels = self.all::<PriorityLevelConfiguration>();
        self.list("flowcontrol/prioritylevelconfigurations", levels, any())
            .await;
        self.list(
            "policies/gate",
            self.all::<MutatingAdmissionPolicy>(),
            any(),
        )
        .await;
        let bindings = self.all::<MutatingAdmissionPolicyBinding>();
        self.list("policies/gate-bindings", bindings, any()).await;
        self.list(
            "policies/confining",
            self.all::<ValidatingAdmissionPolicy>(),
            ours(),
        )
        .await;
        let bindings = self.all::<ValidatingAdmissionPolicyBinding>();
        self.list("policies/confining-bindings", bindings, ours())
            .await;
        self.list("rights/clusterroles", self.all::<ClusterRole>(), ours())
            .await;
        self.list(
            "rights/clusterrolebindings",
            self.all::<ClusterRoleBinding>(),
            ours(),
        )
        .await;
        self.list("rights/roles", self.all::<Role>(), ours()).await;
        self.list(
            "rights/rolebindings",
            self.all::<RoleBinding>(),
            any().labels("app.kubernetes.io/name=weir"),
        )
        .await;
        let definitions = self.all::<CustomResourceDefinition>();
        self.list("kinds/definitions", definitions, any()).await;
        self.list(
            "enrolled/namespaces",
            self.all::<Namespace>(),
            any().labels(marks::GUARD),
        )
        .await;
        self.list("enrolled/daemonsets", self.all::<DaemonSet>(), any())
            .await;
        let held = any()
            .labels(&format!("{}=true", marks::ENROLLED))
            .fields("spec.nodeName=");
        self.list("enrolled/gated-pods", self.all::<Pod>(), held)
            .await;
        self.of_control_plane().await;
        self.of_operator().await;
        for path in [
            "/readyz?verbose",
            "/debug/api_priority_and_fairness/dump_priority_levels",
        ] {
            self.text_of(path).await;
        }
    }

    async fn of_control_plane(&mut self) {
        let client = self.connection.client.clone();
        let identities =
            ListParams::default().labels("apiserver.kubernetes.io/identity=kube-apiserver");
        let leases: Api<Lease> = Api::namespaced(client.clone(), "kube-system");
        self.list("leases/kube-system", leases, identities).await;
        let leases: Api<Lease> = Api::namespaced(client.clone(), &self.args.weir.weir_namespace);
        self.list("leases/weir", leases, ListParams::default())
            .await;
        let slices: Api<EndpointSlice> = Api::namespaced(client.clone(), "default");
        let service = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
        self.list("api-servers/endpointslices", slices, service)
            .await;
        let approved: Api<Role> = Api::namespaced(client, NAMESPACE);
        let name = ListParams::default().fields("metadata.name=weir-approved");
        self.list("rights/weir-approved", approved, name).await;
    }

    async fn of_operator(&mut self) {
        let client = self.connection.client.clone();
        let namespace = &self.args.weir.weir_namespace;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        self.list("operator/deployments", deployments, ListParams::default())
            .await;
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let ours = ListParams::default().labels(&self.args.selector);
        let found = self.list("operator/pods", pods.clone(), ours).await;
        for name in found.iter().filter_map(|pod| pod.metadata.name.as_deref()) {
            for previous in [false, true] {
                let params = LogParams {
                    previous,
                    tail_lines: Some(LINES),
                    limit_bytes: Some(BYTES),
                    timestamps: true,
                    ..LogParams::default()
                };
                let file = format!(
                    "operator/{name}{}.log",
                    if previous { ".previous" } else { "" }
                );
                match pods.logs(name, &params).await {
                    Ok(log) => self.archive.add(&file, &redact::log(&log)),
                    // A container that never restarted has no log of before.
                    Err(kube::Error::Api(status)) if previous && status.code == 400 => {}
                    Err(error) => self.errors.push(format!("{file}: {}", chain(&error))),
                }
            }
        }
    }

    /// Lists objects into a file, redacted, and gives them back.
    async fn list<K>(&mut self, name: &str, api: Api<K>, params: ListParams) -> Vec<K>
    where
        K: Resource + Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let mut page = params.limit(PAGE);
        let mut found = Vec::new();
        loop {
            match api.list(&page).await {
                Ok(list) => {
                    found.extend(list.items);
                    match list.metadata.continue_.filter(|token| !token.is_empty()) {
                        Some(token) => page = page.continue_token(&token),
                        None => break,
                    }
                }
                Err(error) => {
                    self.errors.push(format!("{name}: {}", chain(&error)));
                    break;
                }
            }
        }
        self.add(&format!("{name}.json"), &found);
        found
    }

    async fn text_of(&mut self, path: &str) {
        let file = format!(
            "api-servers{}.txt",
            path.split('?').next().unwrap_or_default()
        );
        let request = http::Request::get(path).body(Vec::new());
        let Ok(request) = request else {
            return;
        };
        match self.connection.client.request_text(request).await {
            Ok(text) => self.archive.add(&file, &redact::log(&text)),
            Err(error) => self.errors.push(format!("{file}: {}", chain(&error))),
        }
    }

    fn add<T: Serialize>(&mut self, name: &str, what: &T) {
        let value = serde_json::to_value(what).map(redact::object);
        match value
            .map_err(CliError::Json)
            .and_then(|value: Value| output::json(&value))
        {
            Ok(text) => self.archive.add(name, &text),
            Err(error) => self.errors.push(format!("{name}: {error}")),
        }
    }

    fn said(&self) -> String {
        match self.errors.len() {
            0 => format!("{} files", self.archive.len()),
            failed => format!(
                "{} files; {failed} could not be read, see errors.txt",
                self.archive.len()
            ),
        }
    }

    fn finish(mut self) -> std::io::Result<Vec<u8>> {
        if !self.errors.is_empty() {
            self.archive
                .add("errors.txt", &(self.errors.join("\n") + "\n"));
        }
        self.archive.finish()
    }
}

#[cfg(test)]
mod tests;
