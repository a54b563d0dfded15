//! What pods cost, fitted from the first few, and what full width would.
//!
//! ```text
//!  pages ──▶ window ──▶ cells, starts, κ ──▶ cost ──▶ outlook ──▶ rules, waves, pace
//!            (ledger)   by width  by wave    at any   against        │
//!                                            width    capacity       └──▶ told: Forecast
//! ```
//!
//! Three quantities are fitted apart: what a running pod costs (*steady*), what its start costs
//! (*start*), and with that what all starts at once would (*unison*). The rule that follows from them
//! (design.md, section 8): hold when the lower end at full width exceeds a capacity; let the next wave
//! through when the upper end after it is within budget; otherwise wait for more to be seen, and then
//! take a step that is only probably within it.

mod calm;
mod cells;
mod cost;
mod costs;
mod elsewhere;
mod estimate;
mod exceeded;
mod kappa;
mod ledger;
mod levels;
mod line;
mod means;
mod outlook;
mod quantity;
mod sharing;
mod signs;
mod starts;
mod student;
mod tell;
#[cfg(test)]
mod tests;
mod told;
mod watched;
mod window;

pub(crate) use self::{
    calm::{Look, PROPORTIONAL},
    exceeded::Exceeded,
    outlook::{Given, Outlook, measured_cores},
    signs::{AMPLIFIED, JUST_BEFORE},
    tell::forecast as tell,
};
pub use self::{
    elsewhere::{
        Case, Elsewhere, Gauge, Growth, Measured, Mismatch, Objects, Other, STRETCH, Stated,
        Target, Verdict, elsewhere,
    },
    estimate::Estimate,
    ledger::{Ledger, Recalled},
    told::{Basis, Counted, Forecast, Point, Resource, ResourceForecast, Unison},
};

/// What is foreseen, for rules and for people.
#[derive(Debug, Clone)]
pub(crate) struct Foreseen {
    pub(crate) outlook: Outlook,
    pub(crate) forecast: Forecast,
}
