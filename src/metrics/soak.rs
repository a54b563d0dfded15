//! How rollouts on their way soak, as series: what of their time counts, and why it does not.

use weir_core::still::Still;

use super::{Labels, Page, of_rollout};
use crate::snapshot::{RolloutView, Snapshot};

const SOAKED: &str = "soak_seconds";
const NEEDED: &str = "soak_needed_seconds";
const STILL: &str = "soak_standing_still";

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [SOAKED, NEEDED, STILL].into_iter()
}

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let on_their_way = || {
        let rollouts = snapshot.rollouts.iter();
        rollouts.filter(|(_, view)| view.report.in_flight())
    };
    let soaked = on_their_way().map(|(name, view)| {
        let soaked = view.report.soaked.as_secs_f64();
        (of_revision(name, view), soaked)
    });
    page.gauges(
        SOAKED,
        "Soak time at this width: what was seen freshly, unmasked and undisturbed",
        soaked,
    );
    let needed = on_their_way().map(|(name, view)| {
        let needed = view.report.soak_needed.as_secs_f64();
        (of_revision(name, view), needed)
    });
    page.gauges(NEEDED, "Soak time that each width needs", needed);
    let still = on_their_way().filter_map(|(name, view)| {
        let why: Still = view.report.soak_stands_still?;
        let mut labels = of_revision(name, view);
        labels.push(("why", why.name().to_owned()));
        Some((labels, 1.0))
    });
    page.gauges(
        STILL,
        "1 for why soak time is not being added: Masked, Unseen, Harmed, Elsewhere, NodesTurning or \
         Unsettled; no series while it is",
        still,
    );
}

fn of_revision(name: &(String, String), view: &RolloutView) -> Labels {
    let mut labels = of_rollout(name);
    labels.push(("revision", view.revision.clone()));
    labels
}
