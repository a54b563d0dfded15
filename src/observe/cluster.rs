//! What the watches keep, as one immutable snapshot in which each part has its own freshness.
//!
//! Rows hold what the guard needs of an object and nothing else: 5,000 nodes and 5,000 pods must stay
//! small. Maps are shared, so that a snapshot costs nothing while nothing changes.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{api::core::v1::PodSpec, apimachinery::pkg::apis::meta::v1::ObjectMeta};
use weir_core::{
    evidence::{PodRow, PodState, Reading},
    time::Moment,
};

use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy},
    meter::Schema,
    valve::Standing,
};

/// Rows by key, as one watch keeps them.
pub type Rows<K, V> = Reading<Arc<BTreeMap<K, V>>>;

/// A namespaced object's name.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct WorkloadKey {
    /// Its namespace.
    pub namespace: String,
    /// Its name in the namespace.
    pub name: String,
}

impl WorkloadKey {
    /// The key of a namespaced object.
    pub(super) fn of(meta: &ObjectMeta) -> Self {
        Self {
            namespace: meta.namespace.clone().unwrap_or_default(),
            name: meta.name.clone().unwrap_or_default(),
        }
    }
}

impl std::fmt::Display for WorkloadKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        write!(f, "{}/{}", self.namespace, self.name)
    }
}

/// Everything that is watched, at one moment.
#[derive(Debug, Clone)]
pub struct Cluster {
    /// All DaemonSets, with their revisions: as fresh as the less fresh of the two watches.
    pub daemon_sets: Rows<WorkloadKey, DaemonSetView>,
    /// Labels of all namespaces.
    pub namespaces: Rows<String, BTreeMap<String, String>>,
    /// All policies, by name.
    pub policies: Rows<String, RolloutPolicy>,
    /// All rollouts that Weir has begun to guard.
    pub rollouts: Rows<WorkloadKey, GuardedRollout>,
    /// The Role that says what is approved; `None` if there is none.
    pub role: Reading<Option<Standing>>,
    /// Weir's own record of the API servers; `None` if there is none.
    pub control_plane: Reading<Option<ControlPlane>>,
    /// All FlowSchemas, by name.
    pub flow_schemas: Rows<String, Schema>,
    /// All nodes; absent while no workload is followed.
    pub nodes: Rows<String, NodeView>,
    /// Pods of all revisions of each followed workload, by name.
    pub pods: BTreeMap<WorkloadKey, Rows<String, PodView>>,
    /// The revision of each workload (`Deployment/name`) but for DaemonSets, in the namespaces that are watched for
    /// it; one that was made again has another.
    pub deployed: BTreeMap<String, Rows<String, String>>,
    /// All pods that Weir's gate holds, followed or not.
    pub gated: Rows<WorkloadKey, GatedPod>,
}

/// What is watched besides what always is.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Follow {
    /// DaemonSets whose pods are watched. Nodes are watched while there is any.
    pub workloads: BTreeSet<WorkloadKey>,
    /// Node labels that are kept, for waves to be spread over.
    pub spread_by: BTreeSet<String>,
    /// Namespaces in which it is to be seen when somebody deploys.
    pub deployed_in: BTreeSet<String>,
}

/// A DaemonSet, as far as Weir needs it.
#[derive(Debug, Clone, PartialEq)]
pub struct DaemonSetView {
    /// `metadata.uid`.
    pub uid: String,
    /// `metadata.generation`.
    pub generation: i64,
    /// The generation that the controller last looked at.
    pub observed_generation: i64,
    /// Nodes that should run it (`status.desiredNumberScheduled`).
    pub desired: u32,
    /// Nodes that run a pod of the current revision (`status.updatedNumberScheduled`).
    pub updated: u32,
    /// Nodes that may be without a ready pod during an update, as its controller counts them; none
    /// if the strategy is `OnDelete`, or adds the new pods before it removes the old.
    pub max_unavailable: u32,
    /// Labels of the pod template.
    pub template_labels: BTreeMap<String, String>,
    /// Of the pod template's spec only what decides whether nodes depend on it, and what its pods ask
    /// as: the priority class, host paths, tolerations, the account and how its tokens are mounted.
    pub template_facts: PodSpec,
    /// The content hash of the pod template.
    pub template_hash: String,
    /// Label selector of its pods, as a query.
    pub selector: String,
    /// The hash of the current revision; known only once the controller has looked at the current
    /// generation.
    pub revision: Option<String>,
    /// Its revisions that still exist, in the order of their numbers.
    pub revisions: Vec<RevisionView>,
    /// It is being deleted.
    pub deleting: bool,
}

/// One revision of a DaemonSet.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct RevisionView {
    /// The hash in the label `controller-revision-hash` of its pods.
    pub hash: String,
    /// Its number; the highest is the current one.
    pub number: i64,
}

/// A node, as far as Weir needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct NodeView {
    /// Its `Ready` condition is true.
    pub ready: bool,
    /// When that last changed; when it was created if nobody says.
    pub turned: Moment,
    /// When it was created.
    pub joined: Moment,
    /// Those of its labels that were asked for ([`Follow::spread_by`]).
    pub labels: BTreeMap<Arc<str>, Arc<str>>,
}

/// A pod, as far as Weir needs it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct PodView {
    /// What the judge is told of it.
    pub row: PodRow,
    /// The hash of its revision; empty if it has none.
    pub revision: String,
    /// `metadata.uid`: another pod may come to have its name.
    pub uid: String,
    /// It is being deleted.
    pub deleting: bool,
    /// How its containers have restarted.
    pub restarts: Restarts,
}

/// A pod that Weir's gate holds.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct GatedPod {
    /// The key of its revision in the valve; empty if it does not say.
    pub revision: String,
}

/// How a pod's containers have restarted.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Restarts {
    /// How often, all containers together.
    pub count: u32,
    /// When last, as far as is known.
    pub last: Option<Moment>,
    /// What the pod would be doing if it had not.
    pub otherwise: PodState,
}
