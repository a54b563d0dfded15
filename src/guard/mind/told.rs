//! What is to be told of one look at the world.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::policy::Mode;

use super::{Mind, all_policies};
use crate::{
    act::events::Notice,
    api::RolloutPolicy,
    guard::{
        notices,
        rollout::Course,
        roster::{Enrolled, record},
        world::World,
    },
    policy::{Choice, Policies, Reason},
    valve::Enrolment,
};

impl Mind {
    /// What is new to people, and is taken as told from here on.
    pub(super) fn notices(
        &mut self,
        world: &World,
        enrolled: &[Enrolled<'_>],
        policies: &Policies,
        choices: &BTreeMap<String, Choice>,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let told = self.rollouts.iter();
        // Where Weir only reads, it says nothing about what it reads but in metrics and the log.
        for (id, rollout) in told.filter(|(_, one)| one.course != Course::Guard(Mode::Observe)) {
            if let (Some(last), Some(told)) = (&rollout.last, self.told.get_mut(id)) {
                notices.extend(told.tell(id, rollout.course, &last.report));
            }
        }
        let mut still = BTreeSet::new();
        for one in enrolled {
            let (Enrolment::Refused { why, acknowledge }, Some(id)) =
                (&one.enrolment, one.current())
            else {
                continue;
            };
            let key = format!("refused {}", id.revision_key());
            if record(&id, world).is_none() && self.once.is_new(&key) {
                notices.push(notices::refused(&id, why, acknowledge));
            }
            still.insert(key);
        }
        for (name, policy) in all_policies(world) {
            let all = choices
                .iter()
                .map(|(workload, choice)| (workload.as_str(), choice));
            let standing = policies.standing(name, all);
            let Some(ready) = standing
                .map(|standing| standing.ready)
                .filter(|one| !one.holds)
            else {
                continue;
            };
            let key = format!("policy {name} {}", policy.metadata.generation.unwrap_or(0));
            if !known_to_be(policy, ready.reason) && self.once.is_new(&key) {
                notices.push(notices::policy_invalid(policy, &ready.message));
            }
            still.insert(key);
        }
        self.once.keep(&still);
        notices
    }
}

/// Whether the policy's own status says this already: then people were told before a restart.
fn known_to_be(policy: &RolloutPolicy, reason: Reason) -> bool {
    let status = policy.status.as_ref();
    status.is_some_and(|status| {
        status.observed_generation == policy.metadata.generation
            && status
                .conditions
                .iter()
                .any(|one| one.reason == reason.as_str())
    })
}
