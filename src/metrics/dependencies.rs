//! What policies depend on, as series.

use weir_core::evidence::{Health, Reading};

use super::{Labels, Page, truth};
use crate::snapshot::Snapshot;

/// A dependency's state as its label says it.
const STATES: [&str; 4] = ["well", "incident", "stale", "silent"];

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let series = snapshot.dependencies.iter().flat_map(|(name, reading)| {
        STATES.map(|one| (labels(name, one), truth(one == state(reading))))
    });
    page.gauges(
        "dependency_state",
        "1 for how a dependency of a policy is: well, with an incident of its own, stale, or silent; only the \
         replica that leads asks",
        series,
    );
}

const fn state(reading: &Reading<Health>) -> &'static str {
    match reading {
        Reading::Fresh(Health::Well) => "well",
        Reading::Fresh(Health::Incident { .. }) => "incident",
        Reading::Stale { .. } => "stale",
        Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. } => "silent",
    }
}

fn labels((policy, dependency): &(String, String), state: &str) -> Labels {
    vec![
        ("policy", policy.clone()),
        ("dependency", dependency.clone()),
        ("state", state.to_owned()),
    ]
}
