//! The chart on a real API server, by the newest Helm and the oldest that it is for: each object is taken,
//! and what a template asks of the cluster is answered. Nothing runs: pods are played.

use std::path::{Path, PathBuf};

use anyhow::{Context, Result, ensure};
use kube::api::{DeleteParams, PostParams};
use weir_e2e::inside;
use weir_e2e::tools::{Tool, program};
use weir_e2e::world::approvals::{ROLE, adopt, role, roles, run};
use weir_e2e::world::{World, WorldSpec};

/// The labels of what a release holds.
const OF_RELEASE: &str = "app.kubernetes.io/instance=weir";

/// Helm, on one world.
struct Helm<'a> {
    world: &'a World,
    program: PathBuf,
}

impl Helm<'_> {
    /// What it said, if it did what it was told to.
    async fn does(&self, words: &[&str]) -> Result<String> {
        let chart = Path::new(env!("CARGO_MANIFEST_DIR")).join("../charts/weir");
        let chart = chart.to_string_lossy();
        let words = words
            .iter()
            .map(|word| if *word == "CHART" { &*chart } else { *word });
        let output = tokio::process::Command::new(&self.program)
            .args(words)
            .args(["--namespace", "weir-system"])
            .env("KUBECONFIG", self.world.kubeconfig())
            .env("HOME", self.world.directory())
            .output()
            .await
            .context("starting helm")?;
        let err = String::from_utf8_lossy(&output.stderr);
        ensure!(output.status.success(), "helm: {err}");
        Ok(String::from_utf8_lossy(&output.stdout).into_owned())
    }

    /// Fails unless it refuses, and says this.
    async fn refuses(&self, words: &[&str], why: &str) -> Result<()> {
        let refused = self.does(words).await.err();
        let refused = refused.with_context(|| format!("helm does {words:?}"))?;
        let said = format!("{refused:#}");
        ensure!(said.contains(why), "it does not say {why}: {said}");
        Ok(())
    }
}

#[test]
fn an_api_server_takes_the_chart_and_answers_what_it_asks() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: 2,
            ..WorldSpec::bare()
        })
        .await?;
        for tool in [Tool::Helm, Tool::OldHelm] {
            let program = program(tool, "helm")?;
            let helm = Helm {
                world: &world,
                program,
            };
            lives(&helm).await.with_context(|| format!("{tool:?}"))?;
        }
        world.check()
    })
}

/// Installed, upgraded, rolled back and removed.
async fn lives(helm: &Helm<'_>) -> Result<()> {
    let world = helm.world;
    let install = ["install", "weir", "CHART", "--create-namespace"];
    helm.does(&[&install[..], &["--set", "mode=Enforce"]].concat())
        .await?;
    let bindings = ["get", "mutatingadmissionpolicybindings", "-o", "name"];
    ensure!(world.kubectl(&bindings).await?.contains("weir-gate"));
    helm.refuses(&["install", "second", "CHART"], "installed already")
        .await?;

    // As Weir does while it holds.
    let approvals = roles(&world.client());
    let gates = role(&[adopt(), run(&["none"])])?;
    approvals.create(&PostParams::default(), &gates).await?;
    let to = |mode: &str| format!("mode={mode}");
    let (shadow, observe) = (to("Shadow"), to("Observe"));
    let upgrade = |mode| ["upgrade", "weir", "CHART", "--set", mode];
    helm.refuses(&upgrade(observe.as_str()), "mode=Shadow")
        .await?;
    helm.does(&upgrade(shadow.as_str())).await?;
    ensure!(world.kubectl(&bindings).await?.is_empty());
    approvals.delete(ROLE, &DeleteParams::default()).await?;
    helm.does(&upgrade(observe.as_str())).await?;
    helm.does(&["rollback", "weir", "1"]).await?;
    ensure!(world.kubectl(&bindings).await?.contains("weir-gate"));

    // What the hook does is another test's.
    helm.does(&["uninstall", "weir", "--no-hooks"]).await?;
    for of in [
        "flowschemas,prioritylevelconfigurations",
        "clusterroles,clusterrolebindings,roles,rolebindings",
        "validatingadmissionpolicies,mutatingadmissionpolicies",
    ] {
        let words = ["get", of, "-A", "-l", OF_RELEASE, "-o", "name"];
        let left = world.kubectl(&words).await?;
        ensure!(left.is_empty(), "left: {left}");
    }
    let kinds = ["get", "crd", "-l", OF_RELEASE, "-o", "name"];
    let kept = world.kubectl(&kinds).await?;
    ensure!(kept.lines().count() == 3, "kept: {kept}");
    // Who installs it next makes this namespace again.
    let gone = [
        "wait",
        "--for=delete",
        "namespace/weir-check",
        "--timeout=60s",
    ];
    world.kubectl(&gone).await?;
    Ok(())
}
