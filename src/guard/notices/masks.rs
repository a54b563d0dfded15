//! When DNS begins to hide what the control plane does, and when it no longer does → what people are told, once.
//!
//! ```text
//!  masked   ▁▁▇▇▇▇▇▇▁▇▇▇▁▁▁▁▁▁▁▁▁▁▁▁▁
//!  told       ▲ DNSMasked      ▲ DNSFresh: it has been gone for half a minute
//! ```
//!
//! While the API is silent no Event can be left: what began then is told when it answers again, with since when it
//! was so. After a restart the ControlPlane's record says what people were told.

use std::collections::BTreeMap;

use kube::Resource;
use weir_core::{
    evidence::{Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Source},
    time::{Moment, Span},
};

use super::warning;
use crate::{
    act::events::Notice,
    api::{
        ControlPlane, DnsMask,
        marks::conditions,
        times::{moment, time},
    },
    guard::{books::dns_names, world::World},
};

/// For how long a mask must have been gone before it counts as over: one that comes and goes is one.
const GONE: Span = Span::from_secs(30);

const MASKS: [Mask; 4] = [
    Mask::ControlPlane,
    Mask::Cache,
    Mask::FrozenReplica,
    Mask::FrozenWatch,
];

/// Masks whose end is told as one: what hides from clients what is so; one of several replicas; Weir's own watch.
const ENDS: [&[Mask]; 3] = [
    &[Mask::ControlPlane, Mask::Cache],
    &[Mask::FrozenReplica],
    &[Mask::FrozenWatch],
];

/// The masks that there are, and what people were told of them.
#[derive(Debug, Default)]
pub(in crate::guard) struct Masks {
    /// None before it is known what people were told.
    known: Option<BTreeMap<Mask, Spell>>,
}

/// One mask, from when it was first found until it has been gone for long enough.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Spell {
    since: Moment,
    /// When it was last found.
    last: Moment,
    /// Whose answers it is in.
    servers: String,
    horizon: Option<Horizon>,
    told: bool,
}

impl Masks {
    /// Takes in what is known of DNS, whether or not anybody can be told now.
    pub(in crate::guard) fn look(&mut self, world: &World) {
        let dns = match &world.dns {
            Dns::Measured(dns) => dns,
            Dns::Awaited { .. } => return,
            // Nobody asks here: another may.
            Dns::Unasked | Dns::NotMeasured { .. } => {
                self.known = None;
                return;
            }
        };
        let record = world.cluster.control_plane.last().and_then(Option::as_ref);
        let Some(known) = self
            .known
            .take()
            .or_else(|| Some(recalled(record?, world.now)))
        else {
            return;
        };
        self.known = Some(followed(known, dns, world.now));
    }

    /// What is to be told, and is taken as told from here on.
    pub(in crate::guard) fn tell(&mut self, world: &World) -> Vec<Notice> {
        let record = world.cluster.control_plane.last().and_then(Option::as_ref);
        let (Some(known), Some(record)) = (&mut self.known, record) else {
            return Vec::new();
        };
        if is_silent(&world.dns) {
            return Vec::new();
        }
        let mut notices = Vec::new();
        for (mask, spell) in known.iter_mut().filter(|(_, spell)| !spell.told) {
            spell.told = true;
            notices.push(began(record, *mask, spell));
        }
        for masks in ENDS {
            notices.extend(ended(record, known, masks, world.now));
        }
        notices
    }
}

/// The same masks, after one more look.
fn followed(
    mut known: BTreeMap<Mask, Spell>,
    dns: &DnsEvidence,
    now: Moment,
) -> BTreeMap<Mask, Spell> {
    for mask in MASKS {
        let is_so = |layer: &LayerEvidence| layer.reading.mask() == Some(mask);
        let Some(servers) = dns_names(dns, is_so) else {
            continue;
        };
        let since = match &dns.source {
            Source::Silent { since, .. } if mask == Mask::ControlPlane => *since,
            Source::Silent { .. } | Source::Unknown | Source::Beating | Source::Stalled { .. } => {
                now
            }
        };
        let spell = known.entry(mask).or_insert(Spell {
            since,
            last: now,
            servers: String::new(),
            horizon: None,
            told: false,
        });
        let mut layers = dns.layers.values().filter(|layer| is_so(layer));
        (spell.last, spell.servers) = (now, servers);
        spell.horizon = layers.find_map(|layer| layer.horizon);
    }
    known
}

/// What people were told, going by the record.
fn recalled(record: &ControlPlane, now: Moment) -> BTreeMap<Mask, Spell> {
    let status = record.status.as_ref();
    let mut conditions = status.iter().flat_map(|status| &status.conditions);
    let turned = conditions
        .find(|one| one.type_ == conditions::DNS_FRESH && one.status == "False")
        .map(|one| moment(one.last_transition_time.0));
    let layers = status.and_then(|status| status.dns.as_ref());
    let layers = layers.iter().flat_map(|dns| &dns.layers);
    let told = layers.filter_map(|layer| {
        let mask = match layer.mask? {
            DnsMask::Cache => Mask::Cache,
            DnsMask::FrozenReplica => Mask::FrozenReplica,
            DnsMask::ControlPlane => Mask::ControlPlane,
            DnsMask::FrozenWatch => Mask::FrozenWatch,
        };
        let spell = Spell {
            since: turned.unwrap_or(now),
            last: now,
            servers: layer.name.clone(),
            horizon: None,
            told: true,
        };
        Some((mask, spell))
    });
    told.collect()
}

fn is_silent(dns: &Dns) -> bool {
    match dns {
        Dns::Measured(dns) => matches!(dns.source, Source::Silent { .. }),
        Dns::Unasked | Dns::NotMeasured { .. } | Dns::Awaited { .. } => false,
    }
}

fn began(record: &ControlPlane, mask: Mask, spell: &Spell) -> Notice {
    let servers = &spell.servers;
    let since = time(spell.since).0;
    let (reason, action, note) = match mask {
        Mask::ControlPlane => (
            "DNSMasked",
            "FindControlPlaneMasked",
            format!("The API was silent from {since} on, and DNS answered as if nothing were wrong: {servers}"),
        ),
        Mask::Cache => (
            "DNSMasked",
            "FindCacheMasking",
            format!(
                "A cache answers with what was so before: {servers}. See whether it reaches the DNS servers that it \
                 asks"
            ),
        ),
        Mask::FrozenReplica => (
            "ReplicaFrozen",
            "FindFrozenReplica",
            format!(
                "It answers, and hears of no change of the API any longer: {servers}. If that does not end by itself \
                 within a minute, delete this pod alone, and wait until the next is ready"
            ),
        ),
        Mask::FrozenWatch => (
            "WatchFrozen",
            "FindFrozenWatch",
            "Weir's own watch of the API tells of no change, though the API takes some: all that it watches may stand \
             still. If that does not end by itself within a minute, restart the replica of Weir that leads"
                .to_owned(),
        ),
    };
    let ends = spell.horizon.map_or_else(String::new, ends);
    let note = format!("{note}{ends}. While it is so no rollout goes on.");
    warning(about(record, reason, action, note))
}

/// When a mask ends, if nobody ends it.
fn ends(horizon: Horizon) -> String {
    match horizon {
        Horizon::Until { at, is_assumed } => {
            let assumed = if is_assumed { " (assumed)" } else { "" };
            format!(". It can go on until {}{assumed}", time(at).0)
        }
        Horizon::UntilRestart { warm: 0 } => ". It can go on until CoreDNS restarts".to_owned(),
        Horizon::UntilRestart { warm } => {
            format!(
                ". It can go on until {warm} CoreDNS replicas that know the names have restarted"
            )
        }
    }
}

/// That none of these masks is there any longer, if one was; they are forgotten then.
fn ended(
    record: &ControlPlane,
    known: &mut BTreeMap<Mask, Spell>,
    masks: &[Mask],
    now: Moment,
) -> Option<Notice> {
    let were: Vec<&Spell> = masks.iter().filter_map(|mask| known.get(mask)).collect();
    let since = were.iter().map(|spell| spell.since).min()?;
    let last = were.iter().map(|spell| spell.last).max()?;
    if now.since(last) < GONE {
        return None;
    }
    let lasted = last.since(since);
    let servers: Vec<&str> = were.iter().map(|spell| spell.servers.as_str()).collect();
    let servers = servers.join(", ");
    known.retain(|mask, _| !masks.contains(mask));
    let (reason, action, note) = match masks {
        [Mask::FrozenReplica] => (
            "ReplicaFollows",
            "EndFrozenReplica",
            format!("It follows the API again, as it did not for {lasted}: {servers}."),
        ),
        [Mask::FrozenWatch] => (
            "WatchFollows",
            "EndFrozenWatch",
            format!("Weir's own watch tells of changes again, as it did not for {lasted}."),
        ),
        _ => (
            "DNSFresh",
            "EndMask",
            format!("DNS follows the API again. It was masked for {lasted} ({servers})."),
        ),
    };
    Some(about(record, reason, action, note))
}

fn about(record: &ControlPlane, reason: &'static str, action: &str, note: String) -> Notice {
    Notice {
        about: record.object_ref(&()),
        related: None,
        warning: false,
        reason,
        action: action.to_owned(),
        note,
    }
}
