//! The steps, in the order in which they are safe.

use std::time::Duration;

use k8s_openapi::api::{
    admissionregistration::v1::MutatingAdmissionPolicyBinding, apps::v1::Deployment,
    coordination::v1::Lease, flowcontrol::v1::FlowSchema, rbac::v1::Role,
};
use kube::{
    Api, Client, Resource,
    api::{DeleteParams, ListParams, Patch, PatchParams},
};
use serde::de::DeserializeOwned;
use serde_json::json;
use weir_core::time::Span;

use super::{ENDS_WITHIN, Removal, UninstallArgs, UninstallError};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy, SINGLETON, State, times::moment},
    client::chain,
    clock::Clock,
    meter,
    valve::{
        NAMESPACE, ROLE, gate,
        gates::{self, Which},
    },
};

/// Objects of one page.
const PAGE: u32 = 500;
/// A Lease without a duration is Weir's own: forty seconds.
const LEASE_SECONDS: i32 = 40;
/// The Lease that probes read and write.
const PROBE_LEASE: &str = "weir-probe";
/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// Looks for gated pods. Two in a row without one end it: pods that were born just before the end of the
/// Role may show up late.
const LOOKS: u32 = 30;
/// The name under which its writes are recorded.
const MANAGER: &str = "weir-uninstall";

/// All that the steps need.
pub(super) struct Steps<'a> {
    pub(super) client: Client,
    pub(super) releases: Client,
    pub(super) clock: Clock,
    pub(super) args: &'a UninstallArgs,
}

impl Steps<'_> {
    /// Takes them.
    pub(super) async fn take(&self) -> Result<Removal, UninstallError> {
        let rollouts: Vec<GuardedRollout> =
            self.all(ListParams::default(), "GuardedRollouts").await?;
        let held: Vec<String> = rollouts.iter().filter_map(held).collect();
        if !held.is_empty() && !self.args.release_held {
            return Err(UninstallError::Held { held });
        }
        let mut removal = Removal::default();
        self.end_operator(&mut removal).await?;
        self.open_valve(&mut removal).await;
        self.remove_meters(&mut removal).await;
        self.free_pods(&mut removal).await;
        self.remove_records(&rollouts, &mut removal).await;
        self.tell_what_is_left(&mut removal).await;
        Ok(removal)
    }

    /// Sees to it that nobody makes again what is removed.
    async fn end_operator(&self, removal: &mut Removal) -> Result<(), UninstallError> {
        let Some(name) = &self.args.deployment else {
            return match self.leader().await? {
                Some(holder) => Err(UninstallError::AtWork { holder }),
                None => Ok(()),
            };
        };
        let read = |source| UninstallError::Read {
            what: "the operator's Deployment",
            source,
        };
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let none = json!({ "spec": { "replicas": 0 } });
        match api.patch_scale(name, &by_us(), &Patch::Merge(&none)).await {
            Ok(_) => {}
            // It is gone already.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(source) => return Err(read(source)),
        }
        let begun = self.clock.elapsed();
        loop {
            let found = api.get_opt(name).await.map_err(read)?;
            let status = found
                .and_then(|deployment| deployment.status)
                .unwrap_or_default();
            let replicas = status.replicas.unwrap_or_default();
            if replicas == 0 && status.terminating_replicas.unwrap_or_default() == 0 {
                removal
                    .removed
                    .push(format!("all replicas of Deployment {name}"));
                return Ok(());
            }
            if self.clock.elapsed().saturating_sub(begun) > ENDS_WITHIN {
                let namespace = self.args.namespace.clone();
                return Err(UninstallError::Lingers { namespace });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Who leads, if somebody does.
    async fn leader(&self) -> Result<Option<String>, UninstallError> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let lease = api.get_opt(&self.args.lease_name).await;
        let lease = lease.map_err(|source| UninstallError::Read {
            what: "Weir's lease",
            source,
        })?;
        let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
        let seconds = spec.lease_duration_seconds.unwrap_or(LEASE_SECONDS);
        let lasts = Span::from_secs(u64::try_from(seconds).unwrap_or_default());
        let renewed = spec.renew_time.map(|time| moment(time.0));
        let is_fresh = renewed.is_some_and(|renewed| self.clock.now().since(renewed) <= lasts);
        Ok(spec
            .holder_identity
            .filter(|name| is_fresh && !name.is_empty()))
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
            // Somebody else's may bear the label by mistake.
            if name.starts_with("weir-") {
                self.delete(&api, &name, "FlowSchema", removal).await;
            }
        }
    }

    async fn free_pods(&self, removal: &mut Removal) {
        let (mut released, mut calm) = (0, 0);
        let mut refused = Vec::new();
        for _ in 0..LOOKS {
            let found = match gates::gated(&self.client, Which::All).await {
                Ok(found) => found,
                Err(error) => {
                    refused = vec![format!("gates of pods: {}", chain(&error))];
                    break;
                }
            };
            calm = if found.is_empty() { calm + 1 } else { 0 };
            if calm == 2 {
                refused.clear();
                break;
            }
            let freed = gates::remove(&self.releases, found, self.args.rate, &by_us()).await;
            released += freed.released;
            let told = freed.refused.iter();
            refused = told
                .map(|(pod, error)| {
                    let (namespace, name) = (&pod.namespace, &pod.name);
                    format!("the gate of pod {namespace}/{name}: {}", chain(error))
                })
                .collect();
            tokio::time::sleep(LOOK_EVERY).await;
        }
        removal
            .removed
            .push(format!("the gates of {released} pods"));
        removal.failed.extend(refused);
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
            Err(kube::Error::Api(status)) if status.code == 404 => {}
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
        let mut page = params.limit(PAGE);
        let mut found = Vec::new();
        loop {
            let list = match api.list(&page).await {
                Err(kube::Error::Api(status)) if status.code == 404 => return Ok(found),
                list => list.map_err(|source| UninstallError::Read { what, source })?,
            };
            found.extend(list.items);
            match list.metadata.continue_.filter(|token| !token.is_empty()) {
                Some(token) => page = page.continue_token(&token),
                None => return Ok(found),
            }
        }
    }
}

/// What holds a rollout at the valve, if something does.
fn held(rollout: &GuardedRollout) -> Option<String> {
    let status = rollout.status.as_ref()?;
    let gates = status
        .mode
        .is_none_or(|mode| mode == crate::api::Mode::Enforce);
    let holds = matches!(status.state, Some(State::Held | State::Paused));
    let meta = &rollout.metadata;
    let namespace = meta.namespace.as_deref().unwrap_or_default();
    let name = meta.name.as_deref().unwrap_or_default();
    let by = status.held_by.as_deref().unwrap_or("a hold");
    (gates && holds).then(|| format!("{namespace}/{name} by {by}"))
}

fn by_us() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}
