//! The architecture's invariants, as tests: who may import whom, sizes, bans, and the rails.
//!
//! Every check is a function from text to complaints, and each is shown a bad sample too: a check
//! that cannot complain proves nothing.

mod bans;
mod imports;
mod rails;
mod sizes;
mod source;
