//! Any policy, evidence and history that a judgement may be asked for, within a small world.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::Arc,
};

use proptest::{collection::vec, option, prelude::*, sample::select};
use weir_core::{
    burn::BadTime,
    evidence::{
        Caches, Dependency, Dns, DnsEvidence, Evidence, Health, Horizon, LayerEvidence, Mask,
        Measured, NodeRow, PodRow, PodState, Reading, Role, RolloutEvidence, ServerEvidence, Sight,
        Source, Window,
    },
    history::{History, Progress, Record, Standing},
    plan::{Finding, Rule, Severity},
    policy::{DnsRequired, Policy, Required, Servers, Undisturbed},
    soak::Seen,
    time::{Moment, Span},
    usage::Meter,
};

use crate::play::{BEGIN, calm, server};

/// When any evidence is judged.
pub(crate) const NOW: Moment = Moment::from_millis(1_000_600_000);

/// How many nodes there are.
const NODES: usize = 10;

/// Everything that a judgement is made of.
#[derive(Debug, Clone)]
pub(crate) struct Case {
    pub(crate) policy: Policy,
    pub(crate) evidence: Evidence,
    pub(crate) history: History,
}

/// Any case at all.
pub(crate) fn case() -> impl Strategy<Value = Case> {
    (policy(), evidence(), history()).prop_map(|(policy, evidence, history)| Case {
        policy,
        evidence,
        history,
    })
}

/// Any case in which the next thing to do would be to let pods through: nothing suffers.
pub(crate) fn harmless_case() -> impl Strategy<Value = Case> {
    case().prop_map(|mut case| {
        for server in case.evidence.servers.values_mut() {
            *server = calm();
        }
        case.evidence.expected_servers = Reading::Fresh(1);
        case.evidence.rollout.paused = false;
        case.history.standing.clear();
        case
    })
}

fn policy() -> BoxedStrategy<Policy> {
    (
        prop_oneof![Just(Policy::fast()), Just(Policy::careful())],
        0.1..30.0,
        0.0..0.3,
        select(vec![
            Servers::AsFound { at_least: 1 },
            Servers::Stated(1),
            Servers::Stated(2),
        ]),
        option::weighted(0.3, Just(UNDISTURBED)),
    )
        .prop_map(
            |(policy, releases_per_second, starving_per_ten_minutes, servers, undisturbed)| {
                Policy {
                    releases_per_second,
                    starving_per_ten_minutes,
                    undisturbed,
                    required: Required {
                        servers,
                        dns: DnsRequired::WhereMeasured,
                    },
                    ..policy
                }
            },
        )
        .boxed()
}

/// What soak must include, where a policy says so.
const UNDISTURBED: Undisturbed = Undisturbed {
    stretch: Span::from_secs(30),
    before: 0.5,
};

fn reading<T: Clone + std::fmt::Debug>(value: T) -> impl Strategy<Value = Reading<T>> {
    let stale = Reading::Stale {
        value: value.clone(),
        age: Span::from_secs(20),
    };
    prop_oneof![
        20 => Just(Reading::Fresh(value)),
        1 => Just(stale),
        1 => Just(Reading::Absent { why: "refused".to_owned() }),
        1 => Just(Reading::Garbled { why: "cut".to_owned() }),
    ]
}

/// None, or as much as is told, or as much as holds.
fn bad_time() -> impl Strategy<Value = BadTime> {
    let slow = BadTime {
        half_hour: 0.1,
        six_hours: 0.1,
        ..BadTime::default()
    };
    let fast = BadTime {
        five_minutes: 0.5,
        hour: 0.2,
        ..slow
    };
    prop_oneof![8 => Just(BadTime::default()), 1 => Just(slow), 1 => Just(fast)]
}

fn a_server() -> BoxedStrategy<ServerEvidence> {
    let faults = (
        select(vec![5.0, 5.0, 5.0, 300.0]),
        select(vec![0, 0, 0, 2]),
        any::<bool>(),
    );
    let flows = (
        select(vec![0.0, 0.0, 0.0, 3.0]),
        select(vec![0.0, 0.0, 0.0, 9.0]),
    );
    let restarted = option::weighted(0.1, (0..100_u64).prop_map(Span::from_secs));
    let spare = prop::bool::weighted(0.2);
    (faults, flows, restarted, spare, bad_time())
        .prop_map(
            |((p50_ms, slow, known), (queued, rejected), restarted, spare, bad)| {
                let mut server = calm();
                (server.spare, server.bad) = (spare, bad);
                if let Reading::Fresh(latency) = &mut server.latency {
                    latency.p50_ms = p50_ms;
                    latency.slow = slow;
                    latency.baseline_p50_ms = known.then_some(5.0);
                }
                if let Reading::Fresh(flow) = &mut server.flow {
                    (flow.queued, flow.standing) = (queued, queued);
                    flow.rejected_per_second = rejected;
                }
                server.restarted = restarted.map(|ago| NOW - ago);
                server
            },
        )
        .prop_flat_map(|server| {
            let readings = (
                reading(server.latency.fresh().expect("calm").clone()),
                reading(server.flow.fresh().expect("calm").clone()),
                reading(*server.process.fresh().expect("calm")),
            );
            readings.prop_map(move |(latency, flow, process)| ServerEvidence {
                latency,
                flow,
                process,
                counted: Reading::Fresh(Arc::default()),
                bad: server.bad,
                restarted: server.restarted,
                spare: server.spare,
            })
        })
        .boxed()
}

fn pod() -> impl Strategy<Value = (PodState, Span, bool)> {
    let states = prop_oneof![
        6 => Just(PodState::Gated),
        6 => Just(PodState::Ready),
        1 => Just(PodState::Unscheduled),
        1 => Just(PodState::Starting),
        1 => Just(PodState::Failing),
    ];
    (
        states,
        (0..400_u64).prop_map(Span::from_secs),
        prop::bool::weighted(0.95),
    )
}

fn node() -> BoxedStrategy<NodeRow> {
    let zone = select(vec!["", "a", "b"]);
    let joined = select(vec![
        BEGIN - Span::from_secs(60),
        BEGIN + Span::from_secs(60),
    ]);
    let turned = (0..600_u64).prop_map(|ago| NOW - Span::from_secs(ago));
    (zone, prop::bool::weighted(0.85), turned, joined)
        .prop_map(|(zone, ready, turned, joined)| NodeRow {
            zone: zone.to_owned(),
            ready,
            turned,
            joined,
        })
        .boxed()
}

fn name(node: usize) -> String {
    format!("node-{node}")
}

/// Whether waves may begin, and when somebody last deployed.
fn times() -> impl Strategy<Value = (Window, Option<Moment>)> {
    let closed = Window::Closed {
        opens: "on Monday at 08:00".to_owned(),
    };
    let window = prop_oneof![8 => Just(Window::Open), 1 => Just(closed)];
    let deployed = (0..600_u64).prop_map(|ago| NOW - Span::from_secs(ago));
    (window, option::weighted(0.3, deployed))
}

fn rollout() -> BoxedStrategy<RolloutEvidence> {
    let nodes = vec(node(), NODES);
    let pods = vec(option::weighted(0.8, pod()), NODES);
    let others = vec(prop::bool::weighted(0.2), NODES);
    let refused = option::weighted(0.3, 0..NODES);
    let flags = (
        any::<bool>(),
        prop::bool::weighted(0.2),
        prop::bool::weighted(0.1),
    );
    let counts = (0..12_u32, 1..3_u32);
    (nodes, pods, others, refused, counts, flags, times())
        .prop_flat_map(
            |(nodes, pods, others, refused, (desired, max_unavailable), flags, times)| {
                let (earlier_approved, approved, paused) = flags;
                let refused: BTreeSet<_> = refused.iter().map(|at| format!("pod-{at}")).collect();
                let nodes: BTreeMap<_, _> = nodes
                    .into_iter()
                    .enumerate()
                    .map(|(at, node)| (name(at), node))
                    .collect();
                let row = |(at, pod): (usize, Option<(PodState, Span, bool)>)| {
                    let (state, age, tame) = pod?;
                    let born_gated = tame || state == PodState::Gated;
                    let row = PodRow {
                        node: name(at),
                        state,
                        since: NOW - age,
                        placed: (!matches!(state, PodState::Gated | PodState::Unscheduled))
                            .then_some(NOW - age),
                        born_gated,
                    };
                    Some((format!("pod-{at}"), row))
                };
                let pods: BTreeMap<_, _> = pods.into_iter().enumerate().filter_map(row).collect();
                let served: BTreeSet<_> = (0..NODES).filter(|at| others[*at]).map(name).collect();
                (reading(pods), reading(nodes)).prop_map(move |(pods, nodes)| RolloutEvidence {
                    desired,
                    max_unavailable,
                    pods,
                    nodes,
                    served_by_others: served.clone(),
                    refused: refused.clone(),
                    earlier_approved,
                    approved,
                    paused,
                    let_through: None,
                    meter: Meter::Own {
                        schema: "weir-meter-shop.logs".to_owned(),
                    },
                    window: times.0.clone(),
                    deployed: times.1,
                })
            },
        )
        .boxed()
}

fn evidence() -> BoxedStrategy<Evidence> {
    (
        vec(a_server(), 1..3),
        reading(1),
        reading(()),
        dns(),
        dependencies(),
        rollout(),
    )
        .prop_map(
            |(servers, expected_servers, source, dns, dependencies, rollout)| Evidence {
                servers: servers
                    .into_iter()
                    .enumerate()
                    .map(|(at, known)| (server(&format!("api-{at}")), known))
                    .collect(),
                expected_servers,
                sources: BTreeMap::from([("daemon sets".to_owned(), source)]),
                dns,
                dependencies,
                rollout,
            },
        )
        .boxed()
}

/// What a policy depends on, if it depends on anything.
fn dependencies() -> BoxedStrategy<BTreeMap<String, Dependency>> {
    let incident = Health::Incident {
        what: "it is down".to_owned(),
    };
    let health = prop_oneof![6 => Just(Health::Well), 1 => Just(incident)];
    let dependency = (health.prop_flat_map(reading), any::<bool>());
    let dependency = dependency.prop_map(|(reading, is_awaited)| {
        // It is waited for from when it last said something: whatever is fresh is. (An incident that has fallen silent
        // is milder once that is over, and is meant to be.)
        let is_awaited = is_awaited || reading.fresh().is_some();
        let awaits = Span::from_secs(if is_awaited { 60 } else { 0 });
        Dependency {
            reading,
            awaited_until: NOW + awaits,
        }
    });
    let named = |dependency| ("cloud".to_owned(), dependency);
    option::weighted(0.4, dependency)
        .prop_map(move |one| one.map(named).into_iter().collect())
        .boxed()
}

/// What a DNS server shows, if anything.
const SIGHT: Sight = Sight {
    epoch: Some(1),
    lag: Span::from_secs(3),
    ttl: Span::from_secs(30),
    expires: NOW,
    serial_age: None,
    heard: NOW,
};

/// One of this role, with any of the masks that it can have.
fn layer(role: Role) -> BoxedStrategy<LayerEvidence> {
    let masks: &[Mask] = match role {
        Role::Replica | Role::Service | Role::Resolver => {
            &[Mask::Cache, Mask::FrozenReplica, Mask::ControlPlane]
        }
        Role::ApiRead => &[],
        Role::ApiWatch => &[Mask::FrozenWatch],
    };
    let masked = masks.iter().map(|by| Reading::Masked {
        value: SIGHT,
        by: *by,
    });
    let shown: Vec<Reading<Sight>> = masked.chain([Reading::Fresh(SIGHT)]).collect();
    let reading = prop_oneof![
        6 => reading(SIGHT),
        2 => select(shown),
    ];
    let measured = if role.is_api() {
        vec![Measured::Yes]
    } else {
        vec![Measured::Yes, Measured::Yes, Measured::NotYet, Measured::No]
    };
    (reading, select(measured))
        .prop_map(move |(reading, measured)| LayerEvidence {
            role,
            horizon: reading.mask().map(|_| Horizon::UntilRestart { warm: 2 }),
            reading,
            measured,
        })
        .boxed()
}

/// What there is to be fresh about.
fn source() -> BoxedStrategy<Source> {
    let stalled = Source::Stalled {
        since: NOW - Span::from_secs(40),
        why: None,
    };
    prop_oneof![
        8 => Just(Source::Beating),
        1 => Just(Source::Unknown),
        1 => Just(stalled),
        1 => Just(silent()),
    ]
    .boxed()
}

fn silent() -> Source {
    Source::Silent {
        since: NOW,
        why: "refused".to_owned(),
    }
}

fn dns() -> BoxedStrategy<Dns> {
    let layers = (
        option::weighted(0.4, layer(Role::Replica)),
        option::weighted(0.9, layer(Role::Service)),
        option::weighted(0.3, layer(Role::Resolver)),
        option::weighted(0.3, layer(Role::ApiRead)),
        option::weighted(0.4, layer(Role::ApiWatch)),
    );
    let measured = (layers, source()).prop_map(|(layers, source)| {
        let (replica, service, resolver, read, watch) = layers;
        let layers = [replica, service, resolver, read, watch].into_iter();
        let layers = layers.flatten();
        let layers: BTreeMap<String, LayerEvidence> = layers
            .map(|layer| (format!("{:?}", layer.role), layer))
            .collect();
        // Only the absence of a silent API hides anything.
        let mut masks = layers.values().map(|layer| layer.reading.mask());
        let is_silent = masks.any(|mask| mask == Some(Mask::ControlPlane));
        Dns::Measured(DnsEvidence {
            source: if is_silent { silent() } else { source },
            layers,
            skew_ms: 0,
            caches: Caches::default(),
        })
    });
    let why = "there is none".to_owned();
    let awaited = Dns::Awaited { why: why.clone() };
    prop_oneof![6 => measured, 1 => Just(Dns::NotMeasured { why }), 1 => Just(awaited), 1 => Just(Dns::Unasked)]
    .boxed()
}

fn standing() -> impl Strategy<Value = Vec<Standing>> {
    let harm = (0..12_u64, 0..700_u64).prop_map(|(quiet, since)| Standing {
        finding: Finding {
            rule: Rule::LatencyRegressed,
            severity: Severity::Hold,
            subject: "api-0".to_owned(),
            evidence: "slow".to_owned(),
            clears_when: "fast".to_owned(),
        },
        since: NOW - Span::from_secs(since),
        seen: NOW - Span::from_secs(since),
        quiet: Span::from_secs(quiet),
        pods: BTreeSet::new(),
    });
    option::weighted(0.2, harm).prop_map(|harm| harm.into_iter().collect())
}

/// A record on which nothing was found.
fn record(progress: Progress) -> Record {
    Record {
        begun: BEGIN,
        progress: Some(progress),
        width: progress.target,
        findings: Vec::new(),
        costs: None,
        paced: false,
        obeyed: None,
        incident: None,
    }
}

fn history() -> BoxedStrategy<History> {
    let progress = (0..12_u32, 0..8_u32, 0.02..1.0, any::<bool>());
    let progress = progress.prop_map(|(target, wave, pace, stretched)| Progress {
        target,
        wave,
        pace,
        stretched,
    });
    let seen = select(vec![Seen::Calm, Seen::Calm, Seen::Disturbed, Seen::Blind]);
    let soak = (0..200_u64, 0..14_u32);
    let starving = (0.0..3.0, vec(0..NODES, 0..3));
    (progress, seen, soak, 0..8000_u64, standing(), starving)
        .prop_map(
            |(
                progress,
                seen,
                (soaked, soaked_width),
                gap,
                standing,
                (starving_tokens, serving),
            )| {
                History {
                    judged: NOW - Span::from_millis(gap),
                    informed: true,
                    seen,
                    soaked: Span::from_secs(soaked),
                    soaked_width,
                    standing,
                    starving_tokens,
                    serving: serving.into_iter().map(|at| format!("pod-{at}")).collect(),
                    ..History::resumed(record(progress), BEGIN)
                }
            },
        )
        .boxed()
}
