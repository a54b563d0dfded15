//! What an experiment's state is, from what was seen of it.

use super::*;

const PATIENCE: Patience = Patience {
    idle: 15.0,
    steady: 30.0,
    observe: 20.0,
    timeout: 600.0,
    until_width: None,
};

pub(in crate::experiment) fn guarded(states: &[(f64, State)]) -> Course {
    Course {
        guarded: true,
        full_width: 200,
        states: states
            .iter()
            .map(|&(second, state)| StateAt {
                second,
                state,
                width: 7,
                held_by: None,
                summary: String::new(),
            })
            .collect(),
        ..Course::default()
    }
}

pub(in crate::experiment) fn unguarded(running: &[(f64, u32)]) -> Course {
    Course {
        guarded: false,
        full_width: 200,
        widths: running
            .iter()
            .map(|&(second, running)| WidthAt {
                second,
                width: running,
                running,
            })
            .collect(),
        ..Course::default()
    }
}

pub(in crate::experiment) fn harm_at(first_second: Option<i64>) -> Harm {
    Harm {
        first_second,
        ..Harm::default()
    }
}

#[test]
fn a_hold_ends_the_experiment_once_it_lasts() {
    let course = guarded(&[(1.0, State::Progressing), (10.0, State::Held)]);
    assert_eq!(course.ended(39.0, PATIENCE), None);
    assert_eq!(course.ended(40.0, PATIENCE), Some(End::Held));
    let resumed = guarded(&[(10.0, State::Held), (30.0, State::Soaking)]);
    assert_eq!(resumed.ended(80.0, PATIENCE), None);
    assert_eq!(resumed.ended(600.0, PATIENCE), Some(End::TimedOut));
    assert_eq!(resumed.state(), State::Soaking);
}

#[test]
fn completion_ends_it_after_others_were_watched_for_a_while() {
    let course = guarded(&[(1.0, State::Progressing), (100.0, State::Complete)]);
    assert_eq!(course.ended(119.0, PATIENCE), None);
    assert_eq!(course.ended(120.0, PATIENCE), Some(End::Complete));
    let course = unguarded(&[(1.0, 50), (2.0, 199), (3.0, 200), (4.0, 200)]);
    assert_eq!(
        (course.state(), course.completed()),
        (State::Complete, Some(3.0))
    );
    assert_eq!(course.ended(23.0, PATIENCE), Some(End::Complete));
}

#[test]
fn pods_that_never_all_run_are_no_completion() {
    let course = unguarded(&[(1.0, 50), (599.0, 199)]);
    assert_eq!(
        (course.state(), course.completed()),
        (State::Progressing, None)
    );
    assert_eq!(course.ended(600.0, PATIENCE), Some(End::TimedOut));
    // All run, but the guard has not said that it is through with them.
    let course = Course {
        guarded: true,
        ..unguarded(&[(3.0, 200)])
    };
    assert_eq!((course.state(), course.completed()), (State::Pending, None));
}

#[test]
fn what_is_paced_for_ever_is_everywhere_too() {
    let course = guarded(&[(1.0, State::Progressing), (100.0, State::Paced)]);
    assert_eq!(course.completed(), Some(100.0));
    assert_eq!(course.ended(120.0, PATIENCE), Some(End::Complete));
}

#[test]
fn nodes_that_join_after_it_are_waited_for() {
    let widths = [
        (9.0, 200),
        (30.0, 200),
        (31.0, 230),
        (32.0, 235),
        (40.0, 260),
    ];
    let mut course = Course {
        joins: 60,
        ..unguarded(&widths)
    };
    assert_eq!(
        course.ended(29.0, PATIENCE),
        None,
        "they have not joined yet"
    );
    course.joined = Some(30.0);
    assert_eq!(course.completed(), Some(9.0), "the rollout itself was over");
    assert_eq!(course.ended(59.0, PATIENCE), None);
    assert_eq!(course.ended(60.0, PATIENCE), Some(End::Complete));
    assert_eq!(course.seconds_to_run_joined(), Some(10.0));
    assert_eq!(course.most_begun_in_a_second(), 30);
    course.widths.pop();
    assert_eq!(course.seconds_to_run_joined(), None);
    assert_eq!(course.ended(600.0, PATIENCE), Some(End::TimedOut));
}

#[test]
fn an_experiment_about_a_width_ends_when_it_has_lasted() {
    let patience = Patience {
        until_width: Some(16),
        ..PATIENCE
    };
    let course = Course {
        guarded: true,
        ..unguarded(&[(1.0, 8), (40.0, 16), (41.0, 16)])
    };
    assert_eq!(course.ended(69.0, patience), None);
    assert_eq!(course.ended(70.0, patience), Some(End::Reached));
    assert_eq!(course.ended(70.0, PATIENCE), None);
}

#[test]
fn a_hold_is_told_as_a_share_of_full_width() {
    let course = guarded(&[(10.0, State::Held)]);
    assert_eq!(course.held_at_share(), Some(0.035));
    assert_eq!(guarded(&[]).held_at_share(), None);
}

#[test]
fn a_refusal_ends_it_at_once() {
    assert_eq!(
        guarded(&[(2.0, State::Refused)]).ended(2.0, PATIENCE),
        Some(End::Refused)
    );
}

#[test]
fn the_time_to_hold_runs_from_the_first_harm() {
    use State::{Held, Progressing, Soaking};
    let table = [
        (vec![(1.0, Progressing), (14.26, Held)], Some(10), Some(4.3)),
        // It was held when harm began: the hold came first.
        (vec![(1.0, Progressing), (9.0, Held)], Some(10), None),
        // An early hold had cleared when harm began.
        (
            vec![(5.0, Held), (8.0, Soaking), (12.0, Held)],
            Some(10),
            Some(2.0),
        ),
        // Nobody was harmed; it was never held.
        (vec![(1.0, Progressing), (9.0, Held)], None, None),
        (vec![(1.0, Progressing)], Some(10), None),
    ];
    for (states, harmed, expected) in table {
        let seconds = guarded(&states).seconds_to_hold(&harm_at(harmed));
        assert_eq!(seconds, expected, "{states:?} {harmed:?}");
    }
}

#[test]
fn agents_begin_with_the_first_that_runs() {
    assert_eq!(
        unguarded(&[(1.2, 0), (2.7, 1), (3.7, 9)]).agents_from(),
        Some(2.7)
    );
    assert_eq!(unguarded(&[(1.2, 0)]).agents_from(), None);
}
