//! What people do with `kubectl weir` where Weir holds a rollout, and the end of an installation.
//!
//! The cases follow each other in one world: the last one takes Weir off the cluster.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use weir::api::State;
use weir_e2e::inside;
use weir_e2e::stage::{Count, Logs, Shape, Stage, eventually, policy_for};
use weir_e2e::world::{Said, WeirProcess, World, WorldSpec, weir_binary};

/// Nodes.
const NODES: u32 = 6;

/// How many of them a person lets have their pod.
const SOME: u32 = 3;

/// How long Weir has to hand back its lease and to end.
const ENDS_WITHIN: Duration = Duration::from_secs(20);

/// Exit codes, as the plugin's help lists them.
const FINE: i32 = 0;
const UNREACHABLE: i32 = 3;
const REFUSED: i32 = 4;

/// Whoever may pause rollouts of `held`, and do nothing else.
const JANE: &str = "
apiVersion: rbac.authorization.k8s.io/v1
kind: Role
metadata: { name: pauser, namespace: held }
rules:
- { apiGroups: [weir.dev], resources: [guardedrollouts], verbs: [get, list, patch] }
---
apiVersion: rbac.authorization.k8s.io/v1
kind: RoleBinding
metadata: { name: pauser, namespace: held }
roleRef: { apiGroup: rbac.authorization.k8s.io, kind: Role, name: pauser }
subjects: [{ apiGroup: rbac.authorization.k8s.io, kind: User, name: jane }]
";

#[test]
fn people_hold_and_let_through_and_take_weir_off_again() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        drills(&world).await?;

        // Held for ever: it wants to see more API servers than there are.
        let spec = "pace: Fast\nrequired: { apiServers: 2 }";
        world.apply(&policy_for("blind", &["held"], spec)).await?;
        let held = stage.logs("held", &Shape::default()).await?;
        let hash = held.revision().await?;
        held.until_state(&hash, State::Held).await?;
        is_well(&world).await?;
        pauses_are_no_orders(&world).await?;
        orders(&world, &held, &hash).await?;
        releases(&world, &held, &hash).await?;
        is_taken_off(&world, weir).await
    })
}

/// Runs the plugin, and wants this exit code.
async fn plugin(world: &World, words: &[&str], code: i32) -> Result<Said> {
    let said = world.kubectl_weir(words).await?;
    ensure!(said.code == Some(code), "{words:?}: {said:?}");
    Ok(said)
}

/// A drill proves all, and leaves nothing.
async fn drills(world: &World) -> Result<()> {
    eventually("all is well", async || {
        Ok(world.kubectl_weir(&["status"]).await?.code == Some(FINE))
    })
    .await?;
    let said = plugin(world, &["drill", "--image", "none.invalid/pause"], FINE).await?;
    ensure!(said.out.contains("Weir does what it should"), "{said:?}");
    for kind in ["namespaces", "rolloutpolicies"] {
        let left = ["get", kind, "-l", "weir.dev/drill", "-o", "name"];
        let left = world.kubectl(&left).await?;
        ensure!(left.is_empty(), "left: {left}");
    }
    Ok(())
}

/// What ships is found as it ships; while something is held nobody drills.
async fn is_well(world: &World) -> Result<()> {
    let only = "confined-pods,confined-roles,confined-flowschemas,confined-check,confined-orders,\
                gate-policy,gate-bindings,gate-account,gate-active,approvals,lease,no-pod-is-stranded";
    plugin(world, &["check", "--only", only], FINE).await?;
    let said = plugin(world, &["drill"], REFUSED).await?;
    ensure!(said.err.contains("held/logs-"), "{said:?}");
    Ok(())
}

/// Whoever may patch a rollout may pause it, and not let through what Weir holds.
async fn pauses_are_no_orders(world: &World) -> Result<()> {
    world.apply(JANE).await?;
    let jane = ["daemonset/logs", "-n", "held", "--as", "jane"];
    plugin(world, &[&["pause"][..], &jane].concat(), FINE).await?;
    plugin(world, &[&["resume"][..], &jane].concat(), FINE).await?;
    let order = [&["approve", "--reason", "please"][..], &jane].concat();
    let said = plugin(world, &order, UNREACHABLE).await?;
    ensure!(said.err.contains("the verb approve"), "{said:?}");
    Ok(())
}

/// An order lets through as many as it says, once.
async fn orders(world: &World, held: &Logs, hash: &str) -> Result<()> {
    let width = SOME.to_string();
    let order = [
        "approve",
        "daemonset/logs",
        "-n",
        "held",
        "--reason",
        "known to be harmless",
        "--width",
        &width,
    ];
    plugin(world, &order, FINE).await?;
    let some = Count {
        gated: NODES - SOME,
        free: SOME,
        running: SOME,
    };
    held.until_count(hash, some).await?;
    held.until(hash, "the order is spent", |status| status.obeyed.is_some())
        .await?;
    let state = held.status(hash).await?.state;
    ensure!(held.count(hash).await? == some, "more was let through");
    ensure!(
        state == Some(State::Held) || state == Some(State::Progressing),
        "{state:?}"
    );
    Ok(())
}

/// A release lets through the rest, and approves it for good.
async fn releases(world: &World, held: &Logs, hash: &str) -> Result<()> {
    let release = [
        "release",
        "daemonset/logs",
        "-n",
        "held",
        "--reason",
        "known to be harmless",
    ];
    plugin(world, &release, FINE).await?;
    held.until_runs(hash, NODES).await?;
    held.until_state(hash, State::Complete).await?;
    Ok(())
}

/// What Weir made goes, but not while it is at work.
async fn is_taken_off(world: &World, weir: WeirProcess) -> Result<()> {
    let said = uninstall(world).await?;
    ensure!(said.code == Some(REFUSED), "{said:?}");
    ensure!(said.err.contains("holds its lease"), "{said:?}");
    weir.program.stop(ENDS_WITHIN).await?;
    let said = uninstall(world).await?;
    ensure!(said.code == Some(FINE), "{said:?}");
    for what in [
        "Role weir-approved",
        "GuardedRollout held/logs-",
        "Lease weir",
    ] {
        ensure!(said.out.contains(what), "no {what} in {said:?}");
    }
    for (kind, label) in [
        ("flowschemas", "app.kubernetes.io/managed-by=weir"),
        ("guardedrollouts", ""),
        ("controlplanes", ""),
        ("mutatingadmissionpolicybindings", ""),
    ] {
        let left = ["get", kind, "-A", "-l", label, "-o", "name"];
        let left = world.kubectl(&left).await?;
        ensure!(left.is_empty(), "left: {left}");
    }
    Ok(())
}

/// Runs `weir uninstall` as the administrator.
async fn uninstall(world: &World) -> Result<Said> {
    let program = weir_binary()?;
    let output = tokio::process::Command::new(&program)
        .arg("uninstall")
        .env("KUBECONFIG", world.kubeconfig())
        .env("HOME", world.directory())
        .output()
        .await
        .with_context(|| format!("starting {}", program.display()))?;
    let text = |bytes: &[u8]| String::from_utf8_lossy(bytes).into_owned();
    Ok(Said {
        code: output.status.code(),
        out: text(&output.stdout),
        err: text(&output.stderr),
    })
}
