//! The forecast in a GuardedRollout's status: what pods cost, what full width would, and what that
//! was made from. Figures are rounded to three digits, so that a status changes only when they do.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir_core::forecast;

use super::bounds;

/// What the rollout is forecast to cost at full width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ForecastStatus {
    /// Full width: pods that it was made for.
    pub full_width: u32,
    /// The share of a capacity that a rollout may bring its use to.
    #[schemars(range(min = 0, max = 1))]
    pub budget: f64,
    /// Each resource of the API server that would be busiest with one missing; CPU first.
    #[schemars(
        length(max = bounds::RESOURCES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["resource"])
    )]
    pub resources: Vec<ResourceStatus>,
    /// What it would cost if all pods started at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unison: Option<UnisonStatus>,
    /// What was seen, by width: at most so many widths, evenly spread.
    #[schemars(length(max = bounds::POINTS), extend("x-kubernetes-list-type" = "atomic"))]
    pub points: Vec<PointStatus>,
    /// What was left out of the fit, by why.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = bounds::DROPPED), extend("x-kubernetes-list-type" = "atomic"))]
    pub dropped: Vec<DroppedStatus>,
    /// CPU seconds for each second that requests of the account ran.
    pub kappa: EstimateStatus,
    /// Whether the account's requests were counted apart from all others'.
    pub metered: bool,
    /// What counted them, or why nothing does.
    #[schemars(length(max = bounds::TEXT))]
    pub meter: String,
    /// API servers that shared the load.
    pub servers: u32,
    /// What this was measured on, so that it can be used elsewhere.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub record: Option<RecordStatus>,
}

/// What a forecast was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RecordStatus {
    /// The content hash of the pod template, such as `sha256:…`: what is only a default does not
    /// change it.
    #[schemars(length(min = 1, max = bounds::HASH))]
    pub template: String,
    /// The Weir that measured.
    #[schemars(length(max = bounds::WORD))]
    pub weir: String,
    /// The API servers' version, such as `v1.36.3`, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::WORD))]
    pub kubernetes: Option<String>,
    /// Pods in the cluster, gated ones included, once known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
    /// The least width that was seen.
    pub least_width: u32,
    /// The greatest width that was seen: beyond it the fit is extrapolated.
    pub most_width: u32,
}

/// A figure with its interval (95 %).
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct EstimateStatus {
    /// The lower end.
    pub low: f64,
    /// The most likely.
    pub mid: f64,
    /// The upper end; absent if nothing bounds it yet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub high: Option<f64>,
}

/// What is counted of an API server, and may run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Resource {
    /// CPU, in cores.
    Cpu,
    /// Seats of the account's priority level in use, on average.
    Seats,
    /// Resident memory, in bytes.
    Memory,
    /// Requests to etcd per second.
    EtcdRequests,
    /// Bytes of responses per second.
    ResponseBytes,
    /// Open watches.
    Watches,
}

impl From<forecast::Resource> for Resource {
    fn from(resource: forecast::Resource) -> Self {
        match resource {
            forecast::Resource::Cpu => Self::Cpu,
            forecast::Resource::Seats => Self::Seats,
            forecast::Resource::Memory => Self::Memory,
            forecast::Resource::EtcdRequests => Self::EtcdRequests,
            forecast::Resource::ResponseBytes => Self::ResponseBytes,
            forecast::Resource::Watches => Self::Watches,
        }
    }
}

impl From<Resource> for forecast::Resource {
    fn from(resource: Resource) -> Self {
        match resource {
            Resource::Cpu => Self::Cpu,
            Resource::Seats => Self::Seats,
            Resource::Memory => Self::Memory,
            Resource::EtcdRequests => Self::EtcdRequests,
            Resource::ResponseBytes => Self::ResponseBytes,
            Resource::Watches => Self::Watches,
        }
    }
}

/// One resource's use.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ResourceStatus {
    /// Which.
    pub resource: Resource,
    /// What is used without the rollout.
    pub base: f64,
    /// What the rollout uses at any width: a leader, for example.
    pub fixed: EstimateStatus,
    /// What each pod adds.
    pub per_pod: EstimateStatus,
    /// All that would be used at full width, `base` included.
    pub at_full: EstimateStatus,
    /// All that there is, where it is known or stated.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
    /// The number of pods that uses up the capacity, if any ever does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub knee: Option<EstimateStatus>,
}

/// What it would cost if all pods started at once.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct UnisonStatus {
    /// CPU time of one pod's start, in seconds.
    pub start: EstimateStatus,
    /// How long the API servers would need to serve all of them, in seconds.
    pub seconds: EstimateStatus,
    /// How long they may, in seconds.
    pub budget: f64,
    /// Waves whose start was seen.
    #[serde(default)]
    pub waves: u32,
}

/// The mean of what was seen at one width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct PointStatus {
    /// Pods out.
    pub width: u32,
    /// CPU of all API servers, in cores.
    pub cpu_cores: f64,
    /// What was counted of the rollout's account, as cores; not stated where no meter counted it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub own_cores: Option<f64>,
    /// CPU that nobody's requests explain, in cores; stated with `ownCores`. Less than none where requests
    /// ran for longer than they cost.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unexplained_cores: Option<f64>,
    /// Open watches, of everybody; stated with `ownCores`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub watches: Option<f64>,
    /// Windows that it is the mean of.
    pub windows: u32,
}

/// Windows that were left out for one reason.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DroppedStatus {
    /// Why.
    #[schemars(length(min = 1, max = 64))]
    pub why: String,
    /// How many.
    pub windows: u32,
}
