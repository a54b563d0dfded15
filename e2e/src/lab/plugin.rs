//! `lab plugin`: how long a person waits for the plugin, what it asks for, and how long Weir takes to start,
//! all beside a rollout that is in flight.

use std::{path::Path, process::ExitCode, time::Duration};

use anyhow::{Result, ensure};
use clap::Args;
use jiff::Timestamp;
use tokio::time::{Instant, sleep};
use weir::api::{GuardedRolloutStatus, Pace, RolloutPolicySpec};

use super::{
    WorldArgs,
    budget::{self, Figure},
    cells::{markdown, plain},
    exit, inside,
    proof::{ProofArgs, Taken},
};
use crate::{
    experiment::{
        form,
        story::{heading, line},
    },
    report::demo::millis,
    world::{Asked, Ceiling, Enrolled, Plugin, WeirProcess, World, weir_binary},
};

/// Help asks nobody: it has to be there at once.
const HELP_MS: f64 = 50.0;
/// A screen that somebody waits for …
const STATUS_MS: f64 = 1000.0;
/// … must not be the load that it tells of.
const STATUS_REQUESTS: f64 = 5.0;
/// An upgrade in the middle of a rollout holds it for this long, beside a change of leaders.
const READY_MS: f64 = 2000.0;

/// Between two runs, so that they are not one burst.
const PAUSE: Duration = Duration::from_millis(500);
/// Longer than all that is measured: the rollout stays in flight.
const SOAK: Duration = Duration::from_mins(20);
/// Until the canary is let through: pods are created for all nodes before.
const IN_FLIGHT_WITHIN: Duration = Duration::from_mins(5);
/// Far beyond the budget, so that a miss is a figure.
const READY_WITHIN: Duration = Duration::from_mins(1);
const STOPPED_WITHIN: Duration = Duration::from_secs(30);
/// A request is in the audit log once it was answered, which who asked may know first.
const LOGGED_WITHIN: Duration = Duration::from_secs(1);

/// What is rolled out, as the plugin shows it.
const ROLLOUT: &str = "rolled-out";

/// As whom the plugin asks; the world's audit log has this account's requests.
const VIEWER: (&str, &str) = ("default", "weir-viewer");

/// The viewer, with the rights that Weir's manifests have for those who look.
const RIGHTS: &str = "
apiVersion: v1
kind: ServiceAccount
metadata: { name: weir-viewer, namespace: default }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: ClusterRoleBinding
metadata: { name: weir-viewer }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: ClusterRole, name: weir-view }
subjects: [{ kind: ServiceAccount, name: weir-viewer, namespace: default }]
";

/// How long the plugin and Weir's start take, beside a rollout that is in flight.
#[derive(Debug, Args)]
pub(super) struct PluginRun {
    /// How often each of the plugin's commands is run
    #[arg(long, default_value_t = 20, value_parser = clap::value_parser!(u32).range(1..))]
    runs: u32,
    /// How often Weir is started
    #[arg(long, default_value_t = 5, value_parser = clap::value_parser!(u32).range(1..))]
    starts: u32,
    #[command(flatten)]
    proof: ProofArgs,
    #[command(flatten)]
    world: WorldArgs,
}

/// One run of a command.
struct Run {
    from: Timestamp,
    to: Timestamp,
    ms: f64,
}

impl PluginRun {
    pub(super) fn run(&self) -> Result<ExitCode> {
        inside(true, async {
            let taken = Taken::now(&self.world);
            let world = self.world.world().await?;
            let (weir, rollout) = guarded(&world).await?;
            let figures = self.measured(&world, &weir).await?;
            let said = rollout.until("told", READY_WITHIN, |_| true).await?;
            self.conclude(taken, &figures, &lead(&said, &weir_binary()?))
        })
    }

    async fn measured(&self, world: &World, weir: &WeirProcess) -> Result<Vec<Figure>> {
        let (namespace, account) = VIEWER;
        let plugin = world.plugin(world.account_kubeconfig(namespace, account).await?)?;
        let help = runs(&plugin, &["--help"], "Usage", self.runs).await?;
        let status = runs(&plugin, &["status"], ROLLOUT, self.runs).await?;
        let requests = requests(world, &status).await?;
        let milliseconds = |runs: &[Run]| -> Vec<f64> { runs.iter().map(|run| run.ms).collect() };
        Ok(vec![
            Figure {
                what: "`kubectl-weir --help`",
                runs: milliseconds(&help),
                most: HELP_MS,
                written: millis,
            },
            Figure {
                what: "`kubectl-weir status`",
                runs: milliseconds(&status),
                most: STATUS_MS,
                written: millis,
            },
            Figure {
                what: "… its requests",
                runs: requests,
                most: STATUS_REQUESTS,
                written: |requests| format!("{requests:.0}"),
            },
            Figure {
                what: "Weir, from its start until `/readyz` says 200",
                runs: starts(weir, self.starts).await?,
                most: READY_MS,
                written: millis,
            },
        ])
    }

    fn conclude(&self, taken: Taken, figures: &[Figure], lead: &str) -> Result<ExitCode> {
        let table = budget::table(figures);
        heading("beside a rollout that is in flight:");
        line(&plain(&table));
        line(lead);
        let parts = [lead.to_owned(), markdown(&table)];
        self.proof
            .keep("The plugin, and Weir's own start", taken, &parts)?;
        Ok(exit(figures.iter().all(Figure::is_within)))
    }
}

/// Weir, and a rollout to all nodes, which soaks at its first width until everything was measured.
async fn guarded(world: &World) -> Result<(WeirProcess, Enrolled)> {
    world.install_weir(Ceiling::Enforce).await?;
    world.apply(RIGHTS).await?;
    let policy = RolloutPolicySpec {
        pace: Pace::Fast,
        soak: Some(form(SOAK)),
        ..RolloutPolicySpec::default()
    };
    world.policy(&policy).await?;
    let weir = world.start_weir(Ceiling::Enforce, &[]).await?;
    world.adopted(&weir).await?;
    let rollout = world.enrol(ROLLOUT).await?;
    rollout.until_wider(0, IN_FLIGHT_WITHIN).await?;
    Ok((weir, rollout))
}

/// Runs a command so many times; each must answer, and say `what`.
async fn runs(plugin: &Plugin, arguments: &[&str], what: &str, number: u32) -> Result<Vec<Run>> {
    let mut done = vec![];
    for _ in 0..number {
        sleep(PAUSE).await;
        let (from, began) = (Timestamp::now(), Instant::now());
        let said = plugin.run(arguments).await?;
        let ms = began.elapsed().as_secs_f64() * 1000.0;
        let to = Timestamp::now();
        // What is found wrong with the cluster (1) is an answer too.
        let answered = matches!(said.code, Some(0 | 1)) && said.out.contains(what);
        ensure!(answered, "{arguments:?} does not tell of {what}: {said:?}");
        done.push(Run { from, to, ms });
    }
    Ok(done)
}

/// How many requests each run made, as the API servers have written it down.
async fn requests(world: &World, runs: &[Run]) -> Result<Vec<f64>> {
    sleep(LOGGED_WITHIN).await;
    let (namespace, account) = VIEWER;
    let all = world.requests_of(namespace, account)?;
    let of = |run: &Run| Asked::between(all.clone(), run.from, run.to).number(|_| true);
    let numbers: Vec<f64> = runs.iter().map(of).collect();
    let logged = numbers.iter().all(|number| *number > 0.0);
    ensure!(logged, "the audit log misses requests: {numbers:?}");
    Ok(numbers)
}

/// Starts Weir so many times; how long it takes each time to be ready, in milliseconds.
async fn starts(weir: &WeirProcess, number: u32) -> Result<Vec<f64>> {
    let mut took = vec![];
    for _ in 0..number {
        weir.program.stop(STOPPED_WITHIN).await?;
        let began = Instant::now();
        weir.program.restart()?;
        weir.ready(READY_WITHIN).await?;
        took.push(began.elapsed().as_secs_f64() * 1000.0);
        sleep(PAUSE).await;
    }
    Ok(took)
}

/// What was measured where, in a few sentences.
fn lead(rollout: &GuardedRolloutStatus, weir: &Path) -> String {
    let state = rollout.state.map(|state| format!("{state:?}"));
    format!(
        "Beside a rollout that was {} at {} of {} pods. The plugin asks with the rights of the ClusterRole \
         `weir-view`; what it asks for is counted in the API servers' audit logs. Weir runs as a process \
         under its own account, and was asked to end before each start. Its program is `{}`, and the plugin \
         was built with it.",
        state.unwrap_or_default(),
        rollout.width,
        rollout.full_width,
        build(weir)
    )
}

/// The last words of a program's path: how it was built, and nothing of this machine.
fn build(program: &Path) -> String {
    let words: Vec<_> = program.iter().map(|word| word.to_string_lossy()).collect();
    words[words.len().saturating_sub(3)..].join("/")
}

#[cfg(test)]
mod tests {
    use weir::api::State;

    use super::*;

    #[test]
    fn the_viewer_is_the_one_whose_requests_are_logged() {
        let (namespace, account) = VIEWER;
        let user = format!("system:serviceaccount:{namespace}:{account}");
        assert!(include_str!("../world/audit-policy.yaml").contains(&user));
        let named = format!("name: {account}, namespace: {namespace}");
        assert_eq!(RIGHTS.matches(&named).count(), 2);
    }

    #[test]
    fn a_proof_names_the_build_and_no_machine_s_path() {
        let status = GuardedRolloutStatus {
            state: Some(State::Soaking),
            width: 1,
            full_width: 1000,
            ..GuardedRolloutStatus::default()
        };
        let weir = Path::new("/home/somebody/target/x86_64-unknown-linux-musl/release/weir");
        let lead = lead(&status, weir);
        assert!(lead.contains("was Soaking at 1 of 1000 pods"), "{lead}");
        assert!(lead.contains("`x86_64-unknown-linux-musl/release/weir`"));
        assert!(!lead.contains("somebody"), "{lead}");
    }
}
