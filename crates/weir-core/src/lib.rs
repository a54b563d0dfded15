//! The judge: pure functions from readings to findings and plans.
//!
//! Nothing here reads a clock, does I/O, spawns, or knows Kubernetes' client: the same inputs give
//! the same judgement, byte for byte. In reading order:
//!
//! - [`time`]: moments and spans; time is always a parameter.
//! - [`evidence`]: what is known at one moment, and how freshly ([`evidence::Reading`]).
//! - [`exposition`]: a push parser for `/metrics` pages.
//! - [`usage`]: what an API server has counted, in all and of each client.
//! - [`dns`]: the beacon, and what DNS servers show of it, turned into evidence.
//! - [`burn`]: bad time over several windows.
//! - [`servers`]: samples of each API server instance, turned into evidence.
//! - [`policy`]: the validated form of a rollout policy.
//! - [`history`]: what a judgement needs of the last ones.
//! - [`soak`]: the only place where soak time is added.
//! - [`forecast`]: what pods cost, fitted from the first few, and what full width would.
//! - `census`: who is out, who waits, and who can be judged.
//! - [`verdict`]: one function per fault, and the verdict they add up to.
//! - `waves`: how wide the next wave is and which pods it takes.
//! - [`still`]: why soak time is not being added.
//! - [`incident`]: when an incident was seen, understood and mitigated.
//! - `starving`: which nodes a hold would leave without a pod, and how many are served.
//! - `course`: where the rollout stands and what comes next, in one order.
//! - `release`: the course as intents, at the policy's pace.
//! - `summary`: the course as a sentence.
//! - [`plan`]: what to do now, leaving no choice to whoever does it.
//! - [`judge`]: the one entry point for a rollout.

pub mod burn;
mod census;
mod course;
pub mod dns;
pub mod evidence;
pub mod exposition;
pub mod forecast;
pub mod history;
pub mod incident;
pub mod judge;
pub mod plan;
pub mod policy;
mod release;
pub mod servers;
pub mod soak;
mod starving;
pub mod still;
mod summary;
pub mod time;
pub mod usage;
pub mod verdict;
mod waves;
