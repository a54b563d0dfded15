//! `kubectl weir status`: from three answers of the API server to one screen, or one document.
//!
//! What was not answered is shown as not known, never as fine. Everything comes from objects that
//! outlive the operator, so that the screen is as full while it is down; it then says so.

mod dns;
mod live;
mod summarize;
#[cfg(test)]
mod tests;
mod text;

use k8s_openapi::api::coordination::v1::Lease;
use serde::Serialize;

use crate::api::{
    BurnStatus, ControlPlane, Finding, GuardedRollout, Hold, Mode, ServerState, State,
};

pub use dns::{Layer, NameService};
pub use live::{frame, line, under_way};
pub use summarize::summarize;
pub use text::{Detail, render};

/// What the API server answered when asked for one thing.
#[derive(Debug, Clone)]
pub enum Answer<T> {
    /// Here it is.
    Found(T),
    /// There is none.
    Missing,
    /// The API server would not say, for this reason.
    Refused(String),
}

/// Everything that was asked for.
#[derive(Debug, Clone)]
pub struct Answers {
    /// What Weir sees of the API servers.
    pub control_plane: Answer<ControlPlane>,
    /// The rollouts asked for.
    pub rollouts: Answer<Page>,
    /// The Lease by which Weir's leader is known.
    pub lease: Answer<Lease>,
}

/// One page of rollouts.
#[derive(Debug, Clone)]
pub struct Page {
    /// The rollouts on it.
    pub rollouts: Vec<GuardedRollout>,
    /// How many there are beyond it, as far as the API server says; at least one if there is a next.
    pub beyond: u64,
}

/// The whole status.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Status {
    /// Everything that is not as it should be, in sentences; empty if one may go home.
    pub trouble: Vec<String>,
    /// The API servers.
    pub api_servers: ApiServers,
    /// Whether DNS follows them.
    pub dns: NameService,
    /// The rollouts asked for.
    pub rollouts: Rollouts,
    /// Weir itself.
    pub weir: Weir,
}

/// The API servers.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServers {
    /// How many there should be, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub expected: Option<u32>,
    /// Those that Weir has met.
    pub seen: Vec<ApiServer>,
    /// What their condition `Ready` says, if it is not true.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub not_ready: Option<String>,
    /// Why nothing is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One API server, as of Weir's last change to it.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct ApiServer {
    /// `address:port`.
    pub address: String,
    /// How it is doing.
    pub state: ServerState,
    /// The short median of probes, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub latency_ms: Option<u32>,
    /// What is usual when quiet, in milliseconds.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub usual_latency_ms: Option<u32>,
    /// How fast its error budget is spent, while any of it is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub burn: Option<BurnStatus>,
    /// Why it is not quiet.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub why: Option<String>,
}

/// The rollouts asked for.
#[derive(Debug, Clone, Default, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollouts {
    /// Those on their way to full width, or not going there, what is held first.
    pub open: Vec<Rollout>,
    /// Those at full width.
    pub complete: Vec<Rollout>,
    /// How many more there are that were not asked for.
    pub beyond: u64,
    /// Why nothing is known of them.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// Where it stands; none before Weir has judged it.
    pub state: Option<State>,
    /// What holds it, if anything but a person does: also where its state does not say so.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub hold: Option<Hold>,
    /// How far Weir goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Pods that are let through.
    pub width: u32,
    /// Pods that the workload wants.
    pub full_width: u32,
    /// Waves begun.
    pub wave: u32,
    /// Nodes that wait for a pod.
    pub nodes_without_pod: u32,
    /// How long ago it began, in seconds.
    pub age_seconds: u64,
    /// One sentence.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// What was found, the most severe first.
    pub findings: Vec<Finding>,
    /// Findings that its status had no room for.
    pub findings_omitted: u32,
}

/// Weir itself.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Weir {
    /// Whether anyone is at work.
    pub state: Life,
    /// The version that last wrote a status.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// How far it may go in this cluster.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether pods of unapproved revisions come back gated; none where they need not, and do not.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate: Option<Gate>,
    /// What its condition `Gating` says, if the gate is not in force or that is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub gate_why: Option<String>,
    /// The replica that holds the lease.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub leader: Option<String>,
    /// How long ago it renewed the lease, in seconds, by this machine's clock.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub renewed_seconds_ago: Option<u64>,
    /// Why its state is not known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unknown: Option<String>,
}

/// Whether anyone is at work.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Life {
    /// A replica renews its lease.
    Running,
    /// Nobody has renewed the lease in time.
    Silent,
    /// There is no lease, and Weir's kinds are not defined.
    NotInstalled,
    /// There is no lease: Weir has not been started, or only reads.
    NoLease,
    /// The lease could not be read.
    Unknown,
}

/// Whether pods of unapproved revisions come back gated.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Gate {
    /// They do.
    InForce,
    /// They do not, where they should: what rolls out is not held.
    NotInForce,
    /// It was not asked for yet, or not answered.
    Unknown,
    /// Nothing is to be gated in this mode, and pods are all the same: nobody lets them through.
    Stranding,
}
