//! What a server's pages have cost so far → how long the next may take, and when it is due.
//!
//! The core's `Cadence` says what follows from a cost; here it is remembered. A page that did not
//! come in time is given twice that time when it is asked for again, so that the first page of a
//! large control plane comes at all; but what fails never makes old values last longer.

use std::time::Duration;

use weir_core::{
    servers::{Cadence, PageCost},
    time::Span,
};

/// How long a page may take of which nothing is known. Nothing is judged by it yet, and the probes
/// tell of a server that hangs.
const FIRST_WITHIN: Span = Span::from_secs(30);

/// What of the time that a failed page took counts until the next: a server that is back should be
/// seen within a minute.
const FAILED_AT_MOST: Span = Span::from_secs(20);

/// How long after the first page of a process the second is due, if it costs little: rates need two, and
/// until then the server counts as unseen, which at an idle pace would be for a minute.
const SECOND_AFTER: Span = Span::from_secs(5);

/// What one server's pages have taught.
#[derive(Debug, Default)]
pub(super) struct Patience {
    /// How long the last page took that was whole, or was given up for taking so long.
    took: Option<Span>,
    /// What the next one is to wait for.
    cost: PageCost,
}

/// How a page ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Whole,
    /// It was given up on its way.
    Late,
    /// Anything else.
    Failed,
}

impl Patience {
    /// Takes in how a page ended, and what it cost until then.
    pub(super) fn learn(&mut self, end: End, cost: PageCost) {
        if end != End::Failed {
            self.took = Some(cost.took);
        }
        self.cost = cost;
        if end != End::Whole {
            self.cost.took = cost.took.min(FAILED_AT_MOST);
        }
    }

    /// How long the next page may take.
    pub(super) fn next_within(&self, cadence: Cadence) -> Duration {
        let within = self
            .took
            .map_or(FIRST_WITHIN, |took| cadence.page_timeout(took));
        Duration::from_millis(within.as_millis())
    }

    /// How long after the last page was asked for the next may be; `begins` if that was the first of its
    /// process.
    pub(super) fn next_after(&self, cadence: Cadence, begins: bool) -> Duration {
        let scrape_every = if begins {
            cadence.scrape_every.min(SECOND_AFTER)
        } else {
            cadence.scrape_every
        };
        let cadence = Cadence {
            scrape_every,
            ..cadence
        };
        Duration::from_millis(cadence.page_every(self.cost).as_millis())
    }
}

#[cfg(test)]
mod tests {
    use super::{super::tempo::Tempo, *};
    use crate::observe::Pace;

    fn cadence() -> Cadence {
        let tempo = Tempo {
            pace: Pace::InFlight,
            leading: true,
            ..Tempo::default()
        };
        tempo.cadence()
    }

    fn cost(seconds: u64, mib: u64) -> PageCost {
        PageCost {
            took: Span::from_secs(seconds),
            bytes: mib << 20,
        }
    }

    /// How long the next page may take, and how long after the last it is due, in seconds.
    fn next(patience: &Patience) -> [u64; 2] {
        [
            patience.next_within(cadence()).as_secs(),
            patience.next_after(cadence(), false).as_secs(),
        ]
    }

    #[test]
    fn what_the_last_page_took_decides_what_the_next_may_take() {
        let mut patience = Patience::default();
        assert_eq!(next(&patience), [30, 5]);
        patience.learn(End::Whole, cost(1, 20));
        assert_eq!(next(&patience), [4, 5]);
        patience.learn(End::Whole, cost(6, 320));
        assert_eq!(next(&patience), [12, 20]);
    }

    #[test]
    fn the_second_page_of_a_process_is_not_put_off_until_the_idle_pace_says() {
        let idle = Tempo::default().cadence();
        let mut patience = Patience::default();
        patience.learn(End::Whole, cost(1, 4));
        let after = |patience: &Patience, begins| patience.next_after(idle, begins).as_secs();
        assert_eq!((after(&patience, true), after(&patience, false)), (5, 60));
        // What costs much is put off all the same.
        patience.learn(End::Whole, cost(4, 80));
        assert_eq!(after(&patience, true), 20);
    }

    #[test]
    fn a_page_that_is_late_is_given_twice_the_time_up_to_half_a_minute() {
        let mut patience = Patience::default();
        patience.learn(End::Whole, cost(1, 20));
        let mut given = Vec::new();
        for _ in 0..5 {
            let [within, _] = next(&patience);
            given.push(within);
            patience.learn(End::Late, cost(within, 0));
        }
        assert_eq!(given, [4, 8, 16, 30, 30]);
        patience.learn(End::Failed, cost(0, 0));
        assert_eq!(
            next(&patience)[0],
            30,
            "a refusal tells nothing of the time"
        );
        patience.learn(End::Whole, cost(1, 20));
        assert_eq!(next(&patience)[0], 4);
    }

    #[test]
    fn what_failed_is_tried_again_within_a_minute_unless_it_cost_too_many_bytes() {
        let mut patience = Patience::default();
        patience.learn(End::Failed, cost(0, 0));
        assert_eq!(next(&patience)[1], 5);
        patience.learn(End::Late, cost(30, 100));
        assert_eq!(next(&patience)[1], 60);
        patience.learn(End::Late, cost(30, 1600));
        assert_eq!(next(&patience)[1], 100);
    }
}
