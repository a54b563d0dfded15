//! What holds a rollout, by its status, for everybody who tells it.
//!
//! Its state alone does not say it: a rollout whose writes fail stands where its last judgement left it, say
//! at `Progressing`, and nothing more of it is let through.

use serde::Serialize;

use super::{
    GuardedRolloutStatus, Mode, State,
    marks::conditions::{PODS_STRANDED, WRITE_FAILED},
};

/// A hold that is not a person's pause.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
pub struct Hold {
    /// The most severe finding, or `WriteFailed`, or `PodsStranded`.
    pub by: String,
    /// Pods wait for its end; else they only would, were the rollout enforced.
    pub enforced: bool,
}

/// What Weir holds `heldBy` at while a person's pause does.
pub const PAUSED: &str = "Paused";

impl Hold {
    /// What holds the rollout, if anything but a person does.
    #[must_use]
    pub fn of(status: &GuardedRolloutStatus) -> Option<Self> {
        let by = status.held_by.as_deref().filter(|by| *by != PAUSED);
        let by = by.or((status.state == Some(State::Held)).then_some("Held"))?;
        let is_judged = ![WRITE_FAILED, PODS_STRANDED].contains(&by);
        Some(Self {
            by: by.to_owned(),
            // Those two are of pods that are gated, whatever the mode is that they are told in.
            enforced: !is_judged || matches!(status.mode, None | Some(Mode::Enforce)),
        })
    }

    /// Whether Weir holds it because it cannot write, not because of what it found.
    #[must_use]
    pub fn is_unwritten(&self) -> bool {
        self.by == WRITE_FAILED
    }

    /// Whether pods of it are gated that Weir may not let through.
    #[must_use]
    pub fn is_stranded(&self) -> bool {
        self.by == PODS_STRANDED
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn told(state: &str, mode: &str, by: Option<&str>) -> Option<(String, bool)> {
        let status = json!({ "state": state, "mode": mode, "heldBy": by });
        let hold = Hold::of(&serde_json::from_value(status).unwrap())?;
        Some((hold.by, hold.enforced))
    }

    #[test]
    fn a_rollout_is_held_by_what_its_status_says_whatever_its_state_is() {
        let by = |by: &str, enforced| Some((by.to_owned(), enforced));
        for (state, mode, held_by, expected) in [
            ("Progressing", "Enforce", None, None),
            ("Paused", "Enforce", Some("Paused"), None),
            ("Held", "Enforce", None, by("Held", true)),
            ("Held", "Enforce", Some("NodesLost"), by("NodesLost", true)),
            ("Held", "Shadow", Some("NodesLost"), by("NodesLost", false)),
            (
                "Progressing",
                "Enforce",
                Some("WriteFailed"),
                by("WriteFailed", true),
            ),
            (
                "Paused",
                "Enforce",
                Some("WriteFailed"),
                by("WriteFailed", true),
            ),
            (
                "Held",
                "Observe",
                Some("PodsStranded"),
                by("PodsStranded", true),
            ),
        ] {
            assert_eq!(told(state, mode, held_by), expected, "{state} {held_by:?}");
        }
    }
}
