//! Which revisions are rollouts now, how far Weir goes with each, and how their memory begins.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::policy::Mode;

use super::{Mind, view};
use crate::{
    guard::{
        held::Fate,
        notices::Told,
        rollout::{Mandate, Rollout},
        roster::{self, Enrolled, NONE, RolloutId, record},
        world::World,
    },
    policy::{Choice, Policies},
    valve::Enrolment,
};

impl Mind {
    /// Begins with rollouts that are new, and leaves those that have ended.
    pub(super) fn take_up(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
        choices: &BTreeMap<String, Choice>,
    ) {
        if world.cluster.rollouts.last().is_none() {
            // Nothing is begun before it is known what was.
            return;
        }
        let won = world.leads && !self.led;
        self.led = world.leads;
        let doubts: BTreeMap<&str, &String> = enrolled
            .iter()
            .filter_map(|one| Some((one.view.uid.as_str(), one.doubt.as_ref()?)))
            .collect();
        let mandates = self.mandates(world, enrolled);
        for (id, mandate) in &mandates {
            let choice = choices.get(&id.workload.to_string()).cloned();
            let mut choice = choice.unwrap_or_else(|| Policies::new([]).select(&NONE, &NONE));
            let doubt = doubts.get(id.uid.as_str());
            choice.notes.extend(doubt.map(|doubt| (*doubt).clone()));
            let (Some(view), record) = (view(id, world), record(id, world)) else {
                continue;
            };
            self.told
                .entry(id.clone())
                .or_insert_with(|| Told::by(record));
            let rollout = self.rollouts.entry(id.clone()).or_insert_with(|| {
                Rollout::take_up(view.clone(), *mandate, choice.clone(), record, world.now)
            });
            (rollout.mandate, rollout.choice) = (*mandate, choice);
            rollout.see(view, &id.hash);
            if won {
                rollout.resume(record, world.now);
                self.told.insert(id.clone(), Told::by(record));
            } else if !world.leads {
                rollout.follow(record);
            }
        }
        for (_, rollout) in self
            .rollouts
            .iter()
            .filter(|(id, _)| !mandates.contains_key(id))
        {
            rollout.give_up();
        }
        self.rollouts.retain(|id, _| mandates.contains_key(id));
        self.told.retain(|id, _| mandates.contains_key(id));
    }

    /// Which revisions are rollouts now, and how far Weir goes with each.
    fn mandates(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
    ) -> BTreeMap<RolloutId, Mandate> {
        let mut mandates = BTreeMap::new();
        for one in enrolled {
            let Some(mode) = one.mode() else {
                continue;
            };
            let Some(id) = one.current() else {
                // The controller has not looked yet: it may well be the same revision.
                let same = self.rollouts.keys().find(|id| id.uid == one.view.uid);
                mandates.extend(same.map(|id| (id.clone(), Mandate::Guard(mode))));
                continue;
            };
            let ended = self.rollouts.get(&id).is_some_and(Rollout::has_ended);
            if mode == Mode::Observe && ended {
                self.settled.ended(&id);
            }
            if let Some(mandate) = self.mandate(&id, mode, world) {
                mandates.insert(id, mandate);
            }
        }
        for id in left_behind(world, enrolled) {
            if self.may_let_go(&id, world) {
                mandates.insert(id, Mandate::LetGo);
            }
        }
        self.free_the_held(world, enrolled, &mut mandates);
        mandates
    }

    /// Whether it is certain, or was when Weir began to, that nobody asks for its being held.
    fn may_let_go(&self, id: &RolloutId, world: &World) -> bool {
        let mandate = self.rollouts.get(id).map(|one| one.mandate);
        mandate == Some(Mandate::LetGo) || self.modes.are_settled(&id.uid, world.now)
    }

    /// How far Weir goes with the current revision of an enrolled workload, if it is a rollout.
    fn mandate(&self, id: &RolloutId, mode: Mode, world: &World) -> Option<Mandate> {
        let record = record(id, world);
        let begun = record.is_some_and(roster::is_begun);
        let lowered = mode == Mode::Observe && world.ceiling > Mode::Observe;
        if begun && lowered && self.may_let_go(id, world) {
            // Nothing more is written of it: its record must not say for ever what it says now.
            return Some(Mandate::LetGo);
        }
        let letting_go = |one: &Rollout| one.mandate == Mandate::LetGo;
        if begun && mode == Mode::Shadow && self.rollouts.get(id).is_some_and(letting_go) {
            // It ends as what it is: what was let through in the meantime soaked unguarded.
            return Some(Mandate::LetGo);
        }
        let open = record.is_some_and(roster::is_open);
        let ended = self.rollouts.get(id).is_some_and(Rollout::has_ended);
        let vouched = mode != Mode::Enforce || self.adoption.vouches_for(&id.uid, world);
        // What ended while the valve was in order is no rollout because the valve is lost.
        let known = self.rollouts.contains_key(id) && !vouched && !ended;
        let begins = vouched && roster::is_rollout(id, mode, world, &self.settled);
        (open || known || begins).then_some(Mandate::Guard(mode))
    }

    /// Sees to it that no pod that carries our gate is forgotten.
    fn free_the_held(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
        mandates: &mut BTreeMap<RolloutId, Mandate>,
    ) {
        let modes: BTreeMap<&str, Mode> = enrolled
            .iter()
            .filter_map(|one| Some((one.view.uid.as_str(), one.mode()?)))
            .collect();
        let mut stranded = Vec::new();
        for held in &self.held {
            let mode = held.id.as_ref().and_then(|id| modes.get(id.uid.as_str()));
            let begun = held.id.as_ref().is_some_and(|id| {
                self.rollouts.contains_key(id) || record(id, world).is_some_and(roster::is_begun)
            });
            match (held.fate(mode.copied(), begun, world), &held.id) {
                (Fate::Freed(Mandate::LetGo), Some(id)) if !self.may_let_go(id, world) => {}
                (Fate::Freed(mandate), Some(id)) => match mandates.get(id) {
                    // Its rollout lets them through.
                    Some(Mandate::Guard(Mode::Enforce)) => {}
                    Some(_) | None => drop(mandates.insert(id.clone(), mandate)),
                },
                (Fate::Stranded(why), _) => stranded.push(held.stranded(why)),
                (Fate::Theirs | Fate::Freed(_), _) => {}
            }
        }
        self.stranded = stranded;
    }
}

/// Rollouts of workloads that are no longer enrolled, as long as their record is open.
fn left_behind(world: &World, enrolled: &[Enrolled<'_>]) -> Vec<RolloutId> {
    let asked: BTreeSet<&str> = enrolled
        .iter()
        .filter(|one| !matches!(one.enrolment, Enrolment::Not { .. }))
        .map(|one| one.view.uid.as_str())
        .collect();
    let daemon_sets = world
        .cluster
        .daemon_sets
        .last()
        .into_iter()
        .flat_map(|all| all.iter());
    daemon_sets
        .filter(|_| world.ceiling > Mode::Observe)
        .filter(|(_, view)| !view.deleting && !asked.contains(view.uid.as_str()))
        .filter_map(|(key, view)| {
            Some(RolloutId {
                workload: key.clone(),
                uid: view.uid.clone(),
                hash: view.revision.clone()?,
            })
        })
        .filter(|id| record(id, world).is_some_and(roster::is_open))
        .collect()
}
