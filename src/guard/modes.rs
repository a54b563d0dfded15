//! What labels ask for, over time → how far Weir goes with each workload.
//!
//! ```text
//!  enforce │ no label, 5 s │ enforce       held all the while: a sync that deletes and applies
//!  enforce │ no label, 15 s ─────────▶     no longer guarded: what is held is let go
//!  enforce │ no label, stale ────────▶     held: nobody knows whether it is still gone
//!  enforce │ "enforced" ─────────────▶     held: a slip of the pen changes nothing
//! ```
//!
//! A hold is given up slowly, and taken up at once.

use std::collections::BTreeMap;

use weir_core::{policy::Mode, time::Moment};

use super::{
    held::{Held, SETTLED_AFTER},
    roster::{Enrolled, is_open, record},
    world::World,
};
use crate::{api, valve::Enrolment};

/// How far Weir goes with each workload, by UID.
#[derive(Debug, Default)]
pub(super) struct Modes {
    by_uid: BTreeMap<String, Known>,
}

#[derive(Debug)]
struct Known {
    /// How far Weir goes with it, if it does.
    mode: Option<Mode>,
    /// What its label was last seen to ask for.
    asked: Option<Mode>,
    /// Since when it has asked for that, freshly seen and without interruption.
    since: Moment,
}

impl Modes {
    /// Takes in one look at all workloads, and leaves those as they were whose label is unclear, or
    /// has asked for less only for a short while. Returns those for which anybody asks for anything.
    pub(super) fn settle<'a>(
        &mut self,
        world: &World,
        all: Option<Vec<Enrolled<'a>>>,
        held: &[Held],
    ) -> Option<Vec<Enrolled<'a>>> {
        let cluster = &world.cluster;
        if cluster.daemon_sets.fresh().is_none() || cluster.namespaces.fresh().is_none() {
            for known in self.by_uid.values_mut() {
                known.since = world.now;
            }
        }
        let mut all = all?;
        self.by_uid
            .retain(|uid, _| all.iter().any(|one| one.view.uid == *uid));
        for one in &mut all {
            match one.enrolment.clone() {
                Enrolment::Mode(mode) => self.ask(one, Some(mode), world, held),
                Enrolment::Not { .. } | Enrolment::Refused { .. } => {
                    self.ask(one, None, world, held);
                }
                Enrolment::Unclear { why } => self.doubt(one, &why, world, held),
            }
        }
        all.retain(|one| one.enrolment != Enrolment::Not { why: None });
        Some(all)
    }

    /// Whether a workload's label has said for long enough, freshly seen, what it says.
    pub(super) fn are_settled(&self, uid: &str, now: Moment) -> bool {
        let known = self.by_uid.get(uid);
        known.is_some_and(|known| known.is_settled(now))
    }

    fn ask(&mut self, one: &mut Enrolled<'_>, asked: Option<Mode>, world: &World, held: &[Held]) {
        let known = self
            .by_uid
            .entry(one.view.uid.clone())
            .or_insert_with(|| Known {
                mode: mode_on_record(one, world),
                asked,
                since: world.now,
            });
        if known.asked != asked {
            (known.asked, known.since) = (asked, world.now);
        }
        let before = known.mode.map(|mode| mode.min(world.ceiling));
        match before {
            Some(mode)
                if before > asked
                    && !known.is_settled(world.now)
                    && is_under_way(one, world, held) =>
            {
                one.enrolment = Enrolment::Mode(mode);
            }
            Some(_) | None => known.mode = asked,
        }
    }

    /// Leaves it as remembered or, after a restart, as its record or its gated pods say.
    fn doubt(&mut self, one: &mut Enrolled<'_>, why: &str, world: &World, held: &[Held]) {
        let uid = &one.view.uid;
        let remembered = self.by_uid.get(uid).and_then(|known| known.mode);
        let mode = remembered.or_else(|| mode_before(one, world, held));
        let Some(mode) = mode else {
            return;
        };
        let known = Known {
            mode: Some(mode),
            asked: Some(mode),
            since: world.now,
        };
        self.by_uid.insert(uid.clone(), known);
        one.doubt = Some(format!("{why}; until then it stays in {}", mode.name()));
        one.enrolment = Enrolment::Mode(mode.min(world.ceiling));
    }
}

impl Known {
    fn is_settled(&self, now: Moment) -> bool {
        now.since(self.since) >= SETTLED_AFTER
    }
}

/// Whether the workload's current revision is a rollout that has begun, or has gated pods.
fn is_under_way(one: &Enrolled<'_>, world: &World, held: &[Held]) -> bool {
    let Some(id) = one.current() else {
        // The controller has not looked yet: it may well be the same revision.
        return true;
    };
    record(&id, world).is_some_and(is_open) || held.iter().any(|held| held.id.as_ref() == Some(&id))
}

/// How far Weir went with a rollout that has not ended, before this process can remember.
fn mode_on_record(one: &Enrolled<'_>, world: &World) -> Option<Mode> {
    let record = record(&one.current()?, world).filter(|record| is_open(record))?;
    record.status.as_ref()?.mode.map(of_record)
}

/// The same of a workload, whatever became of its rollout.
fn mode_before(one: &Enrolled<'_>, world: &World, held: &[Held]) -> Option<Mode> {
    let mut gated = held.iter().filter_map(|held| held.id.as_ref());
    if gated.any(|id| id.uid == one.view.uid) {
        return Some(Mode::Enforce);
    }
    let record = record(&one.current()?, world)?;
    record.status.as_ref()?.mode.map(of_record)
}

const fn of_record(mode: api::Mode) -> Mode {
    match mode {
        api::Mode::Observe => Mode::Observe,
        api::Mode::Shadow => Mode::Shadow,
        api::Mode::Enforce => Mode::Enforce,
    }
}
