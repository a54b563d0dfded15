//! The test world and the lab.

pub mod bystander;
pub mod experiment;
pub mod gates;
pub mod kind;
pub mod kubectl;
pub mod lab;
mod leash;
pub mod line;
pub mod profile;
pub mod proxy;
pub mod relay;
pub mod report;
pub mod rights;
pub mod signals;
pub mod stage;
pub mod swarm;
mod token;
pub mod tools;
pub mod valve_parameters;
pub mod wire;
pub mod world;
