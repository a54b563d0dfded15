//! Error budget: how much of the time an API server was bad, over several windows at once.
//!
//! A long mean hides outages that come together: 99.4 % over ninety days may be thirteen hours in a row. So bad
//! time is looked at over a long window and a short one at once: the long one says that it matters, the short
//! one that it goes on.
//!
//! ```text
//!  burn = share of bad time / share that the objective allows       1 spends all of it, and no more
//!
//!  fast     14.4 over 1 h  and 5 min      a fiftieth of a month's budget in an hour
//!  slow      6   over 6 h  and 30 min     a twentieth in six hours
//!  steady    1   over 3 d  and 6 h        a tenth in three days
//! ```
//!
//! Windows and rates are those of Beyer et al., The Site Reliability Workbook, chapter 5, table 5-8. Kubernetes'
//! own alerts (`KubeAPIErrorBudgetBurn`) have the same, and count only answers of 5xx: here what was refused with
//! 429, what timed out and what waited in a queue is bad as well.

use std::collections::VecDeque;

use serde::{Deserialize, Serialize};

use crate::time::{Moment, Span};

const MINUTE: Span = Span::from_secs(60);
const HOUR: Span = Span::from_secs(3600);

/// Minutes that are told apart: six hours.
const MINUTES: u64 = 360;
/// Hours that are told apart: three days.
const HOURS: u64 = 72;

/// Over what, and how fast, a budget is spent too fast.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Pace {
    /// The window that says that it matters.
    pub long: Span,
    /// The window that says that it goes on.
    pub short: Span,
    /// How many times as fast as the budget lasts.
    pub times: f64,
}

/// A fiftieth of a month's budget in an hour.
pub const FAST: Pace = Pace {
    long: HOUR,
    short: Span::from_secs(300),
    times: 14.4,
};

/// A twentieth of a month's budget in six hours.
pub const SLOW: Pace = Pace {
    long: Span::from_secs(6 * 3600),
    short: Span::from_secs(1800),
    times: 6.0,
};

/// A tenth of a month's budget in three days.
pub const STEADY: Pace = Pace {
    long: Span::from_secs(72 * 3600),
    short: Span::from_secs(6 * 3600),
    times: 1.0,
};

/// The objective that a cluster is measured by where no policy states another. As in Kubernetes' own alerts
/// (kubernetes-mixin, `KubeAPIErrorBudgetBurn`).
pub const OBJECTIVE: f64 = 0.99;

/// Shares of bad time in [0, 1], each over the whole of its window: what nobody watched counts as good.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct BadTime {
    /// Over five minutes.
    pub five_minutes: f64,
    /// Over half an hour.
    pub half_hour: f64,
    /// Over an hour.
    pub hour: f64,
    /// Over six hours.
    pub six_hours: f64,
    /// Over three days.
    pub three_days: f64,
}

impl BadTime {
    /// The shares by their windows, from the shortest.
    #[must_use]
    pub const fn by_window(&self) -> [(Span, f64); 5] {
        [
            (FAST.short, self.five_minutes),
            (SLOW.short, self.half_hour),
            (FAST.long, self.hour),
            (SLOW.long, self.six_hours),
            (STEADY.long, self.three_days),
        ]
    }

    /// How many times as fast as an objective in (0, 1) allows its budget was spent, by windows: 1 spends all of it.
    #[must_use]
    pub fn rates(&self, objective: f64) -> [(Span, f64); 5] {
        let allowed = 1.0 - objective;
        self.by_window()
            .map(|(window, share)| (window, share / allowed))
    }

    /// How fast an objective's budget was spent over the long window and the short one of a pace, if that is
    /// too fast over both.
    #[must_use]
    pub fn beyond(&self, pace: Pace, objective: f64) -> Option<[f64; 2]> {
        let burn = |window: Span| {
            let mut rates = self.rates(objective).into_iter();
            let rate = rates.find(|(of, _)| *of == window);
            rate.map_or(0.0, |(_, rate)| rate)
        };
        let burns = [burn(pace.long), burn(pace.short)];
        burns
            .iter()
            .all(|burn| *burn >= pace.times)
            .then_some(burns)
    }

    /// The worse of two in each window: two measures of the same time.
    #[must_use]
    pub fn worse(&self, other: &Self) -> Self {
        Self {
            five_minutes: self.five_minutes.max(other.five_minutes),
            half_hour: self.half_hour.max(other.half_hour),
            hour: self.hour.max(other.hour),
            six_hours: self.six_hours.max(other.six_hours),
            three_days: self.three_days.max(other.three_days),
        }
    }
}

/// Bad time of one server by one measure, as it comes. It takes no more memory however long that is.
#[derive(Debug, Clone, Default)]
pub(crate) struct Spent {
    minutes: VecDeque<Piece>,
    hours: VecDeque<Piece>,
}

/// Bad time within one minute or hour.
#[derive(Debug, Clone, Copy)]
struct Piece {
    /// Which one, counted from the Unix epoch.
    number: u64,
    bad_ms: f64,
}

impl Spent {
    /// Of a time that ended at `until` and `lasted` so long a share was `bad`, in [0, 1].
    pub(crate) fn add(&mut self, until: Moment, lasted: Span, bad: f64) {
        if bad <= 0.0 {
            return;
        }
        let bad_ms = lasted.as_millis() as f64 * bad.min(1.0);
        add(&mut self.minutes, number(until, MINUTE), bad_ms, MINUTES);
        add(&mut self.hours, number(until, HOUR), bad_ms, HOURS);
    }

    /// What is told of it at `now`.
    pub(crate) fn told(&self, now: Moment) -> BadTime {
        let minutes = |window| share(&self.minutes, MINUTE, window, now);
        BadTime {
            five_minutes: minutes(FAST.short),
            half_hour: minutes(SLOW.short),
            hour: minutes(FAST.long),
            six_hours: minutes(SLOW.long),
            three_days: share(&self.hours, HOUR, STEADY.long, now),
        }
    }
}

const fn number(at: Moment, piece: Span) -> u64 {
    at.as_millis() / piece.as_millis()
}

/// Adds to the last piece, or to a new one. Whatever is told late counts to the last one there is.
fn add(pieces: &mut VecDeque<Piece>, number: u64, bad_ms: f64, kept: u64) {
    match pieces.back_mut() {
        Some(last) if last.number >= number => last.bad_ms += bad_ms,
        Some(_) | None => pieces.push_back(Piece { number, bad_ms }),
    }
    while let Some(first) = pieces.front()
        && first.number + kept <= number
    {
        pieces.pop_front();
    }
}

/// The share of a window that was bad: of the current piece, and as many before it as make up the window.
fn share(pieces: &VecDeque<Piece>, piece: Span, window: Span, now: Moment) -> f64 {
    let whole = window.as_millis() / piece.as_millis();
    let current = number(now, piece);
    let recent = pieces
        .iter()
        .rev()
        .take_while(|one| one.number + whole > current);
    let bad_ms: f64 = recent.map(|one| one.bad_ms).sum();
    (bad_ms / window.as_millis() as f64).min(1.0)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    const DAY: u64 = 24 * 3600;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_795_860_000_000) + Span::from_secs(seconds)
    }

    /// The same as [`share`], by adding up all that ever was.
    fn plainly(all: &[(u64, f64)], piece: u64, window: Span, now: u64) -> f64 {
        let of = |seconds: u64| number(at(seconds), Span::from_secs(piece));
        let whole = window.as_millis() / 1000 / piece;
        let recent = all.iter().filter(|(until, _)| of(*until) + whole > of(now));
        let bad: f64 = recent.map(|(_, bad)| bad).sum();
        (bad / window.as_secs_f64()).min(1.0)
    }

    #[test]
    fn ninety_days_of_99_4_percent_are_thirteen_hours_that_the_windows_catch() {
        let mut spent = Spent::default();
        let mut bad_seconds = 0_u64;
        let mut caught = Vec::new();
        for day in 0..90_u64 {
            // One day in seven has an outage of an hour.
            let begins = (day % 7 == 3).then_some(day * DAY + 40_000);
            for second in (day * DAY..(day + 1) * DAY).step_by(10) {
                let is_bad = begins.is_some_and(|begins| (begins..begins + 3600).contains(&second));
                bad_seconds += if is_bad { 10 } else { 0 };
                spent.add(
                    at(second),
                    Span::from_secs(10),
                    if is_bad { 1.0 } else { 0.0 },
                );
                let beyond = spent.told(at(second)).beyond(FAST, OBJECTIVE).is_some();
                if let Some(begins) = begins.filter(|_| beyond)
                    && caught
                        .last()
                        .is_none_or(|(day_before, _)| *day_before != day)
                {
                    caught.push((day, second - begins));
                }
            }
        }
        let mean = 1.0 - bad_seconds as f64 / (90 * DAY) as f64;
        assert!(
            (0.993..0.995).contains(&mean),
            "within the objective: {mean}"
        );
        assert_eq!(caught.len(), 13, "{caught:?}");
        // 14.4 hundredths of an hour are 518 seconds.
        assert!(caught.iter().all(|(_, after)| *after <= 520), "{caught:?}");
    }

    #[test]
    fn what_is_over_is_no_longer_fast_after_five_minutes() {
        let mut spent = Spent::default();
        spent.add(at(0), Span::from_secs(600), 1.0);
        assert!(spent.told(at(10)).beyond(FAST, OBJECTIVE).is_some());
        assert!(spent.told(at(301)).beyond(FAST, OBJECTIVE).is_none());
        assert!(
            spent.told(at(301)).beyond(SLOW, OBJECTIVE).is_none(),
            "2.8 times in six hours"
        );
        let told = spent.told(at(301));
        assert_eq!((told.five_minutes, told.hour), (0.0, 1.0 / 6.0));
    }

    #[test]
    fn a_little_for_days_is_slow() {
        let mut spent = Spent::default();
        for second in (0..3 * DAY).step_by(100) {
            spent.add(at(second), Span::from_secs(100), 0.02);
        }
        let told = spent.told(at(3 * DAY));
        assert!(told.beyond(FAST, OBJECTIVE).is_none());
        assert!(told.beyond(SLOW, OBJECTIVE).is_none());
        let [long, short] = told
            .beyond(STEADY, OBJECTIVE)
            .expect("twice as much as is allowed");
        assert!(
            (1.9..2.1).contains(&long) && (1.9..2.1).contains(&short),
            "{long} {short}"
        );
    }

    #[test]
    fn what_nobody_watched_is_good() {
        let spent = Spent::default();
        assert_eq!(spent.told(at(0)), BadTime::default());
    }

    proptest! {
        #[test]
        fn windows_tell_what_adding_up_tells(
            bits in prop::collection::vec((1..5_000_u64, 0.0..1.0), 1..200),
        ) {
            let mut spent = Spent::default();
            let mut all = Vec::new();
            let mut now = 0;
            for (gap, bad) in bits {
                now += gap;
                spent.add(at(now), Span::from_secs(1), bad);
                all.push((now, bad));
                let told = spent.told(at(now));
                for (window, share) in told.by_window() {
                    let piece = if window == STEADY.long { 3600 } else { 60 };
                    let plain = plainly(&all, piece, window, now);
                    prop_assert!((share - plain).abs() < 1e-9, "{window}: {share} and {plain}");
                }
                prop_assert!(spent.minutes.len() <= 360 && spent.hours.len() <= 72);
            }
        }
    }
}
