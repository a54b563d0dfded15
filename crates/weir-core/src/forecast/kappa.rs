//! CPU seconds for each second that requests of the account run: κ = ΔCPU / Δexecution, at most one.

use serde::{Deserialize, Serialize};

use super::{
    cells::{Cell, Cells},
    estimate::Estimate,
    line::Moments,
    quantity::{OTHERS_STRAY, Quantity, USUAL_KAPPA},
};

/// How far κ usually strays from what is usual: from 0.9 to 0.65 where it was measured on calm servers.
const STRAYS: f64 = 0.15;

/// It is at most one, since nothing takes longer than it runs; and at least this, but for clients that read
/// their answers slowly: reads of single objects, which wait for etcd, are the least that was measured (0.13).
const LEAST: f64 = 0.1;

/// How many standard errors a 95 % interval reaches to each side.
const REACH: f64 = 1.96;

/// Where execution seconds are no part of it.
pub(super) const ONE: Estimate = Estimate {
    low: 1.0,
    mid: 1.0,
    high: 1.0,
};

/// What was seen of it.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Kappa {
    /// CPU by execution seconds of the account.
    seen: Moments,
    /// What it was found to be before a restart, which is then what is usual.
    recalled: Option<f64>,
}

impl Kappa {
    /// What is on record of it.
    pub(super) fn recalled(kappa: f64) -> Self {
        Self {
            seen: Moments::default(),
            recalled: Some(kappa).filter(|kappa| *kappa > 0.0),
        }
    }

    /// Takes in a calm window.
    pub(super) fn add(&mut self, own: f64, cpu: f64, seconds: f64) {
        let sums = [1.0, cpu, cpu * cpu].map(|value| value * seconds);
        self.seen.add(1, own, sums);
    }

    /// What is usual and what was seen, weighed by the inverse of their variances (the mean of a normal
    /// prior and a normal likelihood).
    ///
    /// What was seen never counts for more than what is usual: CPU is everybody's, and a load of others that
    /// falls while the rollout widens would pass for requests that cost nothing. For the same reason the
    /// upper end is never below what is usual; but it is never above `most`, which is all the CPU that there
    /// was.
    pub(super) fn estimate(&self, most: f64) -> Estimate {
        let within = |value: f64| value.clamp(LEAST, 1.0);
        let usual = self.recalled.map_or(USUAL_KAPPA, within);
        let seen = self.seen.fit([0, 1]).map(|line| line.factor(1));
        let known = seen.filter(|(slope, reach)| slope.is_finite() && reach.is_finite());
        let (slope, error) = known.map_or((usual, f64::INFINITY), |(slope, reach)| {
            (within(slope), (reach / REACH).max(STRAYS))
        });
        let [prior, weight] = [STRAYS, error].map(|error| error.powi(-2));
        let mid = (usual * prior + slope * weight) / (prior + weight);
        let reach = REACH / (prior + weight).sqrt();
        let bounded = |value: f64| within(value.min(most));
        Estimate {
            low: bounded(mid - reach),
            mid: bounded(mid),
            high: bounded((mid + reach).max(USUAL_KAPPA)),
        }
    }
}

/// The most that κ can be: at no width did the account's requests cost more than all the CPU that was used,
/// but for what others surely use. These may use less than before the first pod, as far as they stray.
pub(super) fn most(cells: &Cells) -> f64 {
    let Some(quiet) = cells.quiet_mean(Quantity::Cpu) else {
        return 1.0;
    };
    let others = (1.0 - OTHERS_STRAY) * quiet;
    let bound = |(_, cell): (u32, &Cell)| {
        let cpu = cell.mean(Quantity::Cpu) + cell.reach(Quantity::Cpu) - others;
        let own = cell.mean(Quantity::Own) - cell.reach(Quantity::Own);
        (own > 0.0).then(|| cpu / own)
    };
    let bounds = cells.telling(Quantity::Own).filter_map(bound);
    bounds.fold(1.0, f64::min)
}

#[cfg(test)]
mod tests {
    use super::{super::quantity::Values, *};

    /// Windows in which the account's requests ran for so long, beside 0.2 cores of others.
    fn seen(kappa: f64, of_others: impl Fn(f64) -> f64) -> Estimate {
        let mut seen = Kappa::default();
        for step in 0..24_u8 {
            let own = f64::from(step % 6) / 10.0;
            seen.add(own, of_others(own) + kappa * own, 5.0);
        }
        seen.estimate(1.0)
    }

    #[test]
    fn it_is_what_is_usual_until_something_is_seen_and_then_half_of_each() {
        let usual = Kappa::default().estimate(1.0);
        assert!((usual.mid - USUAL_KAPPA).abs() < 1e-9 && usual.high <= 1.0);
        let half = seen(0.5, |_| 0.2);
        assert!(
            (half.mid - f64::midpoint(0.5, USUAL_KAPPA)).abs() < 0.01,
            "{half:?}"
        );
        assert!(half.high - half.low < usual.high - usual.low);
    }

    #[test]
    fn a_load_of_others_that_falls_makes_no_request_free() {
        let falling = seen(0.9, |own| 1.0 - 1.5 * own);
        assert!(
            falling.mid >= f64::midpoint(LEAST, USUAL_KAPPA) - 1e-9,
            "{falling:?}"
        );
        assert!(falling.high >= USUAL_KAPPA);
        assert!(
            seen(3.0, |_| 0.2).mid <= 1.0,
            "nothing runs for longer than it runs"
        );
    }

    #[test]
    fn a_restart_does_not_move_it() {
        let recalled = Kappa::recalled(0.55).estimate(1.0);
        assert!((recalled.mid - 0.55).abs() < 1e-9, "{recalled:?}");
        assert_eq!(
            Kappa::recalled(0.0).estimate(1.0),
            Kappa::default().estimate(1.0)
        );
    }

    /// Reads that wait for etcd: they run for a second a second, and all API servers use 0.4 cores.
    #[test]
    fn requests_cost_no_more_than_all_the_cpu_that_was_used() {
        let mut cells = Cells::default();
        let mut add = |width, own, cpu| {
            let mut values = Values::default();
            values.set(Quantity::Own, own);
            values.set(Quantity::Cpu, cpu);
            cells.add(width, 5.0, &values, true);
        };
        for _ in 0..6 {
            add(0, 0.0, 0.2);
            add(100, 1.0, 0.4);
        }
        assert!((most(&cells) - 0.3).abs() < 1e-9, "half of 0.2 is others'");
        let kappa = Kappa::default().estimate(most(&cells));
        assert!(kappa.high < 0.301 && kappa.mid <= kappa.high && kappa.low <= kappa.mid);
        assert!((most(&Cells::default()) - 1.0).abs() < 1e-9);
    }
}
