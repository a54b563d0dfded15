//! CPU seconds for each second that requests of the account run: κ = ΔCPU / Δexecution, at most one.

use super::{estimate::Estimate, ledger::Ledger, quantity::USUAL_KAPPA};

/// How far κ usually strays from what is usual: from 0.9 to 0.65 where it was measured on calm servers.
const STRAYS: f64 = 0.15;

/// It is at most one, since nothing runs for longer than it runs; and at least this, but for clients that
/// read their answers slowly.
const LEAST: f64 = 0.3;

/// How many standard errors a 95 % interval reaches to each side.
const REACH: f64 = 1.96;

/// Where execution seconds are no part of it.
pub(super) const ONE: Estimate = Estimate {
    low: 1.0,
    mid: 1.0,
    high: 1.0,
};

/// What is usual and what was seen, weighed by the inverse of their variances (the mean of a normal
/// prior and a normal likelihood).
///
/// What was seen never counts for more than what is usual: CPU is everybody's, and a load of others that
/// falls while the rollout widens would pass for requests that cost nothing. For the same reason the
/// upper end is never below what is usual.
pub(super) fn kappa(ledger: &Ledger) -> Estimate {
    let within = |value: f64| value.clamp(LEAST, 1.0);
    let seen = ledger.kappa.fit([0, 1]).map(|line| line.factor(1));
    let known = seen.filter(|(slope, reach)| slope.is_finite() && reach.is_finite());
    let (slope, error) = known.map_or((USUAL_KAPPA, f64::INFINITY), |(slope, reach)| {
        (within(slope), (reach / REACH).max(STRAYS))
    });
    let [usual, seen] = [STRAYS, error].map(|error| error.powi(-2));
    let mid = (USUAL_KAPPA * usual + slope * seen) / (usual + seen);
    let reach = REACH / (usual + seen).sqrt();
    Estimate {
        low: within(mid - reach),
        mid: within(mid),
        high: within((mid + reach).max(USUAL_KAPPA)),
    }
}
