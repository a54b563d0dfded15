//! A run that proves nothing is never as expected.

use super::*;
use crate::experiment::outcome::tests::{guarded, harm_at, unguarded};

const CALLS: &str = "calls: [{verb: list, resource: v1/pods}]";

fn profile(ends: &str) -> Profile {
    let text = format!("expect: {{ends: {ends}, because: x}}\n{CALLS}");
    Profile::parse(&text, "test").expect("a good profile")
}

fn at_work() -> SwarmUse {
    SwarmUse {
        requests: 1000,
        ..SwarmUse::default()
    }
}

/// Whether a run with agents at work, after calm, is as expected, if this is what holds it.
fn met(course: &Course, ends: &str, harm: Option<i64>, held_by: &str) -> bool {
    met_by(course, ends, &harm_at(harm), held_by)
}

/// The same, of what was felt in all.
fn met_by(course: &Course, ends: &str, harm: &Harm, held_by: &str) -> bool {
    let mut course = course.clone();
    for at in &mut course.states {
        at.held_by = (at.state == State::Held).then(|| held_by.to_owned());
    }
    let ran = Ran {
        course: &course,
        harm,
        swarm: &at_work(),
        calm: true,
        blame: Blame::Untried,
    };
    let expected = expected(&profile(ends), &ran).expect("it expects");
    assert_eq!(expected.met, expected.why.is_none(), "{expected:?}");
    expected.met
}

#[test]
fn expectations_are_about_the_end_and_for_the_harmless_about_the_way_too() {
    let held = guarded(&[(10.0, State::Held)]);
    let complete = guarded(&[(10.0, State::Complete)]);
    let paced = guarded(&[(10.0, State::Paced)]);
    let detour = guarded(&[(5.0, State::Held), (20.0, State::Complete)]);
    for (course, ends, as_expected) in [
        (&held, "held", true),
        (&held, "paced", false),
        (&complete, "held", false),
        (&complete, "paced", true),
        (&complete, "harmless", true),
        (&paced, "paced", true),
        (&paced, "harmless", false),
        (&detour, "paced", true),
        (&detour, "harmless", false),
    ] {
        let met = met(course, ends, None, "LatencyRegressed");
        assert_eq!(met, as_expected, "{course:?} {ends}");
    }
    assert!(!met(&complete, "harmless", Some(4), "LatencyRegressed"));
}

#[test]
fn what_must_be_held_must_be_held_by_load_and_before_full_width() {
    let held = guarded(&[(10.0, State::Held)]);
    assert!(met(&held, "held", Some(4), "QueueSaturated"));
    assert!(met(&held, "held", None, "ForecastExceedsCapacity"));
    assert!(!met(&held, "held", Some(4), "EvidenceAbsent"));
    assert!(!met(&held, "held", Some(4), "PodsUnhealthy"));
    let mut everywhere = held;
    everywhere.states[0].width = everywhere.full_width;
    assert!(!met(&everywhere, "held", Some(4), "QueueSaturated"));
}

#[test]
fn unguarded_what_is_not_harmless_must_harm() {
    let complete = unguarded(&[(3.0, 200)]);
    let stuck = unguarded(&[(3.0, 0)]);
    for (course, ends, harmed, as_expected) in [
        (&complete, "held", Some(4), true),
        (&complete, "held", None, false),
        (&complete, "paced", None, false),
        (&complete, "harmless", None, true),
        (&stuck, "harmless", None, false),
    ] {
        let met = met(course, ends, harmed, "");
        assert_eq!(met, as_expected, "{course:?} {ends} {harmed:?}");
    }
}

#[test]
fn unguarded_a_harmless_start_on_all_nodes_may_be_felt_for_a_moment() {
    let felt = |seconds| Harm {
        seconds,
        ..harm_at(Some(2))
    };
    let unguarded = unguarded(&[(3.0, 200)]);
    assert!(met_by(&unguarded, "harmless", &felt(5), ""));
    assert!(!met_by(&unguarded, "harmless", &felt(6), ""));
    let guarded = guarded(&[(10.0, State::Complete)]);
    assert!(!met_by(&guarded, "harmless", &felt(2), ""));
}

#[test]
fn agents_whose_calls_fail_prove_nothing() {
    let complete = guarded(&[(10.0, State::Complete)]);
    for (ends, requests, errors, rejected, as_expected) in [
        ("harmless", 1000, 50, 0, true),
        ("harmless", 1000, 51, 0, false),
        ("harmless", 1000, 0, 51, false),
        ("harmless", 0, 0, 0, false),
        ("paced", 1000, 900, 0, true),
        ("paced", 0, 0, 0, false),
    ] {
        let ran = Ran {
            course: &complete,
            harm: &harm_at(None),
            swarm: &SwarmUse {
                requests,
                rejected,
                errors,
                ..SwarmUse::default()
            },
            calm: true,
            blame: Blame::Untried,
        };
        let expected = expected(&profile(ends), &ran).expect("it expects");
        assert_eq!(expected.met, as_expected, "{ends} {requests} {errors}");
    }
}

#[test]
fn a_run_that_began_in_unrest_proves_nothing_and_some_profiles_expect_nothing() {
    let complete = guarded(&[(10.0, State::Complete)]);
    let ran = Ran {
        course: &complete,
        harm: &harm_at(None),
        swarm: &at_work(),
        calm: false,
        blame: Blame::Untried,
    };
    let restless = expected(&profile("harmless"), &ran).expect("it expects");
    assert!(!restless.met, "{restless:?}");
    let silent = Profile::parse("calls: []", "test").expect("a good profile");
    assert_eq!(expected(&silent, &ran), None);
}

#[test]
fn a_harmless_rollout_beside_a_loop_may_be_held_and_must_not_be_blamed() {
    let held = guarded(&[(10.0, State::Held)]);
    for (blame, as_expected) in [
        (Blame::Cleared, true),
        (Blame::Blamed("it would be too much".to_owned()), false),
        (Blame::Untried, false),
    ] {
        let ran = Ran {
            course: &held,
            harm: &harm_at(Some(4)),
            swarm: &at_work(),
            calm: true,
            blame,
        };
        let expected = expected(&profile("harmless"), &ran).expect("it expects");
        assert_eq!(expected.met, as_expected, "{expected:?}");
    }
}
