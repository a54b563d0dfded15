//! States and modes as they are shown, each in its colour.

use anstyle::Style;

use super::style::{BAD, BUSY, FAINT, GOOD, WARN};
use crate::api::{Mode, State};

/// A rollout's state; none before Weir has judged it.
pub(super) const fn state(state: Option<State>) -> (&'static str, Style) {
    match state {
        None => ("New", BUSY),
        Some(State::Pending) => ("Pending", BUSY),
        Some(State::Progressing) => ("Progressing", BUSY),
        Some(State::Soaking) => ("Soaking", BUSY),
        Some(State::Held) => ("Held", BAD),
        Some(State::Paused) => ("Paused", WARN),
        Some(State::Paced) => ("Paced", GOOD),
        Some(State::Complete) => ("Complete", GOOD),
        Some(State::LetGo) => ("LetGo", FAINT),
        Some(State::Refused) => ("Refused", BAD),
        Some(State::Superseded) => ("Superseded", FAINT),
    }
}

/// How far Weir goes.
pub(super) const fn mode(mode: Mode) -> &'static str {
    match mode {
        Mode::Observe => "Observe",
        Mode::Shadow => "Shadow",
        Mode::Enforce => "Enforce",
    }
}
