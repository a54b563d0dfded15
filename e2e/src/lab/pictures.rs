//! `lab pictures`: what the plugin shows of a rollout that Weir holds, drawn for the documents.

use std::{
    num::NonZeroU16,
    path::{Path, PathBuf},
    process::ExitCode,
    time::Duration,
};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use tokio::time::sleep;
use weir::api::Pace;

use super::{WorldArgs, inside, shipped_profiles};
use crate::{
    experiment::{Patience, Plan, policy, story::line},
    profile::Profile,
    report::{terminal::picture, write_whole},
    world::Plugin,
};

/// Long enough for what is held to be looked at.
const PATIENCE: Patience = Patience {
    idle: 10.0,
    steady: 40.0,
    observe: 5.0,
    timeout: 240.0,
    until_width: None,
};
/// Between two looks whether it is held.
const LOOK_EVERY: Duration = Duration::from_secs(2);
/// After these it is no longer waited for: the experiment says why.
const LOOKS: u32 = 150;
/// The hold's first seconds still tell of the wave before.
const SETTLED: Duration = Duration::from_secs(8);
/// How long `status --watch` is watched.
const WATCHED: Duration = Duration::from_secs(5);

/// The terminal's size.
const ROWS: NonZeroU16 = NonZeroU16::new(70).expect("it is not zero");
const COLUMNS: NonZeroU16 = NonZeroU16::new(110).expect("it is not zero");

/// Pictures of what the plugin shows of a rollout that is held.
#[derive(Debug, Args)]
pub(super) struct Pictures {
    /// Where status.svg and explain.svg are written
    #[arg(long, value_name = "DIR", default_value = "docs/pictures")]
    out: PathBuf,
    #[command(flatten)]
    world: WorldArgs,
}

impl Pictures {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let harmful = Profile::read(&shipped_profiles().join("pod-lister.yaml"))?;
        inside(true, async {
            let mut bench = self.world.start().await?;
            let plugin = bench.plugin()?;
            let guard = Some(policy(Pace::Fast, &harmful));
            let plan = Plan::new(harmful, guard, PATIENCE);
            let drawn = draw(&plugin, &self.out);
            // An experiment that fails ends the wait for its hold.
            tokio::try_join!(bench.run(&plan), drawn)?;
            Ok(ExitCode::SUCCESS)
        })
    }
}

/// Waits until a rollout is held, and draws what two commands show of it.
async fn draw(plugin: &Plugin, out: &Path) -> Result<()> {
    let held = held(plugin).await?;
    sleep(SETTLED).await;
    let (namespace, name) = held
        .split_once('/')
        .context("a rollout without a namespace")?;
    let explain = ["explain", name, "-n", namespace];
    for (file, arguments) in [
        ("status.svg", &["status", "--watch"][..]),
        ("explain.svg", &explain),
    ] {
        let output = plugin
            .on_terminal(arguments, ROWS, COLUMNS, WATCHED)
            .await?;
        let shown = String::from_utf8_lossy(&output);
        ensure!(
            shown.contains(name) && shown.contains("Held"),
            "{arguments:?} does not show that {name} is held: {shown}"
        );
        let svg = picture(
            &format!("kubectl weir {}", arguments.join(" ")),
            &output,
            ROWS,
            COLUMNS,
        );
        let path = out.join(file);
        write_whole(&path, svg.as_bytes())?;
        line(&format!("drawn: {}", path.display()));
    }
    Ok(())
}

/// The namespace and the name of the first rollout that is held.
async fn held(plugin: &Plugin) -> Result<String> {
    for _ in 0..LOOKS {
        sleep(LOOK_EVERY).await;
        let said = plugin.run(&["get", "rollouts", "-A"]).await?;
        let found = said.out.lines().find_map(|line| {
            let mut words = line.split_whitespace();
            let (namespace, name) = (words.next()?, words.next()?);
            words
                .any(|word| word == "Held")
                .then(|| format!("{namespace}/{name}"))
        });
        if let Some(found) = found {
            return Ok(found);
        }
    }
    bail!("nothing was held")
}
