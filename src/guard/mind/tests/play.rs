//! For tests: a small cluster that does what controllers and API servers do, and a mind in it.
//!
//! Each step lets the mind think once, carries out what it ordered, keeps its books, and moves time on
//! by a second. What people were told is kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use k8s_openapi::{
    api::core::v1::PodSpec,
    apimachinery::pkg::apis::meta::v1::{Condition, ObjectMeta, Time},
    jiff::Timestamp,
};
use kube::ResourceExt;
use weir_core::{
    evidence::{Dns, Flow, Latency, PodRow, PodState, Process, Reading, ServerEvidence, ServerId},
    plan::Intent,
    policy::Mode,
    time::{Moment, Span},
};

use crate::{
    act::{
        enact::{Fate, Order, Outcome},
        events::Notice,
        permit::Unwritten,
        record::{Entry, Want},
    },
    api::{GuardedRollout, RolloutPolicy, RolloutPolicySpec, State, marks},
    guard::{
        mind::{Mind, Thought},
        roster::RolloutId,
        world::World,
    },
    meter::Schema,
    observe::{
        Cluster, DaemonSetView, GatedPod, NodeView, PodView, Restarts, RevisionView, WorkloadKey,
    },
    valve::{Approvals, Standing, node_critical, remote::Effect, revision_key},
};

/// When plays begin; far from zero, so that spans before it exist.
pub(super) const BEGIN: Moment = Moment::from_millis(1_800_000_000_000);

/// The one DaemonSet of most plays.
pub(super) fn logs() -> WorkloadKey {
    key("shop", "logs")
}

pub(super) fn key(namespace: &str, name: &str) -> WorkloadKey {
    WorkloadKey {
        namespace: namespace.to_owned(),
        name: name.to_owned(),
    }
}

#[expect(clippy::struct_excessive_bools, reason = "each is a fault of its own")]
pub(super) struct Play {
    pub(super) mind: Mind,
    pub(super) world: World,
    pub(super) told: Vec<Notice>,
    /// Whether orders are carried out; else hands stay busy with the first.
    pub(super) hands: bool,
    /// What the API server answers to each approval, release and write of the Role.
    pub(super) refusal: Option<fn() -> Unwritten>,
    /// Pods that it refuses to have released, whatever else it does.
    pub(super) stubborn: BTreeSet<String>,
    /// Pods that it has no time to have released.
    pub(super) shed: BTreeSet<String>,
    /// Writes that it refused.
    pub(super) refused: usize,
    /// Whether records can be written.
    pub(super) recorder: bool,
    /// Workloads whose pods cannot be read.
    pub(super) unreadable: BTreeSet<WorkloadKey>,
    /// Pods are replaced only when somebody deletes them (`updateStrategy: OnDelete`).
    pub(super) on_delete: bool,
    /// Pods of each namespaced workload, followed or not.
    pub(super) pods: BTreeMap<WorkloadKey, BTreeMap<String, PodView>>,
    born: u32,
    busy: bool,
}

impl Play {
    /// A cluster of `nodes` ready nodes, a quiet API server, and a namespace `shop` that is enrolled.
    pub(super) fn new(nodes: u32, ceiling: Mode) -> Self {
        let label = BTreeMap::from([(marks::GUARD.to_owned(), "enforce".to_owned())]);
        let node = |number| {
            let node = NodeView {
                ready: true,
                turned: Moment::from_millis(0),
                joined: Moment::from_millis(0),
                labels: BTreeMap::new(),
            };
            (format!("node-{number:04}"), node)
        };
        let cluster = Cluster {
            daemon_sets: fresh(BTreeMap::new()),
            namespaces: fresh(BTreeMap::from([("shop".to_owned(), label)])),
            policies: fresh(BTreeMap::from([fast()])),
            rollouts: fresh(BTreeMap::new()),
            role: Reading::Fresh(None),
            control_plane: Reading::Fresh(None),
            flow_schemas: fresh(BTreeMap::new()),
            nodes: fresh((0..nodes).map(node).collect()),
            pods: BTreeMap::new(),
            deployed: BTreeMap::new(),
            gated: fresh(BTreeMap::new()),
        };
        let server = ServerId {
            address: "172.16.0.1:6443".to_owned(),
            started: Some(1),
        };
        Self {
            mind: Mind::default(),
            world: World {
                now: BEGIN,
                wall: BEGIN,
                cluster,
                servers: BTreeMap::from([(server, calm())]),
                expected_servers: Reading::Fresh(1),
                addresses: Reading::Fresh(["172.16.0.1:6443".to_owned()].into()),
                dns: Dns::Unasked,
                dependencies: None,
                unrecorded: BTreeMap::new(),
                gate: None,
                ceiling,
                leads: true,
            },
            told: Vec::new(),
            hands: true,
            refusal: None,
            stubborn: BTreeSet::new(),
            shed: BTreeSet::new(),
            refused: 0,
            recorder: true,
            unreadable: BTreeSet::new(),
            on_delete: false,
            pods: BTreeMap::new(),
            born: 0,
            busy: false,
        }
    }

    /// The same cluster, and a Weir that has just started.
    pub(super) fn restart(&mut self) {
        self.mind = Mind::default();
        self.busy = false;
        self.world.cluster.pods.clear();
    }

    /// Somebody creates a DaemonSet, and its controller makes a pod for each node.
    pub(super) fn create(&mut self, workload: &WorkloadKey, uid: &str, hash: &str) {
        let view = DaemonSetView {
            uid: uid.to_owned(),
            generation: 1,
            observed_generation: 1,
            desired: u32::try_from(self.nodes().len()).unwrap(),
            updated: 0,
            max_unavailable: 1,
            template_labels: BTreeMap::new(),
            template_hash: "sha256:00".to_owned(),
            template_facts: PodSpec::default(),
            selector: "app=logs".to_owned(),
            revision: Some(hash.to_owned()),
            revisions: vec![RevisionView {
                hash: hash.to_owned(),
                number: 1,
            }],
            deleting: false,
        };
        self.daemon_sets().insert(workload.clone(), view);
        self.make_pods(workload);
    }

    /// Somebody changes the template. Each old pod whose node may be without is replaced.
    pub(super) fn update(&mut self, workload: &WorkloadKey, hash: &str) {
        let view = self.daemon_sets().get_mut(workload).unwrap();
        let known = view.revisions.iter().any(|one| one.hash == hash);
        view.revisions.retain(|one| one.hash != hash);
        let number = view
            .revisions
            .iter()
            .map(|one| one.number)
            .max()
            .unwrap_or(0)
            + 1;
        view.revisions.push(RevisionView {
            hash: hash.to_owned(),
            number,
        });
        view.revision = Some(hash.to_owned());
        view.updated = 0;
        assert!(!known || number > 1);
    }

    /// Somebody deletes a DaemonSet, and the garbage collector follows.
    pub(super) fn delete(&mut self, workload: &WorkloadKey) {
        let view = self.daemon_sets().remove(workload).unwrap();
        self.pods.remove(workload);
        self.records()
            .retain(|_, record| record.spec.workload.uid != view.uid);
    }

    /// A node joins, and the controller makes its pods.
    pub(super) fn join(&mut self) {
        let now = self.world.now;
        let number = self.nodes().len();
        let node = NodeView {
            ready: true,
            turned: now,
            joined: now,
            labels: BTreeMap::new(),
        };
        self.nodes().insert(format!("node-{number:04}"), node);
        let desired = u32::try_from(self.nodes().len()).unwrap();
        for view in self.daemon_sets().values_mut() {
            view.desired = desired;
        }
    }

    /// Lets the mind think once, does what it says, and moves on by a second.
    pub(super) fn step(&mut self) -> Thought {
        self.controllers();
        self.kubelets();
        self.show_followed();
        let thought = self.mind.think(&self.world, self.busy);
        self.told.extend(thought.notices.iter().cloned());
        self.carry_out(&thought);
        self.keep(&thought);
        let followed = thought.follow.workloads.clone();
        self.world.cluster.pods = followed
            .into_iter()
            .map(|one| (one, fresh(BTreeMap::new())))
            .collect();
        self.world.now = self.world.now + Span::from_secs(1);
        self.world.wall = self.world.wall + Span::from_secs(1);
        thought
    }

    /// Steps until `done`, but for no longer than `seconds`.
    pub(super) fn until(&mut self, seconds: u32, done: impl Fn(&mut Self) -> bool) -> bool {
        for _ in 0..seconds {
            self.step();
            if done(self) {
                return true;
            }
        }
        false
    }

    pub(super) fn steps(&mut self, seconds: u32) {
        for _ in 0..seconds {
            self.step();
        }
    }

    pub(super) fn state(&mut self, name: &str) -> Option<State> {
        self.record(name)?.status?.state
    }

    pub(super) fn record(&mut self, name: &str) -> Option<GuardedRollout> {
        self.records().get(&key("shop", name)).cloned()
    }

    pub(super) fn condition(&mut self, name: &str, kind: &str) -> Condition {
        let status = self.record(name).unwrap().status.unwrap();
        let mut conditions = status.conditions.into_iter();
        conditions.find(|one| one.type_ == kind).unwrap()
    }

    /// What people were told with this reason.
    pub(super) fn notices(&self, reason: &str) -> Vec<&Notice> {
        let told = self.told.iter();
        told.filter(|notice| notice.reason == reason).collect()
    }

    /// Pods of a revision that are let through.
    pub(super) fn out(&self, hash: &str) -> usize {
        let pods = self.pods.values().flat_map(BTreeMap::values);
        pods.filter(|pod| pod.revision == hash && pod.row.state != PodState::Gated)
            .count()
    }

    pub(super) fn gated(&self) -> usize {
        let pods = self.pods.values().flat_map(BTreeMap::values);
        pods.filter(|pod| pod.row.state == PodState::Gated).count()
    }

    pub(super) fn approved(&self, uid: &str, hash: &str) -> bool {
        let role = self.world.cluster.role.fresh().unwrap().as_ref();
        role.is_some_and(|role| role.says.approved.contains_key(&revision_key(uid, hash)))
    }

    pub(super) fn reasons(&self) -> Vec<&str> {
        self.told.iter().map(|notice| notice.reason).collect()
    }

    /// The API server's median latency from now on.
    pub(super) fn latency(&mut self, millis: f64) {
        for server in self.world.servers.values_mut() {
            if let Reading::Fresh(latency) = &mut server.latency {
                latency.p50_ms = millis;
                latency.max_ms = millis * 2.0;
            }
        }
    }

    pub(super) fn daemon_sets(&mut self) -> &mut BTreeMap<WorkloadKey, DaemonSetView> {
        rows(&mut self.world.cluster.daemon_sets)
    }

    pub(super) fn records(&mut self) -> &mut BTreeMap<WorkloadKey, GuardedRollout> {
        rows(&mut self.world.cluster.rollouts)
    }

    pub(super) fn nodes(&mut self) -> &mut BTreeMap<String, NodeView> {
        rows(&mut self.world.cluster.nodes)
    }

    pub(super) fn labels(&mut self) -> &mut BTreeMap<String, String> {
        rows(&mut self.world.cluster.namespaces)
            .get_mut("shop")
            .unwrap()
    }

    /// Whether the gate policy would gate a pod of this revision.
    fn gates(&mut self, view: &DaemonSetView, hash: &str) -> bool {
        let enrolled = self
            .labels()
            .get(marks::GUARD)
            .is_some_and(|mode| mode == "enforce");
        let enforced = self.world.ceiling == Mode::Enforce && enrolled;
        let role = self.world.cluster.role.fresh().unwrap().as_ref();
        let adopted = role.is_some_and(|role| role.says.adopted);
        let critical = node_critical(&view.template_facts).is_some();
        enforced && adopted && !critical && !self.approved(&view.uid, hash)
    }

    /// What the DaemonSet controller does: a pod on each node, and updates within maxUnavailable.
    fn controllers(&mut self) {
        let workloads: Vec<_> = self.daemon_sets().keys().cloned().collect();
        for workload in workloads {
            if !self.on_delete {
                self.make_room(&workload);
            }
            self.make_pods(&workload);
        }
    }

    fn make_room(&mut self, workload: &WorkloadKey) {
        let view = self.daemon_sets()[workload].clone();
        let Some(hash) = view.revision else { return };
        let pods = self.pods.entry(workload.clone()).or_default();
        let unready = pods
            .values()
            .filter(|pod| pod.row.state != PodState::Ready)
            .count();
        let room = (view.max_unavailable as usize).saturating_sub(unready);
        let old: Vec<_> = pods
            .iter()
            .filter(|(_, pod)| pod.revision != hash)
            .map(|(name, pod)| (pod.row.state == PodState::Ready, name.clone()))
            .collect();
        let unready = old.iter().filter(|(ready, _)| !ready);
        let ready = old.iter().filter(|(ready, _)| *ready).take(room);
        let gone: Vec<_> = unready.chain(ready).map(|(_, name)| name.clone()).collect();
        for name in gone {
            pods.remove(&name);
        }
    }

    fn make_pods(&mut self, workload: &WorkloadKey) {
        let view = self.daemon_sets()[workload].clone();
        let Some(hash) = view.revision.clone() else {
            return;
        };
        let gated = self.gates(&view, &hash);
        let nodes: Vec<_> = self.nodes().keys().cloned().collect();
        let now = self.world.now;
        let pods = self.pods.entry(workload.clone()).or_default();
        for node in nodes {
            if pods.values().any(|pod| pod.row.node == node) {
                continue;
            }
            self.born += 1;
            let row = PodRow {
                node,
                state: if gated {
                    PodState::Gated
                } else {
                    PodState::Unscheduled
                },
                since: now,
                placed: None,
                born_gated: gated,
            };
            let pod = PodView {
                row,
                revision: hash.clone(),
                uid: format!("pod-{}", self.born),
                deleting: false,
                restarts: Restarts {
                    count: 0,
                    last: None,
                    otherwise: PodState::Ready,
                },
            };
            pods.insert(format!("{}-{:05}", workload.name, self.born), pod);
        }
        let updated = pods.values().filter(|pod| pod.revision == hash).count();
        let view = self.daemon_sets().get_mut(workload).unwrap();
        view.updated = u32::try_from(updated).unwrap();
    }

    /// What scheduler and kubelets do: a pod without a gate is ready a second later.
    fn kubelets(&mut self) {
        let now = self.world.now;
        for pod in self.pods.values_mut().flat_map(BTreeMap::values_mut) {
            if pod.row.state == PodState::Unscheduled && now.since(pod.row.since) > Span::ZERO {
                pod.row.state = PodState::Ready;
                pod.row.since = now;
            }
        }
    }

    fn show_followed(&mut self) {
        for (workload, shown) in &mut self.world.cluster.pods {
            *shown = if self.unreadable.contains(workload) {
                Reading::Garbled {
                    why: "a pod makes no sense".to_owned(),
                }
            } else {
                fresh(self.pods.get(workload).cloned().unwrap_or_default())
            };
        }
        let daemon_sets = self.daemon_sets().clone();
        let pods = self.pods.iter().flat_map(|(workload, pods)| {
            let uid = daemon_sets.get(workload).map(|view| view.uid.clone());
            pods.iter()
                .map(move |(name, pod)| (workload, uid.clone(), name, pod))
        });
        let gated = pods.filter(|(.., pod)| pod.row.state == PodState::Gated && !pod.deleting);
        let gated = gated.map(|(workload, uid, name, pod)| {
            let revision = revision_key(&uid.unwrap_or_default(), &pod.revision);
            (key(&workload.namespace, name), GatedPod { revision })
        });
        self.world.cluster.gated = fresh(gated.collect());
    }

    fn carry_out(&mut self, thought: &Thought) {
        let now = self.world.now;
        if let Some(write) = &thought.orders.valve {
            if let Some(refusal) = self.refusal {
                self.refused += 1;
                self.mind.valve_written(write, Err(&refusal()), now);
            } else {
                self.world.cluster.role = Reading::Fresh(Some(role(&write.desired)));
                self.mind.valve_written(write, Ok(Effect::Changed), now);
            }
        }
        for (id, order) in &thought.orders.rollouts {
            if !self.hands {
                self.busy = true;
                continue;
            }
            let outcome = self.enact(id, order);
            self.mind.conclude(id, &outcome, now);
        }
    }

    fn enact(&mut self, id: &RolloutId, order: &Order) -> Outcome {
        let mut outcome = Outcome::default();
        for intent in &order.intents {
            match (intent, self.refusal) {
                (Intent::Approve, None) => self.approve(&order.revision),
                (Intent::Approve, Some(refusal)) => {
                    self.refused += 1;
                    outcome.error = Some(refusal());
                    break;
                }
                (Intent::Release { pods, .. }, refusal) => {
                    for name in pods {
                        let refusal = refusal.or(self.stubborn.contains(name).then_some(forbidden));
                        if self.shed.contains(name) {
                            self.refused += 1;
                            outcome.error.get_or_insert_with(too_many);
                            outcome.pods.push((name.clone(), Fate::TurnedAway));
                        } else if let Some(refusal) = refusal {
                            self.refused += 1;
                            outcome.error = Some(refusal());
                            outcome.pods.push((name.clone(), Fate::Failed));
                        } else {
                            self.release(&id.workload, name);
                            outcome.pods.push((name.clone(), Fate::Released));
                        }
                    }
                }
            }
        }
        outcome
    }

    pub(super) fn approve(&mut self, revision: &str) {
        let Reading::Fresh(Some(standing)) = &mut self.world.cluster.role else {
            panic!("there is no Role to approve in");
        };
        let approved = &mut standing.says.approved;
        approved.insert(revision.to_owned(), "by a test".to_owned());
        *standing = role(&standing.says);
    }

    fn release(&mut self, workload: &WorkloadKey, name: &str) {
        let now = self.world.now;
        let pod = self
            .pods
            .get_mut(workload)
            .and_then(|pods| pods.get_mut(name))
            .unwrap();
        if pod.row.state == PodState::Gated {
            pod.row.state = PodState::Unscheduled;
            pod.row.since = now;
        }
    }

    /// What the recorder and the API server do.
    fn keep(&mut self, thought: &Thought) {
        let leads = self.world.leads;
        for entry in thought.books.iter().filter(|_| leads) {
            let name = WorkloadKey {
                namespace: entry.namespace.clone().unwrap_or_default(),
                name: entry.name.clone(),
            };
            match (entry.resource.kind.as_str(), &entry.want) {
                ("GuardedRollout", Want::Created(object)) => {
                    let object = serde_json::to_value(object).unwrap();
                    let mut made: GuardedRollout = serde_json::from_value(object).unwrap();
                    self.born += 1;
                    made.metadata = ObjectMeta {
                        uid: Some(format!("record-{}", self.born)),
                        generation: Some(1),
                        creation_timestamp: Some(self.time()),
                        ..made.metadata
                    };
                    self.records().insert(name, made);
                }
                ("GuardedRollout", Want::Status { .. }) if !self.recorder => {}
                ("GuardedRollout", Want::Status { desired, .. }) => {
                    let status = serde_json::from_value(desired.clone()).unwrap();
                    self.records().get_mut(&name).unwrap().status = Some(status);
                }
                ("GuardedRollout", Want::Gone { .. }) => drop(self.records().remove(&name)),
                ("RolloutPolicy", Want::Status { desired, .. }) => {
                    let status = serde_json::from_value(desired.clone()).unwrap();
                    let policies = rows(&mut self.world.cluster.policies);
                    policies.get_mut(&entry.name).unwrap().status = Some(status);
                }
                ("FlowSchema", want) if self.recorder => self.keep_schema(&entry.name, want),
                ("ControlPlane", want) => self.keep_control_plane(want),
                ("FlowSchema", _) => {}
                (kind, want) => panic!("nobody writes {want:?} of a {kind}"),
            }
        }
    }

    fn keep_control_plane(&mut self, want: &Want) {
        let record = &mut self.world.cluster.control_plane;
        match (want, record) {
            (Want::Created(object), record) => {
                let object = serde_json::to_value(object).unwrap();
                *record = Reading::Fresh(serde_json::from_value(object).unwrap());
            }
            (Want::Status { desired, .. }, Reading::Fresh(Some(record))) => {
                record.status = serde_json::from_value(desired.clone()).unwrap();
            }
            (want, _) => panic!("nobody writes {want:?} of the ControlPlane"),
        }
    }

    fn keep_schema(&mut self, name: &str, want: &Want) {
        let schemas = rows(&mut self.world.cluster.flow_schemas);
        match want {
            Want::Applied { object, holds } => {
                let meta = serde_json::from_value(object["metadata"].clone()).unwrap();
                let spec = serde_json::from_value(object["spec"].clone()).unwrap();
                let uid = Some("meter".to_owned());
                let made = Schema::read(&ObjectMeta { uid, ..meta }, spec, false).unwrap();
                let before = schemas.insert(name.to_owned(), made.clone());
                assert_eq!(
                    *holds,
                    before.is_some_and(|before| before == made),
                    "{name}"
                );
            }
            Want::Gone { uid } => {
                let gone = schemas.remove(name).unwrap();
                assert_eq!(gone.uid, *uid);
            }
            Want::Created(_) | Want::Status { .. } => panic!("nobody writes {want:?} of {name}"),
        }
    }

    fn time(&self) -> Time {
        let millis = i64::try_from(self.world.now.as_millis()).unwrap();
        Time(Timestamp::from_millisecond(millis).unwrap())
    }
}

/// What an API server answers if a right is missing.
pub(super) fn forbidden() -> Unwritten {
    answered(
        403,
        "pods is forbidden: User \"weir\" cannot patch resource",
    )
}

/// What an API server answers that sheds load.
fn too_many() -> Unwritten {
    answered(429, "too many requests, please try again later")
}

fn answered(code: u16, message: &str) -> Unwritten {
    let status = kube::core::Status {
        code,
        message: message.to_owned(),
        ..kube::core::Status::default()
    };
    Unwritten::Failed(kube::Error::Api(Box::new(status)).into())
}

/// The entry of a book for an object of this name.
pub(super) fn entry<'a>(thought: &'a Thought, kind: &str, name: &str) -> Option<&'a Entry> {
    let mut entries = thought.books.iter();
    entries.find(|entry| entry.resource.kind == kind && entry.name == name)
}

/// A policy for all workloads, so that plays are short.
fn fast() -> (String, RolloutPolicy) {
    let mut policy = RolloutPolicy::new(
        "fast",
        RolloutPolicySpec {
            pace: crate::api::Pace::Fast,
            // Nothing counts here what pods cost.
            forecast: Some(crate::api::ForecastLimits {
                act: Some(crate::api::ForecastAct::Tell),
                ..crate::api::ForecastLimits::default()
            }),
            ..RolloutPolicySpec::default()
        },
    );
    policy.metadata.generation = Some(1);
    (policy.name_any(), policy)
}

/// The Role, in order, with these revisions approved.
pub(super) fn adopted(approved: &[&str]) -> Standing {
    let approved = approved
        .iter()
        .map(|key| ((*key).to_owned(), "by a test".to_owned()));
    role(&Approvals {
        adopted: true,
        approved: approved.collect(),
    })
}

/// The Role that says this, as Weir writes it.
pub(super) fn role(approvals: &Approvals) -> Standing {
    let meta = ObjectMeta {
        annotations: Some(approvals.notes()),
        ..ObjectMeta::default()
    };
    Standing::read(&meta, &approvals.rules())
}

pub(super) fn fresh<T>(rows: T) -> Reading<Arc<T>> {
    Reading::Fresh(Arc::new(rows))
}

pub(super) fn rows<T: Clone>(reading: &mut Reading<Arc<T>>) -> &mut T {
    match reading {
        Reading::Fresh(rows)
        | Reading::Masked { value: rows, .. }
        | Reading::Stale { value: rows, .. } => Arc::make_mut(rows),
        Reading::Absent { why } | Reading::Garbled { why } => panic!("nothing is known: {why}"),
    }
}

/// A calm API server that answers in 5 ms.
fn calm() -> ServerEvidence {
    ServerEvidence {
        latency: Reading::Fresh(Latency {
            p50_ms: 5.0,
            max_ms: 9.0,
            probes: 5,
            slow: 0,
            refused: 0,
            failure: None,
            baseline_p50_ms: Some(5.0),
        }),
        flow: Reading::Fresh(Flow {
            queued: 0.0,
            in_queue: 0.0,
            standing: 0.0,
            waits: BTreeMap::new(),
            rejected_per_second: 0.0,
            worst_level: None,
        }),
        process: Reading::Fresh(Process {
            cpu_cores: 0.1,
            cpu_limit_cores: Some(2.0),
            resident_bytes: 600e6,
            resident_growth_per_second: 0.0,
            resident_before_bytes: 600e6,
            inflight: 3.0,
        }),
        counted: Reading::Fresh(std::sync::Arc::default()),
        bad: weir_core::burn::BadTime::default(),
        restarted: None,
        spare: false,
    }
}
