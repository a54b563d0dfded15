//! The figures as Markdown.

use std::time::Duration;

use super::{FOREIGN, Figures, Kind, KindFigures, LATENCY_PODS, Latency, NEVER, Restart};

const MIB: f64 = 1024.0 * 1024.0;

/// Renders the figures.
#[must_use]
pub fn report(figures: &Figures) -> String {
    let header: Vec<_> = figures.kinds.iter().map(|kind| name(kind.kind)).collect();
    let mut text = row("", &header);
    text += "|---|---|---|---|---|\n";
    let mut line = |title: &str, cell: &dyn Fn(&KindFigures) -> String| {
        let cells: Vec<_> = figures.kinds.iter().map(cell).collect();
        text += &row(title, &cells);
    };
    line(
        "policy, bindings and parameters created → first gated pod",
        &|kind| each(&kind.activation),
    );
    line("approval written → first ungated pod", &|kind| {
        spread(&kind.approval)
    });
    line("approval withdrawn → first gated pod", &|kind| {
        spread(&kind.withdrawal)
    });
    line(
        "API server killed and restarted: first answer → first gated pod",
        &|kind| restarts(kind, |restart| optional(restart.gated_after)),
    );
    line(
        "… pods let through ungated by then (50 a second tried)",
        &|kind| restarts(kind, |restart| restart.ungated.to_string()),
    );
    line("… pods refused by then", &|kind| {
        restarts(kind, |restart| restart.refused.to_string())
    });
    line(
        "bindings deleted and created again → first gated pod",
        &|kind| {
            let found: Vec<_> = kind
                .rebinding
                .iter()
                .map(|r| optional(r.gated_after))
                .collect();
            found.join(", ")
        },
    );
    line(
        "… approval written after that → first ungated pod",
        &|kind| {
            let found: Vec<_> = kind
                .rebinding
                .iter()
                .map(|r| optional(r.approved_after))
                .collect();
            found.join(", ")
        },
    );
    line(
        "another's ValidatingAdmissionPolicy with ConfigMap parameters, there first, is deleted; \
         approval written → first ungated pod",
        &|kind| optional(kind.bereaved),
    );
    let (count, bytes) = FOREIGN;
    line(
        &format!("live heap of the API server before {count} ConfigMaps of {bytes} bytes"),
        &|kind| mib(kind.heap.0),
    );
    line("… and after", &|kind| mib(kind.heap.1));
    text + &latencies(&figures.latency)
}

fn latencies(latency: &Latency) -> String {
    let mut text =
        format!("\n{LATENCY_PODS} pods each, created by dry run, one after the other:\n\n");
    text += "| | p50 | p99 |\n|---|---|---|\n";
    for (title, (p50, p99)) in [
        ("no policy", latency.none),
        ("policy, namespace not enrolled", latency.others),
        ("policy, approved revision", latency.approved),
        (
            "policy, approved revision, by annotations of the namespace",
            latency.approved_in_namespace,
        ),
        (
            "policy, approved revision, by a custom resource",
            latency.approved_in_resource,
        ),
        ("policy, gated", latency.gated),
    ] {
        text += &row(title, &[p50, p99].map(|millis| format!("{millis:.2} ms")));
    }
    text
}

/// The value at or below which so many per cent of the durations lie, in milliseconds.
pub(super) fn percentile(durations: &[Duration], percent: usize) -> f64 {
    let mut sorted = durations.to_vec();
    sorted.sort_unstable();
    let at = sorted.len().saturating_sub(1) * percent / 100;
    sorted
        .get(at)
        .map_or(f64::NAN, |found| found.as_secs_f64() * 1000.0)
}

fn name(kind: Kind) -> String {
    match kind {
        Kind::ConfigMap => "ConfigMap".to_owned(),
        Kind::CustomResource => "custom resource".to_owned(),
        Kind::Namespace => "annotations of the namespace".to_owned(),
        Kind::Role => "role".to_owned(),
    }
}

fn row(title: &str, cells: &[String]) -> String {
    format!("| {title} | {} |\n", cells.join(" | "))
}

fn each(durations: &[Duration]) -> String {
    let found: Vec<_> = durations.iter().copied().map(seconds).collect();
    found.join(", ")
}

fn spread(durations: &[Duration]) -> String {
    let (p50, max) = (percentile(durations, 50), percentile(durations, 100));
    format!("p50 {p50:.0} ms, max {max:.0} ms (n = {})", durations.len())
}

fn restarts(kind: &KindFigures, cell: impl Fn(&Restart) -> String) -> String {
    let found: Vec<_> = kind.restart.iter().map(cell).collect();
    found.join(", ")
}

fn optional(duration: Option<Duration>) -> String {
    duration.map_or_else(|| format!("never (waited {} s)", NEVER.as_secs()), seconds)
}

fn seconds(duration: Duration) -> String {
    format!("{:.1} s", duration.as_secs_f64())
}

fn mib(bytes: f64) -> String {
    format!("{:.1} MiB", bytes / MIB)
}
