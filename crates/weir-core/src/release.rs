//! Turns a course into intents: which pods are let through now, why, and no faster than the pace.
//!
//! Each plan takes no more pods than the policy's rate allows for the time since the last judgement,
//! so that a judgement always lies between two chunks of a wave.

use std::collections::BTreeSet;

use crate::{
    census::{self, Case, Census, Member, whole},
    course::Course,
    evidence::LetThrough,
    forecast::Outlook,
    history::History,
    plan::{Because, Intent},
    starving,
    time::Span,
    verdict::{Scene, Stance, Verdict},
    waves,
};

/// The most time that one plan's releases make up for, so that a late judgement does not burst.
const LONGEST_CHUNK: Span = Span::from_secs(2);

/// What is to be done on `course`, `elapsed` after the last judgement.
pub(crate) fn intents(
    scene: &Scene<'_>,
    verdict: &Verdict,
    course: Course,
    elapsed: Span,
    history: &mut History,
) -> Vec<Intent> {
    let Scene { policy, census, .. } = *scene;
    let chunk = chunk(rate(scene), elapsed, history);
    let tokens = history.starving_tokens;
    history.starving_tokens = starving::refill(policy, census.full, tokens, elapsed);
    match course {
        Course::Rest | Course::Left | Course::Pause => Vec::new(),
        Course::Obey(order) => {
            let starved = starved(scene, verdict, chunk, history);
            let ordered = ordered(scene, &order, &starved, chunk, history);
            both(starved, release(ordered, Because::Ordered))
        }
        Course::Pace => release(waiting(census, chunk), Because::Paced)
            .into_iter()
            .collect(),
        Course::Drain => release(gated(census, chunk), drained(scene.stance))
            .into_iter()
            .collect(),
        Course::Approve => {
            let rest = release(gated(census, chunk), Because::Approved);
            [Intent::Approve].into_iter().chain(rest).collect()
        }
        Course::Gather
        | Course::AwaitCalm
        | Course::Hold
        | Course::Idle
        | Course::Fill
        | Course::Settle
        | Course::Soak
        | Course::Learn
        | Course::AwaitStretch
        | Course::AwaitWindow { .. }
        | Course::AwaitNodes
        | Course::Widen(_) => {
            let starved = starved(scene, verdict, chunk, history);
            let wave = wave(scene, course, &starved, chunk, history);
            both(starved, release(wave, Because::Wave))
        }
    }
}

/// What starves first, and then the rest.
fn both(starved: Vec<&str>, rest: Option<Intent>) -> Vec<Intent> {
    let starved = release(starved, Because::Starving);
    starved.into_iter().chain(rest).collect()
}

/// Why what is gated is let through, whatever the waves say.
const fn drained(stance: Stance) -> Because {
    match stance {
        Stance::Guards | Stance::LooksOn => Because::Approved,
        Stance::LetsGo => Because::LetGo,
    }
}

/// Pods that may be let through per second: as the policy says, and no more than the API servers can
/// start within what is left of their budget.
fn rate(scene: &Scene<'_>) -> f64 {
    let most = scene.policy.releases_per_second;
    let limits = &scene.policy.forecast;
    let outlook = scene.outlook.filter(|_| limits.holds);
    let borne = outlook.and_then(Outlook::starts_per_second);
    borne.map_or(most, |borne| most.min(borne))
}

/// How many pods this plan may let through; the part of a pod that is left over is carried on.
fn chunk(rate: f64, elapsed: Span, history: &mut History) -> usize {
    let earned = rate * elapsed.min(LONGEST_CHUNK).as_secs_f64();
    let allowed = history.release_carry + earned;
    history.release_carry = allowed.fract();
    whole(allowed) as usize
}

/// All gated pods up to `chunk`, in the order of their names, without those that are left alone.
fn gated<'a>(census: &Census<'a>, chunk: usize) -> Vec<&'a str> {
    let members = census.members.iter();
    let gated = members.filter(|member| member.gated() && !member.refused);
    gated.map(|member| member.name).take(chunk).collect()
}

/// Gated pods of ready nodes up to `chunk`. Those of others would start together when their zone returns.
fn waiting<'a>(census: &Census<'a>, chunk: usize) -> Vec<&'a str> {
    let members = census.members.iter();
    let waiting = members.filter(|member| member.case == Case::Waiting && !member.refused);
    waiting.map(|member| member.name).take(chunk).collect()
}

/// Pods of starving nodes, each for a token.
///
/// A plan may come to nothing (another is still being carried out, the lease is lost): what was paid
/// for is planned again until it is seen let through, and no longer counts against the bucket. One
/// that is refused stays paid for, and is left alone meanwhile.
fn starved<'a>(
    scene: &Scene<'a>,
    verdict: &Verdict,
    chunk: usize,
    history: &mut History,
) -> Vec<&'a str> {
    // What is foreseen is no harm yet: nodes starve only where not even one pod more is borne.
    let next = scene.census.out() + 1;
    let is_borne = scene
        .outlook
        .is_none_or(|outlook| outlook.is_bearable(next));
    if verdict.blames(history.first_out) || verdict.foreseen() && !is_borne {
        return Vec::new();
    }
    let starved = starving::starved(scene.census, &scene.evidence.rollout, history.begun);
    let (paid, unpaid): (Vec<&Member<'a>>, Vec<&Member<'a>>) = starved
        .into_iter()
        .partition(|member| history.serving.contains(member.name));
    let willing = |members: &[&Member<'a>]| -> Vec<&'a str> {
        let willing = members.iter().filter(|member| !member.refused);
        willing.map(|member| member.name).collect()
    };
    let unpaid = willing(&unpaid);
    let tokens = whole(history.starving_tokens) as usize;
    let bought = &unpaid[..tokens.min(unpaid.len())];
    history.starving_tokens -= bought.len() as f64;
    history.soaked_width += census::count(bought.len());
    let names = paid.iter().map(|member| member.name);
    history.serving = names
        .chain(bought.iter().copied())
        .map(ToOwned::to_owned)
        .collect();
    let paid = willing(&paid);
    paid.iter().chain(bought).copied().take(chunk).collect()
}

/// Pods of the current wave, in the room that those of starving nodes leave.
fn wave<'a>(
    scene: &Scene<'a>,
    course: Course,
    starved: &[&'a str],
    chunk: usize,
    history: &History,
) -> Vec<&'a str> {
    if !course.lets_waves_through() {
        return Vec::new();
    }
    let room = (waves::room(scene.census, history.progress.target) as usize).min(chunk);
    let taken: BTreeSet<&str> = starved.iter().copied().collect();
    let room = room.saturating_sub(taken.len());
    waves::pick(scene.census, &taken, history.first_out, room)
}

/// Pods that a person's order covers, in the room that those of starving nodes leave.
fn ordered<'a>(
    scene: &Scene<'a>,
    order: &LetThrough,
    starved: &[&'a str],
    chunk: usize,
    history: &History,
) -> Vec<&'a str> {
    let room = order.width.saturating_sub(scene.census.out()) as usize;
    let room = room.min(chunk).saturating_sub(starved.len());
    let taken: BTreeSet<&str> = starved.iter().copied().collect();
    let census = waves::covered(scene.census, &scene.evidence.rollout, order);
    waves::pick(&census, &taken, history.first_out, room)
}

fn release(pods: Vec<&str>, because: Because) -> Option<Intent> {
    let pods: Vec<String> = pods.into_iter().map(str::to_owned).collect();
    (!pods.is_empty()).then_some(Intent::Release { pods, because })
}
