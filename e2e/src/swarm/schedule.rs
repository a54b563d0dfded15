//! When a call is due. Times are counted from the swarm's own start; nothing here reads a clock.

use std::time::Duration;

use fastrand::Rng;

use crate::profile::call::{Phase, When};

/// The due times of a periodic call, one after the other.
#[derive(Debug, Clone)]
pub(super) struct Schedule {
    every: Duration,
    phase: Phase,
    jitter: f64,
    beat: Duration,
}

impl Schedule {
    /// The schedule of an agent that started at `started`, and when the call is first due.
    pub(super) fn begin(
        when: &When,
        every: Duration,
        started: Duration,
        rng: &mut Rng,
    ) -> (Self, Duration) {
        let begin = started + when.after;
        let beat = match when.phase {
            Phase::FromStart => begin,
            Phase::Spread => begin + every.mul_f64(rng.f64()),
            Phase::InPhase => next_multiple(every, begin),
        };
        let schedule = Self {
            every,
            phase: when.phase,
            jitter: when.jitter,
            beat,
        };
        let due = schedule.around_beat(rng);
        (schedule, due)
    }

    /// When the call is due next, after it was answered at `now`. Periods that passed while the
    /// answer was awaited are skipped, as tickers do.
    pub(super) fn next(&mut self, now: Duration, rng: &mut Rng) -> Duration {
        if self.every.is_zero() {
            return now;
        }
        while self.beat <= now {
            self.beat += match self.phase {
                Phase::InPhase => self.every,
                Phase::FromStart | Phase::Spread => {
                    self.every
                        .mul_f64(1.0 + self.jitter * (2.0 * rng.f64() - 1.0))
                        // A jitter of 1 may make a period vanish; time must go on.
                        .max(Duration::from_micros(100))
                }
            };
        }
        self.around_beat(rng)
    }

    /// In phase, jitter delays each call from the common beat; else it moves the beat itself.
    fn around_beat(&self, rng: &mut Rng) -> Duration {
        match self.phase {
            Phase::InPhase => self.beat + self.every.mul_f64(self.jitter * rng.f64()),
            Phase::FromStart | Phase::Spread => self.beat,
        }
    }
}

fn next_multiple(every: Duration, from: Duration) -> Duration {
    if every.is_zero() {
        return from;
    }
    let beats = from.as_nanos().div_ceil(every.as_nanos());
    every.saturating_mul(u32::try_from(beats).unwrap_or(u32::MAX))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn secs(seconds: f64) -> Duration {
        Duration::from_secs_f64(seconds)
    }

    fn dues(when: &When, every: f64, started: f64, answered_in: f64, count: usize) -> Vec<f64> {
        let mut rng = Rng::with_seed(7);
        let (mut schedule, mut due) = Schedule::begin(when, secs(every), secs(started), &mut rng);
        let mut dues = Vec::new();
        for _ in 0..count {
            dues.push(due.as_secs_f64());
            due = schedule.next(due + secs(answered_in), &mut rng);
        }
        dues
    }

    fn when(phase: Phase, jitter: f64, after: f64) -> When {
        When {
            phase,
            jitter,
            after: secs(after),
            every: None,
        }
    }

    #[test]
    fn calls_follow_the_agents_own_start_after_their_onset() {
        let calls = dues(&when(Phase::FromStart, 0.0, 3.0), 10.0, 2.5, 0.1, 3);
        assert_eq!(calls, [5.5, 15.5, 25.5]);
    }

    #[test]
    fn in_phase_agents_meet_whenever_they_started() {
        let early = dues(&when(Phase::InPhase, 0.0, 0.0), 30.0, 1.0, 0.1, 3);
        let late = dues(&when(Phase::InPhase, 0.0, 0.0), 30.0, 29.0, 0.1, 3);
        assert_eq!(early, [30.0, 60.0, 90.0]);
        assert_eq!(early, late);
    }

    #[test]
    fn jitter_in_phase_delays_and_does_not_drift() {
        for (index, due) in dues(&when(Phase::InPhase, 0.1, 0.0), 30.0, 1.0, 0.1, 50)
            .into_iter()
            .enumerate()
        {
            let beat = 30.0 * (index + 1) as f64;
            assert!((beat..=beat + 3.0).contains(&due), "{due} at beat {beat}");
        }
    }

    #[test]
    fn jitter_stretches_and_shrinks_each_period() {
        let calls = dues(&when(Phase::FromStart, 0.2, 0.0), 10.0, 0.0, 0.1, 200);
        let periods: Vec<f64> = calls.windows(2).map(|pair| pair[1] - pair[0]).collect();
        assert!(
            periods.iter().all(|period| (8.0..=12.0).contains(period)),
            "{periods:?}"
        );
        assert!(periods.iter().any(|period| *period < 9.0));
        assert!(periods.iter().any(|period| *period > 11.0));
    }

    #[test]
    fn spread_agents_begin_anywhere_in_the_period() {
        let mut rng = Rng::with_seed(1);
        let firsts: Vec<f64> = (0..100)
            .map(|_| {
                let spread = when(Phase::Spread, 0.0, 0.0);
                Schedule::begin(&spread, secs(10.0), Duration::ZERO, &mut rng)
                    .1
                    .as_secs_f64()
            })
            .collect();
        assert!(firsts.iter().any(|first| *first < 2.0) && firsts.iter().any(|first| *first > 8.0));
    }

    #[test]
    fn periods_that_passed_during_an_answer_are_skipped() {
        let calls = dues(&when(Phase::FromStart, 0.0, 0.0), 1.0, 0.0, 3.5, 3);
        assert_eq!(calls, [0.0, 4.0, 8.0]);
    }

    #[test]
    fn a_closed_loop_asks_again_as_soon_as_it_is_answered() {
        let calls = dues(&when(Phase::FromStart, 0.0, 0.0), 0.0, 0.0, 0.25, 3);
        assert_eq!(calls, [0.0, 0.25, 0.5]);
    }

    #[test]
    fn a_period_that_jitter_could_shrink_to_nothing_still_moves_on() {
        let calls = dues(&when(Phase::FromStart, 1.0, 0.0), 0.001, 0.0, 0.0, 1000);
        assert!(calls.windows(2).all(|pair| pair[1] > pair[0]));
    }
}
