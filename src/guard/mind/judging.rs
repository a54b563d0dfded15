//! Each look at the world → a judgement of each rollout.

use weir_core::{
    evidence::LetThrough,
    plan::{Intent, Report},
    policy::Mode,
};

use super::{Decision, Mind, Orders};
use crate::{
    api::{
        GuardedRollout,
        times::{moment, time},
    },
    guard::{
        evidence::{Subject, gather},
        roster::{RolloutId, record},
        world::World,
    },
};

impl Mind {
    /// Judges all rollouts; says which judgements changed something.
    pub(super) fn judge_all(&mut self, world: &World) -> Vec<Decision> {
        let mut decisions = Vec::new();
        let ids: Vec<RolloutId> = self.rollouts.keys().cloned().collect();
        for id in ids {
            self.judgements += 1;
            let decision = format!("{:x}-{:x}", world.now.as_millis(), self.judgements);
            if self.judge(&id, world, decision) {
                decisions.extend(self.decision(&id, Vec::new()));
            }
        }
        decisions
    }

    /// Judges one rollout; says whether anything changed that is worth a line in the log.
    fn judge(&mut self, id: &RolloutId, world: &World, decision: String) -> bool {
        let Some(rollout) = self.rollouts.get_mut(id) else {
            return false;
        };
        rollout.forget_what_shows(&id.workload, world);
        let record = record(id, world);
        let evidence = gather(
            &Subject {
                workload: &id.workload,
                view: &rollout.view,
                hash: &id.hash,
                mode: rollout.mandate.mode().unwrap_or(Mode::Shadow),
                choice: &rollout.choice,
                unheard: &self.unheard,
                deployed: self.deployments.last_in(&id.workload.namespace),
                asked: &rollout.asked,
                refused: rollout.refused(world.now),
                paused: record.is_some_and(|record| record.spec.paused),
                let_through: record.and_then(ordered),
                meter: self.meters.of(&id.workload),
            },
            world,
        );
        let before = rollout.last.take().map(|last| gist(&last.report));
        let judged = rollout.judge(&evidence, decision, world.now);
        before != Some(gist(&judged.report))
    }

    /// What is ordered is decided as well, whether or not the judgement has changed.
    pub(super) fn take_orders(&self, orders: &Orders, decisions: &mut Vec<Decision>) {
        for (id, order) in &orders.rollouts {
            let mut known = decisions.iter_mut();
            match known.find(|decision| decision.rollout == *id) {
                Some(decision) => decision.intents.clone_from(&order.intents),
                None => decisions.extend(self.decision(id, order.intents.clone())),
            }
        }
    }

    pub(super) fn decision(&self, id: &RolloutId, intents: Vec<Intent>) -> Option<Decision> {
        let rollout = self.rollouts.get(id)?;
        let last = rollout.last.as_ref()?;
        Some(Decision {
            id: last.decision.clone(),
            rollout: id.clone(),
            mode: rollout.mandate.mode(),
            report: last.report.clone(),
            intents,
        })
    }
}

/// What a person ordered in the record's spec. Its time in whole seconds, as the record keeps it: with a
/// fraction it would look later than itself, and be obeyed again after a restart.
fn ordered(record: &GuardedRollout) -> Option<LetThrough> {
    let order = record.spec.let_through.as_ref()?;
    Some(LetThrough {
        width: order.width,
        given: moment(time(moment(order.given.0)).0),
    })
}

/// What of a report is worth a line in the log when it changes.
fn gist(report: &Report) -> impl PartialEq + use<> {
    let findings: Vec<_> = report
        .findings
        .iter()
        .map(|finding| (finding.rule, finding.severity, finding.subject.clone()))
        .collect();
    (report.state, report.wave, report.full_width, findings)
}
