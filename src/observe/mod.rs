//! Turns the world into readings: watches, probes and pages of metrics, each with its freshness.
//!
//! It judges nothing and changes nothing but its own probe object and its beacon. In reading order:
//!
//! - [`cluster`]: what the watches keep.
//! - [`observers`]: what the guard holds of all this.
//! - [`watches`]: objects of the API, turned into what is kept.
//! - [`servers`]: probes and pages of each API server.
//! - [`dns`]: the beacon, and what each DNS server shows of it.
//! - [`dependencies`]: what policies depend on outside the cluster.
//! - [`followed`]: the watches that come and go with rollouts.
//! - [`join`]: two readings in one.
//! - [`request`]: requests that are more than calls of a client.
//! - [`crowd`]: what comes and goes, polled within one task.

mod cluster;
mod crowd;
mod dependencies;
mod dns;
mod followed;
mod join;
mod observers;
mod request;
mod servers;
mod watches;

pub use cluster::{
    Cluster, DaemonSetView, Follow, GatedPod, NodeView, PodView, Restarts, RevisionView, Rows,
    WorkloadKey,
};
pub use dependencies::{DependencyView, DependencyViews, MOST_QUESTIONS};
pub use dns::Place;
pub use observers::{Observers, Own};
pub use servers::{Pace, ServersView};
