//! Turns a plan into outcomes, and what was judged into status and events.
//!
//! It reads no metric and makes no choice: what to write was decided by the guard, and whether it
//! may be written at this moment is asked of the [`permit`] each time.
//!
//! - [`permit`]: the lease and the judgement that each write needs.
//! - [`enact`]: a plan's intents: approvals and releases.
//! - [`record`]: objects and statuses of Weir's own kinds, written on change only.
//! - [`events`]: what people are told with each decision; the first thing to be dropped.
//! - [`failure`]: a write that failed, told to a person.
//! - [`backoff`]: how long it is left alone.
//! - [`tally`]: counts of all of it.

pub mod backoff;
pub mod enact;
pub mod events;
pub mod failure;
pub mod permit;
pub mod record;
pub mod tally;
