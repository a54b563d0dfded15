//! What a restart of Weir, or a lease that was lost for a while, does not forgive.

use weir_core::policy::Mode;

use super::{
    new_daemon_set,
    play::{Play, key, logs},
};
use crate::api::State;

/// A rollout that was held once, and is again, with a record that says so; the harm has just gone.
fn held_twice() -> Play {
    let mut play = new_daemon_set(100);
    for _ in 0..2 {
        assert!(play.until(120, |play| play.state("logs-aaa") == Some(State::Soaking)));
        play.latency(900.0);
        assert!(play.until(3, |play| play.state("logs-aaa") == Some(State::Held)));
        play.latency(5.0);
    }
    play.steps(2);
    play
}

fn pace(play: &mut Play) -> f64 {
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    status.history.unwrap().pace
}

/// Nothing more is let through before the harm was gone for so long, and a soak followed.
fn is_held_for(seconds: u32, play: &mut Play) {
    let (out, before) = (play.out("aaa"), pace(play));
    for _ in 0..seconds {
        play.step();
        assert_eq!(play.state("logs-aaa"), Some(State::Held));
        let record = play.record("logs-aaa").unwrap().status.unwrap();
        assert_eq!(record.held_by.as_deref(), Some("LatencyRegressed"));
    }
    play.steps(10);
    assert_eq!(play.out("aaa"), out);
    assert!((pace(play) - before).abs() < 1e-9, "halved once more");
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn harm_that_was_on_record_stands_after_a_restart() {
    let mut play = held_twice();
    assert!((pace(&mut play) - 0.25).abs() < 1e-9);
    let told = play.told.len();
    play.restart();
    // A second hold wants 20 s.
    is_held_for(20, &mut play);
    let told = &play.reasons()[told..];
    assert!(!told.contains(&"RolloutHeld"), "told again: {told:?}");
}

#[test]
fn an_incident_that_was_on_record_goes_on_after_a_restart() {
    let incident = |play: &mut Play| {
        let status = play.record("logs-aaa").unwrap().status.unwrap();
        status.incident.unwrap()
    };
    let mut play = held_twice();
    let before = incident(&mut play);
    assert_eq!(before.mitigated, None);
    play.restart();
    play.steps(3);
    assert_eq!(incident(&mut play), before);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
    let over = incident(&mut play);
    assert_eq!(over.seen, before.seen);
    assert!(over.mitigated.is_some());
}

#[test]
fn harm_stands_while_the_lease_is_lost_and_regained() {
    let mut play = held_twice();
    play.world.leads = false;
    play.steps(5);
    play.world.leads = true;
    // It went on looking meanwhile.
    is_held_for(12, &mut play);
}

#[test]
fn harm_that_the_record_does_not_know_stands_once_the_lease_is_regained() {
    let mut play = new_daemon_set(100);
    assert!(play.until(60, |play| play.state("logs-aaa") == Some(State::Soaking)));
    play.world.leads = false;
    play.steps(1);
    play.latency(900.0);
    play.steps(2);
    play.latency(5.0);
    play.steps(2);
    play.world.leads = true;
    for _ in 0..5 {
        play.step();
        assert_eq!(play.state("logs-aaa"), Some(State::Held));
    }
    assert!((pace(&mut play) - 0.5).abs() < 1e-9, "it was not paid for");
}

#[test]
fn a_harm_that_only_delayed_the_beginning_holds_nothing_after_a_restart() {
    let mut play = Play::new(20, Mode::Enforce);
    play.world.cluster.role = weir_core::evidence::Reading::Fresh(Some(super::adopted(&[])));
    play.step();
    play.create(&key("shop", &logs().name), "uid-1", "aaa");
    play.latency(900.0);
    play.steps(5);
    assert_eq!(play.state("logs-aaa"), Some(State::Pending));
    play.latency(5.0);
    play.restart();
    for _ in 0..10 {
        play.step();
        assert_eq!(play.state("logs-aaa"), Some(State::Pending));
        assert_eq!(play.out("aaa"), 0);
    }
    assert!((pace(&mut play) - 1.0).abs() < 1e-9);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn a_revision_is_told_by_its_own_template_and_by_none_if_that_is_not_known() {
    let template = |play: &Play| {
        let mut rollouts = play.mind.rollouts.iter();
        let (_, rollout) = rollouts.find(|(id, _)| id.hash == "aaa")?;
        rollout.template.clone()
    };
    let mut play = new_daemon_set(50);
    play.steps(5);
    assert_eq!(template(&play).as_deref(), Some("sha256:00"));
    let view = play.daemon_sets().get_mut(&logs()).unwrap();
    (view.revision, view.template_hash) = (None, "sha256:11".to_owned());
    play.steps(3);
    assert_eq!(template(&play).as_deref(), Some("sha256:00"), "an edit");
    play.restart();
    play.steps(3);
    assert_eq!(template(&play), None, "nobody has seen it");
}
