//! Turns the machine's clocks into moments. The only file that reads a clock.
//!
//! For [`Clock::now`] the wall clock is read once, at the start; from then on a monotonic clock is
//! added to it. So a wall clock that is set or slewed can neither age a reading nor make one fresh,
//! and a [`Moment`] still means the same to a person as to another machine. What people say by the
//! wall clock, at which hours waves may begin, goes by [`Clock::wall`]: a clock that was wrong at
//! the start, or a machine that slept, must not shift a window for as long as the process lives.
//! Neither must ever be asked by the core, which is given moments.

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
    /// Reads the wall clock, for the only time that [`Clock::now`] depends on.
    #[must_use]
    pub fn start() -> Self {
        Self {
            started_wall: wall(),
            started: Instant::now(),
        }
    }

    /// What the wall clock shows now. It may jump, forwards and back: it is for windows, and no age is counted by it.
    #[must_use]
    pub fn wall() -> Moment {
        moment(wall())
    }

    /// What time it is.
    #[must_use]
    pub fn now(&self) -> Moment {
        moment(self.started_wall + self.elapsed())
    }

    /// How long the clock has run: finer than [`Clock::now`], to measure how long something took.
    #[must_use]
    pub fn elapsed(&self) -> Duration {
        self.started.elapsed()
    }
}

/// The wall clock. One before 1970 is as wrong as one at 1970, and no age depends on it.
fn wall() -> Duration {
    SystemTime::now()
        .duration_since(UNIX_EPOCH)
        .unwrap_or_default()
}

/// So long after 1970.
fn moment(since_epoch: Duration) -> Moment {
    Moment::from_millis(u64::try_from(since_epoch.as_millis()).unwrap_or(u64::MAX))
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

    #[tokio::test(start_paused = true)]
    async fn the_wall_clock_is_read_anew_and_goes_by_itself() {
        let clock = Clock::start();
        tokio::time::advance(Duration::from_hours(24)).await;
        // As after a step back by a day: what is counted from the start does not show it.
        let apart = clock.now().since(Clock::wall());
        assert!(apart > Span::from_secs(86_000), "{apart}");
    }

    #[tokio::test]
    async fn it_starts_at_the_wall_clocks_time() {
        let wall = SystemTime::now().duration_since(UNIX_EPOCH).unwrap();
        let now = u128::from(Clock::start().now().as_millis());
        assert!(now.abs_diff(wall.as_millis()) < 1000);
    }
}
