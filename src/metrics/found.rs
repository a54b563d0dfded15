//! What was found of rollouts, as series.

use std::collections::BTreeMap;

use weir_core::plan::{Rule, Severity};

use super::{Labels, of_rollout};
use crate::snapshot::RolloutView;

/// How many findings of each rule and severity there are.
pub(super) fn findings((name, view): (&(String, String), &RolloutView)) -> Vec<(Labels, f64)> {
    let mut counts = BTreeMap::new();
    for finding in &view.report.findings {
        *counts
            .entry((finding.rule, finding.severity))
            .or_insert(0_u32) += 1;
    }
    let series = |((rule, severity), count): ((Rule, Severity), u32)| {
        let mut labels = of_rollout(name);
        labels.push(("rule", rule.name().to_owned()));
        labels.push(("severity", severity_name(severity).to_owned()));
        (labels, f64::from(count))
    };
    counts.into_iter().map(series).collect()
}

const fn severity_name(severity: Severity) -> &'static str {
    match severity {
        Severity::Hold => "hold",
        Severity::Notice => "notice",
    }
}
