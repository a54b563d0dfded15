//! Hours at which nothing begins, and deployments beside a rollout.

use std::collections::{BTreeMap, BTreeSet};

use serde_json::{Value, json};
use weir_core::time::Span;

use super::{
    new_daemon_set,
    play::{Play, fresh, logs, rows},
};
use crate::{
    api::{RolloutPolicySpec, State},
    guard::deployments::Deployments,
};

/// Changes fields of the one policy.
fn policy(play: &mut Play, fields: &Value) {
    let policy = rows(&mut play.world.cluster.policies)
        .get_mut("fast")
        .unwrap();
    let mut spec = json!(policy.spec);
    spec.as_object_mut()
        .unwrap()
        .extend(fields.as_object().unwrap().clone());
    policy.spec = serde_json::from_value::<RolloutPolicySpec>(spec).unwrap();
}

/// The web server beside it is at this revision.
fn beside(play: &mut Play, revision: &str) {
    let web = BTreeMap::from([("Deployment/web".to_owned(), revision.to_owned())]);
    let deployed = &mut play.world.cluster.deployed;
    deployed.insert("shop".to_owned(), fresh(web));
}

#[test]
fn nothing_begins_before_a_window_opens() {
    let mut play = new_daemon_set(20);
    // Plays begin on 2027-01-15 at 08:00 UTC.
    policy(
        &mut play,
        &json!({ "windows": [{ "from": "08:02", "to": "09:00" }] }),
    );
    play.steps(100);
    assert_eq!(
        (play.out("aaa"), play.state("logs-aaa")),
        (0, Some(State::Pending))
    );
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    let summary = status.summary.unwrap_or_default();
    assert!(summary.contains("Fri 2027-01-15 08:02 UTC"), "{summary}");
    assert!(play.until(60, |play| play.out("aaa") > 0));
}

#[test]
fn a_window_goes_by_the_wall_clock_as_it_is_now() {
    let mut play = new_daemon_set(20);
    policy(
        &mut play,
        &json!({ "windows": [{ "from": "08:02", "to": "09:00" }] }),
    );
    play.steps(5);
    assert_eq!(play.out("aaa"), 0);
    // It was wrong when Weir began, and is put right.
    play.world.wall = play.world.wall + Span::from_secs(120);
    assert!(play.until(60, |play| play.out("aaa") > 0));
}

#[test]
fn what_is_deleted_and_made_again_between_two_looks_is_deployed() {
    let mut play = new_daemon_set(1);
    beside(&mut play, "1");
    let here = BTreeSet::from(["shop".to_owned()]);
    let mut deployments = Deployments::default();
    for _ in 0..2 {
        deployments.look(&here, &play.world);
        assert_eq!(deployments.last_in("shop"), None);
    }
    play.daemon_sets().get_mut(&logs()).unwrap().uid = "uid-2".to_owned();
    deployments.look(&here, &play.world);
    assert_eq!(deployments.last_in("shop"), Some(play.world.now));
}

#[test]
fn whoever_deploys_beside_it_ends_the_undisturbed_stretch() {
    let mut play = new_daemon_set(40);
    policy(&mut play, &json!({ "undisturbed": { "stretch": "1m" } }));
    play.steps(2);
    beside(&mut play, "1");
    assert!(
        play.until(60, |play| play.out("aaa") == 4),
        "a tenth of them"
    );
    play.steps(50);
    beside(&mut play, "2");
    play.steps(50);
    assert_eq!(
        (play.out("aaa"), play.state("logs-aaa")),
        (4, Some(State::Soaking))
    );
    assert!(play.until(60, |play| play.out("aaa") > 4));
}

#[test]
fn what_is_not_known_of_deployments_lets_nothing_through() {
    let mut play = new_daemon_set(40);
    policy(&mut play, &json!({ "undisturbed": { "stretch": "1m" } }));
    play.steps(60);
    assert_eq!(
        (play.out("aaa"), play.state("logs-aaa")),
        (0, Some(State::Held))
    );
    beside(&mut play, "1");
    assert!(play.until(60, |play| play.out("aaa") > 0));
}
