//! A person's order to let pods through, once, whatever is found.

use weir_core::{
    evidence::LetThrough,
    plan::State,
    policy::Policy,
    time::{Moment, Span},
};

use crate::play::Play;

/// A rollout of fifty pods that harm holds at its canary.
fn held() -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 50);
    play.seconds(5);
    play.latency("api-a", 400.0);
    play.seconds(2);
    assert_eq!(play.report().state, State::Held);
    play
}

fn order(play: &Play, width: u32) -> LetThrough {
    LetThrough {
        width,
        given: play.now,
    }
}

#[test]
fn an_order_lets_through_what_is_held_at_the_policy_s_pace_and_no_more() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 10));
    play.seconds(1);
    assert_eq!(play.report().state, State::Progressing);
    assert_eq!(
        play.report().summary,
        "Letting through up to 10 of 50 pods, as a person ordered (spec.letThrough). Findings would \
         hold it (1), but a person's order goes before them."
    );
    play.seconds(10);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 10));
    assert!(!play.evidence.rollout.approved);
}

#[test]
fn an_order_is_carried_out_once_also_after_a_restart() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 10));
    play.seconds(10);
    assert_eq!(play.report().width, 10);
    for (node, restarts) in [("node-000", false), ("node-001", true)] {
        play.replace(node);
        if restarts {
            play.restart_weir(Span::from_secs(3));
        }
        play.seconds(60);
        assert_eq!(play.report().width, 9, "restarts: {restarts}");
        play.evidence.rollout.let_through = Some(order(&play, 10));
        play.seconds(10);
        assert_eq!(play.report().width, 10);
    }
}

#[test]
fn a_pause_goes_before_an_order() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 50));
    play.evidence.rollout.paused = true;
    play.seconds(60);
    assert_eq!(
        (play.report().state, play.report().width),
        (State::Paused, 1)
    );
    play.evidence.rollout.paused = false;
    play.seconds(60);
    assert_eq!(play.report().width, 50);
}

#[test]
fn an_order_that_is_hours_old_is_void() {
    let mut play = held();
    let given = Moment::from_millis(play.now.as_millis() - 4 * 3_600_000);
    play.evidence.rollout.let_through = Some(LetThrough { width: 50, given });
    play.seconds(30);
    assert_eq!((play.report().state, play.report().width), (State::Held, 1));
}

#[test]
fn an_order_of_more_than_all_ends_with_all_and_approves_nothing_by_itself() {
    let mut play = held();
    play.evidence.rollout.let_through = Some(order(&play, 1000));
    play.seconds(60);
    let report = play.report();
    assert_eq!((report.state, report.width), (State::Held, 50));
    assert!(!play.evidence.rollout.approved);
    // Once the harm is gone it soaks at full width, and is approved as any other.
    play.latency("api-a", 5.0);
    play.until_complete();
}
