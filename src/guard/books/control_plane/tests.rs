use std::{collections::BTreeSet, sync::Arc};

use k8s_openapi::apimachinery::pkg::apis::meta::v1::ObjectMeta;
use weir_core::{
    burn::BadTime,
    evidence::{Dns, Flow, Latency, Process, Reading},
    time::Span,
};

use super::*;
use crate::{
    api::{BurnPace, SINGLETON},
    observe::Cluster,
    valve::{Approvals, Standing},
};

pub(in crate::guard::books) fn absent<T>() -> Reading<T> {
    Reading::Absent {
        why: "nobody looked".to_owned(),
    }
}

pub(in crate::guard::books) fn world(servers: u16) -> World {
    let id = |number| ServerId {
        address: format!("172.16.0.{number}:6443"),
        started: Some(1_700_000_000_000),
    };
    World {
        now: Moment::from_millis(1_800_000_000_000),
        wall: Moment::from_millis(1_800_000_000_000),
        cluster: Cluster {
            daemon_sets: Reading::Fresh(Arc::default()),
            namespaces: Reading::Fresh(Arc::default()),
            policies: Reading::Fresh(Arc::default()),
            rollouts: Reading::Fresh(Arc::default()),
            role: Reading::Fresh(None),
            control_plane: Reading::Fresh(None),
            flow_schemas: Reading::Fresh(Arc::default()),
            nodes: absent(),
            pods: BTreeMap::new(),
            deployed: BTreeMap::new(),
            gated: Reading::Fresh(Arc::default()),
        },
        servers: (1..=servers).map(|number| (id(number), calm())).collect(),
        expected_servers: Reading::Fresh(2),
        addresses: Reading::Fresh(BTreeSet::new()),
        dns: Dns::Unasked,
        dependencies: None,
        unrecorded: BTreeMap::new(),
        gate: None,
        ceiling: Mode::Enforce,
        leads: true,
    }
}

fn calm() -> ServerEvidence {
    ServerEvidence {
        latency: Reading::Fresh(Latency {
            p50_ms: 4.6,
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
        bad: BadTime::default(),
        restarted: None,
        spare: false,
    }
}

pub(in crate::guard::books) fn slow(world: &mut World) {
    let server = world.servers.values_mut().next().unwrap();
    if let Reading::Fresh(latency) = &mut server.latency {
        latency.p50_ms = 900.0;
    }
}

pub(in crate::guard::books) fn status(survey: &mut Survey, world: &World) -> ControlPlaneStatus {
    survey.look(world);
    required(&[Servers::AsFound { at_least: 1 }], survey, world)
}

fn required(servers: &[Servers], survey: &Survey, world: &World) -> ControlPlaneStatus {
    let record = ControlPlane::new(SINGLETON, crate::api::ControlPlaneSpec {});
    let known = Known {
        required: servers,
        obstacles: &Obstacles::default(),
        stranded: &[],
    };
    survey.status(world, known, Count::default(), &record)
}

/// Status and reason of a condition, such as `True Quiet`; `none` if there is no such.
fn condition(status: &ControlPlaneStatus, kind: &str) -> String {
    let mut conditions = status.conditions.iter();
    let one = conditions.find(|one| one.type_ == kind);
    one.map_or("none".to_owned(), |one| {
        format!("{} {}", one.status, one.reason)
    })
}

#[test]
fn calm_servers_are_quiet_and_their_latency_is_told_in_whole_milliseconds() {
    let status = status(&mut Survey::default(), &world(2));
    assert_eq!(condition(&status, "Ready"), "True Quiet");
    assert!(
        status
            .servers
            .iter()
            .all(|one| one.state == ServerState::Quiet)
    );
    assert_eq!(status.servers[0].latency_ms, Some(5));
}

#[test]
fn a_server_that_is_seen_for_the_first_time_is_seen_at_once() {
    let mut survey = Survey::default();
    let mut world = world(1);
    let known = world.servers.values().next().unwrap().flow.clone();
    let flow = |world: &mut World, flow| world.servers.values_mut().next().unwrap().flow = flow;
    let unknown = || Reading::Absent {
        why: "a rate needs two pages".to_owned(),
    };
    flow(&mut world, unknown());
    assert_eq!(
        status(&mut survey, &world).servers[0].state,
        ServerState::Unseen
    );
    flow(&mut world, known.clone());
    assert_eq!(
        status(&mut survey, &world).servers[0].state,
        ServerState::Quiet
    );
    // Later it may waver.
    flow(&mut world, unknown());
    status(&mut survey, &world);
    flow(&mut world, known);
    assert_eq!(
        status(&mut survey, &world).servers[0].state,
        ServerState::Unseen
    );
}

#[test]
fn a_server_that_suffered_suffers_on_for_a_while() {
    let mut survey = Survey::default();
    let mut world = world(2);
    slow(&mut world);
    let said = status(&mut survey, &world);
    assert_eq!(condition(&said, "Ready"), "False LatencyRegressed");
    assert_eq!(said.servers[0].state, ServerState::Suffering);
    assert_eq!(said.servers[1].state, ServerState::Quiet);

    for server in world.servers.values_mut() {
        *server = calm();
    }
    world.now = world.now + Span::from_secs(29);
    assert_eq!(
        status(&mut survey, &world).servers[0].state,
        ServerState::Suffering
    );
    world.now = world.now + Span::from_secs(1);
    assert_eq!(
        status(&mut survey, &world).servers[0].state,
        ServerState::Quiet
    );
}

#[test]
fn a_budget_that_is_spent_is_told_by_its_figures_and_too_fast_is_suffering() {
    let mut world = world(2);
    let spent = |world: &mut World, bad| {
        let mut survey = Survey::default();
        world.servers.values_mut().next().unwrap().bad = bad;
        let said = status(&mut survey, world);
        let server = said.servers[0].clone();
        (condition(&said, "Ready"), server.state, server.burn)
    };
    let (ready, state, burn) = spent(&mut world, BadTime::default());
    assert_eq!(
        (ready.as_str(), state, burn),
        ("True Quiet", ServerState::Quiet, None)
    );
    // For days nothing would come of it: it is told, and everything is Ready.
    let slow = BadTime {
        half_hour: 0.08,
        six_hours: 0.07,
        ..BadTime::default()
    };
    let (ready, state, burn) = spent(&mut world, slow);
    assert_eq!((ready.as_str(), state), ("True Quiet", ServerState::Quiet));
    assert_eq!(burn.and_then(|burn| burn.too_fast), Some(BurnPace::Slow));
    let fast = BadTime {
        five_minutes: 0.3,
        hour: 0.2,
        ..BadTime::default()
    };
    let (ready, state, burn) = spent(&mut world, fast);
    assert_eq!(
        (ready.as_str(), state),
        ("False BurnFast", ServerState::Suffering)
    );
    assert_eq!(burn.and_then(|burn| burn.too_fast), Some(BurnPace::Fast));
}

#[test]
fn a_server_that_is_not_seen_is_not_called_quiet() {
    let mut world = world(2);
    world.servers.values_mut().next().unwrap().latency = absent();
    let said = status(&mut Survey::default(), &world);
    assert_eq!(said.servers[0].state, ServerState::Unseen);
    assert!(
        said.servers[0]
            .why
            .as_ref()
            .unwrap()
            .contains("nobody looked")
    );
    assert_eq!(condition(&said, "Ready"), "False EvidenceAbsent");
}

#[test]
fn what_weir_may_not_read_is_named() {
    let mut world = world(2);
    world.cluster.daemon_sets = Reading::Absent {
        why: "daemonsets.apps is forbidden".to_owned(),
    };
    let said = status(&mut Survey::default(), &world);
    assert_eq!(condition(&said, "Ready"), "False EvidenceAbsent");
    assert!(
        said.conditions[0]
            .message
            .contains("daemonsets.apps is forbidden")
    );
}

#[test]
fn what_was_last_read_too_long_ago_is_not_taken_for_seen() {
    let mut world = world(2);
    world.cluster.daemon_sets = Reading::Stale {
        value: Arc::default(),
        age: Span::from_secs(95),
    };
    let said = status(&mut Survey::default(), &world);
    assert_eq!(condition(&said, "Ready"), "False EvidenceStale");
    assert_eq!(
        said.conditions[0].message,
        "daemonsets: silent for 1 min 35 s"
    );
    world.cluster.namespaces = absent();
    let said = status(&mut Survey::default(), &world);
    assert_eq!(condition(&said, "Ready"), "False EvidenceAbsent");
}

#[test]
fn all_servers_are_seen_only_where_it_is_known_how_many_there_are() {
    let mut world = world(2);
    for (found, ready) in [
        (Reading::Fresh(2), "True Quiet"),
        (absent(), "False EvidenceAbsent"),
        (
            Reading::Stale {
                value: 2,
                age: Span::from_secs(200),
            },
            "False EvidenceStale",
        ),
    ] {
        world.expected_servers = found;
        let said = status(&mut Survey::default(), &world);
        assert_eq!(condition(&said, "Ready"), ready);
    }
}

#[test]
fn a_person_who_stated_how_many_servers_there_are_has_answered_the_question() {
    let mut world = world(2);
    world.expected_servers = absent();
    let survey = Survey::default();
    let ready = |servers: &[Servers]| {
        let said = required(servers, &survey, &world);
        (said.expected_servers, condition(&said, "Ready"))
    };
    let told = |text: &str| text.to_owned();
    assert_eq!(ready(&[Servers::Stated(2)]), (Some(2), told("True Quiet")));
    assert_eq!(
        ready(&[Servers::Stated(2), Servers::Stated(3)]),
        (Some(3), told("False ServersMissing"))
    );
    assert_eq!(
        ready(&[Servers::Stated(2), Servers::AsFound { at_least: 1 }]),
        (None, told("False EvidenceAbsent")),
        "another workload's policy has not"
    );
}

#[test]
fn what_is_gone_by_the_number_that_people_state_is_not_missed() {
    let mut world = world(3);
    world.expected_servers = absent();
    let gone = world.servers.values_mut().next().unwrap();
    gone.latency = absent();
    gone.spare = true;
    let mut survey = Survey::default();
    survey.look(&world);
    let said = required(&[Servers::Stated(2)], &survey, &world);
    assert_eq!(condition(&said, "Ready"), "True Quiet");
    assert_eq!(said.servers.len(), 2);
    let said = required(&[Servers::Stated(3)], &survey, &world);
    assert_eq!(condition(&said, "Ready"), "False EvidenceAbsent");
    assert_eq!(said.servers.len(), 3);
}

#[test]
fn fewer_servers_than_there_should_be_are_not_quiet() {
    for seen in [0, 1] {
        let said = status(&mut Survey::default(), &world(seen));
        assert_eq!(condition(&said, "Ready"), "False ServersMissing");
    }
}

#[test]
fn whether_the_gate_is_in_force_is_told_where_it_should_be() {
    let mut world = world(2);
    let gating = |world: &World| condition(&status(&mut Survey::default(), world), "Gating");
    assert_eq!(gating(&world), "none");
    world.gate = Some(Ok(Gate::InForce));
    assert_eq!(gating(&world), "True InForce");
    world.gate = Some(Ok(Gate::Open {
        namespaces: true,
        templates: false,
    }));
    assert_eq!(gating(&world), "False NotInForce");
    let mut rules = Approvals::default().rules();
    rules[0].resource_names = None;
    let role = Standing::read(&ObjectMeta::default(), &rules);
    world.cluster.role = Reading::Fresh(Some(role));
    assert_eq!(gating(&world), "False EverythingApproved");
    world.cluster.role = Reading::Fresh(None);
    world.gate = Some(Err(Arc::from("pods is forbidden")));
    assert_eq!(gating(&world), "False NotKnown");
    world.ceiling = Mode::Shadow;
    assert_eq!(gating(&world), "none");
}
