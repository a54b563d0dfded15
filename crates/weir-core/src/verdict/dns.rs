//! Faults that DNS hides, and of the beacon that shows them.
//!
//! While names go on being answered for a control plane that is gone, nothing that goes by names shows any harm:
//! such time proves nothing, and holds. A single replica that is away or begins anew is told, since the others
//! answer; what clients are answered by has to be fresh.

use super::Scene;
use crate::{
    evidence::{
        Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Measured, Reading, Role, Sight, Source,
    },
    plan::{Finding, Rule},
    policy::DnsRequired,
    time::Moment,
};

/// What findings about all of DNS are found on.
const ALL: &str = "DNS";

/// Why it is not measured where nobody asked for it.
const NOT_TOLD: &str = "Weir was not told to (dns.enabled of the chart, --dns-measured)";

/// DNS hides what the control plane does, or would.
pub(super) fn evidence_masked(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(dns) = required(scene) else {
        return Vec::new();
    };
    let mut findings: Vec<Finding> = control_plane_masked(dns, scene.now).into_iter().collect();
    let caches = measured(dns).filter_map(|(name, layer)| match &layer.reading {
        Reading::Masked {
            value,
            by: Mask::Cache,
        } => Some(cache_masked(name, value, layer.horizon, scene.now)),
        _ => None,
    });
    findings.extend(caches);
    findings.extend(api(dns).filter_map(watch_frozen));
    findings.extend(nodes_stale(dns));
    findings
}

/// Caches on nodes serve answers beyond their end. Some are told to do so at once, and to ask meanwhile: that is no
/// reason to hold, and worth to be known.
fn nodes_stale(dns: &DnsEvidence) -> Option<Finding> {
    const NAMED: usize = 3;
    let stale = &dns.caches.stale_nodes;
    let some: Vec<&str> = stale.iter().take(NAMED).map(String::as_str).collect();
    let finding = Finding::hold(
        Rule::EvidenceMasked,
        "caches on nodes",
        format!(
            "{} of {} that were asked serve answers beyond their end ({}{})",
            stale.len(),
            dns.caches.nodes,
            some.join(", "),
            if stale.len() > NAMED { ", …" } else { "" }
        ),
        "they reach what they ask again; see coredns_forward_* of their metrics",
    );
    (!stale.is_empty()).then(|| finding.only_told())
}

/// Weir's own watch stands still: what it watches besides the beacon may do so too, and would look calm.
fn watch_frozen((name, layer): (&str, &LayerEvidence)) -> Option<Finding> {
    let Reading::Masked {
        value,
        by: Mask::FrozenWatch,
    } = &layer.reading
    else {
        return None;
    };
    let shown = if value.epoch.is_some() {
        format!(
            "what Weir's own watch last told of was so {} ago, though the API took changes since",
            value.lag
        )
    } else {
        format!(
            "Weir's own watch has told of no change for {}, though the API took some",
            value.lag
        )
    };
    Some(Finding::hold(
        Rule::EvidenceMasked,
        name,
        format!("{shown}: all that it watches may stand still, or come as late"),
        "it tells of changes as they are made; if it does not within a minute, restart the replica of Weir that \
         leads, and see what is between it and the API",
    ))
}

/// DNS servers answer for an API that is silent.
fn control_plane_masked(dns: &DnsEvidence, now: Moment) -> Option<Finding> {
    let Source::Silent { since, why } = &dns.source else {
        return None;
    };
    let layers: Vec<_> = measured(dns).collect();
    let is_masked =
        |(_, layer): &&(&str, &LayerEvidence)| layer.reading.mask() == Some(Mask::ControlPlane);
    let masked = layers.iter().filter(is_masked).count();
    let (_, first) = layers.iter().find(is_masked)?;
    let until = first
        .horizon
        .map_or_else(String::new, |horizon| tell(horizon, now));
    Some(Finding::hold(
        Rule::EvidenceMasked,
        ALL,
        format!(
            "{masked} of {} DNS servers answer as if nothing were wrong, while the API has been silent for \
             {} ({why}); {}",
            layers.len(),
            now.since(*since),
            until
        ),
        "the API answers again; do not restart CoreDNS before that: what it knows it would have to read \
         from the API",
    ))
}

fn cache_masked(name: &str, sight: &Sight, horizon: Option<Horizon>, now: Moment) -> Finding {
    let horizon = horizon.map_or_else(String::new, |horizon| format!("; {}", tell(horizon, now)));
    Finding::hold(
        Rule::EvidenceMasked,
        name,
        format!(
            "a cache answers with what was so {} ago{horizon}",
            sight.lag
        ),
        "it shows what the API has; see whether it reaches the DNS servers that it asks (its log, and \
         coredns_forward_* of its metrics)",
    )
}

/// For how long, as people are told.
fn tell(horizon: Horizon, now: Moment) -> String {
    match horizon {
        Horizon::Until { at, is_assumed } => {
            let assumed = if is_assumed { " (assumed)" } else { "" };
            if at > now {
                format!("it ends in {}{assumed}", at.since(now))
            } else {
                format!(
                    "its answers should have ended {} ago{assumed}",
                    now.since(at)
                )
            }
        }
        Horizon::UntilRestart { warm: 0 } => {
            "it ends when CoreDNS restarts (its replicas could not be asked)".to_owned()
        }
        Horizon::UntilRestart { warm: 1 } => {
            "it ends when the one CoreDNS that still knows restarts".to_owned()
        }
        Horizon::UntilRestart { warm } => {
            format!("it ends when the last of {warm} CoreDNS replicas that still know restarts")
        }
    }
}

/// A DNS server's watch of the API stands still, though the API answers.
pub(super) fn replica_frozen(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(dns) = required(scene) else {
        return Vec::new();
    };
    let frozen = |(name, layer): (&str, &LayerEvidence)| match &layer.reading {
        Reading::Masked {
            value,
            by: Mask::FrozenReplica,
        } if layer.role == Role::Replica => Some(Finding::hold(
            Rule::ReplicaFrozen,
            name,
            format!(
                "it answers, and has heard of no change for {}, though the API took some",
                value.serial_age.unwrap_or(value.lag)
            ),
            "it follows the API again; if it does not by itself within a minute, delete this pod alone, and \
             wait until the next is ready",
        )),
        _ => None,
    };
    measured(dns).filter_map(frozen).collect()
}

/// Nobody writes the beacon, so that nothing shows how old answers are.
pub(super) fn beacon_lagging(scene: &Scene<'_>) -> Vec<Finding> {
    let Some(dns) = required(scene) else {
        return Vec::new();
    };
    let Source::Stalled { since, why } = &dns.source else {
        return Vec::new();
    };
    let ago = scene.now.since(*since);
    let (why, clears_when) = why.as_ref().map_or_else(
        || (String::new(), "it is written again; the log of the replica that leads says what is in the way"),
        |why| {
            let clears_when = "it is written again; see that its EndpointSlice is there, that Weir may patch it, and \
                               that the API takes writes";
            (format!(": {why}"), clears_when)
        },
    );
    vec![Finding::hold(
        Rule::BeaconLagging,
        ALL,
        format!("Weir's beacon was not written for {ago}{why}; DNS itself is not known to be late"),
        clears_when,
    )]
}

/// DNS servers say nothing, or nothing that can be understood.
pub(super) fn dns_absent(scene: &Scene<'_>) -> Vec<Finding> {
    let dns = match (&scene.evidence.dns, scene.policy.required.dns) {
        (Dns::NotMeasured { why }, DnsRequired::Always) => return vec![not_measured(why)],
        (Dns::Unasked, DnsRequired::Always) => return vec![not_measured(NOT_TOLD)],
        (Dns::NotMeasured { .. } | Dns::Unasked, _) | (_, DnsRequired::Never) => return Vec::new(),
        (Dns::Awaited { why }, _) => return vec![awaited(why)],
        (Dns::Measured(dns), _) => dns,
    };
    let unwritten = (dns.source == Source::Unknown).then(beacon_awaited);
    // What the API itself does not say is told of what it is the source of.
    let layers = dns.layers.iter().filter(|(_, layer)| !layer.role.is_api());
    let absent = layers.filter_map(|(name, layer)| layer_absent(name, layer, &dns.source));
    unwritten.into_iter().chain(absent).collect()
}

/// There is nothing yet that DNS servers could be late for, and nobody has waited for long enough to say that it is not
/// written.
fn beacon_awaited() -> Finding {
    Finding::hold(
        Rule::EvidenceAbsent,
        ALL,
        "no beacon of Weir's is known to be written yet, so that nothing shows how old its answers are",
        "one is; that it is not is told within half a minute",
    )
}

/// What clients are answered by has to be there; of replicas others are, and one that never showed how old its
/// answers are is not missed.
fn layer_absent(name: &str, layer: &LayerEvidence, source: &Source) -> Option<Finding> {
    // Told once, for the beacon.
    let is_written = matches!(source, Source::Beating | Source::Silent { .. });
    let (rule, why) = match &layer.reading {
        Reading::Absent { why } if is_written => (Rule::EvidenceAbsent, why.clone()),
        Reading::Garbled { why } => (Rule::EvidenceAbsent, format!("not understood: {why}")),
        Reading::Stale { age, .. } => (Rule::EvidenceStale, format!("silent for {age}")),
        Reading::Absent { .. } | Reading::Fresh(_) | Reading::Masked { .. } => return None,
    };
    let finding = Finding::hold(
        rule,
        name,
        why,
        "it answers as it should; see that CoreDNS runs, and that a NetworkPolicy lets Weir reach it (UDP and TCP, \
         networkPolicy.dnsPorts of the chart)",
    );
    let holds = layer.role.is_on_clients_path() && layer.measured != Measured::No;
    Some(if holds { finding } else { finding.only_told() })
}

fn awaited(why: &str) -> Finding {
    Finding::hold(
        Rule::EvidenceAbsent,
        ALL,
        why,
        "one has, or none has within a minute",
    )
}

fn not_measured(why: &str) -> Finding {
    Finding::hold(
        Rule::EvidenceAbsent,
        ALL,
        format!("its freshness cannot be measured: {why}"),
        "it can be, or a RolloutPolicy does not ask for it (required.dns)",
    )
}

/// DNS, if it is measured and the policy asks for it.
fn required<'a>(scene: &Scene<'a>) -> Option<&'a DnsEvidence> {
    match (&scene.evidence.dns, scene.policy.required.dns) {
        (Dns::Unasked | Dns::NotMeasured { .. } | Dns::Awaited { .. }, _)
        | (_, DnsRequired::Never) => None,
        (Dns::Measured(dns), DnsRequired::WhereMeasured | DnsRequired::Always) => Some(dns),
    }
}

/// The DNS servers that can be measured.
fn measured(dns: &DnsEvidence) -> impl Iterator<Item = (&str, &LayerEvidence)> {
    let layers = dns
        .layers
        .iter()
        .filter(|(_, layer)| layer.measured == Measured::Yes && !layer.role.is_api());
    layers.map(|(name, layer)| (name.as_str(), layer))
}

/// The API itself, as it shows the beacon.
fn api(dns: &DnsEvidence) -> impl Iterator<Item = (&str, &LayerEvidence)> {
    let layers = dns.layers.iter().filter(|(_, layer)| layer.role.is_api());
    layers.map(|(name, layer)| (name.as_str(), layer))
}
