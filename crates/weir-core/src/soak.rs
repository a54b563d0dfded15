//! The only place where time is added: soak, and the quiet that clears a harm.
//!
//! Masked time does not count. A second counts if the judgements at both of its ends saw all
//! evidence fresh; for soak, also if both saw nothing suffer and the wave out and settled.
//!
//! ```text
//!  seen     Calm ── Calm ── Blind ── Calm ── Calm ── Disturbed ── Calm
//!  soak        +1 s    ·       ·       +1 s    ·          ·   (and a harm sets it back to 0)
//!  quiet       +1 s    ·       ·       +1 s    +1 s       +1 s
//! ```

use serde::{Deserialize, Serialize};

use crate::{
    census::share,
    history::History,
    policy::Policy,
    time::{Moment, Span},
};

/// The longest time between two judgements that can count: a few ticks of a loop that ticks each
/// second. Over a longer gap nobody watched.
pub const LONGEST_GAP: Span = Span::from_secs(5);

/// What a judgement saw, as far as the time next to it can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Some evidence was missing: nothing counts.
    Blind,
    /// All was known, but something suffered, or the wave was not out and settled.
    Disturbed,
    /// All was known, nothing suffered, and the wave was out and settled.
    Calm,
}

/// Time since the last judgement during which all evidence was fresh.
pub(crate) fn quiet_since(history: &History, seen: Seen, now: Moment) -> Span {
    match (history.seen, seen) {
        (Seen::Blind, _) | (_, Seen::Blind) => Span::ZERO,
        (Seen::Disturbed | Seen::Calm, Seen::Disturbed | Seen::Calm) => watched(history, now),
    }
}

/// Counts the time since the last judgement as soak, if it is that.
///
/// Soak belongs to a width, that of the pods that could be judged. A pod that is replaced does not
/// disturb it; one more than it was begun with does, whoever let it through.
pub(crate) fn count(history: &mut History, seen: Seen, harmed: bool, judged: u32, now: Moment) {
    if harmed || judged > history.soaked_width {
        history.soaked = Span::ZERO;
        history.soaked_width = judged;
    } else if (history.seen, seen) == (Seen::Calm, Seen::Calm) {
        history.soaked = history.soaked + watched(history, now);
    }
}

/// The soak that each width of a rollout needs before the next wave.
///
/// Where a single pod is more than the policy's largest step (a small cluster), the soak is as many
/// times longer, so that the time to full width has the same floor at any size.
pub(crate) fn needed(policy: &Policy, full: u32) -> Span {
    let largest_step = share(policy.max_step, full).min(1.0);
    if largest_step > 0.0 {
        policy.soak.times(1.0 / largest_step)
    } else {
        policy.soak
    }
}

fn watched(history: &History, now: Moment) -> Span {
    let gap = now.since(history.judged);
    if gap > LONGEST_GAP { Span::ZERO } else { gap }
}
