//! Seats of each priority level in use, by whoever asks: what an account's level has left for it.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use super::means::Means;
use crate::usage::MAX_LEVELS;

/// What was in use of each level while nothing started.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub(super) struct Levels {
    /// Before the first pod.
    quiet: Means,
    /// With pods, theirs included.
    out: Means,
}

impl Levels {
    /// Takes in a window at a width.
    pub(super) fn add(&mut self, width: u32, seconds: f64, levels: &BTreeMap<String, f64>) {
        let means = if width == 0 {
            &mut self.quiet
        } else {
            &mut self.out
        };
        means.add(seconds, levels, MAX_LEVELS);
    }

    /// Seats of a level that are in use without the rollout. Where no time before it was seen, as after a
    /// restart, what its pods take is among them: that errs on the careful side.
    pub(super) fn in_use(&self, level: &str) -> f64 {
        let means = if self.quiet.is_known() {
            &self.quiet
        } else {
            &self.out
        };
        means.of(level)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn low(seats: f64) -> BTreeMap<String, f64> {
        BTreeMap::from([("low".to_owned(), seats)])
    }

    #[test]
    fn what_was_in_use_before_the_first_pod_counts_else_what_is_with_pods() {
        let mut levels = Levels::default();
        assert!(levels.in_use("low").abs() < 1e-9);
        levels.add(4, 5.0, &low(90.0));
        assert!((levels.in_use("low") - 90.0).abs() < 1e-9);
        levels.add(0, 5.0, &low(20.0));
        levels.add(0, 15.0, &low(40.0));
        assert!((levels.in_use("low") - 35.0).abs() < 1e-9);
        assert!(levels.in_use("other").abs() < 1e-9);
    }

    #[test]
    fn countless_levels_are_forgotten() {
        let mut levels = Levels::default();
        let many = (0..500).map(|level| (format!("level-{level}"), 1.0));
        levels.add(0, 5.0, &many.collect());
        assert_eq!(levels.quiet.len(), MAX_LEVELS);
    }
}
