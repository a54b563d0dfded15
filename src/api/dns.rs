//! How fresh DNS is, as the ControlPlane's status tells it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounds, schema};

/// How fresh DNS is, as of the last change.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsStatus {
    /// Why it cannot be measured, if it cannot: then nothing is held for it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::TEXT))]
    pub not_measured: Option<String>,
    /// Each server that is asked.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = bounds::LAYERS), extend("x-kubernetes-list-type" = "atomic"))]
    pub layers: Vec<DnsLayerStatus>,
}

/// One DNS server.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DnsLayerStatus {
    /// What it is known by: a pod's name, a Service's or "resolver", and an address.
    #[schemars(length(min = 1, max = bounds::WORD))]
    pub name: String,
    /// How it is asked.
    pub role: DnsRole,
    /// How fresh what it says is.
    pub state: DnsState,
    /// What hides that it does not follow the API, while something does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DnsMask")]
    pub mask: Option<DnsMask>,
    /// When that ends, where a cache hides it: then it answers no longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub ends_at: Option<Time>,
    /// CoreDNS replicas that still know the cluster's names, where it ends when the last of them restarts.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub warm_replicas: Option<u32>,
    /// The moment of which its answers are, while they are hidden behind something.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub as_of: Option<Time>,
    /// Why nothing is known of it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::TEXT))]
    pub why: Option<String>,
}

/// How a DNS server is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsRole {
    /// One CoreDNS process, at its own address.
    Replica,
    /// The address of the Service that clients are given.
    Service,
    /// Whatever Weir's own pod is given.
    Resolver,
    /// No DNS server: the API, by what it answers.
    ApiRead,
    /// No DNS server: the API, by Weir's own watch.
    ApiWatch,
}

/// How fresh a DNS server's answers are.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsState {
    /// They follow the API.
    Fresh,
    /// They are older than they look.
    Masked,
    /// It does not answer, or not so that it could be understood.
    Unseen,
    /// It never showed the beacon, and is not missed.
    NotMeasured,
}

/// What hides that a DNS server does not follow the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsMask {
    /// A cache answers with what it was told before.
    Cache,
    /// Its watch of the API stands still, though the API does not.
    FrozenReplica,
    /// The API is silent, and it answers with what it last heard of it.
    ControlPlane,
    /// Weir's own watch of the API tells of no change, though the API takes some.
    FrozenWatch,
}
