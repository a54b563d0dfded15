//! What people have been told of a rollout, and so what is new to them.

use std::collections::BTreeSet;

use weir_core::{
    plan::{Report, Rule, State},
    policy::Mode,
};

use super::{
    complete, held_notice, leaked, let_go, letting_go_notice, paced, paused, resumed, started, wave,
};
use crate::{
    act::events::Notice,
    api::{self, GuardedRollout},
    guard::{
        books::state,
        rollout::{Mandate, Rollout},
        roster::RolloutId,
    },
};

/// What people have been told of a rollout.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(in crate::guard) struct Told {
    state: Option<api::State>,
    wave: u32,
    leaked: bool,
    /// What was told to hold it, in this hold: each reason once, however they take turns.
    holds: BTreeSet<String>,
    letting_go: bool,
}

impl Told {
    /// What must have been told already, going by the record.
    pub(in crate::guard) fn by(record: Option<&GuardedRollout>) -> Self {
        let status = record.and_then(|record| record.status.as_ref());
        let leaked = |status: &api::GuardedRolloutStatus| {
            let mut findings = status.findings.iter();
            findings.any(|finding| finding.reason == Rule::PodsLeaked.name())
        };
        let held_by = status.and_then(|status| status.held_by.clone());
        Self {
            state: status.and_then(|status| status.state),
            wave: status.map_or(0, |status| status.wave),
            leaked: status.is_some_and(leaked),
            holds: held_by.into_iter().collect(),
            // Of a rollout that is let go, the record says no mode.
            letting_go: status
                .is_some_and(|status| status.state.is_some() && status.mode.is_none()),
        }
    }

    /// What is to be told of a judgement, and is taken as told from here on.
    pub(in crate::guard) fn tell(
        &mut self,
        id: &RolloutId,
        rollout: &Rollout,
        report: &Report,
    ) -> Vec<Notice> {
        let mut notices = Vec::new();
        let mandate = rollout.mandate;
        let letting_go = mandate == Mandate::LetGo;
        if letting_go && !self.letting_go && report.state != State::LetGo {
            notices.push(letting_go_notice(id, report));
        } else if self.state.is_none() && !letting_go {
            notices.push(started(id, mandate, report));
        }
        // Of a wave that was begun nothing may be out yet, nor come to be out.
        let wave_is_out = rollout.let_through >= report.wave;
        if report.wave > self.wave && wave_is_out && mandate == Mandate::Guard(Mode::Enforce) {
            notices.push(wave(id, report));
            self.wave = report.wave;
        }
        notices.extend(self.turn(id, mandate, report));
        let leak = report
            .findings
            .iter()
            .find(|finding| finding.rule == Rule::PodsLeaked);
        if let (Some(leak), false) = (leak, self.leaked) {
            notices.push(leaked(id, leak));
        }
        (self.leaked, self.letting_go) = (leak.is_some(), letting_go);
        notices
    }

    /// What is to be told of where it stands, if it stands elsewhere, or for another reason.
    fn turn(&mut self, id: &RolloutId, mandate: Mandate, report: &Report) -> Option<Notice> {
        let now = state(report.state);
        let before = self.state.replace(now);
        if report.state != State::Held {
            self.holds.clear();
        }
        match report.state {
            State::Held => {
                let worst = report.worst().map_or("Held", |worst| worst.rule.name());
                let is_new = self.holds.insert(worst.to_owned());
                is_new.then(|| held_notice(id, mandate, report))
            }
            _ if before == Some(now) => None,
            State::Paused => Some(paused(id, report)),
            State::Complete => Some(complete(id, report)),
            State::Paced => Some(paced(id, report)),
            State::LetGo => Some(let_go(id, report)),
            State::Pending | State::Progressing | State::Soaking => {
                let held = matches!(before, Some(api::State::Held | api::State::Paused));
                held.then(|| resumed(id, report))
            }
        }
    }
}
