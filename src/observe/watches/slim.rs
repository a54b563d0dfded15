//! Turns one object as an API server sends it into its metadata and the few fields that are kept.
//!
//! An object that does not decode must neither stop its watch nor linger as it was before, so the
//! name is read apart from the rest: what is wrong with the rest is a value.

use std::{borrow::Cow, collections::BTreeMap, fmt};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{ObjectMeta, OwnerReference, Time};
use kube::{Resource, core::DynamicResourceScope};
use serde::{
    Deserialize, Deserializer,
    de::{DeserializeOwned, Error as _},
};
use serde_json::value::RawValue;
use weir_core::time::Moment;

/// How the objects of one watch are read, and what is kept of each.
pub(in crate::observe) trait Keep: Send + Sync + 'static {
    /// The kind that is watched.
    type Kind: Resource<DynamicType = ()>;
    /// The fields that are decoded, besides the metadata.
    type Body: DeserializeOwned + Clone + fmt::Debug + Send + Sync + 'static;
    /// What rows are kept by.
    type Key: Ord + Clone + fmt::Display + Send + Sync + 'static;
    /// What is kept of each object.
    type Row: Clone + PartialEq + Send + Sync + 'static;

    /// The key of an object.
    fn key(meta: &ObjectMeta) -> Self::Key;

    /// What is kept of an object: nothing if it is of no interest. An error says what in it makes
    /// no sense.
    fn row(
        &self,
        meta: &ObjectMeta,
        body: Self::Body,
        seen: Seen<'_, Self::Row>,
    ) -> Result<Option<Self::Row>, String>;

    /// What a row becomes by the mere passing of time, if it does.
    fn aged(&self, _row: &Self::Row, _now: Moment) -> Option<Self::Row> {
        None
    }
}

/// When an object was seen, and what it was before.
#[derive(Debug, Clone, Copy)]
pub(in crate::observe) struct Seen<'a, R> {
    pub(in crate::observe) now: Moment,
    pub(in crate::observe) before: Option<&'a R>,
}

/// An object of which only the metadata and [`Keep::Body`] are decoded.
pub(in crate::observe) struct Slim<K: Keep> {
    pub(in crate::observe) meta: ObjectMeta,
    pub(in crate::observe) body: Result<K::Body, String>,
}

/// The metadata that anything here asks for; `managedFields`, often the larger half, is skipped.
#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct Metadata {
    name: String,
    namespace: Option<String>,
    uid: Option<String>,
    resource_version: Option<String>,
    generation: Option<i64>,
    creation_timestamp: Option<Time>,
    deletion_timestamp: Option<Time>,
    labels: Option<BTreeMap<String, String>>,
    annotations: Option<BTreeMap<String, String>>,
    owner_references: Option<Vec<OwnerReference>>,
}

#[derive(Deserialize)]
struct Head {
    metadata: Metadata,
}

impl<'de, K: Keep> Deserialize<'de> for Slim<K> {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let raw = Box::<RawValue>::deserialize(deserializer)?;
        let Head { metadata } = serde_json::from_str(raw.get()).map_err(D::Error::custom)?;
        Ok(Self {
            meta: metadata.into(),
            body: serde_json::from_str(raw.get()).map_err(|error| error.to_string()),
        })
    }
}

impl From<Metadata> for ObjectMeta {
    fn from(read: Metadata) -> Self {
        Self {
            name: Some(read.name),
            namespace: read.namespace,
            uid: read.uid,
            resource_version: read.resource_version,
            generation: read.generation,
            creation_timestamp: read.creation_timestamp,
            deletion_timestamp: read.deletion_timestamp,
            labels: read.labels,
            annotations: read.annotations,
            owner_references: read.owner_references,
            ..Self::default()
        }
    }
}

impl<K: Keep> Clone for Slim<K> {
    fn clone(&self) -> Self {
        Self {
            meta: self.meta.clone(),
            body: self.body.clone(),
        }
    }
}

impl<K: Keep> fmt::Debug for Slim<K> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Slim")
            .field("name", &self.meta.name)
            .field("body", &self.body)
            .finish_non_exhaustive()
    }
}

impl<K: Keep> Resource for Slim<K> {
    type DynamicType = ();
    // Whether a watch is of one namespace is chosen at run time.
    type Scope = DynamicResourceScope;

    fn metadata_api() -> bool {
        K::Kind::metadata_api()
    }

    fn kind(dynamic: &()) -> Cow<'_, str> {
        K::Kind::kind(dynamic)
    }

    fn group(dynamic: &()) -> Cow<'_, str> {
        K::Kind::group(dynamic)
    }

    fn version(dynamic: &()) -> Cow<'_, str> {
        K::Kind::version(dynamic)
    }

    fn plural(dynamic: &()) -> Cow<'_, str> {
        K::Kind::plural(dynamic)
    }

    fn meta(&self) -> &ObjectMeta {
        &self.meta
    }

    fn meta_mut(&mut self) -> &mut ObjectMeta {
        &mut self.meta
    }
}
