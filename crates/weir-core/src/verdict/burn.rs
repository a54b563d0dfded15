//! Error budgets that are spent too fast. What shows at this moment is other rules' ([`super::servers`]); these
//! see what comes and goes, and what a long mean hides.

use super::{Scene, servers::Server};
use crate::{
    burn::{FAST, Pace, SLOW, STEADY},
    plan::{Finding, Rule},
    time::Span,
};

/// An API server was bad for so much of the last hour, and of the last five minutes, that nothing should be added.
pub(super) fn burn_fast(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    beyond(scene, server, Rule::BurnFast, FAST)
}

/// The same over hours, or days: told, since holding for as long would not mend it.
pub(super) fn burn_slow(scene: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let found = |pace| beyond(scene, server, Rule::BurnSlow, pace);
    found(SLOW)
        .or_else(|| found(STEADY))
        .map(Finding::only_told)
}

fn beyond(scene: &Scene<'_>, server: &Server<'_>, rule: Rule, pace: Pace) -> Option<Finding> {
    let objective = scene.policy.harm.objective;
    let [long, short] = server.known.bad.beyond(pace, objective)?;
    let bad = |burn: f64, window: Span| window.times(burn * (1.0 - objective));
    Some(Finding::hold(
        rule,
        server.name.as_str(),
        format!(
            "bad for {} of the last {} and {} of the last {} (refused with 429, timed out, or answered after a \
             second or more): {long:.1} and {short:.1} times what an objective of {} % allows (limit {:.1})",
            bad(long, pace.long),
            pace.long,
            bad(short, pace.short),
            pace.short,
            100.0 * objective,
            pace.times
        ),
        format!(
            "it has been bad for less than {} of the last {}",
            pace.short.times(pace.times * (1.0 - objective)),
            pace.short
        ),
    ))
}
