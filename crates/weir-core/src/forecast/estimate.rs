//! A figure with its interval, and how intervals are put together.

use serde::{Deserialize, Serialize};

/// No interval of what a fit tells is narrower than this share of its figure, to each side (design.md,
/// section 8). Of a width that is: of the difference to what is used now, which was seen.
const FLOOR: f64 = 0.3;

/// A figure and the interval that it lies in with 95 % confidence.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub struct Estimate {
    /// The lower end.
    pub low: f64,
    /// The most likely.
    pub mid: f64,
    /// The upper end; infinite if nothing bounds it.
    pub high: f64,
}

impl Estimate {
    /// A figure that reaches so far to each side, and not below zero.
    pub(super) fn around((mid, reach): (f64, f64)) -> Self {
        let mid = mid.max(0.0);
        Self {
            low: (mid - reach).max(0.0),
            mid,
            high: mid + reach,
        }
    }

    /// No narrower than the floor: a fit through few points can be exact by accident. It stands for
    /// whatever else is not known, and so belongs to a figure as a whole, not to each of its factors.
    pub(super) fn floored(self) -> Self {
        Self {
            low: self.low.min(self.mid - FLOOR * self.mid.abs()),
            mid: self.mid,
            high: self.high.max(self.mid + FLOOR * self.mid.abs()),
        }
    }

    /// Each end and the middle, turned into something that grows with them.
    pub(super) fn map(self, make: impl Fn(f64) -> f64) -> Self {
        Self {
            low: make(self.low),
            mid: make(self.mid),
            high: make(self.high),
        }
    }

    /// The sum of two quantities, end by end: no narrower than their sum is.
    pub(super) fn plus(self, other: Self) -> Self {
        Self {
            low: self.low + other.low,
            mid: self.mid + other.mid,
            high: self.high + other.high,
        }
    }

    /// The product with a quantity that is not negative, end by end.
    pub(super) fn times(self, other: Self) -> Self {
        let product = |one: f64, other: f64| if one == 0.0 { 0.0 } else { one * other };
        // Below zero more is less.
        let [least, most] = [self.low < 0.0, self.high < 0.0];
        Self {
            low: product(self.low, if least { other.high } else { other.low }),
            mid: product(self.mid, other.mid),
            high: product(self.high, if most { other.low } else { other.high }),
        }
    }

    /// The product of two quantities whose errors have nothing to do with each other: relative errors
    /// add up by their squares, since both are seldom at their ends at once (JCGM 100:2008, 5.1.6).
    /// Never wider than end by end.
    pub(super) fn times_independent(self, other: Self) -> Self {
        let ends = self.times(other);
        if ends.mid <= 0.0 {
            return ends;
        }
        let reach = |end: fn(&Self) -> f64| {
            let relative = |of: &Self| (end(of) / of.mid - 1.0).abs();
            relative(&self).hypot(relative(&other))
        };
        Self {
            low: ends.low.max(ends.mid * (1.0 - reach(|of| of.low))),
            mid: ends.mid,
            high: ends.high.min(ends.mid * (1.0 + reach(|of| of.high))),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn of(low: f64, mid: f64, high: f64) -> Estimate {
        Estimate { low, mid, high }
    }

    #[test]
    fn independent_errors_add_up_by_their_squares() {
        let product = of(7.0, 10.0, 13.0).times_independent(of(0.6, 1.0, 1.4));
        assert!((product.low - 5.0).abs() < 1e-9, "{product:?}");
        assert!((product.high - 15.0).abs() < 1e-9, "{product:?}");
    }

    #[test]
    fn a_product_is_never_wider_than_end_by_end_nor_negative() {
        let wide = of(0.5, 10.0, f64::INFINITY);
        let product = wide.times_independent(of(0.5, 0.8, 1.0));
        assert_eq!(product, of(0.25, 8.0, f64::INFINITY));
        let none = of(0.0, 0.0, 0.4).times_independent(of(0.5, 0.8, 1.0));
        assert_eq!(none, of(0.0, 0.0, 0.4));
    }

    #[test]
    fn what_may_be_less_than_nothing_is_least_by_the_most_of_the_other() {
        let product = of(-1.0, -0.5, 1.0).times_independent(of(0.5, 0.8, 1.0));
        assert_eq!(product, of(-1.0, -0.4, 1.0));
        let product = of(-1.0, 0.5, 2.0).times(of(0.5, 0.8, 1.0));
        assert_eq!(product, of(-1.0, 0.4, 2.0));
    }

    #[test]
    fn the_floor_widens_only_what_is_narrower() {
        assert_eq!(of(10.0, 10.0, 10.0).floored(), of(7.0, 10.0, 13.0));
        assert_eq!(of(1.0, 10.0, 90.0).floored(), of(1.0, 10.0, 90.0));
        assert_eq!(of(-10.0, -10.0, -10.0).floored(), of(-13.0, -10.0, -7.0));
    }
}
