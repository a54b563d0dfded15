//! The only place where time is added: soak, and the quiet that clears a harm.
//!
//! Masked time does not count. A second counts if the judgements at both of its ends saw all
//! evidence fresh; for soak, also if both saw nothing suffer and the wave out and settled.
//!
//! ```text
//!  seen     Calm ── Calm ── Blind ── Calm ── Calm ── Disturbed ── Calm
//!  soak        +1 s    ·       ·       +1 s    ·          ·
//!  quiet       +1 s    ·       ·       +1 s    +1 s       +1 s
//! ```
//!
//! | what happens | soak |
//! |---|---|
//! | something suffers; more pods are out | begins anew |
//! | more pods than are tolerated are replaced on nodes that were there | begins anew |
//! | an API server restarts; many nodes join or leave at once | stands still |
//! | evidence is missing, masked or old; the wave is not out and ready | stands still |
//! | somebody deploys in the namespace | goes on; the undisturbed stretch begins anew |
//!
//! What shows only in a process that has run for long has not had its time where pods are replaced.

use serde::{Deserialize, Serialize};

use crate::{
    census::{self, Census, Member, share},
    evidence::RolloutEvidence,
    history::History,
    policy::{PodLimits, Policy},
    time::{Moment, Span},
};

/// The longest time between two judgements that can count: a few ticks of a loop that ticks each
/// second. Over a longer gap nobody watched.
pub const LONGEST_GAP: Span = Span::from_secs(5);

/// What a judgement saw, as far as the time next to it can count.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Seen {
    /// Some evidence was missing: nothing counts.
    Blind,
    /// All was known, but something suffered, or the wave was not out and settled.
    Disturbed,
    /// All was known, nothing suffered, and the wave was out and settled.
    Calm,
}

/// Time since the last judgement during which all evidence was fresh.
pub(crate) fn quiet_since(history: &History, seen: Seen, now: Moment) -> Span {
    match (history.seen, seen) {
        (Seen::Blind, _) | (_, Seen::Blind) => Span::ZERO,
        (Seen::Disturbed | Seen::Calm, Seen::Disturbed | Seen::Calm) => watched(history, now),
    }
}

/// Counts the time since the last judgement as soak, if it is that.
///
/// Soak belongs to a width, that of the pods that could be judged: one more than it was begun with begins it
/// `anew`, whoever let it through.
pub(crate) fn count(history: &mut History, seen: Seen, anew: bool, judged: u32, now: Moment) {
    if anew || judged > history.soaked_width {
        history.soaked = Span::ZERO;
        history.stretch = Stretch::default();
        history.soaked_width = judged;
    } else if (history.seen, seen) == (Seen::Calm, Seen::Calm) {
        let time = watched(history, now);
        history.soaked = history.soaked + time;
        history.stretch.add(time);
    }
}

/// The pods that a soak began with, as far as it shows that others took their place.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Begun {
    /// How many there were.
    pub pods: u32,
    /// When the last of them was placed on its node, by the cluster's clock: only with others of that clock is it
    /// compared.
    pub placed: Option<Moment>,
}

impl Begun {
    /// With the pods that can be judged now.
    pub(crate) fn with(census: &Census<'_>) -> Self {
        let judged = census.members.iter().filter(|member| member.judged());
        Self {
            pods: census.judged(),
            placed: judged.filter_map(|member| member.row.placed).max(),
        }
    }
}

/// Whether more pods than are tolerated took the place of others since the soak began, on nodes that were there
/// before. (Pods of nodes that joined since are others, those of nodes that starved take nobody's place, and one
/// that restarted in its own is unhealthy.)
pub(crate) fn is_replaced(history: &History, census: &Census<'_>, limits: &PodLimits) -> bool {
    let Begun {
        pods,
        placed: Some(last),
    } = history.soaked_from
    else {
        return false;
    };
    let is_new = |member: &Member<'_>| {
        member.judged() && member.row.placed.is_some_and(|placed| placed > last)
    };
    let was_there = |member: &Member<'_>| member.node.is_some_and(|node| node.joined <= last);
    let gone = (pods + census.number(is_new)).saturating_sub(census.judged());
    let came = census.number(|member| is_new(member) && was_there(member));
    history.soaked > Span::ZERO && came.min(gone) > census::tolerated(limits, census.judged())
}

/// Soak time without any deployment in the workload's namespace: what shows only then must have its time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct Stretch {
    /// Since the last deployment.
    pub lasts: Span,
    /// The longest so far.
    pub longest: Span,
    /// When that deployment was.
    pub deployed: Option<Moment>,
}

impl Stretch {
    fn add(&mut self, time: Span) {
        self.lasts = self.lasts + time;
        self.longest = self.longest.max(self.lasts);
    }

    /// The last deployment was at `deployed`, as far as is known: it may be heard of late.
    pub(crate) fn see(&mut self, deployed: Option<Moment>) {
        if deployed > self.deployed {
            self.lasts = Span::ZERO;
            self.deployed = deployed;
        }
    }
}

/// The nodes as they were when they were last counted, and when many of them came or went since.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub struct NodeSet {
    /// How many there were.
    pub nodes: u32,
    /// When the last of them had joined, by the cluster's clock.
    pub newest: Moment,
    /// When more than a tenth had come or gone since the count before.
    pub turned: Option<Moment>,
}

/// The share of nodes that may come or go without anybody thinking of it.
const FEW_NODES: f64 = 0.1;

/// How long the pods of many new nodes may take to be there, and the cluster to settle.
const NODES_SETTLE: Span = Span::from_secs(60);

impl NodeSet {
    /// The same, after a look at the nodes.
    pub(crate) fn after(self, rollout: &RolloutEvidence, now: Moment) -> Self {
        let Some(nodes) = rollout.nodes.fresh() else {
            return self;
        };
        let here = census::count(nodes.len());
        let newest = nodes.values().map(|node| node.joined).max();
        let counted = |turned| Self {
            nodes: here,
            newest: newest.unwrap_or_default(),
            turned,
        };
        // Nodes that join a cluster without any disturb nobody.
        if self.nodes == 0 {
            return counted(None);
        }
        let joined = nodes.values().filter(|node| node.joined > self.newest);
        let joined = census::count(joined.count());
        let left = (self.nodes + joined).saturating_sub(here);
        let few = share(FEW_NODES, self.nodes).max(1.0);
        if f64::from(joined.max(left)) > few {
            counted(Some(now))
        } else {
            self
        }
    }

    /// Whether many nodes came or went a moment ago.
    pub(crate) fn is_turning(self, now: Moment) -> bool {
        self.turned
            .is_some_and(|turned| now.since(turned) < NODES_SETTLE)
    }
}

/// The soak that each width of a rollout needs before the next wave.
///
/// Where a single pod is more than the policy's largest step (a small cluster), the soak is as many
/// times longer, so that the time to full width has the same floor at any size.
pub(crate) fn needed(policy: &Policy, full: u32) -> Span {
    let largest_step = share(policy.max_step, full).min(1.0);
    if largest_step > 0.0 {
        policy.soak.times(1.0 / largest_step)
    } else {
        policy.soak
    }
}

fn watched(history: &History, now: Moment) -> Span {
    let gap = now.since(history.judged);
    if gap > LONGEST_GAP { Span::ZERO } else { gap }
}
