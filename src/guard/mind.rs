//! The guard's memory, and what it makes of each look at the world: one pure step per tick.
//!
//! ```text
//!  World ──▶ who is enrolled ──▶ adoption ──▶ rollouts ──▶ judged ──▶ Thought
//!                                                            ▲           │ orders
//!  outcomes of the last orders ──────────────────────────────┘           ▼ enacted by the loop
//! ```
//!
//! No clock, no I/O: everything comes with the world, and everything that is to be done is returned.

mod judging;
mod mandates;
mod told;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weir_core::{
    evidence::{Health, Reading},
    incident::Incident,
    plan::{Intent, Report},
    policy::Mode,
    time::{Moment, Span},
};

use super::{
    adoption::{self, Adoption},
    books::{self, Ledger, Survey},
    dependencies::{self, Unheard},
    deployments::Deployments,
    held::{self, Held, Stranded},
    meters::Meters,
    modes::Modes,
    notices::{Masks, Once, Told},
    rollout::{Mandate, Rollout},
    roster::{self, Enrolled, RolloutId, Settled, record},
    world::World,
};
use crate::{
    act::{
        enact::{Order, Outcome},
        events::Notice,
        permit::Unwritten,
        record::Books,
    },
    api::{GuardedRollout, RolloutPolicy},
    dependency::Question,
    observe::{DaemonSetView, Follow, WorkloadKey},
    policy::{Choice, Policies},
    valve::{NAMESPACE, ROLE, adopt, remote::Effect},
};

/// How long a Weir that may only read keeps the lease after it has withdrawn the valve: what it has to
/// tell of gated pods takes as long to be certain, and events are sent one by one.
const LAST_WORDS: Span = Span::from_secs(30);

/// What the guard remembers from tick to tick.
#[derive(Default)]
pub(super) struct Mind {
    rollouts: BTreeMap<RolloutId, Rollout>,
    told: BTreeMap<RolloutId, Told>,
    adoption: Adoption,
    modes: Modes,
    settled: Settled,
    gated: held::Watch,
    /// Gated pods, as of this look.
    held: Vec<Held>,
    /// Those of them that Weir does not let through.
    stranded: Vec<Stranded>,
    survey: Survey,
    meters: Meters,
    unheard: Unheard,
    deployments: Deployments,
    once: Once,
    masks: Masks,
    /// When the valve was last seen to gate.
    gates: Option<Moment>,
    led: bool,
    judgements: u64,
}

/// What one look at the world comes to.
pub(super) struct Thought {
    /// Whose pods are to be watched from now on.
    pub(super) follow: Follow,
    /// What is to be done, if hands are free.
    pub(super) orders: Orders,
    /// What is to be on record.
    pub(super) books: Books,
    /// What people are to be told.
    pub(super) notices: Vec<Notice>,
    /// Decisions that changed something, for the log.
    pub(super) decisions: Vec<Decision>,
    /// How many API servers there are, as policies state it.
    pub(super) servers_stated: u32,
    /// What is asked outside the cluster.
    pub(super) questions: BTreeSet<Arc<Question>>,
    /// What is known of that, by policy and name.
    pub(super) dependencies: BTreeMap<(String, String), Reading<Health>>,
    /// How many workloads are enrolled.
    pub(super) enrolled: usize,
    /// Whether the lease is to be asked for.
    pub(super) lease_wanted: bool,
    /// Whether something is still to be learnt, or put in order, before anything can be guarded.
    pub(super) unsettled: bool,
    /// When to look again at the latest.
    pub(super) look_again: Option<Moment>,
}

/// What is to be done now.
#[derive(Default)]
pub(super) struct Orders {
    /// What the Role of the approvals is to say, written before anything else.
    pub(super) valve: Option<adoption::Write>,
    /// What is to be done for each rollout.
    pub(super) rollouts: Vec<(RolloutId, Order)>,
}

/// One judgement that changed something.
#[derive(Debug)]
pub(super) struct Decision {
    pub(super) id: String,
    pub(super) rollout: RolloutId,
    pub(super) mode: Option<Mode>,
    pub(super) report: Report,
    pub(super) intents: Vec<Intent>,
}

impl Mind {
    /// Takes in one look at the world. While `hands_busy`, nothing new is ordered.
    pub(super) fn think(&mut self, world: &World, hands_busy: bool) -> Thought {
        self.held = self.gated.look(world);
        let members = roster::members(world);
        let known = self.modes.settle(world, members, &self.held);
        let enrolled = known.as_deref().unwrap_or_default();
        self.settled.look(world, enrolled);
        self.survey.look(world);
        let policies = policies(world);
        let choices = choices(enrolled, &policies);

        let in_flight = self.rollouts.keys().map(RolloutId::revision_key).collect();
        let adoption::Step { mut follow, write } = self.adoption.step(world, enrolled, &in_flight);
        if known.is_some() {
            self.take_up(world, enrolled, &choices);
        }
        let lease_wanted = self.wants_lease(world);
        let rollouts = self.rollouts.keys();
        let metering = self
            .meters
            .look(world, lease_wanted, known.as_deref(), rollouts);
        let deployed_in = self.deployed_in();
        self.deployments.look(&deployed_in, world);
        self.unheard.look(&policies, world);
        let mut decisions = self.judge_all(world);
        let notices = self.notices(world, enrolled, &policies, &choices);

        let mut orders = Orders::default();
        if world.leads && !hands_busy {
            if let Some(write) = &write {
                self.adoption.asked(write, world.now);
            }
            orders.valve = write;
            orders.rollouts = self.orders(world);
        }
        self.take_orders(&orders, &mut decisions);
        follow.extend(self.rollouts.keys().map(|id| id.workload.clone()));
        let mut books = books::keep(&Ledger {
            world,
            enrolled,
            rollouts: &self.rollouts,
            policies: &policies,
            choices: &choices,
            survey: &self.survey,
            unheard: &self.unheard,
            gating: self.adoption.obstacles(),
            stranded: &self.stranded,
        });
        books.extend(metering);
        Thought {
            follow: Follow {
                workloads: follow,
                spread_by: self.spread_by(),
                deployed_in,
            },
            orders,
            books,
            notices,
            decisions,
            servers_stated: policies.most_servers_stated(),
            questions: dependencies::questions(&policies),
            dependencies: dependencies::readings(&policies, &self.unheard, world),
            enrolled: enrolled.len(),
            lease_wanted,
            unsettled: known.is_none() || self.adoption.is_unsettled(world),
            look_again: self.look_again(),
        }
    }

    /// Takes in what became of an order.
    pub(super) fn conclude(&mut self, id: &RolloutId, outcome: &Outcome, now: Moment) {
        if let Some(rollout) = self.rollouts.get_mut(id) {
            rollout.conclude(&id.revision_key(), outcome, now);
        }
    }

    /// Takes in what became of a write of the Role of the approvals.
    pub(super) fn valve_written(
        &mut self,
        write: &adoption::Write,
        result: Result<Effect, &Unwritten>,
        now: Moment,
    ) {
        self.adoption.concluded(write, result, now);
    }

    /// Gated pods that Weir does not let through.
    pub(super) fn stranded(&self) -> &[Stranded] {
        &self.stranded
    }

    /// That for which nothing can be written, once that has lasted: workloads, and the Role of the
    /// approvals; by namespace, kind and name.
    pub(super) fn unwritten(&self, world: &World) -> BTreeSet<(String, &'static str, String)> {
        let workloads = self.failing(world).map(|(id, _)| {
            let WorkloadKey { namespace, name } = id.workload.clone();
            (namespace, "DaemonSet", name)
        });
        let valve = self.adoption.obstacles().unwritten;
        let valve = valve.map(|_| (NAMESPACE.to_owned(), "Role", ROLE.to_owned()));
        workloads.chain(valve).collect()
    }

    /// What counts the requests of each enrolled workload.
    pub(super) const fn meters(&self) -> &Meters {
        &self.meters
    }

    /// What keeps the valve from being put in order.
    pub(super) fn unadopted(&self) -> Vec<String> {
        self.adoption.obstacles().unread
    }

    /// Whether any rollout needs close watching, or an incident whose end is to be seen.
    pub(super) fn in_flight(&self) -> bool {
        let mut rollouts = self.rollouts.values();
        // One that was never judged is about to be.
        rollouts.any(|rollout| {
            rollout.last.as_ref().is_none_or(|last| {
                let incident = last.report.incident.as_ref();
                last.report.in_flight() || incident.is_some_and(Incident::goes_on)
            })
        })
    }

    /// Whether no pod of any rollout is let through that has not been for long.
    pub(super) fn quiet(&self) -> bool {
        let mut reports = self.rollouts.values().filter_map(|one| one.last.as_ref());
        reports.all(|last| last.report.width == 0)
    }

    /// All rollouts that were judged.
    pub(super) fn rollouts(&self) -> impl Iterator<Item = (&RolloutId, &Rollout)> {
        self.rollouts.iter()
    }

    /// Judgements made since the process started.
    pub(super) const fn judgements(&self) -> u64 {
        self.judgements
    }

    /// Whether the valve's word can be relied on for workloads that are not about to be adopted.
    pub(super) fn valve_in_order(&self, world: &World) -> Option<bool> {
        world.cluster.role.last()?;
        Some(self.adoption.vouches_for("", world))
    }

    /// Whether there is anything to write. A Weir that may only read asks for no lease; but a valve
    /// that gates, with nobody to let anything through, is a trap, and is withdrawn first.
    fn wants_lease(&mut self, world: &World) -> bool {
        let role = world.cluster.role.last().and_then(Option::as_ref);
        if role.is_some_and(|role| role.says.adopted) {
            self.gates = Some(world.now);
        }
        let lately = |at| world.now.since(at) < LAST_WORDS;
        world.ceiling > Mode::Observe || self.gates.is_some_and(lately)
    }

    /// What may be done for each rollout now.
    fn orders(&mut self, world: &World) -> Vec<(RolloutId, Order)> {
        let mut orders = Vec::new();
        for (id, rollout) in &mut self.rollouts {
            let record: Option<&GuardedRollout> = record(id, world);
            let intents = rollout.intents(record, world.now);
            let is_current =
                view(id, world).is_some_and(|view| view.revision.as_ref() == Some(&id.hash));
            // What is held of a revision is let go whether or not another has taken its place.
            let waits_its_turn = matches!(rollout.mandate, Mandate::Guard(_)) && !is_current;
            if intents.is_empty() || waits_its_turn {
                continue;
            }
            let pods = world
                .cluster
                .pods
                .get(&id.workload)
                .and_then(|pods| pods.last());
            let Some(pods) = pods else {
                continue;
            };
            let warrant = rollout.begin(&intents, pods, world.now);
            let order = Order {
                decision: rollout
                    .last
                    .as_ref()
                    .map(|last| last.decision.clone())
                    .unwrap_or_default(),
                namespace: id.workload.namespace.clone(),
                revision: id.revision_key(),
                note: adopt::note(&id.workload.to_string()),
                intents,
                warrant,
            };
            orders.push((id.clone(), order));
        }
        orders
    }

    fn spread_by(&self) -> BTreeSet<String> {
        self.rollouts
            .values()
            .map(|rollout| rollout.choice.policy.spread_by.clone())
            .collect()
    }

    /// Namespaces of rollouts whose policy asks for an undisturbed soak.
    fn deployed_in(&self) -> BTreeSet<String> {
        let rollouts = self.rollouts.iter();
        let asks = rollouts.filter(|(_, rollout)| rollout.choice.policy.undisturbed.is_some());
        asks.map(|(id, _)| id.workload.namespace.clone()).collect()
    }

    fn look_again(&self) -> Option<Moment> {
        let plans = self
            .rollouts
            .values()
            .filter_map(|rollout| rollout.last.as_ref());
        plans.map(|last| last.plan.look_again).min()
    }
}

fn view<'a>(id: &RolloutId, world: &'a World) -> Option<&'a DaemonSetView> {
    let view = world.cluster.daemon_sets.last()?.get(&id.workload)?;
    (view.uid == id.uid).then_some(view)
}

fn all_policies(world: &World) -> impl Iterator<Item = (&String, &RolloutPolicy)> {
    world
        .cluster
        .policies
        .last()
        .into_iter()
        .flat_map(|all| all.iter())
}

fn policies(world: &World) -> Policies {
    Policies::new(all_policies(world).map(|(_, policy)| policy))
}

/// What each workload that is enrolled is judged by.
fn choices(enrolled: &[Enrolled<'_>], policies: &Policies) -> BTreeMap<String, Choice> {
    let guarded = enrolled.iter().filter(|one| one.mode().is_some());
    guarded
        .map(|one| {
            let choice = policies.select(one.namespace_labels, &one.view.template_labels);
            (one.key.to_string(), choice)
        })
        .collect()
}

#[cfg(test)]
mod tests;
