//! Namespace → its labels. Only metadata is asked for.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Namespace, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use kube::core::PartialObjectMeta;
use serde::de::IgnoredAny;

use super::slim::{Keep, Seen};

/// How Namespaces are read.
pub(in crate::observe) struct Namespaces;

impl Keep for Namespaces {
    type Kind = PartialObjectMeta<Namespace>;
    type Body = IgnoredAny;
    type Key = String;
    type Row = BTreeMap<String, String>;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        _: IgnoredAny,
        _: Seen<'_, Self::Row>,
    ) -> Result<Option<Self::Row>, String> {
        Ok(Some(meta.labels.clone().unwrap_or_default()))
    }
}
