//! Which of the calm windows count.
//!
//! Where an API server is busy, refuses or lets wait, cost is not in proportion to the dose. Such windows
//! cannot just be left out one by one: it may be the agents' own requests that make a window such a one,
//! and of an agent that asks now and then only the windows would be left in which it did not. So the windows
//! of a width count all or not at all: all where cost was in proportion in some of them, since what they say
//! together is rather too much than too little (a request runs for longer where the CPU is short). Before the
//! first pod nothing is picked by what pods do, and what is in proportion is enough.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::{
    cells::{Cell, Cells},
    quantity::{Quantity, Values},
    told::Point,
};

/// All calm windows.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Watched {
    /// Those in which cost is in proportion to the dose.
    even: Cells,
    /// Those in which it is not.
    uneven: Cells,
    /// How many of these there are at each width, by why.
    reasons: BTreeMap<u32, BTreeMap<String, u32>>,
}

/// One calm window.
#[derive(Debug, Clone, Copy)]
pub(super) struct Calmly<'a> {
    pub(super) width: u32,
    pub(super) seconds: f64,
    pub(super) values: &'a Values,
    /// Whether the account's requests were counted in the whole of it.
    pub(super) is_metered: bool,
    /// Why cost is not in proportion to the dose in it, if it is not.
    pub(super) uneven: Option<&'static str>,
}

impl Watched {
    /// Takes in a window.
    pub(super) fn add(&mut self, window: Calmly<'_>) {
        let cells = if let Some(why) = window.uneven {
            let reasons = self.reasons.entry(window.width).or_default();
            *reasons.entry(why.to_owned()).or_default() += 1;
            &mut self.uneven
        } else {
            &mut self.even
        };
        cells.add(
            window.width,
            window.seconds,
            window.values,
            window.is_metered,
        );
        self.reasons.retain(|width, _| self.uneven.has(*width));
    }

    /// Takes back what a status tells of a width.
    pub(super) fn recall(&mut self, point: &Point, kappa: f64) {
        self.even.recall(point, kappa);
    }

    /// What was seen at a width was only this.
    pub(super) fn replace<'a>(
        &mut self,
        width: u32,
        windows: impl Iterator<Item = &'a (f64, Values)>,
    ) {
        self.even.replace(width, windows);
        self.uneven.remove(width);
        self.reasons.remove(&width);
    }

    /// What counts. `negligible` is for how many seconds a second the requests of one pod may run for the rollout
    /// to be harmless at full width, where that is known: what nobody would feel is not made more by the CPU
    /// being short, since requests run for no less than they cost.
    pub(super) fn counted(&self, negligible: Option<f64>) -> Cells {
        let mut counted = self.even.clone();
        let partly = |(width, _): &(u32, &Cell)| *width > 0 && self.even.has(*width);
        for (width, cell) in self.uneven.all().filter(partly) {
            counted.merge(width, cell);
        }
        if let Some(quiet) = self.uneven.get(0)
            && !self.even.has(0)
            && (counted.is_empty() || is_next_to_nothing(quiet, negligible))
        {
            // It is seen through the same clouds as all else, or tells of next to nothing. Else it would make
            // what pods add look like less.
            counted.merge(0, quiet);
        }
        let quiet = counted.quiet_mean(Quantity::Own).unwrap_or(0.0);
        if negligible.is_some_and(|each| self.is_harmless(each, quiet)) {
            for (width, cell) in self.clouded() {
                counted.merge(width, cell);
            }
        }
        counted
    }

    /// How many windows do not count, by why, if only these do.
    pub(super) fn left_out(&self, counted: &Cells) -> BTreeMap<String, u32> {
        let mut left_out = BTreeMap::new();
        for (width, reasons) in &self.reasons {
            for (why, number) in reasons.iter().filter(|_| !counted.has(*width)) {
                *left_out.entry(why.clone()).or_default() += number;
            }
        }
        left_out
    }

    /// Widths with pods at which cost was never in proportion.
    fn clouded(&self) -> impl Iterator<Item = (u32, &Cell)> {
        let widths = self.uneven.all();
        widths.filter(|(width, _)| *width > 0 && !self.even.has(*width))
    }

    /// Whether what all pods together were seen to use at clouded widths is next to nothing, where `each` may
    /// use so much. Widths are not told apart: an agent that asks once a minute did so at some of them only.
    fn is_harmless(&self, each: f64, quiet: f64) -> bool {
        let (mut more, mut dose) = (0.0, 0.0);
        for (width, cell) in self.clouded() {
            let seconds = cell.seconds_that_tell(Quantity::Own);
            if seconds == 0.0 {
                return false;
            }
            more += (cell.mean(Quantity::Own) - quiet) * seconds;
            dose += f64::from(width) * seconds;
        }
        more <= each * dose
    }
}

/// Whether an account used next to nothing, where each pod may use so much.
fn is_next_to_nothing(cell: &Cell, each: Option<f64>) -> bool {
    each.is_some_and(|each| cell.tells(Quantity::Own) && cell.mean(Quantity::Own) <= each)
}

#[cfg(test)]
mod tests {
    use super::*;

    /// A width's windows of five seconds: what the account's requests ran for, and whether they are uneven.
    fn watched(windows: &[(u32, f64, bool)]) -> Watched {
        let mut watched = Watched::default();
        for (width, own, uneven) in windows {
            let mut values = Values::default();
            values.set(Quantity::Own, *own);
            watched.add(Calmly {
                width: *width,
                seconds: 5.0,
                values: &values,
                is_metered: true,
                uneven: uneven.then_some("CPU above 60 %"),
            });
        }
        watched
    }

    fn own(watched: &Watched, width: u32) -> Option<f64> {
        let counted = watched.counted(Some(0.0002));
        counted.get(width).map(|cell| cell.mean(Quantity::Own))
    }

    #[test]
    fn what_asks_now_and_then_is_not_seen_only_while_it_does_not() {
        let mut windows = vec![(1, 0.0, true); 11];
        windows.push((1, 0.1, true));
        assert_eq!(own(&watched(&windows), 1), None, "all or none");
        // It asked at the second width only.
        windows = vec![
            (1, 0.0, true),
            (1, 0.0, true),
            (2, 0.2, true),
            (2, 0.0, true),
        ];
        assert_eq!(own(&watched(&windows), 1), None);
        assert_eq!(own(&watched(&windows), 2), None);
        // Its own requests are what makes the API server busy.
        windows = vec![(1, 0.0, false), (1, 0.0, false), (1, 0.1, true)];
        assert!((own(&watched(&windows), 1).unwrap() - 0.1 / 3.0).abs() < 1e-12);
        // What others did before the first pod is not picked by what pods do.
        windows = vec![(0, 0.01, false), (0, 0.05, true)];
        assert_eq!(own(&watched(&windows), 0), Some(0.01));
    }

    #[test]
    fn what_nobody_would_feel_is_seen_however_busy_it_is() {
        let windows = [(0, 0.0, true), (1, 0.0001, true), (4, 0.0008, true)];
        assert_eq!(own(&watched(&windows), 0), Some(0.0));
        assert_eq!(own(&watched(&windows), 1), Some(0.0001));
        assert_eq!(own(&watched(&windows), 4), Some(0.0008));
        assert!(
            watched(&windows)
                .left_out(&watched(&windows).counted(Some(1.0)))
                .is_empty()
        );
    }

    #[test]
    fn an_update_of_what_costs_already_is_compared_with_what_it_cost() {
        let windows = [(0, 0.15, true), (1, 0.1501, true), (2, 0.15, true)];
        assert_eq!(own(&watched(&windows), 0), Some(0.15));
        assert_eq!(own(&watched(&windows), 1), Some(0.1501));
        // Since it was seen through clouds and what came after was not, it tells nothing.
        let windows = [(0, 1.0, true), (1, 0.16, false), (2, 0.17, false)];
        assert_eq!(own(&watched(&windows), 0), None);
        assert_eq!(own(&watched(&windows), 1), Some(0.16));
    }

    #[test]
    fn nothing_is_harmless_where_nobody_counts() {
        let mut watched = Watched::default();
        let values = Values::default();
        for uneven in [Some("requests refused"); 2] {
            watched.add(Calmly {
                width: 3,
                seconds: 5.0,
                values: &values,
                is_metered: false,
                uneven,
            });
        }
        let counted = watched.counted(Some(1.0));
        assert!(!counted.has(3));
        assert_eq!(
            watched.left_out(&counted),
            [("requests refused".to_owned(), 2)].into()
        );
    }
}
