//! Turns a plan into outcomes, and what was judged into status and events.
//!
//! It reads no metric and makes no choice: what to write was decided by the guard, and whether it
//! may be written at this moment is asked of the [`permit`] each time.
//!
//! - [`permit`]: the lease and the judgement that each write needs.

pub mod permit;
