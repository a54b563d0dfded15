//! `lab join`: a storm of new nodes after a rollout of agents whose starts are dear. Without Weir all of
//! their pods start at once; with it the rollout went on to full width by a policy that paces what may not
//! start in unison, and the pods of new nodes are paced like all others.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use weir::api::{BeyondUnison, ForecastLimits, RolloutPolicySpec};

use super::{
    ReportsArgs, WatchArgs, WorldArgs,
    cells::{Table, headed, markdown, none, plain},
    exit, inside,
    proof::{self, ProofArgs},
};
use crate::{
    experiment::{
        Plan,
        story::{heading, line},
    },
    profile::Profile,
    report::{Joined, Report, State, demo::millis, html::seconds},
};

/// Nodes that join at once after a rollout, without Weir and with it.
#[derive(Debug, Args)]
pub(super) struct Join {
    /// The profile of the agents
    #[arg(long, value_name = "FILE")]
    profile: PathBuf,
    /// How many nodes join
    #[arg(
        long = "join", value_name = "NODES", default_value_t = 100,
        value_parser = clap::value_parser!(u32).range(1..)
    )]
    joining: u32,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

impl Join {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let profile = Profile::read(&self.profile)?;
        let guard = paced(self.watch.policy(&profile)?);
        inside(true, async {
            let mut reports = vec![];
            for (how, guard) in [("alone", None), ("paced", Some(guard))] {
                // A world of its own for each: nodes that joined stay.
                let plan = Plan {
                    joins: self.joining,
                    ..Plan::new(profile.clone(), guard, self.watch.patience())
                };
                let report = self.world.start().await?.run(&plan).await?;
                let name = format!("{}-joined-{how}", report.profile);
                report.write(&self.reports.path(&name))?;
                line(&super::rollout::ending(&report));
                reports.push(report);
            }
            self.conclude(&reports)
        })
    }

    fn conclude(&self, reports: &[Report]) -> Result<ExitCode> {
        let table = table(reports);
        heading("nodes that joined at once:");
        line(&plain(&table));
        if let Some(first) = reports.first() {
            let title = format!("{}: a storm of {} new nodes", first.profile, self.joining);
            let guarded: Vec<_> = reports.iter().filter(|report| report.guarded).collect();
            let parts = [markdown(&table), proof::weir_use(&guarded)];
            self.proof.keep(&title, first, &parts)?;
        }
        let unmet = unmet(reports);
        for why in &unmet {
            line(&format!("NOT as it must be: {why}"));
        }
        Ok(exit(unmet.is_empty()))
    }
}

/// The policy, with which what may not start in unison goes on, paced for ever.
fn paced(policy: RolloutPolicySpec) -> RolloutPolicySpec {
    RolloutPolicySpec {
        forecast: Some(ForecastLimits {
            beyond_unison: Some(BeyondUnison::Pace),
            ..policy.forecast.unwrap_or_default()
        }),
        ..policy
    }
}

/// What is not as it must be: with Weir it is paced, all new pods run, and fewer seconds harm others.
fn unmet(reports: &[Report]) -> Vec<String> {
    let mut unmet = vec![];
    let harmful = |report: &Report| report.joined.map_or(0, |joined| joined.harmful_seconds);
    let [alone, paced] = reports else {
        return vec!["two runs are compared".to_owned()];
    };
    if paced.state != State::Paced {
        unmet.push(format!("with Weir it ended {:?}, not Paced", paced.state));
    }
    if paced
        .joined
        .and_then(|joined| joined.seconds_to_run)
        .is_none()
    {
        unmet.push("with Weir not all pods of the new nodes ran".to_owned());
    }
    if harmful(alone) <= harmful(paced) {
        unmet.push(format!(
            "the new nodes harmed others for {} s with Weir, and for {} s without",
            harmful(paced),
            harmful(alone)
        ));
    }
    unmet
}

fn table(reports: &[Report]) -> Table {
    let head = [
        "",
        "ended",
        "everywhere after",
        "nodes joined",
        "their pods ran after",
        "most in a second",
        "harmful seconds from then on",
        "p50",
        "p99",
        "max",
    ];
    let rows = reports.iter().map(|report| {
        let after = |time: Option<f64>| time.map_or_else(none, seconds);
        let how = if report.guarded {
            "with Weir"
        } else {
            "without Weir"
        };
        let mut row = vec![
            how.to_owned(),
            format!("{:?}", report.state),
            after(report.seconds_to_complete),
        ];
        row.extend(report.joined.map_or_else(Vec::new, |joined| {
            let Joined {
                nodes,
                seconds_to_run,
                most_begun_in_a_second,
                harmful_seconds,
                latency,
                from_second: _,
            } = joined;
            vec![
                nodes.to_string(),
                after(seconds_to_run),
                most_begun_in_a_second.to_string(),
                harmful_seconds.to_string(),
                millis(latency.p50_ms),
                millis(latency.p99_ms),
                millis(latency.max_ms),
            ]
        }));
        row
    });
    headed(head, rows)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{bystander::stats::Latency, report::tests::report};

    fn run(guarded: bool, harmful_seconds: u64) -> Report {
        let state = if guarded {
            State::Paced
        } else {
            State::Complete
        };
        let mut run = report("cilium-start", guarded, state);
        run.joined = Some(Joined {
            nodes: 100,
            from_second: Some(90.0),
            seconds_to_run: Some(30.0),
            most_begun_in_a_second: 3,
            harmful_seconds,
            latency: Latency::default(),
        });
        run
    }

    #[test]
    fn a_storm_that_harms_no_less_with_weir_is_not_as_it_must_be() {
        assert_eq!(unmet(&[run(false, 35), run(true, 1)]), Vec::<String>::new());
        assert_eq!(unmet(&[run(false, 0), run(true, 0)]).len(), 1);
        let mut stuck = run(true, 1);
        stuck.state = State::Held;
        stuck.joined = None;
        assert_eq!(unmet(&[run(false, 35), stuck]).len(), 2);
    }

    #[test]
    fn the_table_has_a_row_for_each_run() {
        let table = table(&[run(false, 35), run(true, 1)]);
        assert_eq!(table.len(), 3);
        assert!(table.iter().all(|row| row.len() == table[0].len()));
    }

    #[test]
    fn what_a_policy_says_otherwise_stays() {
        let given = RolloutPolicySpec {
            forecast: Some(ForecastLimits {
                budget: Some("40%".into()),
                ..ForecastLimits::default()
            }),
            ..RolloutPolicySpec::default()
        };
        let forecast = paced(given).forecast.expect("a forecast");
        assert_eq!(forecast.beyond_unison, Some(BeyondUnison::Pace));
        assert_eq!(forecast.budget, Some("40%".into()));
    }
}
