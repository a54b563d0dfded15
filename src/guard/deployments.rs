//! When somebody last deployed in a namespace, as far as Weir saw: the revisions of its workloads are compared from
//! one look to the next.

use std::collections::{BTreeMap, BTreeSet};

use weir_core::time::Moment;

use super::world::World;
use crate::observe::Cluster;

/// What was deployed in each namespace that is watched for it.
#[derive(Debug, Default)]
pub(super) struct Deployments {
    namespaces: BTreeMap<String, Seen>,
}

#[derive(Debug)]
struct Seen {
    /// The revision of each workload.
    revisions: BTreeMap<String, String>,
    /// When one was another than before.
    last: Option<Moment>,
}

impl Deployments {
    /// Takes in one look at the world, of these namespaces.
    pub(super) fn look(&mut self, wanted: &BTreeSet<String>, world: &World) {
        self.namespaces
            .retain(|namespace, _| wanted.contains(namespace));
        for namespace in wanted {
            let Some(revisions) = revisions(namespace, &world.cluster) else {
                continue;
            };
            if let Some(seen) = self.namespaces.get_mut(namespace) {
                seen.compare(revisions, world.now);
            } else {
                let last = None;
                let seen = Seen { revisions, last };
                self.namespaces.insert(namespace.clone(), seen);
            }
        }
    }

    /// When somebody last deployed there, since this process began to look.
    pub(super) fn last_in(&self, namespace: &str) -> Option<Moment> {
        self.namespaces.get(namespace)?.last
    }
}

impl Seen {
    fn compare(&mut self, revisions: BTreeMap<String, String>, now: Moment) {
        let is_new = |(workload, revision): (&String, &String)| {
            self.revisions.get(workload) != Some(revision)
        };
        if revisions.iter().any(is_new) {
            self.last = Some(now);
        }
        self.revisions = revisions;
    }
}

/// The revision of each workload in a namespace, if all of them are freshly known.
fn revisions(namespace: &str, cluster: &Cluster) -> Option<BTreeMap<String, String>> {
    let mut revisions = BTreeMap::clone(cluster.deployed.get(namespace)?.fresh()?);
    let daemon_sets = cluster.daemon_sets.fresh()?;
    let here = daemon_sets
        .iter()
        .filter(|(key, _)| key.namespace == namespace);
    revisions.extend(here.filter_map(|(key, view)| {
        // The last one that was made, also while its controller has yet to look: another generation alone is none.
        let last = view.revisions.last()?;
        // Made again it has the same hash and is another.
        let revision = format!("{}/{}", view.uid, last.hash);
        Some((format!("DaemonSet/{}", key.name), revision))
    }));
    Some(revisions)
}
