//! What a course of events amounts to: when an experiment has ended, and the figures of its report.
//! Pure, so that every definition can be tested.

use crate::{
    bystander::stats::Harm,
    profile::{Ending, Profile},
    report::{Expected, State, StateAt, WidthAt},
};

/// How long what must last is watched before it counts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// A hold must last this long to be how the rollout ends: holds clear by themselves after ten
    /// quiet seconds.
    pub steady: f64,
    /// After completion others are watched this long: agents have periods.
    pub observe: f64,
    /// The experiment ends at the latest after this.
    pub timeout: f64,
}

/// What was seen of a rollout so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Course {
    pub(super) guarded: bool,
    pub(super) full_width: u32,
    pub(super) states: Vec<StateAt>,
    pub(super) widths: Vec<WidthAt>,
}

/// Why an experiment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Held,
    Complete,
    Refused,
    TimedOut,
}

impl Course {
    /// Where the rollout stands now.
    pub(super) fn state(&self) -> State {
        match (self.states.last(), self.all_run_since()) {
            (Some(at), _) => at.state,
            (None, Some(_)) if !self.guarded => State::Complete,
            (None, _) if self.guarded => State::Pending,
            (None, _) => State::Progressing,
        }
    }

    /// Why the experiment has ended at `now`, if it has.
    pub(super) fn ended(&self, now: f64, patience: Patience) -> Option<End> {
        let since = self.states.last().map(|at| at.second);
        let lasted = |since: Option<f64>, long: f64| since.is_some_and(|since| now - since >= long);
        let end = match self.state() {
            State::Held if lasted(since, patience.steady) => Some(End::Held),
            State::Refused | State::Superseded => Some(End::Refused),
            State::Complete if lasted(self.completed(), patience.observe) => Some(End::Complete),
            _ => None,
        };
        end.or((now >= patience.timeout).then_some(End::TimedOut))
    }

    /// When all pods ran and, if guarded, the rollout was Complete.
    pub(super) fn completed(&self) -> Option<f64> {
        if !self.guarded {
            return self.all_run_since();
        }
        let complete = self.states.iter().find(|at| at.state == State::Complete)?;
        Some(complete.second)
    }

    /// When all pods first ran.
    pub(super) fn all_run_since(&self) -> Option<f64> {
        let all = |at: &&WidthAt| self.full_width > 0 && at.running >= self.full_width;
        Some(self.widths.iter().find(all)?.second)
    }

    /// The width when it was held last: what was let through by then, whatever became of it.
    pub(super) fn held_at_width(&self) -> Option<u32> {
        let held = self
            .states
            .iter()
            .rev()
            .find(|at| at.state == State::Held)?;
        Some(held.width)
    }

    /// From the first harm to the first hold after it; none if it was held when harm began.
    pub(super) fn seconds_to_hold(&self, harm: &Harm) -> Option<f64> {
        let harmed = harm.first_second? as f64;
        let before = self.states.iter().rfind(|at| at.second <= harmed);
        if before.is_some_and(|at| at.state == State::Held) {
            return None;
        }
        let held = self
            .states
            .iter()
            .find(|at| at.second > harmed && at.state == State::Held)?;
        Some(((held.second - harmed) * 10.0).round() / 10.0)
    }

    /// Whether it ended as its profile expects; none where it expects nothing.
    pub(super) fn expected(&self, profile: &Profile, harm: &Harm) -> Option<Expected> {
        let ends = profile.expect.as_ref()?.ends;
        let why = if self.guarded {
            self.unlike(ends)
        } else {
            unlike_unguarded(ends, harm)
        };
        Some(Expected {
            ends,
            met: why.is_none(),
            why,
        })
    }

    /// Why a guarded rollout is not what it must be.
    fn unlike(&self, ends: Ending) -> Option<String> {
        let (wanted, state) = match ends {
            Ending::Held => (State::Held, self.state()),
            Ending::Paced | Ending::Harmless => (State::Complete, self.state()),
        };
        if state != wanted {
            return Some(format!("it must end {wanted:?} and ended {state:?}"));
        }
        let holds = self
            .states
            .iter()
            .filter(|at| at.state == State::Held)
            .count();
        (ends == Ending::Harmless && holds > 0)
            .then(|| format!("it must never be held and was held {holds} times"))
    }
}

/// Why an unguarded rollout is not what it must be.
fn unlike_unguarded(ends: Ending, harm: &Harm) -> Option<String> {
    match (ends, harm.first_second) {
        (Ending::Held | Ending::Paced, None) => {
            Some("it must harm others when nobody guards it, and did not".to_owned())
        }
        (Ending::Harmless, Some(second)) => Some(format!(
            "it must harm nobody and did from second {second} on"
        )),
        (Ending::Held | Ending::Paced, Some(_)) | (Ending::Harmless, None) => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const PATIENCE: Patience = Patience {
        steady: 30.0,
        observe: 20.0,
        timeout: 600.0,
    };

    fn guarded(states: &[(f64, State)]) -> Course {
        Course {
            guarded: true,
            full_width: 200,
            states: states
                .iter()
                .map(|&(second, state)| StateAt {
                    second,
                    state,
                    width: 7,
                    summary: String::new(),
                })
                .collect(),
            widths: vec![],
        }
    }

    fn unguarded(running: &[(f64, u32)]) -> Course {
        Course {
            guarded: false,
            full_width: 200,
            states: vec![],
            widths: running
                .iter()
                .map(|&(second, running)| WidthAt {
                    second,
                    width: running,
                    running,
                })
                .collect(),
        }
    }

    fn harm_at(first_second: Option<i64>) -> Harm {
        Harm {
            first_second,
            ..Harm::default()
        }
    }

    fn expecting(ends: &str) -> Profile {
        let text = format!("expect: {{ends: {ends}, because: x}}");
        Profile::parse(&text, "test").expect("a good profile")
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
    fn expectations_are_about_the_end_and_for_the_harmless_about_the_way_too() {
        let held = guarded(&[(10.0, State::Held)]);
        let complete = guarded(&[(10.0, State::Complete)]);
        let detour = guarded(&[(5.0, State::Held), (20.0, State::Complete)]);
        let table = [
            (&held, "held", true),
            (&held, "paced", false),
            (&complete, "held", false),
            (&complete, "paced", true),
            (&complete, "harmless", true),
            (&detour, "paced", true),
            (&detour, "harmless", false),
        ];
        for (course, ends, met) in table {
            let expected = course
                .expected(&expecting(ends), &harm_at(None))
                .expect("it expects");
            assert_eq!(
                (expected.met, expected.why.is_none()),
                (met, met),
                "{course:?} {ends}"
            );
        }
    }

    #[test]
    fn unguarded_what_is_not_harmless_must_harm() {
        let course = unguarded(&[(3.0, 200)]);
        for (ends, harmed, met) in [
            ("held", Some(4), true),
            ("held", None, false),
            ("paced", None, false),
            ("harmless", None, true),
            ("harmless", Some(4), false),
        ] {
            let expected = course
                .expected(&expecting(ends), &harm_at(harmed))
                .expect("it expects");
            assert_eq!(expected.met, met, "{ends} {harmed:?}");
        }
        let silent = Profile::parse("calls: []", "test").expect("a good profile");
        assert_eq!(course.expected(&silent, &harm_at(None)), None);
    }
}
