//! What a ledger shows besides cost: that it grows with age, that clients ask again and again, and that
//! it is not this rollout that uses more.

use super::{
    ledger::{Latest, Ledger},
    outlook::Outlook,
    quantity::{OTHERS_STRAY, Quantity, Values},
    student,
};
use crate::time::{Moment, Span};

/// Windows at one width from which it can be told whether cost grows with age: two halves of four.
const WINDOWS_OF_AGE: usize = 8;

/// How many times as much as in the earlier half it must be in the later: what doubles in three
/// such times is far from steady, and less is the noise of ordinary agents.
const GROWN: f64 = 1.5;

/// How many times as often as before clients must ask: a retry or two of each request is ordinary.
pub(crate) const AMPLIFIED: f64 = 3.0;

/// Calm windows, whatever the width, from which it is known how often each pod asks.
const WINDOWS_OF_HABIT: usize = 3;

/// The share of what the API servers use more that a rollout may have and still be cleared of it: had
/// it not begun, nine tenths of the harm would be there.
const CLEARED: f64 = 0.1;

/// The share of it from which another account is named.
const NAMED: f64 = 0.3;

/// The share of it that others' requests must explain: the rest may be events of watches.
const EXPLAINED: f64 = 0.5;

/// The FlowSchemas of kubelets (Kubernetes' own).
const OF_NODES: [&str; 2] = ["system-nodes", "system-node-high"];

/// How old the last window may be to tell who uses what.
const LATELY: Span = Span::from_secs(30);

/// How long after pods started harm may still be of that: two pages and five probes.
pub(crate) const JUST_BEFORE: Span = Span::from_secs(15);

/// How often each pod asks.
#[derive(Debug, Clone, Copy, PartialEq)]
pub(crate) struct Amplified {
    /// Attempts of each pod per second, at present and at the most in calm times.
    pub(crate) now: f64,
    pub(crate) before: f64,
    /// Requests of the account refused per second.
    pub(crate) refused: f64,
}

/// Who uses more than before the rollout.
#[derive(Debug, Clone, PartialEq)]
pub(crate) struct Cleared {
    /// Cores that the rollout's account uses.
    pub(crate) own: f64,
    /// Cores that the API servers use more than before.
    pub(crate) more: f64,
    /// The FlowSchema whose share has grown most, and by how many cores, if it explains much.
    pub(crate) other: Option<(String, f64)>,
}

impl Ledger {
    /// Execution seconds per second in the earlier and in the later half of what was seen at this
    /// width, if the later is certainly, and much, more. Where others use the account too, it must be more
    /// than they stray by.
    ///
    /// Welch's test of two means (NIST/SEMATECH e-Handbook, 1.3.5.3), with the fewer degrees of
    /// freedom of the two halves.
    pub(crate) fn grown_with_age(&self) -> Option<[f64; 2]> {
        if self.present.ageing.len() < WINDOWS_OF_AGE {
            return None;
        }
        let own = |(_, values): &(f64, Values)| values.of(Quantity::Own);
        let values: Vec<f64> = self.present.ageing.iter().map(own).collect();
        let (earlier, later) = values.split_at(values.len() / 2);
        let [(before, strayed), (after, strays)] = [earlier, later].map(mean_and_error);
        let reach = student::quantile(earlier.len() - 1) * strayed.hypot(strays);
        // What comes and goes, as a list each few minutes does, has gone again at the end.
        let (last, _) = mean_and_error(&later[later.len() / 2..]);
        let quiet = self.cells.quiet_mean(Quantity::Own).unwrap_or(0.0);
        let is_more = after - before > reach.max(OTHERS_STRAY * quiet);
        let pods = |own: f64| (own - quiet).max(0.0);
        let is_much = pods(after.min(last)) >= GROWN * pods(before);
        (is_more && is_much).then_some([before, after])
    }

    /// Whether each pod asks much more often than it did, while its account is refused so often.
    pub(crate) fn amplified(&self, refused: f64, now: Moment) -> Option<Amplified> {
        let is_of_now = |latest: &&Latest| latest.is_calm && latest.at + LATELY >= now;
        let latest = self.present.latest.as_ref().filter(is_of_now)?;
        let quiet = self.cells.quiet_mean(Quantity::Attempts).unwrap_or(0.0);
        let told = || self.cells.telling(Quantity::Attempts);
        if told().map(|(_, cell)| cell.windows()).sum::<usize>() < WINDOWS_OF_HABIT {
            return None;
        }
        let each = |attempts: f64, width: u32| (attempts - quiet) / f64::from(width.max(1));
        let before = told()
            .map(|(width, cell)| each(cell.mean(Quantity::Attempts), width))
            .reduce(f64::max)
            .filter(|before| *before > 0.0)?;
        let present = each(latest.values.of(Quantity::Attempts), latest.width);
        (present >= AMPLIFIED * before && latest.refused >= refused).then_some(Amplified {
            now: present,
            before,
            refused: latest.refused,
        })
    }

    /// That this rollout's account does not use what the API servers use more, if that can be told:
    /// it is metered, and harm was last `seen` when none of its pods had started for some time.
    pub(crate) fn cleared(&self, outlook: &Outlook, seen: Moment) -> Option<Cleared> {
        let latest = self.present.latest.as_ref()?;
        let is_of_then = latest.is_metered && latest.at + LATELY >= seen;
        let is_told = outlook.metered && is_of_then && self.quiet.is_known();
        if !is_told || !self.rested(JUST_BEFORE, seen) {
            return None;
        }
        let more = |quantity| {
            let quiet = self.cells.quiet_mean(quantity).unwrap_or(0.0);
            (latest.values.of(quantity) - quiet).max(0.0)
        };
        let own = more(Quantity::Own) * outlook.kappa.high;
        let more = more(Quantity::Cpu);
        // What no request explains may be the events of watches, which no meter counts; and kubelets
        // may ask for what the rollout's pods need. Requests explain no more than the time that they run.
        let explained: f64 = self
            .risen()
            .filter(|(schema, _)| !OF_NODES.contains(schema))
            .map(|(_, risen)| risen.max(0.0))
            .sum();
        let is_told = !outlook.is_negligible(more) && explained >= EXPLAINED * more;
        (is_told && own <= CLEARED * more).then(|| Cleared {
            own,
            more,
            other: self.riser(more),
        })
    }

    /// By how much the requests of each FlowSchema but the rollout's own meter run for longer than before
    /// the first pod.
    fn risen(&self) -> impl Iterator<Item = (&str, f64)> {
        let latest = self.present.latest.as_ref();
        let own = latest.and_then(|latest| latest.meter.as_ref());
        let schemas = latest.into_iter().flat_map(|latest| &latest.schemas);
        schemas
            .filter(move |(schema, _)| Some(*schema) != own)
            .map(|(schema, rate)| (schema.as_str(), rate - self.quiet.of(schema)))
    }

    /// The FlowSchema, but for the rollout's own, whose requests run for longest more than before the first
    /// pod, if that explains much of what is used `more`.
    fn riser(&self, more: f64) -> Option<(String, f64)> {
        let (schema, risen) = self
            .risen()
            .max_by(|(_, one), (_, other)| one.total_cmp(other))?;
        (risen >= NAMED * more && risen > 0.0).then(|| (schema.to_owned(), risen.min(more)))
    }
}

/// The mean, and its standard error.
fn mean_and_error(values: &[f64]) -> (f64, f64) {
    let number = values.len() as f64;
    let mean = values.iter().sum::<f64>() / number;
    let squares: f64 = values.iter().map(|value| (value - mean).powi(2)).sum();
    (mean, (squares / (number - 1.0) / number).sqrt())
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Reads that wait for etcd run for much longer than they cost: an account whose requests run for
    /// longest may still use next to nothing.
    #[test]
    fn the_rollout_s_own_account_neither_explains_nor_is_named() {
        let schemas = [("own", 4.0), ("other", 0.9), ("third", 0.5)];
        let schemas = schemas.map(|(name, rate)| (name.to_owned(), rate));
        let mut ledger = Ledger::default();
        ledger.present.latest = Some(Latest {
            schemas: schemas.into(),
            meter: Some("own".to_owned()),
            ..Latest::default()
        });
        assert!((ledger.risen().map(|(_, risen)| risen).sum::<f64>() - 1.4).abs() < 1e-9);
        assert_eq!(ledger.riser(2.0), Some(("other".to_owned(), 0.9)));
        assert_eq!(ledger.riser(4.0), None);
    }
}
