//! The steps, in the order in which they are safe.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::MutatingAdmissionPolicyBinding, coordination::v1::Lease,
    flowcontrol::v1::FlowSchema, rbac::v1::Role,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, PatchParams},
};
use serde::de::DeserializeOwned;

use super::{Removal, UninstallArgs, UninstallError, held::in_the_way};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy, SINGLETON},
    client::{chain, is_missing, list_all},
    clock::Clock,
    meter,
    valve::{
        NAMESPACE, ROLE, gate,
        gates::{self, Which},
    },
};

/// The Lease that probes read and write.
const PROBE_LEASE: &str = "weir-probe";
/// The name under which its writes are recorded.
const MANAGER: &str = "weir-uninstall";

/// All that the steps need.
pub(super) struct Steps<'a> {
    pub(super) client: Client,
    pub(super) releases: Client,
    pub(super) clock: Clock,
    /// When it began, by the clock.
    pub(super) begun: Duration,
    pub(super) args: &'a UninstallArgs,
}

impl Steps<'_> {
    /// Takes them.
    pub(super) async fn take(&self) -> Result<Removal, UninstallError> {
        self.nothing_held().await?;
        let mut removal = Removal::default();
        let operator = self.end_operator(&mut removal).await?;
        // Once more: the operator has judged until its end, and from here on nobody makes records.
        let rollouts = match self.nothing_held().await {
            Ok(rollouts) => rollouts,
            Err(error) => return Err(self.undone(operator.as_ref(), error).await),
        };
        self.open_valve(&mut removal).await;
        let is_open = removal.failed.is_empty();
        let is_free = self.free_pods(&mut removal).await;
        self.remove_meters(&mut removal).await;
        if is_open && is_free {
            self.remove_records(&rollouts, &mut removal).await;
        } else {
            let why =
                "GuardedRollouts, which say what was held, and Leases: they go with the last gate";
            removal.left.push(why.to_owned());
        }
        self.tell_what_is_left(&mut removal).await;
        Ok(removal)
    }

    /// All records, if nothing is held that may not be let through.
    async fn nothing_held(&self) -> Result<Vec<GuardedRollout>, UninstallError> {
        let rollouts: Vec<GuardedRollout> =
            self.all(ListParams::default(), "GuardedRollouts").await?;
        if self.args.release_held {
            return Ok(rollouts);
        }
        let gated = gates::gated(&self.client, Which::All).await;
        let gated = gated.map_err(|source| UninstallError::Read {
            what: "gated pods",
            source,
        })?;
        let held = in_the_way(&rollouts, &gated);
        if held.is_empty() {
            Ok(rollouts)
        } else {
            let advice = self.args.advice.clone();
            Err(UninstallError::Held { held, advice })
        }
    }

    /// Whether there is no time left.
    pub(super) fn is_over(&self) -> bool {
        let spent = self.clock.elapsed().saturating_sub(self.begun);
        spent >= Duration::from_secs(self.args.timeout)
    }

    /// From here on nothing is gated at birth: without the Role at once, without bindings for good.
    async fn open_valve(&self, removal: &mut Removal) {
        for name in [gate::NAMESPACES_BINDING, gate::TEMPLATES_BINDING] {
            let api: Api<MutatingAdmissionPolicyBinding> = Api::all(self.client.clone());
            self.delete(&api, name, "MutatingAdmissionPolicyBinding", removal)
                .await;
        }
        let api: Api<Role> = Api::namespaced(self.client.clone(), NAMESPACE);
        self.delete(&api, ROLE, "Role", removal).await;
    }

    async fn remove_meters(&self, removal: &mut Removal) {
        let (label, value) = meter::MANAGED_BY;
        let ours = ListParams::default().labels(&format!("{label}={value}"));
        let schemas: Vec<FlowSchema> = match self.all(ours, "FlowSchemas").await {
            Ok(schemas) => schemas,
            Err(error) => return removal.failed.push(chain(&error)),
        };
        let api: Api<FlowSchema> = Api::all(self.client.clone());
        for name in schemas
            .into_iter()
            .filter_map(|schema| schema.metadata.name)
        {
            // Somebody else's may bear the label by mistake, and Weir's account may delete no other.
            if name.starts_with(meter::PREFIX) {
                self.delete(&api, &name, "FlowSchema", removal).await;
            }
        }
    }

    async fn remove_records(&self, rollouts: &[GuardedRollout], removal: &mut Removal) {
        for rollout in rollouts {
            let meta = &rollout.metadata;
            let namespace = meta.namespace.as_deref().unwrap_or_default();
            let api: Api<GuardedRollout> = Api::namespaced(self.client.clone(), namespace);
            let name = meta.name.as_deref().unwrap_or_default();
            let what = format!("GuardedRollout {namespace}/");
            self.delete(&api, name, &what, removal).await;
        }
        let api: Api<ControlPlane> = Api::all(self.client.clone());
        self.delete(&api, SINGLETON, "ControlPlane", removal).await;
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.args.namespace);
        for name in [self.args.lease_name.as_str(), PROBE_LEASE] {
            self.delete(&api, name, "Lease", removal).await;
        }
    }

    async fn tell_what_is_left(&self, removal: &mut Removal) {
        let policies: Result<Vec<RolloutPolicy>, _> =
            self.all(ListParams::default(), "RolloutPolicies").await;
        let number = policies.map(|policies| policies.len()).unwrap_or_default();
        if number > 0 {
            let whose = "whoever wrote them; they go with the kind";
            removal
                .left
                .push(format!("{number} RolloutPolicies: {whose}"));
        }
        removal.left.extend([
            "kinds, admission policies, roles and namespaces: whoever applied them (Helm, or \
             `kubectl delete -f deploy/ -f crds/`)"
                .to_owned(),
            "labels weir.dev/guard, and weir.dev/enrolled on pods that were gated: without Weir they mean \
             nothing"
                .to_owned(),
        ]);
    }

    /// Deletes one object. That it is not there is as good.
    async fn delete<K>(&self, api: &Api<K>, name: &str, kind: &str, removal: &mut Removal)
    where
        K: Resource + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let space = if kind.ends_with('/') { "" } else { " " };
        match api.delete(name, &DeleteParams::default()).await {
            Ok(_) => removal.removed.push(format!("{kind}{space}{name}")),
            Err(error) if is_missing(&error) => {}
            Err(error) => {
                let why = chain(&error);
                removal.failed.push(format!("{kind}{space}{name}: {why}"));
            }
        }
    }

    /// All objects of a kind, page by page; none if there is no such kind.
    async fn all<K>(&self, params: ListParams, what: &'static str) -> Result<Vec<K>, UninstallError>
    where
        K: Resource<DynamicType = ()> + Clone + DeserializeOwned + std::fmt::Debug,
    {
        let api: Api<K> = Api::all(self.client.clone());
        match list_all(&api, params).await {
            Err(error) if is_missing(&error) => Ok(Vec::new()),
            list => list.map_err(|source| UninstallError::Read { what, source }),
        }
    }
}

/// How its writes are made.
pub(super) fn by_us() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
