//! `lab demo`: what Weir is for, in eight minutes and one world.

use std::{path::PathBuf, process::ExitCode};

use anyhow::Result;
use clap::Args;
use weir::api::Pace;

use super::{
    WorldArgs, exit, inside,
    proof::{self, ProofArgs},
    shipped_profiles,
};
use crate::{
    experiment::{
        Bench, Patience, Plan, policy,
        story::{heading, line},
    },
    profile::Profile,
    report::{Report, demo::Demo, html, write_json, write_whole},
};

/// How long each run is watched: the demo must not take longer than a person listens.
const UNGUARDED: Patience = Patience {
    idle: 15.0,
    steady: 0.0,
    // What the API server bears is counted from ten seconds after the last pod's start on.
    observe: 45.0,
    timeout: 120.0,
    until_width: None,
};
const GUARDED: Patience = Patience {
    idle: 15.0,
    steady: 20.0,
    observe: 5.0,
    timeout: 240.0,
    until_width: None,
};
const HARMLESS: Patience = Patience {
    idle: 15.0,
    steady: 60.0,
    observe: 5.0,
    timeout: 240.0,
    until_width: None,
};

/// A harmful rollout without and with Weir, then a harmless one.
#[derive(Debug, Args)]
pub(super) struct DemoRun {
    /// Where report.json and report.html are written
    #[arg(long, value_name = "DIR", default_value = "target/demo")]
    out: PathBuf,
    /// The harmful agents [default: the repository's own that list all pods every 12 s]
    #[arg(long, value_name = "FILE")]
    harmful: Option<PathBuf>,
    /// The harmless agents [default: the repository's own that call nothing]
    #[arg(long, value_name = "FILE")]
    harmless: Option<PathBuf>,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
}

impl DemoRun {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let read = |given: &Option<PathBuf>, own: &str| {
            Profile::read(
                &given
                    .clone()
                    .unwrap_or_else(|| shipped_profiles().join(own)),
            )
        };
        let harmful = read(&self.harmful, "pod-lister.yaml")?;
        let harmless = read(&self.harmless, "node-exporter.yaml")?;
        inside(true, async {
            let mut bench = self.world.start().await?;
            let demo = Demo {
                unguarded: run(&mut bench, harmful.clone(), None, UNGUARDED).await?,
                guarded: run(&mut bench, harmful, Some(Pace::Fast), GUARDED).await?,
                harmless: run(&mut bench, harmless, Some(Pace::Fast), HARMLESS).await?,
            };
            self.conclude(&demo)
        })
    }

    fn conclude(&self, demo: &Demo) -> Result<ExitCode> {
        write_json(&self.out.join("report.json"), demo)?;
        write_whole(&self.out.join("report.html"), html::page(demo).as_bytes())?;
        heading("In short:");
        for sentence in said(demo) {
            line(&format!("  {sentence}"));
        }
        heading(&format!(
            "The figures are in {0}/report.json, the curves in {0}/report.html",
            self.out.display()
        ));
        self.prove(demo)?;
        let unmet = demo.unmet();
        for why in &unmet {
            line(&format!("NOT as it must be: {why}"));
        }
        Ok(exit(unmet.is_empty()))
    }

    fn prove(&self, demo: &Demo) -> Result<()> {
        let summary: Vec<_> = said(demo).map(|sentence| format!("- {sentence}")).collect();
        let used = proof::weir_use(&[&demo.guarded, &demo.harmless]);
        let title = "The demo: a harmful agent without Weir and with it, then a harmless one";
        let parts = [summary.join("\n"), used];
        self.proof.keep(title, &demo.unguarded, &parts)
    }
}

/// The three runs in a sentence each, and what they say of the forecast.
fn said(demo: &Demo) -> impl Iterator<Item = String> {
    demo.summary().into_iter().chain([demo.foresight()])
}

async fn run(
    bench: &mut Bench,
    profile: Profile,
    guard: Option<Pace>,
    patience: Patience,
) -> Result<Report> {
    let guard = guard.map(|pace| policy(pace, &profile));
    bench.run(&Plan::new(profile, guard, patience)).await
}
