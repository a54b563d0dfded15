use std::path::PathBuf;

use super::*;
use crate::profile::call::{By, OnTrouble, Pages, Phase, Verb};

fn parse(text: &str) -> Profile {
    Profile::parse(text, "fallback").expect("a good profile")
}

fn refused(text: &str) -> String {
    format!("{:#}", Profile::parse(text, "fallback").expect_err(text))
}

#[test]
fn a_profile_may_use_every_field() {
    let profile = parse(
        r#"
name: everything
about: uses every field
expect: {ends: held, because: it is a test, soak: 1m 10s}
agent: {userAgent: x/1, http: http1, gzip: false, timeout: 5s}
needs:
  - resource: example.com/v1/things
    kind: Thing
    define: true
    count: {fixed: 1, perNode: 2, perPod: 3}
    bytes: 2000
    body: {spec: {node: $(INDEX)}}
calls:
  - verb: list
    resource: example.com/v1/things
    namespace: $(POD_NAMESPACE)
    query:
      labelSelector: a=b
      fieldSelector: metadata.name=$(POD_NAME)
      resourceVersion: "0"
      limit: 500
      pages: first
    when: {after: 1m 30s, every: 15s, phase: in-phase, jitter: 0.5}
    onError: retry-at-once
    on429: {back-off: {initial: 1s, max: 30s}}
  - verb: watch
    resource: example.com/v1/things
    query: {resourceVersion: listed, lasts: 5m, initialEvents: false}
    onError: give-up
  - verb: patch
    by: leader
    when: {every: 2s}
    resource: v1/nodes
    subresource: status
    object: $(NODE_NAME)
    patch: merge
    body: {status: {conditions: [{type: X, status: "False", lastHeartbeatTime: $(NOW)}]}}
"#,
    );
    assert_eq!(profile.needs[0].count.of(200, 3_000), 1 + 400 + 9_000);
    let soak = profile.expect.and_then(|expect| expect.soak);
    assert_eq!(soak, Some(Duration::from_secs(70)));
    let list = &profile.calls[0];
    assert_eq!(
        (list.verb, list.query.pages, list.query.limit),
        (Verb::List, Pages::First, Some(500))
    );
    assert_eq!((list.by, profile.calls[2].by), (By::All, By::Leader));
    assert_eq!(list.when.after, Duration::from_secs(90));
    assert_eq!(
        (list.when.every, list.when.phase),
        (Some(Duration::from_secs(15)), Phase::InPhase)
    );
    assert_eq!(list.on_error, OnTrouble::RetryAtOnce);
    assert_eq!(
        list.on_429,
        Some(OnTrouble::BackOff {
            initial: Duration::from_secs(1),
            max: Duration::from_secs(30)
        })
    );
}

#[test]
fn what_an_agent_asks_again_and_again_is_known() {
    let rate = |text: &str| parse(text).asks_per_second();
    let calls = "calls:\n\
        - {verb: list, resource: v1/pods, when: {every: 10s}}\n\
        - {verb: list, resource: v1/nodes, when: {every: 5s}}\n\
        - {verb: list, resource: v1/nodes, when: {every: 1s}, by: leader}\n\
        - {verb: list, resource: v1/nodes}\n\
        - {verb: list, resource: v1/nodes, when: {every: 0s}}\n";
    assert!(rate(calls).is_some_and(|rate| (rate - 0.3).abs() < 1e-9));
    assert_eq!(rate("calls: [{verb: list, resource: v1/pods}]"), None);
}

#[test]
fn an_agent_may_call_nothing_and_be_named_by_its_file() {
    let profile = parse("about: reads its node only\n");
    assert_eq!(profile.name, "fallback");
    assert!(profile.calls.is_empty() && rules::rules(&profile).is_empty());
}

#[test]
fn the_accounts_rules_are_the_calls_and_nothing_more() {
    let profile = parse(
        "calls:\n\
         - {verb: list, resource: v1/pods}\n\
         - {verb: watch, resource: v1/pods}\n\
         - {verb: patch, resource: v1/nodes, subresource: status, object: n, body: {a: 1}}\n\
         - {verb: get, resource: apps/v1/replicasets, object: r}\n",
    );
    let rules: Vec<_> = rules::rules(&profile)
        .into_iter()
        .map(|rule| {
            (
                rule.api_groups.concat_all(),
                rule.resources.concat_all(),
                rule.verbs,
            )
        })
        .collect();
    assert_eq!(
        rules,
        [
            (
                String::new(),
                "nodes/status".to_owned(),
                vec!["patch".to_owned()]
            ),
            (
                String::new(),
                "pods".to_owned(),
                vec!["list".to_owned(), "watch".to_owned()]
            ),
            (
                "apps".to_owned(),
                "replicasets".to_owned(),
                vec!["get".to_owned()]
            ),
        ]
    );
}

trait ConcatAll {
    fn concat_all(self) -> String;
}

impl ConcatAll for Option<Vec<String>> {
    fn concat_all(self) -> String {
        self.unwrap_or_default().concat()
    }
}

/// Each bad profile, what its message must name, and what it must say to do.
const MISTAKES: [(&str, &str, &str); 27] = [
    ("call: []", "call", "calls"),
    ("calls: [{verb: lst, resource: v1/pods}]", "lst", "list"),
    ("calls: [{verb: list, resource: pods}]", "pods", "v1/pods"),
    ("calls: [{verb: list}]", "resource", REFERENCE),
    (
        "calls: [{verb: list, resource: v1/pods, every: 5s}]",
        "every",
        "when",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, when: {every: 5 lightyears}}]",
        "lightyears",
        REFERENCE,
    ),
    (
        "calls: [{verb: list, resource: v1/pods, onError: panic}]",
        "panic",
        "give-up",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, namespace: $(HOST)}]",
        "$(HOST)",
        "$(NODE_NAME)",
    ),
    (
        "calls: [{verb: get, resource: v1/pods}]",
        "calls[0].object",
        "needs the name",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, object: x}]",
        "calls[0].object",
        "fieldSelector",
    ),
    (
        "calls: [{verb: create, resource: v1/events}]",
        "calls[0].body",
        "needs the object",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, body: {}}]",
        "calls[0].body",
        "leave",
    ),
    (
        "calls: [{verb: get, resource: v1/pods, object: x, query: {limit: 5}}]",
        "calls[0].query",
        "leave",
    ),
    (
        "calls: [{verb: watch, resource: v1/pods, query: {resourceVersion: listed}}]",
        "resourceVersion",
        "add that call",
    ),
    (
        "calls: [{verb: watch, resource: v1/pods, query: {limit: 5}}]",
        "query.limit",
        "leave",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, query: {lasts: 5s}}]",
        "query.lasts",
        "leave",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, when: {jitter: 2}}]",
        "when.jitter",
        "0 to 1",
    ),
    (
        "calls: [{verb: watch, resource: v1/pods, when: {every: 1s}}]",
        "when.every",
        "leave",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, onError: {back-off: {initial: 9s, max: 1s}}}]",
        "onError.back-off",
        "initial <= max",
    ),
    ("name: Not A Label", "name", "a-z"),
    ("expect: {ends: perfect, because: x}", "perfect", "harmless"),
    (
        "needs: [{resource: v1/pods, kind: Pod, define: true, count: {fixed: 1}}]",
        "needs[0].define",
        "group",
    ),
    (
        "needs: [{resource: v1/pods, kind: Pod}]",
        "needs[0].count",
        "perPod",
    ),
    (
        "needs: [{resource: v1/configmaps, kind: ConfigMap, count: {fixed: 1}, bytes: 900000}]",
        "needs[0].bytes",
        "250000",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, by: leader}]",
        "calls[0].by",
        "when.every",
    ),
    (
        "calls: [{verb: list, resource: v1/pods, by: chance}]",
        "chance",
        "leader",
    ),
    ("calls: [", "line", REFERENCE),
];

#[test]
fn every_mistake_is_named_with_its_field_and_what_to_do() {
    for (text, named, advice) in MISTAKES {
        let message = refused(text);
        assert!(
            message.contains(named),
            "{text}\nnames no {named}:\n{message}"
        );
        assert!(
            message.contains(advice),
            "{text}\ndoes not say {advice}:\n{message}"
        );
    }
}

#[test]
fn a_file_that_is_not_there_is_named() {
    let error = Profile::read(&PathBuf::from("/nowhere/x.yaml")).expect_err("no such file");
    assert!(
        format!("{error:#}").contains("/nowhere/x.yaml"),
        "{error:#}"
    );
}

fn yaml_files(folder: &Path) -> Vec<PathBuf> {
    let entries = std::fs::read_dir(folder).expect("a readable folder");
    let paths = entries.map(|entry| entry.expect("a readable entry").path());
    paths.filter(|path| path.is_file()).collect()
}

#[test]
fn what_scenarios_are_made_of_is_good() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles/scenarios");
    let paths = yaml_files(&folder);
    assert!(!paths.is_empty());
    for path in paths {
        let profile = Profile::read(&path).unwrap_or_else(|error| panic!("{error:#}"));
        assert!(!profile.about.is_empty(), "{}", path.display());
    }
}

#[test]
fn all_shipped_profiles_are_good_and_say_how_they_must_end() {
    let folder = PathBuf::from(env!("CARGO_MANIFEST_DIR")).join("profiles");
    let mut endings = Vec::new();
    for path in yaml_files(&folder) {
        let profile = Profile::read(&path).unwrap_or_else(|error| panic!("{error:#}"));
        let expect = profile
            .expect
            .unwrap_or_else(|| panic!("{} expects nothing", path.display()));
        assert!(
            !expect.because.is_empty() && !profile.about.is_empty(),
            "{}",
            path.display()
        );
        endings.push((profile.name, expect.ends));
    }
    // None is paced: that takes a policy which lets a bomb through.
    for ending in [Ending::Held, Ending::Harmless] {
        assert!(
            endings.iter().any(|(_, ends)| *ends == ending),
            "no profile ends {ending}"
        );
    }
}
