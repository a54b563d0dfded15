//! `lab repeat`: the same rollout several times, for the spread of its figures.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;

use super::{WatchArgs, WorldArgs, inside, proof};
use crate::{
    experiment::{
        Plan,
        story::{heading, line},
    },
    profile::Profile,
    report::{Report, State, demo::millis, html::seconds},
};

/// The same rollout several times, for the spread of its figures.
#[derive(Debug, Args)]
pub(super) struct Repeat {
    /// The profile of the agents
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// How many times
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Where the table is written, as Markdown
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
    /// Where the reports are written
    #[arg(long, value_name = "DIR", default_value = "target/lab")]
    reports: PathBuf,
    /// Update a harmless revision that runs everywhere, instead of creating a new DaemonSet
    #[arg(long)]
    update: bool,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

impl Repeat {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let plan = Plan {
            profile: Profile::read(&self.profile)?,
            update: self.update,
            guard: Some(self.watch.pace.into()),
            patience: self.watch.patience(),
        };
        inside(true, async {
            let mut reports = vec![];
            for run in 1..=self.runs {
                // A world of its own for each run: none inherits another's memory.
                heading(&format!("── run {run} of {}", self.runs));
                let mut stage = self.world.start().await?;
                let report = stage.run(&plan).await?;
                report.write(&self.reports.join(format!("{}-{run}.json", report.profile)))?;
                line(&super::rollout::ending(&report));
                reports.push(report);
            }
            self.conclude(&reports)
        })
    }

    fn conclude(&self, reports: &[Report]) -> Result<ExitCode> {
        let table = table(reports);
        let summary = summary(reports);
        heading(&format!("{} runs:", reports.len()));
        line(&proof::plain(&table));
        line(&summary);
        if let (Some(path), Some(first)) = (&self.proof, reports.first()) {
            let title = format!("{}: {} runs with Weir", first.profile, reports.len());
            let used = proof::weir_use(&reports.iter().collect::<Vec<_>>());
            proof::write(
                path,
                &title,
                first,
                &[summary, proof::markdown(&table), used],
            )?;
            line(&format!("table: {}", path.display()));
        }
        let met = reports
            .iter()
            .all(|report| report.expected.as_ref().is_none_or(|expected| expected.met));
        Ok(if met {
            ExitCode::SUCCESS
        } else {
            ExitCode::FAILURE
        })
    }
}

fn table(reports: &[Report]) -> Vec<Vec<String>> {
    let head = [
        "run",
        "ended",
        "width",
        "holds",
        "harm at",
        "harm to hold",
        "complete",
        "idle p99",
        "p99 during",
        "as expected",
    ];
    let none = || "–".to_owned();
    let cells = |(index, report): (usize, &Report)| {
        vec![
            (index + 1).to_string(),
            format!("{:?}", report.state),
            format!(
                "{}/{}",
                report.width.last().map_or(0, |at| at.width),
                report.full_width
            ),
            holds(report).to_string(),
            report
                .harm
                .first_second
                .map_or_else(none, |second| format!("{second} s")),
            report.seconds_to_hold.map_or_else(none, seconds),
            report.seconds_to_complete.map_or_else(none, seconds),
            millis(report.bystander.idle.p99_ms),
            millis(report.bystander.during.p99_ms),
            report.expected.as_ref().map_or_else(none, |expected| {
                if expected.met { "yes" } else { "NO" }.to_owned()
            }),
        ]
    };
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(reports.iter().enumerate().map(cells));
    table
}

fn holds(report: &Report) -> usize {
    report
        .states
        .iter()
        .filter(|at| at.state == State::Held)
        .count()
}

/// The spread in a sentence.
fn summary(reports: &[Report]) -> String {
    let mut to_hold: Vec<f64> = reports
        .iter()
        .filter_map(|report| report.seconds_to_hold)
        .collect();
    to_hold.sort_by(f64::total_cmp);
    let held = reports
        .iter()
        .filter(|report| report.state == State::Held)
        .count();
    let paused = reports.iter().filter(|report| holds(report) > 0).count();
    let complete = reports
        .iter()
        .filter(|report| report.state == State::Complete)
        .count();
    let counts = format!(
        "Of {} runs {held} ended held and {complete} complete; {paused} were held at any time.",
        reports.len()
    );
    let median = to_hold.get(to_hold.len().saturating_sub(1) / 2);
    match (median, to_hold.last()) {
        (Some(p50), Some(max)) => format!(
            "{counts} From the first harm to the hold: p50 {}, max {} over {} runs; in the others it was \
             held before any harm.",
            seconds(*p50),
            seconds(*max),
            to_hold.len()
        ),
        (None, _) | (_, None) => counts,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::report;

    fn held_after(seconds: Option<f64>) -> Report {
        Report {
            seconds_to_hold: seconds,
            ..report("pod-lister", true, State::Held)
        }
    }

    #[test]
    fn the_spread_is_that_of_the_runs_with_harm() {
        let runs = [Some(9.0), None, Some(2.0), Some(4.0)].map(held_after);
        assert_eq!(
            summary(&runs),
            "Of 4 runs 4 ended held and 0 complete; 4 were held at any time. From the first harm to the \
             hold: p50 4.0 s, max 9.0 s over 3 runs; in the others it was held before any harm."
        );
    }

    #[test]
    fn runs_without_harm_have_no_spread() {
        let runs = [report("node-exporter", true, State::Complete)];
        assert_eq!(
            summary(&runs),
            "Of 1 runs 0 ended held and 1 complete; 0 were held at any time."
        );
        assert_eq!(table(&runs)[1][1], "Complete");
    }
}
