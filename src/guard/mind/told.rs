//! What is to be told of one look at the world.

use std::collections::BTreeMap;

use weir_core::policy::Mode;

use super::{Mind, all_policies};
use crate::{
    act::{events::Notice, failure::Failure},
    api::RolloutPolicy,
    guard::{
        adoption::Obstacles,
        notices::{self, Once},
        rollout::Mandate,
        roster::{Enrolled, RolloutId, is_refused, record},
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
        self.masks.look(world);
        if !world.leads {
            // Nobody is told anything, and so nothing is taken as told: should this replica come to
            // lead, it tells what the record does not show as told by another.
            self.once = Once::default();
            return Vec::new();
        }
        let mut notices = Vec::new();
        let told = self.rollouts.iter().filter(|(_, one)| match one.mandate {
            // Where Weir only reads, it says nothing about what it reads but in metrics and the log.
            Mandate::Guard(Mode::Observe) | Mandate::Remainder => false,
            Mandate::Guard(Mode::Shadow | Mode::Enforce) | Mandate::LetGo => true,
        });
        for (id, rollout) in told {
            if let (Some(last), Some(told)) = (&rollout.last, self.told.get_mut(id)) {
                notices.extend(told.tell(id, rollout, &last.report));
            }
        }
        notices.extend(self.adoption.rebuilt().map(notices::valve_rebuilt));
        notices.extend(self.masks.tell(world));
        let mut facts = enrolment_facts(world, enrolled);
        facts.extend(policy_facts(world, policies, choices));
        facts.extend(self.valve_facts(world));
        facts.extend(self.write_facts(world));
        facts.extend(self.stranded.iter().map(|stranded| Fact {
            key: format!("stranded {} {:?}", stranded.namespace, stranded.id),
            known: false,
            notice: notices::stranded(stranded),
        }));
        let still = facts.iter().map(|fact| fact.key.clone()).collect();
        let new = facts
            .into_iter()
            .filter(|fact| self.once.is_new(&fact.key) && !fact.known);
        notices.extend(new.map(|fact| fact.notice));
        self.once.keep(&still);
        notices
    }

    /// What keeps the gate from being in force.
    fn valve_facts(&self, world: &World) -> Vec<Fact> {
        let Obstacles { unread, unwritten } = self.adoption.obstacles();
        let open = matches!(world.gate, Some(Ok(Gate::Open { .. })));
        let of_valve = |key: &str, notice| Fact {
            key: key.to_owned(),
            known: false,
            notice,
        };
        let waits = (!unread.is_empty()).then(|| notices::adoption_waits(&unread));
        let failed = unwritten.map(|failure| notices::valve_unwritten(&failure));
        // An open gate that is yet to be adopted lacks neither policy nor binding.
        let adopted = !self.adoption.is_unsettled(world);
        let open = (open && adopted).then(notices::gate_open);
        [
            waits.map(|notice| of_valve("adoption waits", notice)),
            failed.map(|notice| of_valve("valve unwritten", notice)),
            open.map(|notice| of_valve("gate", notice)),
        ]
        .into_iter()
        .flatten()
        .collect()
    }

    /// Rollouts for which nothing can be written, each with why.
    pub(super) fn failing<'a>(
        &'a self,
        world: &'a World,
    ) -> impl Iterator<Item = (&'a RolloutId, &'a Failure)> {
        self.rollouts.iter().filter_map(move |(id, rollout)| {
            let failure = rollout.stuck().or_else(|| world.unrecorded(id))?;
            Some((id, failure))
        })
    }

    /// The same, to be told.
    fn write_facts(&self, world: &World) -> Vec<Fact> {
        let fact = |(id, failure): (&RolloutId, &Failure)| Fact {
            key: format!("unwritten {}", id.revision_key()),
            known: false,
            notice: notices::unwritten(id, failure),
        };
        self.failing(world).map(fact).collect()
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
            Enrolment::Unclear { why } => ("not", notices::not_enrolled(&id, why)),
            Enrolment::Mode(_) => (
                "unclear",
                notices::label_unclear(&id, one.doubt.as_deref()?),
            ),
        };
        Some(Fact {
            key: format!("{what} {} {}", id.revision_key(), notice.note),
            // A record says that it is refused; of a label it says nothing to those who look only once.
            known: record(&id, world).is_some_and(is_refused),
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
        let ready = policies.conditions(name, all)?.ready;
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
