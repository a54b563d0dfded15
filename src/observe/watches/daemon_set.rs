//! DaemonSet → [`DaemonSetView`], as yet without its revisions.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{HostPathVolumeSource, PodSpec, ProjectedVolumeSource, Toleration, Volume},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::core::Selector;
use serde::{Deserialize, Deserializer, de::Error as _};
use serde_json::Value;

use super::slim::{Keep, Seen};
use crate::{
    observe::cluster::{DaemonSetView, WorkloadKey},
    template,
};

/// How DaemonSets are read.
pub(in crate::observe) struct DaemonSets;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    selector: LabelSelector,
    template: Hashed,
    #[serde(default)]
    update_strategy: Strategy,
}

/// The template, read as a whole only for its hash.
#[derive(Debug, Clone)]
struct Hashed {
    template: Template,
    hash: String,
}

#[derive(Debug, Clone, Deserialize)]
struct Template {
    #[serde(default)]
    metadata: TemplateMeta,
    #[serde(default)]
    spec: TemplateSpec,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct TemplateMeta {
    labels: Option<BTreeMap<String, String>>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct TemplateSpec {
    priority_class_name: Option<String>,
    service_account_name: Option<String>,
    automount_service_account_token: Option<bool>,
    tolerations: Option<Vec<Toleration>>,
    volumes: Option<Vec<SlimVolume>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct SlimVolume {
    name: String,
    host_path: Option<HostPathVolumeSource>,
    projected: Option<ProjectedVolumeSource>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Strategy {
    r#type: Option<String>,
    rolling_update: Option<RollingUpdate>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct RollingUpdate {
    max_unavailable: Option<IntOrString>,
    max_surge: Option<IntOrString>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    #[serde(default)]
    observed_generation: i64,
    #[serde(default)]
    desired_number_scheduled: u32,
    #[serde(default)]
    updated_number_scheduled: u32,
}

impl<'de> Deserialize<'de> for Hashed {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let whole = Value::deserialize(deserializer)?;
        Ok(Self {
            hash: template::hash(&whole),
            template: Template::deserialize(whole).map_err(D::Error::custom)?,
        })
    }
}

impl Keep for DaemonSets {
    type Kind = DaemonSet;
    type Body = Body;
    type Key = WorkloadKey;
    type Row = DaemonSetView;

    fn key(meta: &ObjectMeta) -> WorkloadKey {
        WorkloadKey::of(meta)
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        Body { spec, status }: Body,
        _: Seen<'_, DaemonSetView>,
    ) -> Result<Option<DaemonSetView>, String> {
        let selector = Selector::try_from(spec.selector).map_err(|error| error.to_string())?;
        let desired = status.desired_number_scheduled;
        let Hashed { template, hash } = spec.template;
        Ok(Some(DaemonSetView {
            uid: meta.uid.clone().ok_or("it has no uid")?,
            generation: meta.generation.unwrap_or(0),
            observed_generation: status.observed_generation,
            desired,
            updated: status.updated_number_scheduled,
            max_unavailable: max_unavailable(&spec.update_strategy, desired)?,
            template_labels: template.metadata.labels.unwrap_or_default(),
            template_facts: template.spec.into(),
            template_hash: hash,
            selector: selector.to_string(),
            revision: None,
            revisions: Vec::new(),
            deleting: meta.deletion_timestamp.is_some(),
        }))
    }
}

/// As the DaemonSet controller counts it: percentages are of the nodes that should run it and are
/// rounded up; nothing unavailable and no surge either would be no update at all, and means one.
fn max_unavailable(strategy: &Strategy, desired: u32) -> Result<u32, String> {
    if strategy.r#type.as_deref() == Some("OnDelete") {
        return Ok(0);
    }
    let rolling = strategy.rolling_update.clone().unwrap_or_default();
    let unavailable = scaled(
        rolling
            .max_unavailable
            .as_ref()
            .unwrap_or(&IntOrString::Int(1)),
        desired,
    )?;
    let surge = scaled(
        rolling.max_surge.as_ref().unwrap_or(&IntOrString::Int(0)),
        desired,
    )?;
    Ok(if unavailable == 0 && surge == 0 {
        1
    } else {
        unavailable
    })
}

fn scaled(value: &IntOrString, of: u32) -> Result<u32, String> {
    let wrong = || format!("{value:?} is neither a number nor a percentage");
    match value {
        IntOrString::Int(number) => u32::try_from(*number).map_err(|_| wrong()),
        IntOrString::String(text) => {
            let percent: u32 = text
                .strip_suffix('%')
                .and_then(|digits| digits.parse().ok())
                .ok_or_else(wrong)?;
            let scaled = (u64::from(percent) * u64::from(of)).div_ceil(100);
            u32::try_from(scaled).map_err(|_| wrong())
        }
    }
}

impl From<TemplateSpec> for PodSpec {
    fn from(read: TemplateSpec) -> Self {
        let volumes = read.volumes.map(|volumes| {
            let volumes = volumes.into_iter().map(Volume::from);
            volumes
                .filter(|volume| volume.host_path.is_some() || volume.projected.is_some())
                .collect()
        });
        Self {
            priority_class_name: read.priority_class_name,
            service_account_name: read.service_account_name,
            automount_service_account_token: read.automount_service_account_token,
            tolerations: read.tolerations,
            volumes,
            ..Self::default()
        }
    }
}

impl From<SlimVolume> for Volume {
    fn from(read: SlimVolume) -> Self {
        Self {
            name: read.name,
            host_path: read.host_path,
            projected: read.projected.and_then(tokens),
            ..Self::default()
        }
    }
}

/// Of what is projected only tokens of the account, if there are any.
fn tokens(mut projected: ProjectedVolumeSource) -> Option<ProjectedVolumeSource> {
    let sources = projected.sources.take()?.into_iter();
    let tokens: Vec<_> = sources
        .filter(|source| source.service_account_token.is_some())
        .collect();
    projected.sources = Some(tokens).filter(|tokens| !tokens.is_empty());
    projected.sources.is_some().then_some(projected)
}

#[cfg(test)]
mod tests;
