//! How fresh DNS is, as series.

use weir_core::{
    evidence::{Dns, Horizon, LayerEvidence, Mask, Role, Sight},
    time::Moment,
};

use super::{Labels, Page, truth};
use crate::snapshot::Snapshot;

const MEASURED: &str = "dns_measured";
const MASKED: &str = "dns_masked";
const HORIZON: &str = "dns_horizon_seconds";

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

const MASKS: [Mask; 3] = [Mask::Cache, Mask::FrozenReplica, Mask::ControlPlane];

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let sights = SIGHTS.into_iter().map(|(name, _, _)| name);
    sights.chain([MEASURED, MASKED, HORIZON])
}

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let layers: Vec<(&String, &LayerEvidence)> = match &snapshot.dns {
        Dns::Unasked | Dns::NotMeasured { .. } | Dns::Awaited { .. } => Vec::new(),
        Dns::Measured(dns) => dns.layers.iter().collect(),
    };
    page.gauge(
        MEASURED,
        "Whether it can be measured how fresh DNS is; only the replica that leads does",
        truth(matches!(snapshot.dns, Dns::Measured(_))),
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
    let horizons = layers.iter().filter_map(|(layer, known)| {
        let seconds = left(known.horizon?, snapshot.at)?;
        Some((of_layer(layer, known.role), seconds))
    });
    page.gauges(
        HORIZON,
        "For how long a cache can go on hiding that; no series where it lasts until a restart",
        horizons,
    );
}

fn left(horizon: Horizon, now: Moment) -> Option<f64> {
    match horizon {
        Horizon::Until { at, is_assumed: _ } => Some(at.since(now).as_secs_f64()),
        Horizon::UntilRestart { .. } => None,
    }
}

fn of_layer(name: &str, role: Role) -> Labels {
    let role = match role {
        Role::Replica => "replica",
        Role::Service => "service",
        Role::Resolver => "resolver",
    };
    vec![("layer", name.to_owned()), ("role", role.to_owned())]
}
