//! Rollouts that were held, and for which nobody asks that any longer: what they wait for, and how
//! they end.

use std::collections::BTreeSet;

use proptest::{collection::vec, prelude::*, sample::select};
use weir_core::{
    evidence::{PodState, Reading},
    history::Standing,
    judge::{judge, let_go},
    plan::{Because, Finding, Intent, Rule, Severity, State},
    policy::Policy,
    time::Span,
};

use crate::{
    any::{NOW, case},
    play::{Play, aged, calm},
    properties::degrade,
};

/// A rollout with two of 50 pods out, for which nobody asks any longer.
fn unasked() -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 50);
    play.until("wave 2 soaks", |report| {
        report.wave == 2 && report.state == State::Soaking
    });
    play.story();
    play.unasked = true;
    play
}

#[test]
fn what_is_gated_is_let_through_at_the_pace_and_nothing_is_approved() {
    let mut play = unasked();
    play.until("let go", |report| report.state == State::LetGo);
    play.expect(
        "
        16 s: Progressing 2/2 of 50, let go 20
        17 s: Progressing 22/22 of 50, let go 20
        18 s: Progressing 42/42 of 50, let go 8
        21 s: LetGo 50/50 of 50
        ",
    );
    assert!(!play.evidence.rollout.approved);
    assert!(!play.report().in_flight());
    assert_eq!(
        play.report().summary,
        "Nobody asks for the guard any longer: no pod is gated any more, and 50 of 50 run. The \
         revision was not soaked at full width, and is not approved."
    );
}

#[test]
fn harm_to_the_api_servers_stops_it_until_it_is_gone() {
    let mut play = unasked();
    play.second();
    play.latency("api-a", 400.0);
    play.seconds(60);
    assert_eq!(
        play.report().summary,
        "Nobody asks for the guard any longer: 28 of 50 pods are still gated: LatencyRegressed \
         (api-a). Goes on by itself when the median has been below 100 ms, with fewer than 2 probes \
         slower than a second, for 10 s; if the harm lasts, undo the rollout, or see who asks so \
         much: kubectl get --raw /debug/api_priority_and_fairness/dump_requests. 28 nodes wait without a pod."
    );
    play.latency("api-a", 5.0);
    play.until("let go", |report| report.state == State::LetGo);
    play.expect(
        "
        16 s: Progressing 2/2 of 50, let go 20
        17 s: Held 22/22 of 50
        86 s: Progressing 22/22 of 50, let go 20
        87 s: Progressing 42/42 of 50, let go 8
        88 s: LetGo 50/50 of 50
        ",
    );
}

#[test]
fn its_own_failing_pods_do_not_stop_it() {
    let mut play = unasked();
    for pod in play.pods().values_mut() {
        if pod.state == PodState::Ready {
            pod.state = PodState::Failing;
        }
    }
    play.until("let go", |report| report.state == State::LetGo);
    assert_eq!(play.elapsed(), 21);
}

#[test]
fn missing_evidence_does_not_stop_it() {
    let mut play = unasked();
    play.server("api-a").process = aged(calm().process);
    play.until("let go", |report| report.state == State::LetGo);
    assert_eq!(play.elapsed(), 21);
}

#[test]
fn weir_looks_first_when_it_has_just_started_but_not_for_long() {
    let mut play = unasked();
    play.server("api-a").flow = Reading::Absent {
        why: "not scraped yet".to_owned(),
    };
    play.restart_weir(Span::from_secs(5));
    play.seconds(30);
    play.expect(
        "
        21 s: Pending 2/2 of 50
        50 s: Progressing 2/2 of 50, let go 20
        ",
    );
}

#[test]
fn harm_that_cannot_be_seen_any_more_stops_it_for_a_while_and_not_for_ever() {
    let mut play = unasked();
    play.latency("api-a", 400.0);
    play.second();
    play.server("api-a").latency = Reading::Absent {
        why: "timed out".to_owned(),
    };
    play.until("it goes on", |report| report.state == State::Progressing);
    play.expect(
        "
        16 s: Held 2/2 of 50
        656 s: Progressing 2/2 of 50, let go 20
        ",
    );
}

#[test]
fn a_person_s_pause_still_counts() {
    let mut play = unasked();
    play.evidence.rollout.paused = true;
    play.seconds(60);
    play.evidence.rollout.paused = false;
    play.until("let go", |report| report.state == State::LetGo);
    play.expect(
        "
        16 s: Paused 2/2 of 50
        76 s: Progressing 2/2 of 50, let go 20
        77 s: Progressing 22/22 of 50, let go 20
        78 s: Progressing 42/42 of 50, let go 8
        79 s: LetGo 50/50 of 50
        ",
    );
}

#[test]
fn a_pod_that_is_born_gated_just_after_is_let_through_too() {
    let mut play = unasked();
    play.until("nothing is gated", |report| report.width == 50);
    play.unasked = false;
    play.replace("node-007");
    play.unasked = true;
    play.until("let go", |report| report.state == State::LetGo);
    assert_eq!((play.report().width, play.report().full_width), (50, 50));
}

#[test]
fn one_that_is_asked_for_again_goes_on_in_waves() {
    let mut play = unasked();
    play.second();
    play.unasked = false;
    play.until("wave 3", |report| report.wave == 3);
    play.expect(
        "
        16 s: Progressing 2/2 of 50, let go 20
        18 s: Soaking 22/22 of 50
        28 s: Progressing 22/44 of 50, release 20
        ",
    );
}

/// Harm to others that was last seen some seconds ago, and was not yet quiet for long enough.
fn harm() -> impl Strategy<Value = Standing> {
    let rules = [
        Rule::LatencyRegressed,
        Rule::QueueSaturated,
        Rule::Rejecting,
        Rule::MemoryClimbing,
        Rule::NodesLost,
    ];
    (select(rules.to_vec()), 0..10_u64, 1..640_u64).prop_map(|(rule, quiet, ago)| Standing {
        finding: Finding {
            rule,
            severity: Severity::Hold,
            subject: "what suffers".to_owned(),
            evidence: "it does".to_owned(),
            clears_when: "it does not".to_owned(),
        },
        since: NOW - Span::from_secs(700),
        seen: NOW - Span::from_secs(ago),
        quiet: Span::from_secs(quiet),
        pods: BTreeSet::new(),
    })
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::with_cases(500) })]

    #[test]
    fn whatever_is_known_nothing_is_approved_and_the_pace_is_kept(mut case in case()) {
        case.evidence.rollout.approved = false;
        let judgement = let_go(&case.policy, &case.evidence, case.history.clone(), NOW);
        prop_assert!(!judgement.plan.intents.contains(&Intent::Approve));
        let released: usize = judgement
            .plan
            .intents
            .iter()
            .map(|intent| match intent {
                Intent::Release { pods, because } => {
                    assert_ne!(*because, Because::Wave);
                    pods.len()
                }
                Intent::Approve => 0,
            })
            .sum();
        let seconds = NOW.since(case.history.judged).as_secs_f64().min(2.0);
        prop_assert!(released as f64 <= seconds * case.policy.releases_per_second + 1.0);
        if matches!(judgement.report.state, State::Held | State::Paused | State::LetGo) {
            let lets_go = |intent: &Intent| match intent {
                Intent::Release { because, .. } => *because == Because::LetGo,
                Intent::Approve => false,
            };
            let none = !judgement.plan.intents.iter().any(lets_go);
            prop_assert!(none, "what is gated is let through");
        }
    }

    /// By induction: nothing is let through now, and the next judgement knows of the harm too.
    #[test]
    fn whatever_is_missing_nothing_is_let_go_until_harm_to_others_was_unseen_for_640_seconds(
        mut case in case(),
        harm in harm(),
        steps in vec(select(vec![0_u8, 0, 1, 2]), 1..11),
    ) {
        case.evidence.rollout.approved = false;
        case.history.standing = vec![harm.clone()];
        degrade(&mut case.evidence, &steps);
        // Something is missing, whatever else may be.
        let source = Reading::Absent { why: "silent".to_owned() };
        case.evidence.sources.insert("daemon sets".to_owned(), source);
        let judgement = let_go(&case.policy, &case.evidence, case.history, NOW);
        let lets_go = |intent: &Intent| match intent {
            Intent::Release { because, .. } => *because == Because::LetGo,
            Intent::Approve => false,
        };
        prop_assert!(!judgement.plan.intents.iter().any(lets_go));
        let known = judgement.history.standing.iter().find(|one| {
            (one.finding.rule, &one.finding.subject) == (harm.finding.rule, &harm.finding.subject)
        });
        prop_assert!(known.is_some_and(|one| one.seen >= harm.seen && one.quiet <= harm.quiet));
    }

    #[test]
    fn an_approved_revision_is_judged_as_ever(mut case in case()) {
        case.evidence.rollout.approved = true;
        let asked = judge(&case.policy, &case.evidence, case.history.clone(), NOW);
        let unasked = let_go(&case.policy, &case.evidence, case.history, NOW);
        prop_assert_eq!(asked, unasked);
    }
}
