//! What is known of one rollout: its pods, the nodes, and what people said of it.

use std::collections::{BTreeMap, BTreeSet};

use serde::{Deserialize, Serialize};

use super::{Reading, Window};
use crate::{time::Moment, usage::Meter};

/// What a pod of the rollout's revision is doing.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum PodState {
    /// Held by `weir.dev/gate`.
    Gated,
    /// Let through, but not yet placed on its node.
    Unscheduled,
    /// On its node and not ready yet.
    Starting,
    /// Ready.
    Ready,
    /// Restarting, crash looping, killed for memory, or failed.
    Failing,
}

/// One pod of the rollout's revision, as long as it lives: pods being deleted are left out.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct PodRow {
    /// The node it is on or is bound for.
    pub node: String,
    /// What it is doing.
    pub state: PodState,
    /// When it entered that state, as far as Weir saw.
    pub since: Moment,
    /// When it was placed on its node, if it was and somebody says so.
    pub placed: Option<Moment>,
    /// Born with the gate; an ungated pod that was not has slipped past the valve.
    pub born_gated: bool,
}

/// A node, as far as waves need it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct NodeRow {
    /// Its failure domain (`topology.kubernetes.io/zone`, or what the policy names); empty if none.
    pub zone: String,
    /// Whether it is ready; pods on a node that is not cannot be judged.
    pub ready: bool,
    /// When it last became ready or stopped being so; when it joined if nobody says.
    pub turned: Moment,
    /// When it joined.
    pub joined: Moment,
}

/// A person's order to let pods through once, whatever is found.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub struct LetThrough {
    /// Pods that may be out in all.
    pub width: u32,
    /// When it was given: an order of another time is another order.
    pub given: Moment,
}

/// What is known of one rollout.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct RolloutEvidence {
    /// How many pods the workload wants, as its controller last counted for this revision.
    pub desired: u32,
    /// How many of the workload's nodes may be without a pod in an update, by its own strategy.
    pub max_unavailable: u32,
    /// Pods of this revision by name.
    pub pods: Reading<BTreeMap<String, PodRow>>,
    /// Nodes by name.
    pub nodes: Reading<BTreeMap<String, NodeRow>>,
    /// Nodes on which a pod of another revision of the workload runs; from the watch that `pods` is
    /// from, and as fresh.
    pub served_by_others: BTreeSet<String>,
    /// Pods of this revision whose release was refused a short while ago: they are left alone, and
    /// others go in their place.
    pub refused: BTreeSet<String>,
    /// Whether an earlier revision of the same workload is approved: then nodes must not starve.
    pub earlier_approved: bool,
    /// Whether this revision is approved: the valve is open for it.
    pub approved: bool,
    /// A person has paused this rollout.
    pub paused: bool,
    /// A person's order to let pods through, whatever is found.
    pub let_through: Option<LetThrough>,
    /// What counts the requests of this workload's account.
    pub meter: Meter,
    /// Whether waves may begin now.
    pub window: Window,
    /// When somebody last deployed something else in the workload's namespace, as far as that is asked for.
    pub deployed: Option<Moment>,
}

impl RolloutEvidence {
    /// Of a workload that no node wants.
    #[must_use]
    pub fn nothing() -> Self {
        Self {
            desired: 0,
            max_unavailable: 0,
            pods: Reading::Fresh(BTreeMap::new()),
            nodes: Reading::Fresh(BTreeMap::new()),
            served_by_others: BTreeSet::new(),
            refused: BTreeSet::new(),
            earlier_approved: false,
            approved: false,
            paused: false,
            let_through: None,
            meter: Meter::None {
                why: "there is no workload".to_owned(),
            },
            window: Window::Open,
            deployed: None,
        }
    }
}
