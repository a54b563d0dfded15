//! Each rule by itself: what it finds, where its limit lies, and what it tells.

use weir_core::{
    evidence::{Flow, Latency, PodState, Process, Reading, ServerId, Wait},
    plan::{Finding, Rule, Severity},
    policy::{Policy, Servers},
    time::Span,
    usage::Meter,
};

use crate::play::{Play, aged, calm, server};

const MIB: f64 = 1024.0 * 1024.0;

/// Forty of a hundred pods are out and ready, and nothing is wrong.
fn all_well() -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 100);
    play.until("40 pods are out", |report| report.width >= 40);
    play.seconds(3);
    play
}

/// What is found once `change` has changed something.
fn found(change: impl FnOnce(&mut Play)) -> Vec<Finding> {
    let mut play = all_well();
    change(&mut play);
    play.look().report.findings
}

#[track_caller]
fn only(findings: Vec<Finding>, rule: Rule, severity: Severity, subject: &str) -> Finding {
    let told: Vec<_> = findings
        .iter()
        .map(|found| (found.rule, found.severity, found.subject.as_str()))
        .collect();
    assert_eq!(told, [(rule, severity, subject)]);
    findings.into_iter().next().expect("one was found")
}

fn latency(change: impl Fn(&mut Latency)) -> Vec<Finding> {
    found(|play| match &mut play.server("api-a").latency {
        Reading::Fresh(latency) => change(latency),
        _ => unreachable!("all is fresh"),
    })
}

fn flow(change: impl Fn(&mut Flow)) -> Vec<Finding> {
    found(|play| match &mut play.server("api-a").flow {
        Reading::Fresh(flow) => change(flow),
        _ => unreachable!("all is fresh"),
    })
}

fn process(change: impl Fn(&mut Process)) -> Vec<Finding> {
    found(|play| match &mut play.server("api-a").process {
        Reading::Fresh(process) => change(process),
        _ => unreachable!("all is fresh"),
    })
}

#[test]
fn nothing_is_found_where_all_is_well() {
    assert_eq!(found(|_| ()), []);
}

#[test]
fn latency_regressed() {
    // (median, quiet median, slow or failed): the floor is 100 ms, the factor 5, the objective 1 s.
    let rows = [
        (99.0, Some(5.0), 0, false),
        (100.0, Some(5.0), 0, true),
        (149.0, Some(30.0), 0, false),
        (150.0, Some(30.0), 0, true),
        (999.0, Some(400.0), 0, false),
        (1000.0, Some(400.0), 0, true),
        (99.0, None, 0, false),
        (100.0, None, 0, true),
        (5.0, Some(5.0), 1, false),
        (5.0, Some(5.0), 2, true),
    ];
    for (p50_ms, baseline_p50_ms, slow, harms) in rows {
        let findings = latency(|latency| {
            *latency = Latency {
                p50_ms,
                baseline_p50_ms,
                slow,
                ..latency.clone()
            };
        });
        assert_eq!(
            findings.len(),
            usize::from(harms),
            "{p50_ms} {baseline_p50_ms:?} {slow}"
        );
        if harms {
            only(findings, Rule::LatencyRegressed, Severity::Hold, "api-a");
        }
    }
}

#[test]
fn latency_regressed_tells_its_figures_and_what_clears_it() {
    let findings = latency(|latency| {
        (latency.p50_ms, latency.max_ms, latency.slow) = (412.0, 2000.0, 1);
        latency.failure = Some("timed out".to_owned());
    });
    assert_eq!(
        findings[0].evidence,
        "median of the last 5 probes 412 ms (limit 100 ms, in quiet times 5 ms), slowest 2000 ms, 1 \
         slower than a second or failed (timed out)"
    );
    assert_eq!(
        findings[0].clears_when,
        "the median has been below 100 ms, with fewer than 2 probes slower than a second, for 10 s; \
         if the harm lasts, undo the rollout, or see who asks so much: kubectl get --raw \
         /debug/api_priority_and_fairness/dump_requests"
    );
}

/// The findings where the requests of some FlowSchemas wait: how many at a time, and for how long.
fn waits(rows: &[(&str, f64, f64)], own: Option<&str>) -> Vec<Finding> {
    found(|play| {
        if let Some(schema) = own {
            play.evidence.rollout.meter = Meter::Own {
                schema: schema.to_owned(),
            };
        }
        let wait = |(schema, queued, mean_ms): &(&str, f64, f64)| {
            let per_second = 1000.0 * queued / mean_ms;
            let queued = *queued;
            ((*schema).to_owned(), Wait { queued, per_second })
        };
        match &mut play.server("api-a").flow {
            Reading::Fresh(flow) => flow.waits = rows.iter().map(wait).collect(),
            _ => unreachable!("all is fresh"),
        }
    })
}

#[test]
fn queue_saturated_where_others_wait_for_long() {
    let others = "service-accounts";
    for (rows, own, harms) in [
        (&[(others, 0.9, 310.0)][..], None, false),
        (&[(others, 4.25, 99.0)], None, false),
        (&[(others, 4.25, 310.0)], None, true),
        (&[(others, 4.25, 310.0)], Some("mine"), true),
        (&[("mine", 4.25, 310.0)], Some("mine"), false),
        (
            &[("mine", 4.25, 310.0), (others, 4.0, 11.0)],
            Some("mine"),
            false,
        ),
        (
            &[("global-default", 0.6, 200.0), (others, 0.6, 310.0)],
            None,
            true,
        ),
    ] {
        let findings = waits(rows, own);
        assert_eq!(findings.len(), usize::from(harms), "{rows:?} {own:?}");
    }
    let meter = "weir-meter-loops.other";
    let findings = waits(&[(others, 1.0, 150.0), (meter, 3.25, 310.0)], None);
    let finding = only(findings, Rule::QueueSaturated, Severity::Hold, "api-a");
    assert_eq!(
        finding.evidence,
        "4.2 requests were queued on average (limit 1.0), most from the account loops/other: 310 ms each \
         (limit 100 ms)"
    );
    assert!(
        finding
            .clears_when
            .starts_with("fewer than 1.0 have been queued for so long for 10 s;"),
        "{}",
        finding.clears_when
    );
}

#[test]
fn queue_saturated_where_a_queue_stands() {
    assert_eq!(flow(|flow| (flow.queued, flow.standing) = (9.0, 0.9)), []);
    let findings = flow(|flow| {
        (flow.in_queue, flow.standing) = (7.0, 4.0);
        flow.worst_level = Some("workload-low".to_owned());
    });
    let finding = only(findings, Rule::QueueSaturated, Severity::Hold, "api-a");
    assert_eq!(
        finding.evidence,
        "7 requests wait in queues, 4 of them at least since the look before (limit 1.0), most at level \
         workload-low"
    );
}

#[test]
fn rejecting() {
    assert_eq!(flow(|flow| flow.rejected_per_second = 0.9), []);
    let findings = flow(|flow| flow.rejected_per_second = 12.0);
    only(findings, Rule::Rejecting, Severity::Hold, "api-a");
    assert_eq!(latency(|latency| latency.refused = 1), []);
    let finding = only(
        latency(|latency| latency.refused = 2),
        Rule::Rejecting,
        Severity::Hold,
        "api-a",
    );
    assert!(
        finding.evidence.ends_with("and 2 of the last 5 probes"),
        "{}",
        finding.evidence
    );
}

#[test]
fn memory_climbing() {
    // (MiB before, MiB now): at least half as much again, and at least 512 MiB more.
    let rows = [
        (600.0, 1111.0, false),
        (600.0, 1112.0, true),
        (4000.0, 5999.0, false),
        (4000.0, 6000.0, true),
        (4000.0, 600.0, false),
    ];
    for (before, now, harms) in rows {
        let findings = process(|process| {
            process.resident_before_bytes = before * MIB;
            process.resident_bytes = now * MIB;
        });
        assert_eq!(findings.len(), usize::from(harms), "{before} {now}");
        if harms {
            only(findings, Rule::MemoryClimbing, Severity::Hold, "api-a");
        }
    }
}

#[test]
fn server_restarted() {
    let ago = |seconds| {
        found(|play| play.server("api-a").restarted = Some(play.now - Span::from_secs(seconds)))
    };
    only(ago(59), Rule::ServerRestarted, Severity::Hold, "api-a");
    assert_eq!(ago(60), []);
}

/// So many of the pods that are out are in this state, for so long.
fn pods(number: usize, state: PodState, age: Span) -> Vec<Finding> {
    found(|play| {
        let since = play.now - age;
        let out = play
            .pods()
            .values_mut()
            .filter(|pod| pod.state == PodState::Ready);
        for pod in out.take(number) {
            (pod.state, pod.since) = (state, since);
        }
    })
}

#[test]
fn pods_unhealthy() {
    // 5 % of the 64 that are out are tolerated: 3.
    let findings = pods(3, PodState::Failing, Span::ZERO);
    only(findings, Rule::PodsUnhealthy, Severity::Notice, "pods");
    let findings = pods(4, PodState::Failing, Span::ZERO);
    let finding = only(findings, Rule::PodsUnhealthy, Severity::Hold, "pods");
    assert_eq!(
        finding.evidence,
        "4 of 64 pods fail, or were not ready within 5 min (node-000-1, node-001-2, node-002-3, …); \
         3 are tolerated"
    );
    assert_eq!(pods(9, PodState::Starting, Span::from_secs(300)), []);
    let findings = pods(9, PodState::Starting, Span::from_secs(301));
    only(findings, Rule::PodsUnhealthy, Severity::Hold, "pods");
}

#[test]
fn pods_on_nodes_that_are_not_ready_are_not_judged() {
    let findings = found(|play| {
        for node in ["node-000", "node-001", "node-002"] {
            play.node_ready(node, false);
            for pod in play.pods().values_mut().filter(|pod| pod.node == node) {
                pod.state = PodState::Failing;
            }
        }
    });
    only(findings, Rule::NodesLost, Severity::Notice, "nodes");
}

/// So many nodes that have a pod of the rollout, and so many that have none, stop being ready.
fn lost(ours: usize, others: usize) -> Vec<Finding> {
    found(|play| {
        play.now = play.now + Span::from_secs(1);
        let nodes: Vec<String> = play.nodes().keys().cloned().collect();
        let (with, without) = (nodes.iter(), nodes.iter().rev());
        for node in with.take(ours).chain(without.take(others)) {
            play.node_ready(node, false);
        }
    })
}

#[test]
fn nodes_lost() {
    // 5 % of the 64 that are out are tolerated: 3.
    only(lost(3, 0), Rule::NodesLost, Severity::Notice, "nodes");
    let finding = only(lost(4, 0), Rule::NodesLost, Severity::Hold, "nodes");
    assert_eq!(
        finding.evidence,
        "4 of 64 nodes stopped being ready after their pod was placed there (node-000, node-001, \
         node-002, …), and 0 of 36 others since the rollout began; 3 may be chance, or are tolerated"
    );
    // One of twelve others in each zone, so that five of 64 are to be expected.
    only(lost(11, 3), Rule::NodesLost, Severity::Notice, "nodes");
    only(lost(12, 3), Rule::NodesLost, Severity::Hold, "nodes");
    assert_eq!(lost(0, 9), []);
}

#[test]
fn a_node_that_was_not_ready_when_its_pod_came_is_not_lost_by_it() {
    let findings = found(|play| {
        play.node_ready("node-090", false);
        play.now = play.now + Span::from_secs(1);
        let now = play.now;
        for pod in play
            .pods()
            .values_mut()
            .filter(|pod| pod.node == "node-090")
        {
            (pod.state, pod.since, pod.placed) = (PodState::Starting, now, Some(now));
        }
    });
    assert_eq!(findings, []);
}

#[test]
fn nodes_that_joined_since_or_were_lost_before_tell_nothing_of_the_others() {
    let findings = found(|play| {
        let nodes: Vec<String> = play.nodes().keys().cloned().collect();
        let begun = play.history.begun;
        for node in nodes.iter().rev().take(6) {
            play.node_ready(node, false);
        }
        let rows = play.nodes().values_mut().filter(|node| !node.ready);
        rows.for_each(|node| node.turned = begun);
        play.join(6);
        for node in 100..106 {
            play.node_ready(&format!("node-{node}"), false);
        }
        for node in nodes.iter().take(4) {
            play.node_ready(node, false);
        }
    });
    let finding = only(findings, Rule::NodesLost, Severity::Hold, "nodes");
    assert!(
        finding.evidence.contains("and 0 of 36 others"),
        "{}",
        finding.evidence
    );
}

#[test]
fn released_unschedulable() {
    assert_eq!(pods(9, PodState::Unscheduled, Span::from_secs(120)), []);
    let findings = pods(1, PodState::Unscheduled, Span::from_secs(121));
    only(
        findings,
        Rule::ReleasedUnschedulable,
        Severity::Notice,
        "pods",
    );
    let findings = pods(9, PodState::Unscheduled, Span::from_secs(121));
    only(
        findings,
        Rule::ReleasedUnschedulable,
        Severity::Hold,
        "pods",
    );
}

#[test]
fn pods_leaked() {
    let findings = found(|play| play.leak("node-000"));
    let finding = only(findings, Rule::PodsLeaked, Severity::Notice, "pods");
    assert!(
        finding
            .evidence
            .starts_with("born without the gate: node-000-")
    );
    assert_eq!(
        found(|play| {
            play.leak("node-000");
            play.evidence.rollout.approved = true;
        }),
        []
    );
}

#[test]
fn more_pods_than_the_waves_allow_are_told() {
    let let_through = |number| {
        found(|play| {
            let gated = play
                .pods()
                .values_mut()
                .filter(|pod| pod.state == PodState::Gated);
            gated
                .take(number)
                .for_each(|pod| pod.state = PodState::Ready);
        })
    };
    assert_eq!(let_through(1), [], "as many as a starving node may explain");
    let finding = only(let_through(5), Rule::PodsLeaked, Severity::Notice, "width");
    assert!(
        finding
            .evidence
            .starts_with("69 pods run where the waves allow 64")
    );
}

#[test]
fn evidence_stale() {
    let findings = found(|play| {
        let known = play.server("api-a");
        known.flow = aged(calm().flow);
        known.process = aged(calm().process);
    });
    let finding = only(findings, Rule::EvidenceStale, Severity::Hold, "api-a");
    assert_eq!(
        finding.evidence,
        "queues (/metrics), process (/metrics): silent for 12 s"
    );
    let findings = found(|play| {
        play.evidence
            .sources
            .insert("DaemonSets".to_owned(), aged(Reading::Fresh(())));
    });
    only(findings, Rule::EvidenceStale, Severity::Hold, "DaemonSets");
    let findings = found(|play| {
        play.evidence.rollout.nodes = aged(play.evidence.rollout.nodes.clone());
    });
    only(findings, Rule::EvidenceStale, Severity::Hold, "nodes");
}

#[test]
fn evidence_absent() {
    let findings = found(|play| {
        play.server("api-a").flow = Reading::Garbled {
            why: "cut at 4 KiB".to_owned(),
        };
    });
    let finding = only(findings, Rule::EvidenceAbsent, Severity::Hold, "api-a");
    assert_eq!(
        finding.evidence,
        "queues (/metrics): not understood: cut at 4 KiB"
    );
    let findings = found(|play| {
        let why = "Weir's account may not list pods".to_owned();
        play.evidence.rollout.pods = Reading::Absent { why };
    });
    let finding = only(findings, Rule::EvidenceAbsent, Severity::Hold, "pods");
    assert_eq!(finding.evidence, "Weir's account may not list pods");
}

#[test]
fn servers_that_are_not_seen_are_evidence_absent() {
    let findings = found(|play| play.evidence.expected_servers = Reading::Fresh(3));
    let finding = only(
        findings,
        Rule::EvidenceAbsent,
        Severity::Hold,
        "API servers",
    );
    assert_eq!(finding.evidence, "1 seen (api-a), the cluster has 3");
    let findings = found(|play| {
        play.policy.required.servers = Servers::Stated(2);
        play.evidence.expected_servers = Reading::Absent {
            why: "no leases".to_owned(),
        };
    });
    let finding = only(
        findings,
        Rule::EvidenceAbsent,
        Severity::Hold,
        "API servers",
    );
    assert_eq!(finding.evidence, "1 seen (api-a), the policy requires 2");
    for (found_by_cluster, evidence) in [
        (2, "1 seen (api-a), the policy requires 3"),
        (4, "1 seen (api-a), the cluster has 4"),
    ] {
        let findings = found(|play| {
            play.policy.required.servers = Servers::AsFound { at_least: 3 };
            play.evidence.expected_servers = Reading::Fresh(found_by_cluster);
        });
        let finding = only(
            findings,
            Rule::EvidenceAbsent,
            Severity::Hold,
            "API servers",
        );
        assert_eq!(finding.evidence, evidence);
    }
    let findings = found(|play| {
        play.evidence.servers.clear();
        play.policy.required.servers = Servers::Stated(0);
    });
    only(
        findings,
        Rule::EvidenceAbsent,
        Severity::Hold,
        "API servers",
    );
}

/// What is found where a server is spare, if a policy wants these.
fn found_beside_a_spare(servers: Servers, change: impl FnOnce(&mut Play)) -> Vec<Finding> {
    found(|play| {
        play.policy.required.servers = servers;
        let gone = play.server("api-b");
        gone.spare = true;
        gone.process = Reading::Absent {
            why: "the address left the endpoints".to_owned(),
        };
        change(play);
    })
}

#[test]
fn a_spare_server_is_not_missed_where_as_many_are_heard_as_a_person_states() {
    assert_eq!(found_beside_a_spare(Servers::Stated(1), |_| ()), []);
    for too_few in [Servers::Stated(2), Servers::AsFound { at_least: 1 }] {
        let findings = found_beside_a_spare(too_few, |_| ());
        only(findings, Rule::EvidenceAbsent, Severity::Hold, "api-b");
    }
    let findings = found_beside_a_spare(Servers::Stated(1), |play| {
        play.server("api-a").flow = aged(calm().flow);
    });
    let subjects: Vec<&str> = findings.iter().map(|one| one.subject.as_str()).collect();
    assert_eq!(subjects, ["api-a", "api-b"]);
}

#[test]
fn processes_behind_one_address_are_told_apart() {
    let findings = found(|play| {
        for started in [5_000, 7_000] {
            let id = ServerId {
                started: Some(started),
                ..server("balancer")
            };
            let mut known = calm();
            known.latency = aged(known.latency);
            play.evidence.servers.insert(id, known);
        }
    });
    let subjects: Vec<&str> = findings
        .iter()
        .map(|found| found.subject.as_str())
        .collect();
    assert_eq!(subjects, ["balancer started 5", "balancer started 7"]);
}

#[test]
fn all_rules_run_and_the_most_severe_is_told_first() {
    let findings = found(|play| {
        play.latency("api-a", 400.0);
        if let Reading::Fresh(flow) = &mut play.server("api-a").flow {
            flow.rejected_per_second = 50.0;
        }
        play.server("api-b").process = aged(calm().process);
        play.leak("node-000");
    });
    let rules: Vec<Rule> = findings.iter().map(|found| found.rule).collect();
    assert_eq!(
        rules,
        [
            Rule::LatencyRegressed,
            Rule::Rejecting,
            Rule::EvidenceStale,
            Rule::PodsLeaked
        ]
    );
}

#[test]
fn harm_stands_until_it_was_freshly_seen_to_be_gone_for_a_while() {
    let mut play = all_well();
    play.latency("api-a", 400.0);
    play.second();
    play.latency("api-a", 5.0);
    play.seconds(4);
    let lingering = &play.report().findings[0];
    assert!(
        lingering
            .evidence
            .starts_with("not seen for 4 s; before: median of")
    );
    assert_eq!(
        lingering.clears_when,
        "it has not been seen for 10 s, on fresh evidence"
    );
    play.server("api-a").process = aged(calm().process);
    play.seconds(60);
    assert_eq!(play.rules(), [Rule::LatencyRegressed, Rule::EvidenceStale]);
    *play.server("api-a") = calm();
    // The second in which it came back was not seen whole.
    play.seconds(6);
    assert_eq!(play.rules(), [Rule::LatencyRegressed]);
    play.seconds(1);
    assert_eq!(play.rules(), []);
}

#[test]
fn a_rollout_of_which_nothing_is_out_need_not_be_undone() {
    let mut play = Play::first_rollout(Policy::fast(), 10);
    play.latency("api-a", 400.0);
    let findings = play.look().report.findings;
    assert!(
        findings[0]
            .clears_when
            .contains("for 10 s; to see who asks so much: kubectl get --raw"),
        "{}",
        findings[0].clears_when
    );
}

fn unread<T>() -> Reading<T> {
    Reading::Absent {
        why: "forbidden".to_owned(),
    }
}

#[test]
fn what_is_missing_says_what_a_person_can_do() {
    let advice = |change: fn(&mut Play), wanted: &str| {
        let findings = found(change);
        let clears = &findings[0].clears_when;
        assert!(clears.contains(wanted), "{clears}");
    };
    advice(
        |play| play.evidence.rollout.pods = aged(play.evidence.rollout.pods.clone()),
        "Weir's log",
    );
    advice(
        |play| play.server("api-a").flow = aged(calm().flow),
        "see that it runs, and that Weir reaches this address",
    );
    advice(
        |play| play.evidence.servers.clear(),
        "kubectl -n default get endpointslice kubernetes",
    );
    advice(
        |play| play.policy.required.servers = Servers::Stated(2),
        "lower the policy's required.apiServers",
    );
    advice(
        |play| play.evidence.expected_servers = Reading::Fresh(2),
        "delete its identity Lease",
    );
    advice(
        |play| play.evidence.expected_servers = unread(),
        "a RolloutPolicy states it (required.apiServers)",
    );
    advice(
        |play| play.evidence.rollout.nodes = unread(),
        "kubectl auth can-i",
    );
}

#[test]
fn a_gap_in_watching_neither_clears_harm_nor_adds_soak() {
    let mut play = all_well();
    play.latency("api-a", 400.0);
    play.second();
    play.latency("api-a", 5.0);
    play.seconds(2);
    play.now = play.now + Span::from_secs(60);
    play.second();
    assert_eq!(play.rules(), [Rule::LatencyRegressed]);
    let mut play = all_well();
    play.second();
    let soaked = play.report().soaked;
    play.now = play.now + Span::from_secs(60);
    play.second();
    assert_eq!(play.report().soaked, soaked);
}

/// So many of the pods that are out fail, and harm is found.
fn failing(number: usize) -> (Play, Vec<String>) {
    let mut play = all_well();
    let out = play
        .pods()
        .values_mut()
        .filter(|pod| pod.state == PodState::Ready);
    let mut nodes = Vec::new();
    for pod in out.take(number) {
        pod.state = PodState::Failing;
        nodes.push(pod.node.clone());
    }
    play.second();
    assert_eq!(play.rules(), [Rule::PodsUnhealthy]);
    (play, nodes)
}

#[test]
fn a_failing_pod_does_not_become_well_when_its_node_stops_being_ready() {
    let (mut play, nodes) = failing(4);
    play.node_ready(&nodes[0], false);
    play.seconds(600);
    let lingering = &play.report().findings[0];
    assert_eq!(
        (lingering.rule, lingering.severity),
        (Rule::PodsUnhealthy, Severity::Hold)
    );
    assert_eq!(
        lingering.clears_when,
        "the nodes of its pods (node-000-1, node-001-2, node-002-3, …) are ready again, or these \
         pods are deleted, and it has not been seen for 10 s, on fresh evidence"
    );
    // What it is about is deleted, and its successor is gated.
    play.replace(&nodes[0]);
    play.seconds(11);
    assert_eq!(play.report().findings[0].severity, Severity::Notice);
}

#[test]
fn failing_pods_that_were_seen_to_be_well_are_not_held_against_a_rollout() {
    let (mut play, nodes) = failing(4);
    play.node_ready(&nodes[0], false);
    play.second();
    for pod in play.pods().values_mut() {
        if pod.state == PodState::Failing && pod.node != nodes[0] {
            pod.state = PodState::Ready;
        }
    }
    // One whose health nobody knows is no more than what is tolerated.
    play.seconds(11);
    assert!(!play.rules().contains(&Rule::PodsUnhealthy));
}

#[test]
fn which_pods_failed_is_remembered_while_nothing_is_known_of_them() {
    let (mut play, nodes) = failing(4);
    for node in &nodes {
        play.node_ready(node, false);
    }
    let known = play.evidence.rollout.pods.clone();
    play.evidence.rollout.pods = Reading::Absent {
        why: "forbidden".to_owned(),
    };
    let judgement = play.look();
    play.history = judgement.history;
    play.evidence.rollout.pods = known;
    play.seconds(60);
    assert!(play.rules().contains(&Rule::PodsUnhealthy));
}
