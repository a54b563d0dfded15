//! Bytes of a `/metrics` page, in any chunking, become samples of the wanted metrics.
//!
//! ```text
//!  chunk ──▶ lines ──▶ name wanted? ──no──▶ skip to the next line, nothing is kept
//!                          │ yes
//!                          ▼
//!                  labels, value ──▶ the caller's sink
//! ```
//!
//! The format is Prometheus' text format 0.0.4; what `OpenMetrics` adds (`# EOF`, exemplars, timestamps
//! in seconds) is tolerated. Pages of hundreds of megabytes are normal in large clusters, so there
//! is no ceiling on the page, only on the line. Parsing never fails: what was not understood is
//! counted by kind in [`Oddities`], and [`End`] tells a whole page from one that was cut.
//!
//! Nothing here knows what a metric means, and types and help texts are not looked at: a metric is
//! wanted by the exact name on its line, `…_sum` and `…_bucket` included.

mod oddities;
mod parser;
mod sample;

pub use oddities::{Oddities, Oddity};
pub use parser::{End, LINE_LIMIT, NAME_LIMIT, Page, Parser};
pub use sample::{LabelIter, Labels, Sample};
