//! `lab repeat`: the same rollout several times, for the spread of its figures.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::Result;
use clap::Args;

use super::{
    ReportsArgs, WatchArgs, WorldArgs,
    cells::{Table, headed, markdown, none, plain, yes},
    exit, inside,
    proof::{self, ProofArgs},
    scenario::ScenarioArgs,
    watch::duration,
};
use crate::{
    experiment::story::{heading, line},
    report::{
        Expected, Report, State, demo::millis, foreseen::percent, holds, html::seconds, was_held_at,
    },
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
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    reports: ReportsArgs,
    /// Fail if a run takes longer than this from the first harm to the hold, such as 30s
    #[arg(long, value_parser = duration, value_name = "TIME")]
    hold_within: Option<Duration>,
    /// Fail if a run takes longer than this to be complete, such as 4m
    #[arg(long, value_parser = duration, value_name = "TIME")]
    complete_within: Option<Duration>,
    #[command(flatten)]
    scenario: ScenarioArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

impl Repeat {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let plan = self.scenario.plan(&self.profile, &self.watch, true)?;
        inside(true, async {
            let mut reports = vec![];
            for run in 1..=self.runs {
                // A world of its own for each run: none inherits another's memory.
                heading(&format!("── run {run} of {}", self.runs));
                let mut bench = self.world.start().await?;
                let report = bench.run(&plan).await?;
                report.write(&self.reports.path(&format!("{}-{run}", report.profile)))?;
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
        line(&plain(&table));
        line(&summary);
        if let Some(first) = reports.first() {
            let title = format!("{}: {} runs with Weir", first.profile, reports.len());
            let used = proof::weir_use(&reports.iter().collect::<Vec<_>>());
            let parts = [summary, markdown(&table), used];
            self.proof.keep(&title, first, &parts)?;
        }
        let mut met = true;
        for (run, why) in (1..)
            .zip(reports)
            .filter_map(|(run, report)| Some((run, unmet(report)?)))
        {
            line(&format!("run {run} is NOT as it must be: {why}"));
            met = false;
        }
        for late in self.late(reports) {
            line(&late);
            met = false;
        }
        Ok(exit(met))
    }
}

impl Repeat {
    /// The runs that took longer than they may.
    fn late(&self, reports: &[Report]) -> Vec<String> {
        let is_late = |took: Option<f64>, within: Option<Duration>| {
            within.is_some_and(|within| took.is_none_or(|took| took > within.as_secs_f64()))
        };
        let mut late = vec![];
        for (run, report) in (1..).zip(reports) {
            // What was held before any harm was not late.
            let to_hold = report.harm.first_second.is_some() && !held_before_harm(report);
            if to_hold && is_late(report.seconds_to_hold, self.hold_within) {
                late.push(format!("run {run} was held too late after the first harm"));
            }
            if is_late(report.seconds_to_complete, self.complete_within) {
                late.push(format!("run {run} was not complete in time"));
            }
        }
        late
    }
}

/// Why a run, or what was rolled out beside it, is not as its profile expects.
fn unmet(report: &Report) -> Option<&str> {
    let beside = report.beside.as_ref();
    let expected = [
        report.expected.as_ref(),
        beside.and_then(|beside| beside.expected.as_ref()),
    ];
    let mut why = expected
        .into_iter()
        .flatten()
        .filter_map(|one: &Expected| one.why.as_deref());
    why.next()
}

fn table(reports: &[Report]) -> Table {
    let head = [
        "run",
        "ended",
        "width",
        "share",
        "held by",
        "holds",
        "harm at",
        "harm to hold",
        "complete",
        "idle p99",
        "p99 during",
        "worst 10 s",
        "unfelt",
        "harmed",
        "as expected",
    ];
    let cells = |(index, report): (usize, &Report)| {
        vec![
            (index + 1).to_string(),
            format!("{:?}", report.state),
            format!(
                "{}/{}",
                report.width.last().map_or(0, |at| at.width),
                report.full_width
            ),
            report
                .held_at_width
                .map_or_else(none, |width| percent(width, report.full_width)),
            report.held_by.clone().unwrap_or_else(none),
            holds(&report.states).to_string(),
            report
                .harm
                .first_second
                .map_or_else(none, |second| format!("{second} s")),
            report.seconds_to_hold.map_or_else(none, seconds),
            report.seconds_to_complete.map_or_else(none, seconds),
            millis(report.bystander.idle.p99_ms),
            millis(report.bystander.during.p99_ms),
            millis(report.bystander.worst_p99_ms),
            yes(report.nobody_felt_it()),
            format!("{} s", report.harm.seconds),
            match (&report.expected, unmet(report)) {
                (None, None) => none(),
                (Some(_), None) => yes(true),
                (_, Some(_)) => yes(false),
            },
        ]
    };
    headed(head, reports.iter().enumerate().map(cells))
}

/// Whether it was held when harm began.
fn held_before_harm(report: &Report) -> bool {
    let Some(harmed) = report.harm.first_second else {
        return false;
    };
    was_held_at(&report.states, harmed as f64)
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
    let paused = reports
        .iter()
        .filter(|report| holds(&report.states) > 0)
        .count();
    let complete = reports
        .iter()
        .filter(|report| report.state == State::Complete)
        .count();
    let harmed = reports
        .iter()
        .filter(|report| report.harm.first_second.is_some())
        .count();
    let before = reports
        .iter()
        .filter(|report| held_before_harm(report))
        .count();
    let counts = format!(
        "Of {} runs {held} ended held and {complete} complete; {paused} were held at any time. Others \
         were harmed in {harmed}, of which {before} were held already when harm began and {} were not \
         held after it.",
        reports.len(),
        harmed - before - to_hold.len()
    );
    let median = to_hold.get(to_hold.len().saturating_sub(1) / 2);
    match (median, to_hold.last()) {
        (Some(p50), Some(max)) => format!(
            "{counts} From the first harm to the hold: p50 {}, max {} over {} runs.",
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
        let mut report = report("pod-lister", true, State::Held);
        report.harm.first_second = Some(5);
        report.seconds_to_hold = seconds;
        report
    }

    fn held_at(second: f64) -> Report {
        let mut report = held_after(None);
        report.states[0].second = second;
        report
    }

    #[test]
    fn the_spread_is_that_of_the_runs_with_harm() {
        let mut runs = [Some(9.0), None, Some(2.0), Some(4.0)]
            .map(held_after)
            .to_vec();
        runs.push(held_at(4.0));
        assert_eq!(
            summary(&runs),
            "Of 5 runs 5 ended held and 0 complete; 5 were held at any time. Others were harmed in 5, of \
             which 1 were held already when harm began and 1 were not held after it. From the first \
             harm to the hold: p50 4.0 s, max 9.0 s over 3 runs."
        );
    }

    #[test]
    fn a_run_that_harmed_and_was_never_held_is_late_and_one_held_before_harm_is_not() {
        let repeat = |arguments: &[&str]| {
            use clap::Parser;
            let given = ["lab", "repeat", "--profile", "x.yaml"];
            let lab = super::super::Lab::try_parse_from(given.iter().chain(arguments));
            match lab.expect("good arguments").command {
                super::super::Command::Repeat(repeat) => repeat,
                other => panic!("{other:?} is not repeat"),
            }
        };
        let runs = [
            held_after(Some(9.0)),
            held_after(Some(31.0)),
            held_after(None),
            held_at(4.0),
        ];
        let late = repeat(&["--hold-within", "30s"]).late(&runs);
        assert_eq!(late.len(), 2, "{late:?}");
        assert!(late[0].starts_with("run 2 ") && late[1].starts_with("run 3 "));
        assert_eq!(repeat(&[]).late(&runs), Vec::<String>::new());
        assert_eq!(repeat(&["--complete-within", "4m"]).late(&runs).len(), 4);
    }

    #[test]
    fn runs_without_harm_have_no_spread() {
        let mut run = report("node-exporter", true, State::Complete);
        run.harm.first_second = None;
        let runs = [run];
        assert_eq!(
            summary(&runs),
            "Of 1 runs 0 ended held and 1 complete; 0 were held at any time. Others were harmed in 0, of \
             which 0 were held already when harm began and 0 were not held after it."
        );
        assert_eq!(table(&runs)[1][1], "Complete");
    }
}
