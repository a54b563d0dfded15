//! DaemonSet → [`DaemonSetView`], as yet without its revisions.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        apps::v1::DaemonSet,
        core::v1::{HostPathVolumeSource, PodSpec, Toleration, Volume},
    },
    apimachinery::pkg::{
        apis::meta::v1::{LabelSelector, ObjectMeta},
        util::intstr::IntOrString,
    },
};
use kube::core::Selector;
use serde::Deserialize;

use super::slim::{Keep, Seen};
use crate::observe::cluster::{DaemonSetView, WorkloadKey};

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
    template: Template,
    #[serde(default)]
    update_strategy: Strategy,
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
    tolerations: Option<Vec<Toleration>>,
    volumes: Option<Vec<HostVolume>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct HostVolume {
    name: String,
    host_path: Option<HostPathVolumeSource>,
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
        Ok(Some(DaemonSetView {
            uid: meta.uid.clone().ok_or("it has no uid")?,
            generation: meta.generation.unwrap_or(0),
            observed_generation: status.observed_generation,
            desired,
            updated: status.updated_number_scheduled,
            max_unavailable: max_unavailable(&spec.update_strategy, desired)?,
            template_labels: spec.template.metadata.labels.unwrap_or_default(),
            template_facts: spec.template.spec.into(),
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
            let on_host = volumes
                .into_iter()
                .filter(|volume| volume.host_path.is_some());
            on_host.map(Volume::from).collect()
        });
        Self {
            priority_class_name: read.priority_class_name,
            tolerations: read.tolerations,
            volumes,
            ..Self::default()
        }
    }
}

impl From<HostVolume> for Volume {
    fn from(HostVolume { name, host_path }: HostVolume) -> Self {
        Self {
            name,
            host_path,
            ..Self::default()
        }
    }
}

#[cfg(test)]
mod tests;
