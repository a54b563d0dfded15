//! Turns the world into readings: watches, probes and pages of metrics, each with its freshness.
//!
//! It judges nothing and changes nothing but its own probe object. In reading order:
//!
//! - [`cluster`]: what the watches keep.

mod cluster;

pub use cluster::{
    Cluster, DaemonSetView, Follow, NodeView, PodView, RevisionView, Rows, WorkloadKey,
};
