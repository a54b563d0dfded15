//! How fresh DNS is, as series.

use weir_core::{
    evidence::{Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Role, Sight, Source},
    time::Moment,
};

use super::{Labels, Page, truth};
use crate::snapshot::Snapshot;

const MEASURED: &str = "dns_measured";
const MASKED: &str = "dns_masked";
const HORIZON: &str = "dns_horizon_seconds";
const SKEW: &str = "dns_clock_skew_seconds";
const LEVERAGE: &str = "dns_leverage";
const NODES: &str = "dns_node_caches";
const NODES_STALE: &str = "dns_node_caches_stale";
const BEACON: &str = "dns_beacon_state";

/// What is told of each server that answers.
type Told = (&'static str, &'static str, fn(&Sight) -> Option<f64>);

const SIGHTS: [Told; 3] = [
    (
        "dns_lag_seconds",
        "Age of the newest beacon that a DNS server shows",
        |sight| Some(sight.lag.as_secs_f64()),
    ),
    (
        "dns_ttl_seconds",
        "For how long the beacon's answer may be kept yet",
        |sight| Some(sight.ttl.as_secs_f64()),
    ),
    (
        "dns_serial_age_seconds",
        "Since the process that answers last took in a change of the API",
        |sight| Some(sight.serial_age?.as_secs_f64()),
    ),
];

const MASKS: [Mask; 4] = [
    Mask::Cache,
    Mask::FrozenReplica,
    Mask::ControlPlane,
    Mask::FrozenWatch,
];

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let sights = SIGHTS.into_iter().map(|(name, _, _)| name);
    sights.chain([
        MEASURED,
        MASKED,
        HORIZON,
        SKEW,
        BEACON,
        LEVERAGE,
        NODES,
        NODES_STALE,
    ])
}

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let measured = match &snapshot.dns {
        Dns::Unasked | Dns::NotMeasured { .. } | Dns::Awaited { .. } => None,
        Dns::Measured(dns) => Some(dns),
    };
    let layers: Vec<(&String, &LayerEvidence)> =
        measured.into_iter().flat_map(|dns| &dns.layers).collect();
    page.gauge(
        MEASURED,
        "Whether it can be measured how fresh DNS is; only the replica that leads does",
        truth(measured.is_some()),
    );
    for (name, help, of) in SIGHTS {
        let series = layers.iter().filter_map(|(layer, known)| {
            let value = of(known.reading.last()?)?;
            Some((of_layer(layer, known.role), value))
        });
        page.gauges(name, help, series);
    }
    let masked = layers.iter().flat_map(|(layer, known)| {
        MASKS.map(|mask| {
            let mut labels = of_layer(layer, known.role);
            labels.push(("by", mask.name().to_owned()));
            (labels, truth(known.reading.mask() == Some(mask)))
        })
    });
    page.gauges(
        MASKED,
        "Whether a DNS server's answers are older than they look",
        masked,
    );
    if let Some(dns) = measured {
        page.gauge(
            SKEW,
            "How far the API server's clock is ahead of Weir's, at the least; nothing goes by it",
            dns.skew_ms as f64 / 1000.0,
        );
    }
    let leverage = layers.iter().filter_map(|(layer, known)| {
        let times = measured?.caches.leverage(layer)?;
        Some((of_layer(layer, known.role), times))
    });
    page.gauges(
        LEVERAGE,
        "How many times the load on what a DNS server asks would be without its cache",
        leverage,
    );
    add_nodes(page, measured);
    let horizons = layers.iter().filter_map(|(layer, known)| {
        let seconds = left(known.horizon?, snapshot.at)?;
        Some((of_layer(layer, known.role), seconds))
    });
    page.gauges(
        HORIZON,
        "For how long a cache can go on hiding that; no series where it lasts until a restart",
        horizons,
    );
    let beacon = measured.map(|dns| (vec![("state", beacon(&dns.source).to_owned())], 1.0));
    page.gauges(
        BEACON,
        "1 for how Weir's beacon fares: Beating, Stalled (the API answers, and nobody writes it), Silent (the \
         API does not answer) or Unknown",
        beacon,
    );
}

const fn beacon(source: &Source) -> &'static str {
    match source {
        Source::Unknown => "Unknown",
        Source::Beating => "Beating",
        Source::Stalled { .. } => "Stalled",
        Source::Silent { .. } => "Silent",
    }
}

/// The caches on nodes, where some were heard.
fn add_nodes(page: &mut Page, dns: Option<&DnsEvidence>) {
    let caches = dns.map(|dns| &dns.caches);
    let Some(caches) = caches.filter(|caches| caches.nodes > 0) else {
        return;
    };
    page.gauge(
        NODES,
        "Nodes whose own DNS cache tells of itself, of those that were asked",
        f64::from(caches.nodes),
    );
    page.gauge(
        NODES_STALE,
        "Those of them whose cache serves answers beyond their end",
        caches.stale_nodes.len() as f64,
    );
}

fn left(horizon: Horizon, now: Moment) -> Option<f64> {
    match horizon {
        Horizon::Until { at, is_assumed: _ } => Some(at.since(now).as_secs_f64()),
        Horizon::UntilRestart { .. } => None,
    }
}

pub(super) fn of_layer(name: &str, role: Role) -> Labels {
    let role = match role {
        Role::Replica => "replica",
        Role::Service => "service",
        Role::Resolver => "resolver",
        Role::ApiRead => "api-read",
        Role::ApiWatch => "api-watch",
    };
    vec![("layer", name.to_owned()), ("role", role.to_owned())]
}
