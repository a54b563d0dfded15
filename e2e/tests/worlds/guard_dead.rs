//! What holds while Weir is dead, and that it goes on from where it was.
//!
//! The cases follow each other in one world: each does something to Weir itself.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::coordination::v1::Lease;
use kube::Api;
use weir::api::State;
use weir_e2e::inside;
use weir_e2e::stage::{Count, Logs, PATIENCE, Shape, Stage, all_the_while, eventually};
use weir_e2e::tools;
use weir_e2e::world::{Ceiling, WeirProcess, World, WorldSpec};

/// Nodes at the start.
const NODES: u32 = 12;

/// Nodes that join while Weir is dead.
const JOIN: u32 = 2;

/// What `slow` soaks at each width.
const SOAK: Duration = Duration::from_secs(15);

/// How long a container of Weir has to end before it is killed; Kubernetes' default is 30 s.
const GRACE: Duration = Duration::from_secs(20);

/// `slow` can be killed in the middle of a soak; `blind` wants to see more API servers than there
/// are, and is held for ever.
fn policies() -> String {
    format!(
        "
apiVersion: weir.dev/v1alpha1
kind: RolloutPolicy
metadata: {{ name: slow }}
spec:
  workloads: {{ namespaceSelector: {{ matchLabels: {{ stage: slow }} }} }}
  pace: Fast
  soak: {}s
  waves: {{ growth: 3 }}
  {PATIENCE}
---
apiVersion: weir.dev/v1alpha1
kind: RolloutPolicy
metadata: {{ name: blind }}
spec:
  workloads: {{ namespaceSelector: {{ matchLabels: {{ stage: blind }} }} }}
  pace: Fast
  required: {{ apiServers: 2 }}
",
        SOAK.as_secs()
    )
}

#[test]
fn nothing_depends_on_weir_but_what_it_holds() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        world.apply(&policies()).await?;
        killed_in_the_middle_it_goes_on_from_there(&stage, &weir).await?;
        told_to_end_it_hands_over(&stage, weir).await?;
        world.check()
    })
}

/// SIGKILL, nodes join, a person releases what is held, and Weir comes back.
async fn killed_in_the_middle_it_goes_on_from_there(
    stage: &Stage<'_>,
    weir: &WeirProcess,
) -> Result<()> {
    let steady = stage.logs("steady", &Shape::default()).await?;
    let approved = steady.completes(stage).await?;
    let blind = stage.logs("blind", &Shape::default()).await?;
    let held = blind.revision().await?;
    blind.until_state(&held, State::Held).await?;
    let note = stage.event("blind", "logs", "RolloutHeld").await?;

    let slow = stage.logs("slow", &Shape::default()).await?;
    let hash = slow.revision().await?;
    let soaking = slow
        .until(&hash, "the second wave soaks", |status| {
            status.state == Some(State::Soaking) && status.width == 3
        })
        .await?;
    let history = soaking.history.context("its history is on record")?;
    // A part of the soak is done, and will have to be done again.
    all_the_while("the second wave soaks on", async || {
        Ok(slow.status(&hash).await?.wave == soaking.wave)
    })
    .await?;
    weir.program.kill()?;

    stage.world.add_nodes(JOIN).await?;
    let all = NODES + JOIN;
    steady.until_runs(&approved, all).await?;
    let rest = Count {
        gated: all - 3,
        free: 3,
        running: 3,
    };
    slow.until_count(&hash, rest).await?;
    by_hand(stage, &note).await?;
    blind.until_runs(&held, all).await?;
    all_the_while("nothing is released", async || {
        Ok(slow.count(&hash).await? == rest && slow.target(&hash).await? == history.target)
    })
    .await?;

    weir.program.restart()?;
    let restarted = Instant::now();
    let wider = slow
        .until(&hash, "the third wave", |status| {
            status
                .history
                .is_some_and(|now| now.target > history.target)
        })
        .await?;
    ensure!(
        restarted.elapsed() >= SOAK,
        "the soak was not repeated: wider after {:?}",
        restarted.elapsed()
    );
    ensure!(wider.wave == history.wave + 1, "waves were lost: {wider:?}");
    slow.completes(stage).await?;
    blind.until_state(&held, State::Complete).await.map(drop)
}

/// Runs the lines of an event's note as a person would: copied into a shell.
async fn by_hand(stage: &Stage<'_>, note: &str) -> Result<()> {
    let lines: Vec<_> = note
        .lines()
        .filter(|line| line.starts_with("kubectl "))
        .collect();
    ensure!(lines.len() == 2, "no lines to copy: {note}");
    let kubectl = tools::program(tools::Tool::Kubernetes, "kubectl")?;
    let directory = kubectl.parent().context("kubectl lies in a directory")?;
    let path = std::env::var("PATH")?;
    for line in lines {
        let output = tokio::process::Command::new("sh")
            .args(["-c", line])
            .env("PATH", format!("{}:{path}", directory.display()))
            .env("KUBECONFIG", stage.world.kubeconfig())
            .env("HOME", stage.world.directory())
            .output()
            .await?;
        let said = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "{line}: {said}");
    }
    Ok(())
}

/// SIGTERM in the middle of a rollout, with a second replica waiting.
async fn told_to_end_it_hands_over(stage: &Stage<'_>, first: WeirProcess) -> Result<()> {
    holds_the_lease(stage, first.program.name()).await?;
    let second = stage.world.start_weir(Ceiling::Enforce, &[]).await?;
    let logs: Logs = stage.logs("handed", &Shape::default()).await?;
    let hash = logs.revision().await?;
    logs.until(&hash, "a first wave is out", |status| status.width > 0)
        .await?;
    first.program.stop(GRACE).await?;
    let status = first.program.ended()?.context("it has ended")?;
    ensure!(
        status.success(),
        "it ended with {status}; the end of its log:\n{}",
        first.program.log_end()
    );
    holds_the_lease(stage, second.program.name()).await?;
    logs.completes(stage).await?;
    second.program.check()
}

async fn holds_the_lease(stage: &Stage<'_>, replica: &str) -> Result<()> {
    let leases: Api<Lease> = Api::namespaced(stage.admin.clone(), "weir-system");
    let prefix = format!("{replica}-");
    eventually(&format!("{replica} holds the lease"), async || {
        let spec = leases.get("weir").await?.spec;
        let holder = spec.and_then(|spec| spec.holder_identity);
        Ok(holder.is_some_and(|holder| holder.starts_with(&prefix)))
    })
    .await
}
