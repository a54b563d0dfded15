//! What else went on during a rollout, or after it: another one beside it, an account that looped, nodes
//! that joined.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::api::ForecastStatus;

use super::{Expected, FoundAt, State, StateAt};
use crate::bystander::stats::Latency;

/// Another workload that was rolled out at the same moment, guarded alike.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Beside {
    /// The profile of its agents.
    pub profile: String,
    /// How it ended.
    pub state: State,
    /// Pods at full width.
    pub full_width: u32,
    /// The width at the last hold; null if it was never held.
    pub held_at_width: Option<u32>,
    /// What held it last; null if it was never held.
    pub held_by: Option<String>,
    /// Until it was Complete; null if it did not come to that.
    pub seconds_to_complete: Option<f64>,
    /// Every change of the guard's state that was seen; empty if unguarded.
    pub states: Vec<StateAt>,
    /// What Weir found on it at any time.
    pub findings: Vec<FoundAt>,
    /// The last forecast of it; null if there was none.
    pub forecast: Option<ForecastStatus>,
    /// Whether it ended as its own profile expects.
    pub expected: Option<Expected>,
}

/// An account that has nothing to do with the rollout and began to ask while it was in flight.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct LoopsUse {
    /// The profile of what it asks.
    pub profile: String,
    /// The namespace of its ServiceAccount.
    pub namespace: String,
    /// Clients of it.
    pub clients: u32,
    /// Whether it is the account of an enrolled and approved workload, and so has a meter.
    pub metered: bool,
    /// The second in which they began; null if the rollout never was as wide as that.
    pub from_second: Option<f64>,
    /// Requests sent.
    pub requests: u64,
    /// Of those, refused or failed.
    pub errors: u64,
}

/// Nodes that joined at once after the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Joined {
    /// How many.
    pub nodes: u32,
    /// The second in which they joined; null if the rollout never was over.
    pub from_second: Option<f64>,
    /// From then on until all of their pods ran; null if they never did.
    pub seconds_to_run: Option<f64>,
    /// The most pods that began to run within a second.
    pub most_begun_in_a_second: u32,
    /// Seconds from then on that were harmful to others.
    pub harmful_seconds: u64,
    /// What a quiet client felt from then on.
    pub latency: Latency,
}
