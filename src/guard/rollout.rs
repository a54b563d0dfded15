//! One rollout as this process knows it: its history, what it has asked for, and the last judgement.
//!
//! ```text
//!  judge ──▶ plan ──▶ order (warrant) ──▶ enacted ──▶ outcome ──▶ asked, until the watch shows it
//!    ▲                   │ a newer judgement holds: revoked
//!    └── a second later ─┘
//! ```

use std::collections::BTreeMap;

use weir_core::{
    evidence::{Evidence, PodState},
    history::{History, Progress},
    judge::{Judgement, assess, judge, let_go},
    plan::{Because, Intent, Plan, Report, State},
    policy::{Mode, Policy},
    time::{Moment, Span},
};

use super::world::World;
use crate::{
    act::{
        enact::{Fate, Outcome},
        permit::Warrant,
    },
    api::{GuardedRollout, HistoryStatus},
    observe::{DaemonSetView, PodView, WorkloadKey},
    policy::Choice,
};

/// How long a pod that was let through may go on looking gated before it is asked for again.
const WATCH_LAG: Span = Span::from_secs(15);

/// A pod that was asked to be let through.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Asked {
    /// Its UID: another pod may come to have its name.
    pub(super) uid: String,
    /// When.
    pub(super) at: Moment,
}

/// How far Weir goes with a rollout, and why.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Course {
    /// As far as its workload's enrolment says.
    Guard(Mode),
    /// It was held, and nobody asks for that any longer: what is still held is let through.
    LetGo,
}

impl Course {
    /// How far Weir goes, if it is still asked.
    pub(super) const fn mode(self) -> Option<Mode> {
        match self {
            Self::Guard(mode) => Some(mode),
            Self::LetGo => None,
        }
    }
}

/// One rollout.
#[derive(Debug)]
pub(super) struct Rollout {
    /// The workload as last seen: what is known of it still is, when it can no longer be watched.
    pub(super) view: DaemonSetView,
    pub(super) course: Course,
    pub(super) choice: Choice,
    pub(super) history: History,
    pub(super) asked: BTreeMap<String, Asked>,
    /// The last judgement; `None` before the first.
    pub(super) last: Option<Judged>,
    /// The authority of the order that is being enacted.
    warrant: Option<Warrant>,
}

/// A judgement, and the decision that it is.
#[derive(Debug, Clone, PartialEq)]
pub(super) struct Judged {
    pub(super) decision: String,
    pub(super) report: Report,
    pub(super) plan: Plan,
}

impl Rollout {
    /// A rollout that is new to this process, going on from its record if it has one.
    pub(super) fn take_up(
        view: DaemonSetView,
        course: Course,
        choice: Choice,
        record: Option<&GuardedRollout>,
        now: Moment,
    ) -> Self {
        Self {
            view,
            course,
            choice,
            history: history(record, now),
            asked: BTreeMap::new(),
            last: None,
            warrant: None,
        }
    }

    /// Begins anew from the record, as after a restart: another replica may have led since.
    pub(super) fn resume(&mut self, record: Option<&GuardedRollout>, now: Moment) {
        self.history = history(record, now);
        self.asked.clear();
    }

    /// Takes the waves from the record: while another replica leads, it alone begins them.
    pub(super) fn follow(&mut self, record: Option<&GuardedRollout>) {
        if let Some(progress) = record.and_then(progress) {
            self.history.progress = progress;
        }
    }

    /// Judges it, and takes back what is being enacted if that is now forbidden.
    pub(super) fn judge(&mut self, evidence: &Evidence, decision: String, now: Moment) -> &Judged {
        let policy = &self.choice.policy;
        let Judgement {
            report,
            plan,
            history,
        } = self.call(policy, evidence, now);
        self.history = history;
        let forbidden = matches!(report.state, State::Held | State::Paused);
        if let Some(warrant) = self.warrant.as_ref().filter(|_| forbidden) {
            warrant.revoke();
        }
        self.last.insert(Judged {
            decision,
            report,
            plan,
        })
    }

    fn call(&self, policy: &Policy, evidence: &Evidence, now: Moment) -> Judgement {
        let history = self.history.clone();
        let pods = evidence.rollout.pods.last();
        let gated =
            || pods.is_some_and(|pods| pods.values().any(|pod| pod.state == PodState::Gated));
        match self.course {
            Course::Guard(Mode::Enforce) => judge(policy, evidence, history, now),
            // Pods that are still held from the time when it was: nobody else lets them go.
            Course::Guard(Mode::Shadow) if gated() => let_go(policy, evidence, history, now),
            Course::Guard(Mode::Shadow | Mode::Observe) => assess(policy, evidence, history, now),
            Course::LetGo => let_go(policy, evidence, history, now),
        }
    }

    /// Whether the last judgement found nothing left to do.
    pub(super) fn has_ended(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| matches!(last.report.state, State::Complete | State::LetGo))
    }

    /// What of the last plan may be enacted now. Nothing is done before it is on record: of a wave
    /// that the record does not know yet no pod is let through.
    pub(super) fn intents(&self, record: Option<&GuardedRollout>) -> Vec<Intent> {
        let Some(judged) = &self.last else {
            return Vec::new();
        };
        let now = self.history.progress;
        let on_record = record
            .and_then(progress)
            .is_some_and(|known| known.wave >= now.wave && known.target >= now.target);
        let allowed = |intent: &&Intent| match intent {
            Intent::Approve => self.course == Course::Guard(Mode::Enforce),
            Intent::Release { because, .. } => match because {
                Because::Wave => on_record,
                Because::Starving => record.is_some(),
                Because::Approved | Because::LetGo => true,
            },
        };
        judged
            .plan
            .intents
            .iter()
            .filter(allowed)
            .cloned()
            .collect()
    }

    /// An order is about to be enacted: until its outcome is known its pods count as let through.
    pub(super) fn begin(
        &mut self,
        intents: &[Intent],
        pods: &BTreeMap<String, PodView>,
        now: Moment,
    ) -> Warrant {
        let released = intents.iter().flat_map(|intent| match intent {
            Intent::Approve => &[][..],
            Intent::Release { pods, because: _ } => pods,
        });
        for name in released {
            if let Some(pod) = pods.get(name) {
                let uid = pod.uid.clone();
                self.asked.insert(name.clone(), Asked { uid, at: now });
            }
        }
        let warrant = Warrant::issue(now);
        self.warrant = Some(warrant.clone());
        warrant
    }

    /// Takes in what became of the order.
    pub(super) fn conclude(&mut self, outcome: &Outcome) {
        self.warrant = None;
        for (pod, fate) in &outcome.pods {
            match fate {
                Fate::Released | Fate::Unknown => {}
                Fate::Failed | Fate::NotBegun => {
                    self.asked.remove(pod);
                }
            }
        }
    }

    /// Forgets what was asked for once the watch shows it, or should have long ago.
    pub(super) fn forget_what_shows(&mut self, workload: &WorkloadKey, world: &World) {
        let Some(pods) = world
            .cluster
            .pods
            .get(workload)
            .and_then(|pods| pods.fresh())
        else {
            return;
        };
        let enacting = self.warrant.is_some();
        self.asked.retain(|name, asked| {
            let still_gated = pods
                .get(name)
                .is_some_and(|pod| pod.uid == asked.uid && pod.row.state == PodState::Gated);
            still_gated && (enacting || world.now.since(asked.at) < WATCH_LAG)
        });
    }

    /// It is no longer this process's business.
    pub(super) fn give_up(&self) {
        if let Some(warrant) = &self.warrant {
            warrant.revoke();
        }
    }

    /// The part of its history that goes on record.
    pub(super) fn to_record(&self) -> HistoryStatus {
        let Progress { target, wave, pace } = self.history.progress;
        HistoryStatus { target, wave, pace }
    }
}

fn history(record: Option<&GuardedRollout>, now: Moment) -> History {
    let begun = record.map_or(now, |record| begun(record, now));
    match record.and_then(progress) {
        Some(progress) => History::resumed(begun, progress, now),
        None => History::begin(begun, now),
    }
}

/// How far the waves had come, if the record's rollout is still the same run of them.
fn progress(record: &GuardedRollout) -> Option<Progress> {
    let status = record.status.as_ref()?;
    let HistoryStatus { target, wave, pace } = status.history?;
    Some(Progress { target, wave, pace })
}

/// When the record was created; `now` if it does not say.
fn begun(record: &GuardedRollout, now: Moment) -> Moment {
    let created = record.metadata.creation_timestamp.as_ref();
    let millis = created.and_then(|time| u64::try_from(time.0.as_millisecond()).ok());
    millis.map_or(now, Moment::from_millis)
}
