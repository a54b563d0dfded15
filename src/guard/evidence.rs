//! What is watched and measured → the evidence that one rollout is judged by.
//!
//! It decides nothing. Its one liberty is towards caution: a pod that Weir has asked to be let
//! through counts as let through, although the watch does not show it yet.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weir_core::{
    evidence::{Evidence, LetThrough, NodeRow, PodRow, PodState, Reading, RolloutEvidence},
    policy::Mode,
    time::Moment,
    usage::Meter,
};

use super::{
    dependencies::{self, Unheard},
    rollout::Asked,
    world::World,
};
use crate::{
    observe::{Cluster, DaemonSetView, NodeView, PodView, WorkloadKey},
    policy::{self, Choice},
    valve::revision_key,
};

/// One revision of a workload, as evidence about it is gathered.
#[derive(Debug, Clone)]
pub(super) struct Subject<'a> {
    /// The workload.
    pub(super) workload: &'a WorkloadKey,
    /// The workload, as it was last seen.
    pub(super) view: &'a DaemonSetView,
    /// The revision's hash.
    pub(super) hash: &'a str,
    /// How far Weir goes with it.
    pub(super) mode: Mode,
    /// What it is judged by.
    pub(super) choice: &'a Choice,
    /// Since when questions are wanted of which nothing is known.
    pub(super) unheard: &'a Unheard,
    /// When somebody last deployed in its namespace, if that is asked for and was seen.
    pub(super) deployed: Option<Moment>,
    /// Pods that were asked to be let through, by name.
    pub(super) asked: &'a BTreeMap<String, Asked>,
    /// Pods whose release was refused a short while ago.
    pub(super) refused: BTreeSet<String>,
    /// A person has paused it.
    pub(super) paused: bool,
    /// A person's order to let pods through.
    pub(super) let_through: Option<LetThrough>,
    /// What counts its account's requests.
    pub(super) meter: Meter,
}

/// Gathers all that one rollout is judged by.
pub(super) fn gather(subject: &Subject<'_>, world: &World) -> Evidence {
    let cluster = &world.cluster;
    let unknown = Reading::Absent {
        why: "the watch on its pods has not begun".to_owned(),
    };
    let pods = cluster.pods.get(subject.workload).unwrap_or(&unknown);
    let (approved, earlier_approved) = approvals(subject, cluster);
    Evidence {
        servers: world.servers.clone(),
        expected_servers: world.expected_servers.clone(),
        sources: sources(world, subject),
        dns: world.dns.clone(),
        dependencies: dependencies::evidence(subject.choice, subject.unheard, world),
        rollout: RolloutEvidence {
            desired: subject.view.desired,
            max_unavailable: subject.view.max_unavailable,
            pods: pods.map(|pods| rows_of_revision(pods, subject)),
            nodes: cluster
                .nodes
                .map(|nodes| node_rows(nodes, &subject.choice.policy.spread_by)),
            served_by_others: pods
                .last()
                .map(|pods| served_by_others(pods, subject.hash))
                .unwrap_or_default(),
            refused: subject.refused.clone(),
            earlier_approved,
            approved,
            paused: subject.paused,
            let_through: subject.let_through,
            meter: subject.meter.clone(),
            window: policy::window(&subject.choice.windows, world.wall),
            deployed: subject.deployed,
        },
    }
}

/// Whether this revision is approved, and whether any other of the workload is.
fn approvals(subject: &Subject<'_>, cluster: &Cluster) -> (bool, bool) {
    let role = cluster.role.last().and_then(Option::as_ref);
    let approved = |hash: &str| {
        let key = revision_key(&subject.view.uid, hash);
        role.is_some_and(|role| role.says.approved.contains_key(&key))
    };
    let mut others = subject.view.revisions.iter();
    (
        approved(subject.hash),
        others.any(|other| other.hash != subject.hash && approved(&other.hash)),
    )
}

/// The watches that the evidence is made of, besides those on pods and nodes.
fn sources(world: &World, subject: &Subject<'_>) -> BTreeMap<String, Reading<()>> {
    let cluster = &world.cluster;
    let mut sources = BTreeMap::from([
        ("DaemonSets", cluster.daemon_sets.map(|_| ())),
        ("Namespaces", cluster.namespaces.map(|_| ())),
        ("RolloutPolicies", cluster.policies.map(|_| ())),
        ("API server addresses", world.addresses.map(|_| ())),
        ("GuardedRollouts", cluster.rollouts.map(|_| ())),
    ]);
    if subject.mode == Mode::Enforce {
        sources.insert("Role of the approvals", cluster.role.map(|_| ()));
    }
    let named = |(name, reading): (&str, _)| (name.to_owned(), reading);
    let mut sources: BTreeMap<_, _> = sources.into_iter().map(named).collect();
    if subject.choice.policy.undisturbed.is_some() {
        let namespace = &subject.workload.namespace;
        let unknown = || Reading::Absent {
            why: "the watches on them have not begun".to_owned(),
        };
        let deployed = cluster.deployed.get(namespace);
        let reading = deployed.map_or_else(unknown, |reading| reading.map(|_| ()));
        sources.insert(
            format!("Deployments and StatefulSets in {namespace}"),
            reading,
        );
    }
    sources
}

fn rows_of_revision(
    pods: &Arc<BTreeMap<String, PodView>>,
    subject: &Subject<'_>,
) -> BTreeMap<String, PodRow> {
    let alive = pods
        .iter()
        .filter(|(_, pod)| pod.revision == subject.hash && !pod.deleting);
    alive
        .map(|(name, pod)| {
            let mut row = pod.row.clone();
            if let Some(asked) = subject.asked.get(name).filter(|asked| asked.uid == pod.uid) {
                let_through(&mut row, asked);
            }
            // Nothing is born gated where there is no valve, and nothing slips past it.
            row.born_gated |= subject.mode != Mode::Enforce;
            (name.clone(), row)
        })
        .collect()
}

fn let_through(row: &mut PodRow, asked: &Asked) {
    if row.state == PodState::Gated {
        row.state = PodState::Unscheduled;
        row.since = asked.at;
    }
}

/// Nodes on which a pod of another revision runs that is not about to go.
fn served_by_others(pods: &BTreeMap<String, PodView>, hash: &str) -> BTreeSet<String> {
    let runs = |pod: &&PodView| {
        pod.revision != hash
            && !pod.deleting
            && !matches!(pod.row.state, PodState::Gated | PodState::Unscheduled)
    };
    let others = pods.values().filter(runs);
    others.map(|pod| pod.row.node.clone()).collect()
}

fn node_rows(
    nodes: &Arc<BTreeMap<String, NodeView>>,
    spread_by: &str,
) -> BTreeMap<String, NodeRow> {
    let row = |node: &NodeView| NodeRow {
        zone: node
            .labels
            .get(spread_by)
            .map(ToString::to_string)
            .unwrap_or_default(),
        ready: node.ready,
        turned: node.turned,
        joined: node.joined,
    };
    nodes
        .iter()
        .map(|(name, node)| (name.clone(), row(node)))
        .collect()
}
