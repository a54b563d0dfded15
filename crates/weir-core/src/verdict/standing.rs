//! Hysteresis: harm stands until it has been seen, freshly, to be gone for long enough.
//!
//! Without it a rollout would resume at every dip of a storm, and missing evidence would look like
//! the end of the harm that was last seen.

use crate::{
    history::Standing,
    plan::{Finding, Kind, Rule, Severity},
    time::{Moment, Span},
};

/// Harm found now, each since it was first found.
pub(super) fn found(last: &[Standing], findings: &[Finding], now: Moment) -> Vec<Standing> {
    let since = |finding: &Finding| {
        last.iter()
            .find(|old| same(&old.finding, finding))
            .map_or(now, |old| old.since)
    };
    findings
        .iter()
        .filter(|finding| holds_for_harm(finding))
        .map(|finding| Standing {
            finding: finding.clone(),
            since: since(finding),
            seen: now,
            quiet: Span::ZERO,
        })
        .collect()
}

/// Harm of the last judgement that was not found now, and has not been gone for long enough.
///
/// `quiet` is the time since the last judgement that may count towards clearing.
pub(super) fn lingering(
    last: &[Standing],
    findings: &[Finding],
    clear_after: Span,
    quiet: Span,
) -> Vec<Standing> {
    let found = |old: &Finding| {
        findings
            .iter()
            .any(|new| holds_for_harm(new) && same(old, new))
    };
    last.iter()
        .filter(|old| !found(&old.finding))
        .map(|old| Standing {
            quiet: old.quiet + quiet,
            ..old.clone()
        })
        .filter(|old| old.quiet < needed(old.finding.rule, clear_after))
        .collect()
}

/// What is told of lingering harm.
pub(super) fn told(harm: &Standing, clear_after: Span) -> Finding {
    let wait = needed(harm.finding.rule, clear_after);
    Finding {
        evidence: format!(
            "not seen for {}; before: {}",
            harm.quiet, harm.finding.evidence
        ),
        clears_when: format!("it has not been seen for {wait}, on fresh evidence"),
        ..harm.finding.clone()
    }
}

/// A restart's rule has a quiet time of its own.
fn needed(rule: Rule, clear_after: Span) -> Span {
    if rule == Rule::ServerRestarted {
        Span::ZERO
    } else {
        clear_after
    }
}

fn holds_for_harm(finding: &Finding) -> bool {
    finding.rule.kind() == Kind::Harm && finding.severity == Severity::Hold
}

fn same(a: &Finding, b: &Finding) -> bool {
    (a.rule, &a.subject) == (b.rule, &b.subject)
}
