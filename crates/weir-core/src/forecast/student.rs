//! Quantiles of Student's t distribution: how many standard errors a 95 % interval reaches to each
//! side.

/// The 97.5 % quantiles for 1 to 30 degrees of freedom.
///
/// Source: NIST/SEMATECH e-Handbook of Statistical Methods, 1.3.6.7.2, "Critical Values of the
/// Student's t Distribution".
const QUANTILES: [f64; 30] = [
    12.706, 4.303, 3.182, 2.776, 2.571, 2.447, 2.365, 2.306, 2.262, 2.228, 2.201, 2.179, 2.160,
    2.145, 2.131, 2.120, 2.110, 2.101, 2.093, 2.086, 2.080, 2.074, 2.069, 2.064, 2.060, 2.056,
    2.052, 2.048, 2.045, 2.042,
];

/// The same for the normal distribution, which many degrees of freedom come to.
const NORMAL: f64 = 1.960;

/// The 97.5 % quantile for so many degrees of freedom; infinite for none.
///
/// Beyond the table it follows the distribution's expansion in 1 / degrees, whose first term is within
/// 0.002 there (Abramowitz and Stegun, 26.7.5).
pub(super) fn quantile(degrees: usize) -> f64 {
    match degrees {
        0 => f64::INFINITY,
        1..=30 => QUANTILES[degrees - 1],
        _ => NORMAL + (NORMAL.powi(3) + NORMAL) / (4.0 * degrees as f64),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn fewer_degrees_reach_further() {
        assert!(quantile(0).is_infinite());
        for degrees in 1..200 {
            assert!(quantile(degrees) > quantile(degrees + 1), "{degrees}");
        }
        assert!((quantile(60) - 2.000).abs() < 0.002);
        assert!((quantile(100_000) - NORMAL).abs() < 0.001);
    }
}
