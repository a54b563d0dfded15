//! Behaviour on real control planes, each in namespaces of its own. Worlds stand beside each other:
//! nothing here judges how long anything took, but for limits far above it.

mod bad_input;
mod chart;
mod evidence;
mod footprint;
mod guard_dead;
mod masks;
mod meter;
mod people;
mod plugin;
mod rollouts;
mod uninstall;
mod valve;
mod world;
mod world_ends;
mod world_refuses;
