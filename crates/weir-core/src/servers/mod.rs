//! Probes and scrapes of the API servers over time become [`ServerEvidence`](crate::evidence::ServerEvidence).
//!
//! ```text
//!  bytes of /metrics ─▶ Collector ─▶ Scrape ─┐
//!                                            ├─▶ Fleet ─▶ one ServerEvidence per process, by age
//!  round trips of probes ────────────────────┘
//! ```
//!
//! A process is known by the start time on its page, never by its address alone: a balancer may
//! answer each scrape with another one, and a counter of one process says nothing about another.
//! All times are parameters; nothing here decides whether what is read is bad.

mod address;
mod cadence;
mod fleet;
mod probes;
mod scrape;
mod series;

pub use cadence::{Cadence, PageCost};
pub use fleet::Fleet;
pub use probes::{ProbeKind, ProbeResult};
pub use scrape::{Collector, Level, Schema, Scrape, ScrapeError, Totals};
