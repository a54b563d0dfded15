//! The judge: pure functions from readings to findings and plans.
//!
//! Nothing here reads a clock, does I/O, spawns, or knows Kubernetes' client: the same inputs give
//! the same judgement, byte for byte. In reading order:
//!
//! - [`time`]: moments and spans; time is always a parameter.
//! - [`evidence`]: what is known at one moment, and how freshly ([`evidence::Reading`]).
//! - [`exposition`]: a push parser for `/metrics` pages.
//! - [`servers`]: samples of each API server instance, turned into evidence.
//! - [`policy`]: the validated form of a rollout policy.
//! - [`history`]: what a judgement needs of the last ones.
//! - [`soak`]: the only place where soak time is added.
//! - [`verdict`]: one function per fault, and the verdict they add up to.
//! - [`waves`]: how wide the next wave is and which pods it takes.
//! - [`plan`]: what to do now, leaving no choice to whoever does it.
//! - [`judge`]: the one entry point for a rollout.

pub mod evidence;
pub mod exposition;
pub mod history;
pub mod judge;
pub mod plan;
pub mod policy;
pub mod time;
