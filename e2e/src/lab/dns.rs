//! `lab dns`: how soon masks are seen, how often where there are none, what that is worth to a rollout, and what it
//! costs. Each part has a world of its own, with real CoreDNS processes.

mod cost;
mod found;
mod healthy;
mod horizon;
mod lost;
mod waves;

use std::{process::ExitCode, time::Duration};

use anyhow::Result;
use clap::{Args, ValueEnum};
use serde::{Deserialize, Serialize};

use self::found::Found;
use super::{
    ReportsArgs, WorldArgs,
    cells::{Table, headed, plain, yes},
    exit, inside,
    proof::{ProofArgs, Taken},
    watch::duration,
};
use crate::{
    bystander::stats::percentile,
    experiment::story::{heading, line},
    report::{html::seconds, write_json},
    stage::{Logs, Measured, PATIENCE, Shape, eventually, policy_for},
    world::{
        WorldSpec,
        dns::{DnsSeen, DnsSpec},
    },
};

/// After how many seconds of silence nodes count as gone: longer than anything here lasts.
const GRACE_S: u32 = 600;

/// How masks are seen, and what that costs.
#[derive(Debug, Args)]
pub(super) struct DnsRun {
    /// Only these parts; all of them unless given
    #[arg(long, value_enum, value_name = "PART")]
    only: Vec<PartName>,
    /// How often the API is lost, and how often a replica freezes
    #[arg(long, default_value_t = 10, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// For how long all is well
    #[arg(long, value_parser = duration, default_value = "30m", value_name = "TIME")]
    healthy: Duration,
    /// How often a CoreDNS restarts in that time
    #[arg(long, default_value_t = 20)]
    restarts: u32,
    /// How many rollouts are in progress when a mask begins; in one of three the API itself stands still
    #[arg(long, default_value_t = 9, value_parser = clap::value_parser!(u32).range(1..))]
    rollouts: u32,
    /// How often the end of a cache's mask is foretold and waited for, of each kind of cache
    #[arg(long, default_value_t = 3, value_parser = clap::value_parser!(u32).range(1..))]
    horizons: u32,
    /// What chance is drawn from: moments, replicas, packets that are lost
    #[arg(long, default_value_t = 1)]
    seed: u64,
    /// Run nothing: take what earlier runs of the parts have found, all of one commit
    #[arg(long)]
    from_reports: bool,
    #[command(flatten)]
    reports: ReportsArgs,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
}

/// A part of it.
#[derive(Debug, Clone, Copy, PartialEq, Eq, ValueEnum)]
enum PartName {
    /// The API is lost, a replica freezes: how long until it is seen
    Lost,
    /// Nothing is wrong but what always is: how often a mask is seen
    Healthy,
    /// Rollouts in progress when a mask begins: waves in masked seconds
    Waves,
    /// What the beacon and the questions cost others
    Cost,
    /// When a cache's mask ends, and when it was foretold to
    Horizon,
}

/// What one part found.
#[derive(Debug, Clone, Serialize, Deserialize)]
struct Part {
    title: String,
    /// What was done, and what came of it, in a few sentences.
    says: String,
    table: Table,
    /// What is not as it must be.
    unmet: Vec<String>,
}

impl DnsRun {
    pub(super) fn run(&self) -> Result<ExitCode> {
        let parts = if self.only.is_empty() {
            PartName::value_variants()
        } else {
            self.only.as_slice()
        };
        if self.from_reports {
            let read = |part: &PartName| Found::read(&self.reports.path(part.report()));
            let found = parts.iter().map(read).collect::<Result<Vec<_>>>()?;
            return self.conclude(&found);
        }
        inside(true, async {
            let mut found = vec![];
            for name in parts {
                heading(&format!("── {name:?}"));
                let taken = Taken::now(&self.world);
                let part = name.run(self).await?;
                line(&part.says);
                line(&plain(&part.table));
                let one = Found { taken, part };
                write_json(&self.reports.path(name.report()), &one)?;
                found.push(one);
            }
            self.conclude(&found)
        })
    }

    fn conclude(&self, found: &[Found]) -> Result<ExitCode> {
        found::same_commit(found)?;
        for Found { part, .. } in found {
            heading(&part.title);
            line(&part.says);
            line(&plain(&part.table));
        }
        self.proof
            .write(&found::page("Seeing through DNS", found))?;
        let unmet: Vec<_> = found.iter().flat_map(|one| &one.part.unmet).collect();
        for why in &unmet {
            line(&format!("NOT as it must be: {why}"));
        }
        Ok(exit(unmet.is_empty()))
    }

    /// A world with this DNS, which Weir sees to be fresh.
    async fn start(&self, dns: &DnsSpec) -> Result<Measured> {
        self.start_in(self.world.spec(), dns).await
    }

    /// The same in a world that is like this.
    async fn start_in(&self, world: WorldSpec, dns: &DnsSpec) -> Result<Measured> {
        let spec = WorldSpec {
            // An API that is gone for a minute must not be taken for nodes that are: their pods would not be ready.
            node_grace_seconds: Some(GRACE_S),
            ..world
        };
        let world = self.world.begin(&spec).await?;
        let dns = DnsSpec {
            seed: self.seed,
            ..dns.clone()
        };
        let here = Measured::begin(world, &dns, |_| {}).await?;
        let took = here.fresh().await?;
        line(&format!(
            "{} DNS servers are measured, and fresh, after {}",
            here.dns.servers(),
            seconds(took.as_secs_f64())
        ));
        Ok(here)
    }

    fn dice(&self) -> fastrand::Rng {
        fastrand::Rng::with_seed(self.seed)
    }
}

impl PartName {
    async fn run(self, args: &DnsRun) -> Result<Part> {
        match self {
            Self::Lost => lost::run(args).await,
            Self::Healthy => healthy::run(args).await,
            Self::Waves => waves::run(args).await,
            Self::Cost => cost::run(args).await,
            Self::Horizon => horizon::run(args).await,
        }
    }

    /// The name of what it found among reports.
    const fn report(self) -> &'static str {
        match self {
            Self::Lost => "dns-lost",
            Self::Healthy => "dns-healthy",
            Self::Waves => "dns-waves",
            Self::Cost => "dns-cost",
            Self::Horizon => "dns-horizon",
        }
    }
}

/// Times of several runs, and the most that any may take.
struct Times {
    what: String,
    runs: Vec<f64>,
    most: f64,
}

impl Times {
    fn new(what: &str, most: f64) -> Self {
        Self {
            what: what.to_owned(),
            runs: vec![],
            most,
        }
    }

    fn add(&mut self, took: Duration) {
        self.runs.push(took.as_secs_f64());
    }

    /// Why it is not as it must be, if it is not.
    fn unmet(&self) -> Option<String> {
        let is_late = self.runs.is_empty() || self.runs.iter().any(|took| *took > self.most);
        let Self { what, runs, most } = self;
        is_late.then(|| format!("{what}: {runs:.1?}, of which none may exceed {most} s"))
    }

    fn row(&self) -> Vec<String> {
        let mut sorted = self.runs.clone();
        sorted.sort_by(f64::total_cmp);
        let told = |per_cent| format!("{:.1} s", percentile(&sorted, per_cent));
        vec![
            self.what.clone(),
            self.runs.len().to_string(),
            told(50),
            told(99),
            told(100),
            format!("{:.0} s", self.most),
            yes(self.unmet().is_none()),
        ]
    }
}

/// A row for each.
fn times(all: &[&Times]) -> Table {
    let head = ["", "runs", "p50", "p99", "max", "at most", "within"];
    headed(head, all.iter().map(|times| times.row()))
}

/// What Weir sees of DNS; nothing if it does not say so this time.
async fn look(here: &Measured) -> Result<Option<DnsSeen>> {
    here.weir.program.check()?;
    Ok(here.weir.dns_seen().await.ok())
}

/// A rollout that has begun, under a policy of its own.
async fn rollout(here: &Measured, name: &str, spec: &str) -> Result<(Logs, String)> {
    let spec = format!("pace: Fast\n{spec}\n{PATIENCE}");
    here.world.apply(&policy_for(name, &[name], &spec)).await?;
    let stage = here.stage();
    let logs = stage.logs(name, &Shape::default()).await?;
    let revision = logs.revision().await?;
    eventually("its first pod is out", async || {
        Ok(logs.status(&revision).await?.width > 0)
    })
    .await?;
    Ok((logs, revision))
}

#[cfg(test)]
mod tests {
    use clap::Parser;

    use super::*;
    use crate::lab::{Command, Lab};

    fn times_of(runs: &[f64]) -> Times {
        Times {
            runs: runs.to_vec(),
            ..Times::new("a lost API was seen", 30.0)
        }
    }

    #[test]
    fn one_late_run_is_not_as_it_must_be() {
        assert_eq!(times_of(&[20.0, 29.9]).unmet(), None);
        assert!(times_of(&[20.0, 30.1]).unmet().is_some());
        assert!(times_of(&[]).unmet().is_some(), "nothing was measured");
        let table = times(&[&times_of(&[3.0, 1.0, 2.0])]);
        let row = [
            "a lost API was seen",
            "3",
            "2.0 s",
            "3.0 s",
            "3.0 s",
            "30 s",
            "yes",
        ];
        assert_eq!(table[1], row);
    }

    #[test]
    fn parts_are_chosen_by_their_names() {
        let lab = Lab::try_parse_from(["lab", "dns", "--only", "lost", "--healthy", "5m"]);
        let Command::Dns(run) = lab.expect("good arguments").command else {
            panic!("it is dns");
        };
        assert_eq!(run.only, [PartName::Lost]);
        assert_eq!(run.healthy, Duration::from_mins(5));
        assert!(Lab::try_parse_from(["lab", "dns", "--only", "nothing"]).is_err());
    }
}
