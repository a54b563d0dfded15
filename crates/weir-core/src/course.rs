//! Where a rollout stands and what comes next: one decision, taken in one place, in one order.

mod orders;

pub(crate) use self::orders::{ordered, void};
use crate::{
    census::Member,
    evidence::{LetThrough, ServerEvidence, Window},
    forecast::Outlook,
    history::History,
    plan::State,
    soak,
    time::{Moment, Span},
    usage::Meter,
    verdict::{Scene, Stance, Verdict},
    waves,
};

/// How long sources have, after Weir began to watch a rollout, before their silence is called a hold
/// rather than a beginning (nothing is let through either way), and how long the first wave waits for
/// the servers' quiet baseline. Where another rollout is out already there may be no quiet time; then
/// the policy's floor alone says what is slow.
const GATHERING: Span = Span::from_secs(30);

/// How long a rollout is watched after its approval was seen, or the end of its enrolment. Either is
/// effective within a second; pods that were created just before may still be born gated.
const OPENING_SETTLES: Span = Span::from_secs(5);

/// What a rollout does next.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Course {
    /// Nothing is left to do.
    Rest,
    /// The revision is approved, or is let go: what is still gated is let through.
    Drain,
    /// Nothing is gated any more of a rollout that is let go.
    Left,
    /// A person said to wait.
    Pause,
    /// A person said to let through up to a width, whatever is found.
    Obey(LetThrough),
    /// The first evidence, or the servers' quiet baseline, is not there yet.
    Gather,
    /// The API servers suffer, or did a short while ago, and nothing of this rollout is out yet.
    AwaitCalm,
    /// Findings forbid to go on.
    Hold,
    /// No node wants a pod.
    Idle,
    /// The wave is not out.
    Fill,
    /// The wave is out, but its pods are not ready.
    Settle,
    /// The wave is out and ready, but not soaked.
    Soak,
    /// Soaked, but what was seen does not tell yet whether the next wave would be within budget.
    Learn,
    /// Soaked, but somebody deploys in the namespace again and again: what shows only when nobody does has not
    /// had its time.
    AwaitStretch,
    /// The wave is not out, or the next is due, and no window of the policy is open.
    AwaitWindow {
        /// Whether a first wave has begun.
        begun: bool,
    },
    /// Soaked, but too many of the remaining nodes are not ready.
    AwaitNodes,
    /// Soaked: the next wave, up to this width.
    Widen(u32),
    /// Full width is soaked, but all starts at once would be too much: what is gated is let through at
    /// the pace that the API servers bear, and the revision is not approved.
    Pace,
    /// Full width is soaked.
    Approve,
}

impl Course {
    /// The state that people are told.
    pub(crate) const fn state(self) -> State {
        match self {
            Self::Rest => State::Complete,
            Self::Left => State::LetGo,
            Self::Pause => State::Paused,
            Self::Gather | Self::AwaitCalm | Self::Idle | Self::AwaitWindow { begun: false } => {
                State::Pending
            }
            Self::Hold => State::Held,
            Self::Soak | Self::Learn | Self::AwaitStretch | Self::AwaitWindow { begun: true } => {
                State::Soaking
            }
            Self::Pace => State::Paced,
            Self::Drain
            | Self::Obey(_)
            | Self::Fill
            | Self::Settle
            | Self::AwaitNodes
            | Self::Widen(_)
            | Self::Approve => State::Progressing,
        }
    }

    /// Whether gated pods may be let through as the current wave's.
    pub(crate) const fn lets_waves_through(self) -> bool {
        match self {
            Self::Fill
            | Self::Settle
            | Self::Soak
            | Self::Learn
            | Self::AwaitStretch
            | Self::AwaitNodes
            | Self::Widen(_) => true,
            Self::Rest
            | Self::Drain
            | Self::Left
            | Self::Pause
            | Self::Obey(_)
            | Self::Gather
            | Self::AwaitCalm
            | Self::Hold
            | Self::Idle
            | Self::AwaitWindow { .. }
            | Self::Pace
            | Self::Approve => false,
        }
    }
}

/// Decides, from a history that already counts this moment.
pub(crate) fn of(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Course {
    match scene.stance {
        Stance::Guards => behind_valve(scene, verdict, history),
        Stance::LetsGo => letting_go(scene, verdict, history),
        Stance::LooksOn => alongside(scene, verdict, history),
    }
}

/// Decides for a rollout behind the valve.
fn behind_valve(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Course {
    if let Some(since) = history.approved {
        return drained(scene, since, Course::Rest);
    }
    if scene.evidence.rollout.paused {
        return Course::Pause;
    }
    if let Some(order) = ordered(scene, history) {
        return Course::Obey(order);
    }
    let course = forbidden(scene, verdict, history)
        .or_else(|| history.paced.then_some(Course::Pace))
        .or_else(|| unfinished(scene, history))
        .unwrap_or_else(|| next_wave(scene, history));
    in_window(scene, history, course)
}

/// The same course, if it begins nothing or a window is open.
fn in_window(scene: &Scene<'_>, history: &History, course: Course) -> Course {
    let begins = matches!(course, Course::Fill | Course::Widen(_));
    if begins && scene.evidence.rollout.window != Window::Open {
        Course::AwaitWindow {
            begun: history.progress.target > 0,
        }
    } else {
        course
    }
}

/// What the current wave still needs, if it needs something.
fn unfinished(scene: &Scene<'_>, history: &History) -> Option<Course> {
    let Scene { policy, census, .. } = *scene;
    let target = history.progress.target;
    if target == 0 {
        None
    } else if !waves::filled(census, target) {
        Some(Course::Fill)
    } else if !waves::settled(policy, census, target) {
        Some(Course::Settle)
    } else if history.soaked < soak::needed(policy, census.full) {
        Some(Course::Soak)
    } else {
        None
    }
}

fn next_wave(scene: &Scene<'_>, history: &History) -> Course {
    let Scene { policy, census, .. } = *scene;
    let target = history.progress.target;
    let capped = before_stretch(scene, history);
    if target > 0 && waves::complete(policy, census, target) {
        return if capped.is_some() {
            Course::AwaitStretch
        } else if must_be_paced(scene, history) {
            Course::Pace
        } else {
            Course::Approve
        };
    }
    let next = waves::next_target(policy, census.full, history.progress);
    let within = capped.map_or(next, |width| next.min(width));
    if next > target && within <= target {
        Course::AwaitStretch
    } else if next <= target || waves::exhausted(census) {
        Course::AwaitNodes
    } else if target == 0 && young(scene, history) && begins_blindly(scene) {
        Course::Gather
    } else {
        foreseeing(scene, history, within)
    }
}

/// How wide the rollout may become until its soak has included a time without deployments, if the policy demands
/// that and it was not seen.
pub(crate) fn before_stretch(scene: &Scene<'_>, history: &History) -> Option<u32> {
    let demand = scene.policy.undisturbed;
    let demand = demand.filter(|_| !history.progress.stretched)?;
    Some(waves::undisturbed_width(demand, scene.census.full))
}

/// The next wave, as wide as is surely within budget: up to `next`. Once there was patience enough for more
/// to be seen, as wide as is probably within budget, or else one pod, as long as that would surely be survived.
fn foreseeing(scene: &Scene<'_>, history: &History, next: u32) -> Course {
    let target = history.progress.target;
    let limits = &scene.policy.forecast;
    if !limits.holds || target == 0 {
        return Course::Widen(next);
    }
    // After a restart of Weir: pages are about to be read.
    let Some(outlook) = scene.outlook else {
        return Course::Learn;
    };
    let patient = waited(scene, history) < limits.patience;
    let unsettled = outlook.is_unsettled();
    if let Some(within) = outlook
        .widest_within(target, next)
        .filter(|_| !(unsettled && patient))
    {
        Course::Widen(within)
    } else if patient || !outlook.is_bearable(target + 1) {
        Course::Learn
    } else {
        let likely = outlook.widest_likely(target, next);
        Course::Widen(likely.unwrap_or(target + 1))
    }
}

/// How long a wave has gone on soaking after its soak.
pub(crate) fn waited(scene: &Scene<'_>, history: &History) -> Span {
    let needed = soak::needed(scene.policy, scene.census.full);
    history.soaked.saturating_sub(needed)
}

/// Whether all pods' start at once would probably take the API servers longer than they may need.
fn must_be_paced(scene: &Scene<'_>, history: &History) -> bool {
    let limits = &scene.policy.forecast;
    let seconds = scene.outlook.and_then(Outlook::unison);
    let probably = seconds.is_some_and(|seconds| seconds.mid > limits.unison.as_secs_f64());
    limits.holds && (probably || history.ledger.exceeded().unison)
}

/// Whether it is not known yet how fast the API servers answer in quiet times, what they use then, or
/// what counts the rollout's requests.
fn begins_blindly(scene: &Scene<'_>) -> bool {
    let foresees = scene.policy.forecast.holds;
    let uncounted = || {
        let meter = &scene.evidence.rollout.meter;
        matches!(meter, Meter::Awaited { .. })
            || scene.outlook.is_none_or(|it| !it.has_seen_quiet())
    };
    !without_baseline(scene).is_empty() || foresees && uncounted()
}

/// Decides for a rollout that was held, and for which nobody asks that any longer.
///
/// Whoever asked for that may not know what is going on: harm to others that is seen stops it, and a
/// person's pause does. What is not known stops it only until Weir had time to look.
fn letting_go(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Course {
    let since = history.let_go.unwrap_or(scene.now);
    if scene.census.number(Member::gated) == 0 {
        drained(scene, since, Course::Left)
    } else if scene.evidence.rollout.paused {
        Course::Pause
    } else if verdict.stops_letting_go(scene.now).is_some() {
        Course::Hold
    } else if verdict.blind && begins(scene, history) {
        Course::Gather
    } else {
        Course::Drain
    }
}

/// Decides for a rollout that rolls at its own pace.
fn alongside(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Course {
    let Scene { policy, census, .. } = *scene;
    if let Some(course) = forbidden(scene, verdict, history) {
        course
    } else if census.out() < census.full {
        Course::Fill
    } else if !waves::settled(policy, census, census.full) {
        Course::Settle
    } else if history.soaked < soak::needed(policy, census.full) {
        Course::Soak
    } else {
        Course::Rest
    }
}

/// What keeps any rollout from going on, if something does.
fn forbidden(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Option<Course> {
    if verdict.harmed() {
        return Some(if history.hold.is_some() {
            Course::Hold
        } else {
            Course::AwaitCalm
        });
    }
    if verdict.blind {
        return Some(if begins(scene, history) {
            Course::Gather
        } else {
            Course::Hold
        });
    }
    if scene.census.full == 0 {
        return Some(Course::Idle);
    }
    (verdict.elsewhere() || verdict.foreseen()).then_some(Course::Hold)
}

/// `end` once nothing is gated of what is let through whatever the waves say since `since`.
fn drained(scene: &Scene<'_>, since: Moment, end: Course) -> Course {
    let none_gated = scene.census.number(Member::gated) == 0;
    let seen = scene.evidence.rollout.pods.fresh().is_some();
    let settled = scene.now.since(since) >= OPENING_SETTLES;
    if none_gated && seen && settled {
        end
    } else {
        Course::Drain
    }
}

/// Whether sources may not have had the time to speak.
fn begins(scene: &Scene<'_>, history: &History) -> bool {
    !history.informed && young(scene, history)
}

/// Whether harm only delays the beginning of a rollout, which is no hold of it.
///
/// The creation of a thousand gated pods is a burst by itself. Harm that was there before any pod of
/// the rollout was out, and passes as it has come, holds nothing of it back; harm that stays, or of
/// which it cannot be seen whether it has gone, is told as a hold, since somebody has to look at it.
pub(crate) fn only_delayed(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> bool {
    scene.stance == Stance::Guards
        && history.hold.is_none()
        && verdict.stood_before(history.first_out)
        && (young(scene, history) || !verdict.blind && !verdict.suffering(scene.now))
}

fn young(scene: &Scene<'_>, history: &History) -> bool {
    scene.now.since(history.watched) < GATHERING
}

/// The API servers that have not yet shown how fast they answer in quiet times.
pub(crate) fn without_baseline<'a>(scene: &Scene<'a>) -> Vec<&'a str> {
    let known = |server: &ServerEvidence| {
        server
            .latency
            .fresh()
            .is_some_and(|latency| latency.baseline_p50_ms.is_some())
    };
    let servers = scene.servers.iter();
    servers
        .filter(|(_, server)| !known(server))
        .map(|(id, _)| id.address.as_str())
        .collect()
}
