//! Weir's own kinds, which are kept whole but for what the API server notes on them for itself.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use kube::Resource;

use super::slim::{Keep, Seen};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy, Valve},
    observe::cluster::WorkloadKey,
};

/// How RolloutPolicies are read.
pub(in crate::observe) struct Policies;

/// How GuardedRollouts are read.
pub(in crate::observe) struct Rollouts;

/// How the Valve is read.
pub(in crate::observe) struct Valves;

/// How the ControlPlane is read.
pub(in crate::observe) struct ControlPlanes;

impl Keep for Policies {
    type Kind = RolloutPolicy;
    type Body = RolloutPolicy;
    type Key = String;
    type Row = RolloutPolicy;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: RolloutPolicy,
        _: Seen<'_, RolloutPolicy>,
    ) -> Result<Option<RolloutPolicy>, String> {
        Ok(Some(plain(body)))
    }
}

impl Keep for Rollouts {
    type Kind = GuardedRollout;
    type Body = GuardedRollout;
    type Key = WorkloadKey;
    type Row = GuardedRollout;

    fn key(meta: &ObjectMeta) -> WorkloadKey {
        WorkloadKey::of(meta)
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: GuardedRollout,
        _: Seen<'_, GuardedRollout>,
    ) -> Result<Option<GuardedRollout>, String> {
        Ok(Some(plain(body)))
    }
}

impl Keep for Valves {
    type Kind = Valve;
    type Body = Valve;
    type Key = String;
    type Row = Valve;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: Valve,
        _: Seen<'_, Valve>,
    ) -> Result<Option<Valve>, String> {
        Ok(Some(plain(body)))
    }
}

impl Keep for ControlPlanes {
    type Kind = ControlPlane;
    type Body = ControlPlane;
    type Key = String;
    type Row = ControlPlane;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        _: &ObjectMeta,
        body: ControlPlane,
        _: Seen<'_, ControlPlane>,
    ) -> Result<Option<ControlPlane>, String> {
        Ok(Some(plain(body)))
    }
}

/// Without `managedFields`, often the larger half of an object, which nothing here asks for.
fn plain<R: Resource>(mut object: R) -> R {
    object.meta_mut().managed_fields = None;
    object
}
