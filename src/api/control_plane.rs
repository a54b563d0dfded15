//! ControlPlane: what Weir sees of the API servers and of DNS, for people and for `kubectl weir status`.
//!
//! Written on change only: figures in it are those of the last change, the running ones are metrics.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{DnsStatus, Mode, bounds, schema};

/// Nothing is to be specified: Weir makes the one object, named `cluster`, and fills its status.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "ControlPlane",
    status = "ControlPlaneStatus",
    derive = "PartialEq",
    shortname = "cplane",
    category = "weir",
    doc = "What Weir sees of this cluster's API servers, and of its DNS.",
    validation = Rule::new("self.metadata.name == 'cluster'")
        .message("there is one ControlPlane, named `cluster`")
        .reason(Reason::FieldValueForbidden),
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether all API servers are seen freshly and none suffers",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        description = "How far Weir may go in this cluster",
        json_path = ".status.mode",
    ),
    printcolumn(
        name = "Gating",
        type_ = "string",
        description = "Whether pods of unapproved revisions come back gated; empty below Enforce",
        json_path = ".status.conditions[?(@.type==\"Gating\")].status",
    ),
    printcolumn(name = "Rollouts", type_ = "integer", json_path = ".status.rolloutsInFlight"),
    printcolumn(name = "Held", type_ = "integer", json_path = ".status.rolloutsHeld"),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
    ),
)]
pub struct ControlPlaneSpec {}

/// What Weir sees.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ControlPlaneStatus {
    /// The generation that this status was judged on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// The installation's ceiling: no workload is guarded further than this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Mode")]
    pub mode: Option<Mode>,
    /// The version of Weir that wrote this.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::WORD))]
    pub version: Option<String>,
    /// How many API server instances there should be, as the cluster or the policies in use say, if
    /// that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub expected_servers: Option<u32>,
    /// The API server instances that Weir has met.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = bounds::SERVERS), extend("x-kubernetes-list-type" = "atomic"))]
    pub servers: Vec<ServerStatus>,
    /// How fresh DNS is; absent before anybody looked.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dns: Option<DnsStatus>,
    /// Rollouts on their way to full width, held ones included.
    #[serde(default)]
    pub rollouts_in_flight: u32,
    /// Of those, how many are held.
    #[serde(default)]
    pub rollouts_held: u32,
    /// Conditions: `Ready`, `DNSFresh`, and where Weir may hold rollouts `Gating`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One API server instance, as of the last change.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct ServerStatus {
    /// `address:port` it is reached by.
    #[schemars(length(min = 1, max = bounds::WORD))]
    pub address: String,
    /// When its process started, if it says so; tells instances behind one address apart.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub started_at: Option<Time>,
    /// How it is doing.
    pub state: ServerState,
    /// The short median of probes, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// The quiet median that it is compared with, in milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_latency_ms: Option<u32>,
    /// How fast its error budget is spent; absent while nothing of it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub burn: Option<BurnStatus>,
    /// Why it is not quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::TEXT))]
    pub why: Option<String>,
}

/// How an API server is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ServerState {
    /// Seen freshly, and no rule found anything.
    Quiet,
    /// Seen freshly, and suffering.
    Suffering,
    /// Not seen, or not freshly: nobody knows.
    Unseen,
}

/// How many times as fast as an objective of 99 % allows an API server was bad, over several windows: 1 spends all
/// of its error budget and no more, 100 is bad all the time. Rounded, and of the last change.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct BurnStatus {
    /// Over five minutes.
    #[schemars(range(min = 0, max = 100))]
    pub five_minutes: f64,
    /// Over half an hour.
    #[schemars(range(min = 0, max = 100))]
    pub half_hour: f64,
    /// Over an hour.
    #[schemars(range(min = 0, max = 100))]
    pub hour: f64,
    /// Over six hours.
    #[schemars(range(min = 0, max = 100))]
    pub six_hours: f64,
    /// Over three days.
    #[schemars(range(min = 0, max = 100))]
    pub three_days: f64,
    /// The limit that it is beyond, over a long window and a short one at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BurnPace")]
    pub too_fast: Option<BurnPace>,
}

/// A limit of how fast an error budget may be spent.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BurnPace {
    /// 14.4 times over an hour and over five minutes: a fiftieth of a month's budget in an hour.
    Fast,
    /// 6 times over six hours and over half an hour.
    Slow,
    /// All of it over three days and over six hours.
    Steady,
}
