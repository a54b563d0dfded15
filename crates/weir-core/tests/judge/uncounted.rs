//! Time that does not count: redeploys that mask a fault, a provider's incident, nodes that come and go, hours at
//! which nothing should begin. Each of the incidents behind it is a test of its own.

use weir_core::{
    burn::BadTime,
    evidence::{Dependency, Health, PodState, Reading, Window},
    plan::{Rule, State},
    policy::{Policy, Undisturbed},
    time::Span,
};

use crate::play::{BEGIN, Play};

const MINUTE: u32 = 60;

fn minutes(number: u64) -> Span {
    Span::from_secs(60 * number)
}

/// An agent whose identity is made once per process and breaks half an hour later, and a team that redeploys every
/// ten minutes of a day of two hours. Plays on through a quiet night of two hours.
fn redeployed_by_day(policy: Policy) -> Play {
    const DAY: u32 = 120 * MINUTE;
    let breaks_after = minutes(30);
    let mut play = Play::first_rollout(policy, 60);
    for second in 1..2 * DAY {
        let is_day = second < DAY;
        if is_day && second.is_multiple_of(10 * MINUTE) {
            play.evidence.rollout.deployed = Some(play.now);
            let out = play
                .pods()
                .values()
                .filter(|pod| pod.state == PodState::Ready);
            let nodes: Vec<String> = out.map(|pod| pod.node.clone()).collect();
            for node in nodes {
                play.replace(&node);
            }
        }
        let now = play.now;
        let aged = |state, since| state == PodState::Ready && now.since(since) > breaks_after;
        for pod in play
            .pods()
            .values_mut()
            .filter(|pod| aged(pod.state, pod.since))
        {
            (pod.state, pod.since) = (PodState::Failing, now);
        }
        play.second();
    }
    play
}

/// What happened with an identifier made once per process, which daytime redeploys masked.
#[test]
fn what_redeploys_mask_by_day_shows_in_the_quiet_night_and_stops_the_rollout() {
    let mut policy = Policy::fast();
    policy.undisturbed = Some(Undisturbed {
        stretch: minutes(40),
        before: 0.1,
    });
    let play = redeployed_by_day(policy);
    assert_eq!(play.report().state, State::Held);
    assert_eq!(play.rules(), [Rule::PodsUnhealthy]);
    assert!(
        play.report().width <= 6,
        "a tenth of 60: {}",
        play.report().width
    );
}

/// The same rollout without that demand is everywhere before night comes: the test above can fail.
#[test]
fn without_the_demand_the_fault_is_everywhere_before_it_shows() {
    let play = redeployed_by_day(Policy::fast());
    assert!(play.report().width > 30, "{:?}", play.report());
}

#[test]
fn a_stretch_without_deployments_lets_it_go_on() {
    let mut policy = Policy::fast();
    policy.undisturbed = Some(Undisturbed {
        stretch: minutes(5),
        before: 0.1,
    });
    let mut play = Play::first_rollout(policy, 40);
    play.seconds(4 * MINUTE);
    assert_eq!(
        (play.report().state, play.report().width),
        (State::Soaking, 4)
    );
    assert!(
        play.report().summary.contains("spec.undisturbed"),
        "{}",
        play.report().summary
    );
    play.evidence.rollout.deployed = Some(play.now);
    play.seconds(4 * MINUTE);
    assert_eq!(play.report().width, 4, "the stretch began anew");
    play.until_complete();
}

#[test]
fn pods_that_are_replaced_begin_the_soak_anew_and_those_of_new_nodes_do_not() {
    let mut policy = Policy::fast();
    policy.soak = Span::from_secs(30);
    let mut play = Play::first_rollout(policy, 10);
    play.until("the canary soaks", |report| {
        report.soaked >= Span::from_secs(20)
    });
    let node = play
        .pods()
        .values()
        .find(|pod| pod.state == PodState::Ready);
    let node = node.map(|pod| pod.node.clone()).expect("the canary is out");
    play.replace(&node);
    play.seconds(6);
    assert!(
        play.report().soaked < Span::from_secs(5),
        "{}",
        play.report().soaked
    );
    let before = play.report().soaked;
    play.join(1);
    play.seconds(1);
    assert!(play.report().soaked > before, "a node more is no redeploy");
}

#[test]
fn many_nodes_at_once_let_soak_stand_still_and_never_begin_anew() {
    let mut policy = Policy::fast();
    policy.soak = minutes(10);
    let mut play = Play::first_rollout(policy, 100);
    play.until("the canary soaks", |report| {
        report.soaked >= Span::from_secs(20)
    });
    play.join(30);
    play.seconds(50);
    let soaked = play.report().soaked;
    assert!(soaked <= Span::from_secs(21), "{soaked}");
    assert!(
        play.report().summary.contains("does not count"),
        "{}",
        play.report().summary
    );
    play.seconds(20);
    assert!(
        play.report().soaked > soaked,
        "it goes on from where it stood"
    );
}

#[test]
fn a_restarted_api_server_lets_soak_stand_still() {
    let mut policy = Policy::fast();
    policy.soak = minutes(10);
    let mut play = Play::first_rollout(policy, 100);
    play.until("the canary soaks", |report| {
        report.soaked >= Span::from_secs(20)
    });
    let now = play.now;
    play.server("api-a").restarted = Some(now);
    play.seconds(30);
    assert_eq!(play.rules(), [Rule::ServerRestarted]);
    assert!(
        play.report().soaked >= Span::from_secs(20),
        "{}",
        play.report().soaked
    );
    play.seconds(40);
    assert!(
        play.report().soaked > Span::from_secs(20),
        "{}",
        play.report().soaked
    );
}

/// A cloud's incident: models were down for hours, and nothing of one's own was at fault.
#[test]
fn a_provider_incident_holds_and_is_never_the_rollouts() {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    depend(&mut play, Reading::Fresh(Health::Well));
    play.until("wave 3 soaks", |report| {
        report.wave == 3 && report.state == State::Soaking
    });
    let pace = play.history.progress.pace;
    let incident = Health::Incident {
        what: "$.status.indicator is `major`, not `none`".to_owned(),
    };
    depend(&mut play, Reading::Fresh(incident));
    play.seconds(5 * MINUTE);
    assert_eq!(
        (play.report().state, play.rules()),
        (State::Held, vec![Rule::DependencyIncident])
    );
    assert_eq!(play.report().findings[0].subject, "cloud");
    assert_eq!(
        (play.history.holds, play.report().hold),
        (0, None),
        "no harm of this rollout"
    );
    let soaked = play.report().soaked;
    play.seconds(10);
    assert_eq!(play.report().soaked, soaked);
    depend(&mut play, Reading::Fresh(Health::Well));
    play.seconds(1);
    assert_ne!(play.report().state, State::Held);
    assert!(
        play.history.progress.pace >= pace,
        "nothing is slowed down for it"
    );
    play.until_complete();
}

#[test]
fn a_dependency_that_says_nothing_holds_until_its_deadline() {
    let mut play = Play::first_rollout(Policy::fast(), 20);
    let why = "https://status.example.com: time-out".to_owned();
    depend(&mut play, Reading::Absent { why });
    play.seconds(5 * MINUTE);
    assert_eq!((play.report().state, play.report().width), (State::Held, 0));
    assert_eq!(play.rules(), [Rule::EvidenceAbsent]);
    play.until_complete();
    assert!(play.elapsed() > 600, "{}", play.elapsed());
    assert_eq!(play.rules(), [Rule::EvidenceAbsent], "it is told yet");
}

fn depend(play: &mut Play, reading: Reading<Health>) {
    let dependency = Dependency {
        reading,
        awaited_until: BEGIN + minutes(10),
    };
    let dependencies = &mut play.evidence.dependencies;
    dependencies.insert("cloud".to_owned(), dependency);
}

#[test]
fn outside_its_windows_nothing_begins_and_what_is_out_soaks_on() {
    let closed = || Window::Closed {
        opens: "Mon 09:00 Europe/Zurich".to_owned(),
    };
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.evidence.rollout.window = closed();
    play.seconds(5 * MINUTE);
    assert_eq!(
        (play.report().state, play.report().width),
        (State::Pending, 0)
    );
    assert!(
        play.report().summary.contains("Mon 09:00 Europe/Zurich"),
        "{}",
        play.report().summary
    );
    play.evidence.rollout.window = Window::Open;
    play.until("wave 3 begins", |report| report.wave == 3);
    play.evidence.rollout.window = closed();
    play.seconds(5 * MINUTE);
    let report = play.report();
    assert_eq!(report.state, State::Soaking);
    assert!(
        report.width <= report.target && report.wave == 3,
        "{report:?}"
    );
    play.evidence.rollout.window = Window::Open;
    play.until_complete();
}

#[test]
fn a_budget_that_is_spent_fast_holds_and_one_that_is_spent_slowly_is_told() {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.until("wave 2 soaks", |report| {
        report.wave == 2 && report.state == State::Soaking
    });
    play.server("api-a").bad = BadTime {
        five_minutes: 0.2,
        half_hour: 0.2,
        hour: 0.15,
        ..BadTime::default()
    };
    play.seconds(5);
    assert_eq!(
        (play.report().state, play.rules()),
        (State::Held, vec![Rule::BurnFast])
    );
    play.server("api-a").bad = BadTime {
        half_hour: 0.1,
        six_hours: 0.08,
        ..BadTime::default()
    };
    play.seconds(4 * MINUTE);
    assert_eq!(
        play.report().state,
        State::Held,
        "it stands for five minutes"
    );
    play.seconds(MINUTE);
    assert_eq!(play.rules(), [Rule::BurnSlow]);
    assert_ne!(play.report().state, State::Held);
    play.until_complete();
}

/// What was spent is not on record, and a process that has just begun has seen nothing of it.
#[test]
fn a_restart_of_weir_does_not_end_what_a_spent_budget_holds() {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.until("wave 2 soaks", |report| {
        report.wave == 2 && report.state == State::Soaking
    });
    play.server("api-a").bad = BadTime {
        five_minutes: 0.2,
        hour: 0.15,
        ..BadTime::default()
    };
    play.seconds(5);
    assert_eq!(play.rules(), [Rule::BurnFast]);
    let width = play.report().width;
    play.server("api-a").bad = BadTime::default();
    play.restart_weir(Span::from_secs(30));
    play.seconds(4 * MINUTE);
    assert_eq!(
        (play.report().state, play.report().width),
        (State::Held, width)
    );
    play.seconds(2 * MINUTE);
    assert_ne!(play.report().state, State::Held);
    play.until_complete();
}

/// A stretch of a day would never be over where Weir is moved every day.
#[test]
fn a_stretch_that_was_seen_survives_a_restart_of_weir() {
    let mut policy = Policy::fast();
    policy.undisturbed = Some(Undisturbed {
        stretch: minutes(5),
        before: 0.1,
    });
    let mut play = Play::first_rollout(policy, 40);
    play.until("the stretch was seen", |report| report.width > 4);
    play.evidence.rollout.deployed = Some(play.now);
    play.restart_weir(Span::from_secs(30));
    let restarted = play.now;
    play.until_complete();
    assert!(play.now.since(restarted) < minutes(5));
}
