//! What a person reads while an experiment goes on: a line for each event, with the second in which it
//! happened. The only place of the lab that prints.

use std::io::Write;

use tokio::time::Instant;

/// Tells an experiment as it happens.
#[derive(Debug, Clone, Copy)]
pub struct Story {
    zero: Instant,
}

impl Story {
    /// A story that begins now.
    #[must_use]
    pub fn begin() -> Self {
        Self {
            zero: Instant::now(),
        }
    }

    /// The same story, whose seconds count from now.
    #[must_use]
    pub fn from_now(self) -> Self {
        Self::begin()
    }

    /// Tells an event.
    pub fn tell(&self, event: &str) {
        line(&format!(
            "{:>6.1} s  {event}",
            self.zero.elapsed().as_secs_f64()
        ));
    }
}

/// A heading, set apart from what was before.
pub fn heading(text: &str) {
    line("");
    line(text);
}

/// A plain line.
pub fn line(text: &str) {
    // A reader who has gone (a closed pipe) must not end the experiment.
    writeln!(std::io::stdout().lock(), "{text}").ok();
}
