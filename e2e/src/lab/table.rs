//! `lab table`: every profile of a folder, unguarded and guarded.

use std::{
    collections::BTreeSet,
    path::{Path, PathBuf},
    process::ExitCode,
};

use anyhow::{Context, Result, ensure};
use clap::Args;

use super::{
    ReportsArgs, WatchArgs, WorldArgs,
    cells::{self, headed, markdown, none, plain, yes},
    exit, inside,
    proof::{self, ProofArgs},
    shipped_profiles,
};
use crate::{
    experiment::{
        Plan,
        story::{heading, line},
    },
    profile::Profile,
    report::{
        Report,
        demo::millis,
        foreseen::{cpu, percent, pods, told},
        html::seconds,
    },
};

/// Every profile of a folder, without and with Weir, as a table.
#[derive(Debug, Args)]
pub(super) struct Table {
    /// The folder of the profiles [default: the repository's own]
    #[arg(long, value_name = "DIR")]
    profiles: Option<PathBuf>,
    /// Only the profile of this name; may be given more than once
    #[arg(long, value_name = "NAME")]
    only: Vec<String>,
    /// Only without Weir, to see what harms
    #[arg(long)]
    no_guard: bool,
    /// Run nothing: make the table from the reports of earlier runs, all of one commit
    #[arg(long)]
    from_reports: bool,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
    #[command(flatten)]
    watch: WatchArgs,
}

/// The two runs of a profile.
struct Row {
    unguarded: Report,
    guarded: Option<Report>,
}

impl Table {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let folder = self.profiles.clone().unwrap_or_else(shipped_profiles);
        let profiles = self.read(&folder)?;
        if self.from_reports {
            let read = |profile: &Profile| self.read_reports(&profile.name);
            let rows: Vec<Row> = profiles.iter().map(read).collect::<Result<_>>()?;
            same_commit(&rows)?;
            return self.conclude(&rows);
        }
        inside(!self.no_guard, async {
            let mut rows = vec![];
            for profile in profiles {
                rows.push(self.run_profile(profile).await?);
            }
            self.conclude(&rows)
        })
    }

    fn conclude(&self, rows: &[Row]) -> Result<ExitCode> {
        heading("all profiles:");
        let table = table(rows);
        line(&plain(&table));
        let first = &rows.first().context("at least one profile")?.unguarded;
        let title = "All profiles, without and with Weir";
        let guarded: Vec<_> = rows.iter().filter_map(|row| row.guarded.as_ref()).collect();
        let parts = [markdown(&table), proof::weir_use(&guarded)];
        self.proof.keep(title, first, &parts)?;
        Ok(exit(rows.iter().all(|row| unmet(row).is_none())))
    }

    fn report_path(&self, profile: &str, how: &str) -> PathBuf {
        self.reports.path(&format!("{profile}-{how}"))
    }

    /// What earlier runs of a profile have written.
    fn read_reports(&self, profile: &str) -> Result<Row> {
        let read = |how| Report::read(&self.report_path(profile, how));
        Ok(Row {
            unguarded: read("unguarded")?,
            guarded: if self.no_guard {
                None
            } else {
                Some(read("guarded")?)
            },
        })
    }

    fn read(&self, folder: &Path) -> Result<Vec<Profile>> {
        let shown = folder.display();
        let entries = std::fs::read_dir(folder)
            .with_context(|| format!("--profiles {shown} is no folder that can be read"))?;
        let mut paths: Vec<PathBuf> = entries
            .map(|entry| Ok(entry?.path()))
            .collect::<std::io::Result<_>>()
            .with_context(|| format!("reading {shown}"))?;
        paths.retain(|path| {
            path.extension()
                .is_some_and(|extension| extension == "yaml" || extension == "yml")
        });
        paths.sort();
        let mut profiles = vec![];
        for path in paths {
            let profile = Profile::read(&path)?;
            if self.only.is_empty() || self.only.contains(&profile.name) {
                profiles.push(profile);
            }
        }
        ensure!(
            !profiles.is_empty(),
            "{shown} holds no profile that was asked for (*.yaml)"
        );
        Ok(profiles)
    }

    /// Both runs in a world of their own, so that no profile's needs weigh on another's.
    async fn run_profile(&self, profile: Profile) -> Result<Row> {
        let name = profile.name.clone();
        let policy = self.watch.policy(&profile)?;
        let mut plan = Plan::new(profile, None, self.watch.patience());
        heading(&format!("── {name}"));
        let mut bench = self.world.start().await?;
        let unguarded = bench.run(&plan).await?;
        unguarded.write(&self.report_path(&name, "unguarded"))?;
        line(&super::rollout::ending(&unguarded));
        let guarded = if self.no_guard {
            None
        } else {
            plan.guard = Some(policy);
            let guarded = bench.run(&plan).await?;
            guarded.write(&self.report_path(&name, "guarded"))?;
            line(&super::rollout::ending(&guarded));
            Some(guarded)
        };
        Ok(Row { unguarded, guarded })
    }
}

/// Figures of different commits are not of one table.
fn same_commit(rows: &[Row]) -> Result<()> {
    let reports = rows
        .iter()
        .flat_map(|row| [Some(&row.unguarded), row.guarded.as_ref()]);
    let commits: BTreeSet<_> = reports.flatten().map(|report| &report.commit).collect();
    ensure!(
        commits.len() <= 1,
        "the reports are of several commits ({commits:?}): run those of the older ones again"
    );
    Ok(())
}

/// Why a profile's two runs are not as they must be, if they are not: neither may be unlike what its
/// profile expects, and where it harms the guard must cut its longest harm short.
fn unmet(row: &Row) -> Option<String> {
    let runs = [Some(&row.unguarded), row.guarded.as_ref()];
    let mut runs = runs.into_iter().flatten();
    if let Some(why) = runs.find_map(|report| report.expected.as_ref()?.why.clone()) {
        return Some(why);
    }
    let guarded = row.guarded.as_ref()?;
    guarded.harm.first_second?;
    let (with, without) = (guarded.harm.longest, row.unguarded.harm.longest);
    (with >= without).then(|| {
        format!("others were harmed for {with} s on end with Weir, without it {without} s")
    })
}

fn table(rows: &[Row]) -> cells::Table {
    let head = [
        "profile",
        "must end",
        "idle p99",
        "worst 10 s without",
        "worst 10 s with",
        "harmed without",
        "harmed with",
        "ended with",
        "width",
        "share",
        "held by",
        "CPU foreseen at full width",
        "knee foreseen",
        "unfelt",
        "harm to hold",
        "complete",
        "calls failed without",
        "calls failed with",
        "as expected",
    ];
    headed(head, rows.iter().map(cells))
}

fn cells(row: &Row) -> Vec<String> {
    let guarded = row.guarded.as_ref();
    let of_guarded =
        |value: &dyn Fn(&Report) -> Option<String>| guarded.and_then(value).unwrap_or_else(none);
    let expected = row.unguarded.expected.as_ref();
    let harmed = |report: &Report| {
        let (seconds, longest) = (report.harm.seconds, report.harm.longest);
        match seconds {
            0 => none(),
            _ => format!("{seconds} s, {longest} s on end"),
        }
    };
    let failed = |report: &Report| {
        let swarm = &report.swarm;
        format!("{} of {}", swarm.errors + swarm.rejected, swarm.requests)
    };
    vec![
        row.unguarded.profile.clone(),
        expected.map_or_else(none, |expected| expected.ends.to_string()),
        millis(row.unguarded.bystander.idle.p99_ms),
        millis(row.unguarded.bystander.worst_p99_ms),
        of_guarded(&|report| Some(millis(report.bystander.worst_p99_ms))),
        harmed(&row.unguarded),
        of_guarded(&|report| Some(harmed(report))),
        of_guarded(&|report| Some(format!("{:?}", report.state))),
        of_guarded(&|report| {
            let width = report.width.last().map_or(0, |at| at.width);
            Some(format!("{width}/{}", report.full_width))
        }),
        of_guarded(&|report| {
            let width = report.held_at_width?;
            Some(percent(width, report.full_width))
        }),
        of_guarded(&|report| report.held_by.clone()),
        of_guarded(&|report| Some(told(&cpu(report.forecast.as_ref()?)?.at_full))),
        of_guarded(&|report| cpu(report.forecast.as_ref()?)?.knee.as_ref().map(pods)),
        of_guarded(&|report| Some(yes(report.nobody_felt_it()))),
        of_guarded(&|report| report.seconds_to_hold.map(seconds)),
        of_guarded(&|report| report.seconds_to_complete.map(seconds)),
        failed(&row.unguarded),
        of_guarded(&|report| Some(failed(report))),
        match (expected, unmet(row)) {
            (None, _) => none(),
            (Some(_), None) => yes(true),
            (Some(_), Some(why)) => format!("NO: {why}"),
        },
    ]
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{State, tests::report};

    /// So many harmful seconds on end without and with Weir; a single one is no harm.
    fn row(without: u64, with: u64) -> Row {
        let run = |guarded, state, longest| {
            let mut report = report("pod-lister", guarded, state);
            report.harm.longest = longest;
            report.harm.first_second = (longest > 1).then_some(5);
            report
        };
        Row {
            unguarded: run(false, State::Complete, without),
            guarded: Some(run(true, State::Held, with)),
        }
    }

    #[test]
    fn the_guard_must_cut_the_longest_harm_short() {
        for (without, with, as_expected) in [
            (30, 4, true),
            (30, 30, false),
            (0, 0, true),
            (0, 1, true),
            (0, 2, false),
        ] {
            let unmet = unmet(&row(without, with));
            assert_eq!(unmet.is_none(), as_expected, "{without} {with}: {unmet:?}");
        }
    }

    #[test]
    fn reports_of_two_commits_make_no_table() {
        let mut rows = [row(30, 4), row(30, 4)];
        assert!(same_commit(&rows).is_ok());
        rows[1].unguarded.commit = Some("other".to_owned());
        assert!(same_commit(&rows).is_err());
    }
}
