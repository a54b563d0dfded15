//! One rollout as this process knows it: its history, what it has asked for, and the last judgement.
//!
//! ```text
//!  judge ──▶ plan ──▶ order (warrant) ──▶ enacted ──▶ outcome ──▶ asked, until the watch shows it
//!    ▲                   │ a newer judgement holds: revoked
//!    └── a second later ─┘
//! ```

mod recall;

use std::collections::{BTreeMap, BTreeSet};

use weir_core::{
    evidence::{Evidence, PodState},
    history::{History, Progress},
    judge::{Judgement, assess, judge, let_go},
    plan::{Because, Intent, Plan, Report, State},
    policy::{Mode, Policy},
    time::{Moment, Span},
};

use self::recall::{history, progress};
use super::world::World;
use crate::{
    act::{
        backoff::Backoff,
        enact::{Fate, Outcome},
        failure::Failure,
        permit::Warrant,
    },
    api::{GuardedRollout, HistoryStatus},
    observe::{DaemonSetView, PodView, WorkloadKey},
    policy::Choice,
};

/// How long a pod that was let through may go on looking gated before it is asked for again.
const WATCH_LAG: Span = Span::from_secs(15);
/// How long a pod whose release was refused is left alone while others' are not.
const REFUSED_FOR: Span = Span::from_secs(60);

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
pub(super) enum Mandate {
    /// As far as its workload's enrolment says.
    Guard(Mode),
    /// It was held, and nobody asks for that any longer: what is still held is let through, as the
    /// API servers bear it.
    LetGo,
    /// It has ended and is approved; a few of its pods were born gated all the same, and are let
    /// through. Nothing is told of it but in the log.
    Remainder,
}

impl Mandate {
    /// How far Weir goes, if it is still asked.
    pub(super) const fn mode(self) -> Option<Mode> {
        match self {
            Self::Guard(mode) => Some(mode),
            Self::Remainder => Some(Mode::Enforce),
            Self::LetGo => None,
        }
    }
}

/// One rollout.
#[derive(Debug)]
pub(super) struct Rollout {
    /// The workload as last seen: what is known of it still is, when it can no longer be watched.
    pub(super) view: DaemonSetView,
    /// The content hash of the template that its revision was made of, once seen: the workload may
    /// have another one by now.
    pub(super) template: Option<String>,
    pub(super) mandate: Mandate,
    pub(super) choice: Choice,
    pub(super) history: History,
    pub(super) asked: BTreeMap<String, Asked>,
    /// The last judgement; `None` before the first.
    pub(super) last: Option<Judged>,
    /// The wave of which a pod was last let through.
    pub(super) let_through: u32,
    /// The authority of the order that is being enacted.
    warrant: Option<Warrant>,
    writes: Writes,
}

/// How this rollout's writes fare.
#[derive(Debug, Default)]
struct Writes {
    backoff: Backoff,
    /// Why the last one failed; until one succeeds.
    failure: Option<Failure>,
    /// Pods whose release was refused while that of others was not, by name.
    refused: BTreeMap<String, Asked>,
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
        mandate: Mandate,
        choice: Choice,
        record: Option<&GuardedRollout>,
        now: Moment,
    ) -> Self {
        Self {
            view,
            template: None,
            mandate,
            choice,
            history: history(record, now),
            asked: BTreeMap::new(),
            last: None,
            let_through: 0,
            warrant: None,
            writes: Writes::default(),
        }
    }

    /// Takes in its workload as it is seen now. `revision` is the rollout's.
    pub(super) fn see(&mut self, view: &DaemonSetView, revision: &str) {
        self.view.clone_from(view);
        if view.revision.as_deref() == Some(revision) {
            self.template = Some(view.template_hash.clone());
        }
    }

    /// Goes on from the record, as after a restart: another replica may have led since. What this
    /// one saw suffer meanwhile stands all the same.
    pub(super) fn resume(&mut self, record: Option<&GuardedRollout>, now: Moment) {
        let before = self.history.clone();
        self.history = history(record, now).remembering(before);
        self.asked.clear();
        self.writes = Writes::default();
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
        match self.mandate {
            Mandate::Guard(Mode::Enforce) | Mandate::Remainder => {
                judge(policy, evidence, history, now)
            }
            Mandate::Guard(Mode::Shadow | Mode::Observe) => assess(policy, evidence, history, now),
            Mandate::LetGo => let_go(policy, evidence, history, now),
        }
    }

    /// Whether the last judgement found nothing left to do.
    pub(super) fn has_ended(&self) -> bool {
        self.last
            .as_ref()
            .is_some_and(|last| matches!(last.report.state, State::Complete | State::LetGo))
    }

    /// Why nothing can be written for it, once that has lasted.
    ///
    /// That API servers shed load is told only if no rule holds the rollout: whatever does comes first.
    pub(super) fn stuck(&self) -> Option<&Failure> {
        let lasts = self.writes.backoff.is_stuck() || !self.writes.refused.is_empty();
        let mut last = self.last.iter();
        let held = last.any(|last| last.report.state == State::Held);
        let told = |failure: &&Failure| lasts && !(failure.passing && held);
        self.writes.failure.as_ref().filter(told)
    }

    /// What of the last plan may be enacted now. Nothing is done before it is on record: of a wave
    /// that the record does not know yet no pod is let through.
    pub(super) fn intents(&self, record: Option<&GuardedRollout>, now: Moment) -> Vec<Intent> {
        let Some(judged) = self
            .last
            .as_ref()
            .filter(|_| !self.writes.backoff.waits(now))
        else {
            return Vec::new();
        };
        let history = self.history.progress;
        let on_record = record
            .and_then(progress)
            .is_some_and(|known| known.wave >= history.wave && known.target >= history.target);
        let allowed = |intent: &&Intent| match (self.mandate, intent) {
            (Mandate::Guard(Mode::Enforce), Intent::Approve) => true,
            (_, Intent::Approve) => false,
            (_, Intent::Release { because, .. }) => match because {
                Because::Wave => on_record,
                Because::Starving => record.is_some(),
                Because::Approved | Because::LetGo | Because::Paced | Because::Ordered => true,
            },
        };
        let intents = judged.plan.intents.iter();
        intents.filter(allowed).cloned().collect()
    }

    /// Pods whose release was refused a short while ago: others go in their place.
    pub(super) fn refused(&self, now: Moment) -> BTreeSet<String> {
        let refused = self.writes.refused.iter();
        let lately = refused.filter(|(_, refused)| now.since(refused.at) < REFUSED_FOR);
        lately.map(|(pod, _)| pod.clone()).collect()
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

    /// Takes in what became of the order. `what` names the rollout.
    pub(super) fn conclude(&mut self, what: &str, outcome: &Outcome, now: Moment) {
        self.warrant = None;
        let is = |which: Fate| outcome.pods.iter().any(|(_, fate)| *fate == which);
        let released = is(Fate::Released);
        if released {
            self.let_through = self.history.progress.wave;
        }
        for (pod, fate) in &outcome.pods {
            match fate {
                Fate::Released | Fate::Unknown => {}
                // As it was: it is asked for again by the next plan, once the back-off is over.
                Fate::NotBegun | Fate::TurnedAway => drop(self.asked.remove(pod)),
                Fate::Failed => {
                    let alone = released || self.writes.refused.contains_key(pod);
                    if let Some(asked) = self.asked.remove(pod).filter(|_| alone) {
                        let refused = Asked { at: now, ..asked };
                        self.writes.refused.insert(pod.clone(), refused);
                    }
                }
            }
        }
        let of_pods = is(Fate::Failed) || is(Fate::TurnedAway) || is(Fate::Unknown);
        let failure = outcome.error.as_ref().and_then(|error| {
            let what = if of_pods {
                "a pod's gate could not be removed"
            } else {
                "its revision could not be approved"
            };
            Failure::of(what, error)
        });
        // What was not to be written says nothing about what could be.
        if failure.is_some() || outcome.error.is_none() {
            self.writes.count(what, failure, released, now);
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
        let still_gated = |name: &String, asked: &Asked| {
            pods.get(name)
                .is_some_and(|pod| pod.uid == asked.uid && pod.row.state == PodState::Gated)
        };
        self.asked.retain(|name, asked| {
            let lags = enacting || world.now.since(asked.at) < WATCH_LAG;
            still_gated(name, asked) && lags
        });
        self.writes
            .refused
            .retain(|name, asked| still_gated(name, asked));
    }

    /// It is no longer this process's business.
    pub(super) fn give_up(&self) {
        if let Some(warrant) = &self.warrant {
            warrant.revoke();
        }
    }

    /// The part of its history that goes on record.
    pub(super) fn to_record(&self) -> HistoryStatus {
        let Progress {
            target,
            wave,
            pace,
            stretched,
        } = self.history.progress;
        HistoryStatus {
            target,
            wave,
            pace,
            stretched,
        }
    }
}

impl Writes {
    /// Counts an order that has ended.
    fn count(&mut self, what: &str, failure: Option<Failure>, released: bool, now: Moment) {
        if failure.is_some() && !released {
            self.backoff.failed(what, now);
        } else {
            self.backoff = Backoff::default();
        }
        // As long as one pod is refused, the success of others mends nothing, and that they were
        // turned away explains nothing.
        let explains = failure.as_ref().is_some_and(|failure| !failure.passing);
        if explains || self.refused.is_empty() {
            self.failure = failure;
        }
    }
}
