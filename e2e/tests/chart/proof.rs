//! What two linters of manifests say of the chart, for `docs/proof/chart.md`. `make proof-chart` runs it.

use std::{ffi::OsString, fs, process::Command};

use anyhow::{Context, Result, ensure};
use weir_e2e::tools::{Tool, program};

use crate::{CHART, VERSIONS, rendered, repository, run, scratch};

/// Why two things are so that both linters would have otherwise.
const NO_CPU_LIMIT: &str =
    "no limit of CPU: a throttled Weir sees slow API servers where there are none";
const NOT_PULLED_ANEW: &str = "a tag of a release is never written again: to pull it anew for each start would need the \
     registry just when things are bad";

/// What kube-score would have otherwise, and is so on purpose: its flag, and why.
const EXCUSED_SCORES: [(&str, &str); 2] = [
    ("--ignore-container-cpu-limit", NO_CPU_LIMIT),
    ("--ignore-test=container-image-pull-policy", NOT_PULLED_ANEW),
];

/// The same of checkov: the check's name, and why.
const EXCUSED: [(&str, &str); 5] = [
    (
        "CKV_K8S_21",
        "API servers publish their addresses in `default`: the Role that reads them has to be there",
    ),
    ("CKV_K8S_11", NO_CPU_LIMIT),
    ("CKV_K8S_15", NOT_PULLED_ANEW),
    (
        "CKV_K8S_43",
        "a digest is set by who has an image: `image.digest`",
    ),
    (
        "CKV_K8S_38",
        "Weir is a client of the API: it mounts its token, for an hour, where it needs it",
    ),
];

#[test]
#[ignore = "needs checkov, and writes a file: make proof-chart"]
fn what_linters_of_manifests_say_is_written_down() -> Result<()> {
    let checkov: OsString = std::env::var_os("CHECKOV").context("CHECKOV names the program")?;
    let [.., version] = VERSIONS;
    let manifest = scratch().join("chart-proof.yaml");
    fs::write(&manifest, rendered(version, "everything")?)?;

    let score = run(Command::new(program(Tool::KubeScore, "kube-score")?)
        .args([
            "score",
            "--output-format",
            "ci",
            "--exit-one-on-warning=false",
        ])
        .args(EXCUSED_SCORES.map(|(flag, _)| flag))
        .arg(&manifest));
    let score = score.context("kube-score finds something critical")?;
    ensure!(!score.contains("[CRITICAL]"), "{score}");

    let excused: Vec<_> = EXCUSED.iter().map(|(check, _)| *check).collect();
    let found = run(Command::new(checkov)
        .args([
            "--framework",
            "kubernetes",
            "--compact",
            "--quiet",
            "--skip-download",
        ])
        .args(["--skip-check", &excused.join(",")])
        .arg("--file")
        .arg(&manifest));
    let found = found.context("checkov finds something that is not excused")?;

    let commit = run(Command::new("git").args(["rev-parse", "HEAD"]))?;
    let row = |(check, why): (&str, &str)| format!("| `{check}` | {why} |");
    let (scores, reasons) = (EXCUSED_SCORES.map(row), EXCUSED.map(row));
    let page = format!(
        "# What linters of manifests say of the chart\n\n`make proof-chart`, at commit {}, of \
         `{CHART}` with all that is off by default (`tests/values/good/everything.yaml`).\n\n\
         ## kube-score: nothing critical but what is excused here\n\n| flag | why it is otherwise |\n|---|---|\n\
         {}\n\n```text\n{}\n```\n\n\
         ## checkov: no failure but what is excused here\n\n| check | why it is otherwise |\n|---|---|\n\
         {}\n\n```text\n{}\n```\n",
        commit.trim(),
        scores.join("\n"),
        score.trim(),
        reasons.join("\n"),
        found.trim()
    );
    fs::write(repository().join("docs/proof/chart.md"), page)?;
    Ok(())
}
