//! Faults of the evidence itself. What is not known only ever holds.

use super::{Scene, servers::Server};
use crate::{
    evidence::{Reading, ServerEvidence},
    plan::{Finding, Rule},
    policy::Servers,
    time::Span,
};

/// What the number of API servers that there should be is called among the sources.
const SERVER_COUNT: &str = "number of API servers";

/// What is wrong with a reading, whatever it is of.
enum Gap {
    Stale(Span),
    Missing(String),
}

fn gap<T>(reading: &Reading<T>) -> Option<Gap> {
    match reading {
        Reading::Fresh(_) => None,
        Reading::Stale { age, .. } => Some(Gap::Stale(*age)),
        Reading::Masked { by, .. } => Some(Gap::Missing(format!("masked ({})", by.name()))),
        Reading::Absent { why } => Some(Gap::Missing(why.clone())),
        Reading::Garbled { why } => Some(Gap::Missing(format!("not understood: {why}"))),
    }
}

/// A source of an API server was last heard too long ago.
pub(super) fn server_stale(_: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let silent = said(server_gaps(server.known), |gap| match gap {
        Gap::Stale(age) => Some(format!("silent for {age}")),
        Gap::Missing(_) => None,
    })?;
    Some(Finding::hold(
        Rule::EvidenceStale,
        server.name.as_str(),
        silent,
        "it answers again; see that it runs, and that Weir reaches this address (until then it is not \
         known whether it suffers)",
    ))
}

/// A source of an API server says nothing, or nothing that can be understood.
pub(super) fn server_absent(_: &Scene<'_>, server: &Server<'_>) -> Option<Finding> {
    let missing = said(server_gaps(server.known), |gap| match gap {
        Gap::Stale(_) => None,
        Gap::Missing(why) => Some(why),
    })?;
    Some(Finding::hold(
        Rule::EvidenceAbsent,
        server.name.as_str(),
        missing,
        "it is read whole again; see that Weir reaches this address and may read /metrics",
    ))
}

/// A source of the rollout was last heard too long ago.
pub(super) fn evidence_stale(scene: &Scene<'_>) -> Vec<Finding> {
    rollout_gaps(scene)
        .filter_map(|(source, gap)| match gap {
            Gap::Stale(age) => Some(Finding::hold(
                Rule::EvidenceStale,
                source,
                format!("silent for {age}"),
                "it is heard again; if that takes long, Weir's log says what its watch met",
            )),
            Gap::Missing(_) => None,
        })
        .collect()
}

/// A source of the rollout says nothing, or nothing that can be understood.
pub(super) fn evidence_absent(scene: &Scene<'_>) -> Vec<Finding> {
    rollout_gaps(scene)
        .filter_map(|(source, gap)| match gap {
            Gap::Stale(_) => None,
            Gap::Missing(why) => Some(Finding::hold(
                Rule::EvidenceAbsent,
                source,
                why,
                if source == SERVER_COUNT {
                    "it is known, or a RolloutPolicy states it (required.apiServers)"
                } else {
                    "it is read; see that Weir may list and watch it (kubectl auth can-i, as Weir's \
                     ServiceAccount)"
                },
            )),
        })
        .collect()
}

/// Fewer API servers are seen than there should be.
pub(super) fn servers_missing(scene: &Scene<'_>) -> Vec<Finding> {
    let seen = scene.servers.len();
    let found = scene.evidence.expected_servers.fresh().copied();
    let (required, found) = match scene.policy.required.servers {
        Servers::Stated(required) => (required, 0),
        Servers::AsFound { at_least } => (at_least, found.unwrap_or(0)),
    };
    let wanted = required.max(found).max(1);
    if seen >= wanted as usize {
        return Vec::new();
    }
    let by = if required > found {
        "the policy requires"
    } else {
        "the cluster has"
    };
    let servers = scene.servers.iter();
    let addresses: Vec<&str> = servers.map(|(id, _)| id.address.as_str()).collect();
    let named = if addresses.is_empty() {
        String::new()
    } else {
        format!(" ({})", addresses.join(", "))
    };
    vec![Finding::hold(
        Rule::EvidenceAbsent,
        "API servers",
        format!("{seen} seen{named}, {by} {wanted}"),
        what_shows_servers(seen, required > found),
    )]
}

/// What clears it that fewer API servers are seen than there should be.
const fn what_shows_servers(seen: usize, stated: bool) -> &'static str {
    match (seen, stated) {
        (0, _) => {
            "one is seen; see that Weir may watch the addresses at which they publish themselves \
             (kubectl -n default get endpointslice kubernetes)"
        }
        (_, true) => {
            "all are seen: those that publish their addresses (kubectl -n default get endpointslice \
             kubernetes) or, behind a balancer, answered lately; if there are no more, lower the \
             policy's required.apiServers"
        }
        (_, false) => {
            "all are seen; if one was taken away for good, delete its identity Lease, which says that \
             it lives: kubectl -n kube-system get lease -l \
             apiserver.kubernetes.io/identity=kube-apiserver"
        }
    }
}

fn server_gaps(server: &ServerEvidence) -> [(&'static str, Option<Gap>); 3] {
    [
        ("probes", gap(&server.latency)),
        ("queues (/metrics)", gap(&server.flow)),
        ("process (/metrics)", gap(&server.process)),
    ]
}

/// What `say` says of the gaps, as one text, if of any. What is said of several is said once.
fn said(
    gaps: impl IntoIterator<Item = (&'static str, Option<Gap>)>,
    say: impl Fn(Gap) -> Option<String>,
) -> Option<String> {
    let mut all: Vec<(Vec<&str>, String)> = Vec::new();
    for (source, gap) in gaps {
        let Some(text) = gap.and_then(&say) else {
            continue;
        };
        match all.iter_mut().find(|(_, known)| *known == text) {
            Some((sources, _)) => sources.push(source),
            None => all.push((vec![source], text)),
        }
    }
    let sentence =
        |(sources, text): &(Vec<&str>, String)| format!("{}: {text}", sources.join(", "));
    let sentences: Vec<_> = all.iter().map(sentence).collect();
    (!sentences.is_empty()).then(|| sentences.join("; "))
}

fn rollout_gaps<'a>(scene: &'a Scene<'_>) -> impl Iterator<Item = (&'a str, Gap)> {
    let rollout = &scene.evidence.rollout;
    // A person who stated the number has answered this question.
    let expected = match scene.policy.required.servers {
        Servers::Stated(_) => None,
        Servers::AsFound { .. } => gap(&scene.evidence.expected_servers),
    };
    let own = [
        ("pods", gap(&rollout.pods)),
        ("nodes", gap(&rollout.nodes)),
        (SERVER_COUNT, expected),
    ];
    let others = scene
        .evidence
        .sources
        .iter()
        .map(|(name, reading)| (name.as_str(), gap(reading)));
    own.into_iter()
        .chain(others)
        .filter_map(|(source, gap)| Some((source, gap?)))
}
