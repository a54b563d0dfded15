//! The shell: everything of Weir that touches the world. In reading order:
//!
//! - [`api`]: the custom resources.
//! - [`clock`]: the only file that reads a clock.
//! - [`client`]: the one way to an API server: budget, time limits, at most one retry, counting.
//! - [`observe`]: turns the world into readings: watches, probes and pages of metrics.
//! - [`tasks`]: the one way to start a background task; none may end while the process lives.
//! - [`generate`]: the repository's generated files.

pub mod api;
pub mod client;
pub mod clock;
pub mod generate;
pub mod observe;
pub mod tasks;
