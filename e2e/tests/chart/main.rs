//! The Helm chart without a cluster: what it renders and refuses, its suites, its alerts, and whether API
//! servers of each version know what it renders. All by programs that are pinned under `e2e/tools/`.

mod proof;
mod schemas;

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use weir_e2e::tools::{Tool, program};

/// The chart, from the repository's root.
const CHART: &str = "charts/weir";

/// One of each minor that the chart is for: on those before 1.36 it installs without the gate.
const VERSIONS: [&str; 3] = ["1.34.4", "1.35.4", "1.36.3"];

/// Kinds that other projects define.
const OF_OTHERS: &str = "PodMonitor,PrometheusRule,ServiceMonitor";

fn repository() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("..")
}

fn scratch() -> &'static Path {
    Path::new(env!("CARGO_TARGET_TMPDIR"))
}

/// Runs a command at the repository's root; what it printed, unless it failed.
fn run(command: &mut Command) -> Result<String> {
    let output = command.current_dir(repository()).output();
    let output = output.with_context(|| format!("starting {command:?}"))?;
    let out = String::from_utf8_lossy(&output.stdout);
    let err = String::from_utf8_lossy(&output.stderr);
    ensure!(output.status.success(), "{command:?} said:\n{out}{err}");
    Ok(out.into_owned())
}

/// What helm renders with a file of values of the chart's own tests, for API servers of a version.
fn rendered(version: &str, values: &str) -> Result<String> {
    let values = format!("{CHART}/tests/values/good/{values}.yaml");
    run(Command::new(program(Tool::Helm, "helm")?)
        .args(["template", "weir", CHART, "--namespace", "weir-system"])
        .args(["--kube-version", version, "--values", &values]))
}

/// The kinds that a manifest names.
fn kinds(manifest: &str) -> BTreeSet<&str> {
    let lines = manifest.lines();
    lines
        .filter_map(|line| line.strip_prefix("kind: "))
        .collect()
}

#[test]
fn it_installs_what_deploy_holds_and_refuses_wrong_values() -> Result<()> {
    for tool in [Tool::Helm, Tool::OldHelm] {
        let helm = program(tool, "helm")?;
        run(Command::new(repository().join("charts/check")).env("HELM", helm))?;
    }
    Ok(())
}

#[test]
fn every_suite_of_its_templates_passes() -> Result<()> {
    let unittest = program(Tool::HelmUnittest, "helm-unittest")?;
    run(Command::new(unittest).arg(CHART)).map(drop)
}

#[test]
fn alerts_fire_when_they_should_and_not_else() -> Result<()> {
    let promtool = program(Tool::Promtool, "promtool")?;
    let alerts = format!("{CHART}/files/alerts.yaml");
    run(Command::new(&promtool).args(["check", "rules", &alerts]))?;
    let tests = repository().join(CHART).join("tests/rules");
    let mut files = Vec::new();
    for entry in fs::read_dir(tests)? {
        files.push(entry?.path());
    }
    ensure!(!files.is_empty(), "alerts have no tests");
    run(Command::new(&promtool).args(["test", "rules"]).args(files)).map(drop)
}

#[test]
fn api_servers_of_each_version_know_what_it_renders() -> Result<()> {
    let kubeconform = program(Tool::Kubeconform, "kubeconform")?;
    for version in VERSIONS {
        for values in ["everything", "enforce", "pod-monitor"] {
            let manifest = rendered(version, values)?;
            let known = schemas::written(version, &kinds(&manifest))?;
            let location = known.join("{{ .ResourceKind }}{{ .KindSuffix }}.json");
            let file = scratch().join(format!("chart-{version}-{values}.yaml"));
            fs::write(&file, &manifest)?;
            run(Command::new(&kubeconform)
                .args(["-strict", "-summary", "-kubernetes-version", version])
                .args(["-skip", OF_OTHERS, "-schema-location"])
                .args([&location, &file]))?;
        }
    }
    Ok(())
}

#[test]
fn kinds_are_read_from_a_manifest() {
    let manifest = "---\nkind: Role\nsubjects:\n- kind: ServiceAccount\n---\nkind: Job\n";
    assert_eq!(kinds(manifest), BTreeSet::from(["Job", "Role"]));
}
