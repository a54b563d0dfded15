//! Turns what policies depend on into readings: status pages and queries, each asked on its own schedule.
//!
//! ```text
//!  policies ──▶ questions ──▶ asked one by one (once, bounded, no redirect) ──▶ kept, and aged ──▶ readings
//!                 ▲ Secrets: the token to send, the authority to trust
//! ```
//!
//! Only the replica that leads asks. It asks as often as the policy says while a rollout is in flight, and every five
//! minutes otherwise: a wrong address, or a Secret that may not be read, is then known before a rollout needs it.
//!
//! - [`mod@ask`]: one question → one answer.
//! - [`exchange`]: one request, bounded in time and size.
//! - [`json`], [`prometheus`]: what an answer's text says.
//! - [`secrets`]: what is in Secrets, by leave.
//! - [`kept`]: what was answered, and how old that is.

mod ask;
mod exchange;
mod json;
mod kept;
mod prometheus;
mod secrets;
#[cfg(test)]
mod tests;

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::Duration,
};

use tokio::{
    sync::{Semaphore, watch},
    time::sleep,
};
use weir_core::{
    evidence::Health,
    time::{Moment, Span},
};

pub use self::kept::DependencyView;
use self::{
    kept::{Kept, Trouble},
    secrets::Secrets,
};
use super::crowd::Crowd;
use crate::{
    client::Clients,
    clock::Clock,
    dependency::Question,
    tasks::{TaskError, Tasks},
};

/// Between two looks without a rollout in flight, at the least.
const IDLE: Span = Span::from_secs(300);
/// By how much of its time a question is asked early at the most, so that many do not fall together.
const JITTER: f64 = 0.1;
/// Between the end of an answer and the next question at the least.
const REST: Duration = Duration::from_secs(1);
/// Questions that are under way at a time: none that hangs keeps others waiting for long.
const AT_A_TIME: usize = 8;
/// Questions that are asked at all. A policy has at most eight.
pub const MOST_QUESTIONS: usize = 64;

/// What is known of each question.
pub type DependencyViews = BTreeMap<Arc<Question>, DependencyView>;

/// All that policies depend on.
pub(super) struct Dependencies {
    asking: watch::Sender<Asking>,
    known: Arc<Mutex<BTreeMap<Arc<Question>, Kept>>>,
    clock: Clock,
}

/// What is asked now.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
struct Asking {
    /// This replica leads, as far as anybody knows.
    leads: bool,
    /// A rollout is in flight.
    in_flight: bool,
    questions: Arc<BTreeSet<Arc<Question>>>,
}

/// What each question is asked with.
#[derive(Clone)]
struct Desk {
    clock: Clock,
    asking: watch::Receiver<Asking>,
    known: Arc<Mutex<BTreeMap<Arc<Question>, Kept>>>,
    secrets: Arc<Secrets>,
    turns: Arc<Semaphore>,
}

impl Dependencies {
    /// Starts to ask, as soon as this replica leads and there is something to ask. Secrets are those of `namespace`.
    pub(super) fn start(clients: &Clients, namespace: &str, tasks: &mut Tasks) -> Self {
        let secrets = Secrets::new(clients.api(), namespace, clients.clock());
        let (dependencies, desk) = Self::new(clients.clock(), secrets);
        tasks.start("questions to dependencies", run(desk));
        dependencies
    }

    fn new(clock: Clock, secrets: Secrets) -> (Self, Desk) {
        let (asking, asked) = watch::channel(Asking::default());
        let known = Arc::default();
        let desk = Desk {
            clock,
            asking: asked,
            known: Arc::clone(&known),
            secrets: Arc::new(secrets),
            turns: Arc::new(Semaphore::new(AT_A_TIME)),
        };
        let dependencies = Self {
            asking,
            known,
            clock,
        };
        (dependencies, desk)
    }

    /// Whether this replica leads as far as it knows. What another has heard meanwhile is not known here: whoever
    /// begins to lead begins anew.
    pub(super) fn set_leading(&self, leads: bool) {
        self.asking.send_if_modified(|asking| {
            let turned = asking.leads != leads;
            if turned && leads {
                let now = self.clock.now();
                for kept in lock(&self.known).values_mut() {
                    *kept = Kept::new(now);
                }
            }
            asking.leads = leads;
            turned
        });
    }

    /// What is to be asked from now on, and whether a rollout is in flight.
    pub(super) fn ask(&self, questions: BTreeSet<Arc<Question>>, in_flight: bool) {
        let questions: BTreeSet<_> = questions.into_iter().take(MOST_QUESTIONS).collect();
        self.asking.send_if_modified(|asking| {
            let is_new = *asking.questions != questions;
            let turned = asking.in_flight != in_flight;
            if is_new {
                let now = self.clock.now();
                let mut known = lock(&self.known);
                known.retain(|question, _| questions.contains(question));
                for question in &questions {
                    let begun = || Kept::new(now);
                    known.entry(Arc::clone(question)).or_insert_with(begun);
                }
                asking.questions = Arc::new(questions);
            }
            asking.in_flight = in_flight;
            is_new || turned
        });
    }

    /// What is known of each question; none where nobody asks, which is a replica that does not lead.
    pub(super) fn view(&self, now: Moment) -> Option<DependencyViews> {
        let asking = self.asking.borrow().clone();
        if !asking.leads {
            return None;
        }
        let known = lock(&self.known);
        let view = |(question, kept): (&Arc<Question>, &Kept)| {
            let interval = interval(question, asking.in_flight);
            (
                Arc::clone(question),
                kept.view(interval, question.timeout, now),
            )
        };
        Some(known.iter().map(view).collect())
    }
}

/// Asks for as long as it is polled.
async fn run(mut desk: Desk) -> Result<(), TaskError> {
    let mut crowd = Crowd::new();
    loop {
        let Asking {
            leads, questions, ..
        } = desk.asking.borrow_and_update().clone();
        let none = BTreeSet::new();
        let wanted = if leads { &*questions } else { &none };
        let beside = &desk;
        crowd.set(wanted, |question| {
            poll(beside.clone(), Arc::clone(question))
        });
        tokio::select! {
            // The sender lives as long as the process.
            _ = desk.asking.changed() => {}
            () = crowd.run() => return Err("a question is no longer asked".into()),
        }
    }
}

/// Asks one question, again and again.
async fn poll(mut desk: Desk, question: Arc<Question>) {
    loop {
        let begun = desk.clock.elapsed();
        let answer = desk.ask(&question).await;
        desk.keep(&question, answer);
        desk.rest(&question, begun).await;
    }
}

impl Desk {
    async fn ask(&self, question: &Question) -> Result<Health, Trouble> {
        // It is never closed.
        let _turn = self.turns.acquire().await;
        ask::ask(question, &self.secrets).await
    }

    fn keep(&self, question: &Arc<Question>, answer: Result<Health, Trouble>) {
        let now = self.clock.now();
        if let Some(kept) = lock(&self.known).get_mut(question)
            && let Some(why) = kept.answered(answer, now)
        {
            tracing::warn!(why, "a dependency says nothing");
        }
    }

    /// Waits until it is to be asked again; less long once a rollout is in flight.
    async fn rest(&mut self, question: &Question, begun: Duration) {
        let share = 1.0 - JITTER * fastrand::f64();
        sleep(REST).await;
        loop {
            let in_flight = self.asking.borrow_and_update().in_flight;
            let interval = interval(question, in_flight).times(share);
            let due = begun + Duration::from_millis(interval.as_millis());
            let left = due.saturating_sub(self.clock.elapsed());
            if left.is_zero() {
                return;
            }
            tokio::select! {
                () = sleep(left) => return,
                // The sender lives as long as the process.
                _ = self.asking.changed() => {}
            }
        }
    }
}

/// How often a question is asked now.
fn interval(question: &Question, in_flight: bool) -> Span {
    if in_flight {
        question.every
    } else {
        question.every.max(IDLE)
    }
}

fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}
