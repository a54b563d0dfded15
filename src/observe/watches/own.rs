//! Weir's own objects: its kinds, which are kept whole but for what the API server notes on them for
//! itself, and the Role of its approvals.

use k8s_openapi::{
    api::rbac::v1::{PolicyRule, Role},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::Resource;
use serde::Deserialize;

use super::slim::{Keep, Seen};
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy},
    observe::cluster::WorkloadKey,
    valve::Standing,
};

/// How RolloutPolicies are read.
pub(in crate::observe) struct Policies;

/// How GuardedRollouts are read.
pub(in crate::observe) struct Rollouts;

/// How the Role of the approvals is read.
pub(in crate::observe) struct Approved;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Rules {
    /// API servers send `null` for none.
    rules: Option<Vec<PolicyRule>>,
}

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

impl Keep for Approved {
    type Kind = Role;
    type Body = Rules;
    type Key = String;
    type Row = Standing;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Rules,
        _: Seen<'_, Standing>,
    ) -> Result<Option<Standing>, String> {
        let rules = body.rules.unwrap_or_default();
        Ok(Some(Standing::read(meta, &rules)))
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
