//! The shell: everything of Weir that touches the world. In reading order:
//!
//! - [`tasks`]: the one way to start a background task; none may end while the process lives.

pub mod tasks;
