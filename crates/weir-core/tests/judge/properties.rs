//! Properties that no evidence, however odd, may break.

use std::collections::{BTreeMap, BTreeSet};

use proptest::{collection::vec, prelude::*, sample::select};
use weir_core::{
    evidence::{Dns, Evidence, LayerEvidence, Mask, PodRow, PodState, Reading, Sight, Source},
    judge::{Judgement, judge},
    plan::{Because, Intent, Kind, Plan, Rule, Severity, State},
    policy::Policy,
    soak::LONGEST_GAP,
    time::Span,
};

use crate::{
    any::{Case, NOW, case, harmless_case},
    play::{Play, calm},
};

/// A failure is turned into a test of its own, rather than kept as a seed.
fn config(cases: u32) -> ProptestConfig {
    ProptestConfig {
        failure_persistence: None,
        ..ProptestConfig::with_cases(cases)
    }
}

fn judged(case: &Case) -> Judgement {
    judge(&case.policy, &case.evidence, case.history.clone(), NOW)
}

fn released(plan: &Plan, wanted: &[Because]) -> BTreeSet<String> {
    let releases = plan.intents.iter().filter_map(|intent| match intent {
        Intent::Release { pods, because } if wanted.contains(because) => Some(pods),
        Intent::Release { .. } | Intent::Approve => None,
    });
    releases.flatten().cloned().collect()
}

const ALL: [Because; 3] = [Because::Wave, Because::Starving, Because::Approved];

fn approves(plan: &Plan) -> bool {
    plan.intents.contains(&Intent::Approve)
}

fn severity(judgement: &Judgement) -> Option<Severity> {
    judgement
        .report
        .findings
        .iter()
        .map(|finding| finding.severity)
        .max()
}

fn suffers(judgement: &Judgement) -> bool {
    judgement
        .report
        .findings
        .iter()
        .any(|finding| finding.rule.kind() == Kind::Harm && finding.severity == Severity::Hold)
}

/// A reading one step or two further down the road from fresh to absent.
fn worse<T: Clone>(reading: &mut Reading<T>, steps: u8) {
    for _ in 0..steps {
        *reading = match reading {
            Reading::Fresh(value) => Reading::Stale {
                value: value.clone(),
                age: Span::from_secs(15),
            },
            Reading::Masked { .. }
            | Reading::Stale { .. }
            | Reading::Absent { .. }
            | Reading::Garbled { .. } => Reading::Absent {
                why: "silent".to_owned(),
            },
        };
    }
}

/// Makes some of the evidence older, or lets it go missing.
pub(crate) fn degrade(evidence: &mut Evidence, steps: &[u8]) {
    let mut steps = steps.iter().copied().cycle();
    let mut next = || steps.next().unwrap_or(0);
    for server in evidence.servers.values_mut() {
        worse(&mut server.latency, next());
        worse(&mut server.flow, next());
        worse(&mut server.process, next());
    }
    worse(&mut evidence.expected_servers, next());
    worse(&mut evidence.rollout.pods, next());
    worse(&mut evidence.rollout.nodes, next());
    evidence
        .sources
        .values_mut()
        .for_each(|source| worse(source, next()));
    if let Dns::Measured(dns) = &mut evidence.dns {
        // What is hidden from clients may be hidden by less yet. A replica that falls silent is not missed, whatever it
        // hid, since others answer; and what the API's own layers say is said of what these are the source of.
        let can_be_lost = |layer: &&mut LayerEvidence| {
            layer.role.is_on_clients_path() || layer.reading.mask().is_none()
        };
        let layers = dns.layers.values_mut().filter(can_be_lost);
        layers.for_each(|layer| mask(&mut layer.reading, next()));
        if next() > 0 {
            dns.source = Source::Unknown;
        }
    }
    let dependencies = evidence.dependencies.values_mut();
    dependencies.for_each(|one| worse(&mut one.reading, next()));
}

/// What was fresh is hidden, and what is hidden falls silent.
fn mask(reading: &mut Reading<Sight>, steps: u8) {
    for _ in 0..steps {
        *reading = match reading {
            Reading::Fresh(sight) => Reading::Masked {
                value: *sight,
                by: Mask::Cache,
            },
            Reading::Masked { .. }
            | Reading::Stale { .. }
            | Reading::Absent { .. }
            | Reading::Garbled { .. } => Reading::Absent {
                why: "silent".to_owned(),
            },
        };
    }
}

fn pods(evidence: &mut Evidence) -> Option<&mut BTreeMap<String, PodRow>> {
    match &mut evidence.rollout.pods {
        Reading::Fresh(pods) | Reading::Stale { value: pods, .. } => Some(pods),
        Reading::Masked { .. } | Reading::Absent { .. } | Reading::Garbled { .. } => None,
    }
}

/// The case after its plan was carried out, at the same moment, with nothing in the way of more.
fn carried_out(case: &Case, judgement: Judgement) -> Case {
    let mut next = Case {
        history: judgement.history,
        ..case.clone()
    };
    next.history.release_carry = 1000.0;
    next.evidence.rollout.approved |= approves(&judgement.plan);
    for name in released(&judgement.plan, &ALL) {
        let pod = pods(&mut next.evidence).and_then(|pods| pods.get_mut(&name));
        let pod = pod.expect("only pods that are known are let through");
        (pod.state, pod.since) = (PodState::Starting, NOW);
    }
    next
}

proptest! {
    #![proptest_config(config(500))]

    #[test]
    fn missing_evidence_never_makes_a_verdict_milder(
        case in prop_oneof![case(), harmless_case()],
        steps in vec(select(vec![0_u8, 0, 0, 1, 2]), 1..11),
    ) {
        let mut worse = case.clone();
        degrade(&mut worse.evidence, &steps);
        let (known, missing) = (judged(&case), judged(&worse));
        prop_assert!(severity(&missing) >= severity(&known));
        prop_assert!(!approves(&missing.plan) || approves(&known.plan));
        let of_choice = [Because::Wave, Because::Approved];
        prop_assert!(released(&missing.plan, &of_choice).is_subset(&released(&known.plan, &of_choice)));
        // What starves is served blind too, by design: it can only gain where harm went unseen.
        if !suffers(&known) {
            prop_assert!(released(&missing.plan, &ALL).is_subset(&released(&known.plan, &ALL)));
        }
    }

    #[test]
    fn only_fresh_seconds_add_soak(case in prop_oneof![case(), harmless_case()]) {
        let judgement = judged(&case);
        let findings = &judgement.report.findings;
        let blind = findings.iter().any(|finding| {
            finding.rule.kind() == Kind::Evidence && finding.severity == Severity::Hold
        });
        let gap = NOW.since(case.history.judged);
        let may_add = if blind || suffers(&judgement) || gap > LONGEST_GAP { Span::ZERO } else { gap };
        prop_assert!(judgement.history.soaked <= case.history.soaked + may_add);
        // A server that restarted is waited for, and nothing else begins anew for it.
        let mut harm = judgement.history.standing.iter();
        if harm.any(|harm| harm.finding.rule != Rule::ServerRestarted) {
            prop_assert_eq!(judgement.history.soaked, Span::ZERO);
        }
    }

    #[test]
    fn no_plan_lets_more_through_than_target_pace_and_tokens_allow(
        case in prop_oneof![case(), harmless_case()],
    ) {
        let judgement = judged(&case);
        let count = |wanted: &[Because]| released(&judgement.plan, wanted).len();
        prop_assert!(count(&[Because::Wave]) <= judgement.report.target as usize);
        if case.evidence.rollout.pods.fresh().is_some() {
            prop_assert!(judgement.report.target <= judgement.report.full_width);
        }
        let paid = case.history.serving.len() as f64 + case.history.starving_tokens;
        prop_assert!(count(&[Because::Starving]) as f64 <= paid + 1.0);
        let seconds = NOW.since(case.history.judged).as_secs_f64().min(2.0);
        prop_assert!(count(&ALL) as f64 <= seconds * case.policy.releases_per_second + 1.0);
        prop_assert_eq!(
            count(&ALL),
            ALL.iter().map(|because| count(&[*because])).sum::<usize>(),
            "no pod is let through twice"
        );
    }

    #[test]
    fn what_was_refused_is_left_alone_and_costs_others_nothing(
        case in prop_oneof![case(), harmless_case()],
    ) {
        let mut case = case;
        case.history.release_carry = 1000.0;
        let refused = case.evidence.rollout.refused.clone();
        let plan = judged(&case).plan;
        prop_assert!(released(&plan, &ALL).is_disjoint(&refused));
        case.evidence.rollout.refused.clear();
        let without = judged(&case).plan;
        let fewer = released(&plan, &ALL).len();
        let missing = released(&without, &ALL).len().saturating_sub(fewer);
        let planned = released(&without, &ALL).intersection(&refused).count();
        prop_assert!(missing <= planned);
        prop_assert_eq!(approves(&plan), approves(&without));
    }

    #[test]
    fn a_plan_that_was_carried_out_leaves_nothing_to_do(
        mut case in prop_oneof![case(), harmless_case()],
    ) {
        case.history.release_carry = 1000.0;
        let judgement = judged(&case);
        let again = judged(&carried_out(&case, judgement));
        prop_assert_eq!(again.plan.intents, Vec::new());
    }

    #[test]
    fn approval_is_planned_only_when_full_width_was_soaked(
        case in prop_oneof![case(), harmless_case()],
    ) {
        let judgement = judged(&case);
        if approves(&judgement.plan) {
            prop_assert!(judgement.history.soaked >= case.policy.soak);
            let fresh_nodes = case.evidence.rollout.nodes.fresh().cloned();
            let nodes = fresh_nodes.expect("nothing is approved blind");
            for pod in case.evidence.rollout.pods.fresh().into_iter().flatten().map(|(_, pod)| pod) {
                let ready = nodes.get(&pod.node).is_some_and(|node| node.ready);
                prop_assert!(!ready || pod.state == PodState::Ready);
            }
        }
    }

    #[test]
    fn which_nodes_come_first_does_not_hang_on_the_names_of_pods(case in harmless_case()) {
        let nodes_of = |case: &mut Case| -> BTreeSet<String> {
            let plan = judged(case).plan;
            let pods = pods(&mut case.evidence).cloned().unwrap_or_default();
            released(&plan, &[Because::Wave, Because::Starving])
                .iter()
                .map(|name| pods[name].node.clone())
                .collect()
        };
        let mut case = case;
        case.history.serving.clear();
        case.evidence.rollout.refused.clear();
        let mut renamed = case.clone();
        if let Some(pods) = pods(&mut renamed.evidence) {
            *pods = std::mem::take(pods)
                .into_iter()
                .map(|(name, pod)| (name.chars().rev().collect(), pod))
                .collect();
        }
        prop_assert_eq!(nodes_of(&mut case), nodes_of(&mut renamed));
    }
}

/// What may befall a rollout in some second.
#[derive(Debug, Clone, Copy)]
enum Event {
    Slow,
    Silent,
    Calm,
    NodeDown(usize),
    NodeUp(usize),
    Replaced(usize),
    Joins,
    Leaves(usize),
    Leaks(usize),
    Pauses,
    Resumes,
    WeirDies,
}

fn event() -> impl Strategy<Value = Event> {
    let node = 0..8_usize;
    prop_oneof![
        1 => Just(Event::Slow),
        1 => Just(Event::Silent),
        6 => Just(Event::Calm),
        1 => node.clone().prop_map(Event::NodeDown),
        2 => node.clone().prop_map(Event::NodeUp),
        1 => node.clone().prop_map(Event::Replaced),
        1 => Just(Event::Joins),
        1 => node.clone().prop_map(Event::Leaves),
        1 => node.prop_map(Event::Leaks),
        1 => Just(Event::Pauses),
        2 => Just(Event::Resumes),
        1 => Just(Event::WeirDies),
    ]
}

fn befall(play: &mut Play, event: Event) {
    let name = |play: &mut Play, at: usize| play.nodes().keys().nth(at).cloned();
    match event {
        Event::Slow => play.latency("api-a", 900.0),
        Event::Silent => worse(&mut play.server("api-a").process, 1),
        Event::Calm => *play.server("api-a") = calm(),
        Event::Joins => play.join(1),
        Event::Pauses => play.evidence.rollout.paused = true,
        Event::Resumes => play.evidence.rollout.paused = false,
        Event::WeirDies => play.restart_weir(Span::from_secs(3)),
        Event::NodeDown(at) | Event::NodeUp(at) => {
            if let Some(node) = name(play, at) {
                play.node_ready(&node, matches!(event, Event::NodeUp(_)));
            }
        }
        Event::Replaced(at) | Event::Leaks(at) | Event::Leaves(at) => {
            if let Some(node) = name(play, at) {
                match event {
                    Event::Replaced(_) => play.replace(&node),
                    Event::Leaks(_) => play.leak(&node),
                    _ => play.leave(&node),
                }
            }
        }
    }
}

/// Seconds, one after the other, in which all was fresh, nothing suffered, and no more pods ran on
/// ready nodes than before: told from the evidence alone, without the judge.
#[derive(Default)]
struct Reference {
    calm: u64,
    running: usize,
}

impl Reference {
    fn see(&mut self, play: &mut Play) {
        let nodes = play.nodes().clone();
        let runs = |pod: &&PodRow| {
            pod.state != PodState::Gated && nodes.get(&pod.node).is_some_and(|node| node.ready)
        };
        let running = play.pods().values().filter(runs).count();
        let known = play.server("api-a");
        let slow = known
            .latency
            .fresh()
            .is_none_or(|latency| latency.p50_ms > 100.0);
        if slow || running > self.running {
            (self.calm, self.running) = (0, running);
        } else if known.process.fresh().is_some() {
            self.calm += 1;
        }
    }
}

proptest! {
    #![proptest_config(config(60))]

    #[test]
    fn whatever_befalls_a_rollout_it_is_approved_only_after_its_soak(
        events in vec((1..25_u32, event()), 0..25),
        nodes in 1..8_u32,
    ) {
        let mut play = Play::first_rollout(Policy::fast(), nodes);
        let mut reference = Reference::default();
        let mut second = |play: &mut Play| {
            let before = play.evidence.rollout.approved;
            reference.see(play);
            play.second();
            let approved = !before && play.evidence.rollout.approved;
            assert!(!approved || reference.calm >= 10, "approved after {} calm seconds", reference.calm);
        };
        for (seconds, event) in events {
            (0..seconds).for_each(|_| second(&mut play));
            befall(&mut play, event);
        }
        befall(&mut play, Event::Calm);
        befall(&mut play, Event::Resumes);
        let all: Vec<String> = play.nodes().keys().cloned().collect();
        for node in &all {
            play.node_ready(node, true);
        }
        // Liveness: once all is well, it gets there by itself, be it after the longest of holds.
        for _ in 0..100_000 {
            second(&mut play);
            if play.report().state == State::Complete || play.nodes().is_empty() {
                break;
            }
        }
        let report = play.report();
        let empty = report.full_width == 0 && report.state == State::Pending;
        prop_assert!(empty || report.state == State::Complete, "{}", play.story());
    }

    #[test]
    fn a_rollout_that_is_blind_now_and_then_is_never_ahead_of_one_that_sees(
        blinks in vec((1..20_u32, 1..20_u32, 1_u8..3), 1..8),
    ) {
        let mut sees = Play::first_rollout(Policy::fast(), 40);
        let mut blinks_too = sees.clone();
        let mut seconds = |blinking: &mut Play, number: u32| {
            for _ in 0..number {
                sees.second();
                blinking.second();
                assert!(blinking.report().width <= sees.report().width);
            }
        };
        for (open, shut, steps) in blinks {
            seconds(&mut blinks_too, open);
            worse(&mut blinks_too.server("api-a").flow, steps);
            seconds(&mut blinks_too, shut);
            *blinks_too.server("api-a") = calm();
        }
        blinks_too.until_complete();
    }
}
