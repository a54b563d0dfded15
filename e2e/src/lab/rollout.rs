//! `lab rollout`: one experiment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::{WatchArgs, WorldArgs, inside, scenario::ScenarioArgs};
use crate::{
    experiment::{
        Plan,
        story::{heading, line},
    },
    report::{
        Beside, Expected, Report, State,
        demo::millis,
        foreseen::{self, cpu},
        html::seconds,
    },
};

/// One rollout of one profile's agents, guarded or not.
#[derive(Debug, Args)]
pub(super) struct Rollout {
    /// The profile of the agents: a YAML file, as docs/reference/lab-profile.md describes it
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// Where the report is written, as JSON
    #[arg(long, value_name = "FILE")]
    report: PathBuf,
    /// Let nobody guard the rollout
    #[arg(long)]
    no_guard: bool,
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

impl Rollout {
    /// What is to be run.
    pub(super) fn plan(&self) -> Result<Plan> {
        self.scenario
            .plan(&self.profile, &self.watch, !self.no_guard)
    }

    pub(super) fn run(&self) -> Result<ExitCode> {
        let plan = self.plan()?;
        inside(!self.no_guard, async {
            let mut bench = self.world.start().await?;
            let report = bench.run(&plan).await?;
            report.write(&self.report)?;
            conclude(&report);
            line(&format!("report: {}", self.report.display()));
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// The end of an experiment in a few plain lines.
fn conclude(report: &Report) {
    heading(&ending(report));
    line(&feeling(report));
    for found in &report.findings {
        line(&format!(
            "Weir found {} ({}): {}",
            found.reason, found.severity, found.last_evidence
        ));
    }
    if let Some(foresight) = foresight(report) {
        line(&foresight);
    }
    if let Some(weir) = &report.weir {
        line(&format!(
            "Weir used {} requests/s in flight and {} idle, {} writes, {} MB, {:.0} MiB of memory",
            weir.in_flight.requests_per_second,
            weir.idle.requests_per_second,
            weir.writes,
            weir.bytes.map_or_else(
                || "–".to_owned(),
                |bytes| format!("{:.1}", bytes as f64 / 1e6)
            ),
            weir.peak_rss_mib
        ));
    }
    for (kind, times) in &report.swarm.failures {
        line(&format!("the agents' calls failed {times} times: {kind}"));
    }
    if let Some(beside) = &report.beside {
        tell_beside(beside);
    }
    tell_expected(&report.profile, report.expected.as_ref());
}

fn tell_beside(beside: &Beside) {
    let by = beside.held_by.as_deref().unwrap_or("nothing");
    line(&format!(
        "beside it, {}: ended {:?}, held last by {by}",
        beside.profile, beside.state
    ));
    tell_expected(&beside.profile, beside.expected.as_ref());
}

fn tell_expected(profile: &str, expected: Option<&Expected>) {
    match expected {
        Some(expected) if expected.met => {
            line(&format!("as {profile} expects ({})", expected.ends));
        }
        Some(expected) => {
            let why = expected.why.as_deref().unwrap_or_default();
            line(&format!(
                "NOT as {profile} expects ({}): {why}",
                expected.ends
            ));
        }
        None => {}
    }
}

/// What Weir foresaw of CPU, in a sentence.
fn foresight(report: &Report) -> Option<String> {
    let forecast = report.forecast.as_ref()?;
    let cpu = cpu(forecast)?;
    let knee = cpu.knee.as_ref().map_or_else(
        || "no width uses it up".to_owned(),
        |knee| format!("used up by {} pods", foreseen::pods(knee)),
    );
    let capacity = cpu
        .capacity
        .map_or_else(|| "unknown".to_owned(), |cores| format!("{cores}"));
    let unison = forecast.unison.as_ref().map_or_else(String::new, |unison| {
        format!(
            "; all starts at once: {} s of {} s",
            foreseen::told(&unison.seconds),
            unison.budget
        )
    });
    Some(format!(
        "Weir foresaw {} cores with {} pods, of {capacity}: {knee}{unison}",
        foreseen::told(&cpu.at_full),
        forecast.full_width
    ))
}

/// How it ended, in a sentence.
pub(super) fn ending(report: &Report) -> String {
    if let Some(hold) = report.hold() {
        return format!("{}: {hold}{}", report.profile, since_harm(report));
    }
    let ended = match (report.state, report.seconds_to_complete) {
        (State::Complete, Some(after)) => format!("complete after {}", seconds(after)),
        (State::Paced, Some(after)) => format!("everywhere, and paced, after {}", seconds(after)),
        (state, _) => {
            let width = report.width.last().map_or(0, |at| at.width);
            format!("ended {state:?} at {width} of {} pods", report.full_width)
        }
    };
    let timed_out = if report.timed_out {
        ", by the time-out"
    } else {
        ""
    };
    let harm = since_harm(report);
    format!("{}: {ended}{timed_out}{harm}", report.profile)
}

/// How harm and hold followed each other.
fn since_harm(report: &Report) -> String {
    match (report.seconds_to_hold, report.harm.first_second) {
        (Some(after), _) => format!(", {} after the first harm", seconds(after)),
        (None, Some(second)) if report.guarded && report.state == State::Held => {
            format!(", before the first harm (second {second})")
        }
        (None, Some(second)) => format!(", others harmed from second {second} on"),
        (None, None) => ", nobody harmed".to_owned(),
    }
}

fn feeling(report: &Report) -> String {
    let (idle, during) = (report.bystander.idle, report.bystander.during);
    format!(
        "a quiet client: median {} (idle {}), slowest hundredth {} (idle {}, × {:.1}), {} of {} calls \
         failed",
        millis(during.p50_ms),
        millis(idle.p50_ms),
        millis(during.p99_ms),
        millis(idle.p99_ms),
        report.bystander.p99_factor(),
        during.failed,
        during.calls
    )
}
