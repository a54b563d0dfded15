//! The installed operator on a real cluster: its image and its chart, real nodes, real pods.
//!
//! All cases share one cluster and come one after the other, in the order of [`Case::ALL`]: the first
//! installs, the last removes. A harness that runs tests in an order of its own cannot do that; so this
//! program is its own (`harness = false`). It does nothing unless its first word is `run`, so that
//! `cargo test --workspace` passes where there is no cluster. What a case has changed is undone before
//! the next, also if it failed. A signal ends it, and what it has outside of the cluster: what a case has
//! left in one that stays, the next run undoes.

#![expect(
    clippy::print_stdout,
    reason = "this program is its own harness: what it says is its result"
)]

use std::path::PathBuf;
use std::process::ExitCode;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::{Parser, ValueEnum};
use tokio::time::timeout;
use weir_e2e::kind::Cluster;
use weir_e2e::signals::{Interrupted, Signals};

mod api_server_stopped;
mod both_replicas_killed;
mod footprint;
mod install;
mod leader_killed;
mod proof;
mod restart;
mod rights;
mod rollout_held_and_released;
mod scale_out;
mod scenes;
mod uninstall;
mod update;
mod upgrade;

/// A case that is not done by then hangs.
const LIMIT: Duration = Duration::from_mins(15);

/// Shows Weir, as it is installed, on a real cluster.
#[derive(Debug, Parser)]
#[command(name = "kind run")]
struct Args {
    /// Install, hold, release and uninstall, and no more
    #[arg(long)]
    smoke: bool,
    /// Only these; Weir is installed first if it is not
    #[arg(long, value_enum, conflicts_with = "smoke")]
    only: Vec<Case>,
    /// How often, each time on a cluster of its own where one can be made
    #[arg(long, default_value = "1", value_parser = clap::value_parser!(u32).range(1..=20))]
    runs: u32,
    /// Where to write what was found
    #[arg(long)]
    proof: Option<PathBuf>,
}

/// What is shown, in this order.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum Case {
    Install,
    RolloutHeldAndReleased,
    Update,
    Restart,
    ScaleOut,
    LeaderKilled,
    ApiServerStopped,
    BothReplicasKilled,
    Footprint,
    Upgrade,
    Rights,
    Uninstall,
}

impl Case {
    const ALL: [Self; 12] = [
        Self::Install,
        Self::RolloutHeldAndReleased,
        Self::Update,
        Self::Restart,
        Self::ScaleOut,
        Self::LeaderKilled,
        Self::ApiServerStopped,
        Self::BothReplicasKilled,
        Self::Footprint,
        Self::Upgrade,
        Self::Rights,
        Self::Uninstall,
    ];

    const SMOKE: [Self; 3] = [Self::Install, Self::RolloutHeldAndReleased, Self::Uninstall];

    fn name(self) -> String {
        let value = self.to_possible_value();
        value.map_or_else(String::new, |value| value.get_name().replace('-', "_"))
    }

    async fn run(self, cluster: &Cluster) -> Result<()> {
        if self != Self::Install {
            cluster.guards().await?;
        }
        match self {
            Self::Install => Box::pin(install::it_is_ready(cluster)).await,
            Self::RolloutHeldAndReleased => {
                Box::pin(rollout_held_and_released::by_what_the_first_cost(cluster)).await
            }
            Self::Update => Box::pin(update::it_passes_and_goes_back(cluster)).await,
            Self::Restart => Box::pin(restart::it_passes_the_valve(cluster)).await,
            Self::ScaleOut => Box::pin(scale_out::only_what_is_approved_flows(cluster)).await,
            Self::LeaderKilled => Box::pin(leader_killed::another_goes_on(cluster)).await,
            Self::ApiServerStopped => {
                Box::pin(api_server_stopped::nothing_moves_and_it_goes_on(cluster)).await
            }
            Self::BothReplicasKilled => {
                Box::pin(both_replicas_killed::a_person_goes_on_by_hand(cluster)).await
            }
            Self::Footprint => Box::pin(footprint::it_is_never_the_load(cluster)).await,
            Self::Upgrade => Box::pin(upgrade::in_the_middle_of_a_rollout(cluster)).await,
            Self::Rights => Box::pin(rights::are_confined_and_all_used(cluster)).await,
            Self::Uninstall => Box::pin(uninstall::it_leaves_nothing(cluster)).await,
        }
    }
}

/// How a case ended.
struct Ended {
    case: Case,
    took: Duration,
    failed: Option<String>,
}

/// One cluster, from its beginning to its end.
struct Run {
    /// Until its images were on its nodes.
    brought_up: Duration,
    ended: Vec<Ended>,
    /// Why the cluster was not as before in the end.
    left: Option<String>,
    figures: Vec<String>,
}

impl Run {
    fn took(&self) -> Duration {
        self.brought_up + self.ended.iter().map(|ended| ended.took).sum::<Duration>()
    }
}

fn main() -> ExitCode {
    let words: Vec<String> = std::env::args().skip(1).collect();
    if words.first().map(String::as_str) != Some("run") {
        println!("kind: nothing was run; `make e2e` does, on a cluster that it makes or is given");
        return ExitCode::SUCCESS;
    }
    match start(&Args::parse_from(&words), &words) {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            println!("kind: {error:?}");
            let interrupted = error.downcast_ref::<Interrupted>();
            let code = interrupted.and_then(|signal| u8::try_from(signal.code()).ok());
            code.map_or(ExitCode::FAILURE, ExitCode::from)
        }
    }
}

fn start(args: &Args, words: &[String]) -> Result<()> {
    let cases = if args.smoke {
        Case::SMOKE.to_vec()
    } else if args.only.is_empty() {
        Case::ALL.to_vec()
    } else {
        args.only.clone()
    };
    let runtime = tokio::runtime::Builder::new_multi_thread()
        .enable_all()
        .build()?;
    // In the runtime, and before there is anything that must be undone.
    let mut signals = {
        let _within = runtime.enter();
        Signals::listen()?
    };
    let mut runs = Vec::new();
    for number in 1..=args.runs {
        println!("kind: run {number} of {}", args.runs);
        // A run that a signal ends is dropped, and with it what it holds outside of the cluster.
        runs.push(runtime.block_on(signals.until(Box::pin(run(&cases))))?);
    }
    if let Some(path) = &args.proof {
        proof::write(path, words, &cases, &runs)?;
    }
    let all = runs.iter().flat_map(|run| &run.ended);
    let failed = all.filter(|ended| ended.failed.is_some()).count();
    let left = runs.iter().filter(|run| run.left.is_some()).count();
    ensure!(
        failed + left == 0,
        "{failed} cases failed, and {left} runs left a cluster that was not as before"
    );
    println!("kind: {} cases passed, {} times", cases.len(), runs.len());
    Ok(())
}

async fn run(cases: &[Case]) -> Result<Run> {
    let began = Instant::now();
    let cluster = Cluster::bring_up().await.context("bringing up a cluster")?;
    let brought_up = began.elapsed();
    println!(
        "kind: the cluster is there after {} s",
        brought_up.as_secs()
    );
    let mut ended = Vec::new();
    for &case in cases {
        println!("kind: {} …", case.name());
        let began = Instant::now();
        let failed = attempt(case, &cluster).await.err();
        let (took, failed) = (began.elapsed(), failed.map(|error| format!("{error:?}")));
        let how = if failed.is_some() { "FAILED" } else { "ok" };
        println!("kind: {} {how} after {} s", case.name(), took.as_secs());
        if let Some(why) = &failed {
            println!("{why}\n\n{}", cluster.look().await);
        }
        let stop = failed.is_some() && case == Case::Install;
        ended.push(Ended { case, took, failed });
        if stop {
            break;
        }
    }
    let left = cluster.tidy().await.err();
    let left = left.map(|error| format!("{error:?}"));
    if let Some(why) = &left {
        println!(
            "kind: not all could be undone: {why}\n\n{}",
            cluster.look().await
        );
    }
    Ok(Run {
        brought_up,
        left,
        figures: cluster.figures(),
        ended,
    })
}

/// A case, on a cluster that is as it was before all others.
async fn attempt(case: Case, cluster: &Cluster) -> Result<()> {
    cluster.tidy().await.context("undoing what came before")?;
    match timeout(LIMIT, Box::pin(case.run(cluster))).await {
        Ok(ended) => ended,
        Err(_) => bail!("not done after {LIMIT:?}"),
    }
}
