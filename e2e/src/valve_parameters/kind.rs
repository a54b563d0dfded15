//! The kinds of parameters: what to install and write for each.

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, CustomResourceExt};
use serde_json::{Value, json};
use weir::api::{SINGLETON, Valve, ValveSpec};

use super::probe::ENROLLED;
use super::reword;
use crate::world::World;

/// Where the ConfigMap is.
const NAMESPACE: &str = "default";

/// What the parameters are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A built-in type.
    ConfigMap,
    /// Weir's own type.
    CustomResource,
    /// No object of its own: annotations of the pod's namespace, which API servers watch anyway.
    Namespace,
    /// No parameters: a role, of an account that nobody uses, whose rights are the approvals.
    Role,
}

impl Kind {
    /// Creates the definition, if one is needed, the policy, the bindings, and parameters that are
    /// not adopted.
    pub(super) async fn install(self, world: &World) -> Result<()> {
        if self == Self::CustomResource {
            world
                .kubectl(&[
                    "apply",
                    "-f",
                    concat!(env!("CARGO_MANIFEST_DIR"), "/../crds/valves.yaml"),
                ])
                .await?;
            let definition = format!("crd/{}", Valve::crd_name());
            world
                .kubectl(&["wait", "--for=condition=Established", &definition])
                .await?;
        }
        let policies: Api<MutatingAdmissionPolicy> = Api::all(world.client());
        policies
            .create(&PostParams::default(), &self.policy()?)
            .await?;
        self.bind(world).await
    }

    /// Creates the parameters, adopted and with nothing approved.
    pub(super) async fn adopt(self, world: &World) -> Result<()> {
        match self {
            Self::ConfigMap => {
                let map = serde_json::from_value(json!({
                    "metadata": { "name": SINGLETON },
                    "data": { "adopted": "true" },
                }))?;
                config_maps(world)
                    .create(&PostParams::default(), &map)
                    .await?;
            }
            Self::Namespace => annotate(world, reword::ADOPTED, json!("true")).await?,
            Self::Role => create_role(world).await?,
            Self::CustomResource => {
                let spec = ValveSpec {
                    adopted: true,
                    ..ValveSpec::default()
                };
                let valve = Valve::new(SINGLETON, spec);
                Api::all(world.client())
                    .create(&PostParams::default(), &valve)
                    .await?;
            }
        }
        Ok(())
    }

    /// Approves a revision.
    pub(super) async fn approve(self, world: &World, key: &str) -> Result<()> {
        self.set(world, key, json!("measured")).await
    }

    /// Withdraws the approval of a revision.
    pub(super) async fn withdraw(self, world: &World, key: &str) -> Result<()> {
        self.set(world, key, Value::Null).await
    }

    async fn set(self, world: &World, key: &str, note: Value) -> Result<()> {
        let parameters = PatchParams::default();
        match self {
            Self::ConfigMap => {
                let patch = Patch::Merge(json!({ "data": { key: note } }));
                config_maps(world)
                    .patch(SINGLETON, &parameters, &patch)
                    .await?;
            }
            Self::Namespace => annotate(world, &reword::annotation(key), note).await?,
            Self::Role => {
                let approved = (!note.is_null()).then_some(key);
                let roles: Api<ClusterRole> = Api::all(world.client());
                let patch = Patch::Merge(json!({ "rules": rules(approved) }));
                roles.patch(reword::ACCOUNT.1, &parameters, &patch).await?;
            }
            Self::CustomResource => {
                let patch = Patch::Merge(json!({ "spec": { "approved": { key: note } } }));
                let valves: Api<Valve> = Api::all(world.client());
                valves.patch(SINGLETON, &parameters, &patch).await?;
            }
        }
        Ok(())
    }

    /// Creates the bindings.
    pub(super) async fn bind(self, world: &World) -> Result<()> {
        for mut binding in shipped_bindings()? {
            let spec = binding.spec.as_mut().context("a binding has a spec")?;
            spec.param_ref = spec.param_ref.take().filter(|_| self.has_parameters());
            if let (Self::ConfigMap, Some(parameters)) = (self, &mut spec.param_ref) {
                parameters.namespace = Some(NAMESPACE.to_owned());
            }
            bindings(world)
                .create(&PostParams::default(), &binding)
                .await?;
        }
        Ok(())
    }

    /// Deletes the bindings.
    pub(super) async fn unbind(self, world: &World) -> Result<()> {
        for binding in shipped_bindings()? {
            let name = binding.metadata.name.context("a binding has a name")?;
            bindings(world)
                .delete(&name, &DeleteParams::default())
                .await?;
        }
        Ok(())
    }

    const fn has_parameters(self) -> bool {
        matches!(self, Self::ConfigMap | Self::CustomResource)
    }

    /// The policy that ships, reading this kind.
    fn policy(self) -> Result<MutatingAdmissionPolicy> {
        let mut policy: MutatingAdmissionPolicy =
            serde_saphyr::from_str(include_str!("../../../deploy/gate-policy.yaml"))?;
        let spec = policy.spec.as_mut().context("the policy has a spec")?;
        match self {
            Self::ConfigMap => reword::for_config_map(spec)?,
            Self::CustomResource => {}
            Self::Namespace => reword::for_namespace(spec)?,
            Self::Role => reword::for_role(spec)?,
        }
        Ok(policy)
    }
}

/// The bindings that ship.
fn shipped_bindings() -> Result<Vec<MutatingAdmissionPolicyBinding>> {
    let manifest = include_str!("../../../deploy/enforce/gate-bindings.yaml");
    Ok(serde_saphyr::from_multiple(manifest)?)
}

async fn annotate(world: &World, annotation: &str, value: Value) -> Result<()> {
    let namespaces: Api<Namespace> = Api::all(world.client());
    let patch = Patch::Merge(json!({ "metadata": { "annotations": { annotation: value } } }));
    let parameters = PatchParams::default();
    namespaces.patch(ENROLLED, &parameters, &patch).await?;
    Ok(())
}

/// The role without approvals, given to the account.
async fn create_role(world: &World) -> Result<()> {
    let (namespace, name) = reword::ACCOUNT;
    let role = serde_json::from_value(json!({
        "metadata": { "name": name },
        "rules": rules(None),
    }))?;
    let roles: Api<ClusterRole> = Api::all(world.client());
    roles.create(&PostParams::default(), &role).await?;
    let binding = serde_json::from_value(json!({
        "metadata": { "name": name },
        "roleRef": { "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": name },
        "subjects": [{ "kind": "ServiceAccount", "namespace": namespace, "name": name }],
    }))?;
    let bindings: Api<ClusterRoleBinding> = Api::all(world.client());
    bindings.create(&PostParams::default(), &binding).await?;
    Ok(())
}

/// Rights on the valve, and on a revision that is approved. A rule without names would mean all.
fn rules(approved: Option<&str>) -> Value {
    let rule = |resource: &str, name: &str| {
        json!({
            "apiGroups": ["weir.dev"], "resources": [resource], "resourceNames": [name],
            "verbs": [reword::VERB],
        })
    };
    let revision = approved.map(|key| rule("revisions", key));
    std::iter::once(rule("valves", SINGLETON))
        .chain(revision)
        .collect()
}

fn config_maps(world: &World) -> Api<ConfigMap> {
    Api::namespaced(world.client(), NAMESPACE)
}

fn bindings(world: &World) -> Api<MutatingAdmissionPolicyBinding> {
    Api::all(world.client())
}
