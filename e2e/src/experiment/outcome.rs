//! What a course of events amounts to: when an experiment has ended, and the figures of its report.
//! Pure, so that every definition can be tested.

use crate::{
    bystander::stats::Harm,
    report::{State, StateAt, WidthAt, was_held_at},
};

/// How long what must last is watched before it counts, in seconds.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Patience {
    /// Before the rollout a quiet client is measured, and Weir watched, for this long.
    pub idle: f64,
    /// A hold must last this long to be how the rollout ends: holds clear by themselves after ten
    /// quiet seconds.
    pub steady: f64,
    /// After completion others are watched this long: agents have periods.
    pub observe: f64,
    /// The experiment ends at the latest after this.
    pub timeout: f64,
    /// It ends when so many pods have run for `steady`; none if it is about the rollout's own end.
    pub until_width: Option<u32>,
}

/// What was seen of a rollout so far.
#[derive(Debug, Clone, Default, PartialEq)]
pub(super) struct Course {
    pub(super) guarded: bool,
    pub(super) full_width: u32,
    pub(super) states: Vec<StateAt>,
    pub(super) widths: Vec<WidthAt>,
    /// The least that Weir multiplied its waves by, once it said so.
    pub(super) slowest: Option<f64>,
    /// Nodes that join after it, so that it ends only once their pods run; 0 for none.
    pub(super) joins: u32,
    /// When they joined.
    pub(super) joined: Option<f64>,
}

/// Why an experiment ends.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum End {
    Held,
    Complete,
    Refused,
    Reached,
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
        let reached = patience
            .until_width
            .and_then(|width| self.running_since(width));
        let end = match self.state() {
            State::Held if lasted(since, patience.steady) => Some(End::Held),
            State::Refused | State::Superseded => Some(End::Refused),
            State::Complete | State::Paced if lasted(self.settled(), patience.observe) => {
                Some(End::Complete)
            }
            _ if lasted(reached, patience.steady) => Some(End::Reached),
            _ => None,
        };
        end.or((now >= patience.timeout).then_some(End::TimedOut))
    }

    /// When all pods ran and, if guarded, the rollout was Complete, or Paced for ever.
    pub(super) fn completed(&self) -> Option<f64> {
        if !self.guarded {
            return self.all_run_since();
        }
        let mut states = self.states.iter();
        let complete = states.find(|at| matches!(at.state, State::Complete | State::Paced))?;
        Some(complete.second)
    }

    /// When nothing more was to come: it was through, and so were the pods of nodes that joined after it.
    fn settled(&self) -> Option<f64> {
        if self.joins == 0 {
            return self.completed();
        }
        self.joined?;
        self.running_since(self.full_width + self.joins)
    }

    /// From the joining of nodes until all of their pods ran, in seconds.
    pub(super) fn seconds_to_run_joined(&self) -> Option<f64> {
        let ran = self.running_since(self.full_width + self.joins)?;
        Some(ran - self.joined?)
    }

    /// The most pods that began to run within a second, from the joining of nodes on.
    pub(super) fn most_begun_in_a_second(&self) -> u32 {
        let Some(joined) = self.joined else { return 0 };
        let after: Vec<_> = self
            .widths
            .iter()
            .filter(|at| at.second >= joined)
            .collect();
        let rise = |pair: &[&WidthAt]| match pair {
            [before, at] => at.running.saturating_sub(before.running),
            _ => 0,
        };
        after.windows(2).map(rise).max().unwrap_or_default()
    }

    /// When all pods first ran.
    pub(super) fn all_run_since(&self) -> Option<f64> {
        self.running_since(self.full_width)
    }

    /// When so many pods first ran.
    fn running_since(&self, width: u32) -> Option<f64> {
        let as_many = |at: &&WidthAt| width > 0 && at.running >= width;
        Some(self.widths.iter().find(as_many)?.second)
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

    /// The same as a share of full width.
    pub(super) fn held_at_share(&self) -> Option<f64> {
        let share = f64::from(self.held_at_width()?) / f64::from(self.full_width.max(1));
        Some((share * 1e4).round() / 1e4)
    }

    /// From the first harm to the first hold after it; none if it was held when harm began.
    pub(super) fn seconds_to_hold(&self, harm: &Harm) -> Option<f64> {
        let harmed = harm.first_second? as f64;
        if was_held_at(&self.states, harmed) {
            return None;
        }
        let held = self
            .states
            .iter()
            .find(|at| at.second > harmed && at.state == State::Held)?;
        Some(((held.second - harmed) * 10.0).round() / 10.0)
    }

    /// What held it last, as its status said.
    pub(super) fn held_by(&self) -> Option<&str> {
        let mut states = self.states.iter();
        let held = states.rfind(|at| at.state == State::Held)?;
        held.held_by.as_deref()
    }

    /// When the first agent ran.
    pub(super) fn agents_from(&self) -> Option<f64> {
        let first = self.widths.iter().find(|at| at.running > 0)?;
        Some(first.second)
    }
}

#[cfg(test)]
pub(super) mod tests;
