//! An explanation as text.

use super::{Explanation, forecast};
use crate::{
    api::{Finding, Mode, Severity, State},
    view::{
        clean::one_line,
        incident,
        style::{BAD, HEAD, WARN},
        words::{mode, state},
        wrap::{used, wrapped},
    },
};

/// The explanation for a terminal of so many columns, with colours, and a line break at its end.
#[must_use]
pub fn render(explanation: &Explanation, columns: usize) -> String {
    let columns = used(columns);
    let mut parts = vec![stand(explanation, columns)];
    parts.extend(findings(explanation, columns));
    parts.extend(incident(explanation, columns));
    match (&explanation.forecast, &explanation.no_forecast) {
        (Some(told), _) => parts.extend(forecast::render(told, columns)),
        (None, why) => {
            let why = why.as_deref().unwrap_or("none was made");
            let mut lines = vec![format!("{HEAD}FORECAST{HEAD:#}  none yet")];
            lines.extend(wrapped(why, columns, "  ", "  "));
            parts.push(lines);
        }
    }
    let mut text = parts
        .into_iter()
        .map(|lines| lines.join("\n"))
        .collect::<Vec<_>>()
        .join("\n\n");
    text.push('\n');
    text
}

fn stand(explanation: &Explanation, columns: usize) -> Vec<String> {
    let Explanation {
        namespace,
        name,
        workload,
        revision,
        wave,
        width,
        full_width,
        ..
    } = explanation;
    let (state, style) = state(explanation.state);
    let by = match (&explanation.held_by, explanation.state) {
        (Some(rule), Some(State::Held)) => format!(" by {rule}"),
        // Its state is that of its last judgement, and what holds it is none.
        (Some(rule), _) if explanation.held => format!(", held by {rule}"),
        _ => String::new(),
    };
    let mode = explanation.mode.map_or_else(
        || "not guarded".to_owned(),
        |known| format!("mode {}", mode(known)),
    );
    let mut lines = vec![
        format!(
            "{HEAD}{namespace}/{name}{HEAD:#}  DaemonSet {}, revision {revision}",
            workload.name
        ),
        format!(
            "  {style}{state}{style:#}{by}; {width} of {full_width} pods out, wave {wave}, {mode}"
        ),
    ];
    let summary = explanation.summary.as_deref().unwrap_or_default();
    lines.extend(wrapped(summary, columns, "  ", "  "));
    if explanation.mode == Some(Mode::Shadow) {
        lines.push("  In shadow nothing is held: this is what Weir would have done.".to_owned());
    }
    if explanation.nodes_without_pod > 0 {
        lines.push(format!(
            "  {} nodes wait for a pod",
            explanation.nodes_without_pod
        ));
    }
    if !explanation.policies.is_empty() {
        lines.push(format!(
            "  Judged by {}",
            one_line(&explanation.policies.join(", "))
        ));
    }
    lines
}

fn incident(explanation: &Explanation, columns: usize) -> Option<Vec<String>> {
    let told = explanation.incident.as_ref()?;
    let is_followed = !matches!(
        explanation.state,
        Some(State::Complete | State::LetGo | State::Superseded)
    );
    let which = match told.mitigated {
        None if !is_followed => "its end was not seen: this rollout is no longer followed",
        None => "goes on",
        Some(_) => "the last one",
    };
    let mut lines = vec![format!("{HEAD}INCIDENT{HEAD:#}  {which}")];
    for line in incident::lines(told) {
        lines.extend(wrapped(&line, columns, "  ", "    "));
    }
    Some(lines)
}

fn findings(explanation: &Explanation, columns: usize) -> Option<Vec<String>> {
    if explanation.findings.is_empty() {
        return None;
    }
    let mut lines = vec![format!("{HEAD}FINDINGS{HEAD:#}")];
    for finding in &explanation.findings {
        let Finding {
            reason,
            severity,
            subject,
            evidence,
            clears_when,
        } = finding;
        let (word, style) = match severity {
            Severity::Hold => ("Hold", BAD),
            Severity::Notice => ("Notice", WARN),
        };
        lines.push(format!(
            "  {style}{word}{style:#}  {}",
            one_line(&format!("{reason} on {subject}"))
        ));
        lines.extend(wrapped(evidence, columns, "    ", "    "));
        let clears = format!("clears when {clears_when}");
        lines.extend(wrapped(&clears, columns, "    ", "    "));
    }
    match explanation.findings_omitted {
        0 => {}
        more => lines.push(format!(
            "  and {more} more, which the status has no room for"
        )),
    }
    Some(lines)
}
