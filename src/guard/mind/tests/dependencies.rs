//! What a policy depends on, outside the cluster: it holds, and the rollout is not blamed.

use std::{collections::BTreeMap, sync::Arc};

use serde_json::json;
use weir_core::{
    evidence::{Health, Reading},
    time::{Moment, Span},
};

use super::{
    new_daemon_set,
    play::{Play, entry, fresh, rows},
};
use crate::{
    act::record::Want,
    api::{
        DependencyState, DependencyStatus, RolloutPolicy, RolloutPolicyStatus, State,
        marks::conditions, times::time,
    },
    dependency::{Question, Signal, Tls},
    observe::{DependencyView, MOST_QUESTIONS},
};

/// A policy whose rollouts depend on a status page.
fn depending(play: &mut Play, path: &str) {
    let spec = json!({
        "pace": "Fast", "forecast": { "act": "Tell" },
        "dependencies": [{
            "name": "cloud", "silentFor": "1m",
            "http": { "url": "https://status.example.com/", "jsonPath": path, "equals": "none" },
        }],
    });
    let spec = serde_json::from_value(spec).unwrap();
    let mut policy = RolloutPolicy::new("fast", spec);
    policy.metadata.generation = Some(1);
    play.world.cluster.policies = fresh(BTreeMap::from([("fast".to_owned(), policy)]));
}

/// A person changes where in the page it says so.
fn edit(play: &mut Play, path: &str) {
    let before = rows(&mut play.world.cluster.policies)["fast"].clone();
    depending(play, path);
    let policies = rows(&mut play.world.cluster.policies);
    let policy = policies.get_mut("fast").unwrap();
    policy.metadata.generation = before.metadata.generation.map(|before| before + 1);
    policy.status = before.status;
}

/// What is on record of the one dependency.
fn told(play: &mut Play) -> DependencyStatus {
    let policies = rows(&mut play.world.cluster.policies);
    let status = policies["fast"].status.clone().unwrap();
    status.dependencies[0].clone()
}

/// The page says so from now on, to whatever was asked at the last step.
fn says(play: &mut Play, reading: Reading<Health>, silent_since: Moment) {
    let asked = play.step().questions;
    assert_eq!(asked.len(), 1, "{asked:?}");
    let view = DependencyView {
        reading,
        silent_since,
        trouble: None,
        is_asked: true,
    };
    let views = asked
        .into_iter()
        .map(|one| (Arc::clone(&one), view.clone()));
    play.world.dependencies = Some(views.collect());
}

#[test]
fn an_incident_holds_and_is_the_dependency_s() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let now = play.world.now;
    says(&mut play, Reading::Fresh(Health::Well), now);
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    let what = "$.status is `major`, not `none`".to_owned();
    says(&mut play, Reading::Fresh(Health::Incident { what }), now);
    play.steps(5);
    let out = play.out("aaa");
    play.steps(60);
    assert_eq!(play.out("aaa"), out);
    assert_eq!(play.state("logs-aaa"), Some(State::Held));
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    assert_eq!(status.held_by.as_deref(), Some("DependencyIncident"));
    let found: Vec<_> = status
        .findings
        .iter()
        .map(|one| (&*one.reason, &*one.subject))
        .collect();
    assert_eq!(found, [("DependencyIncident", "cloud")]);
    says(&mut play, Reading::Fresh(Health::Well), now);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn silence_holds_until_its_deadline() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let why = "no whole answer within 5 s".to_owned();
    let now = play.world.now;
    says(&mut play, Reading::Absent { why }, now);
    play.steps(45);
    assert_eq!(play.out("aaa"), 0);
    assert!(play.until(60, |play| play.out("aaa") > 0));
    assert!(play.world.now.since(now) >= Span::from_secs(60));
}

#[test]
fn a_new_leader_does_not_wait_anew() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let why = "no whole answer within 5 s".to_owned();
    let now = play.world.now;
    let silent = || Reading::Absent { why: why.clone() };
    let mut status = RolloutPolicyStatus {
        observed_generation: Some(1),
        ..RolloutPolicyStatus::default()
    };
    status.dependencies.push(DependencyStatus {
        name: "cloud".to_owned(),
        state: DependencyState::Silent,
        what: None,
        since: Some(time(now - Span::from_secs(40))),
        holds_until: Some(time(now + Span::from_secs(20))),
    });
    let policies = rows(&mut play.world.cluster.policies);
    policies.get_mut("fast").unwrap().status = Some(status);
    says(&mut play, silent(), now);
    play.steps(15);
    assert_eq!(play.out("aaa"), 0);
    assert!(play.until(20, |play| play.out("aaa") > 0));
}

#[test]
fn who_does_not_ask_leaves_it_out() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    assert_eq!(play.world.dependencies, None);
    assert!(play.until(60, |play| play.out("aaa") > 0));
}

#[test]
fn what_was_not_asked_yet_holds_until_its_deadline() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    play.world.dependencies = Some(BTreeMap::new());
    let now = play.world.now;
    play.steps(45);
    assert_eq!(play.out("aaa"), 0);
    assert!(play.until(60, |play| play.out("aaa") > 0));
    assert!(play.world.now.since(now) >= Span::from_secs(60));
}

#[test]
fn what_there_is_no_turn_for_is_as_silent_as_any() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let now = play.world.now;
    let strangers = (0..MOST_QUESTIONS).map(|number| {
        let question = Question {
            every: Span::from_secs(10),
            timeout: Span::from_secs(5),
            url: format!("https://{number}.example.com/"),
            signal: Signal::Json {
                path: "$".to_owned(),
                well: vec!["none".to_owned()],
            },
            tls: Tls::default(),
            bearer: None,
        };
        let view = DependencyView {
            reading: Reading::Fresh(Health::Well),
            silent_since: now,
            trouble: None,
            is_asked: true,
        };
        (Arc::new(question), view)
    });
    play.world.dependencies = Some(strangers.collect());
    play.steps(45);
    assert_eq!(play.out("aaa"), 0);
    let told = told(&mut play);
    let what = told.what.unwrap_or_default();
    assert!(what.contains("64 different questions"), "{what}");
    let until = now + Span::from_secs(60);
    assert_eq!(told.holds_until, Some(time(until)));
    assert!(play.until(60, |play| play.out("aaa") > 0));
    assert!(play.world.now >= until);
}

#[test]
fn what_is_mended_is_waited_for_from_then_on() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$..status");
    play.world.dependencies = Some(BTreeMap::new());
    play.steps(300);
    let before = told(&mut play);
    assert_eq!(
        (before.state, before.holds_until),
        (DependencyState::Silent, None)
    );
    edit(&mut play, "$.status");
    holds_from_now_on(&mut play);
}

#[test]
fn another_question_is_waited_for_from_when_it_is_asked() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let now = play.world.now;
    let why = "no whole answer within 5 s".to_owned();
    says(&mut play, Reading::Absent { why }, now);
    play.steps(30);
    assert_eq!(told(&mut play).state, DependencyState::Silent);
    edit(&mut play, "$.state");
    holds_from_now_on(&mut play);
}

/// What nobody has answered yet holds for as long as the policy says, whatever was on record.
fn holds_from_now_on(play: &mut Play) {
    let now = play.world.now;
    let why = "it has not answered yet".to_owned();
    says(play, Reading::Absent { why }, now);
    play.steps(45);
    assert_eq!(play.out("aaa"), 0);
    assert!(play.until(60, |play| play.out("aaa") > 0));
    assert!(play.world.now.since(now) >= Span::from_secs(60));
}

#[test]
fn what_cannot_be_asked_holds_until_the_policy_is_mended() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$..status");
    play.world.dependencies = Some(BTreeMap::new());
    let thought = play.step();
    assert!(thought.questions.is_empty());
    let reading = thought.dependencies.values().next();
    assert!(
        matches!(reading, Some(Reading::Absent { .. })),
        "{reading:?}"
    );
    play.steps(1000);
    assert_eq!(play.out("aaa"), 0);
}

#[test]
fn the_policy_s_status_says_how_it_is() {
    let mut play = new_daemon_set(20);
    depending(&mut play, "$.status");
    let now = play.world.now;
    let why = "it answers with 503 Service Unavailable".to_owned();
    says(&mut play, Reading::Absent { why: why.clone() }, now);
    let thought = play.step();
    let Some(Want::Status { desired, .. }) =
        entry(&thought, "RolloutPolicy", "fast").map(|entry| &entry.want)
    else {
        panic!("the policy is not in the books");
    };
    let status: RolloutPolicyStatus = serde_json::from_value(desired.clone()).unwrap();
    let one = &status.dependencies[0];
    assert_eq!(
        (one.name.as_str(), one.state),
        ("cloud", DependencyState::Silent)
    );
    assert_eq!(one.what, Some(why));
    let mut known = status.conditions.iter();
    let known = known
        .find(|one| one.type_ == conditions::DEPENDENCIES_KNOWN)
        .unwrap();
    assert_eq!(
        (known.status.as_str(), known.reason.as_str()),
        ("False", "DependencySilent")
    );
}
