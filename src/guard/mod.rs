//! The one loop that holds all three: gather evidence, judge, enact.

pub mod lease;
