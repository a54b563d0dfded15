//! The three times of an incident, from evidence: when it was seen, understood and mitigated. Each timeline says in
//! seconds of the play when what happened.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{
        Caches, Dependency, Dns, DnsEvidence, Health, Horizon, LayerEvidence, Mask, Measured,
        Reading, Role, Sight, Source,
    },
    incident::Incident,
    plan::{Report, Rule, State},
    policy::Policy,
    time::{Moment, Span},
};

use crate::{
    costs::Costs,
    foreseen,
    play::{BEGIN, Play},
};

/// When something happened, in seconds of the play.
fn at(moment: Moment) -> u64 {
    moment.since(BEGIN).as_millis() / 1000
}

fn incident(play: &Play) -> &Incident {
    play.report().incident.as_ref().expect("there was one")
}

/// When it was understood, and the cause.
fn understood(play: &Play) -> Option<(u64, Rule)> {
    let known = incident(play).understood.as_ref()?;
    Some((at(known.at), known.cause.rule))
}

fn mitigated(play: &Play) -> Option<u64> {
    incident(play).mitigated.map(at)
}

fn soaks_at(wave: u32) -> impl Fn(&Report) -> bool {
    move |report| report.wave == wave && report.state == State::Soaking
}

/// A rollout of which some pods are out and soak.
fn soaking() -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.until("wave 3 soaks", soaks_at(3));
    play
}

fn masked_dns() -> Dns {
    let sight = Sight {
        epoch: Some(1),
        lag: Span::from_secs(40),
        ttl: Span::from_secs(2),
        serial_age: None,
        expires: BEGIN,
        heard: BEGIN,
    };
    let layer = LayerEvidence {
        role: Role::Service,
        reading: Reading::Masked {
            value: sight,
            by: Mask::ControlPlane,
        },
        horizon: Some(Horizon::UntilRestart { warm: 2 }),
        measured: Measured::Yes,
    };
    Dns::Measured(DnsEvidence {
        source: Source::Silent {
            since: BEGIN,
            why: "refused".to_owned(),
        },
        layers: BTreeMap::from([("kube-dns".to_owned(), layer)]),
        skew_ms: 0,
        caches: Caches::default(),
    })
}

#[test]
fn a_rollout_that_harms_nobody_has_none() {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.until_complete();
    assert_eq!(play.report().incident, None);
}

#[test]
fn harm_after_a_wave_is_seen_at_once_and_understood_by_order_once_nothing_clears_the_rollout() {
    let mut play = soaking();
    let began = play.elapsed();
    play.latency("api-a", 400.0);
    play.seconds(20);
    assert_eq!(at(incident(&play).seen), began + 1);
    assert_eq!(incident(&play).sign.rule, Rule::LatencyRegressed);
    assert_eq!(incident(&play).sign.subject, "api-a");
    assert_eq!(
        understood(&play),
        None,
        "nothing has had the time to clear it"
    );
    play.seconds(40);
    assert_eq!(
        understood(&play),
        Some((began + 31, Rule::LatencyRegressed))
    );
    assert_eq!(mitigated(&play), None);
    let ended = play.elapsed();
    play.latency("api-a", 5.0);
    play.until("on its way", |report| report.state != State::Held);
    // Gone for ten seconds: when the hold ended.
    assert_eq!(mitigated(&play), Some(play.elapsed()));
    assert_eq!(play.elapsed(), ended + 10);
}

#[test]
fn harm_that_comes_back_before_it_is_over_is_the_same_incident_and_later_another() {
    let mut play = soaking();
    let began = play.elapsed();
    for _ in 0..4 {
        play.latency("api-a", 400.0);
        play.seconds(2);
        play.latency("api-a", 5.0);
        play.seconds(5);
    }
    let told = (at(incident(&play).seen), mitigated(&play));
    assert_eq!(told, (began + 1, None));
    play.until("on its way", |report| report.state != State::Held);
    assert!(mitigated(&play).is_some());
    play.seconds(20);
    let again = play.elapsed();
    play.latency("api-a", 400.0);
    play.seconds(1);
    let told = (at(incident(&play).seen), mitigated(&play));
    assert_eq!(told, (again + 1, None));
}

#[test]
fn harm_of_another_account_is_understood_when_the_meter_names_it() {
    let mut play = foreseen::fast(200, Costs::of(1.0));
    play.until("some way", |report| {
        report.width >= 16 && report.state == State::Soaking
    });
    play.seconds(15);
    play.costs.as_mut().expect("it has costs").other = 0.85;
    play.seconds(10);
    let began = play.elapsed();
    play.latency("api-a", 900.0);
    play.seconds(60);
    assert_eq!(at(incident(&play).seen), began + 1);
    let (known, rule) = understood(&play).expect("the meter names somebody");
    assert_eq!(rule, Rule::NotTheCause);
    assert!((began + 1..=began + 30).contains(&known), "{known}");
    let known = incident(&play).understood.as_ref();
    assert!(
        known.is_some_and(|known| known.cause.evidence.contains("shop/other")),
        "{known:?}"
    );
}

#[test]
fn a_mask_and_a_neighbours_incident_say_themselves_what_is_at_fault() {
    let mut play = soaking();
    let began = play.elapsed();
    play.evidence.dns = masked_dns();
    play.seconds(30);
    assert_eq!(at(incident(&play).seen), began + 1);
    assert_eq!(understood(&play), Some((began + 1, Rule::EvidenceMasked)));
    play.evidence.dns = Dns::Unasked;
    play.seconds(9);
    assert_eq!(mitigated(&play), None);
    play.seconds(4);
    assert_eq!(mitigated(&play), Some(began + 41), "gone for ten seconds");

    let began = play.elapsed();
    let incident_there = Dependency {
        reading: Reading::Fresh(Health::Incident {
            what: "major".to_owned(),
        }),
        awaited_until: BEGIN,
    };
    let dependencies = &mut play.evidence.dependencies;
    dependencies.insert("cloud".to_owned(), incident_there);
    play.seconds(5);
    assert_eq!(
        understood(&play),
        Some((began + 1, Rule::DependencyIncident))
    );
    assert_eq!(incident(&play).sign.subject, "cloud");
}

#[test]
fn what_is_not_known_ends_no_incident() {
    let mut play = soaking();
    play.latency("api-a", 400.0);
    play.seconds(5);
    play.latency("api-a", 5.0);
    play.server("api-a").flow = Reading::Absent {
        why: "silent".to_owned(),
    };
    play.seconds(60);
    assert_eq!(mitigated(&play), None);
}

#[test]
fn a_restart_of_weir_forgets_none_of_the_three() {
    let mut play = soaking();
    play.latency("api-a", 400.0);
    play.seconds(40);
    let before = incident(&play).clone();
    play.restart_weir(Span::from_secs(30));
    play.seconds(5);
    assert_eq!(incident(&play).seen, before.seen);
    assert_eq!(incident(&play).understood, before.understood);
    play.latency("api-a", 5.0);
    play.until("on its way", |report| report.state != State::Held);
    assert_eq!(incident(&play).seen, before.seen);
    assert_eq!(mitigated(&play), Some(play.elapsed()));
    play.restart_weir(Span::from_secs(30));
    play.seconds(5);
    assert!(mitigated(&play).is_some(), "the last one is kept");
}

#[test]
fn a_burst_that_only_delays_the_beginning_is_none_and_harm_after_the_end_is_nobodys() {
    let mut play = Play::first_rollout(Policy::fast(), 20);
    play.latency("api-a", 400.0);
    play.seconds(10);
    play.latency("api-a", 5.0);
    play.until_complete();
    assert_eq!(play.report().incident, None);
    play.latency("api-a", 400.0);
    play.seconds(30);
    assert_eq!(play.report().incident, None);
}

#[test]
fn an_incident_just_before_the_end_has_an_end() {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.until("it soaks for the last time", |report| {
        report.width == 60 && report.soaked >= Span::from_secs(5)
    });
    play.evidence.dns = masked_dns();
    play.seconds(3);
    play.evidence.dns = Dns::Unasked;
    play.until_complete();
    assert!(mitigated(&play).is_some(), "{:?}", incident(&play));
}

/// At rest it is judged once a minute, of which no time counts: an incident keeps it from that.
#[test]
fn an_incident_of_a_paced_rollout_has_an_end() {
    let costs = Costs {
        start: 0.5,
        ..Costs::of(1.0)
    };
    let mut play = foreseen::fast(200, costs);
    play.policy.forecast.paces = true;
    play.until("paced", |report| report.state == State::Paced);
    play.join(2);
    play.seconds(1);
    play.evidence.dns = masked_dns();
    play.seconds(3);
    play.evidence.dns = Dns::Unasked;
    play.until("paced again", |report| {
        report.state == State::Paced && report.width == 202
    });
    assert!(incident(&play).goes_on(), "{:?}", incident(&play));
    let again = play.look().plan.look_again;
    assert!(again.since(play.now) <= Span::from_secs(1), "{again:?}");
    play.until("over", |report| {
        report.incident.as_ref().is_some_and(|one| !one.goes_on())
    });
    play.seconds(1);
    assert!(play.look().plan.look_again.since(play.now) > Span::from_secs(1));
}
