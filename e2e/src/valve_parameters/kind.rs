//! The kinds of parameters: what to install and write for each.

use anyhow::{Context, Result};
use k8s_openapi::api::admissionregistration::v1::{
    MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ParamRef,
};
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use kube::Api;
use kube::api::{ApiResource, DeleteParams, DynamicObject, Patch, PatchParams, PostParams};
use kube::core::GroupVersionKind;
use serde_json::{Value, json};

use super::probe::ENROLLED;
use super::reword;
use crate::world::World;
use crate::world::approvals::{ROLE, adopt, role, roles, run};

/// Where the ConfigMap is.
const NAMESPACE: &str = "default";

/// The name of the ConfigMap, and of the custom resource.
const NAME: &str = "cluster";

/// What the parameters are kept in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Kind {
    /// A built-in type.
    ConfigMap,
    /// A type of Weir's own.
    CustomResource,
    /// No object of its own: annotations of the pod's namespace, which API servers watch anyway.
    Namespace,
    /// No parameters: a role, of an account that nobody uses, whose rights are the approvals.
    Role,
}

impl Kind {
    /// Creates the definition or the namespace, if one is needed, the policy, the bindings, and
    /// parameters that are not adopted.
    pub(super) async fn install(self, world: &World) -> Result<()> {
        match self {
            Self::ConfigMap | Self::Namespace => {}
            Self::CustomResource => {
                world.apply(include_str!("valve.yaml")).await?;
                let definition = "crd/valves.measured.weir.dev";
                world
                    .kubectl(&["wait", "--for=condition=Established", definition])
                    .await?;
            }
            Self::Role => {
                world
                    .apply(include_str!("../../../deploy/namespace.yaml"))
                    .await?;
                world
                    .apply(include_str!("../../../deploy/valve.yaml"))
                    .await?;
            }
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
                    "metadata": { "name": NAME },
                    "data": { "adopted": "true" },
                }))?;
                config_maps(world)
                    .create(&PostParams::default(), &map)
                    .await?;
            }
            Self::Namespace => annotate(world, reword::ADOPTED, json!("true")).await?,
            Self::Role => {
                let role = role(&rules(None))?;
                roles(&world.client())
                    .create(&PostParams::default(), &role)
                    .await?;
            }
            Self::CustomResource => {
                let valve = json!({ "adopted": true, "approved": {} });
                let valve = DynamicObject::new(NAME, &valves()).data(json!({ "spec": valve }));
                custom_resources(world)
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
                config_maps(world).patch(NAME, &parameters, &patch).await?;
            }
            Self::Namespace => annotate(world, &reword::annotation(key), note).await?,
            Self::Role => {
                let approved = (!note.is_null()).then_some(key);
                let patch = Patch::Merge(json!({ "rules": rules(approved) }));
                roles(&world.client())
                    .patch(ROLE, &parameters, &patch)
                    .await?;
            }
            Self::CustomResource => {
                let patch = Patch::Merge(json!({ "spec": { "approved": { key: note } } }));
                custom_resources(world)
                    .patch(NAME, &parameters, &patch)
                    .await?;
            }
        }
        Ok(())
    }

    /// Creates the bindings.
    pub(super) async fn bind(self, world: &World) -> Result<()> {
        for mut binding in shipped_bindings()? {
            let spec = binding.spec.as_mut().context("a binding has a spec")?;
            spec.param_ref = self.param_ref();
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

    /// Where the policy finds its parameters, if it has any.
    fn param_ref(self) -> Option<ParamRef> {
        let namespace = match self {
            Self::ConfigMap => Some(NAMESPACE.to_owned()),
            Self::CustomResource => None,
            Self::Namespace | Self::Role => return None,
        };
        Some(ParamRef {
            name: Some(NAME.to_owned()),
            namespace,
            // No parameters, no gating.
            parameter_not_found_action: Some("Allow".to_owned()),
            ..ParamRef::default()
        })
    }

    /// The policy that ships, reading this kind.
    fn policy(self) -> Result<MutatingAdmissionPolicy> {
        let mut policy: MutatingAdmissionPolicy =
            serde_saphyr::from_str(include_str!("../../../deploy/gate-policy.yaml"))?;
        let spec = policy.spec.as_mut().context("the policy has a spec")?;
        match self {
            Self::ConfigMap => reword::for_config_map(spec)?,
            Self::CustomResource => reword::for_custom_resource(spec)?,
            Self::Namespace => reword::for_namespace(spec)?,
            Self::Role => {}
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

/// What the account may do if this revision is approved.
fn rules(approved: Option<&str>) -> Vec<Value> {
    vec![run(&[approved.unwrap_or("none")]), adopt()]
}

fn valves() -> ApiResource {
    let kind = GroupVersionKind::gvk("measured.weir.dev", "v1", "Valve");
    ApiResource::from_gvk(&kind)
}

fn custom_resources(world: &World) -> Api<DynamicObject> {
    Api::all_with(world.client(), &valves())
}

fn config_maps(world: &World) -> Api<ConfigMap> {
    Api::namespaced(world.client(), NAMESPACE)
}

fn bindings(world: &World) -> Api<MutatingAdmissionPolicyBinding> {
    Api::all(world.client())
}
