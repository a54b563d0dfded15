//! The test world and the lab.

pub mod tools;
pub mod world;
