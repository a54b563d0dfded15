//! The shell: everything of Weir that touches the world. In reading order:
//!
//! - [`api`]: the custom resources.
//! - [`tasks`]: the one way to start a background task; none may end while the process lives.
//! - [`generate`]: the repository's generated files.

pub mod api;
pub mod generate;
pub mod tasks;
