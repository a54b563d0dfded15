//! What is to be told of one look at the world.

use std::collections::BTreeMap;

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
    valve::{Enrolment, remote::Gate},
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
        let mut facts = enrolment_facts(world, enrolled);
        facts.extend(policy_facts(world, policies, choices));
        if let Some(Ok(Gate::Open { .. })) = &world.gate {
            facts.push(Fact {
                key: "gate".to_owned(),
                known: false,
                notice: notices::gate_open(),
            });
        }
        let still = facts.iter().map(|fact| fact.key.clone()).collect();
        let new = facts
            .into_iter()
            .filter(|fact| self.once.is_new(&fact.key) && !fact.known);
        notices.extend(new.map(|fact| fact.notice));
        self.once.keep(&still);
        notices
    }
}

/// What is told once, for as long as it is so.
struct Fact {
    key: String,
    /// It is on record: then people were told before a restart.
    known: bool,
    notice: Notice,
}

/// Workloads for which what was asked cannot be.
fn enrolment_facts(world: &World, enrolled: &[Enrolled<'_>]) -> Vec<Fact> {
    let fact = |one: &Enrolled<'_>| {
        let id = one.current()?;
        let (what, notice) = match &one.enrolment {
            Enrolment::Refused { why, acknowledge } => {
                ("refused", notices::refused(&id, why, acknowledge))
            }
            Enrolment::Not { why } => ("not", notices::not_enrolled(&id, why.as_deref()?)),
            Enrolment::Mode(_) => return None,
        };
        Some(Fact {
            key: format!("{what} {} {}", id.revision_key(), notice.note),
            known: record(&id, world).is_some(),
            notice,
        })
    };
    enrolled.iter().filter_map(fact).collect()
}

/// Policies that cannot be used as they are.
fn policy_facts(
    world: &World,
    policies: &Policies,
    choices: &BTreeMap<String, Choice>,
) -> Vec<Fact> {
    let fact = |(name, policy): (&String, &RolloutPolicy)| {
        let all = choices
            .iter()
            .map(|(workload, choice)| (workload.as_str(), choice));
        let ready = policies.standing(name, all)?.ready;
        (!ready.holds).then(|| Fact {
            key: format!("policy {name} {}", policy.metadata.generation.unwrap_or(0)),
            known: known_to_be(policy, ready.reason),
            notice: notices::policy_invalid(policy, &ready.message),
        })
    };
    all_policies(world).filter_map(fact).collect()
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
