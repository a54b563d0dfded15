//! What the guard holds of all this: starts the tasks, and hands out what they know.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use tokio::sync::watch;
use weir_core::{
    evidence::{Dns, Reading},
    time::{Moment, Span},
};

use super::{
    cluster::{Cluster, Follow, WorkloadKey},
    dependencies::{Dependencies, DependencyViews},
    dns::{NameService, Place},
    followed::{Followed, PodsOf, Targets},
    join::{Join, map},
    servers::{Pace, Servers, ServersView},
    watches::{
        daemon_set::DaemonSets,
        flow_schema::FlowSchemas,
        gated::GatedPods,
        instance::Instances,
        kept::{Kept, what},
        namespace::Namespaces,
        node::Nodes,
        own::{Approved, ControlPlanes, Policies, Rollouts},
        pod::Pods,
        revision::Revisions,
        run::{Selection, run},
        slim::Keep,
    },
};
use crate::{
    api::SINGLETON, client::Clients, clock::Clock, dependency::Question, tasks::Tasks, valve,
};

/// All that is observed.
pub struct Observers {
    daemon_sets: Arc<Kept<DaemonSets>>,
    revisions: Arc<Kept<Revisions>>,
    namespaces: Arc<Kept<Namespaces>>,
    policies: Arc<Kept<Policies>>,
    rollouts: Arc<Kept<Rollouts>>,
    approved: Arc<Kept<Approved>>,
    control_plane: Arc<Kept<ControlPlanes>>,
    gated: Arc<Kept<GatedPods>>,
    flow_schemas: Arc<Kept<FlowSchemas>>,
    servers: Servers,
    /// None where it is switched off.
    name_service: Option<NameService>,
    dependencies: Dependencies,
    followed: Arc<Followed>,
    targets: watch::Sender<Targets>,
    follow: Follow,
    join: Join,
}

/// Who observes, and where what it writes lives.
#[derive(Debug, Clone, Copy)]
pub struct Own<'a> {
    /// Weir's own namespace.
    pub namespace: &'a str,
    /// This replica, for people.
    pub identity: &'a str,
}

impl Observers {
    /// Starts to watch, probe and scrape, and to ask the DNS servers of `dns`. The probe object and the beacon
    /// live in Weir's own namespace.
    #[must_use]
    pub fn start(clients: &Clients, own: Own<'_>, dns: Option<Place>, tasks: &mut Tasks) -> Self {
        let clock = clients.clock();
        let servers = Servers::start(clients, own.namespace, tasks);
        let name_service = dns.map(|dns| NameService::start(clients, dns, own, tasks));
        let dependencies = Dependencies::start(clients, own.namespace, tasks);
        let mut start = Starter {
            clients,
            clock,
            tasks,
        };
        let (targets, wanted) = watch::channel(Targets::default());
        let followed = Arc::new(Followed::new(clock));
        let follow = Arc::clone(&followed).follow(clients.api(), wanted);
        start.tasks.start("watches of followed workloads", follow);
        Self {
            daemon_sets: start.watch("watch on daemonsets", DaemonSets),
            revisions: start.watch("watch on controllerrevisions", Revisions),
            namespaces: start.watch("watch on namespaces", Namespaces),
            policies: start.watch("watch on rolloutpolicies", Policies),
            rollouts: start.watch("watch on guardedrollouts", Rollouts),
            approved: start.select("watch on the role of the approvals", Approved, role()),
            control_plane: start.watch("watch on controlplanes", ControlPlanes),
            gated: start.select("watch on gated pods", GatedPods, GatedPods::selection()),
            flow_schemas: start.watch("watch on flowschemas", FlowSchemas),
            servers,
            name_service,
            dependencies,
            followed,
            targets,
            follow: Follow::default(),
            join: Join::default(),
        }
    }

    /// Says which workloads' pods are watched from now on, and which labels of nodes are kept.
    pub fn follow(&mut self, follow: Follow) {
        self.follow = follow;
    }

    /// How often API servers are asked from now on. A change asks them at once.
    pub fn pace(&self, pace: Pace) {
        self.servers.set_pace(pace);
    }

    /// What is asked outside the cluster from now on, and how often.
    pub fn depend(&self, questions: BTreeSet<Arc<Question>>, pace: Pace) {
        self.dependencies.ask(questions, pace == Pace::InFlight);
    }

    /// Whether this Weir leads as far as it knows, and may write now: only then do its probes write, and its beacon.
    /// DNS servers and dependencies are asked also while it cannot be known any longer whether another leads.
    pub fn lead(&self, leads: bool, may_write: bool) {
        self.dependencies.set_leading(leads);
        self.servers.set_leading(may_write);
        if let Some(name_service) = &self.name_service {
            name_service.set_leading(leads, may_write);
        }
    }

    /// How many API servers people say there are, in any policy; 0 if none says.
    pub fn stated(&self, servers: u32) {
        self.servers.set_stated(servers);
    }

    /// Whether no rollout has any width: then what is measured is what other times are compared
    /// with.
    pub fn quiet(&self, quiet: bool) {
        self.servers.set_quiet(quiet);
    }

    /// What is known of the API servers.
    #[must_use]
    pub fn servers(&self, now: Moment) -> ServersView {
        self.servers.view(now)
    }

    /// How fresh DNS is.
    #[must_use]
    pub fn dns(&self, now: Moment) -> Dns {
        let name_service = self.name_service.as_ref();
        name_service.map_or(Dns::Unasked, |it| it.view(now))
    }

    /// How everything is that policies depend on; none where nobody asks.
    #[must_use]
    pub fn dependencies(&self, now: Moment) -> Option<DependencyViews> {
        self.dependencies.view(now)
    }

    /// What is known of the cluster. To be asked at each tick: it is here that the watches of
    /// followed workloads learn of a DaemonSet that came, or came back with another selector.
    pub fn cluster(&mut self, now: Moment) -> Cluster {
        let daemon_sets = self.daemon_sets.reading(now);
        if let Some(known) = daemon_sets.last() {
            let selector = |key: &WorkloadKey| Some(known.get(key)?.selector.clone());
            self.aim(selector);
        }
        Cluster {
            daemon_sets: self.join.join(daemon_sets, self.revisions.reading(now)),
            namespaces: self.namespaces.reading(now),
            policies: self.policies.reading(now),
            rollouts: self.rollouts.reading(now),
            role: map(self.approved.reading(now), |roles| {
                roles.get(valve::ROLE).cloned()
            }),
            control_plane: map(self.control_plane.reading(now), |all| {
                all.get(SINGLETON).cloned()
            }),
            flow_schemas: self.flow_schemas.reading(now),
            nodes: self.followed.nodes(now),
            pods: self.pods(now),
            deployed: self.followed.deployed(now),
            gated: self.gated.reading(now),
        }
    }

    /// Comes back when the Role of the approvals has changed since this last came back.
    pub async fn role_changed(&self) {
        self.approved.changed().await;
    }

    /// How long ago each watch last said something, by its resource; of several on one resource the
    /// most silent. Those that never did, or are not there now, are left out.
    #[must_use]
    pub fn ages(&self, now: Moment) -> BTreeMap<String, Span> {
        let [pods, nodes] = self.followed.ages(now);
        let name_service = self.name_service.as_ref();
        let ages = [
            (what::<DaemonSets>(), self.daemon_sets.age(now)),
            (what::<Revisions>(), self.revisions.age(now)),
            (what::<Namespaces>(), self.namespaces.age(now)),
            (what::<Policies>(), self.policies.age(now)),
            (what::<Rollouts>(), self.rollouts.age(now)),
            (what::<Approved>(), self.approved.age(now)),
            (what::<ControlPlanes>(), self.control_plane.age(now)),
            (what::<FlowSchemas>(), self.flow_schemas.age(now)),
            (
                what::<Instances>(),
                self.servers
                    .age(now)
                    .max(name_service.and_then(|it| it.age(now))),
            ),
            (what::<Pods>(), pods.max(self.gated.age(now))),
            (what::<Nodes>(), nodes),
        ];
        ages.into_iter()
            .filter_map(|(what, age)| Some((what, age?)))
            .collect()
    }

    fn pods(&self, now: Moment) -> BTreeMap<WorkloadKey, super::Rows<String, super::PodView>> {
        let mut pods = self.followed.pods(now);
        for workload in &self.follow.workloads {
            pods.entry(workload.clone())
                .or_insert_with(|| Reading::Absent {
                    why: format!(
                        "the pods of {workload} are not watched: no such DaemonSet is known yet"
                    ),
                });
        }
        pods.retain(|workload, _| self.follow.workloads.contains(workload));
        pods
    }

    fn aim(&self, selector: impl Fn(&WorkloadKey) -> Option<String>) {
        let workloads = self.follow.workloads.iter();
        let pods: BTreeSet<_> = workloads
            .filter_map(|workload| {
                let selector = selector(workload)?;
                Some(PodsOf {
                    workload: workload.clone(),
                    selector,
                })
            })
            .collect();
        let nodes = (!pods.is_empty()).then(|| self.follow.spread_by.clone());
        let targets = Targets {
            pods,
            nodes,
            deployed_in: self.follow.deployed_in.clone(),
        };
        self.targets.send_if_modified(|current| {
            let is_new = *current != targets;
            if is_new {
                *current = targets;
            }
            is_new
        });
    }
}

/// The one Role that Weir may read.
fn role() -> Selection {
    Selection {
        namespace: Some(valve::NAMESPACE.to_owned()),
        fields: Some(format!("metadata.name={}", valve::ROLE)),
        labels: None,
    }
}

/// Starts watches that are always there.
struct Starter<'a> {
    clients: &'a Clients,
    clock: Clock,
    tasks: &'a mut Tasks,
}

impl Starter<'_> {
    fn watch<K: Keep>(&mut self, name: &'static str, keep: K) -> Arc<Kept<K>> {
        self.select(name, keep, Selection::default())
    }

    fn select<K: Keep>(
        &mut self,
        name: &'static str,
        keep: K,
        selection: Selection,
    ) -> Arc<Kept<K>> {
        let kept = Arc::new(Kept::new(keep, self.clock));
        let watch = run(self.clients.api(), Arc::clone(&kept), selection);
        self.tasks.start(name, async {
            watch.await;
            Ok(())
        });
        kept
    }
}
