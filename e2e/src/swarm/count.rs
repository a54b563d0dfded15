//! What the swarm did, counted for all agents together and read while it goes on.

use std::{
    collections::BTreeMap,
    sync::{
        Mutex, PoisonError,
        atomic::{AtomicU64, Ordering},
    },
};

use crate::wire::Trouble;

/// How many kinds of trouble are told apart; a profile has few calls, and a call few kinds.
const KINDS: usize = 50;

/// Counters that agents raise and the lab reads.
#[derive(Debug, Default)]
pub struct Counters {
    agents: AtomicU64,
    watches: AtomicU64,
    requests: AtomicU64,
    answered: AtomicU64,
    refused: AtomicU64,
    errors: AtomicU64,
    bytes: AtomicU64,
    kinds: Mutex<BTreeMap<String, u64>>,
}

/// The counters at one moment.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq)]
pub struct Counts {
    /// Agents playing now.
    pub agents: u64,
    /// Watches open now.
    pub watches: u64,
    /// Requests sent.
    pub requests: u64,
    /// Of those, answered well, and to the end; watches have no end and are not counted.
    pub answered: u64,
    /// Of those, answered with 429.
    pub refused: u64,
    /// Of those, failed otherwise.
    pub errors: u64,
    /// Bytes of answers as they came, that is compressed where the agent accepts it.
    pub bytes: u64,
}

impl Counters {
    /// The counters now.
    #[must_use]
    pub fn now(&self) -> Counts {
        let read = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        Counts {
            agents: read(&self.agents),
            watches: read(&self.watches),
            requests: read(&self.requests),
            answered: read(&self.answered),
            refused: read(&self.refused),
            errors: read(&self.errors),
            bytes: read(&self.bytes),
        }
    }

    /// Troubles by kind, such as `list v1/pods: 403 Forbidden`.
    #[must_use]
    pub fn kinds(&self) -> BTreeMap<String, u64> {
        self.kinds
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .clone()
    }

    pub(super) fn sent(&self) {
        self.requests.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn answered(&self) {
        self.answered.fetch_add(1, Ordering::Relaxed);
    }

    pub(super) fn received(&self, bytes: usize) {
        self.bytes.fetch_add(bytes as u64, Ordering::Relaxed);
    }

    pub(super) fn failed(&self, what: &str, trouble: &Trouble) {
        let counter = if matches!(trouble, Trouble::Refused { .. }) {
            &self.refused
        } else {
            &self.errors
        };
        counter.fetch_add(1, Ordering::Relaxed);
        let mut kinds = self.kinds.lock().unwrap_or_else(PoisonError::into_inner);
        let mut kind = format!("{what}: {trouble}");
        if kinds.len() >= KINDS && !kinds.contains_key(&kind) {
            "others".clone_into(&mut kind);
        }
        *kinds.entry(kind).or_default() += 1;
    }

    pub(super) fn agent(&self) -> Gauge<'_> {
        Gauge::raise(&self.agents)
    }

    pub(super) fn watch(&self) -> Gauge<'_> {
        Gauge::raise(&self.watches)
    }
}

/// Counts as one for as long as it lives, however its holder ends.
pub(super) struct Gauge<'a>(&'a AtomicU64);

impl<'a> Gauge<'a> {
    fn raise(counter: &'a AtomicU64) -> Self {
        counter.fetch_add(1, Ordering::Relaxed);
        Self(counter)
    }
}

impl Drop for Gauge<'_> {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::Relaxed);
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn refusals_and_errors_are_told_apart_and_nothing_is_lost() {
        let counters = Counters::default();
        for call in 0..100 {
            counters.sent();
            counters.failed(&format!("get {call}"), &Trouble::TimedOut);
        }
        counters.sent();
        counters.failed("list", &Trouble::Refused { retry_after: None });
        let counts = counters.now();
        assert_eq!(
            (counts.requests, counts.errors, counts.refused),
            (101, 100, 1)
        );
        assert_eq!(counters.kinds().values().sum::<u64>(), 101);
        assert!(counters.kinds().len() <= KINDS + 1);
    }

    #[test]
    fn an_agent_counts_only_while_it_lives() {
        let counters = Counters::default();
        let first = counters.agent();
        let second = counters.agent();
        drop(first);
        assert_eq!(counters.now().agents, 1);
        drop(second);
        assert_eq!(counters.now().agents, 0);
    }
}
