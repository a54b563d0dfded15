//! A little world for timelines: nodes, a DaemonSet controller, API servers, and Weir judging each
//! second. What happened is kept as a story, one line per change, to be compared with a script.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use weir_core::{
    burn::BadTime,
    evidence::{
        Dns, Evidence, Flow, Latency, NodeRow, PodRow, PodState, Process, Reading, RolloutEvidence,
        ServerEvidence, ServerId, Window,
    },
    forecast::{Forecast, Recalled},
    history::{History, Record},
    judge::{Judgement, assess, judge, let_go},
    plan::{Because, Intent, Report, Rule, State},
    policy::Policy,
    time::{Moment, Span},
    usage::Meter,
};

use crate::costs::Costs;

/// When plays begin; far from zero, so that spans before it exist.
pub(crate) const BEGIN: Moment = Moment::from_millis(1_000_000_000);

/// A calm API server that answers in 5 ms.
pub(crate) fn calm() -> ServerEvidence {
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
        counted: Reading::Fresh(Arc::default()),
        bad: BadTime::default(),
        restarted: None,
        spare: false,
    }
}

pub(crate) fn server(address: &str) -> ServerId {
    ServerId {
        address: address.to_owned(),
        started: Some(1),
    }
}

/// A reading that has grown old.
pub(crate) fn aged<T>(reading: Reading<T>) -> Reading<T> {
    match reading {
        Reading::Fresh(value) | Reading::Stale { value, .. } => Reading::Stale {
            value,
            age: Span::from_secs(12),
        },
        gone @ (Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. }) => gone,
    }
}

/// A world and Weir in it.
#[derive(Clone)]
pub(crate) struct Play {
    pub policy: Policy,
    pub evidence: Evidence,
    pub history: History,
    pub now: Moment,
    pub last: Option<Judgement>,
    /// How long a released pod takes to be ready.
    pub ready_in: Span,
    /// How long after it became ready a pod takes its node with it, if it does.
    pub kills_after: Option<Span>,
    /// Nodes on which no pod finds a place.
    pub full: BTreeSet<String>,
    /// Nodes whose pod is still the old revision's.
    old: BTreeSet<String>,
    /// Nodes where an old pod runs, but none is wanted.
    forsaken: BTreeSet<String>,
    born: u32,
    joined: u32,
    shadow: bool,
    /// Nobody asks for the guard any longer.
    pub unasked: bool,
    /// What pods cost, if anything.
    pub costs: Option<Costs>,
    story: Vec<String>,
    told: Option<(State, u32)>,
}

impl Play {
    /// A new DaemonSet on `nodes` ready nodes in three zones: all its pods are gated from birth.
    pub(crate) fn first_rollout(policy: Policy, nodes: u32) -> Self {
        let mut play = Self::empty(policy);
        play.join(nodes);
        for node in play.nodes().values_mut() {
            (node.joined, node.turned) = (Moment::from_millis(0), Moment::from_millis(0));
        }
        play
    }

    /// An approved DaemonSet that runs on `nodes` nodes and whose template has just changed.
    pub(crate) fn update(policy: Policy, nodes: u32, max_unavailable: u32) -> Self {
        let mut play = Self::first_rollout(policy, nodes);
        play.old = play.nodes().keys().cloned().collect();
        play.pods().clear();
        play.evidence.rollout.earlier_approved = true;
        play.evidence.rollout.max_unavailable = max_unavailable;
        play
    }

    /// As a first rollout, but Weir only looks on: pods are born without a gate.
    pub(crate) fn in_shadow(policy: Policy) -> Self {
        let mut play = Self::empty(policy);
        play.shadow = true;
        play
    }

    /// Forecasts steer nothing, but where a play says so.
    fn empty(mut policy: Policy) -> Self {
        policy.forecast.holds = false;
        let rollout = RolloutEvidence {
            desired: 0,
            max_unavailable: 1,
            pods: Reading::Fresh(BTreeMap::new()),
            nodes: Reading::Fresh(BTreeMap::new()),
            served_by_others: BTreeSet::new(),
            refused: BTreeSet::new(),
            earlier_approved: false,
            approved: false,
            paused: false,
            let_through: None,
            meter: Meter::Own {
                schema: "weir-meter-shop.logs".to_owned(),
            },
            window: Window::Open,
            deployed: None,
        };
        Self {
            policy,
            evidence: Evidence {
                servers: BTreeMap::from([(server("api-a"), calm())]),
                expected_servers: Reading::Fresh(1),
                sources: BTreeMap::from([("daemon sets".to_owned(), Reading::Fresh(()))]),
                dns: Dns::Unasked,
                dependencies: BTreeMap::new(),
                rollout,
            },
            history: History::begin(BEGIN, BEGIN),
            now: BEGIN,
            last: None,
            ready_in: Span::from_secs(2),
            kills_after: None,
            full: BTreeSet::new(),
            old: BTreeSet::new(),
            forsaken: BTreeSet::new(),
            born: 0,
            joined: 0,
            shadow: false,
            unasked: false,
            costs: None,
            story: Vec::new(),
            told: None,
        }
    }

    pub(crate) fn pods(&mut self) -> &mut BTreeMap<String, PodRow> {
        match &mut self.evidence.rollout.pods {
            Reading::Fresh(pods) | Reading::Stale { value: pods, .. } => pods,
            Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. } => {
                unreachable!("pods are known here")
            }
        }
    }

    pub(crate) fn nodes(&mut self) -> &mut BTreeMap<String, NodeRow> {
        match &mut self.evidence.rollout.nodes {
            Reading::Fresh(nodes) | Reading::Stale { value: nodes, .. } => nodes,
            Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. } => {
                unreachable!("nodes are known here")
            }
        }
    }

    pub(crate) fn server(&mut self, address: &str) -> &mut ServerEvidence {
        self.evidence
            .servers
            .entry(server(address))
            .or_insert_with(calm)
    }

    /// The named API server's probes take this long.
    pub(crate) fn latency(&mut self, address: &str, p50_ms: f64) {
        let mut evidence = self.server(address).clone();
        evidence.latency = calm().latency;
        if let Reading::Fresh(latency) = &mut evidence.latency {
            latency.p50_ms = p50_ms;
            latency.max_ms = 2.0 * p50_ms;
        }
        *self.server(address) = evidence;
    }

    /// Nodes join, each with its pod: gated if Weir stands behind the valve.
    pub(crate) fn join(&mut self, number: u32) {
        for _ in 0..number {
            let index = self.joined;
            self.joined += 1;
            let node = format!("node-{index:03}");
            let row = NodeRow {
                zone: format!("zone-{}", index % 3),
                ready: true,
                turned: self.now,
                joined: self.now,
            };
            self.nodes().insert(node.clone(), row);
            self.bear(&node);
        }
    }

    pub(crate) fn node_ready(&mut self, node: &str, ready: bool) {
        let now = self.now;
        if let Some(row) = self.nodes().get_mut(node).filter(|row| row.ready != ready) {
            (row.ready, row.turned) = (ready, now);
        }
    }

    /// The controller makes a pod of this revision for `node`.
    pub(crate) fn bear(&mut self, node: &str) {
        let gated = !self.shadow && !self.unasked && !self.evidence.rollout.approved;
        let row = PodRow {
            node: node.to_owned(),
            state: if gated {
                PodState::Gated
            } else {
                PodState::Starting
            },
            since: self.now,
            placed: (!gated).then_some(self.now),
            born_gated: gated,
        };
        self.old.remove(node);
        self.born += 1;
        let name = format!("{node}-{}", self.born);
        self.pods().insert(name, row);
    }

    /// The controller makes a pod of this revision for `node`, beside the old one.
    pub(crate) fn surge(&mut self, node: &str) {
        self.bear(node);
        self.old.insert(node.to_owned());
    }

    /// The pod of `node` is deleted; the controller makes another.
    pub(crate) fn replace(&mut self, node: &str) {
        self.pods().retain(|_, pod| pod.node != node);
        self.bear(node);
    }

    /// The pod of `node` is there again, without ever having had the gate.
    pub(crate) fn leak(&mut self, node: &str) {
        self.replace(node);
        let (state, since) = (PodState::Starting, self.now);
        for pod in self.pods().values_mut().filter(|pod| pod.node == node) {
            (pod.state, pod.since, pod.born_gated) = (state, since, false);
            pod.placed = Some(since);
        }
    }

    /// The controller wants no pod on `node` any more, but leaves the old one running there.
    pub(crate) fn forsake(&mut self, node: &str) {
        self.old.remove(node);
        self.forsaken.insert(node.to_owned());
    }

    /// `node` goes, with its pod.
    pub(crate) fn leave(&mut self, node: &str) {
        self.nodes().remove(node);
        self.pods().retain(|_, pod| pod.node != node);
    }

    /// Weir dies and comes back, `gap` later, with nothing but what the status kept.
    pub(crate) fn restart_weir(&mut self, gap: Span) {
        self.now = self.now + gap;
        self.history = History::resumed(self.record(), self.now);
    }

    /// What the status kept.
    fn record(&self) -> Record {
        let report = self.last.as_ref().map(|last| &last.report);
        let costs = |told: &Forecast| {
            let start = told.unison.as_ref();
            let resources = told.resources.iter();
            Recalled {
                points: told.basis.points.clone(),
                kappa: told.basis.kappa.mid,
                start: start.map(|unison| (unison.start.mid, unison.waves)),
                resources: resources
                    .map(|told| (told.resource, told.at_full.mid, told.capacity))
                    .collect(),
            }
        };
        Record {
            begun: self.history.begun,
            progress: Some(self.history.progress),
            width: report.map_or(0, |report| report.width),
            findings: report.map_or_else(Vec::new, |report| report.findings.clone()),
            costs: report
                .and_then(|report| report.forecast.as_ref())
                .map(costs),
            paced: report.is_some_and(|report| report.state == State::Paced),
            // Which order was carried out is on record too.
            obeyed: self.history.obeyed,
            // The last incident too.
            incident: report.and_then(|report| report.incident.clone()),
        }
    }

    /// The rules that found something at the last judgement.
    pub(crate) fn rules(&self) -> Vec<Rule> {
        self.report()
            .findings
            .iter()
            .map(|finding| finding.rule)
            .collect()
    }

    pub(crate) fn report(&self) -> &Report {
        &self.last.as_ref().expect("the play has run").report
    }

    /// Judges once, without letting time pass and without doing what is planned.
    pub(crate) fn look(&self) -> Judgement {
        let how = match (self.shadow, self.unasked) {
            (true, _) => assess,
            (false, true) => let_go,
            (false, false) => judge,
        };
        how(&self.policy, &self.evidence, self.history.clone(), self.now)
    }

    /// One second: the world moves, Weir judges, and what it plans is done at once.
    pub(crate) fn second(&mut self) {
        self.now = self.now + Span::from_secs(1);
        self.move_world();
        let judgement = self.look();
        self.tell(&judgement);
        self.enact(&judgement);
        self.history = judgement.history.clone();
        self.last = Some(judgement);
    }

    pub(crate) fn seconds(&mut self, number: u32) {
        for _ in 0..number {
            self.second();
        }
    }

    /// Runs until the report satisfies `done`.
    pub(crate) fn until(&mut self, what: &str, done: impl Fn(&Report) -> bool) {
        let came = (0..20_000).any(|_| {
            self.second();
            done(self.report())
        });
        assert!(came, "never {what}; the story so far:\n{}", self.story());
    }

    pub(crate) fn until_complete(&mut self) {
        self.until("complete", |report| report.state == State::Complete);
    }

    /// Seconds since the play began.
    pub(crate) fn elapsed(&self) -> u64 {
        self.now.since(BEGIN).as_millis() / 1000
    }

    /// What happened since last asked.
    pub(crate) fn story(&mut self) -> String {
        std::mem::take(&mut self.story).join("\n")
    }

    /// Compares what happened since last asked with a script, whatever its indentation.
    #[track_caller]
    pub(crate) fn expect(&mut self, script: &str) {
        let script: Vec<&str> = script
            .lines()
            .map(str::trim)
            .filter(|line| !line.is_empty())
            .collect();
        let story = self.story();
        assert_eq!(story, script.join("\n"), "\nthe story was:\n{story}\n");
    }

    fn move_world(&mut self) {
        let (now, ready_in) = (self.now, self.ready_in);
        for pod in self.pods().values_mut() {
            if pod.state == PodState::Starting && now.since(pod.since) >= ready_in {
                (pod.state, pod.since) = (PodState::Ready, now);
            }
        }
        self.kill();
        self.make_room();
        self.charge();
        let ready = self.nodes().values().filter(|node| node.ready).count();
        let wanted = ready - self.forsaken.len();
        self.evidence.rollout.desired = u32::try_from(wanted).expect("few nodes");
        self.evidence.rollout.served_by_others = &self.old | &self.forsaken;
    }

    /// The API servers count what pods cost.
    fn charge(&mut self) {
        let now = self.now;
        let runs = |pod: &&PodRow| matches!(pod.state, PodState::Starting | PodState::Ready);
        let ages: Vec<Span> = self
            .pods()
            .values()
            .filter(runs)
            .map(|pod| now.since(pod.since))
            .collect();
        if let Some(costs) = &mut self.costs {
            costs.second(&mut self.evidence.servers, &ages, now);
        }
    }

    /// Pods that have been ready for long enough take their nodes with them.
    fn kill(&mut self) {
        let (Some(after), now) = (self.kills_after, self.now) else {
            return;
        };
        let ripe = |pod: &&PodRow| pod.state == PodState::Ready && now.since(pod.since) >= after;
        let doomed: Vec<_> = self.pods().values().filter(ripe).cloned().collect();
        for pod in doomed {
            self.node_ready(&pod.node, false);
        }
    }

    /// Nodes that are not ready.
    pub(crate) fn dead(&mut self) -> usize {
        self.nodes().values().filter(|node| !node.ready).count()
    }

    /// All nodes of a zone are ready from now on, or none is.
    pub(crate) fn zone_ready(&mut self, zone: &str, ready: bool) {
        let nodes = self.nodes().iter();
        let of_zone = nodes.filter(|(_, node)| node.zone == zone);
        let names: Vec<String> = of_zone.map(|(name, _)| name.clone()).collect();
        for name in names {
            self.node_ready(&name, ready);
        }
    }

    /// The DaemonSet controller's rolling update: old pods go as long as fewer than
    /// `max_unavailable` nodes are without a ready pod.
    fn make_room(&mut self) {
        let unready = self
            .pods()
            .values()
            .filter(|pod| pod.state != PodState::Ready)
            .count();
        let room = (self.evidence.rollout.max_unavailable as usize).saturating_sub(unready);
        let next: Vec<String> = self.old.iter().take(room).cloned().collect();
        for node in next {
            self.bear(&node);
        }
    }

    fn enact(&mut self, judgement: &Judgement) {
        let now = self.now;
        for intent in &judgement.plan.intents {
            match intent {
                Intent::Approve => self.evidence.rollout.approved = true,
                Intent::Release { pods, .. } => {
                    for name in pods {
                        let node = self.pods()[name].node.clone();
                        let state = if self.full.contains(&node) {
                            PodState::Unscheduled
                        } else {
                            PodState::Starting
                        };
                        let pod = self.pods().get_mut(name).expect("only pods that exist");
                        assert_eq!(pod.state, PodState::Gated, "{name} is let through once");
                        (pod.state, pod.since) = (state, now);
                        pod.placed = (state == PodState::Starting).then_some(now);
                    }
                }
            }
        }
    }

    fn tell(&mut self, judgement: &Judgement) {
        let report = &judgement.report;
        let intents: String = judgement.plan.intents.iter().map(told).collect();
        let now = (report.state, report.wave);
        if self.told == Some(now) && intents.is_empty() {
            return;
        }
        self.told = Some(now);
        self.story.push(format!(
            "{} s: {:?} {}/{} of {}{intents}",
            self.elapsed(),
            report.state,
            report.width,
            report.target,
            report.full_width,
        ));
    }
}

fn told(intent: &Intent) -> String {
    match intent {
        Intent::Approve => ", approve".to_owned(),
        Intent::Release { pods, because } => match because {
            Because::Wave => format!(", release {}", pods.len()),
            Because::Starving => format!(", serve {}", pods.len()),
            Because::Approved => format!(", drain {}", pods.len()),
            Because::LetGo => format!(", let go {}", pods.len()),
            Because::Paced => format!(", pace {}", pods.len()),
            Because::Ordered => format!(", obey {}", pods.len()),
        },
    }
}
