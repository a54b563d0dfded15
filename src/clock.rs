//! Turns the machine's clocks into moments. The only file that reads a clock.
//!
//! The wall clock is read once, at the start; from then on a monotonic clock is added to it. So a
//! wall clock that is set or slewed can neither age a reading nor make one fresh, and a [`Moment`]
//! still means the same to a person as to another machine. It must never be asked by the core,
//! which is given moments.

use std::time::{Duration, SystemTime, UNIX_EPOCH};

use tokio::time::Instant;
use weir_core::time::Moment;

/// The process's one clock; copies of it agree.
///
/// It follows tokio's time, so that a test may pause and advance it.
#[derive(Debug, Clone, Copy)]
pub struct Clock {
    started_wall: Duration,
    started: Instant,
}

impl Clock {
    /// Reads the wall clock, for the only time.
    #[must_use]
    pub fn start() -> Self {
        // A wall clock before 1970 is as wrong as one at 1970, and no age depends on it.
        let started_wall = SystemTime::now()
            .duration_since(UNIX_EPOCH)
            .unwrap_or_default();
        Self {
            started_wall,
            started: Instant::now(),
        }
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        let millis = (self.started_wall + self.elapsed()).as_millis();
        Moment::from_millis(u64::try_from(millis).unwrap_or(u64::MAX))
    }

    /// How long the clock has run: finer than [`Clock::now`], to measure how long something took.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

#[cfg(test)]
mod tests {
    use weir_core::time::Span;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn only_the_monotonic_clock_moves_it() {
        let clock = Clock::start();
        let begun = clock.now();
        tokio::time::advance(Duration::from_millis(1500)).await;
        assert_eq!(clock.now().since(begun), Span::from_millis(1500));
        assert_eq!(clock.elapsed(), Duration::from_millis(1500));
    }

    #[tokio::test]
    async fn it_starts_at_the_wall_clocks_time() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = u128::from(Clock::start().now().as_millis());
        assert!(now.abs_diff(wall.as_millis()) < 1000);
    }
}
