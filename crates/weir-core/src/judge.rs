//! The one entry point for a rollout: (policy, evidence, history, now) → (report, plan, history).
//!
//! [`judge`] is for rollouts behind the valve; [`let_go`] for those that were, and for which nobody
//! asks that any longer; [`assess`] for those that roll at their own pace (modes Shadow and Observe):
//! the same rules, and a plan that never holds an intent.

use serde::{Deserialize, Serialize};

use crate::{
    census::{Case, Census},
    course::{self, Course},
    evidence::{Evidence, LetThrough, ServerEvidence, ServerId},
    forecast::{self, Foreseen, Given, JUST_BEFORE, Look, Outlook},
    history::History,
    incident::{self, Incident, Phase},
    plan::{Hold, Intent, Plan, Report},
    policy::Policy,
    release,
    soak::{self, Begun, Seen, Stretch},
    still::{self, Still},
    summary,
    time::{Moment, Span},
    verdict::{self, Scene, Stance, Verdict},
    waves,
};

/// How soon a rollout in flight is judged again.
const TICK: Span = Span::from_secs(1);

/// How soon one that rests, or that no node wants, is judged again.
const REST: Span = Span::from_secs(60);

/// How long nothing may be left of a person's order before it counts as carried out: a pod that was asked for
/// counts as out, and may still be turned away. Ten seconds for a request, and the lag of a watch.
const ORDER_SETTLES: Span = Span::from_secs(20);

/// The same while an update has old pods to replace: twice the time that pods have to become ready.
const ORDER_AWAITS: Span = Span::from_secs(600);

/// One judgement.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Judgement {
    /// What it says.
    pub report: Report,
    /// What is to be done.
    pub plan: Plan,
    /// What the next judgement needs.
    pub history: History,
}

/// Judges a rollout behind the valve at one moment.
#[must_use]
pub fn judge(policy: &Policy, evidence: &Evidence, history: History, now: Moment) -> Judgement {
    let census = Census::take(&evidence.rollout, &policy.pods, now);
    let glance = Glance::of(policy, evidence, &census, now);
    let mut history = history;
    let foreseen = foresee(&glance, &mut history);
    at_the_valve(&scene(&glance, foreseen.as_ref(), &history), history)
}

/// Judges a rollout that was held behind the valve, and for which nobody asks that any longer: what
/// is still gated is let through at the policy's pace, unless others are seen to suffer.
///
/// An approved revision is judged as ever: approval says more than that.
#[must_use]
pub fn let_go(policy: &Policy, evidence: &Evidence, history: History, now: Moment) -> Judgement {
    if evidence.rollout.approved {
        return judge(policy, evidence, history, now);
    }
    let census = Census::take(&evidence.rollout, &policy.pods, now);
    let glance = Glance::of(policy, evidence, &census, now);
    let mut history = history;
    let foreseen = foresee(&glance, &mut history);
    let scene = Scene {
        stance: Stance::LetsGo,
        ..scene(&glance, foreseen.as_ref(), &history)
    };
    at_the_valve(&scene, history)
}

fn at_the_valve(scene: &Scene<'_>, history: History) -> Judgement {
    let verdict = verdict::examine(scene, &history);
    let elapsed = scene.now.since(history.judged);

    let mut history = history;
    follow_width(scene, &mut history);
    obey(scene, &mut history);
    account(scene, &verdict, &mut history);
    let course = course::of(scene, &verdict, &history);
    if let Course::Widen(target) = course {
        let room = scene.outlook.is_some_and(Outlook::has_room);
        history.progress = waves::begun(history.progress, target, room);
        history.soaked = Span::ZERO;
        history.stretch = Stretch::default();
    }
    history.paced |= course == Course::Pace;
    let intents = release::intents(scene, &verdict, course, elapsed, &mut history);
    conclude(scene, verdict, course, intents, history)
}

/// Judges a rollout that Weir lets roll at its own pace: what it would say and where it would hold.
#[must_use]
pub fn assess(policy: &Policy, evidence: &Evidence, history: History, now: Moment) -> Judgement {
    let census = Census::take(&evidence.rollout, &policy.pods, now);
    let target = census.out();
    let glance = Glance::of(policy, evidence, &census, now);
    let mut history = history;
    let foreseen = foresee(&glance, &mut history);
    let scene = Scene {
        stance: Stance::LooksOn,
        target,
        // No wave of its own ever makes up for a hold.
        clear_after: policy.harm.clear_after,
        repeated: 1.0,
        ..scene(&glance, foreseen.as_ref(), &history)
    };
    let verdict = verdict::examine(&scene, &history);

    history.progress.target = target;
    account(&scene, &verdict, &mut history);
    let course = course::of(&scene, &verdict, &history);
    conclude(&scene, verdict, course, Vec::new(), history)
}

/// What a judgement is made of, besides its history.
struct Glance<'a> {
    policy: &'a Policy,
    evidence: &'a Evidence,
    /// The API servers that count.
    servers: Vec<(&'a ServerId, &'a ServerEvidence)>,
    census: &'a Census<'a>,
    now: Moment,
}

impl<'a> Glance<'a> {
    fn of(policy: &'a Policy, evidence: &'a Evidence, census: &'a Census<'a>, now: Moment) -> Self {
        Self {
            policy,
            evidence,
            servers: verdict::counted(policy, evidence),
            census,
            now,
        }
    }
}

/// Takes what is seen into the ledger, and looks ahead.
fn foresee(glance: &Glance<'_>, history: &mut History) -> Option<Foreseen> {
    let Glance {
        policy,
        evidence,
        ref servers,
        census,
        now,
    } = *glance;
    let width = census.judged();
    let meter = &evidence.rollout.meter;
    let limits = &policy.forecast;
    history.ledger.look(&Look {
        servers,
        limits: &policy.harm,
        meter,
        width,
        out: census.out(),
        pods: census.members.len(),
        full: census.full,
        starting: census.in_case(Case::Settling) > 0,
        stated_cores: limits.cores.stated(forecast::measured_cores(servers)),
        now,
    });
    let given = Given {
        limits,
        meter,
        servers,
        full: census.full,
        width,
    };
    let outlook = Outlook::of(&history.ledger, &given)?;
    let forecast = forecast::tell(&outlook, &history.ledger, meter, limits);
    history.ledger.weigh(&forecast, &outlook);
    Some(Foreseen { outlook, forecast })
}

/// What rules look at, of a rollout that Weir guards.
fn scene<'a>(glance: &Glance<'a>, foreseen: Option<&'a Foreseen>, history: &History) -> Scene<'a> {
    let Glance {
        policy,
        evidence,
        ref servers,
        census,
        now,
    } = *glance;
    let repeated = waves::repeated(history.progress);
    Scene {
        policy,
        evidence,
        servers: servers.clone(),
        census,
        outlook: foreseen.map(|foreseen| &foreseen.outlook),
        forecast: foreseen.map(|foreseen| &foreseen.forecast),
        stance: Stance::Guards,
        target: history.progress.target,
        begun: history.begun,
        clear_after: policy.harm.clear_after.times(repeated),
        repeated,
        now,
    }
}

/// Takes the width as it is seen into the history: the target is never below what runs, since that
/// cannot be called back, nor above full width.
fn follow_width(scene: &Scene<'_>, history: &mut History) {
    let rollout = &scene.evidence.rollout;
    history.approved = rollout
        .approved
        .then(|| history.approved.unwrap_or(scene.now));
    if rollout.pods.fresh().is_some() {
        let target = history.progress.target.max(scene.census.judged());
        history.progress.target = target.min(scene.census.full);
    }
}

/// Takes a person's order as carried out once nothing that it covers has been left for long enough: its width
/// is out, or what is gated has no ready node, is refused, or came later.
fn obey(scene: &Scene<'_>, history: &mut History) {
    let rollout = &scene.evidence.rollout;
    let is_seen = rollout.pods.fresh().is_some() && rollout.nodes.fresh().is_some();
    let order = course::ordered(scene, history).filter(|_| is_seen);
    let narrow = |order: &LetThrough| scene.census.out() < order.width;
    let Some(order) =
        order.filter(|order| !narrow(order) || !waves::is_left(scene.census, rollout, order))
    else {
        history.order_rests = None;
        return;
    };
    let rests = *history.order_rests.get_or_insert(scene.now);
    let awaits_more = narrow(&order) && scene.census.old > 0;
    let patience = if awaits_more {
        ORDER_AWAITS
    } else {
        ORDER_SETTLES
    };
    if scene.now.since(rests) >= patience {
        history.obeyed = Some(order.given);
        history.order_rests = None;
    }
}

/// Counts this moment: width, holds and soak.
fn account(scene: &Scene<'_>, verdict: &Verdict, history: &mut History) {
    let now = scene.now;
    if scene.evidence.rollout.pods.last().is_some() {
        history.width = scene.census.out();
    }
    history.let_go = match scene.stance {
        Stance::LetsGo => Some(history.let_go.unwrap_or(now)),
        Stance::Guards | Stance::LooksOn => None,
    };
    if history.width > 0 {
        history.first_out.get_or_insert(now);
    }
    count_hold(scene, verdict, history);
    count_soak(scene, verdict, history);
    history.standing.clone_from(&verdict.standing);
    history.informed |= !verdict.blind;
    history.judged = now;
}

fn count_soak(scene: &Scene<'_>, verdict: &Verdict, history: &mut History) {
    let rollout = &scene.evidence.rollout;
    let (census, now) = (scene.census, scene.now);
    history.nodes = history.nodes.after(rollout, now);
    let seen = seen(scene, verdict, history);
    history.stretch.see(rollout.deployed);
    let anew = verdict.begins_soak_anew() || soak::is_replaced(history, census, &scene.policy.pods);
    soak::count(history, seen, anew, census.judged(), now);
    if history.soaked == Span::ZERO {
        history.soaked_from = Begun::with(census);
    }
    let demand = scene.policy.undisturbed;
    history.progress.stretched |=
        demand.is_some_and(|demand| history.stretch.longest >= demand.stretch);
    history.seen = seen;
}

/// Begins a hold for harm, or ends it.
fn count_hold(scene: &Scene<'_>, verdict: &Verdict, history: &mut History) {
    if !verdict.harmed() {
        (history.hold, history.pace_before) = (None, None);
    } else if let Some(pace) = history.pace_before.filter(|_| verdict.cleared()) {
        give_back(pace, verdict, history);
    } else if history.hold.is_none() && !course::only_delayed(scene, verdict, history) {
        history.hold = Some(Hold {
            since: scene.now,
            width: history.width,
        });
        history.holds += 1;
        // What rolls at its own pace is not slowed down, nor does it begin clean waves that would
        // make up for it: should it be guarded later, it is so at the policy's pace.
        if scene.stance != Stance::LooksOn {
            // While all are out, and nothing starts, nothing is let through any slower for it.
            let at_rest = history.paced && history.ledger.rested(JUST_BEFORE, scene.now);
            let harmful = history.width > 0
                && !verdict.stood_before(history.first_out)
                && !verdict.cleared()
                && !at_rest;
            history.pace_before = harmful.then_some(history.progress.pace);
            history.progress = waves::held(history.progress, history.width, harmful);
        }
    }
}

/// The harm of this hold is not this rollout's after all: its pace is as before. Where it began with the
/// rollout's own starts that goes for once: its waves may be what sets others off.
fn give_back(pace: f64, verdict: &Verdict, history: &mut History) {
    let began = verdict.standing.iter().map(|harm| harm.since).min();
    let by_itself = began.is_some_and(|began| history.ledger.rested(JUST_BEFORE, began));
    if by_itself || !history.forgiven {
        history.progress.pace = pace;
        history.forgiven |= !by_itself;
    }
    history.pace_before = None;
}

fn seen(scene: &Scene<'_>, verdict: &Verdict, history: &History) -> Seen {
    match still::of(scene, verdict, history) {
        None => Seen::Calm,
        Some(Still::Masked | Still::Unseen) => Seen::Blind,
        Some(Still::Harmed | Still::Elsewhere | Still::NodesTurning | Still::Unsettled) => {
            Seen::Disturbed
        }
    }
}

/// Puts report, plan and history together.
fn conclude(
    scene: &Scene<'_>,
    verdict: Verdict,
    course: Course,
    intents: Vec<Intent>,
    mut history: History,
) -> Judgement {
    let census = scene.census;
    let summary = summary::of(scene, &verdict, course, &history);
    let is_done = matches!(course, Course::Rest | Course::Idle | Course::Left);
    let is_calm = course == Course::Pace && intents.is_empty();
    let phase = match (is_done, is_calm) {
        (true, _) => Phase::Done,
        (false, true) => Phase::Rests,
        (false, false) => Phase::OnItsWay,
    };
    incident::follow(scene, &verdict, phase, &mut history);
    let rests = is_done || is_calm && !history.incident.as_ref().is_some_and(Incident::goes_on);
    let soak_stands_still = still::of(scene, &verdict, &history);
    let report = Report {
        state: course.state(),
        findings: verdict.findings,
        hold: history.hold,
        width: history.width,
        full_width: census.full,
        target: history.progress.target,
        wave: history.progress.wave,
        soaked: history.soaked,
        soak_needed: soak::needed(scene.policy, census.full),
        soak_stands_still,
        incident: history.incident.clone(),
        forecast: scene.forecast.cloned(),
        nodes_without_pod: census.nodes_without_pod(),
        summary,
    };
    let look_again = scene.now + if rests { REST } else { TICK };
    Judgement {
        report,
        plan: Plan {
            intents,
            look_again,
        },
        history,
    }
}
