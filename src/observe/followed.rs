//! Turns the set of followed workloads into watches on their pods, on nodes while there is any, and on what else is
//! deployed beside those that ask for an undisturbed soak.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use tokio::sync::watch;
use weir_core::{
    evidence::Reading,
    time::{Moment, Span},
};

use super::{
    cluster::{NodeView, PodView, Rows, WorkloadKey},
    crowd::Crowd,
    join::{both, map},
    watches::{
        deployed::{Deployments, StatefulSets},
        kept::Kept,
        node::Nodes,
        pod::Pods,
        run::{Selection, run},
    },
};
use crate::{clock::Clock, tasks::TaskError};

/// A workload and the label selector of its pods: one that comes back with another selector is
/// another watch.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct PodsOf {
    pub(super) workload: WorkloadKey,
    pub(super) selector: String,
}

/// What is to be watched.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub(super) struct Targets {
    pub(super) pods: BTreeSet<PodsOf>,
    /// The labels that are kept of nodes; `None` if nodes are not watched.
    pub(super) nodes: Option<BTreeSet<String>>,
    /// The namespaces in which it is to be seen when somebody deploys.
    pub(super) deployed_in: BTreeSet<String>,
}

/// What the watches of followed workloads keep.
pub(super) struct Followed {
    clock: Clock,
    state: Mutex<State>,
}

#[derive(Default)]
struct State {
    pods: BTreeMap<PodsOf, Arc<Kept<Pods>>>,
    nodes: Option<Arc<Kept<Nodes>>>,
    deployed: BTreeMap<String, Deployed>,
}

/// What is deployed in a namespace, but for DaemonSets.
#[derive(Clone)]
struct Deployed {
    deployments: Arc<Kept<Deployments>>,
    stateful_sets: Arc<Kept<StatefulSets>>,
}

impl Deployed {
    fn new(clock: Clock) -> Self {
        Self {
            deployments: Arc::new(Kept::new(Deployments, clock)),
            stateful_sets: Arc::new(Kept::new(StatefulSets, clock)),
        }
    }

    /// The revision of each workload, as fresh as the less fresh of both watches.
    fn reading(&self, now: Moment) -> Rows<String, String> {
        let both = both(
            self.deployments.reading(now),
            self.stateful_sets.reading(now),
        );
        map(both, |(deployments, stateful_sets)| {
            let kinds = [("Deployment", deployments), ("StatefulSet", stateful_sets)];
            let rows = kinds.iter().flat_map(|(kind, rows)| {
                let named = move |(name, revision): (&String, &String)| {
                    (format!("{kind}/{name}"), revision.clone())
                };
                rows.iter().map(named)
            });
            Arc::new(rows.collect())
        })
    }

    /// Keeps both watches for as long as it is polled.
    async fn run(self, client: kube::Client, namespace: String) {
        let selection = Selection {
            namespace: Some(namespace),
            ..Selection::default()
        };
        let deployments = run(client.clone(), self.deployments, selection.clone());
        tokio::join!(deployments, run(client, self.stateful_sets, selection));
    }
}

impl Followed {
    pub(super) fn new(clock: Clock) -> Self {
        Self {
            clock,
            state: Mutex::default(),
        }
    }

    /// The nodes.
    pub(super) fn nodes(&self, now: Moment) -> Rows<String, NodeView> {
        match &self.state().nodes {
            Some(kept) => kept.reading(now),
            None => Reading::Absent {
                why: "nodes are watched only while a rollout is followed".to_owned(),
            },
        }
    }

    /// The pods of each workload that is watched.
    pub(super) fn pods(&self, now: Moment) -> BTreeMap<WorkloadKey, Rows<String, PodView>> {
        let state = self.state();
        let pods = state.pods.iter();
        pods.map(|(pods, kept)| (pods.workload.clone(), kept.reading(now)))
            .collect()
    }

    /// The revisions of what is deployed in each namespace that is watched for it.
    pub(super) fn deployed(&self, now: Moment) -> BTreeMap<String, Rows<String, String>> {
        let state = self.state();
        let deployed = state.deployed.iter();
        deployed
            .map(|(namespace, kept)| (namespace.clone(), kept.reading(now)))
            .collect()
    }

    /// How long ago the most silent of the watches on pods, and the one on nodes, said something.
    pub(super) fn ages(&self, now: Moment) -> [Option<Span>; 2] {
        let state = self.state();
        let pods = state.pods.values().filter_map(|kept| kept.age(now)).max();
        [pods, state.nodes.as_ref().and_then(|kept| kept.age(now))]
    }

    /// Keeps the watches that `targets` asks for, for as long as it is polled.
    pub(super) async fn follow(
        self: Arc<Self>,
        client: kube::Client,
        mut targets: watch::Receiver<Targets>,
    ) -> Result<(), TaskError> {
        let mut pods = Crowd::new();
        let mut nodes = Crowd::new();
        let mut deployed = Crowd::new();
        loop {
            let wanted = targets.borrow_and_update().clone();
            self.forget_all_but(&wanted);
            pods.set(&wanted.pods, |pods| {
                run(client.clone(), self.kept_pods(pods), Selection::pods(pods))
            });
            nodes.set(&wanted.nodes, |labels| {
                run(
                    client.clone(),
                    self.kept_nodes(labels),
                    Selection::default(),
                )
            });
            deployed.set(&wanted.deployed_in, |namespace| {
                let kept = self.kept_deployed(namespace);
                kept.run(client.clone(), namespace.clone())
            });
            tokio::select! {
                changed = targets.changed() => changed?,
                () = pods.run() => return Ok(()),
                () = deployed.run() => return Ok(()),
                () = nodes.run() => return Ok(()),
            }
        }
    }

    fn forget_all_but(&self, wanted: &Targets) {
        let mut state = self.state();
        state.pods.retain(|pods, _| wanted.pods.contains(pods));
        if wanted.nodes.is_none() {
            state.nodes = None;
        }
        state
            .deployed
            .retain(|namespace, _| wanted.deployed_in.contains(namespace));
    }

    fn kept_deployed(&self, namespace: &str) -> Deployed {
        let mut state = self.state();
        let kept = || Deployed::new(self.clock);
        let deployed = state.deployed.entry(namespace.to_owned());
        deployed.or_insert_with(kept).clone()
    }

    fn kept_pods(&self, pods: &PodsOf) -> Arc<Kept<Pods>> {
        let kept = || Arc::new(Kept::new(Pods, self.clock));
        Arc::clone(self.state().pods.entry(pods.clone()).or_insert_with(kept))
    }

    /// Other labels need another list; until that is whole, what was kept stays.
    fn kept_nodes(&self, labels: &BTreeSet<String>) -> Arc<Kept<Nodes>> {
        let kept = || Arc::new(Kept::new(Nodes::default(), self.clock));
        let mut state = self.state();
        let nodes = state.nodes.get_or_insert_with(kept);
        nodes.keep().keep_labels(labels);
        Arc::clone(nodes)
    }

    fn state(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Selection {
    fn pods(pods: &PodsOf) -> Self {
        Self {
            namespace: Some(pods.workload.namespace.clone()),
            labels: Some(pods.selector.clone()),
            fields: None,
        }
    }
}

#[cfg(test)]
mod tests;
