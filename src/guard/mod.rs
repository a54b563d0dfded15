//! The one loop that holds all three: gathers evidence, judges, enacts, records and publishes.
//!
//! - [`world`]: what a tick begins with.
//! - [`roster`]: who is enrolled, and which revisions are rollouts.
//! - [`held`]: what becomes of pods that our gate holds.
//! - [`modes`]: how far Weir goes with each workload, while its labels change.
//! - [`adoption`]: what the Role of the approvals should say.
//! - [`dependencies`]: what is known of what policies depend on.
//! - [`evidence`]: what one rollout is judged by.
//! - [`deployments`]: when somebody last deployed in a namespace.
//! - [`rollout`]: one rollout's history, last judgement, and what it has asked for.
//! - [`meters`]: what counts each workload's requests.
//! - [`books`]: what should be on record.
//! - [`notices`]: what people are told.
//! - [`mind`]: all of these in one pure step per tick.
//! - [`shown`]: the snapshot that is published.
//! - [`tick`]: the loop around it.
//! - [`inspection`]: whether the gate is in force.
//! - [`lease`]: who may write.
//! - [`start`]: puts it all together, and ends it in order.

mod adoption;
mod books;
mod dependencies;
mod deployments;
mod evidence;
mod held;
mod inspection;
mod lease;
mod meters;
mod mind;
mod modes;
mod notices;
mod rollout;
mod roster;
mod shown;
mod start;
mod tick;
mod world;

pub use start::{RunError, run};
