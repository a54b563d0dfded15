//! What is known of DNS → what the ControlPlane says of it.
//!
//! As with API servers it changes with what people act on: no age is on record, since an age changes each second.

use weir_core::{
    dns::Epoch,
    evidence::{Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Measured, Reading, Role, Source},
};

use super::conditions::Said;
use crate::api::{
    DnsLayerStatus, DnsMask, DnsRole, DnsState, DnsStatus,
    bounds::{self, clip},
    marks::conditions,
    times::time,
};

/// The status; as it was `before`, while nobody knows.
pub(super) fn status(dns: &Dns, before: Option<&DnsStatus>) -> Option<DnsStatus> {
    match dns {
        Dns::Unasked => None,
        Dns::Awaited { .. } => before.cloned(),
        Dns::NotMeasured { why } => Some(DnsStatus {
            not_measured: Some(clip(why, bounds::TEXT)),
            layers: Vec::new(),
        }),
        Dns::Measured(dns) => Some(DnsStatus {
            not_measured: None,
            layers: layers(dns),
        }),
    }
}

/// What clients are answered by first, then what is not as it should be: where there are many they are cut.
fn layers(dns: &DnsEvidence) -> Vec<DnsLayerStatus> {
    let mut layers: Vec<_> = dns.layers.iter().collect();
    layers.sort_by_key(|(_, layer)| {
        let is_fresh = layer.reading.fresh().is_some();
        (!layer.role.is_on_clients_path(), is_fresh)
    });
    let layers = layers.into_iter().take(bounds::LAYERS);
    layers.map(|(name, layer)| of_layer(name, layer)).collect()
}

fn of_layer(name: &str, layer: &LayerEvidence) -> DnsLayerStatus {
    let (state, why) = match &layer.reading {
        Reading::Fresh(_) => (DnsState::Fresh, None),
        Reading::Masked { .. } => (DnsState::Masked, None),
        Reading::Stale { .. } => (DnsState::Unseen, None),
        Reading::Absent { why } | Reading::Garbled { why } if layer.measured != Measured::No => {
            (DnsState::Unseen, Some(why))
        }
        Reading::Absent { why } | Reading::Garbled { why } => (DnsState::NotMeasured, Some(why)),
    };
    let as_of = match &layer.reading {
        Reading::Masked { value, .. } => value
            .epoch
            .map(|epoch| time(Epoch::numbered(epoch).begins())),
        Reading::Fresh(_)
        | Reading::Stale { .. }
        | Reading::Absent { .. }
        | Reading::Garbled { .. } => None,
    };
    let (ends_at, warm_replicas) = match layer.horizon {
        Some(Horizon::Until { at, is_assumed: _ }) => (Some(time(at)), None),
        Some(Horizon::UntilRestart { warm }) => (None, Some(warm)),
        None => (None, None),
    };
    DnsLayerStatus {
        name: clip(name, bounds::WORD),
        role: match layer.role {
            Role::Replica => DnsRole::Replica,
            Role::Service => DnsRole::Service,
            Role::Resolver => DnsRole::Resolver,
            Role::ApiRead => DnsRole::ApiRead,
            Role::ApiWatch => DnsRole::ApiWatch,
        },
        state,
        mask: layer.reading.mask().map(|mask| match mask {
            Mask::Cache => DnsMask::Cache,
            Mask::FrozenReplica => DnsMask::FrozenReplica,
            Mask::ControlPlane => DnsMask::ControlPlane,
            Mask::FrozenWatch => DnsMask::FrozenWatch,
        }),
        ends_at,
        warm_replicas,
        as_of,
        why: why.map(|why| clip(why, bounds::TEXT)),
    }
}

/// Whether DNS follows the API; nothing while nobody knows.
pub(super) fn fresh(dns: &Dns) -> Option<Said> {
    let (holds, reason, message) = match dns {
        Dns::Unasked | Dns::Awaited { .. } => return None,
        Dns::NotMeasured { why } => (
            false,
            "DNSNotMeasured",
            format!(
                "whether DNS follows the API cannot be measured: {why}. Only policies that ask for it \
                 (required.dns: Always) hold rollouts for that"
            ),
        ),
        Dns::Measured(dns) => measured(dns),
    };
    Some(Said {
        kind: conditions::DNS_FRESH,
        holds,
        reason: reason.to_owned(),
        message,
    })
}

fn measured(dns: &DnsEvidence) -> (bool, &'static str, String) {
    let named = |mask: Mask| {
        let masked = |layer: &LayerEvidence| layer.reading.mask() == Some(mask);
        names(dns, masked)
    };
    if let Some(names) = named(Mask::ControlPlane) {
        let message = format!(
            "the API is silent, and DNS answers as if it were not ({names}): what is new is not known, and \
             replicas that restart know nothing"
        );
        return (false, "ControlPlaneMasked", message);
    }
    if let Some(names) = named(Mask::FrozenReplica) {
        let message =
            format!("a replica answers that hears of no change of the API any longer: {names}");
        return (false, "ReplicaFrozen", message);
    }
    if named(Mask::FrozenWatch).is_some() {
        let message = "Weir's own watch of the API tells of no change, though the API takes some: all that it watches \
                       may stand still"
            .to_owned();
        return (false, "WatchFrozen", message);
    }
    if let Some(names) = named(Mask::Cache) {
        return (
            false,
            "CacheMasked",
            format!("a cache answers with what was so before: {names}"),
        );
    }
    if let Source::Stalled { why, .. } = &dns.source {
        let why = why
            .as_ref()
            .map_or_else(String::new, |why| format!(": {why}"));
        return (
            false,
            "BeaconLagging",
            format!("Weir's beacon is not written{why}"),
        );
    }
    let unseen =
        |layer: &LayerEvidence| layer.measured == Measured::Yes && layer.reading.fresh().is_none();
    let on_path = |layer: &LayerEvidence| layer.role.is_on_clients_path() && unseen(layer);
    if let Some(names) = names(dns, on_path) {
        return (
            false,
            "ServersUnseen",
            format!("no answer as it should be: {names}"),
        );
    }
    // Of replicas others answer.
    let but = names(dns, unseen).map_or_else(String::new, |names| format!("; not heard: {names}"));
    (true, "Fresh", format!("DNS follows the API{but}"))
}

/// The layers that are so, by their names, if any is.
pub(in crate::guard) fn names(
    dns: &DnsEvidence,
    is_so: impl Fn(&LayerEvidence) -> bool,
) -> Option<String> {
    const NAMED: usize = 5;
    let layers = dns.layers.iter().filter(|(_, layer)| is_so(layer));
    let all: Vec<&str> = layers.map(|(name, _)| name.as_str()).collect();
    let more = all.len().saturating_sub(NAMED);
    let first = all[..all.len() - more].join(", ");
    match (all.len(), more) {
        (0, _) => None,
        (_, 0) => Some(first),
        (_, more) => Some(format!("{first} and {more} more")),
    }
}
