//! How fresh each source of evidence is, as series: what is not fresh only ever holds.

use weir_core::evidence::{Dns, Reading, ServerEvidence, ServerId};

use super::{Labels, Page, dns::of_layer, of_server};
use crate::snapshot::Snapshot;

const STATE: &str = "evidence_state";
const AGE: &str = "evidence_age_seconds";

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [STATE, AGE].into_iter()
}

/// One source.
struct Source {
    labels: Labels,
    state: &'static str,
    /// Since it was last current, in seconds, where that is known.
    age: Option<f64>,
}

impl Source {
    fn of<T>(name: &str, mut labels: Labels, reading: &Reading<T>) -> Self {
        labels.push(("source", name.to_owned()));
        let (state, age) = match reading {
            Reading::Fresh(_) => ("Fresh", Some(0.0)),
            Reading::Masked { .. } => ("Masked", None),
            Reading::Stale { age, .. } => ("Stale", Some(age.as_secs_f64())),
            Reading::Absent { .. } => ("Absent", None),
            Reading::Garbled { .. } => ("Garbled", None),
        };
        Self { labels, state, age }
    }
}

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let sources: Vec<Source> = snapshot
        .servers
        .iter()
        .flat_map(|(id, server)| of_one_server(id, server))
        .chain(watches(snapshot))
        .chain(layers(snapshot))
        .chain(dependencies(snapshot))
        .collect();
    let states = sources.iter().map(|source| {
        let mut labels = source.labels.clone();
        labels.push(("state", source.state.to_owned()));
        (labels, 1.0)
    });
    page.gauges(
        STATE,
        "1 for the state that a source of evidence is in: Fresh, Masked, Stale, Absent or Garbled",
        states,
    );
    let ages = sources
        .iter()
        .filter_map(|source| Some((source.labels.clone(), source.age?)));
    page.gauges(
        AGE,
        "Since a source of evidence was last current; no series while there is none",
        ages,
    );
}

fn of_one_server(id: &ServerId, server: &ServerEvidence) -> [Source; 3] {
    [
        Source::of("probes", of_server(id), &server.latency),
        Source::of("queues", of_server(id), &server.flow),
        Source::of("process", of_server(id), &server.process),
    ]
}

fn watches(snapshot: &Snapshot) -> impl Iterator<Item = Source> {
    let watches = snapshot.sources.iter();
    watches.map(|(what, reading)| {
        let labels = vec![("resource", (*what).to_owned())];
        Source::of("watch", labels, reading)
    })
}

/// What is shown of a layer that is masked is as old as the beacon that it shows.
fn layers(snapshot: &Snapshot) -> impl Iterator<Item = Source> {
    let dns = match &snapshot.dns {
        Dns::Measured(dns) => Some(&dns.layers),
        Dns::Unasked | Dns::NotMeasured { .. } | Dns::Awaited { .. } => None,
    };
    dns.into_iter().flatten().map(|(name, layer)| {
        let source = Source::of("dns", of_layer(name, layer.role), &layer.reading);
        let lag = match &layer.reading {
            Reading::Masked { value, .. } => Some(value.lag.as_secs_f64()),
            Reading::Fresh(_)
            | Reading::Stale { .. }
            | Reading::Absent { .. }
            | Reading::Garbled { .. } => None,
        };
        Source {
            age: source.age.or(lag),
            ..source
        }
    })
}

fn dependencies(snapshot: &Snapshot) -> impl Iterator<Item = Source> {
    let dependencies = snapshot.dependencies.iter();
    dependencies.map(|((policy, dependency), reading)| {
        let labels = vec![
            ("policy", policy.clone()),
            ("dependency", dependency.clone()),
        ];
        Source::of("dependency", labels, reading)
    })
}
