//! `lab truth`: what forecasts are worth. Weir guards a rollout by a policy that never holds it for what
//! it foresees, so that each width stays for a while and the truth of it can be measured.

use std::{path::PathBuf, process::ExitCode, time::Duration};

use anyhow::{Context, Result};
use clap::Args;
use weir::api::{ForecastAct, ForecastLimits, Harm, Pace, RolloutPolicySpec, Waves};

use super::{
    ReportsArgs, WorldArgs,
    cells::{Table, headed, markdown, none, plain, yes},
    exit, inside,
    proof::ProofArgs,
    watch::duration,
};
use crate::{
    experiment::{
        Patience, Plan, form,
        story::{heading, line},
    },
    profile::Profile,
    report::{
        Report,
        foreseen::{pods, told},
        truth::{CLOSE, Truth, coverage},
        write_json,
    },
};

/// What becoming ready and being seen takes beside the soak, at each width.
const BESIDE_SOAK: f64 = 30.0;

/// Forecasts of CPU beside what each width really takes.
#[derive(Debug, Args)]
pub(super) struct TruthRun {
    /// The profile of the agents; may be given more than once
    #[arg(long, value_name = "FILE", required = true)]
    profile: Vec<PathBuf>,
    /// The width at which the forecast is taken; widths double from 1 on
    #[arg(long, default_value_t = 4, value_parser = clap::value_parser!(u32).range(1..))]
    canary: u32,
    /// The last width that is measured
    #[arg(long, default_value_t = 32, value_parser = clap::value_parser!(u32).range(1..))]
    until: u32,
    /// How long Weir soaks at each width
    #[arg(long, value_parser = duration, default_value = "60s")]
    soak: Duration,
    /// How many times; all runs of a profile are in one world
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// Run nothing: take the reports of earlier runs
    #[arg(long)]
    from_reports: bool,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
}

/// A run and what came of it.
struct Row {
    report: Report,
    run: u32,
    truth: Truth,
}

impl TruthRun {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let profiles = self
            .profile
            .iter()
            .map(|path| Profile::read(path))
            .collect::<Result<Vec<_>>>()?;
        if self.from_reports {
            let mut rows = vec![];
            for profile in &profiles {
                for run in 1..=self.runs {
                    rows.push(self.row(Report::read(&self.path(&profile.name, run))?, run));
                }
            }
            return self.conclude(&rows);
        }
        inside(true, async {
            let mut rows = vec![];
            for profile in profiles {
                let plan = self.plan(profile);
                let mut bench = self.world.start().await?;
                for run in 1..=self.runs {
                    let name = &plan.profile.name;
                    heading(&format!("── {name}, run {run} of {}", self.runs));
                    let report = bench.run(&plan).await?;
                    report.write(&self.path(name, run))?;
                    rows.push(self.row(report, run));
                }
            }
            self.conclude(&rows)
        })
    }

    fn path(&self, profile: &str, run: u32) -> PathBuf {
        self.reports.path(&format!("{profile}-truth-{run}"))
    }

    fn row(&self, report: Report, run: u32) -> Row {
        Row {
            truth: Truth::of(&report, self.canary),
            report,
            run,
        }
    }

    /// A rollout that is held by nothing that it foresees or does, but where the API servers stand still.
    fn plan(&self, profile: Profile) -> Plan {
        let late = profile.expect.as_ref().and_then(|expect| expect.soak);
        let soak = self.soak.max(late.unwrap_or_default());
        let widths = f64::from(self.until).log2().ceil() + 1.0;
        let each = soak.as_secs_f64() + BESIDE_SOAK;
        let patience = Patience {
            idle: 30.0,
            steady: soak.as_secs_f64(),
            observe: soak.as_secs_f64(),
            timeout: (widths + 1.0) * each,
            until_width: Some(self.until.min(self.world.nodes)),
        };
        Plan::new(profile, Some(policy(soak)), patience)
    }

    fn conclude(&self, rows: &[Row]) -> Result<ExitCode> {
        let (compared, seen) = (compared(rows), seen(rows));
        let summary = summary(rows);
        heading("what each width took, in cores:");
        line(&plain(&seen));
        heading("foretold and true:");
        line(&plain(&compared));
        line(&summary);
        let first = &rows.first().context("at least one run")?.report;
        let truths: Vec<_> = rows
            .iter()
            .map(|row| (&row.report.profile, &row.truth))
            .collect();
        let json = self.reports.path("truth");
        write_json(&json, &truths)?;
        line(&format!("figures: {}", json.display()));
        let parts = [summary, markdown(&compared), markdown(&seen)];
        self.proof
            .keep("Forecasts beside the truth", first, &parts)?;
        Ok(exit(rows.iter().all(|row| row.truth.unmet().is_none())))
    }
}

/// Widths that double from one pod on, and nothing that is foreseen or felt holds them: only what the
/// schema does not let a policy bear.
fn policy(soak: Duration) -> RolloutPolicySpec {
    RolloutPolicySpec {
        pace: Pace::Fast,
        soak: Some(form(soak)),
        waves: Some(Waves {
            canary: Some("0.01%".into()),
            growth: Some(2.0),
            max_step: Some("100%".into()),
            releases_per_second: None,
        }),
        harm: Some(Harm {
            latency_floor: Some("1s".into()),
            latency_factor: Some(100.0),
            queued: Some(1000.0),
            rejected_per_second: Some(1000.0),
            memory_growth: Some("100%".into()),
            memory_growth_floor: Some("100Gi".into()),
            ..Harm::default()
        }),
        forecast: Some(ForecastLimits {
            act: Some(ForecastAct::Tell),
            ..ForecastLimits::default()
        }),
        ..RolloutPolicySpec::default()
    }
}

fn off(off: f64) -> String {
    format!("{:+.0} %", 100.0 * off)
}

/// A row for each width of each run.
fn seen(rows: &[Row]) -> Table {
    let head = [
        "profile",
        "run",
        "width",
        "seconds",
        "cores",
        "± (one σ)",
        "others harmed",
    ];
    let widths = |row: &Row| -> Vec<_> {
        let all = row.truth.widths.iter();
        all.map(|at| {
            vec![
                row.report.profile.clone(),
                row.run.to_string(),
                at.width.to_string(),
                at.seconds.to_string(),
                format!("{:.3}", at.cpu_cores),
                format!("{:.3}", at.error),
                if at.harmed { "yes" } else { "no" }.to_owned(),
            ]
        })
        .collect()
    };
    headed(head, rows.iter().flat_map(widths))
}

/// A row for each run.
fn compared(rows: &[Row]) -> Table {
    let head = [
        "profile",
        "run",
        "4 × canary",
        "cores foretold",
        "cores true",
        "off",
        "inside",
        "knee foretold",
        "knee found",
        "off",
        "inside",
        "within 25 %",
    ];
    let rows = rows.iter().map(|row| {
        let (truth, knee) = (&row.truth, &row.truth.knee);
        let four = truth.at_four_times();
        vec![
            row.report.profile.clone(),
            row.run.to_string(),
            (4 * truth.canary).to_string(),
            four.map_or_else(none, |four| told(&four.foretold)),
            four.map_or_else(none, |four| format!("{:.2}", four.took)),
            four.map_or_else(none, |four| off(four.off)),
            four.map_or_else(none, |four| yes(four.inside)),
            knee.foretold.as_ref().map_or_else(none, pods),
            knee.found.map_or_else(none, |found| format!("{found:.1}")),
            knee.off.map_or_else(none, off),
            knee.inside.map_or_else(none, yes),
            truth
                .unmet()
                .map_or_else(|| yes(true), |why| format!("NO: {why}")),
        ]
    });
    headed(head, rows)
}

fn summary(rows: &[Row]) -> String {
    let truths: Vec<_> = rows.iter().map(|row| &row.truth).collect();
    let (inside, all) = coverage(&truths);
    let right = truths
        .iter()
        .filter(|truth| truth.unmet().is_none())
        .count();
    let knees = truths.iter().filter_map(|truth| truth.knee.inside);
    let (knees_inside, knees) = knees.fold((0, 0), |(inside, all), one| {
        (inside + usize::from(one), all + 1)
    });
    format!(
        "Of {} runs {right} were foretold within {:.0} % of the truth (CPU of all API servers at four times \
         the canary's width where that takes less than 60 % of a core, and the knee where one was found). \
         Of {all} widths beyond the canary's that took less than 60 %, {inside} lay in the interval that \
         was foretold; of {knees} knees {knees_inside} did.",
        rows.len(),
        100.0 * CLOSE
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{State, tests::report};

    #[test]
    fn runs_are_told_with_their_widths_and_their_knee() {
        let run = crate::report::truth::tests::run(&[1, 2, 4, 8, 16, 32], 0.05);
        let rows = [Row {
            truth: Truth::of(&run, 4),
            report: run,
            run: 1,
        }];
        let table = compared(&rows);
        assert_eq!(table.len(), 2);
        assert_eq!(table[1][7], "18 (14 to 26)");
        assert_eq!(table[1].last().map(String::as_str), Some("yes"));
        assert_eq!(seen(&rows).len(), 7);
        let summary = summary(&rows);
        assert!(summary.starts_with("Of 1 runs 1 were"), "{summary}");
        assert!(summary.contains("of 1 knees 1 did"), "{summary}");
    }

    #[test]
    fn a_run_without_a_forecast_is_not_right() {
        let run = report("pod-lister", true, State::Held);
        let rows = [Row {
            truth: Truth::of(&run, 4),
            report: run,
            run: 1,
        }];
        assert!(
            compared(&rows)[1]
                .last()
                .is_some_and(|cell| cell.starts_with("NO"))
        );
    }
}
