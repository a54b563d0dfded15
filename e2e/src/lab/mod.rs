//! The lab's command line: what to run, in which world, and where its report goes.

mod budget;
mod cells;
mod demo;
mod dns;
mod join;
mod live;
mod pictures;
mod plugin;
mod proof;
mod repeat;
mod rollout;
mod scenario;
mod table;
mod truth;
mod watch;

use std::{path::PathBuf, process::ExitCode};

use anyhow::{Context, Result};
use clap::{Args, Parser, Subcommand};

use self::watch::WatchArgs;
use crate::{
    experiment::{Bench, story::line},
    report, tools,
    world::{self, World, WorldSpec},
};

/// Experiments with Weir on a real control plane of simulated nodes.
#[derive(Debug, Parser)]
#[command(name = "lab", version, max_term_width = 100)]
pub struct Lab {
    #[command(subcommand)]
    command: Command,
}

#[derive(Debug, Subcommand)]
enum Command {
    /// One rollout of one profile's agents, guarded or not
    Rollout(rollout::Rollout),
    /// Every profile of a folder, without and with Weir, as a table
    Table(table::Table),
    /// The same rollout several times, for the spread of its figures
    Repeat(repeat::Repeat),
    /// Forecasts of CPU beside what each width really takes
    Truth(truth::TruthRun),
    /// Nodes that join at once after a rollout, without and with Weir
    Join(join::Join),
    /// How soon masks of DNS are seen, what that is worth to rollouts, and what it costs
    Dns(dns::DnsRun),
    /// A harmful rollout without and with Weir, then a harmless one
    Demo(demo::DemoRun),
    /// How long the plugin and Weir's start take, beside a rollout that is in flight
    Plugin(plugin::PluginRun),
    /// Pictures of what the plugin shows of a rollout that is held
    Pictures(pictures::Pictures),
    /// A control plane with nodes and pods to try things in, until it is told to end
    World(live::Live),
    /// Builds Kubernetes and whatever else the tests need from source, unless it is there
    Tools,
    /// The JSON schema of a report
    Schema,
}

/// The world's size.
#[derive(Debug, Clone, Args)]
struct WorldArgs {
    /// Nodes, and with that pods of the rollout at full width
    #[arg(long, default_value_t = 200, value_parser = clap::value_parser!(u32).range(1..))]
    nodes: u32,
    /// Background pods, spread over Deployments with their Services
    #[arg(long, default_value_t = 3_000)]
    pods: u32,
    /// API servers, which share one core
    #[arg(long, default_value_t = 1, value_name = "K", value_parser = clap::value_parser!(u8).range(1..))]
    api_servers: u8,
    /// Background pods that are deleted and replaced in each second
    #[arg(long, default_value_t = 1.0, value_name = "PODS")]
    churn: f64,
}

impl WorldArgs {
    /// Starts the world and whatever an experiment needs in it.
    async fn start(&self) -> Result<Bench> {
        Bench::set(self.world().await?, self.nodes, self.pods).await
    }

    /// What the world consists of.
    fn spec(&self) -> WorldSpec {
        WorldSpec {
            nodes: self.nodes,
            pods: self.pods,
            churn_per_second: self.churn,
            api_servers: self.api_servers,
            audit: true,
            // A table or a repetition starts the same world many times over.
            reuse: true,
            ..WorldSpec::bare()
        }
    }

    /// Starts the world, telling a person how long it takes.
    async fn world(&self) -> Result<World> {
        self.begin(&self.spec()).await
    }

    async fn begin(&self, spec: &WorldSpec) -> Result<World> {
        let servers = match self.api_servers {
            1 => "one API server on a core of its own".to_owned(),
            more => format!("{more} API servers on a core of their own"),
        };
        line(&format!(
            "starting a control plane: {} nodes, {} pods, {servers}",
            self.nodes, self.pods
        ));
        let began = tokio::time::Instant::now();
        let world = World::start(spec)
            .await
            .context("the control plane does not start")?;
        line(&format!(
            "it runs after {}",
            report::html::seconds(began.elapsed().as_secs_f64())
        ));
        Ok(world)
    }
}

/// Where reports are kept.
#[derive(Debug, Clone, Args)]
struct ReportsArgs {
    /// Where the reports are written
    #[arg(long, value_name = "DIR", default_value = "target/lab")]
    reports: PathBuf,
}

impl ReportsArgs {
    /// Where the report of this name is.
    fn path(&self, name: &str) -> PathBuf {
        self.reports.join(format!("{name}.json"))
    }
}

/// Runs a command and says how it ended.
#[must_use]
pub fn run(lab: &Lab) -> ExitCode {
    match lab.command.run() {
        Ok(code) => code,
        Err(error) => {
            eprint(&format!("error: {error:#}"));
            ExitCode::FAILURE
        }
    }
}

fn eprint(text: &str) {
    use std::io::Write;
    // Nobody left to read it is no reason to fail again.
    writeln!(std::io::stderr().lock(), "{text}").ok();
}

impl Command {
    fn run(&self) -> Result<ExitCode> {
        match self {
            Self::Schema => {
                line(report::schema().trim_end());
                Ok(ExitCode::SUCCESS)
            }
            Self::Tools => tools::prepare_all().map(|()| ExitCode::SUCCESS),
            Self::Rollout(rollout) => rollout.run(),
            Self::Table(table) => table.run(),
            Self::Repeat(repeat) => repeat.run(),
            Self::Truth(truth) => truth.run(),
            Self::Join(join) => join.run(),
            Self::Dns(dns) => dns.run(),
            Self::Demo(demo) => demo.run(),
            Self::Plugin(plugin) => plugin.run(),
            Self::Pictures(pictures) => pictures.run(),
            Self::World(live) => live.run(),
        }
    }
}

/// How a command ends whose runs must be as they are expected.
fn exit(met: bool) -> ExitCode {
    if met {
        ExitCode::SUCCESS
    } else {
        ExitCode::FAILURE
    }
}

/// Runs `work` inside a world's namespaces. What needs all cores or the network is done before: Weir
/// is built, if the experiment has one.
fn inside(weir: bool, work: impl Future<Output = Result<ExitCode>>) -> Result<ExitCode> {
    if weir && !world::is_inside() {
        world::weir_binary()?;
    }
    world::enter(|| {
        let runtime = tokio::runtime::Builder::new_multi_thread()
            .enable_all()
            .build();
        let ended = match runtime {
            Ok(runtime) => runtime.block_on(work),
            Err(error) => Err(error).context("the lab's runtime cannot start"),
        };
        ended.unwrap_or_else(|error| {
            eprint(&format!("error: {error:#}"));
            ExitCode::FAILURE
        })
    })
}

/// The folder of the repository's own profiles.
fn shipped_profiles() -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles")
}
