//! Turns a judgement into a sentence or two for a tired person: where it stands, why, and what then.
//!
//! No figure in it moves by itself (an age, a latency): it changes only when something happened.

use crate::{
    census::{Case, Member},
    course::{self, Course},
    evidence::Window,
    history::History,
    plan::{Finding, Rule, Severity},
    soak,
    time::Span,
    verdict::{Scene, Stance, Verdict},
};

/// What is told of this course.
pub(crate) fn of(
    scene: &Scene<'_>,
    verdict: &Verdict,
    course: Course,
    history: &History,
) -> String {
    match scene.stance {
        Stance::Guards => {
            let said = behind_valve(scene, verdict, course, history);
            said + &void_order(scene, course, history)
        }
        Stance::LetsGo => letting_go(scene, verdict, course, history),
        Stance::LooksOn => alongside(scene, verdict, course, history),
    }
}

fn behind_valve(scene: &Scene<'_>, verdict: &Verdict, course: Course, history: &History) -> String {
    let (width, full) = (history.width, scene.census.full);
    let (wave, target) = (history.progress.wave, history.progress.target);
    match course {
        Course::Rest | Course::Left => "The revision is approved and no pod is gated.".to_owned(),
        Course::Drain => drained(scene, verdict),
        Course::Pause => paused(scene, width),
        Course::Obey(order) => obeying(scene, verdict, order.width),
        Course::Gather => gathered(scene, verdict),
        Course::AwaitCalm => delayed(scene, verdict),
        Course::Idle => {
            "No node wants a pod. The revision is not approved: the first pods will be \
                         a canary."
                .to_owned()
        }
        Course::Hold => held(scene, verdict, width),
        Course::Fill if scene.census.in_case(Case::Waiting) == 0 => {
            format!(
                "Wave {wave}: {width} of {target} pods are out; {}.",
                awaited(scene)
            )
        }
        Course::Fill | Course::Widen(_) => {
            format!("Wave {wave}: letting through up to {target} of {full} pods.")
        }
        Course::Settle => {
            format!(
                "Wave {wave}: {width} of {full} pods are out; waiting until they and their nodes are ready."
            )
        }
        Course::Soak => format!(
            "Wave {wave}: {width} of {full} pods are out and ready; soaking for {}.{}",
            soak::needed(scene.policy, full),
            standing_still(scene, history)
        ),
        Course::AwaitStretch => stretching(scene, history),
        Course::AwaitWindow { .. } => outside(scene, width),
        Course::Learn => learning(verdict, width, full),
        Course::Pace => paced_out(scene, width, full),
        Course::AwaitNodes => format!(
            "{width} of {full} pods are out; the others wait for nodes that are not ready. Until \
             more of them are, the revision is not approved."
        ),
        Course::Approve => format!("{width} of {full} pods are out and soaked: approving."),
    }
}

/// Of the courses only some are ever those of a rollout that is let go; all others wait.
fn letting_go(scene: &Scene<'_>, verdict: &Verdict, course: Course, history: &History) -> String {
    let (width, full) = (history.width, scene.census.full);
    let gated = scene.census.number(Member::gated);
    let said = match course {
        Course::Left => format!(
            "no pod is gated any more, and {width} of {full} run. The revision was not soaked at full \
             width, and is not approved."
        ),
        Course::Drain => format!("letting through the {gated} pods still gated."),
        Course::Pause => paused(scene, width),
        Course::Gather => gathered(scene, verdict),
        Course::Hold
        | Course::AwaitCalm
        | Course::Rest
        | Course::Idle
        | Course::Obey(_)
        | Course::Fill
        | Course::Settle
        | Course::Soak
        | Course::Learn
        | Course::AwaitStretch
        | Course::AwaitWindow { .. }
        | Course::Pace
        | Course::AwaitNodes
        | Course::Widen(_)
        | Course::Approve => {
            let why = verdict.stops_letting_go(scene.now).map(because);
            format!(
                "{gated} of {full} pods are still gated{}.{}",
                why.unwrap_or_default(),
                without_pod(scene)
            )
        }
    };
    format!("Nobody asks for the guard any longer: {said}")
}

fn paused(scene: &Scene<'_>, width: u32) -> String {
    format!(
        "Paused by a person at {width} of {} pods, until spec.paused is taken back.{}",
        scene.census.full,
        without_pod(scene)
    )
}

fn alongside(scene: &Scene<'_>, verdict: &Verdict, course: Course, history: &History) -> String {
    let (width, full) = (history.width, scene.census.full);
    let said = match course {
        Course::Hold => match verdict.worst() {
            Some(worst) => format!(
                "Weir would hold it at {width} of {full} pods: {} ({}), until {}.",
                worst.rule.name(),
                worst.subject,
                worst.clears_when
            ),
            None => format!("Weir would hold it at {width} of {full} pods."),
        },
        Course::Gather => gathered(scene, verdict),
        Course::Idle => "no node wants a pod.".to_owned(),
        Course::Rest => format!("all {full} pods run and are soaked."),
        Course::Fill
        | Course::Settle
        | Course::Soak
        | Course::Learn
        | Course::AwaitStretch
        | Course::AwaitWindow { .. }
        | Course::Pace
        | Course::Drain
        | Course::Left
        | Course::Pause
        | Course::Obey(_)
        | Course::AwaitCalm
        | Course::AwaitNodes
        | Course::Widen(_)
        | Course::Approve => format!("{width} of {full} pods run; nothing would hold it now."),
    };
    let before = match history.holds {
        0 => String::new(),
        1 => " It would have been held once so far.".to_owned(),
        holds => format!(" It would have been held {holds} times so far."),
    };
    format!("Not behind the valve, judged by its readings alone: {said}{before}")
}

/// Where the wave's next pods come from, when none waits at the gate.
fn awaited(scene: &Scene<'_>) -> String {
    if scene.census.old == 0 {
        return "the next appear as the DaemonSet's controller creates them".to_owned();
    }
    format!(
        "the next appear as the DaemonSet's update makes room (maxUnavailable is {})",
        scene.evidence.rollout.max_unavailable
    )
}

fn drained(scene: &Scene<'_>, verdict: &Verdict) -> String {
    let gated = scene.census.number(Member::gated);
    let regardless = match holding(verdict) {
        0 => String::new(),
        holds => format!(" Findings would hold it ({holds}), but approval goes before them."),
    };
    let paused = if scene.evidence.rollout.paused {
        " spec.paused does not close a valve that approval has opened."
    } else {
        ""
    };
    format!(
        "The revision is approved; letting through the {gated} pods still gated.{regardless}{paused}"
    )
}

fn obeying(scene: &Scene<'_>, verdict: &Verdict, target: u32) -> String {
    let regardless = match holding(verdict) {
        0 => String::new(),
        holds => {
            format!(" Findings would hold it ({holds}), but a person's order goes before them.")
        }
    };
    format!(
        "Letting through up to {target} of {} pods, as a person ordered (spec.letThrough).{regardless}",
        scene.census.full
    )
}

/// What to know of a person's order that lets nothing through.
fn void_order(scene: &Scene<'_>, course: Course, history: &History) -> String {
    let waits = matches!(course, Course::Hold | Course::AwaitCalm);
    match course::void(scene, history).filter(|_| waits) {
        Some(why) => format!(" The order in spec.letThrough is void: {why}."),
        None => String::new(),
    }
}

/// Findings that hold.
fn holding(verdict: &Verdict) -> usize {
    let holds = |finding: &&Finding| finding.severity == Severity::Hold;
    verdict.findings.iter().filter(holds).count()
}

fn gathered(scene: &Scene<'_>, verdict: &Verdict) -> String {
    let awaited = if let Some(missing) = verdict.worst() {
        format!("{} ({})", missing.subject, missing.evidence)
    } else {
        let servers = course::without_baseline(scene).join(", ");
        format!("how fast {servers} answers in quiet times")
    };
    format!("Gathering evidence before anything is let through: {awaited}.")
}

fn learning(verdict: &Verdict, width: u32, full: u32) -> String {
    let mut findings = verdict.findings.iter();
    let why = findings.find(|finding| finding.rule == Rule::EvidenceInsufficient);
    let why = why.map_or("more is awaited to be seen", |why| why.clears_when.as_str());
    format!("{width} of {full} pods are out and soaked; watching on before the next wave: {why}.")
}

/// Why soak does not go on, where nothing else tells.
fn standing_still(scene: &Scene<'_>, history: &History) -> &'static str {
    if history.nodes.is_turning(scene.now) {
        " Many nodes have come or gone a moment ago: that time does not count."
    } else {
        ""
    }
}

fn stretching(scene: &Scene<'_>, history: &History) -> String {
    let (width, full) = (history.width, scene.census.full);
    let stretch = scene
        .policy
        .undisturbed
        .map_or(Span::ZERO, |demand| demand.stretch);
    format!(
        "{width} of {full} pods are out and soaked; before there are more, nobody may deploy in the namespace for \
         {stretch} (spec.undisturbed)."
    )
}

fn outside(scene: &Scene<'_>, width: u32) -> String {
    let opens = match &scene.evidence.rollout.window {
        Window::Open => "",
        Window::Closed { opens } => opens,
    };
    format!(
        "{width} of {} pods are out; nothing more begins until a window of the policy opens: {opens}.",
        scene.census.full
    )
}

fn paced_out(scene: &Scene<'_>, width: u32, full: u32) -> String {
    let gated = scene.census.number(Member::gated);
    let next = match gated {
        0 => "each pod that comes later passes the valve".to_owned(),
        gated => format!("letting through {gated} that came later"),
    };
    format!(
        "{width} of {full} pods are out and soaked. All at once their starts would take the API servers \
         too long, so that the revision is not approved: {next}, at the pace that they bear."
    )
}

fn delayed(scene: &Scene<'_>, verdict: &Verdict) -> String {
    let why = verdict.worst().map(because).unwrap_or_default();
    format!("Not begun yet{why}.{}", without_pod(scene))
}

fn held(scene: &Scene<'_>, verdict: &Verdict, width: u32) -> String {
    let full = scene.census.full;
    let why = verdict.worst().map(because).unwrap_or_default();
    format!("Held at {width} of {full} pods{why}.{}", without_pod(scene))
}

fn because(finding: &Finding) -> String {
    format!(
        ": {} ({}). Goes on by itself when {}",
        finding.rule.name(),
        finding.subject,
        finding.clears_when
    )
}

fn without_pod(scene: &Scene<'_>) -> String {
    match scene.census.nodes_without_pod() {
        0 => String::new(),
        1 => " 1 node waits without a pod.".to_owned(),
        nodes => format!(" {nodes} nodes wait without a pod."),
    }
}
