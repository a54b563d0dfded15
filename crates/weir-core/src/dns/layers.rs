//! All DNS servers that Weir asks, and the beats that they should show → how fresh DNS is.

use std::collections::BTreeMap;

use super::{
    beacon::Epoch,
    beats::Beats,
    caches::{CacheCounts, Counted},
    direct::{self, Watched},
    heard::Answers,
    layer::{self, Around, Layer},
};
use crate::{
    evidence::{Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Measured, Reading, Role, Sight},
    time::{Moment, Span},
};

/// How long a server has to show the beacon for the first time. After that it cannot be measured: a beacon that
/// was just created is known everywhere once a cached denial has ended (30 s).
const FIRST: Span = Span::from_secs(60);

/// The TTL where no Corefile could be read: kubeadm's.
const TTL: Span = Span::from_secs(30);

/// For how long caches are taken to serve stale answers where that cannot be read: what those that do so by
/// default have (AKS `LocalDNS`, and `CoreDNS`'s own default).
const SERVE_STALE: Span = Span::from_secs(3600);

/// How often servers are asked unless it is said otherwise.
const ROUND: Span = Span::from_secs(5);

/// Looks that may be missed before what was seen is stale, and what a look may take.
const MISSES: f64 = 3.0;
const LOOK: Span = Span::from_secs(3);

/// What people are told that the API itself is called.
const API_READ: &str = "API (read)";
const API_WATCH: &str = "API (watch)";

/// What is known of a DNS server before it is asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Placed {
    /// How it is asked.
    pub role: Role,
    /// For how long beyond their TTL it serves answers while its own source is away; `None` if it is not known.
    pub serve_stale: Option<Span>,
}

/// A DNS server, and since when it is asked.
#[derive(Debug, Clone)]
struct Asked {
    placed: Placed,
    layer: Layer,
    since: Moment,
    /// Whether it ever showed how old what it knows is.
    is_measured: bool,
}

/// All DNS servers that Weir asks.
#[derive(Debug, Clone)]
pub struct Layers {
    /// What the API has of the beacon.
    pub beats: Beats,
    begun: Moment,
    ttl: Span,
    every: Span,
    asked: BTreeMap<String, Asked>,
    watched: Watched,
    skew_ms: i64,
    counted: Counted,
}

impl Layers {
    /// None is known at `now`.
    #[must_use]
    pub const fn new(now: Moment) -> Self {
        Self {
            beats: Beats::new(now),
            begun: now,
            ttl: TTL,
            every: ROUND,
            asked: BTreeMap::new(),
            watched: Watched::new(),
            skew_ms: 0,
            counted: Counted::new(),
        }
    }

    /// The TTL that the zone's own servers give, once it is known.
    pub const fn ttl(&mut self, ttl: Span) {
        self.ttl = ttl;
    }

    /// How often each server is asked from now on.
    pub const fn ask_every(&mut self, every: Span) {
        self.every = every;
    }

    /// The servers by their names, all of them, as they are known at `now`. What is not among them any longer
    /// is forgotten.
    pub fn placed(&mut self, servers: &BTreeMap<String, Placed>, now: Moment) {
        self.asked.retain(|name, asked| {
            let same = |placed: &Placed| placed.role == asked.placed.role;
            servers.get(name).is_some_and(same)
        });
        for (name, placed) in servers {
            let asked = self.asked.entry(name.clone());
            let asked = asked.or_insert_with(|| Asked {
                placed: *placed,
                layer: Layer::new(placed.role),
                since: now,
                is_measured: false,
            });
            asked.placed = *placed;
        }
    }

    /// A server was asked, and this was heard by `at`. One that is not placed is ignored.
    pub fn looked(&mut self, name: &str, answers: &Answers, at: Moment) {
        if let Some(asked) = self.asked.get_mut(name) {
            asked.layer.look(answers, at);
            asked.is_measured |= asked.layer.can_be_measured();
        }
    }

    /// An API server's clock showed the whole second `told` at some time between `sent` and `received`.
    pub const fn clock(&mut self, told: Moment, sent: Moment, received: Moment) {
        self.skew_ms = skew_ms(told, sent, received);
    }

    /// A server's caches had counted this by `at`.
    pub fn counted(&mut self, server: &str, counts: CacheCounts, at: Moment) {
        self.counted.server(server, counts, at);
    }

    /// The cache on the node of this address had counted this by `at`.
    pub fn node_counted(&mut self, node: &str, counts: CacheCounts, at: Moment) {
        self.counted.node(node, counts, at);
    }

    /// Weir's own watch of the beacon told of an epoch, or of none, at `at`.
    pub fn watched(&mut self, epoch: Option<Epoch>, at: Moment) {
        self.watched.saw(epoch, at);
    }

    /// How fresh DNS is at `now`.
    #[must_use]
    pub fn evidence(&self, now: Moment) -> Dns {
        let measured = |wanted| {
            let mut asked = self.asked.values();
            asked.any(|asked| asked.measured(now) == wanted)
        };
        if measured(Measured::Yes) {
            Dns::Measured(self.measured(now))
        } else if measured(Measured::NotYet) || now.since(self.begun) < FIRST {
            Dns::Awaited {
                why: "no DNS server has shown yet how old its answers are".to_owned(),
            }
        } else {
            Dns::NotMeasured {
                why: self.why_not(now),
            }
        }
    }

    fn measured(&self, now: Moment) -> DnsEvidence {
        let readings: Vec<Reading<Sight>> = self
            .asked
            .values()
            .map(|asked| asked.layer.reading(self.around(now)))
            .collect();
        let any_replica = |is: fn(&Reading<Sight>) -> bool| {
            let mut all = self.asked.values().zip(&readings);
            all.any(|(asked, reading)| asked.placed.role == Role::Replica && is(reading))
        };
        let frozen = any_replica(|reading| reading.mask() == Some(Mask::FrozenReplica));
        let unsettled = any_replica(layer::is_unsettled);
        let layers = self.asked.iter().zip(readings);
        let layers = layers.map(|((name, asked), reading)| {
            let is_told_by_any = asked.placed.role.is_on_clients_path();
            let reading = if is_told_by_any && frozen {
                behind_frozen(reading)
            } else if is_told_by_any && unsettled {
                layer::behind_unsettled(reading)
            } else {
                reading
            };
            (name.clone(), self.told(asked, reading, now))
        });
        let around = self.around(now);
        let api = [
            (API_READ, direct::read(around)),
            (API_WATCH, self.watched.told(around)),
        ];
        let api = api
            .into_iter()
            .filter_map(|(name, layer)| Some((name.to_owned(), layer?)));
        DnsEvidence {
            source: self.beats.source(now),
            layers: layers.chain(api).collect(),
            skew_ms: self.skew_ms,
            caches: self.counted.told(now),
        }
    }

    fn around(&self, now: Moment) -> Around<'_> {
        Around {
            beats: &self.beats,
            ttl: self.ttl,
            fresh_for: self.every.times(MISSES) + LOOK,
            now,
        }
    }

    fn why_not(&self, now: Moment) -> String {
        let Some((name, asked)) = self.asked.iter().next() else {
            return "there is no Service kube-dns, and nothing says where DNS is".to_owned();
        };
        match asked.layer.reading(self.around(now)) {
            Reading::Absent { why } | Reading::Garbled { why } => format!("{name}: {why}"),
            Reading::Fresh(_) | Reading::Masked { .. } | Reading::Stale { .. } => {
                format!("{name} never showed the beacon")
            }
        }
    }

    fn told(&self, asked: &Asked, reading: Reading<Sight>, now: Moment) -> LayerEvidence {
        LayerEvidence {
            role: asked.placed.role,
            horizon: self.horizon(asked, &reading),
            reading,
            measured: asked.measured(now),
        }
    }

    fn horizon(&self, asked: &Asked, reading: &Reading<Sight>) -> Option<Horizon> {
        let Reading::Masked { value, by } = reading else {
            return None;
        };
        Some(match by {
            Mask::Cache => {
                // Who serves stale answers says so by a TTL of zero.
                let stale = asked.placed.serve_stale;
                let is_assumed = stale.is_none() && value.ttl == Span::ZERO;
                let assumed = if is_assumed { SERVE_STALE } else { Span::ZERO };
                Horizon::Until {
                    at: value.expires + stale.unwrap_or(assumed),
                    is_assumed,
                }
            }
            Mask::FrozenReplica | Mask::ControlPlane => Horizon::UntilRestart { warm: self.warm() },
            // No DNS server has that one.
            Mask::FrozenWatch => return None,
        })
    }

    /// Replicas that answer, and know the cluster's names.
    fn warm(&self) -> u32 {
        let is_warm = |asked: &&Asked| asked.placed.role == Role::Replica && asked.layer.is_warm();
        let warm = self.asked.values().filter(is_warm).count();
        u32::try_from(warm).unwrap_or(u32::MAX)
    }
}

impl Asked {
    fn measured(&self, now: Moment) -> Measured {
        if self.is_measured {
            Measured::Yes
        } else if now.since(self.since) < FIRST {
            Measured::NotYet
        } else {
            Measured::No
        }
    }
}

/// The least that makes a clock show this second at a time in between: of what lies within there is no telling.
const fn skew_ms(told: Moment, sent: Moment, received: Moment) -> i64 {
    let ends = Moment::from_millis(told.as_millis().saturating_add(1000));
    let ahead = told.since(received).as_millis();
    let behind = sent.since(ends).as_millis();
    ahead.cast_signed() - behind.cast_signed()
}

/// Behind an address at which a frozen replica answers too, clients are told now this and now that: neither is
/// fresh, and no cache need be what is late.
fn behind_frozen(reading: Reading<Sight>) -> Reading<Sight> {
    match reading {
        Reading::Fresh(value)
        | Reading::Masked {
            value,
            by: Mask::Cache,
        } => Reading::Masked {
            value,
            by: Mask::FrozenReplica,
        },
        other => other,
    }
}

#[cfg(test)]
mod tests;
