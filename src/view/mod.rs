//! What Weir knows, as text for a terminal or as data for a program.
//!
//! Pure: it is given everything it shows, with the time, and returns strings. It neither asks nor
//! prints. Colours are always in the text; whoever prints it takes them out where nobody sees them.

mod age;
pub mod change;
pub mod check;
pub mod clean;
pub mod drill;
pub mod explain;
mod figures;
mod incident;
pub mod preflight;
pub mod report;
pub mod rollouts;
pub mod status;
mod style;
mod table;
pub mod version;
mod words;
pub mod wrap;
