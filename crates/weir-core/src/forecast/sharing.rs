//! How several API servers share what a rollout costs: the busiest one's part, with one missing.
//!
//! Connections are made once and stay: a client's load is on one API server, and after a restart of
//! another on one more. Not the mean but the busiest counts, and one less must still bear it.

use super::{estimate::Estimate, ledger::Ledger, quantity::Quantity};
use crate::evidence::{ServerEvidence, ServerId};

/// Parts of a total that one API server bears.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(super) struct Sharing {
    /// API servers that there are.
    pub(super) servers: usize,
    /// The part of the rollout's cost.
    pub(super) own: Estimate,
    /// The part of what is used without the rollout.
    pub(super) rest: f64,
}

impl Sharing {
    pub(super) fn of(ledger: &Ledger, servers: &[(&ServerId, &ServerEvidence)]) -> Self {
        let number = servers.len().max(1);
        let left = left(number);
        let even = 1.0 / left;
        let uneven = (busiest(ledger, number) * number as f64 / left).clamp(even, 1.0);
        let rest = ledger.present.latest.as_ref().map_or(1.0, |latest| {
            let cpu = latest.values.of(Quantity::Cpu);
            if cpu > 0.0 {
                latest.busiest / cpu * number as f64 / left
            } else {
                even
            }
        });
        Self {
            servers: number,
            own: Estimate {
                low: even,
                mid: even,
                high: uneven,
            },
            rest: rest.clamp(even, 1.0),
        }
    }
}

/// API servers that are left with one missing: the others share what it bore.
pub(super) fn left(servers: usize) -> f64 {
    servers.saturating_sub(1).max(1) as f64
}

/// The busiest API server's share of the rollout's cost so far; an even share as long as chance alone
/// may have made the difference.
///
/// Of w clients that choose among n at random one gets w/n, and strays by √(w·(1 − 1/n)/n): a
/// binomial's standard deviation. Two of them are chance.
fn busiest(ledger: &Ledger, servers: usize) -> f64 {
    let even = 1.0 / servers as f64;
    let total: f64 = ledger.own_by_server.values().sum();
    let most = ledger.own_by_server.values().copied().fold(0.0, f64::max);
    let clients = f64::from(
        ledger
            .present
            .latest
            .as_ref()
            .map_or(0, |latest| latest.width),
    )
    .max(1.0);
    let chance = 2.0 * (even * (1.0 - even) / clients).sqrt();
    if total > 0.0 && most / total > even + chance {
        most / total
    } else {
        even
    }
}
