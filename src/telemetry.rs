//! Sets up the process's log: one JSON object per line on standard error.
//!
//! Fields of the current span, such as `decision`, are part of each line. `WEIR_LOG` filters, in
//! the way of `RUST_LOG`.

use tracing_subscriber::{EnvFilter, filter::LevelFilter, fmt};

/// Starts logging for the whole process. Says so if it cannot, which means that it was called twice.
pub fn start() -> Result<(), Box<dyn std::error::Error + Send + Sync>> {
    let filter = EnvFilter::builder()
        .with_env_var("WEIR_LOG")
        .with_default_directive(LevelFilter::INFO.into())
        .from_env()?;
    fmt()
        .json()
        .flatten_event(true)
        .with_current_span(true)
        .with_span_list(false)
        .with_writer(std::io::stderr)
        .with_env_filter(filter)
        .try_init()
}
