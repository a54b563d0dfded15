//! Whether a run is as its profile expects it: what ends as it must because Weir, or its agents, did
//! nothing passes for no proof.

use super::{blame::Blame, outcome::Course};
use crate::{
    bystander::stats::Harm,
    profile::{Ending, Profile},
    report::{Expected, State, SwarmUse, holds},
};

/// What Weir finds on API servers that suffer, and on agents that would make them suffer: only that
/// proves that the agents were held for what they do, and not for what could not be seen or for pods
/// that are not ready. `EvidenceInsufficient` is of these: fresh evidence of a cost that may be too much,
/// and never want of evidence, which is `EvidenceAbsent`.
const LOAD: [&str; 10] = [
    "ForecastExceedsCapacity",
    "UnisonExceedsCapacity",
    "EvidenceInsufficient",
    "CostGrowsWithAge",
    "RetryAmplification",
    "LatencyRegressed",
    "QueueSaturated",
    "Rejecting",
    "MemoryClimbing",
    "ServerRestarted",
];

/// A harmless DaemonSet that nobody guards starts on all nodes at once, and others may feel that for so
/// many seconds in all: to spare them these is what waves are for, and no news about what it costs.
const START_BURST_SECONDS: u64 = 5;

/// Of a hundred requests of harmless agents so many may fail: the world's own churn takes objects away.
const FAILED_PER_CENT: u64 = 5;

/// A run, as far as expectations care.
pub(super) struct Ran<'a> {
    pub(super) course: &'a Course,
    pub(super) harm: &'a Harm,
    pub(super) swarm: &'a SwarmUse,
    /// Whether the API servers were calm before it.
    pub(super) calm: bool,
    /// Whether it was blamed for what another account did.
    pub(super) blame: Blame,
}

/// Whether it ended as its profile expects; none where it expects nothing.
pub(super) fn expected(profile: &Profile, ran: &Ran<'_>) -> Option<Expected> {
    let ends = profile.expect.as_ref()?.ends;
    let restless = || {
        let why = "the API servers were not calm before it began";
        (!ran.calm).then(|| why.to_owned())
    };
    let why = restless()
        .or_else(|| unlike(ends, ran))
        .or_else(|| idle(ends, profile, ran.swarm));
    Some(Expected {
        ends,
        met: why.is_none(),
        why,
    })
}

/// Why it did not end as it must.
fn unlike(ends: Ending, ran: &Ran<'_>) -> Option<String> {
    if ran.course.guarded && ends == Ending::Harmless {
        match &ran.blame {
            Blame::Untried => {}
            Blame::Cleared => return None,
            Blame::Blamed(why) => return Some(why.clone()),
        }
    }
    match (ran.course.guarded, ends) {
        (true, Ending::Held) => ended(State::Held, ran).or_else(|| not_held_by_load(ran)),
        (true, Ending::Paced) if ran.course.state() == State::Paced => None,
        (true, Ending::Paced) => ended(State::Complete, ran),
        (true, Ending::Harmless) => ended(State::Complete, ran)
            .or_else(|| was_held(ran))
            .or_else(|| harmed(ran.harm)),
        (false, Ending::Held | Ending::Paced) => ran
            .harm
            .first_second
            .is_none()
            .then(|| "it must harm others when nobody guards it, and did not".to_owned()),
        (false, Ending::Harmless) => ended(State::Complete, ran).or_else(|| {
            let lasts = ran.harm.seconds > START_BURST_SECONDS;
            lasts.then(|| harmed(ran.harm)).flatten()
        }),
    }
}

fn ended(wanted: State, ran: &Ran<'_>) -> Option<String> {
    let state = ran.course.state();
    (state != wanted).then(|| format!("it must end {wanted:?} and ended {state:?}"))
}

fn not_held_by_load(ran: &Ran<'_>) -> Option<String> {
    let full = ran.course.full_width;
    if ran
        .course
        .held_at_width()
        .is_some_and(|width| width >= full)
    {
        return Some(format!(
            "it was held only once all {full} pods were let through"
        ));
    }
    let by = ran.course.held_by().unwrap_or("nothing that was told");
    (!LOAD.contains(&by)).then(|| format!("it was held by {by}, not by what API servers suffered"))
}

fn was_held(ran: &Ran<'_>) -> Option<String> {
    let holds = holds(&ran.course.states);
    (holds > 0).then(|| format!("it must never be held and was held {holds} times"))
}

fn harmed(harm: &Harm) -> Option<String> {
    let second = harm.first_second?;
    Some(format!(
        "it must harm nobody and did from second {second} on"
    ))
}

/// Why its agents proved nothing.
fn idle(ends: Ending, profile: &Profile, swarm: &SwarmUse) -> Option<String> {
    let requests = swarm.requests;
    let failed = swarm.errors + swarm.rejected;
    if profile.calls.is_empty() {
        return None;
    }
    if requests == 0 {
        return Some("its agents made no call".to_owned());
    }
    (ends == Ending::Harmless && 100 * failed > FAILED_PER_CENT * requests)
        .then(|| format!("{failed} of its agents' {requests} calls failed"))
}

#[cfg(test)]
mod tests;
