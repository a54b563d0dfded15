//! A forecast as it is told: figures with their intervals, and what they were made from.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::estimate::Estimate;

/// What is counted of an API server, and may run out.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
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

/// One resource's use at full width, of the API server that would be busiest with one missing: all that is
/// counted of the rollout is taken to be shared as its requests are, and what others use as CPU is, but for
/// memory, of which the largest counts, and seats, which are looked at on each.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct ResourceForecast {
    /// Which.
    pub resource: Resource,
    /// What is used without the rollout.
    pub base: f64,
    /// What does not grow with the width: a leader, for example.
    pub fixed: Estimate,
    /// What each pod adds.
    pub per_pod: Estimate,
    /// All that would be used at full width, `base` included.
    pub at_full: Estimate,
    /// All that there is, where it is known or stated.
    pub capacity: Option<f64>,
    /// The width at which `capacity` is used up; none where the capacity is not known, or not even
    /// the upper bound of the cost ever uses it up.
    pub knee: Option<Estimate>,
}

/// What it would cost if all pods started at once, as when nodes join in a storm or API servers
/// restart.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Unison {
    /// CPU time of one pod's start, in seconds.
    pub start: Estimate,
    /// How long the API servers would need to serve all of them, in seconds.
    pub seconds: Estimate,
    /// How long they may, in seconds.
    pub budget: f64,
    /// Waves whose start was seen.
    pub waves: u32,
}

/// The mean of what was seen at one width.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub struct Point {
    /// Pods out.
    pub width: u32,
    /// CPU of all API servers, in cores, on average.
    pub cpu_cores: f64,
    /// What was counted of the rollout's account; none where no meter counted at this width.
    pub counted: Option<Counted>,
    /// Windows that it is the mean of.
    pub windows: u32,
}

/// What can be told at one width where the rollout's account is metered.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// What its requests cost, as cores.
    pub own_cores: f64,
    /// CPU that nobody's requests explain, in cores: less than none where requests ran for longer than
    /// they cost.
    pub unexplained_cores: f64,
    /// Open watches, of everybody.
    pub watches: f64,
}

/// What a forecast was made from.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Basis {
    /// What was seen, by width.
    pub points: Vec<Point>,
    /// Windows left out, by why.
    pub dropped: BTreeMap<String, u32>,
    /// CPU seconds per second that requests of the account ran; one at most.
    pub kappa: Estimate,
    /// Whether the account was metered alone; else what that rests on.
    pub metered: bool,
    /// What to know of the meter, for people.
    pub meter: String,
    /// API servers that share the load.
    pub servers: u32,
    /// The API servers' version, if it is known.
    pub version: Option<String>,
    /// Pods in the cluster when last seen, if that is known.
    pub pods: Option<f64>,
}

/// Each resource's use at full width.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Forecast {
    /// Full width: pods.
    pub full_width: u32,
    /// Each resource, CPU first.
    pub resources: Vec<ResourceForecast>,
    /// All starts at once, once one was seen.
    pub unison: Option<Unison>,
    /// The share of a capacity that a rollout may bring its use to.
    pub budget: f64,
    /// What it was made from.
    pub basis: Basis,
}
