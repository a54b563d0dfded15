//! What a command changed, as text or as a document.

use serde::Serialize;

use super::{
    clean::one_line,
    style::{FAINT, WARN},
};

/// What was done, in the past tense.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
pub enum Done {
    /// Nothing more is let through until it is resumed.
    Paused,
    /// A person's pause is over.
    Resumed,
    /// What is held is let through, once.
    Approved,
    /// The valve is open for the revision, for good.
    Released,
    /// The gates that were there are gone, and the valve is not open: the revision could not be approved.
    Ungated,
}

impl Done {
    /// As text.
    #[must_use]
    pub const fn word(self) -> &'static str {
        match self {
            Self::Paused => "paused",
            Self::Resumed => "resumed",
            Self::Approved => "approved",
            Self::Released => "released",
            Self::Ungated => "ungated, not approved",
        }
    }
}

/// One value that was changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Change {
    /// The object, if it is not the rollout itself.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub of: Option<String>,
    /// What of it.
    pub field: String,
    /// What was there.
    pub before: String,
    /// What is there now.
    pub after: String,
}

/// What a command changed.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Changed {
    /// The rollout's namespace.
    pub namespace: String,
    /// The GuardedRollout's name.
    pub name: String,
    /// What was done.
    pub done: Done,
    /// Nothing was written: the API server was only asked.
    pub dry_run: bool,
    /// What was changed; empty if it was so already.
    pub changes: Vec<Change>,
    /// What to know besides.
    pub notes: Vec<String>,
}

/// As text, with colours, and a line break at its end.
#[must_use]
pub fn render(changed: &Changed) -> String {
    let Changed {
        namespace,
        name,
        done,
        dry_run,
        changes,
        notes,
    } = changed;
    let word = if changes.is_empty() {
        format!("is {} already: nothing was changed", done.word())
    } else {
        done.word().to_owned()
    };
    let dry = if *dry_run { " (server dry run)" } else { "" };
    let mut text = format!("guardedrollout.weir.dev/{name} of {namespace} {word}{dry}\n");
    for change in changes {
        let Change {
            of,
            field,
            before,
            after,
        } = change;
        let of = of.as_ref().map(|of| format!("{of} ")).unwrap_or_default();
        let (before, after) = (one_line(before), one_line(after));
        text.extend([format!(
            "  {of}{field}: {FAINT}{before}{FAINT:#} -> {after}\n"
        )]);
    }
    let note = |note: &String| format!("{WARN}note{WARN:#}: {}\n", one_line(note));
    text.extend(notes.iter().map(note));
    text
}

#[cfg(test)]
mod tests {
    use super::*;

    fn changed() -> Changed {
        Changed {
            namespace: "shop".to_owned(),
            name: "logs-5d4f".to_owned(),
            done: Done::Paused,
            dry_run: true,
            changes: vec![Change {
                of: None,
                field: "spec.paused".to_owned(),
                before: "false".to_owned(),
                after: "true".to_owned(),
            }],
            notes: vec!["it is complete".to_owned()],
        }
    }

    fn plain(changed: &Changed) -> String {
        anstream::adapter::strip_str(&render(changed)).to_string()
    }

    #[test]
    fn each_value_is_shown_as_it_was_and_as_it_is() {
        assert_eq!(
            plain(&changed()),
            "guardedrollout.weir.dev/logs-5d4f of shop paused (server dry run)\n  \
             spec.paused: false -> true\nnote: it is complete\n"
        );
    }

    #[test]
    fn what_others_wrote_forges_no_line() {
        let mut changed = changed();
        changed.changes[0].before = "none\nnote: all is well\x1b[8m".to_owned();
        let shown = render(&changed);
        assert!(shown.contains("none note: all is well^[[8m"), "{shown}");
    }

    #[test]
    fn that_nothing_was_changed_is_said() {
        let changed = Changed {
            dry_run: false,
            changes: Vec::new(),
            notes: Vec::new(),
            ..changed()
        };
        assert_eq!(
            plain(&changed),
            "guardedrollout.weir.dev/logs-5d4f of shop is paused already: nothing was changed\n"
        );
    }
}
