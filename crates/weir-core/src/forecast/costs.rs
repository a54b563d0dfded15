//! What a ledger says that pods cost, and what is used without them.

use super::{
    cells::Cell,
    cost::{Cost, is_wide},
    estimate::Estimate,
    kappa,
    ledger::{Ledger, Used},
    quantity::{OTHERS_STRAY, Quantity},
    starts::Running,
};

/// What pods cost.
#[derive(Debug, Clone)]
pub(super) struct Costs {
    /// Execution seconds per second, or, without a meter, cores.
    pub(super) own: Cost,
    /// Cores that nobody's requests explain, where they surely grow with the width.
    pub(super) unexplained: Option<Cost>,
    /// Execution seconds per second at present, where the account is metered: what that costs is part of
    /// what is used now, and needs no κ.
    pub(super) now: f64,
    /// CPU seconds of the account for one pod's start, and of everybody.
    pub(super) start: Option<Estimate>,
    pub(super) start_by_all: f64,
}

/// By what costs are told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Basis {
    /// CPU seconds for each second that requests of the account run.
    pub(super) kappa: Estimate,
    /// What is used without the rollout, in cores of all API servers.
    pub(super) base_cores: f64,
    /// Whether the account's requests are counted.
    pub(super) metered: bool,
}

impl Costs {
    pub(super) fn of(ledger: &Ledger, full: u32, basis: Basis) -> Self {
        let Basis {
            kappa,
            base_cores,
            metered,
        } = basis;
        let quiet = ledger.cells.quiet_mean(Quantity::Own).unwrap_or(0.0);
        let counted = Cost::fit(&ledger.cells, Quantity::Own, quiet);
        let (own, kappa_of_own) = if metered {
            (counted, kappa)
        } else {
            let all = Cost::fit(&ledger.cells, Quantity::Cpu, base_cores);
            (all, kappa::ONE)
        };
        let each = kappa_of_own.mid * own.per_pod(f64::from(full)).mid;
        // What was counted of starts stays true while nothing counts.
        let running = Running {
            steady: &counted,
            quiet,
            strays: ledger.cells.strays(Quantity::Own),
        };
        let start = ledger.starts.cost(running, kappa);
        Self {
            own,
            unexplained: metered.then(|| unexplained(ledger)).flatten(),
            now: ledger
                .present
                .used
                .filter(|_| metered)
                .map_or(0.0, |used| own_now(ledger, used)),
            start: start.map(Estimate::floored),
            start_by_all: ledger.starts.by_all(base_cores, each),
        }
    }
}

/// What is fitted by width.
pub(super) const fn fitted(metered: bool) -> Quantity {
    if metered {
        Quantity::Own
    } else {
        Quantity::Cpu
    }
}

/// CPU of all API servers without the rollout, by the most likely κ: what its account does not explain at
/// present, where it is metered; else what was used before the first pod, or, where no such time was seen, the
/// least that was used with pods.
///
/// Not what was used before the first pod for ever: the creation of its gated pods is felt for a minute,
/// days have mornings, and other rollouts add to it.
pub(super) fn base(ledger: &Ledger, metered: bool, kappa: f64) -> f64 {
    let mean = |(_, cell): (u32, &Cell)| cell.mean(Quantity::Cpu);
    let least = || {
        let seen = ledger.cells.telling(Quantity::Cpu);
        seen.map(mean).reduce(f64::min)
    };
    let quiet = || ledger.cells.quiet_mean(Quantity::Cpu).or_else(least);
    let rest = |used: Used| used.cpu - kappa * own_now(ledger, used);
    let present = ledger.present.used.filter(|_| metered).map(rest);
    present.or_else(quiet).unwrap_or(0.0).max(0.0)
}

/// CPU seconds for each second that requests of the account run.
pub(super) fn kappa_of_requests(ledger: &Ledger) -> Estimate {
    ledger.kappa.estimate(kappa::most(&ledger.cells))
}

/// Execution seconds per second of the rollout at present, above what its account used before it.
fn own_now(ledger: &Ledger, used: Used) -> f64 {
    let quiet = ledger.cells.quiet_mean(Quantity::Own).unwrap_or(0.0);
    (used.own - quiet).max(0.0)
}

/// What nobody's requests explain, if it surely grows with the width over widths that are far apart: the
/// events of watches are no requests.
///
/// Others' load drifts, and over a few widths now and then it passes for a slope. So open watches must
/// grow as well, since nobody else sends events; and at the widest there must be more than others stray by.
fn unexplained(ledger: &Ledger) -> Option<Cost> {
    let quantity = Quantity::Unexplained;
    if !is_wide(&ledger.cells, quantity) || !watches_grow(ledger) {
        return None;
    }
    let base = ledger.cells.quiet_mean(quantity)?;
    let cost = Cost::fit(&ledger.cells, quantity, base);
    let (widest, _) = ledger.cells.telling(quantity).next_back()?;
    let others = ledger.cells.quiet_mean(Quantity::Cpu)?;
    let is_felt = cost.at(f64::from(widest)).mid > OTHERS_STRAY * others;
    (cost.is_fitted() && cost.grows() && is_felt).then_some(cost)
}

/// Whether at least every other pod surely keeps a watch open.
fn watches_grow(ledger: &Ledger) -> bool {
    const OF_A_POD: f64 = 0.5;
    let base = ledger.cells.quiet_mean(Quantity::Watches).unwrap_or(0.0);
    let watches = Cost::fit(&ledger.cells, Quantity::Watches, base);
    watches.is_fitted() && watches.grows() && watches.per_pod(1.0).mid >= OF_A_POD
}
