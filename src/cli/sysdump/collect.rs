//! What is asked for of a cluster, each answer redacted, as files of an archive.

use std::collections::BTreeSet;

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
use serde_json::{Value, json};

use super::{SysdumpArgs, archive::Archive, redact};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy, definitions, marks},
    cli::{
        connect::{Connection, VERSION},
        error::CliError,
        output,
    },
    client::{chain, list_all},
    valve::{NAMESPACE, ROLE, gate},
};

/// Lines of each operator pod's log.
const LINES: i64 = 20_000;
/// Bytes of each, in case lines are long.
const BYTES: i64 = 16 * 1024 * 1024;

/// What is collected.
pub(super) struct Dump<'a> {
    connection: &'a Connection,
    args: &'a SysdumpArgs,
    archive: Archive,
    /// What could not be read.
    pub(super) errors: Vec<String>,
}

impl<'a> Dump<'a> {
    /// Nothing yet.
    pub(super) fn new(connection: &'a Connection, args: &'a SysdumpArgs) -> Self {
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

    /// What asked whom, and when. An API server that answers anything but that it does not know who asks may
    /// answer more: one that is in trouble is what an archive is for.
    pub(super) async fn versions(&mut self, at: &str) -> Result<(), CliError> {
        let server = match self.connection.client.apiserver_version().await {
            Ok(version) => Some(version),
            Err(kube::Error::Api(status)) if status.code != 401 => {
                self.errors
                    .push(format!("versions: {}", chain(&kube::Error::Api(status))));
                None
            }
            Err(error) => return Err(self.connection.unanswered(error, VERSION)),
        };
        let versions = json!({
            "kubectl-weir": env!("CARGO_PKG_VERSION"), "apiServer": server, "at": at,
        });
        self.add("versions.json", &versions);
        Ok(())
    }

    /// Asks for all of it.
    pub(super) async fn collect(&mut self) {
        self.of_kinds().await;
        self.of_flow_control().await;
        self.of_policies().await;
        self.of_rights().await;
        self.of_enrolled().await;
        self.of_control_plane().await;
        self.of_operator().await;
        for path in [
            "/readyz?verbose",
            "/debug/api_priority_and_fairness/dump_priority_levels",
        ] {
            self.text_of(path).await;
        }
    }

    /// Weir's kinds, what is defined of them, and what was told of them.
    async fn of_kinds(&mut self) {
        let any = ListParams::default;
        self.list("kinds/rolloutpolicies", self.all::<RolloutPolicy>(), any())
            .await;
        self.list("kinds/guardedrollouts", self.all::<GuardedRollout>(), any())
            .await;
        self.list("kinds/controlplanes", self.all::<ControlPlane>(), any())
            .await;
        let names = definitions().map(|one| one.metadata.name.unwrap_or_default());
        let names: Vec<&str> = names.iter().map(String::as_str).collect();
        let all = self.all::<CustomResourceDefinition>();
        self.named("kinds/definitions", &all, &names).await;
        for reporter in [marks::OPERATOR, marks::PLUGIN] {
            let of = any().fields(&format!("reportingComponent={reporter}"));
            let name = format!("events/{}", reporter.replace('/', "-"));
            self.list(&name, self.all::<Event>(), of).await;
        }
    }

    async fn of_flow_control(&mut self) {
        let any = ListParams::default;
        self.list("flowcontrol/flowschemas", self.all::<FlowSchema>(), any())
            .await;
        let levels = self.all::<PriorityLevelConfiguration>();
        self.list("flowcontrol/prioritylevelconfigurations", levels, any())
            .await;
    }

    /// The policies that ship with Weir.
    async fn of_policies(&mut self) {
        let gates = self.all::<MutatingAdmissionPolicy>();
        self.named("policies/gate", &gates, &[gate::POLICY]).await;
        let bindings = self.all::<MutatingAdmissionPolicyBinding>();
        let names = [gate::NAMESPACES_BINDING, gate::TEMPLATES_BINDING];
        self.named("policies/gate-bindings", &bindings, &names)
            .await;
        let confining = self.all::<ValidatingAdmissionPolicy>();
        self.list("policies/confining", confining, ours()).await;
        let bindings = self.all::<ValidatingAdmissionPolicyBinding>();
        self.list("policies/confining-bindings", bindings, ours())
            .await;
    }

    /// The rights that ship with Weir.
    async fn of_rights(&mut self) {
        self.list("rights/clusterroles", self.all::<ClusterRole>(), ours())
            .await;
        let bindings = self.all::<ClusterRoleBinding>();
        self.list("rights/clusterrolebindings", bindings, ours())
            .await;
        self.list("rights/roles", self.all::<Role>(), ours()).await;
        self.list("rights/rolebindings", self.all::<RoleBinding>(), ours())
            .await;
        let roles: Api<Role> = Api::namespaced(self.connection.client.clone(), NAMESPACE);
        self.named("rights/weir-approved", &roles, &[ROLE]).await;
    }

    /// Who is enrolled, and what is held of it.
    pub(super) async fn of_enrolled(&mut self) {
        let labelled = ListParams::default().labels(marks::GUARD);
        let namespaces = self.all::<Namespace>();
        let namespaces = self
            .list("enrolled/namespaces", namespaces, labelled)
            .await
            .into_iter();
        let names: BTreeSet<String> = namespaces.filter_map(|one| one.metadata.name).collect();
        let daemon_sets = self.all::<DaemonSet>();
        let any = ListParams::default();
        self.some("enrolled/daemonsets", &daemon_sets, any, |one| {
            is_enrolled(one, &names)
        })
        .await;
        let held = ListParams::default()
            .labels(&format!("{}=true", marks::ENROLLED))
            .fields("spec.nodeName=");
        self.list("enrolled/gated-pods", self.all::<Pod>(), held)
            .await;
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
        let slices: Api<EndpointSlice> = Api::namespaced(client, "default");
        let service = ListParams::default().labels("kubernetes.io/service-name=kubernetes");
        self.list("api-servers/endpointslices", slices, service)
            .await;
    }

    /// The operator's objects and logs.
    pub(super) async fn of_operator(&mut self) {
        let client = self.connection.client.clone();
        let namespace = &self.args.weir.weir_namespace;
        let deployments: Api<Deployment> = Api::namespaced(client.clone(), namespace);
        let ours = ListParams::default().labels(&self.args.selector);
        self.list("operator/deployments", deployments, ours.clone())
            .await;
        let pods: Api<Pod> = Api::namespaced(client, namespace);
        let found = self.list("operator/pods", pods.clone(), ours).await;
        for pod in &found {
            let name = pod.metadata.name.as_deref().unwrap_or_default();
            let spec = pod.spec.as_ref();
            let containers = spec.map(|spec| spec.containers.as_slice());
            let containers = containers.unwrap_or_default();
            for container in containers {
                // With more than one the API server wants to know which.
                let file = match containers.len() {
                    1 => name.to_owned(),
                    _ => format!("{name}.{}", container.name),
                };
                self.logs(&pods, name, &container.name, &file).await;
            }
        }
    }

    /// The logs of a container, and of the one before it.
    async fn logs(&mut self, pods: &Api<Pod>, pod: &str, container: &str, file: &str) {
        for previous in [false, true] {
            let params = LogParams {
                container: Some(container.to_owned()),
                previous,
                tail_lines: Some(LINES),
                limit_bytes: Some(BYTES),
                timestamps: true,
                ..LogParams::default()
            };
            let suffix = if previous { ".previous" } else { "" };
            let file = format!("operator/{file}{suffix}.log");
            match pods.logs(pod, &params).await {
                Ok(log) => self.archive.add(&file, &redact::log(&log)),
                // A container that never restarted has no log of before.
                Err(kube::Error::Api(status)) if previous && status.code == 400 => {}
                Err(error) => self.errors.push(format!("{file}: {}", chain(&error))),
            }
        }
    }

    /// Lists objects into a file, redacted, and gives them back. A list that failed leaves no file: an empty
    /// one would say that there is none.
    async fn list<K>(&mut self, name: &str, api: Api<K>, params: ListParams) -> Vec<K>
    where
        K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        self.some(name, &api, params, |_| true).await
    }

    /// The same of those that are wanted.
    async fn some<K>(
        &mut self,
        name: &str,
        api: &Api<K>,
        params: ListParams,
        is_wanted: impl Fn(&K) -> bool,
    ) -> Vec<K>
    where
        K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        match list_all(api, params).await {
            Ok(mut found) => {
                found.retain(is_wanted);
                self.add(&format!("{name}.json"), &found);
                found
            }
            Err(error) => {
                self.errors.push(format!("{name}: {}", chain(&error)));
                Vec::new()
            }
        }
    }

    /// Gets objects by their names into a file: nobody else's are asked for.
    async fn named<K>(&mut self, name: &str, api: &Api<K>, names: &[&str])
    where
        K: Clone + DeserializeOwned + Serialize + std::fmt::Debug,
    {
        let mut found = Vec::new();
        let mut failed = 0;
        for one in names {
            match api.get_opt(one).await {
                Ok(object) => found.extend(object),
                Err(error) => {
                    failed += 1;
                    self.errors.push(format!("{name} {one}: {}", chain(&error)));
                }
            }
        }
        if failed < names.len() {
            self.add(&format!("{name}.json"), &found);
        }
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

    /// Adds an answer, redacted.
    pub(super) fn add<T: Serialize>(&mut self, name: &str, what: &T) {
        let value = serde_json::to_value(what).map(redact::object);
        match value
            .map_err(CliError::Json)
            .and_then(|value: Value| output::json(&value))
        {
            Ok(text) => self.archive.add(name, &text),
            Err(error) => self.errors.push(format!("{name}: {error}")),
        }
    }

    /// What came of it, in a few words.
    pub(super) fn said(&self) -> String {
        match self.errors.len() {
            0 => format!("{} files", self.archive.len()),
            failed => format!(
                "{} files; {failed} could not be read, see errors.txt",
                self.archive.len()
            ),
        }
    }

    /// The archive.
    pub(super) fn finish(mut self) -> std::io::Result<Vec<u8>> {
        if !self.errors.is_empty() {
            // What was answered is quoted in them.
            let errors = redact::log(&(self.errors.join("\n") + "\n"));
            self.archive.add("errors.txt", &errors);
        }
        self.archive.finish()
    }
}

/// What ships with Weir bears its name.
fn ours() -> ListParams {
    ListParams::default().labels(marks::INSTALLED)
}

/// Whether a DaemonSet is enrolled, by its namespace or by its template.
fn is_enrolled(one: &DaemonSet, namespaces: &BTreeSet<String>) -> bool {
    let namespace = one.metadata.namespace.as_ref();
    let spec = one.spec.as_ref();
    let labels = spec.and_then(|spec| spec.template.metadata.as_ref()?.labels.as_ref());
    namespace.is_some_and(|name| namespaces.contains(name))
        || labels.is_some_and(|labels| labels.contains_key(marks::GUARD))
}
