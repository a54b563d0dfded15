//! Turns width, target and pods into the next wave: how wide, and which pods.
//!
//! ```text
//!  target ────────┐ canary      ┌─ +step ──┐            ┌─ +step
//!                 ▼             │          ▼            │
//!  room(target) → released → filled → settled → soaked ─┘   until target = full: approve
//!                               │
//!          hold for harm ───────┴──▶ target = width, step halved, soak anew
//! ```
//!
//! The target is an absolute number of live ungated pods. In an update gated pods appear only as the
//! controller makes room, so a wave fills as they appear.

use std::collections::{BTreeMap, BTreeSet, VecDeque};

use crate::{
    census::{self, Case, Census, Member, share, whole},
    evidence::{LetThrough, RolloutEvidence},
    history::Progress,
    policy::{Policy, Undisturbed},
    time::Moment,
};

/// Below this a halved pace changes nothing more in any cluster.
const SLOWEST_PACE: f64 = 1.0 / 64.0;

/// The pace while a rollout is held for the first time.
const PACE_OF_FIRST_HOLD: f64 = 0.5;

/// What a clean wave adds to the pace: four clean waves make up for everything.
const PACE_RECOVERED: f64 = 0.25;

/// What a wave adds to it while the forecast has room at full width, and up to where. (Additive
/// increase, multiplicative decrease: Chiu and Jain, 1989.)
const PACE_GAINED: f64 = 1.0;
const FASTEST_PACE: f64 = 4.0;

/// Pods of the first wave. Where a forecast steers it is one: a second pod tells more than twice as
/// much as two at once, and one alone is seldom too much.
pub(crate) fn canary(policy: &Policy, full: u32) -> u32 {
    if policy.forecast.holds {
        return 1;
    }
    whole(share(policy.canary, full).ceil()).clamp(1, full.max(1))
}

/// The most that one wave may add; at least one pod, for which small clusters soak longer.
pub(crate) fn largest_step(policy: &Policy, full: u32) -> u32 {
    whole(share(policy.max_step, full)).max(1)
}

/// The width that the next wave allows; the current target if there is nothing to widen.
pub(crate) fn next_target(policy: &Policy, full: u32, progress: Progress) -> u32 {
    let target = progress.target;
    if target == 0 {
        return canary(policy, full);
    }
    let growth = whole(share((policy.growth - 1.0).max(0.0), target));
    let step = growth.clamp(1, largest_step(policy, full));
    let paced = whole(share(progress.pace, step)).clamp(1, largest_step(policy, full));
    (target + paced).min(full).max(target)
}

/// How wide a rollout may become before its soak has included what the policy demands.
pub(crate) fn undisturbed_width(demand: Undisturbed, full: u32) -> u32 {
    whole(share(demand.before, full)).max(1)
}

/// The progress once a wave to `target` has begun; `room` says that full width is within budget, by
/// what was seen so far.
pub(crate) fn begun(progress: Progress, target: u32, room: bool) -> Progress {
    let pace = if room && progress.pace >= 1.0 {
        (progress.pace + PACE_GAINED).min(FASTEST_PACE)
    } else {
        (progress.pace + PACE_RECOVERED).min(1.0)
    };
    Progress {
        target,
        wave: progress.wave + 1,
        pace,
        ..progress
    }
}

/// The progress once harm has held a rollout that is `width` wide: what was not yet let through of
/// the wave is withdrawn, and the step halves if something was out that could have been `harmful`.
pub(crate) fn held(progress: Progress, width: u32, harmful: bool) -> Progress {
    let pace = if harmful {
        (progress.pace.min(1.0) * PACE_OF_FIRST_HOLD).max(SLOWEST_PACE)
    } else {
        progress.pace
    };
    Progress {
        target: progress.target.min(width),
        pace,
        ..progress
    }
}

/// How many times as long as at the first hold a harm must have been gone before the rollout goes on.
///
/// That doubles with each hold that follows another without clean waves in between: agents that act
/// on a period harm, rest and harm again, and a quiet shorter than their period shows nothing.
pub(crate) fn repeated(progress: Progress) -> f64 {
    (PACE_OF_FIRST_HOLD / progress.pace).max(1.0)
}

/// How many pods may be let through now.
///
/// Live pods on nodes that are not ready fill a wave too, else a zone's return would overshoot it;
/// but at least half of the target must be pods that can be judged, else a wave whose nodes died
/// would be soaked by nothing. No more than twice the target is ever out for that: a rollout that
/// kills its nodes must not walk through the cluster in search of pods to judge.
pub(crate) fn room(census: &Census<'_>, target: u32) -> u32 {
    let out = census.out();
    let missing = target.saturating_sub(out);
    let unjudged = target.div_ceil(2).saturating_sub(census.judged());
    let bound = target.saturating_mul(2).saturating_sub(out);
    missing.max(unjudged.min(bound))
}

/// Whether the wave is out: the target is reached, or no more pods can be let through towards it.
pub(crate) fn filled(census: &Census<'_>, target: u32) -> bool {
    room(census, target) == 0 || exhausted(census)
}

/// Whether every pod that is wanted exists, and none of the gated ones has a ready node. An update
/// that still has old pods to replace is not exhausted: more gated pods will come.
pub(crate) fn exhausted(census: &Census<'_>) -> bool {
    let all_exist = census::count(census.members.len()) >= census.desired;
    all_exist && census.old == 0 && census.in_case(Case::Waiting) == 0
}

/// Whether the wave is out, its pods are ready but for as many as are tolerated, and enough of the
/// target is judged.
pub(crate) fn settled(policy: &Policy, census: &Census<'_>, target: u32) -> bool {
    let judged = census.judged();
    let unready = judged - census.in_case(Case::Settled);
    filled(census, target)
        && unready <= census::tolerated(&policy.pods, judged)
        && enough_judged(policy, census, target)
}

/// Whether nothing is left to do but to approve, once a settled wave to `target` was soaked: full
/// width is out, or all of it but for nodes that are not ready, if these are few.
pub(crate) fn complete(policy: &Policy, census: &Census<'_>, target: u32) -> bool {
    let full = census.full;
    target >= full || (exhausted(census) && enough_judged(policy, census, full))
}

/// Whether what is not judged of `width` pods is no more than half of them, nor than one step: a
/// wave is not soaked by the few whose nodes live, and approval lets no more than a step through
/// unseen.
fn enough_judged(policy: &Policy, census: &Census<'_>, width: u32) -> bool {
    let unseen = width.saturating_sub(census.judged());
    unseen <= (width / 2).min(largest_step(policy, census.full))
}

/// The census without the gated pods that a person's order does not cover: those that were created after it,
/// but for what an update puts in the place of old pods on nodes that were there.
pub(crate) fn covered<'a>(
    census: &Census<'a>,
    rollout: &RolloutEvidence,
    order: &LetThrough,
) -> Census<'a> {
    let replaces = rollout.earlier_approved || census.old > 0;
    let covers = |member: &Member<'a>| {
        let node_was_there = member.node.is_some_and(|node| node.joined <= order.given);
        member.row.since <= order.given || replaces && node_was_there
    };
    let mut covered = census.clone();
    covered
        .members
        .retain(|member| !member.gated() || covers(member));
    covered
}

/// Whether anything that waits is covered by a person's order.
pub(crate) fn is_left(census: &Census<'_>, rollout: &RolloutEvidence, order: &LetThrough) -> bool {
    let covered = covered(census, rollout, order);
    let mut members = covered.members.iter();
    members.any(|member| member.case == Case::Waiting && !member.refused)
}

/// Up to `room` pods; those in `taken` are out already, as it were. Those whose release was refused
/// are passed over: the wave fills from the others.
///
/// Pods that were born after the rollout's first one was let through come last: else the successor
/// of a pod that was deleted because it fails, or finds no place, would be taken again before any
/// other, and one bad node would hold the rollout for ever.
pub(crate) fn pick<'a>(
    census: &Census<'a>,
    taken: &BTreeSet<&'a str>,
    first_out: Option<Moment>,
    room: usize,
) -> Vec<&'a str> {
    let is_out = |member: &Member<'a>| !member.gated() || taken.contains(member.name);
    let mut out: BTreeMap<&str, u32> = BTreeMap::new();
    for member in census.members.iter().filter(|member| is_out(member)) {
        *out.entry(zone(member)).or_default() += 1;
    }
    let waiting = census.members.iter();
    let waiting =
        waiting.filter(|member| !is_out(member) && !member.refused && member.case == Case::Waiting);
    let (late, early): (Vec<_>, Vec<_>) =
        waiting.partition(|member| first_out.is_some_and(|first| member.row.since > first));
    let mut picked = Vec::new();
    for waiting in [early, late] {
        spread(waiting, &mut out, room, &mut picked);
    }
    picked
}

/// Picks until there are `room`: each from the zone that has the fewest out, and there the one that
/// has been gated for longest. Ties go by that time, and then by the names of zone and node.
fn spread<'a>(
    mut waiting: Vec<&Member<'a>>,
    out: &mut BTreeMap<&'a str, u32>,
    room: usize,
    picked: &mut Vec<&'a str>,
) {
    waiting.sort_unstable_by_key(|member| (member.row.since, &member.row.node, member.name));
    let mut zones: BTreeMap<&str, VecDeque<&Member<'a>>> = BTreeMap::new();
    for member in waiting {
        zones.entry(zone(member)).or_default().push_back(member);
    }
    let turn = |served: u32, queue: &VecDeque<&Member<'a>>| {
        let next: &Member<'a> = queue.front()?;
        Some((served, next.row.since, zone(next)))
    };
    let mut order: BTreeSet<(u32, Moment, &str)> = zones
        .iter()
        .filter_map(|(zone, queue)| turn(out.get(zone).copied().unwrap_or(0), queue))
        .collect();
    while picked.len() < room
        && let Some((served, _, zone)) = order.pop_first()
        && let Some(queue) = zones.get_mut(zone)
    {
        picked.extend(queue.pop_front().map(|member| member.name));
        out.insert(zone, served + 1);
        order.extend(turn(served + 1, queue));
    }
}

fn zone<'a>(member: &Member<'a>) -> &'a str {
    member.node.map_or("", |node| &node.zone)
}
