//! Moments and spans in whole milliseconds. The core never asks what time it is.

use std::{
    fmt,
    ops::{Add, Sub},
};

use serde::{Deserialize, Serialize};

/// A point in time: milliseconds since the Unix epoch on a clock that never runs backwards.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Moment(u64);

impl Moment {
    /// A moment from milliseconds since the Unix epoch.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// Milliseconds since the Unix epoch.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The time from `earlier` to `self`; zero if `earlier` is in fact later.
    #[must_use]
    pub const fn since(self, earlier: Self) -> Span {
        Span(self.0.saturating_sub(earlier.0))
    }
}

/// A length of time in milliseconds.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Default, Serialize, Deserialize,
)]
#[serde(transparent)]
pub struct Span(u64);

impl Span {
    /// No time at all.
    pub const ZERO: Self = Self(0);

    /// A span of whole milliseconds.
    #[must_use]
    pub const fn from_millis(millis: u64) -> Self {
        Self(millis)
    }

    /// A span of whole seconds.
    #[must_use]
    pub const fn from_secs(seconds: u64) -> Self {
        Self(seconds.saturating_mul(1000))
    }

    /// The span in milliseconds.
    #[must_use]
    pub const fn as_millis(self) -> u64 {
        self.0
    }

    /// The span in seconds.
    #[must_use]
    pub const fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// The span multiplied by `factor`, rounded to the millisecond; zero for a negative factor.
    #[must_use]
    #[expect(
        clippy::cast_possible_truncation,
        clippy::cast_sign_loss,
        reason = "the cast saturates at both ends and takes what is not a number for 0, as wanted"
    )]
    pub fn times(self, factor: f64) -> Self {
        Self((self.0 as f64 * factor).round() as u64)
    }

    /// The span less `other`, at least zero.
    #[must_use]
    pub const fn saturating_sub(self, other: Self) -> Self {
        Self(self.0.saturating_sub(other.0))
    }
}

impl fmt::Display for Span {
    /// As a person says it: `350 ms`, `10 s`, `2 min 5 s`, `3 h 20 min`.
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let seconds = self.0 / 1000;
        let (minutes, hours) = (seconds / 60, seconds / 3600);
        match (hours, minutes, seconds) {
            (0, 0, 0) => write!(f, "{} ms", self.0),
            (0, 0, _) => write!(f, "{seconds} s"),
            (0, _, _) if seconds.is_multiple_of(60) => write!(f, "{minutes} min"),
            (0, _, _) => write!(f, "{minutes} min {} s", seconds % 60),
            _ if minutes.is_multiple_of(60) => write!(f, "{hours} h"),
            _ => write!(f, "{hours} h {} min", minutes % 60),
        }
    }
}

impl Add<Span> for Moment {
    type Output = Self;

    fn add(self, span: Span) -> Self {
        Self(self.0.saturating_add(span.0))
    }
}

impl Sub<Span> for Moment {
    type Output = Self;

    fn sub(self, span: Span) -> Self {
        Self(self.0.saturating_sub(span.0))
    }
}

impl Add for Span {
    type Output = Self;

    fn add(self, other: Self) -> Self {
        Self(self.0.saturating_add(other.0))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn time_never_runs_below_zero() {
        let early = Moment::from_millis(5);
        assert_eq!(early.since(Moment::from_millis(9)), Span::ZERO);
        assert_eq!(early - Span::from_secs(1), Moment::from_millis(0));
    }

    #[test]
    fn spans_read_as_a_person_says_them() {
        let said: Vec<String> = [350, 10_000, 60_000, 125_000, 7_200_000, 12_000_000]
            .map(|millis| Span::from_millis(millis).to_string())
            .into();
        assert_eq!(
            said,
            ["350 ms", "10 s", "1 min", "2 min 5 s", "2 h", "3 h 20 min"]
        );
    }

    #[test]
    fn a_span_is_multiplied_to_the_millisecond() {
        assert_eq!(Span::from_secs(1).times(1.0 / 3.0), Span::from_millis(333));
        assert_eq!(Span::from_secs(1).times(-1.0), Span::ZERO);
    }
}
