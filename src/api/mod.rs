//! The custom resources of group `weir.dev`: their types, bounds and rules, one file per kind.
//!
//! Types only: no client and no judging. What a policy means is decided in `crate::policy`.
//!
//! - [`RolloutPolicy`]: how a person wants rollouts to be judged and paced.
//! - [`GuardedRollout`]: where one revision of one workload stands; made by Weir.
//! - [`ControlPlane`]: what Weir sees of the API servers; made by Weir.
//! - [`Cost`]: what pods of one template cost, as a file; not a custom resource.
//! - [`forms`]: durations, percentages and sizes as people write them.
//! - [`marks`]: labels, annotations and the gate that Weir reads and writes on others' objects.
//! - [`leases`]: who leads by a Lease.
//! - [`Hold`]: whether a rollout is held, and by what.
//! - [`times`]: moments as objects hold them.
//! - [`bounds`]: how long each list and string may be, for those who fill them.

#![expect(
    clippy::duplicated_attributes,
    reason = "each printer column has a type, and several have the same"
)]
#![expect(
    unreachable_pub,
    reason = "kube's KubeSchema derive repeats each struct, with its `pub`, inside a function"
)]

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::CustomResourceExt;

pub mod bounds;
mod control_plane;
mod cost;
mod dependency;
mod dns;
mod forecast;
pub mod forms;
mod guarded_rollout;
mod holds;
mod incident;
pub mod leases;
pub mod marks;
mod required;
mod rollout_policy;
mod schema;
pub mod times;
mod timing;

pub use control_plane::{
    BurnPace, BurnStatus, ControlPlane, ControlPlaneSpec, ControlPlaneStatus, ServerState,
    ServerStatus,
};
pub use cost::{Cost, CostSource};
pub use dependency::{
    Comparison, Dependency, DependencyState, DependencyStatus, HttpSource, PrometheusSource,
    SecretKey, SourceTls,
};
pub use dns::{DnsLayerStatus, DnsMask, DnsRole, DnsState, DnsStatus};
pub use forecast::{
    DroppedStatus, EstimateStatus, ForecastStatus, PointStatus, RecordStatus, Resource,
    ResourceStatus, UnisonStatus,
};
pub use guarded_rollout::{
    Finding, GuardedRollout, GuardedRolloutSpec, GuardedRolloutStatus, HistoryStatus, LetThrough,
    Mode, Severity, State, WorkloadKind, WorkloadRef,
};
pub use holds::{Hold, PAUSED};
pub use incident::{FaultStatus, IncidentStatus};
pub use required::{DnsRequired, Required};
pub use rollout_policy::{
    BeyondUnison, Capacity, ForecastAct, ForecastLimits, Harm, Pace, Pods, RolloutPolicy,
    RolloutPolicySpec, RolloutPolicyStatus, Waves, Workloads,
};
pub use timing::{Day, Undisturbed, WindowSpec};

/// The group of every kind here.
pub const GROUP: &str = "weir.dev";

/// The name of the one [`ControlPlane`].
pub const SINGLETON: &str = "cluster";

/// The name under which Weir's writes are recorded (`fieldManager`).
pub const MANAGER: &str = "weir";

/// The definitions of all kinds, in the order in which a person meets them.
#[must_use]
pub fn definitions() -> [CustomResourceDefinition; 3] {
    [
        RolloutPolicy::crd(),
        GuardedRollout::crd(),
        ControlPlane::crd(),
    ]
    .map(schema::plain)
}
