//! The status as it is shown again and again: a screen in place, or a line for whatever changes.

use super::{Rollout, Status};
use crate::{api::State, view::clean::one_line};

/// To the upper left corner; lines that are too long are cut, not broken.
const BEGIN: &str = "\x1b[?7l\x1b[H";
/// The rest of a line is empty.
const END_OF_LINE: &str = "\x1b[K";
/// The rest of the screen is empty; lines are broken again.
const END: &str = "\x1b[J\x1b[?7h";

/// A screen of so many rows that is drawn over the one before. What does not fit is counted.
#[must_use]
pub fn frame(screen: &str, rows: usize) -> String {
    // The cursor stands in a row of its own.
    let room = rows.saturating_sub(1).max(1);
    let lines: Vec<_> = screen.lines().collect();
    let mut frame = BEGIN.to_owned();
    let shown = if lines.len() > room {
        room - 1
    } else {
        lines.len()
    };
    for line in &lines[..shown] {
        frame.push_str(line);
        frame.push_str(END_OF_LINE);
        frame.push_str("\r\n");
    }
    if shown < lines.len() {
        let more = lines.len() - shown;
        frame.extend([format!("… {more} more lines{END_OF_LINE}\r\n")]);
    }
    frame + END
}

/// The status in one line, in which nothing moves by itself.
#[must_use]
pub fn line(status: &Status) -> String {
    let open = status.rollouts.open.iter();
    let held = open.filter(|one| one.hold.is_some()).count();
    let trouble = match status.trouble.as_slice() {
        [] => "nothing is wrong".to_owned(),
        trouble => one_line(&trouble.join("; ")),
    };
    format!(
        "{} in flight, {} held, {} complete: {trouble}",
        status
            .rollouts
            .open
            .iter()
            .filter(|one| is_under_way(one))
            .count(),
        held,
        status.rollouts.complete.len()
    )
}

/// The rollouts that are on their way, or held, by namespace and name.
#[must_use]
pub fn under_way(status: &Status) -> Vec<String> {
    let open = status.rollouts.open.iter().filter(|one| is_under_way(one));
    open.map(|one| format!("{}/{}", one.namespace, one.name))
        .collect()
}

fn is_under_way(rollout: &Rollout) -> bool {
    if rollout.hold.is_some() {
        return true;
    }
    match rollout.state {
        None | Some(State::Progressing | State::Soaking | State::Held | State::Paused) => true,
        // What no node wants waits for nothing.
        Some(State::Pending) => rollout.full_width > 0,
        Some(
            State::Paced | State::Complete | State::LetGo | State::Refused | State::Superseded,
        ) => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_frame_fits_the_screen_and_wipes_what_was_there() {
        assert_eq!(
            frame("a\nb\n", 10),
            "\x1b[?7l\x1b[Ha\x1b[K\r\nb\x1b[K\r\n\x1b[J\x1b[?7h"
        );
        assert_eq!(
            frame("a\nb\nc\nd\n", 4),
            "\x1b[?7l\x1b[Ha\x1b[K\r\nb\x1b[K\r\n… 2 more lines\x1b[K\r\n\x1b[J\x1b[?7h"
        );
        assert_eq!(
            frame("a\nb\n", 0),
            "\x1b[?7l\x1b[H… 2 more lines\x1b[K\r\n\x1b[J\x1b[?7h"
        );
    }
}
