//! The loop: gather, judge, enact, record, publish.
//!
//! ```text
//!  tick ──▶ world ──▶ mind ──▶ orders ──▶ hands (one set of orders at a time, beside the ticks)
//!   ▲ ½ s until all is read    books ───▶ recorder          │
//!   │ 1 s in flight, 5 s idle  notices ─▶ messenger         ▼
//!   └──────────────────────────────────────────────── outcomes
//! ```
//!
//! The loop itself never waits for an API server, so that a server that hangs is seen and told like
//! any other evidence. It owns all state; everyone else sees what it publishes.

use std::{
    pin::{Pin, pin},
    sync::Arc,
    time::Duration,
};

use futures::future::{join_all, pending};
use tokio::{sync::watch, time::sleep};
use tracing::{Instrument, info, info_span, warn};
use weir_core::{plan::Intent, policy::Mode, time::Moment};

use super::{
    adoption,
    inspection::FoundView,
    mind::{Decision, Mind, Orders, Thought},
    roster::RolloutId,
    shown::{Beside, Shown},
    world::World,
};
use crate::{
    act::{
        enact::{Fate, Hands, Outcome, enact},
        events::Teller,
        permit::{LeadershipView, Unwritten},
        record::{Books, Unrecorded},
        tally::Tally,
    },
    client::Clients,
    clock::Clock,
    observe::{Observers, Pace, ServersView},
    snapshot::Snapshot,
    tasks::TaskError,
    valve::remote::{self, Effect},
};

/// Between ticks until everything that is watched has been read: a pod is ready one tick later.
const STARTING: Duration = Duration::from_millis(500);
/// After so many of them somebody has to grant or mend something, and it is waited for at leisure.
const STARTS: u64 = 60;
/// Between ticks with a rollout in flight.
const IN_FLIGHT: Duration = Duration::from_secs(1);
/// Between ticks otherwise.
const IDLE: Duration = Duration::from_secs(5);
/// How soon a change of the approvals is looked at: what it lost gates or frees pods from then on.
const WOKEN: Duration = Duration::from_millis(100);

/// Where the loop's results go.
pub(super) struct Channels {
    /// All that should be on record.
    pub(super) books: watch::Sender<Arc<Books>>,
    /// What people are told.
    pub(super) teller: Teller,
    /// What each tick knew and decided.
    pub(super) snapshots: watch::Sender<Option<Arc<Snapshot>>>,
}

/// The loop.
pub(super) struct Guard {
    /// How far Weir may go in this cluster.
    pub(super) ceiling: Mode,
    /// All that is observed.
    pub(super) observers: Observers,
    /// What plans are enacted with.
    pub(super) hands: Hands,
    /// Who leads.
    pub(super) leadership: LeadershipView,
    /// Whether the lease is asked for.
    pub(super) lease_wanted: watch::Sender<bool>,
    /// What cannot be put on record.
    pub(super) unrecorded: watch::Receiver<Unrecorded>,
    /// Whether the gate is in force, as last found.
    pub(super) gate: FoundView,
    /// What Weir costs.
    pub(super) clients: Clients,
    /// Counts of what was done.
    pub(super) tally: Arc<Tally>,
    /// Where results go.
    pub(super) channels: Channels,
}

/// Orders under way.
type Enacting = Pin<Box<dyn Future<Output = Outcomes> + Send>>;

/// What became of orders.
struct Outcomes {
    valve: Option<(adoption::Write, Result<Effect, Unwritten>)>,
    /// Each with the decision that asked for it.
    rollouts: Vec<(RolloutId, String, Outcome)>,
}

impl Guard {
    /// Ticks until the process ends.
    pub(super) async fn run(mut self) -> Result<(), TaskError> {
        let clock = self.clients.clock();
        let mut mind = Mind::default();
        let mut shown = Shown::default();
        let mut enacting: Option<Enacting> = None;
        let mut next = pin!(sleep(Duration::ZERO));
        let mut woken = false;
        loop {
            tokio::select! {
                outcomes = under_way(&mut enacting) => {
                    enacting = None;
                    self.take_in(&mut mind, outcomes, clock.now());
                }
                () = self.observers.role_changed(), if !woken => {
                    woken = true;
                    next.set(sleep(WOKEN));
                }
                () = &mut next => {
                    woken = false;
                    let world = self.look(clock.now());
                    let thought = mind.think(&world, enacting.is_some());
                    self.ask_for_lease(thought.lease_wanted);
                    self.publish(&mut shown, &world, &mind, &thought);
                    let pause = self.pace(&mind, &thought, world.now);
                    next.set(sleep(if shown.starting(STARTS) { STARTING } else { pause }));
                    if let Some(orders) = self.pass_on(&world, thought) {
                        enacting = Some(Box::pin(carry_out(self.hands.clone(), orders)));
                    }
                }
            }
        }
    }

    fn look(&mut self, now: Moment) -> World {
        let ServersView {
            servers,
            expected,
            addresses,
        } = self.observers.servers(now);
        let (is_leader, leads) = {
            let leadership = self.leadership.borrow();
            (leadership.until.is_some(), leadership.may_write(now))
        };
        self.observers.lead(is_leader, leads);
        World {
            now,
            wall: Clock::wall(),
            dns: self.observers.dns(now),
            dependencies: self.observers.dependencies(now),
            cluster: self.observers.cluster(now),
            servers,
            expected_servers: expected,
            addresses,
            unrecorded: self.unrecorded.borrow().clone(),
            gate: self.gate.borrow().clone(),
            ceiling: self.ceiling,
            leads,
        }
    }

    fn ask_for_lease(&self, wanted: bool) {
        self.lease_wanted.send_if_modified(|before| {
            let turned = *before != wanted;
            *before = wanted;
            turned
        });
    }

    /// Tells the observers what to look at and how often; says how long to wait.
    fn pace(&mut self, mind: &Mind, thought: &Thought, now: Moment) -> Duration {
        self.observers.follow(thought.follow.clone());
        self.observers.stated(thought.servers_stated);
        let in_flight = mind.in_flight();
        self.observers.quiet(mind.quiet());
        let pace = if in_flight {
            Pace::InFlight
        } else {
            Pace::Idle
        };
        self.observers.pace(pace);
        self.observers.depend(thought.questions.clone(), pace);
        let longest = if in_flight || thought.unsettled {
            IN_FLIGHT
        } else {
            IDLE
        };
        let plan = thought
            .look_again
            .map(|at| Duration::from_millis(at.since(now).as_millis()));
        plan.map_or(longest, |plan| plan.clamp(IN_FLIGHT, longest))
    }

    fn publish(&self, shown: &mut Shown, world: &World, mind: &Mind, thought: &Thought) {
        let beside = Beside {
            enrolled: thought.enrolled,
            dependencies: thought.dependencies.clone(),
            leader: self.leadership.borrow().holder.clone(),
            watches: self.observers.ages(world.now),
            spent: self.clients.spent(),
            done: self.tally.done(mind.judgements()),
        };
        let snapshot = shown.snapshot(world, mind, beside);
        self.channels
            .snapshots
            .send_replace(Some(Arc::new(snapshot)));
    }

    /// Hands on what was thought; returns what is to be done, if anything.
    fn pass_on(&self, world: &World, thought: Thought) -> Option<Orders> {
        self.channels.books.send_replace(Arc::new(thought.books));
        for notice in thought.notices {
            self.channels.teller.tell(notice);
        }
        // What a replica that does not lead makes of a rollout decides nothing; only where nobody
        // may lead is the log all there is.
        if world.leads || world.ceiling == Mode::Observe {
            for decision in &thought.decisions {
                log(decision);
            }
        }
        let orders = thought.orders;
        (orders.valve.is_some() || !orders.rollouts.is_empty()).then_some(orders)
    }

    fn take_in(&self, mind: &mut Mind, outcomes: Outcomes, now: Moment) {
        if let Some((write, result)) = outcomes.valve {
            match &result {
                Ok(Effect::Overtaken) => info!("others wrote approvals first; looking again"),
                Ok(written) => {
                    log_changes(&write);
                    info!(?written, "the approvals are written");
                }
                Err(error) => warn!(%error, "the approvals could not be written; trying again"),
            }
            mind.valve_written(&write, result.as_ref().copied(), now);
        }
        for (id, decision, outcome) in outcomes.rollouts {
            let number = |which: fn(&Fate) -> bool| {
                let fates = outcome.pods.iter().map(|(_, fate)| fate);
                fates.filter(|fate| which(fate)).count() as u64
            };
            self.tally
                .released
                .add(number(|fate| matches!(fate, Fate::Released)));
            let failed =
                number(|fate| matches!(fate, Fate::Failed | Fate::TurnedAway | Fate::Unknown));
            self.tally.release_failures.add(failed);
            if let Some(error) = &outcome.error {
                let workload = id.workload.to_string();
                warn!(decision, workload, failed, %error, "not all was enacted; judging anew");
            }
            mind.conclude(&id, &outcome, now);
        }
    }
}

/// Carries out orders: the valve first, then each rollout's, beside each other.
async fn carry_out(hands: Hands, orders: Orders) -> Outcomes {
    let valve = match orders.valve {
        Some(write) => {
            let request = remote::write(&hands.api, write.current.as_ref(), &write.desired);
            let result = hands.permit.write(None, request).await;
            Some((write, result))
        }
        None => None,
    };
    let rollouts = orders.rollouts.into_iter().map(|(id, order)| {
        let decision = order.decision.clone();
        let span = info_span!("decision", decision);
        let hands = &hands;
        async move { (id, decision, enact(hands, order).await) }.instrument(span)
    });
    Outcomes {
        rollouts: join_all(rollouts).await,
        valve,
    }
}

fn log_changes(write: &adoption::Write) {
    for change in &write.changes {
        let workload = change.workload.as_deref().unwrap_or_default();
        let (key, why) = (&change.key, change.why);
        info!(
            key,
            workload,
            approved = change.approved,
            why,
            "approvals change"
        );
    }
}

/// What becomes of the orders under way; pending for ever if there are none.
async fn under_way(enacting: &mut Option<Enacting>) -> Outcomes {
    match enacting {
        Some(enacting) => enacting.await,
        None => pending().await,
    }
}

fn log(decision: &Decision) {
    let Decision {
        id,
        rollout,
        mode,
        report,
        intents,
    } = decision;
    let intents: Vec<String> = intents.iter().map(describe).collect();
    let findings: Vec<String> = report
        .findings
        .iter()
        .map(|finding| format!("{} ({})", finding.rule.name(), finding.subject))
        .collect();
    info!(
        decision = id,
        namespace = rollout.workload.namespace,
        workload = rollout.workload.name,
        revision = rollout.hash,
        mode = mode.map(Mode::name),
        state = report.state.name(),
        wave = report.wave,
        width = report.width,
        target = report.target,
        of = report.full_width,
        findings = findings.join(", "),
        intents = intents.join(", "),
        "{}",
        report.summary
    );
}

fn describe(intent: &Intent) -> String {
    match intent {
        Intent::Approve => "approve".to_owned(),
        Intent::Release { pods, because } => {
            format!("release {} ({because:?})", pods.len())
        }
    }
}
