//! What a RolloutPolicy means: from the custom resource, over a preset, to the judge's policy.
//!
//! ```text
//!  RolloutPolicy ──lower──▶ Policy, or problems ─┐
//!  RolloutPolicy ──lower──▶ Policy, or problems ─┼─ select(labels) ──▶ Choice: one Policy,
//!  (none matches) ──▶ the built-in `Careful`  ───┘   the stricter in every field, and why;
//!                                                    what any of them depends on
//! ```
//!
//! Pure: no client, no clock. A policy that is wrong never loosens anything: the workloads it
//! selects are judged by the built-in `Careful`, and its condition says what is wrong.

mod conditions;
mod dependencies;
mod forms;
mod lower;
mod select;
mod stricter;
#[cfg(test)]
mod tests;
mod windows;

pub use conditions::{Condition, Conditions, Reason};
pub use lower::{Defect, Problem, lower};
pub use select::{Choice, Policies};
pub use windows::{Windows, window};
