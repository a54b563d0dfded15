//! Weighted least squares with few parameters: a curve through points, and how far it can be trusted.
//!
//! ```text
//!  y = Σ β_k · x^k  over the powers that are asked for: [0, 1] is a line, [1] one through the origin
//!
//!  β = (XᵀWX)⁻¹ XᵀWy      s² = Σ w (y − ŷ)² / (n − p)      var ŷ(x) = s² · xᵀ (XᵀWX)⁻¹ x
//! ```
//!
//! Source: NIST/SEMATECH e-Handbook of Statistical Methods, 4.4.3.2 (weighted least squares) and
//! 4.5.1.2 (interval of the mean response). Points are added up as they come, so that neither their
//! number nor their order matters.

use serde::{Deserialize, Serialize};

use super::student;

/// The highest power of a curve.
const HIGHEST: usize = 2;

/// Points of a curve, added up.
#[derive(Debug, Clone, Copy, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Moments {
    /// How many points.
    points: usize,
    /// Σ w·x^k, for k up to twice the highest power.
    x: [f64; 2 * HIGHEST + 1],
    /// Σ w·x^k·y.
    xy: [f64; HIGHEST + 1],
    /// Σ w·y².
    yy: f64,
}

impl Moments {
    /// Adds `points` points at `x`, whose weights, weighted values and weighted squares add up to
    /// these.
    pub(super) fn add(&mut self, points: usize, x: f64, [weight, value, square]: [f64; 3]) {
        self.points += points;
        for (power, sum) in self.x.iter_mut().enumerate() {
            *sum += weight * x.powi(exponent(power));
        }
        for (power, sum) in self.xy.iter_mut().enumerate() {
            *sum += value * x.powi(exponent(power));
        }
        self.yy += square;
    }

    /// The curve of these powers of x through the points; `None` if they do not tell one.
    pub(super) fn fit<const P: usize>(&self, powers: [usize; P]) -> Option<Curve<P>> {
        // Scaled so that weights are one on average, and x at most about one: else small numbers
        // drown in large ones.
        let mean_weight = self.x[0] / self.points as f64;
        let spread = (self.x[2] / self.x[0]).sqrt();
        if !(mean_weight > 0.0 && spread.is_finite()) {
            return None;
        }
        let scale = if spread > 0.0 { spread } else { 1.0 };
        let x = |power: usize| self.x[power] / mean_weight / scale.powi(exponent(power));
        let xy = |power: usize| self.xy[power] / mean_weight / scale.powi(exponent(power));
        let inverse = inverse(powers.map(|row| powers.map(|column| x(row + column))))?;
        let right = powers.map(xy);
        let factors = inverse.map(|row| dot(&row, &right));
        let degrees = self.points.checked_sub(P)?;
        let residual = (self.yy / mean_weight - dot(&factors, &right)).max(0.0);
        let variance = if degrees == 0 {
            f64::INFINITY
        } else {
            residual / degrees as f64
        };
        Some(Curve {
            powers,
            factors,
            inverse,
            variance,
            degrees,
            scale,
        })
    }
}

/// A curve through points.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Curve<const P: usize> {
    powers: [usize; P],
    factors: [f64; P],
    inverse: [[f64; P]; P],
    /// Of one point around the curve.
    variance: f64,
    degrees: usize,
    scale: f64,
}

impl<const P: usize> Curve<P> {
    /// The curve at `x`, and how far to each side its 95 % interval reaches there.
    pub(super) fn at(&self, x: f64) -> (f64, f64) {
        let row = self
            .powers
            .map(|power| (x / self.scale).powi(exponent(power)));
        (dot(&self.factors, &row), self.reach(&row))
    }

    /// The factor of the `index`th power, and how far to each side its 95 % interval reaches.
    pub(super) fn factor(&self, index: usize) -> (f64, f64) {
        let mut row = [0.0; P];
        row[index] = self.scale.powi(-exponent(self.powers[index]));
        (dot(&self.factors, &row), self.reach(&row))
    }

    /// How far the 95 % interval of a combination of the factors reaches to each side.
    fn reach(&self, row: &[f64; P]) -> f64 {
        let spread = dot(&self.inverse.map(|line| dot(&line, row)), row).max(0.0);
        if self.degrees == 0 {
            return f64::INFINITY;
        }
        student::quantile(self.degrees) * (self.variance * spread).sqrt()
    }
}

fn dot<const P: usize>(one: &[f64; P], other: &[f64; P]) -> f64 {
    one.iter().zip(other).map(|(a, b)| a * b).sum()
}

/// A power as the standard library wants it; none is above twice the highest.
fn exponent(power: usize) -> i32 {
    i32::try_from(power).unwrap_or(i32::MAX)
}

/// The inverse by Gauss and Jordan, with the largest pivot of each column; `None` if there is none.
fn inverse<const P: usize>(mut matrix: [[f64; P]; P]) -> Option<[[f64; P]; P]> {
    /// Of a matrix whose diagonal is about as large as the number of points.
    const SMALLEST_PIVOT: f64 = 1e-9;
    let mut result = [[0.0; P]; P];
    for (index, row) in result.iter_mut().enumerate() {
        row[index] = 1.0;
    }
    for column in 0..P {
        let largest = |a: &usize, b: &usize| {
            let [a, b] = [a, b].map(|row| matrix[*row][column].abs());
            a.total_cmp(&b)
        };
        let pivot = (column..P).max_by(largest)?;
        let size = matrix[pivot][column].abs();
        if size.is_nan() || size <= SMALLEST_PIVOT {
            return None;
        }
        matrix.swap(column, pivot);
        result.swap(column, pivot);
        let divisor = matrix[column][column];
        for (left, right) in matrix[column].iter_mut().zip(&mut result[column]) {
            *left /= divisor;
            *right /= divisor;
        }
        let (pivot_left, pivot_right) = (matrix[column], result[column]);
        for row in (0..P).filter(|row| *row != column) {
            let factor = matrix[row][column];
            for index in 0..P {
                matrix[row][index] -= factor * pivot_left[index];
                result[row][index] -= factor * pivot_right[index];
            }
        }
    }
    Some(result)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn moments(points: &[(f64, f64)]) -> Moments {
        let mut moments = Moments::default();
        for (x, y) in points {
            moments.add(1, *x, [1.0, *y, y * y]);
        }
        moments
    }

    /// Slope, intercept and residual as worked out by hand from the formulas above.
    #[test]
    fn a_line_is_as_the_formulas_have_it() {
        let line = moments(&[(1.0, 1.0), (2.0, 3.0), (3.0, 2.0), (4.0, 5.0), (5.0, 4.0)]);
        let line = line.fit([0, 1]).unwrap();
        let (slope, reach) = line.factor(1);
        assert!((slope - 0.8).abs() < 1e-9);
        // s² = 3.6 / 3, Sxx = 10, t(3) = 3.182
        assert!((reach - 3.182 * (1.2_f64 / 10.0).sqrt()).abs() < 1e-9);
        let (mean, reach) = line.at(3.0);
        assert!((mean - 3.0).abs() < 1e-9);
        assert!((reach - 3.182 * (1.2_f64 / 5.0).sqrt()).abs() < 1e-9);
    }

    #[test]
    fn what_cannot_be_told_is_not_told() {
        assert_eq!(Moments::default().fit([0, 1]), None);
        let one_x = moments(&[(2.0, 1.0), (2.0, 3.0), (2.0, 2.0)]);
        assert_eq!(one_x.fit([0, 1]), None);
        assert!(one_x.fit([1]).is_some());
        let two = moments(&[(1.0, 1.0), (2.0, 2.0)]).fit([0, 1]).unwrap();
        assert!(two.at(4.0).1.is_infinite());
    }

    #[test]
    fn a_bend_is_found_through_ten_thousand_points() {
        let points: Vec<_> = (0..10_000)
            .map(|index| {
                let x = f64::from(index % 100);
                (x, 1.0 + 2.0 * x + 0.5 * x * x)
            })
            .collect();
        let bend = moments(&points).fit([0, 1, 2]).unwrap();
        let (mid, reach) = bend.at(400.0);
        assert!((mid - (1.0 + 800.0 + 80_000.0)).abs() < 1e-3 * mid, "{mid}");
        assert!(reach < 1e-3 * mid, "{reach}");
    }
}
