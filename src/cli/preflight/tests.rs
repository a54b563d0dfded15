//! From files to exit codes.

use std::fs;

use clap::Parser;
use serde_json::{Value, json};

use super::*;
use crate::{
    api::{Cost, CostSource, EstimateStatus, Resource, WorkloadKind},
    cli::cost::tests::measured,
};

const MANIFEST: &str = "\
apiVersion: v1
kind: ServiceAccount
metadata: { name: logs }
---
apiVersion: apps/v1
kind: DaemonSet
metadata: { name: logs }
spec:
  selector: { matchLabels: { app: logs } }
  template:
    metadata: { labels: { app: logs } }
    spec:
      containers:
      - { name: logs, image: 'example.org/logs:1' }
      volumes:
      - name: config
        configMap: { name: logs, defaultMode: 0644 }
---
";

#[derive(Parser)]
struct Line {
    #[command(flatten)]
    args: PreflightArgs,
}

/// A directory of its own, which goes with the test.
struct Files(PathBuf);

impl Files {
    fn new(test: &str) -> Self {
        let path =
            std::env::temp_dir().join(format!("weir-preflight-{}-{test}", std::process::id()));
        fs::create_dir_all(&path).unwrap();
        Self(path)
    }

    fn write(&self, name: &str, text: &str) -> String {
        let path = self.0.join(name);
        fs::write(&path, text).unwrap();
        path.to_string_lossy().into_owned()
    }
}

impl Drop for Files {
    fn drop(&mut self) {
        drop(fs::remove_dir_all(&self.0));
    }
}

/// What was measured of the manifest's pods.
fn cost() -> Cost {
    let template = json!({
        "metadata": { "labels": { "app": "logs" }, "creationTimestamp": null },
        "spec": {
            "containers": [{
                "name": "logs", "image": "example.org/logs:1", "imagePullPolicy": "IfNotPresent",
            }],
            "volumes": [{ "name": "config", "configMap": { "name": "logs", "defaultMode": 420 } }],
            "restartPolicy": "Always",
        },
    });
    let status = measured(&template::hash(&template)).status.unwrap();
    let mut forecast = status.forecast.unwrap();
    forecast.record.as_mut().unwrap().most_width = 100;
    let source = CostSource {
        namespace: "shop".to_owned(),
        kind: WorkloadKind::DaemonSet,
        name: "logs".to_owned(),
        revision: "5d4f".to_owned(),
    };
    Cost::new(source, forecast)
}

fn run(files: &Files, manifest: &str, cost: &str, flags: &[&str]) -> Result<Outcome, CliError> {
    let manifest = files.write("ds.yaml", manifest);
    let cost = files.write("cost.yaml", cost);
    let line = ["preflight", "-f", &manifest, "--cost", &cost];
    let line = Line::try_parse_from(line.iter().chain(flags)).unwrap();
    preflight(&line.args, &mut std::io::empty())
}

fn json(cost: &Cost) -> String {
    serde_json::to_string(cost).unwrap()
}

#[test]
fn the_exit_code_is_zero_only_if_the_upper_end_of_both_extremes_is_within_budget() {
    let files = Files::new("codes");
    let run = |flags: &[&str]| run(&files, MANIFEST, &json(&cost()), flags).unwrap();
    assert_eq!(run(&["--nodes", "300"]).code, FINE);
    let open = run(&["--nodes", "1000", "-o", "json"]);
    assert_eq!(open.code, TROUBLE);
    let document: Value = serde_json::from_str(&open.text).unwrap();
    assert_eq!(
        (&document["verdict"], &document["pods"]),
        (&json!("Open"), &json!(15_000.0))
    );
    assert_eq!(run(&["--nodes", "5000"]).code, TROUBLE);
    let enough = [
        "--nodes",
        "1000",
        "--pods",
        "3000",
        "--cpu",
        "8",
        "--api-servers",
        "3",
    ];
    assert_eq!(run(&enough).code, FINE);
    let guessed = run(&[&enough[2..], &["--nodes", "1001"]].concat());
    assert_eq!(guessed.code, TROUBLE);
    assert!(guessed.text.contains("is a guess"), "{}", guessed.text);
    assert_eq!(run(&["--nodes", "300", "--budget", "5%"]).code, TROUBLE);
    assert_eq!(run(&["--nodes", "300", "--unison", "500ms"]).code, TROUBLE);
}

#[test]
fn memory_that_runs_out_is_as_much_trouble_as_cpu() {
    const MIB: f64 = 1024.0 * 1024.0;
    const GIB: f64 = 1024.0 * MIB;
    let files = Files::new("memory");
    let mut cost = cost();
    let mut memory = cost.forecast.resources[0].clone();
    memory.resource = Resource::Memory;
    (memory.base, memory.capacity) = (GIB, Some(6.0 * GIB));
    memory.per_pod = EstimateStatus {
        low: 1.5 * MIB,
        mid: 2.0 * MIB,
        high: Some(2.5 * MIB),
    };
    cost.forecast.resources.push(memory);
    let run = |flags: &[&str]| {
        let flags = [&["--nodes", "300", "--cpu", "8", "-o", "json"], flags].concat();
        let outcome = run(&files, MANIFEST, &json(&cost), &flags).unwrap();
        let document: Value = serde_json::from_str(&outcome.text).unwrap();
        (outcome.code, document["verdict"].clone())
    };
    assert_eq!(run(&[]), (FINE, json!("Within")));
    assert_eq!(run(&["--pods", "15000"]), (TROUBLE, json!("Open")));
    assert_eq!(run(&["--memory", "1Gi"]), (TROUBLE, json!("Exceeded")));
    let full_by_others = ["--memory-in-use", "5Gi"];
    assert_eq!(run(&full_by_others), (TROUBLE, json!("Exceeded")));
    let stated = ["--pods", "15000", "--memory", "16Gi", "--memory-in-use"];
    assert_eq!(
        run(&[&stated[..], &["2Gi"]].concat()),
        (FINE, json!("Within"))
    );
}

#[test]
fn nothing_may_be_in_use_but_not_less() {
    assert_eq!(amount("0"), Ok(0.0));
    assert_eq!(amount("0.25"), Ok(0.25));
    for wrong in ["-1", "NaN", "inf"] {
        assert_eq!(amount(wrong), Err("it must be 0 or more".to_owned()));
    }
    assert_eq!(amount("some"), Err("it is no number".to_owned()));
}

#[test]
fn what_an_api_server_makes_of_a_file_comes_by_standard_input() {
    let files = Files::new("input");
    let path = files.write("cost.yaml", &json(&cost()));
    let line = ["preflight", "-f", "-", "--nodes", "300", "--cost", &path];
    let args = Line::try_parse_from(line).unwrap().args;
    let outcome = preflight(&args, &mut MANIFEST.as_bytes()).unwrap();
    assert_eq!(outcome.code, FINE);
    let nothing = preflight(&args, &mut std::io::empty()).map(|_| ());
    let said = nothing.unwrap_err().report();
    assert!(said.contains("-: it holds no DaemonSet"), "{said}");
}

/// `stored.json` is what a kube-apiserver v1.36.3 answered for `written.yaml`, applied with kubectl of
/// the same version, without managed fields and last-applied annotation.
#[test]
fn a_file_has_the_hash_of_what_a_real_api_server_stored_of_it() {
    let template = |text: &str| {
        let read = files::daemon_set("-".as_ref(), &mut text.as_bytes());
        read.unwrap().template
    };
    let written = template(include_str!("tests/written.yaml"));
    let stored = template(include_str!("tests/stored.json"));
    assert_ne!(written, stored);
    assert_eq!(template::hash(&written), template::hash(&stored));
}

#[test]
fn booleans_are_those_that_kubectl_reads() {
    let files = Files::new("booleans");
    let truth = |written: &str| {
        let manifest = MANIFEST.replace(
            "spec:\n      cont",
            &format!("spec:\n      hostNetwork: {written}\n      cont"),
        );
        let path = files.write("ds.yaml", &manifest);
        let read = files::daemon_set(path.as_ref(), &mut std::io::empty()).unwrap();
        read.template["spec"]["hostNetwork"].clone()
    };
    for written in ["true", "True", "yes", "YES", "on", "On", "y"] {
        assert_eq!(truth(written), json!(true), "{written}");
    }
    for written in ["false", "no", "No", "off", "OFF", "n"] {
        assert_eq!(truth(written), json!(false), "{written}");
    }
    for written in ["'yes'", "\"on\"", "yep"] {
        assert!(truth(written).is_string(), "{written}");
    }
}

#[test]
fn a_cost_of_another_template_is_refused() {
    let files = Files::new("template");
    let changed = MANIFEST.replace("logs:1", "logs:2");
    let error = run(&files, &changed, &json(&cost()), &["--nodes", "10"])
        .map(|_| ())
        .unwrap_err();
    assert_eq!(error.kind().code(), 4);
    let said = error.report();
    assert_eq!(said.matches("sha256:").count(), 2, "{said}");
    assert!(said.contains("another pod template"), "{said}");
    assert!(said.contains("--dry-run=server"), "{said}");
}

#[test]
fn a_file_that_cannot_be_used_says_what_is_wrong() {
    let files = Files::new("files");
    let good = json(&cost());
    let refused = |manifest: &str, cost: &str| {
        let error = run(&files, manifest, cost, &["--nodes", "10"])
            .map(|_| ())
            .unwrap_err();
        assert_eq!(error.kind().code(), 2, "{}", error.report());
        error.report()
    };
    let with = |change: fn(&mut Cost)| {
        let mut cost = cost();
        change(&mut cost);
        refused(MANIFEST, &json(&cost))
    };
    let cases = [
        (refused("kind: Service", &good), "holds no DaemonSet"),
        (refused(&MANIFEST.repeat(2), &good), "holds 2 DaemonSets"),
        (refused("kind: DaemonSet", &good), "no spec.template"),
        (refused("a: [", &good), "it is no YAML"),
        (refused(MANIFEST, MANIFEST), "exactly one document"),
        (
            refused(MANIFEST, "kind: Pod"),
            "it is no Cost of weir.dev/v1alpha1, but Pod",
        ),
        (
            refused(MANIFEST, &good.replace("\"source\"", "\"sauce\"")),
            "sauce",
        ),
        (
            with(|cost| cost.forecast.record = None),
            "forecast.record is missing",
        ),
        (with(|cost| cost.forecast.servers = 0), "must be at least 1"),
        (
            with(|cost| cost.forecast.resources.clear()),
            "says nothing of Cpu",
        ),
        (
            with(|cost| cost.forecast.resources[0].per_pod.low = 9.0),
            "perPod of Cpu is no interval",
        ),
        (
            with(|cost| cost.forecast.resources[0].base = -1.0),
            "the base of Cpu",
        ),
    ];
    for (said, expected) in cases {
        assert!(said.contains(expected), "{said}");
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let line = [
        "preflight",
        "-f",
        "nowhere.yaml",
        "--cost",
        "c",
        "--nodes",
        "1",
    ];
    let error = preflight(
        &Line::try_parse_from(line).unwrap().args,
        &mut std::io::empty(),
    )
    .map(|_| ())
    .unwrap_err();
    assert!(
        error.report().contains("nowhere.yaml: No such file"),
        "{}",
        error.report()
    );
}

#[test]
fn two_records_are_told_apart_by_their_pods() {
    let files = Files::new("two");
    let mut other = cost();
    let second = |other: &Cost| files.write("other.yaml", &json(other));
    let nodes = ["--nodes", "300", "--cost"];
    let run = |path: &str| {
        run(
            &files,
            MANIFEST,
            &json(&cost()),
            &[&nodes[..], &[path]].concat(),
        )
    };
    let same = run(&second(&other)).map(|_| ()).unwrap_err();
    assert_eq!(same.kind().code(), 2);
    assert!(
        same.report().contains("no more than one"),
        "{}",
        same.report()
    );
    other.forecast.record.as_mut().unwrap().pods = None;
    let silent = run(&second(&other)).map(|_| ()).unwrap_err();
    let said = silent.report();
    assert!(
        said.contains("one of the two records does not say"),
        "{said}"
    );
    assert!(
        said.contains("hint: give the record that says it alone"),
        "{said}"
    );
    other.forecast.record.as_mut().unwrap().pods = Some(9000);
    let outcome = run(&second(&other)).unwrap();
    assert_eq!(outcome.code, FINE);
    assert!(
        outcome.text.contains("as measured twice"),
        "{}",
        outcome.text
    );
}

#[test]
fn numbers_have_their_forms() {
    assert_eq!(share("12.5%"), Ok(0.125));
    assert_eq!((seconds("500ms"), seconds("2m")), (Ok(0.5), Ok(120.0)));
    assert!(seconds("1e30h").is_err());
    for wrong in ["", "50", "0%", "101%", "-1%", "x%"] {
        assert!(share(wrong).is_err(), "{wrong}");
    }
    for wrong in ["", "30", "0s", "s", "-1m", "1d"] {
        assert!(seconds(wrong).is_err(), "{wrong}");
    }
    assert_eq!(bytes("1.5Ki"), Ok(1536.0));
    for wrong in ["", "16", "Gi", "0Gi", "16G"] {
        assert!(bytes(wrong).is_err(), "{wrong}");
    }
    for wrong in ["0", "-1", "inf", "x"] {
        assert!(positive(wrong).is_err(), "{wrong}");
    }
}
