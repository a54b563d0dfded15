//! Bad time of an API server → how fast its error budget is spent, as the ControlPlane says it.
//!
//! It moves each minute for as long as anything of three days was bad, so that it is rounded to what people tell
//! apart, and written with the sentences: once a minute at most.

use weir_core::burn::{BadTime, FAST, OBJECTIVE, SLOW, STEADY};

use crate::api::{BurnPace, BurnStatus};

/// The most that there can be: bad all the time.
const MOST: f64 = 100.0;

/// The status; nothing while nothing is spent that is worth a figure.
pub(super) fn status(bad: &BadTime) -> Option<BurnStatus> {
    let [five_minutes, half_hour, hour, six_hours, three_days] =
        bad.rates(OBJECTIVE).map(|(_, rate)| rounded(rate));
    let is_beyond = |pace| bad.beyond(pace, OBJECTIVE).is_some();
    let too_fast = if is_beyond(FAST) {
        Some(BurnPace::Fast)
    } else if is_beyond(SLOW) {
        Some(BurnPace::Slow)
    } else if is_beyond(STEADY) {
        Some(BurnPace::Steady)
    } else {
        None
    };
    let burn = BurnStatus {
        five_minutes,
        half_hour,
        hour,
        six_hours,
        three_days,
        too_fast,
    };
    (burn != BurnStatus::default()).then_some(burn)
}

/// Tenths below one, halves below ten, whole numbers above.
fn rounded(rate: f64) -> f64 {
    let steps = if rate < 1.0 {
        10.0
    } else if rate < 10.0 {
        2.0
    } else {
        1.0
    };
    ((rate * steps).round() / steps).min(MOST)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_server_that_was_never_bad_has_none() {
        assert_eq!(status(&BadTime::default()), None);
        let hardly = BadTime {
            three_days: 0.000_4,
            ..BadTime::default()
        };
        assert_eq!(status(&hardly), None, "0.04 times");
    }

    #[test]
    fn figures_are_bounded_and_move_in_steps_that_people_tell_apart() {
        let bad = BadTime {
            five_minutes: 1.0,
            half_hour: 0.183,
            hour: 0.148,
            six_hours: 0.025_9,
            three_days: 0.002_24,
        };
        let burn = status(&bad).unwrap();
        let figures = [
            burn.five_minutes,
            burn.half_hour,
            burn.hour,
            burn.six_hours,
            burn.three_days,
        ];
        let expected = [100.0, 18.0, 15.0, 2.5, 0.2];
        let differs = |(one, other): (&f64, &f64)| (one - other).abs() > 1e-9;
        assert!(!figures.iter().zip(&expected).any(differs), "{figures:?}");
        assert_eq!(burn.too_fast, Some(BurnPace::Fast));
    }

    #[test]
    fn the_limit_that_it_is_beyond_is_told_by_what_was_measured() {
        let told = |bad| status(&bad).and_then(|burn| burn.too_fast);
        let slow = BadTime {
            half_hour: 0.07,
            six_hours: 0.061,
            ..BadTime::default()
        };
        assert_eq!(told(slow), Some(BurnPace::Slow));
        let steady = BadTime {
            six_hours: 0.012,
            three_days: 0.011,
            ..BadTime::default()
        };
        assert_eq!(told(steady), Some(BurnPace::Steady));
        // Rounded it would be.
        let nearly = BadTime {
            five_minutes: 0.143_9,
            hour: 0.143_9,
            ..BadTime::default()
        };
        assert_eq!(told(nearly), None);
    }
}
