//! Means of what has a name, over windows of different length.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

/// The mean of each, over all windows: of one that is missing in a window there was nothing.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Means {
    seconds: f64,
    /// Σ seconds·value.
    sums: BTreeMap<String, f64>,
}

impl Means {
    /// Takes in a window. No more than `most` names are remembered.
    pub(super) fn add(&mut self, seconds: f64, values: &BTreeMap<String, f64>, most: usize) {
        self.seconds += seconds;
        for (name, value) in values {
            if self.sums.contains_key(name) || self.sums.len() < most {
                *self.sums.entry(name.clone()).or_default() += value * seconds;
            }
        }
    }

    /// Whether anything was seen.
    pub(super) const fn is_known(&self) -> bool {
        self.seconds > 0.0
    }

    /// The mean; nothing of what was never seen.
    pub(super) fn of(&self, name: &str) -> f64 {
        let sum = self.sums.get(name).copied().unwrap_or(0.0);
        if sum > 0.0 { sum / self.seconds } else { 0.0 }
    }

    /// How many names are remembered.
    #[cfg(test)]
    pub(super) fn len(&self) -> usize {
        self.sums.len()
    }
}
