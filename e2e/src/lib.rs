//! The test world and the lab.

pub mod bystander;
pub mod profile;
pub mod report;
pub mod swarm;
pub mod tools;
pub mod wire;
pub mod world;
