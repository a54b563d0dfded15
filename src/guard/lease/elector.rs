//! Turns what was seen of the Lease into who leads and what to write next. No I/O and no clock.
//!
//! ```text
//!  our renewal sent        +30 s                     +40 s unchanged, by the other's clock
//!        │── we may write ──▶│── nobody writes ───────▶│── the other may take it ──▶
//! ```
//!
//! client-go's semantics: what another holder wrote is only ever compared with what it wrote
//! before; *when* it last changed is read from the local clock. Timestamps in the Lease are for
//! people. So neither skewed nor jumping clocks matter, only clocks that run at different rates:
//! up to a third apart is safe, since 30 s of one are then at most 40 s of the other.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use weir_core::time::{Moment, Span};

use crate::api::times::micro_time;

/// How long a holder that says nothing keeps the lease.
const DURATION: Span = Span::from_secs(40);
/// How long after sending its last successful renewal a holder may still begin writes. What is
/// left until [`DURATION`] covers a request that was begun at the last moment.
const MAY_WRITE_FOR: Span = Span::from_secs(30);

/// The Lease as it was last seen.
#[derive(Debug, Clone, PartialEq)]
struct Seen {
    spec: LeaseSpec,
    /// What a write must be based on; `None` if there is no such object.
    version: Option<String>,
    /// When `spec` was first seen like this, by the local clock.
    since: Moment,
}

/// A write that takes or renews the lease.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Claim {
    /// What to write.
    pub(super) spec: LeaseSpec,
    /// The resourceVersion to write over; `None` to create the object.
    pub(super) over: Option<String>,
}

/// One candidate. Its identity must be unique to this process.
#[derive(Debug)]
pub(super) struct Elector {
    identity: String,
    seen: Option<Seen>,
    /// Whether `seen` is what the server holds, as far as we know.
    current: bool,
    may_write_until: Option<Moment>,
}

impl Elector {
    pub(super) const fn new(identity: String) -> Self {
        Self {
            identity,
            seen: None,
            current: false,
            may_write_until: None,
        }
    }

    /// Whether the lease is ours and can be renewed without reading it first.
    pub(super) fn can_renew_unread(&self) -> bool {
        self.current && self.holder() == Some(&self.identity)
    }

    /// Who holds it, as last seen.
    pub(super) fn holder(&self) -> Option<&str> {
        let holder = self.seen.as_ref()?.spec.holder_identity.as_deref();
        holder.filter(|holder| !holder.is_empty())
    }

    /// Until when writes may begin.
    pub(super) const fn may_write_until(&self) -> Option<Moment> {
        self.may_write_until
    }

    /// The Lease was read: its spec and version, or neither if it does not exist.
    pub(super) fn saw(&mut self, spec: LeaseSpec, version: Option<String>, now: Moment) {
        let since = match &self.seen {
            Some(seen) if seen.spec == spec => seen.since,
            Some(_) | None => now,
        };
        self.seen = Some(Seen {
            spec,
            version,
            since,
        });
        self.current = true;
        if self.holder() != Some(&self.identity) {
            self.may_write_until = None;
        }
    }

    /// What to write now, or when to look again.
    pub(super) fn claim(&self, now: Moment) -> Result<Claim, Moment> {
        let Some(seen) = self.seen.as_ref().filter(|_| self.current) else {
            return Err(now);
        };
        let ours = self.holder() == Some(&self.identity);
        let expires = seen.since + DURATION;
        if !ours && self.holder().is_some() && now < expires {
            return Err(expires);
        }
        let stamp = Some(micro_time(now));
        let before = &seen.spec;
        let transitions = before.lease_transitions.unwrap_or(0);
        Ok(Claim {
            spec: LeaseSpec {
                holder_identity: Some(self.identity.clone()),
                lease_duration_seconds: Some(40),
                acquire_time: if ours {
                    before.acquire_time.clone()
                } else {
                    stamp.clone()
                },
                renew_time: stamp,
                lease_transitions: Some(if ours { transitions } else { transitions + 1 }),
                ..LeaseSpec::default()
            },
            over: seen.version.clone(),
        })
    }

    /// A claim sent at `sent` was accepted: the lease is ours as from then.
    pub(super) fn won(&mut self, claim: Claim, version: Option<String>, sent: Moment) {
        self.seen = Some(Seen {
            spec: claim.spec,
            version,
            since: sent,
        });
        self.current = true;
        self.may_write_until = Some(sent + MAY_WRITE_FOR);
    }

    /// A request failed: what the server holds must be read before the next claim.
    pub(super) const fn doubt(&mut self) {
        self.current = false;
    }

    /// The write that hands the lease back, if it is ours. No write may begin from here on.
    pub(super) fn hand_back(&mut self, now: Moment) -> Option<Claim> {
        self.may_write_until = None;
        let seen = self.seen.clone().filter(|_| self.can_renew_unread())?;
        Some(Claim {
            spec: LeaseSpec {
                holder_identity: None,
                lease_duration_seconds: Some(1),
                renew_time: Some(micro_time(now)),
                ..seen.spec
            },
            over: seen.version,
        })
    }
}

#[cfg(test)]
mod tests;
