//! Turns the world into readings: watches, probes and pages of metrics, each with its freshness.
//!
//! It judges nothing and changes nothing but its own probe object. In reading order:
//!
//! - [`cluster`]: what the watches keep.
//! - [`observers`]: what the guard holds of all this.
//! - [`watches`]: objects of the API, turned into what is kept.
//! - [`servers`]: probes and pages of each API server.
//! - [`followed`]: the watches that come and go with rollouts.
//! - [`join`]: two readings in one.
//! - [`crowd`]: what comes and goes, polled within one task.

mod cluster;
mod crowd;
mod followed;
mod join;
mod observers;
mod servers;
mod watches;

pub use cluster::{
    Cluster, DaemonSetView, Follow, GatedPod, NodeView, PodView, Restarts, RevisionView, Rows,
    WorkloadKey,
};
pub use observers::Observers;
pub use servers::{Pace, ServersView};
