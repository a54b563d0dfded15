//! What goes on beside a rollout, and what it replaces: options of every command that runs one.

use std::path::{Path, PathBuf};

use anyhow::Result;
use clap::Args;

use super::WatchArgs;
use crate::{
    experiment::{Before, Loops, Plan},
    profile::Profile,
};

/// What goes on beside a rollout, and what it replaces.
#[derive(Debug, Clone, Default, Args)]
pub(super) struct ScenarioArgs {
    /// Update a harmless revision that runs everywhere, instead of creating a new DaemonSet
    #[arg(long)]
    update: bool,
    /// Update a revision of these agents, which runs everywhere, instead of creating a new DaemonSet
    #[arg(long, value_name = "FILE", conflicts_with = "update")]
    old_profile: Option<PathBuf>,
    /// Roll out another workload, of these agents, at the same moment
    #[arg(long, value_name = "FILE")]
    beside: Option<PathBuf>,
    /// Let clients of another account ask as these agents do, while the rollout is in flight
    #[arg(long, value_name = "FILE")]
    bystander_loops: Option<PathBuf>,
    /// How many clients of it
    #[arg(
        long,
        value_name = "K",
        default_value_t = 4,
        requires = "bystander_loops"
    )]
    loop_clients: u32,
    /// The width of the rollout at which they begin
    #[arg(
        long,
        value_name = "WIDTH",
        default_value_t = 2,
        requires = "bystander_loops"
    )]
    loop_at: u32,
    /// That account belongs to a workload that is enrolled and approved, so that it has a meter
    #[arg(long, requires = "bystander_loops")]
    loop_metered: bool,
}

impl ScenarioArgs {
    /// A rollout of these agents, in this scenario.
    pub(super) fn plan(&self, profile: &Path, watch: &WatchArgs, guarded: bool) -> Result<Plan> {
        let read = |path: &Option<PathBuf>| path.as_deref().map(Profile::read).transpose();
        let profile = Profile::read(profile)?;
        let guard = if guarded {
            Some(watch.policy(&profile)?)
        } else {
            None
        };
        let old = read(&self.old_profile)?.map(|old| Before::Costly(Box::new(old)));
        let loops = read(&self.bystander_loops)?.map(|profile| Loops {
            profile,
            clients: self.loop_clients,
            at_width: self.loop_at,
            metered: self.loop_metered && guarded,
        });
        Ok(Plan {
            before: old.or(self.update.then_some(Before::Silent)),
            beside: read(&self.beside)?,
            loops,
            ..Plan::new(profile, guard, watch.patience())
        })
    }
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::lab::{Command, Lab, shipped_profiles};

    fn plan(arguments: &[&str]) -> Result<Plan> {
        let profile = shipped_profiles().join("node-exporter.yaml");
        let given = ["lab", "rollout", "--report", "x.json", "--profile"];
        let lab = Lab::try_parse_from(
            given
                .into_iter()
                .map(str::to_owned)
                .chain([profile.display().to_string()])
                .chain(arguments.iter().map(|&argument| argument.to_owned())),
        )?;
        match lab.command {
            Command::Rollout(rollout) => rollout.plan(),
            other => panic!("{other:?} is not rollout"),
        }
    }

    #[test]
    fn scenarios_are_read_from_their_files() {
        let scenarios = shipped_profiles().join("scenarios");
        let file = |name: &str| scenarios.join(name).display().to_string();
        let (old, loops) = (file("pod-lister-rarely.yaml"), file("looping-client.yaml"));
        let beside = shipped_profiles().join("pod-lister.yaml");
        let plan = plan(&[
            "--old-profile",
            &old,
            "--bystander-loops",
            &loops,
            "--loop-metered",
            "--beside",
            &beside.display().to_string(),
        ])
        .expect("good arguments");
        assert!(
            matches!(plan.before, Some(Before::Costly(old)) if old.name == "pod-lister-rarely")
        );
        let loops = plan.loops.expect("an account that loops");
        assert_eq!((loops.clients, loops.at_width, loops.metered), (4, 2, true));
        assert_eq!(plan.beside.expect("a workload beside").name, "pod-lister");
    }

    #[test]
    fn a_plain_rollout_has_no_scenario_and_nonsense_is_refused() {
        let plain = plan(&[]).expect("good arguments");
        assert!(plain.before.is_none() && plain.beside.is_none() && plain.loops.is_none());
        assert!(plan(&["--loop-at", "4"]).is_err(), "nothing loops");
        assert!(plan(&["--update", "--old-profile", "x.yaml"]).is_err());
        assert!(plan(&["--beside", "/nowhere.yaml"]).is_err());
    }
}
