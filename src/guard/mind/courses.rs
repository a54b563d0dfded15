//! Which revisions are rollouts now, how far Weir goes with each, and how their memory begins.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::policy::Mode;

use super::{Mind, view};
use crate::{
    guard::{
        notices::Told,
        rollout::{Course, Rollout},
        roster::{self, Enrolled, RolloutId, record},
        world::World,
    },
    policy::{Choice, Policies},
    valve::Enrolment,
};

/// No labels at all.
const NONE: BTreeMap<String, String> = BTreeMap::new();

impl Mind {
    /// Begins with rollouts that are new, and leaves those that have ended.
    pub(super) fn take_up(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
        choices: &BTreeMap<String, Choice>,
    ) {
        let won = world.leads && !self.led;
        self.led = world.leads;
        if world.cluster.rollouts.last().is_none() {
            // Nothing is begun before it is known what was.
            return;
        }
        let courses = self.courses(world, enrolled);
        for (id, course) in &courses {
            let choice = choices.get(&id.workload.to_string()).cloned();
            let choice = choice.unwrap_or_else(|| Policies::new([]).select(&NONE, &NONE));
            let (Some(view), record) = (view(id, world), record(id, world)) else {
                continue;
            };
            self.told
                .entry(id.clone())
                .or_insert_with(|| Told::by(record));
            let rollout = self.rollouts.entry(id.clone()).or_insert_with(|| {
                Rollout::take_up(view.clone(), *course, choice.clone(), record, world.now)
            });
            (rollout.course, rollout.choice) = (*course, choice);
            rollout.view.clone_from(view);
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
            .filter(|(id, _)| !courses.contains_key(id))
        {
            rollout.give_up();
        }
        self.rollouts.retain(|id, _| courses.contains_key(id));
        self.told.retain(|id, _| courses.contains_key(id));
    }

    /// Which revisions are rollouts now, and how far Weir goes with each.
    fn courses(&mut self, world: &World, enrolled: &[Enrolled<'_>]) -> BTreeMap<RolloutId, Course> {
        let mut courses = BTreeMap::new();
        for one in enrolled {
            let Some(mode) = one.mode() else {
                continue;
            };
            let Some(id) = one.current() else {
                // The controller has not looked yet: it may well be the same revision.
                let same = self.rollouts.keys().find(|id| id.uid == one.view.uid);
                courses.extend(same.map(|id| (id.clone(), Course::Guard(mode))));
                continue;
            };
            let ended = self.rollouts.get(&id).is_some_and(Rollout::has_ended);
            if mode == Mode::Observe && ended {
                self.settled.ended(&id);
            }
            let open = record(&id, world).is_some_and(roster::is_open);
            let vouched = mode != Mode::Enforce || self.adoption.vouches_for(&id.uid, world);
            // What ended while the valve was in order is no rollout because the valve is lost.
            let known = self.rollouts.contains_key(&id) && !vouched && !ended;
            let begins = vouched && roster::is_rollout(&id, mode, world, &self.settled);
            if open || known || begins {
                courses.insert(id, Course::Guard(mode));
            }
        }
        for id in left_behind(world, enrolled) {
            courses.insert(id, Course::LetGo);
        }
        courses
    }
}

/// Rollouts of workloads that are no longer enrolled, as long as something may still be held.
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
