//! Behaviour on real control planes, each in namespaces of its own. Worlds stand beside each other:
//! how long anything took is judged by limits far above it only, but where it is the clocks of DNS
//! that were predicted (`masks`).

mod bad_input;
mod chart;
mod dependencies;
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
