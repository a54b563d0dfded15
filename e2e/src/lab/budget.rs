//! Figures that have a budget: of several runs the median and the worst, and whether even that is within it.

use super::cells::{Table, headed, yes};
use crate::bystander::stats::percentile;

/// What was measured of one thing, and the most that it may be.
pub(super) struct Figure {
    /// Of what.
    pub(super) what: &'static str,
    /// What it was in each run.
    pub(super) runs: Vec<f64>,
    /// The most that it may be in any.
    pub(super) most: f64,
    /// How people write it.
    pub(super) written: fn(f64) -> String,
}

impl Figure {
    /// Whether there are runs, and none exceeds the budget.
    pub(super) fn is_within(&self) -> bool {
        !self.runs.is_empty() && self.runs.iter().all(|run| *run <= self.most)
    }

    fn row(&self) -> Vec<String> {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        vec![
            self.what.to_owned(),
            self.runs.len().to_string(),
            (self.written)(percentile(&sorted, 50)),
            (self.written)(percentile(&sorted, 100)),
            (self.written)(self.most),
            yes(self.is_within()),
        ]
    }
}

/// A row for each figure.
pub(super) fn table(figures: &[Figure]) -> Table {
    let head = ["", "runs", "median", "worst", "at most", "within"];
    headed(head, figures.iter().map(Figure::row))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn figure(runs: &[f64]) -> Figure {
        Figure {
            what: "requests",
            runs: runs.to_vec(),
            most: 5.0,
            written: |value| format!("{value:.0}"),
        }
    }

    #[test]
    fn the_worst_run_decides() {
        assert!(figure(&[3.0, 5.0]).is_within());
        assert!(!figure(&[3.0, 3.0, 6.0]).is_within());
        assert!(!figure(&[f64::NAN]).is_within());
        assert!(!figure(&[]).is_within(), "nothing was measured");
    }

    #[test]
    fn a_row_tells_the_median_and_the_worst() {
        let table = table(&[figure(&[6.0, 1.0, 3.0])]);
        assert_eq!(table[1], ["requests", "3", "3", "6", "5", "NO"]);
        assert_eq!(table[0].len(), table[1].len());
    }
}
