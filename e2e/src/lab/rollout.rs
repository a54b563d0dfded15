//! `lab rollout`: one experiment.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::{WatchArgs, WorldArgs, inside};
use crate::{
    experiment::{
        Plan,
        story::{heading, line},
    },
    profile::Profile,
    report::{Report, State, demo::millis, html::seconds},
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
    /// Update a harmless revision that runs everywhere, instead of creating a new DaemonSet
    #[arg(long)]
    update: bool,
    /// Let nobody guard the rollout
    #[arg(long)]
    no_guard: bool,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

impl Rollout {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let plan = Plan {
            profile: Profile::read(&self.profile)?,
            update: self.update,
            guard: (!self.no_guard).then(|| self.watch.pace.into()),
            patience: self.watch.patience(),
        };
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
        line(&format!("Weir found {}: {}", found.reason, found.evidence));
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
    match &report.expected {
        Some(expected) if expected.met => {
            line(&format!("as the profile expects ({})", expected.ends));
        }
        Some(expected) => {
            let why = expected.why.as_deref().unwrap_or_default();
            line(&format!(
                "NOT as the profile expects ({}): {why}",
                expected.ends
            ));
        }
        None => {}
    }
}

/// How it ended, in a sentence.
pub(super) fn ending(report: &Report) -> String {
    let full = report.full_width;
    let ended = match (
        report.state,
        report.held_at_width,
        report.seconds_to_complete,
    ) {
        (State::Held, Some(width), _) => format!("held at {width} of {full} pods"),
        (State::Complete, _, Some(after)) => format!("complete after {}", seconds(after)),
        (state, _, _) => {
            let width = report.width.last().map_or(0, |at| at.width);
            format!("ended {state:?} at {width} of {full} pods")
        }
    };
    let timed_out = if report.timed_out {
        ", by the time-out"
    } else {
        ""
    };
    let hold = match (report.seconds_to_hold, report.harm.first_second) {
        (Some(after), _) => format!(", {} after the first harm", seconds(after)),
        (None, Some(second)) if report.guarded && report.state == State::Held => {
            format!(", before the first harm (second {second})")
        }
        (None, Some(second)) => format!(", others harmed from second {second} on"),
        (None, None) => ", nobody harmed".to_owned(),
    };
    format!("{}: {ended}{timed_out}{hold}", report.profile)
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
