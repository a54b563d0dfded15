//! What one tick knew and decided → the snapshot that is published of it.

use std::collections::{BTreeMap, BTreeSet};

use tracing::{info, warn};
use weir_core::{
    evidence::{Health, Reading},
    plan::Rule,
    time::Span,
    usage::Meter,
};

use super::{mind::Mind, world::World};
use crate::{
    client::Spent,
    snapshot::{Done, RolloutView, Snapshot},
    valve::remote::Gate,
};

/// What is remembered from snapshot to snapshot.
#[derive(Debug, Default)]
pub(super) struct Shown {
    ticks: u64,
    /// Whether everything had been read once.
    ready: bool,
    waiting: Vec<String>,
    missing: Missing,
    stranded: BTreeSet<String>,
    meters: BTreeMap<String, Meter>,
}

/// Sources that are not fresh, and for what that counts; what adoption waits for.
type Missing = (Vec<(&'static str, Rule)>, Vec<String>);

/// What is shown besides what the world and the mind hold.
pub(super) struct Beside {
    pub(super) enrolled: usize,
    pub(super) dependencies: BTreeMap<(String, String), Reading<Health>>,
    pub(super) leader: Option<String>,
    pub(super) watches: BTreeMap<String, Span>,
    pub(super) spent: Spent,
    pub(super) done: Done,
}

impl Shown {
    /// The snapshot of a tick.
    pub(super) fn snapshot(&mut self, world: &World, mind: &Mind, beside: Beside) -> Snapshot {
        self.ticks += 1;
        self.wait_for(world, mind);
        self.tell_of_stranded(mind);
        self.tell_of_meters(mind);
        let role = world.cluster.role.last().and_then(Option::as_ref);
        let approved = role.map_or(0, |role| role.says.approved.len());
        Snapshot {
            at: world.now,
            ticks: self.ticks,
            ceiling: world.ceiling,
            leader: beside.leader,
            leads: world.leads,
            ready: self.ready,
            waiting: self.waiting.clone(),
            valve_in_order: mind.valve_in_order(world),
            gate_in_force: gate_in_force(world),
            approved: u32::try_from(approved).unwrap_or(u32::MAX),
            sources: world.sources().into(),
            servers: world.servers.clone(),
            expected_servers: world.expected_servers.clone(),
            dns: world.dns.clone(),
            dependencies: beside.dependencies,
            watches: beside.watches,
            enrolled: u32::try_from(beside.enrolled).unwrap_or(u32::MAX),
            rollouts: rollouts(mind),
            stranded: stranded(mind),
            unwritten: mind.unwritten(world),
            metered: metered(&self.meters),
            spent: beside.spent,
            done: beside.done,
        }
    }

    /// Whether something that is watched was never read, and no more than so many looks were made.
    pub(super) const fn starting(&self, looks: u64) -> bool {
        !self.ready && self.ticks < looks
    }

    /// Says what is waited for, when it changes.
    fn wait_for(&mut self, world: &World, mind: &Mind) {
        let unread = world.unread();
        self.ready |= unread.is_empty();
        let unadopted = mind.unadopted();
        // Not by the sentences: some figure always moves in them.
        let missing: Missing = (
            unread.iter().map(|gap| (gap.source, gap.rule)).collect(),
            unadopted.clone(),
        );
        let waiting: Vec<_> = unread.into_iter().map(|gap| gap.what).collect();
        let waiting = [waiting, unadopted].concat();
        if missing != self.missing {
            if waiting.is_empty() {
                info!("everything that Weir watches has been read");
            } else {
                info!(
                    waiting = waiting.join("; "),
                    "waiting for what Weir watches"
                );
            }
            self.missing = missing;
        }
        self.waiting = waiting;
    }

    /// Says which pods stay gated, when it changes: where Weir may only read, nothing else says it.
    fn tell_of_stranded(&mut self, mind: &Mind) {
        let notes: BTreeSet<_> = mind.stranded().iter().map(|one| one.note.clone()).collect();
        for note in notes.difference(&self.stranded) {
            warn!("{note}");
        }
        self.stranded = notes;
    }

    /// Says what counts each workload's requests, when it changes.
    fn tell_of_meters(&mut self, mind: &Mind) {
        let meters = mind.meters().known();
        for (workload, meter) in meters {
            if self.meters.get(workload) == Some(meter) {
                continue;
            }
            match meter {
                Meter::Own { schema } => info!(workload, schema, "its requests are metered"),
                Meter::Shared { schema, with } => {
                    info!(
                        workload,
                        schema, with, "its requests are metered, with those of others"
                    );
                }
                Meter::Awaited { why } => info!(workload, why, "its requests are not metered yet"),
                Meter::None { why } => info!(workload, why, "its requests are not metered"),
            }
        }
        self.meters.clone_from(meters);
    }
}

/// Accounts by what counts their requests. Where nothing does, each workload counts as one.
fn metered(meters: &BTreeMap<String, Meter>) -> BTreeMap<&'static str, u32> {
    let accounts: BTreeSet<_> = meters
        .iter()
        .map(|(workload, meter)| match meter {
            Meter::Own { schema } => ("own", schema),
            Meter::Shared { schema, with: _ } => ("shared", schema),
            Meter::Awaited { why: _ } => ("awaited", workload),
            Meter::None { why: _ } => ("none", workload),
        })
        .collect();
    let states = ["own", "shared", "awaited", "none"];
    let mut counts = BTreeMap::from(states.map(|state| (state, 0)));
    for (state, _) in accounts {
        *counts.entry(state).or_default() += 1;
    }
    counts
}

/// Gated pods that Weir does not let through, by namespace and workload.
fn stranded(mind: &Mind) -> BTreeMap<(String, String), u32> {
    let mut all = BTreeMap::new();
    for one in mind.stranded() {
        let name = one.id.as_ref().map(|id| id.workload.name.clone());
        let pods = u32::try_from(one.pods).unwrap_or(u32::MAX);
        let sum: &mut u32 = all
            .entry((one.namespace.clone(), name.unwrap_or_default()))
            .or_default();
        *sum = sum.saturating_add(pods);
    }
    all
}

/// Whether the gate is in force; only the leader asks.
fn gate_in_force(world: &World) -> Option<bool> {
    let found = world.gate.as_ref().filter(|_| world.leads)?;
    let gate = found.as_ref().ok()?;
    Some(matches!(gate, Gate::InForce))
}

fn rollouts(mind: &Mind) -> BTreeMap<(String, String), RolloutView> {
    let view = |(id, rollout): (&super::roster::RolloutId, &super::rollout::Rollout)| {
        let last = rollout.last.as_ref()?;
        let name = (id.workload.namespace.clone(), id.workload.name.clone());
        let view = RolloutView {
            revision: id.hash.clone(),
            mode: rollout.mandate.mode(),
            decision: last.decision.clone(),
            report: last.report.clone(),
        };
        let is_current = rollout.view.revision.as_ref() == Some(&id.hash);
        Some((is_current, (name, view)))
    };
    let mut views: Vec<_> = mind.rollouts().filter_map(view).collect();
    // Of a workload's rollouts the last counts: that of its current revision.
    views.sort_by_key(|(is_current, _)| *is_current);
    views.into_iter().map(|(_, view)| view).collect()
}
