//! The report of an experiment, made of what was watched and measured.

use std::time::Duration;

use tokio::time::Instant;

use super::{
    Before, Bench, Plan,
    blame::Blame,
    course::{Seen, SeenTrack},
    expected::{Ran, expected},
    outcome::{Course, End},
};
use crate::{
    bystander::{
        Sample,
        stats::{self, Harm, Latency},
    },
    profile::Profile,
    report::{self, Beside, Joined, LoopsUse, Report, WeirUse, machine::Machine},
};

/// What was measured beside the course of events.
pub(super) struct Measured {
    pub(super) started: jiff::Timestamp,
    pub(super) zero: Instant,
    pub(super) calm: bool,
    pub(super) idle: Latency,
    pub(super) samples: Vec<Sample>,
    pub(super) weir: Option<WeirUse>,
    pub(super) end: End,
}

impl Bench {
    /// The report.
    pub(super) fn report(&self, plan: &Plan, seen: Seen, measured: Measured) -> Report {
        let Measured {
            started,
            zero,
            calm,
            idle,
            samples,
            weir,
            end,
        } = measured;
        let Seen { main, .. } = seen;
        let bystander = bystander(&samples, (zero, calm), idle, main.course.agents_from());
        let harm = stats::harm(&idle, &bystander.series, main.course.agents_from());
        let ran = Ran {
            course: &main.course,
            harm: &harm,
            swarm: &main.swarm,
            calm,
            blame: Blame::of(seen.loops.as_ref(), &main.course, &harm, &main.findings),
        };
        let expected = expected(&plan.profile, &ran);
        let beside = plan
            .beside
            .as_ref()
            .zip(seen.beside)
            .map(|(profile, track)| beside(profile, track, (&harm, calm), seen.loops.as_ref()));
        let joined = joined(&main.course, &samples, (zero, &idle));
        let course = main.course;
        Report {
            started,
            commit: self.commit.clone(),
            machine: Machine::here(),
            nodes: self.nodes,
            pods: self.pods,
            api_servers: u32::try_from(self.servers.count()).unwrap_or(u32::MAX),
            profile: plan.profile.name.clone(),
            about: plan.profile.about.clone(),
            asks_per_second: plan.profile.asks_per_second(),
            guarded: course.guarded,
            update: plan.before.is_some(),
            updated_from: plan.before.as_ref().and_then(Before::profile),
            pace: plan
                .guard
                .as_ref()
                .map(|policy| format!("{:?}", policy.pace)),
            state: course.state(),
            timed_out: end == End::TimedOut,
            full_width: course.full_width,
            held_at_width: course.held_at_width(),
            held_at_share: course.held_at_share(),
            held_by: course.held_by().map(str::to_owned),
            seconds_to_hold: course.seconds_to_hold(&harm),
            seconds_to_complete: course.completed(),
            expected,
            slowest_pace: course.slowest,
            width: course.widths,
            states: course.states,
            findings: main.findings,
            forecast: main.forecasts.last().map(|at| at.forecast.clone()),
            forecasts: main.forecasts,
            beside,
            loops: seen.loops,
            joined,
            harm,
            bystander,
            api_server: seen.api_server,
            swarm: main.swarm,
            weir,
        }
    }
}

/// What the quiet client felt before `zero` and from then on; the first agent ran so many seconds after it.
fn bystander(
    samples: &[Sample],
    (zero, calm): (Instant, bool),
    idle: Latency,
    agents_from: Option<f64>,
) -> report::Bystander {
    let after = samples.iter().filter(|sample| sample.due >= zero);
    let during: Vec<_> = after.copied().collect();
    let agents_from = agents_from.map(|from| zero + Duration::from_secs_f64(from.max(0.0)));
    let is_creation = |sample: &Sample| agents_from.is_none_or(|from| sample.due < from);
    let (creation, agents): (Vec<_>, Vec<_>) = during.iter().copied().partition(is_creation);
    report::Bystander {
        idle,
        calm,
        during: Latency::of(&during),
        creation: Latency::of(&creation),
        agents: agents_from.map(|_| Latency::of(&agents)),
        worst_p99_ms: stats::worst_p99_ms(&during),
        series: stats::by_second(samples, zero),
    }
}

/// What nodes that joined after the rollout did to others; none if none were to join.
fn joined(
    course: &Course,
    samples: &[Sample],
    (zero, idle): (Instant, &Latency),
) -> Option<Joined> {
    if course.joins == 0 {
        return None;
    }
    let from = course.joined;
    let joined = from.map(|from| zero + Duration::from_secs_f64(from));
    let is_after = |sample: &&Sample| joined.is_some_and(|joined| sample.due >= joined);
    let after: Vec<_> = samples.iter().filter(is_after).copied().collect();
    Some(Joined {
        nodes: course.joins,
        from_second: from,
        seconds_to_run: course.seconds_to_run_joined(),
        most_begun_in_a_second: course.most_begun_in_a_second(),
        harmful_seconds: stats::harm(idle, &stats::by_second(&after, zero), from).seconds,
        latency: Latency::of(&after),
    })
}

/// What became of the workload beside it, by its own profile.
fn beside(
    profile: &Profile,
    track: SeenTrack,
    (harm, calm): (&Harm, bool),
    loops: Option<&LoopsUse>,
) -> Beside {
    let ran = Ran {
        course: &track.course,
        harm,
        swarm: &track.swarm,
        calm,
        blame: Blame::of(loops, &track.course, harm, &track.findings),
    };
    let expected = expected(profile, &ran);
    let course = track.course;
    Beside {
        profile: profile.name.clone(),
        state: course.state(),
        full_width: course.full_width,
        held_at_width: course.held_at_width(),
        held_by: course.held_by().map(str::to_owned),
        seconds_to_complete: course.completed(),
        states: course.states,
        findings: track.findings,
        forecast: track.forecasts.last().map(|at| at.forecast.clone()),
        expected,
    }
}
