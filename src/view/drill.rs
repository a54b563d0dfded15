//! What a drill proved, as text or as a document.

use serde::Serialize;

use super::{
    clean::one_line,
    style::{BAD, FAINT, GOOD, HEAD},
};
use crate::api::Mode;

/// What a drill proved.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Drill {
    /// The namespace that it was done in.
    pub namespace: String,
    /// How far Weir may go; none if it did not say.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Whether all was proven, and everything is gone again.
    pub success: bool,
    /// What was to be proven, in order, as far as it came.
    pub steps: Vec<Step>,
    /// What could not be removed, each with how to.
    pub left: Vec<String>,
}

/// One thing that was to be proven.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Step {
    /// It never changes.
    pub id: &'static str,
    /// What should be so.
    pub title: &'static str,
    /// Whether it is.
    pub proven: bool,
    /// What was seen.
    pub said: String,
    /// How long it took.
    pub seconds: u64,
}

/// One step in one line.
#[must_use]
pub fn line(step: &Step) -> String {
    let (glyph, style) = if step.proven {
        ("√", GOOD)
    } else {
        ("×", BAD)
    };
    let said = match step.said.as_str() {
        "" => String::new(),
        said => format!(": {}", one_line(said)),
    };
    format!(
        "{style}{glyph}{style:#} {}{said} {FAINT}({} s){FAINT:#}",
        step.title, step.seconds
    )
}

/// As text, with colours, and a line break at its end.
#[must_use]
pub fn render(drill: &Drill) -> String {
    let mode = drill.mode.map_or_else(
        || "its mode is not known".to_owned(),
        |mode| format!("its mode is {mode:?}"),
    );
    let mut lines = vec![format!(
        "{HEAD}DRILL{HEAD:#} of Weir in namespace {} ({mode})",
        drill.namespace
    )];
    lines.extend(drill.steps.iter().map(line));
    lines.extend(
        drill
            .left
            .iter()
            .map(|left| format!("{BAD}left{BAD:#}: {left}")),
    );
    lines.push(if drill.success {
        format!("{GOOD}Weir does what it should.{GOOD:#}")
    } else if drill.steps.iter().all(|step| step.proven) {
        format!("{BAD}All was proven, but not all is gone again.{BAD:#}")
    } else {
        format!("{BAD}Not all was proven.{BAD:#} `kubectl weir check` looks for the cause.")
    });
    lines.join("\n") + "\n"
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn each_step_is_told_and_what_came_of_all() {
        let step = |proven: bool| Step {
            id: "gated",
            title: "Its pods are born gated",
            proven,
            said: "2 pods".to_owned(),
            seconds: 3,
        };
        let mut drill = Drill {
            namespace: "weir-drill-1".to_owned(),
            mode: Some(Mode::Enforce),
            success: true,
            steps: vec![step(true)],
            left: Vec::new(),
        };
        let plain = |drill: &Drill| anstream::adapter::strip_str(&render(drill)).to_string();
        assert_eq!(
            plain(&drill),
            "DRILL of Weir in namespace weir-drill-1 (its mode is Enforce)\n\
             √ Its pods are born gated: 2 pods (3 s)\nWeir does what it should.\n"
        );
        (drill.success, drill.steps) = (false, vec![step(false)]);
        assert!(
            plain(&drill).contains("× Its pods") && plain(&drill).contains("Not all was proven")
        );
        drill.steps = vec![step(true)];
        drill.left = vec!["namespace weir-drill-1".to_owned()];
        assert!(plain(&drill).contains("left: namespace weir-drill-1\nAll was proven, but"));
    }
}
