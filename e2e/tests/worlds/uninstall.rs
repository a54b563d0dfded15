//! The end of an installation: the program of the chart's pre-delete hook, with that hook's own rights.
//!
//! Helm is among the programs that `make test-e2e` builds before any world stands.

use std::path::Path;
use std::process::Output;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;
use weir::api::State;
use weir_e2e::inside;
use weir_e2e::stage::{Shape, Stage, policy_for};
use weir_e2e::tools::{Tool, program};
use weir_e2e::world::{World, WorldSpec, weir_binary};

const NODES: u32 = 4;

/// The exit code of a refusal.
const REFUSED: i32 = 4;

/// How long Weir has to end.
const GRACE: Duration = Duration::from_secs(20);

/// In its place a world has a process; it is here to be scaled to nothing.
const DEPLOYMENT: &str = "
apiVersion: apps/v1
kind: Deployment
metadata: { name: weir, namespace: weir-system }
spec:
  replicas: 0
  selector: { matchLabels: { app: weir } }
  template:
    metadata: { labels: { app: weir } }
    spec:
      containers: [{ name: weir, image: none.invalid/weir }]
";

/// What nothing may be left of.
const MADE_BY_WEIR: [&[&str]; 6] = [
    &["mutatingadmissionpolicybindings"],
    &["flowschemas", "-l", "app.kubernetes.io/managed-by=weir"],
    &["guardedrollouts", "-A"],
    &["controlplanes"],
    &["leases", "-n", "weir-system"],
    &[
        "roles",
        "-n",
        "weir-system",
        "--field-selector=metadata.name=weir-approved",
    ],
];

/// The hook as the chart has it.
struct Hook {
    /// What its Job runs the program with.
    arguments: Vec<String>,
    /// The manifests of what the Job may do.
    rights: String,
}

impl Hook {
    fn rendered() -> Result<Self> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/weir");
        let output = std::process::Command::new(program(Tool::Helm, "helm")?)
            .args(["template", "weir"])
            .arg(chart)
            .args(["--namespace", "weir-system", "--kube-version", "1.36.3"])
            .args(["--show-only", "templates/uninstall.yaml"])
            .output()
            .context("starting helm")?;
        ensure!(output.status.success(), "{output:?}");
        let text = String::from_utf8(output.stdout)?;
        let documents = text.split("\n---");
        let is_job = |document: &&str| document.contains("\nkind: Job\n");
        let (jobs, rights): (Vec<_>, Vec<_>) = documents.partition(is_job);
        let job: Value = serde_saphyr::from_str(jobs.first().context("there is no Job")?)?;
        let arguments = job.pointer("/spec/template/spec/containers/0/args");
        let arguments = arguments.and_then(Value::as_array);
        let arguments = arguments.context("it has no arguments")?;
        let arguments = arguments.iter().filter_map(Value::as_str);
        Ok(Self {
            arguments: arguments.map(str::to_owned).collect(),
            rights: rights.join("\n---\n"),
        })
    }

    /// Runs it under Weir's account, as its Job would.
    async fn run(&self, world: &World, consent: bool) -> Result<Output> {
        let kubeconfig = world.account_kubeconfig("weir-system", "weir").await?;
        let mut command = tokio::process::Command::new(weir_binary()?);
        command
            .args(&self.arguments)
            .env("KUBECONFIG", kubeconfig)
            .env("HOME", world.directory())
            .env("WEIR_NAMESPACE", "weir-system");
        if consent {
            command.env("WEIR_RELEASE_HELD", "true");
        }
        Ok(command.output().await?)
    }
}

/// The names of what Weir made.
async fn left(world: &World) -> Result<String> {
    let mut names = String::new();
    for of in MADE_BY_WEIR {
        let words = [&["get", "-o", "name"][..], of].concat();
        names.push_str(&world.kubectl(&words).await?);
    }
    Ok(names)
}

#[test]
fn the_hook_may_do_what_it_takes_to_leave_nothing() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let hook = Hook::rendered()?;
        let (stage, weir) = Stage::set(&world).await?;
        // It wants to see more API servers than there are, and is held for ever.
        let blind = "pace: Fast\nrequired: { apiServers: 2 }";
        world
            .apply(&policy_for("blind", &["ending"], blind))
            .await?;
        world.apply(DEPLOYMENT).await?;
        world.apply(&hook.rights).await?;
        let logs = stage.logs("ending", &Shape::default()).await?;
        let hash = logs.revision().await?;
        logs.until_state(&hash, State::Held).await?;

        let refused = hook.run(&world, false).await?;
        ensure!(refused.status.code() == Some(REFUSED), "{refused:?}");
        let said = String::from_utf8_lossy(&refused.stderr);
        ensure!(
            said.contains("kubectl create configmap weir-uninstall"),
            "it does not say how to consent: {said}"
        );
        let kept = left(&world).await?;
        ensure!(kept.contains("weir-gate-namespaces"), "removed: {kept}");

        weir.program.stop(GRACE).await?;
        let ended = hook.run(&world, true).await?;
        ensure!(ended.status.success(), "{ended:?}");
        logs.until_runs(&hash, NODES).await?;
        let left = left(&world).await?;
        ensure!(left.is_empty(), "left:\n{left}");
        world.check()
    })
}
