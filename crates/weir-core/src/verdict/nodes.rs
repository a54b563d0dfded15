//! Faults of the nodes: those that stopped being ready once they had a pod of the rollout.
//!
//! ```text
//!  node  ready ─────────────┬ not ready     lost: it turned after its pod was placed there
//!  pod          placed ─────┘
//! ```
//!
//! Nodes die for many reasons. Only more of them than policy tolerates, and than the nodes without
//! a pod of the rollout would make one expect, are held against it.

use std::collections::BTreeMap;

use super::{Scene, pods::some_of};
use crate::{
    census::{self, whole},
    evidence::NodeRow,
    plan::{Finding, Rule},
    time::Span,
};

/// How many times as many as expected may be lost by chance, with one more: with a few pods out, one
/// dead node is an accident, and half a zone may be much of them.
const CHANCE: f64 = 2.0;

/// How long this must have been gone at the first hold: a dead node that was replaced is gone without
/// having become well, and a rollout that kills nodes must not eat up the replacements. It is long
/// beside the few minutes that a machine takes to replace a dead node. A policy's `clearAfter` does not
/// scale it: that is about API servers.
const MENDED: Span = Span::from_secs(600);

/// Nodes, and how many of them stopped being ready.
#[derive(Debug, Clone, Copy, Default)]
struct Tally {
    all: u32,
    lost: u32,
}

impl Tally {
    const fn count(&mut self, lost: bool) {
        self.all += 1;
        self.lost += lost as u32;
    }

    /// How many of `nodes` would be lost if they fared as these; `None` if there are none to go by.
    fn expects(self, nodes: u32) -> Option<f64> {
        let expected = f64::from(nodes) * f64::from(self.lost) / f64::from(self.all);
        (self.all > 0).then_some(expected)
    }
}

/// Tallies by zone.
type Zones<'a> = BTreeMap<&'a str, Tally>;

/// Nodes stopped being ready once they had a pod of the rollout, more of them than elsewhere.
pub(super) fn nodes_lost(scene: &Scene<'_>) -> Vec<Finding> {
    let nodes = served(scene);
    let served = by_zone(nodes.values().map(|node| (*node, !node.ready)));
    let others = others(scene, &nodes);
    let (ours, theirs) = (sum(&served), sum(&others));
    if ours.lost == 0 {
        return Vec::new();
    }
    let lost = nodes.iter().filter(|(_, node)| !node.ready);
    let by_chance = whole(CHANCE * expected(&served, &others)) + 1;
    let limit = census::tolerated(&scene.policy.pods, ours.all).max(by_chance);
    let finding = Finding::hold(
        Rule::NodesLost,
        "nodes",
        format!(
            "{} of {} nodes stopped being ready after their pod was placed there ({}), and {} of {} \
             others since the rollout began; {limit} may be chance, or are tolerated",
            ours.lost,
            ours.all,
            some_of(lost.map(|(name, _)| *name)),
            theirs.lost,
            theirs.all
        ),
        format!(
            "at most {limit} have been so for {}: kubectl describe node says what became of them; if \
             it was this rollout, undo it; a node that stays dead counts until it, or its pod, is \
             deleted",
            quiet(scene)
        ),
    );
    vec![if ours.lost > limit {
        finding
    } else {
        finding.only_told()
    }]
}

/// How long no more nodes than tolerated must have been lost: never less than other harm.
pub(super) fn quiet(scene: &Scene<'_>) -> Span {
    MENDED.times(scene.repeated).max(scene.clear_after)
}

/// The nodes that have a pod of the rollout. One to which it came when it was not ready is none of
/// them: it says nothing about the rollout.
fn served<'a>(scene: &Scene<'a>) -> BTreeMap<&'a str, &'a NodeRow> {
    let out = scene.census.members.iter().filter(|one| !one.gated());
    out.filter_map(|one| {
        let node = one.node?;
        let came_before = one.row.placed.is_some_and(|placed| placed < node.turned);
        (node.ready || came_before).then_some((one.row.node.as_str(), node))
    })
    .collect()
}

/// All other nodes that were there when the rollout began, by zone.
fn others<'a>(scene: &Scene<'a>, served: &BTreeMap<&str, &NodeRow>) -> Zones<'a> {
    let nodes = scene.evidence.rollout.nodes.last().into_iter().flatten();
    let others = nodes
        .filter(|(name, node)| node.joined <= scene.begun && !served.contains_key(name.as_str()));
    by_zone(others.map(|(_, node)| (node, !node.ready && node.turned > scene.begun)))
}

/// Counts nodes, each with whether it was lost.
fn by_zone<'a>(nodes: impl Iterator<Item = (&'a NodeRow, bool)>) -> Zones<'a> {
    let mut zones = Zones::new();
    for (node, lost) in nodes {
        zones.entry(&node.zone).or_default().count(lost);
    }
    zones
}

/// How many of the served nodes would be lost if they had fared as the others of their zone.
///
/// In a zone without others, the nodes of all other zones speak for it, unless the whole of it is
/// lost and not the whole of every zone: that is the zone's own end.
fn expected(served: &Zones<'_>, others: &Zones<'_>) -> f64 {
    let anywhere = sum(others);
    let some_zone_lives = served.values().any(|zone| zone.lost < zone.all);
    let of_zone = |(name, zone): (&&str, &Tally)| {
        let neighbours = others.get(name).copied().unwrap_or_default();
        if let Some(expected) = neighbours.expects(zone.all) {
            expected
        } else if zone.lost == zone.all && some_zone_lives {
            f64::from(zone.lost)
        } else {
            anywhere.expects(zone.all).unwrap_or(0.0)
        }
    };
    served.iter().map(of_zone).sum()
}

fn sum(zones: &Zones<'_>) -> Tally {
    zones.values().fold(Tally::default(), |sum, zone| Tally {
        all: sum.all + zone.all,
        lost: sum.lost + zone.lost,
    })
}
