//! The shell: everything of Weir that touches the world. In reading order:
//!
//! - [`api`]: the custom resources.
//! - [`policy`]: what a RolloutPolicy means.
//! - [`dependency`]: what a policy asks of a source outside the cluster.
//! - [`config`]: the operator's flags and environment.
//! - [`telemetry`]: its log.
//! - [`tasks`]: the one way to start a background task; none may end while the process lives.
//! - [`fnv`]: a hash that stays the same in every version.
//! - [`clock`]: the only file that reads a clock.
//! - [`client`]: the one way to an API server: budget, time limits, at most one retry, counting.
//! - [`observe`]: turns the world into readings: watches, probes and pages of metrics.
//! - [`snapshot`]: what one tick knew and decided, for whoever serves it.
//! - [`act`]: enacts plans, writes status, sends events; reads no metric and makes no choice.
//! - [`guard`]: the one loop, which gathers, judges, enacts, records and publishes.
//! - [`metrics`]: a snapshot as Prometheus text.
//! - [`serve`]: health and metrics; never asks an API server.
//! - [`valve`]: enrolment, the gate policy and the list of approved revisions.
//! - [`meter`]: the FlowSchemas that count each enrolled account apart; pure.
//! - [`template`]: a pod template's content hash, of a file as of a live object.
//! - [`view`]: what Weir knows, as text or data; pure.
//! - [`cli`]: the kubectl plugin.
//! - [`uninstall`]: the end of an installation.
//! - [`generate`]: the repository's generated files.

pub mod act;
pub mod api;
pub mod cli;
pub mod client;
pub mod clock;
pub mod config;
pub mod dependency;
pub mod fnv;
pub mod generate;
pub mod guard;
pub mod meter;
pub mod metrics;
pub mod observe;
pub mod policy;
pub mod serve;
pub mod snapshot;
pub mod tasks;
pub mod telemetry;
pub mod template;
pub mod uninstall;
pub mod valve;
pub mod view;
