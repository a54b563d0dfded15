//! GuardedRollouts as a table, with the columns that `kubectl get` prints.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use weir_core::time::{Moment, Span};

use super::{
    age::age,
    style::{BAD, FAINT},
    table::{self, Cell},
    words::{mode, state},
};
use crate::api::{GuardedRollout, marks::conditions, times::moment};

/// What a table is about.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// One namespace, which is not named in it.
    Namespace,
    /// All namespaces.
    Cluster,
}

/// One rollout's cells.
#[derive(Debug, Clone)]
pub struct Row {
    /// The GuardedRollout's name.
    pub name: String,
    namespace: String,
    cells: Vec<Cell>,
    more: Vec<Cell>,
}

/// A row for each rollout, in their order.
#[must_use]
pub fn rows(rollouts: &[GuardedRollout], now: Moment) -> Vec<Row> {
    rollouts.iter().map(|one| row(one, now)).collect()
}

fn row(rollout: &GuardedRollout, now: Moment) -> Row {
    let status = rollout.status.clone().unwrap_or_default();
    let name = rollout.metadata.name.clone().unwrap_or_default();
    let mut conditions = status.conditions.iter();
    let ready = conditions.find(|one| one.type_ == conditions::READY);
    let begun = rollout.metadata.creation_timestamp.as_ref();
    let begun = begun.map_or(Span::ZERO, |Time(begun)| now.since(moment(*begun)));
    let (word, style) = state(status.state);
    let held_by = status.held_by.unwrap_or_default();
    Row {
        cells: vec![
            name.as_str().into(),
            ready.map_or("", |ready| ready.status.as_str()).into(),
            Cell::styled(word, style),
            status.wave.to_string().into(),
            status.width.to_string().into(),
            status.full_width.to_string().into(),
            Cell::styled(held_by, BAD),
            age(begun).into(),
        ],
        more: vec![
            status.mode.map_or("", mode).into(),
            status.summary.unwrap_or_default().into(),
        ],
        name,
        namespace: rollout.metadata.namespace.clone().unwrap_or_default(),
    }
}

/// The table, with colours, and a line break at its end.
#[must_use]
pub fn table(rows: &[Row], scope: Scope, wide: bool) -> String {
    let titles = [
        "NAME", "READY", "STATE", "WAVE", "WIDTH", "OF", "HELD-BY", "AGE",
    ];
    let more = if wide { &["MODE", "SUMMARY"][..] } else { &[] };
    let namespace = (scope == Scope::Cluster).then_some("NAMESPACE");
    let titles = namespace
        .into_iter()
        .chain(titles)
        .chain(more.iter().copied());
    let mut lines = vec![
        titles
            .map(|title| Cell::styled(title, FAINT))
            .collect::<Vec<_>>(),
    ];
    lines.extend(rows.iter().map(|row| {
        let namespace = namespace.map(|_| Cell::from(row.namespace.as_str()));
        let more = row.more.iter().take(more.len()).cloned();
        let cells = row.cells.iter().cloned();
        namespace.into_iter().chain(cells).chain(more).collect()
    }));
    let lines = table::lines(&lines);
    // Not within a screen: nothing is set in.
    let lines = lines.iter().map(|line| line.trim_start().to_owned() + "\n");
    lines.collect()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    /// 2026-11-21T10:00:00Z.
    const NOW: Moment = Moment::from_millis(1_795_255_200_000);

    fn shown(scope: Scope, wide: bool) -> String {
        let rollouts: Vec<GuardedRollout> = serde_json::from_value(json!([
            {
                "metadata": {
                    "namespace": "shop", "name": "agent-7d9f",
                    "creationTimestamp": "2026-11-21T09:48:00Z",
                },
                "spec": {
                    "workload": { "kind": "DaemonSet", "name": "agent", "uid": "u" }, "revision": "r",
                },
                "status": {
                    "state": "Held", "mode": "Enforce", "wave": 3, "width": 4, "fullWidth": 200,
                    "heldBy": "LatencyRegressed", "summary": "Held at 4 of 200 pods.",
                    "conditions": [{
                        "type": "Ready", "status": "False", "reason": "Held", "message": "",
                        "lastTransitionTime": "2026-11-21T09:50:00Z",
                    }],
                },
            },
            {
                "metadata": { "namespace": "telemetry", "name": "new-1" },
                "spec": {
                    "workload": { "kind": "DaemonSet", "name": "new", "uid": "u" }, "revision": "r",
                },
            },
        ]))
        .unwrap();
        let text = table(&rows(&rollouts, NOW), scope, wide);
        anstream::adapter::strip_str(&text).to_string()
    }

    #[test]
    fn the_columns_are_those_of_kubectl() {
        assert_eq!(
            shown(Scope::Namespace, false),
            "NAME        READY  STATE  WAVE  WIDTH  OF   HELD-BY           AGE\n\
             agent-7d9f  False  Held   3     4      200  LatencyRegressed  12m\n\
             new-1              New    0     0      0                      0s\n"
        );
    }

    #[test]
    fn wide_and_of_all_namespaces_it_says_more() {
        assert_eq!(
            shown(Scope::Cluster, true),
            "NAMESPACE  NAME        READY  STATE  WAVE  WIDTH  OF   HELD-BY           AGE  MODE     SUMMARY\n\
             shop       agent-7d9f  False  Held   3     4      200  LatencyRegressed  12m  Enforce  Held at 4 of 200 pods.\n\
             telemetry  new-1              New    0     0      0                      0s\n"
        );
    }
}
