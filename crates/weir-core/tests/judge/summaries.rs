//! What a tired person is told in each state.

use weir_core::{evidence::Reading, plan::State, policy::Policy};

use crate::play::{Play, aged, calm};

fn after(seconds: u32, mut play: Play) -> Play {
    play.seconds(seconds);
    play
}

fn fifty() -> Play {
    Play::first_rollout(Policy::fast(), 50)
}

#[track_caller]
fn told(play: &Play, state: State, summary: &str) {
    assert_eq!(
        (play.report().state, play.report().summary.as_str()),
        (state, summary)
    );
}

#[test]
fn on_the_way() {
    told(
        &after(1, fifty()),
        State::Progressing,
        "Wave 1: letting through up to 1 of 50 pods.",
    );
    told(
        &after(2, fifty()),
        State::Progressing,
        "Wave 1: 1 of 50 pods are out; waiting until they and their nodes are ready.",
    );
    told(
        &after(5, fifty()),
        State::Soaking,
        "Wave 1: 1 of 50 pods are out and ready; soaking for 10 s.",
    );
    let mut play = fifty();
    play.pods().clear();
    told(
        &after(2, play),
        State::Progressing,
        "Wave 1: 0 of 1 pods are out; the next appear as the DaemonSet's controller creates them.",
    );
    told(
        &after(26, Play::update(Policy::fast(), 50, 1)),
        State::Progressing,
        "Wave 3: 3 of 4 pods are out; the next appear as the DaemonSet's update makes room \
         (maxUnavailable is 1).",
    );
}

#[test]
fn at_the_end() {
    let mut play = fifty();
    play.until("approved", |report| report.summary.contains("approving"));
    told(
        &play,
        State::Progressing,
        "50 of 50 pods are out and soaked: approving.",
    );
    play.until_complete();
    told(
        &play,
        State::Complete,
        "The revision is approved and no pod is gated.",
    );
    told(
        &after(1, Play::first_rollout(Policy::fast(), 0)),
        State::Pending,
        "No node wants a pod. The revision is not approved: the first pods will be a canary.",
    );
}

#[test]
fn when_approved_by_a_person_in_spite_of_all() {
    let mut play = after(5, fifty());
    play.latency("api-a", 400.0);
    play.evidence.rollout.paused = true;
    play.evidence.rollout.approved = true;
    told(
        &after(1, play),
        State::Progressing,
        "The revision is approved; letting through the 49 pods still gated. Findings would hold \
         it (1), but approval goes before them. spec.paused does not close a valve that approval has \
         opened.",
    );
}

#[test]
fn when_held_or_paused() {
    let mut play = after(5, fifty());
    play.latency("api-a", 400.0);
    let play = after(1, play);
    told(
        &play,
        State::Held,
        "Held at 1 of 50 pods: LatencyRegressed (api-a). Goes on by itself when the median has been \
         below 100 ms, with fewer than 2 probes slower than a second, for 10 s; if the harm lasts, \
         undo the rollout, or see who asks so much: kubectl get --raw \
         /debug/api_priority_and_fairness/dump_requests. 49 nodes wait without a pod.",
    );
    let mut play = after(5, fifty());
    play.evidence.rollout.paused = true;
    told(
        &after(1, play),
        State::Paused,
        "Paused by a person at 1 of 50 pods, until spec.paused is taken back. 49 nodes wait without \
         a pod.",
    );
}

#[test]
fn when_the_beginning_waits_for_calm() {
    let mut play = fifty();
    play.latency("api-a", 400.0);
    told(
        &after(1, play),
        State::Pending,
        "Not begun yet: LatencyRegressed (api-a). Goes on by itself when the median has been below \
         100 ms, with fewer than 2 probes slower than a second, for 10 s; to see who asks so much: \
         kubectl get --raw /debug/api_priority_and_fairness/dump_requests. 50 nodes wait without a pod.",
    );
}

#[test]
fn when_evidence_is_gathered() {
    let mut play = fifty();
    play.server("api-a").process = Reading::Absent {
        why: "not scraped yet".to_owned(),
    };
    told(
        &after(1, play),
        State::Pending,
        "Gathering evidence before anything is let through: api-a (process (/metrics): not scraped \
         yet).",
    );
    let mut play = fifty();
    if let Reading::Fresh(latency) = &mut play.server("api-a").latency {
        latency.baseline_p50_ms = None;
    }
    told(
        &after(1, play),
        State::Pending,
        "Gathering evidence before anything is let through: how fast api-a answers in quiet times.",
    );
}

#[test]
fn when_too_many_nodes_are_not_ready() {
    let mut play = Play::first_rollout(Policy::careful(), 10);
    for node in ["node-007", "node-008", "node-009"] {
        play.node_ready(node, false);
    }
    play.until("nothing more can be done", |report| {
        report.summary.contains("wait for nodes")
    });
    told(
        &play,
        State::Progressing,
        "7 of 10 pods are out; the others wait for nodes that are not ready. Until more of them \
         are, the revision is not approved.",
    );
}

#[test]
fn in_shadow() {
    let mut play = Play::in_shadow(Policy::fast());
    play.join(4);
    play.latency("api-a", 400.0);
    let mut play = after(1, play);
    told(
        &play,
        State::Held,
        "Not behind the valve, judged by its readings alone: Weir would hold it at 4 of 4 pods: \
         LatencyRegressed (api-a), until the median has been below 100 ms, with fewer than 2 probes \
         slower than a second, for 10 s; if the harm lasts, undo the rollout, or see who asks so much: \
         kubectl get --raw /debug/api_priority_and_fairness/dump_requests. It would have been held once so far.",
    );
    *play.server("api-a") = calm();
    play.until_complete();
    told(
        &play,
        State::Complete,
        "Not behind the valve, judged by its readings alone: all 4 pods run and are soaked. It would \
         have been held once so far.",
    );
    let mut play = Play::in_shadow(Policy::fast());
    play.join(1);
    let mut play = after(1, play);
    told(
        &play,
        State::Progressing,
        "Not behind the valve, judged by its readings alone: 1 of 1 pods run; nothing would hold it \
         now.",
    );
    play.server("api-a").process = aged(calm().process);
    let play = after(1, play);
    assert_eq!(play.report().state, State::Held);
    assert!(
        play.report().summary.contains("EvidenceStale (api-a)"),
        "{}",
        play.report().summary
    );
}
