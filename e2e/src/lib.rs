//! The test world and the lab.

pub mod profile;
pub mod tools;
pub mod world;
