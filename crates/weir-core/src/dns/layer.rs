//! One DNS server over time: what it was heard to say → how fresh that is.
//!
//! ```text
//!                        the first beat that it does not show was taken …
//!  asked directly        ≤ 8 s ago: Fresh              longer ago: Masked, by a frozen replica
//!  through caches        ≤ TTL + 5 s each + 2 s: Fresh longer ago: Masked, by a cache
//!  the API is silent     Masked, by the control plane's absence, as long as anything is answered
//! ```
//!
//! Whoever begins to look may find one that shows a beat from before the first that is known here. Where it may have
//! been late by then it is Absent, until it shows a newer beat or has been late for long enough since: for as long as
//! the diagram says, at the most.
//!
//! How long ago is counted to the last look: what happened since could not have been seen.
//!
//! Two clocks are at work. An epoch is of the writer's clock, and comes back as it was written. A serial is of
//! the replica's clock, which may be wrong: so what counts is that it *moved* between two looks, which lie on
//! Weir's own clock. Behind an address at which several replicas answer it moves from one to the other, and says
//! nothing.

use super::{
    beacon::Epoch,
    beats::Beats,
    heard::{Answers, Shown},
};
use crate::{
    evidence::{Mask, Reading, Role, Sight, Source},
    time::{Moment, Span},
};

/// How long a replica may take to hear of a change. On a quiet cluster that is a second; a watch that has to be
/// made anew waits 0.8 s before it tries (client-go, reflector).
const LATE: Span = Span::from_secs(8);

/// What every caching layer adds to the time that an answer lives for: it keeps none for less (`CoreDNS`, cache
/// plugin, `minTTL`).
const FLOOR: Span = Span::from_secs(5);

/// What passes between a beat and its first answer, and between an answer and Weir.
const SLACK: Span = Span::from_secs(2);

/// Looks in a row without an answer before a server counts as down: a lost packet is no outage.
const DOWN_LOOKS: u32 = 2;

/// How far a writer's clock may be ahead of what the API has: a beat that Weir has not heard of yet.
const AHEAD_EPOCHS: u64 = 2;

/// What is told of a server that shows a beat from before anybody looked, and may have been late by then.
const UNSETTLED: &str = "it shows a beacon from before this replica of Weir began to look: whether a cache keeps that \
                         for too long shows within a minute";

/// Clocks differ, but a serial of a day ahead is no time (others number their zones by date).
const AHEAD_AT_MOST_S: u64 = 24 * 3600;

/// 2020-01-01: a serial before that is no time either.
const OLDEST_SERIAL: u32 = 1_577_836_800;

/// The last change that a process took in.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
struct Serial {
    value: u32,
    /// The first look that showed this value, and the last.
    first: Moment,
    last: Moment,
    /// The look before the first one; `None` if it was not seen to move.
    before: Option<Moment>,
}

/// What the last look that brought something brought.
#[derive(Debug, Clone, PartialEq, Eq)]
struct Last {
    at: Moment,
    shown: Shown,
}

/// One DNS server over time.
#[derive(Debug, Clone)]
pub(super) struct Layer {
    role: Role,
    /// Looks in a row to which the beacon's name brought nothing, and what the last one met.
    missed: u32,
    nothing: String,
    last: Option<Last>,
    /// Until when the epoch that it shows may be kept.
    expires: Option<(Epoch, Moment)>,
    serial: Option<Serial>,
}

/// What a layer's freshness depends on besides its own answers.
#[derive(Debug, Clone, Copy)]
pub(super) struct Around<'a> {
    /// What the API has.
    pub(super) beats: &'a Beats,
    /// For how long the zone's own servers let answers be kept.
    pub(super) ttl: Span,
    /// How old a look may be.
    pub(super) fresh_for: Span,
    /// Now.
    pub(super) now: Moment,
}

impl Layer {
    /// Not heard yet.
    #[must_use]
    pub(super) const fn new(role: Role) -> Self {
        Self {
            role,
            missed: 0,
            nothing: String::new(),
            last: None,
            expires: None,
            serial: None,
        }
    }

    /// It was asked, and this was heard by `at`.
    pub(super) fn look(&mut self, answers: &Answers, at: Moment) {
        if answers.denies() {
            let serial = answers.serial().filter(|serial| is_time(*serial, at));
            self.serial = serial.map(|value| Serial::after(self.serial, value, at));
        }
        match answers.shown(at) {
            Shown::Nothing(why) => {
                self.missed = self.missed.saturating_add(1);
                self.nothing = why;
            }
            shown => {
                self.missed = 0;
                if let Shown::Epoch(epoch, ttl) = &shown {
                    self.expires = Some((*epoch, self.expiry(*epoch, *ttl, at)));
                }
                self.last = Some(Last { at, shown });
            }
        }
    }

    /// Until when an answer may be kept. A cache counts down, so that it stays the same, until it is told anew by
    /// whoever it asks; one that serves stale answers says zero, which says nothing of when they ended.
    fn expiry(&self, epoch: Epoch, ttl: Span, at: Moment) -> Moment {
        let before = self.expires.filter(|(known, _)| *known == epoch);
        let told_anew = |before: Moment| ttl > Span::ZERO && at + ttl > before + SLACK;
        match before {
            Some((_, before)) if !told_anew(before) => before,
            Some(_) | None => at + ttl,
        }
    }

    /// Whether it is known to answer, and to know the cluster's names.
    #[must_use]
    pub(super) fn is_warm(&self) -> bool {
        let shows = |last: &Last| !matches!(last.shown, Shown::Cold);
        self.missed < DOWN_LOOKS && self.last.as_ref().is_some_and(shows)
    }

    /// Whether it shows how old what it knows is: by the beacon, or by the serial.
    pub(super) fn can_be_measured(&self) -> bool {
        let shows = |last: &Last| matches!(last.shown, Shown::Epoch(..));
        self.last.as_ref().is_some_and(shows) || self.own_serial().is_some()
    }

    /// How fresh it is.
    #[must_use]
    pub(super) fn reading(&self, around: Around<'_>) -> Reading<Sight> {
        let absent = |why: &str| Reading::Absent {
            why: why.to_owned(),
        };
        if self.missed >= DOWN_LOOKS {
            return absent(&format!("it does not answer: {}", self.nothing));
        }
        let Some(last) = &self.last else {
            return absent("it was not heard yet");
        };
        let age = around.now.since(last.at);
        let (epoch, ttl) = match (&last.shown, self.own_serial()) {
            (Shown::Cold, _) if self.role == Role::Replica => {
                return absent("it answers SERVFAIL: it has not read the API since it began");
            }
            (Shown::Cold, _) => {
                return absent("it answers SERVFAIL: none of those that it asks answers");
            }
            (Shown::Epoch(epoch, ttl), _) => (Some(*epoch), *ttl),
            // One that was frozen before there was a beacon knows of none.
            (Shown::NoBeacon, Some(_)) => (None, Span::ZERO),
            (Shown::NoBeacon, None) => return absent("it knows no beacon"),
            (Shown::Nothing(why), _) => return absent(&format!("it does not answer: {why}")),
            (Shown::Strange(why), _) => return Reading::Garbled { why: why.clone() },
        };
        let value = self.sight(epoch, ttl, last.at, around.now);
        if age > around.fresh_for {
            return Reading::Stale { value, age };
        }
        self.judge(value, epoch, around)
    }

    fn sight(&self, epoch: Option<Epoch>, ttl: Span, heard: Moment, now: Moment) -> Sight {
        let serial_age = self.serial.map(|serial| now.since(serial.changed()));
        let lag = epoch.map(|epoch| now.since(epoch.begins()));
        Sight {
            epoch: epoch.map(Epoch::number),
            lag: lag.or(serial_age).unwrap_or_default(),
            ttl,
            expires: self.expires.map_or(heard + ttl, |(_, at)| at),
            serial_age,
            heard,
        }
    }

    fn judge(&self, value: Sight, epoch: Option<Epoch>, around: Around<'_>) -> Reading<Sight> {
        let masked = |by| Reading::Masked { value, by };
        match around.beats.source(around.now) {
            Source::Silent { since, .. } => {
                if self.has_moved_after(since, around) {
                    Reading::Fresh(value)
                } else {
                    masked(Mask::ControlPlane)
                }
            }
            Source::Beating => self.while_beating(value, epoch, around),
            // Others' changes move the serial too: who heard of one lately hears.
            Source::Stalled { since, .. } if self.has_moved_after(since, around) => {
                Reading::Fresh(value)
            }
            Source::Stalled { .. } | Source::Unknown => Reading::Absent {
                why: "no beacon is written yet, so that nothing shows how old its answers are"
                    .to_owned(),
            },
        }
    }

    /// How fresh it is while beats are taken.
    fn while_beating(
        &self,
        value: Sight,
        epoch: Option<Epoch>,
        around: Around<'_>,
    ) -> Reading<Sight> {
        let Around { beats, ttl, .. } = around;
        let masked = |by| Reading::Masked { value, by };
        let unheard = self
            .own_serial()
            .map(|serial| beats.since(serial.first, serial.last));
        if unheard.flatten().is_some_and(|late| late > LATE) {
            return masked(Mask::FrozenReplica);
        }
        let Some(epoch) = epoch else {
            return Reading::Absent {
                why: "it knows no beacon".to_owned(),
            };
        };
        let newest = beats.newest().map_or(0, Epoch::number);
        if epoch.number() > newest + AHEAD_EPOCHS {
            return Reading::Garbled {
                why: "it shows a beacon that the API never had".to_owned(),
            };
        }
        let Some(late) = beats.behind(epoch, value.heard) else {
            return Reading::Fresh(value);
        };
        let allowed = ttl + floors(self.role) + SLACK;
        if late <= allowed {
            let perhaps = beats.perhaps_behind(epoch, value.heard);
            return if perhaps.is_some_and(|perhaps| perhaps > allowed) {
                Reading::Absent {
                    why: UNSETTLED.to_owned(),
                }
            } else {
                Reading::Fresh(value)
            };
        }
        // Who does not tell what it heard of is judged by what it shows.
        let is_replica = self.role == Role::Replica;
        masked(if is_replica && unheard.is_none() {
            Mask::FrozenReplica
        } else {
            Mask::Cache
        })
    }

    /// The serial, where it is one process's.
    fn own_serial(&self) -> Option<Serial> {
        self.serial.filter(|_| self.role == Role::Replica)
    }

    /// Whether it was seen to take in a change after `moment`, and lately.
    fn has_moved_after(&self, moment: Moment, around: Around<'_>) -> bool {
        self.own_serial().is_some_and(|serial| {
            let lately = around.now.since(serial.first) <= around.beats.at_most_between();
            serial.before.is_some_and(|before| before > moment) && lately
        })
    }
}

impl Serial {
    fn after(before: Option<Self>, value: u32, at: Moment) -> Self {
        match before {
            Some(same) if same.value == value => Self { last: at, ..same },
            other => Self {
                value,
                first: at,
                last: at,
                before: other.map(|other| other.last),
            },
        }
    }

    /// When that was: as the replica's clock tells it, but not outside of when it was seen to move.
    fn changed(self) -> Moment {
        let told = Moment::from_millis(u64::from(self.value).saturating_mul(1000));
        let earliest = self.before.unwrap_or_else(|| told.min(self.first));
        told.clamp(earliest, self.first)
    }
}

/// What caches on the way may add to the time that an answer lives for. One is in the replica, and one may stand on
/// the node: `NodeLocal` listens at the Service's own address too.
fn floors(role: Role) -> Span {
    match role {
        Role::ApiRead | Role::ApiWatch => Span::ZERO,
        Role::Replica => FLOOR,
        Role::Service | Role::Resolver => FLOOR + FLOOR,
    }
}

/// Whether it is not known yet how old its answers are, since they are from before anybody looked.
pub(super) fn is_unsettled(reading: &Reading<Sight>) -> bool {
    matches!(reading, Reading::Absent { why } if why == UNSETTLED)
}

/// The same for one before it, that clients are answered by.
pub(super) fn behind_unsettled(reading: Reading<Sight>) -> Reading<Sight> {
    match reading {
        Reading::Fresh(_) => Reading::Absent {
            why: "a replica behind it shows a beacon from before this replica of Weir began to look: whether that \
                  replica hears of anything shows within a minute"
                .to_owned(),
        },
        other => other,
    }
}

/// Whether a serial can be the moment of a change: others number their zones in other ways.
fn is_time(serial: u32, now: Moment) -> bool {
    let latest = now.as_millis() / 1000 + AHEAD_AT_MOST_S;
    serial >= OLDEST_SERIAL && u64::from(serial) <= latest
}
