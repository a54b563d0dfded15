//! Whoever begins to lead knows nothing of what was before: what has hidden the truth for long must not count as fresh
//! until it was seen to hide it again, and what is well must at once.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{Caches, Dns, DnsEvidence, LayerEvidence, Measured, Reading, Role, Source},
    history::History,
    plan::{Because, Intent, Rule, Severity},
    policy::{DnsRequired, Policy},
    time::{Moment, Span},
};

use crate::{
    masks::BEGIN,
    names::{Dice, Fault, Names},
    play::Play,
};

/// For how long all has been as it is when a rollout begins, in seconds.
const LONG: u64 = 600;

/// How many seconds later another replica of Weir begins to lead.
const TURNS: u64 = 13;

/// For how many seconds after the rollout's begin is looked.
const LASTS: u64 = 120;

fn at(second: u64) -> Moment {
    BEGIN + Span::from_secs(second)
}

/// A first rollout of sixty nodes that begins at that second.
fn rollout(second: u64) -> Play {
    let mut play = Play::first_rollout(Policy::fast(), 60);
    play.now = at(second);
    play.history = History::begin(play.now, play.now);
    play
}

/// The seconds, counted from its begin, in which waves of a rollout let pods through while another replica of Weir
/// begins to lead.
fn waves(faults: Vec<Fault>) -> Vec<u64> {
    let mut names = Names::new(3, faults, Dice::new(7), BEGIN);
    for second in 0..LONG {
        names.second(second, at(second));
    }
    let mut play = rollout(LONG);
    let mut waves = Vec::new();
    for second in LONG..LONG + LASTS {
        if second == LONG + TURNS {
            names.lead_anew(second, at(second));
            play.restart_weir(Span::ZERO);
        }
        names.second(second, at(second));
        play.evidence.dns = names.evidence(at(second));
        play.second();
        let of_wave = |intent: &Intent| {
            matches!(
                intent,
                Intent::Release {
                    because: Because::Wave,
                    ..
                }
            )
        };
        let mut intents = play.last.iter().flat_map(|last| &last.plan.intents);
        if intents.any(of_wave) {
            waves.push(second - LONG);
        }
    }
    waves
}

#[test]
fn no_wave_goes_out_when_the_leader_changes_beside_what_has_been_masked_for_long() {
    for fault in [
        Fault::CacheAlone(0..u64::MAX),
        Fault::Frozen(0, 0..u64::MAX),
        Fault::FrozenWatch(20..u64::MAX),
    ] {
        let told = format!("{fault:?}");
        assert_eq!(waves(vec![fault]), Vec::<u64>::new(), "{told}");
    }
}

/// The test above can fail, and whoever begins to lead beside a healthy DNS waits for no more than its first answers
/// and the soak.
#[test]
fn where_all_is_well_waves_go_on_as_soon_as_dns_has_answered_and_the_soak_is_over() {
    let waves = waves(Vec::new());
    let before = waves.iter().filter(|second| **second < TURNS).count();
    let mut soon = waves.iter().filter(|second| (TURNS..45).contains(*second));
    assert!(before > 0 && soon.next().is_some(), "{waves:?}");
}

/// A DNS that was heard, where nobody has seen a beacon yet: the first write was refused, and there was none before.
fn unwritten(source: Source) -> Dns {
    let layer = LayerEvidence {
        role: Role::Service,
        reading: Reading::Absent {
            why: "no beacon is written yet".to_owned(),
        },
        horizon: None,
        measured: Measured::Yes,
    };
    Dns::Measured(DnsEvidence {
        source,
        layers: BTreeMap::from([("kube-dns".to_owned(), layer)]),
        skew_ms: 0,
        caches: Caches::default(),
    })
}

#[test]
fn while_no_beacon_is_known_nothing_shows_how_old_dns_is_and_nothing_goes_on() {
    let mut play = rollout(0);
    play.evidence.dns = unwritten(Source::Unknown);
    play.seconds(60);
    let report = play.report();
    let told = report.findings.iter();
    let told: Vec<_> = told
        .map(|one| (one.rule, one.severity, one.subject.as_str()))
        .collect();
    assert_eq!(told, [(Rule::EvidenceAbsent, Severity::Hold, "DNS")]);
    assert_eq!(report.width, 0);
    play.policy.required.dns = DnsRequired::Never;
    play.seconds(5);
    assert!(play.report().width > 0);
}
