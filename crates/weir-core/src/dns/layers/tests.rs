//! What a few DNS servers show, second by second.

use core::net::Ipv4Addr;

use super::*;
use crate::{
    dns::{BEAT, Code, Epoch, Heard, Message},
    evidence::Source,
};

const BEGIN: Moment = Moment::from_millis(1_795_860_000_000);

fn at(seconds: u64) -> Moment {
    BEGIN + Span::from_secs(seconds)
}

fn message(code: Code) -> Message {
    Message {
        code,
        addresses: Vec::new(),
        ttl: None,
        serial: None,
    }
}

/// The answers of a server that last took in what was so at `known`, a cache in it `cached`, and whose clock
/// is `skew` seconds late.
fn answers(known: u64, cached: u64, skew: u32) -> Answers {
    let epoch = Epoch::at(at(cached));
    let serial = u32::try_from(at(known).as_millis() / 1000).unwrap() - skew;
    Answers {
        named: Heard::Message(Message {
            addresses: epoch.addresses(1).to_vec(),
            ttl: Some(Span::from_secs(30)),
            ..message(Code::NoError)
        }),
        nonce: Heard::Message(Message {
            serial: Some(serial),
            ..message(Code::NxDomain)
        }),
    }
}

fn silence() -> Answers {
    let nothing = Heard::Nothing {
        why: "timed out".to_owned(),
    };
    Answers {
        named: nothing.clone(),
        nonce: nothing,
    }
}

fn only(code: Code) -> Answers {
    Answers {
        named: Heard::Message(message(code)),
        nonce: Heard::Message(message(code)),
    }
}

fn placed<const N: usize>(servers: [(&str, Role); N]) -> BTreeMap<String, Placed> {
    let placed = |role| Placed {
        role,
        serve_stale: Some(Span::ZERO),
    };
    servers
        .map(|(name, role)| (name.to_owned(), placed(role)))
        .into()
}

/// Two replicas and the Service before them, which are asked every five seconds.
struct Play {
    layers: Layers,
    /// The second until which each replica follows the API.
    follows: [u64; 2],
    /// The second until which a cache before them does.
    cache: u64,
    /// The second until which the API lives.
    api: u64,
    skew: u32,
}

impl Play {
    fn new() -> Self {
        Self {
            layers: Self::asking(0),
            follows: [u64::MAX; 2],
            cache: u64::MAX,
            api: u64::MAX,
            skew: 0,
        }
    }

    /// Whoever begins to ask.
    fn asking(now: u64) -> Layers {
        let mut layers = Layers::new(at(now));
        let servers = [
            ("coredns-a", Role::Replica),
            ("coredns-b", Role::Replica),
            ("kube-dns", Role::Service),
        ];
        layers.placed(&placed(servers), at(now));
        layers
    }

    /// Another replica of Weir begins to lead, and reads what the one before has written.
    fn lead_anew(&mut self, now: u64) {
        let record = self.layers.beats.newest();
        self.layers = Self::asking(now);
        self.layers.beats.read(record, at(now));
    }

    /// Plays the seconds from `from` to before `until`.
    fn play(&mut self, from: u64, until: u64) {
        for now in from..until {
            let lives = now < self.api;
            if now % 10 == 0 {
                let beats = &mut self.layers.beats;
                if lives {
                    beats.took(Epoch::at(at(now)), at(now));
                } else {
                    beats.unanswered("connection refused".to_owned());
                }
            }
            if now % 10 == 2 && !lives {
                let beats = &mut self.layers.beats;
                beats.unanswered("connection refused".to_owned());
            }
            if now % 5 == 2 {
                let beat = |known: u64| known.min(self.api) / 10 * 10;
                for (name, follows) in ["coredns-a", "coredns-b"].iter().zip(self.follows) {
                    let known = beat(now.min(follows));
                    self.layers
                        .looked(name, &answers(known, known, self.skew), at(now));
                }
                let known = beat(now);
                let said = answers(known, beat(now.min(self.cache)), self.skew);
                self.layers.looked("kube-dns", &said, at(now));
            }
        }
    }

    fn masks(&self, now: u64) -> Vec<Option<Mask>> {
        let told = self.told(now);
        told.layers
            .values()
            .map(|layer| layer.reading.mask())
            .collect()
    }

    /// What is told of DNS servers: of the API itself [`super::direct`] has tests of its own.
    fn told(&self, now: u64) -> DnsEvidence {
        match self.layers.evidence(at(now)) {
            Dns::Measured(mut told) => {
                told.layers.retain(|_, layer| !layer.role.is_api());
                told
            }
            other => panic!("not measured: {other:?}"),
        }
    }
}

#[test]
fn all_is_fresh_while_beats_arrive() {
    for skew in [0, 90] {
        let mut play = Play {
            skew,
            ..Play::new()
        };
        for now in (5..300).step_by(5) {
            play.play(now - 5, now);
            let told = play.told(now);
            assert!(
                told.layers
                    .values()
                    .all(|layer| layer.reading.fresh().is_some()),
                "{now}: {told:?}"
            );
        }
    }
}

#[test]
fn a_lost_api_masks_all_within_thirty_seconds_until_it_answers() {
    for lost in 100..110 {
        let mut play = Play::new();
        play.api = lost;
        play.play(0, lost + 28);
        let told = play.told(lost + 28);
        assert!(matches!(told.source, Source::Silent { .. }), "{lost}");
        let masks = play.masks(lost + 28);
        assert_eq!(masks, [Some(Mask::ControlPlane); 3], "{lost}: {told:?}");
        let horizon = told.layers["kube-dns"].horizon;
        assert_eq!(horizon, Some(Horizon::UntilRestart { warm: 2 }));
        play.api = u64::MAX;
        play.play(lost + 28, lost + 53);
        assert_eq!(play.masks(lost + 53), [None; 3]);
    }
}

#[test]
fn one_replica_that_stands_still_is_named_within_thirty_seconds_and_no_other() {
    for skew in [0, 90] {
        for stops in 100..110 {
            let mut play = Play {
                skew,
                ..Play::new()
            };
            play.follows[1] = stops;
            play.play(0, stops + 27);
            let frozen = Some(Mask::FrozenReplica);
            // Who asks the Service may meet either.
            assert_eq!(play.masks(stops + 27), [None, frozen, frozen], "{stops}");
            play.follows[1] = u64::MAX;
            play.play(stops + 27, stops + 45);
            assert_eq!(play.masks(stops + 45), [None; 3], "{stops}");
        }
    }
}

#[test]
fn one_that_stood_still_before_weir_looked_is_found_too() {
    let mut play = Play::new();
    play.follows[0] = 0;
    play.layers.beats.read(None, at(1_000));
    play.play(1_000, 1_035);
    assert_eq!(play.masks(1_035)[..2], [Some(Mask::FrozenReplica), None]);
}

#[test]
fn a_cache_is_late_once_its_answers_should_have_ended() {
    let mut play = Play::new();
    play.cache = 100;
    // 30 s of TTL, 5 s for each of two caches in the way and 2 s for the way, from the beat that it misses.
    play.play(0, 157);
    assert_eq!(play.masks(157), [None; 3]);
    play.play(157, 158);
    assert_eq!(play.masks(158), [None, None, Some(Mask::Cache)]);
    let horizon = play.told(158).layers["kube-dns"].horizon;
    let until = Horizon::Until {
        at: at(157 + 30),
        is_assumed: false,
    };
    assert_eq!(horizon, Some(until));
}

#[test]
fn stale_answers_are_served_from_when_they_ended_and_for_as_long_as_is_known_or_assumed() {
    for (serve_stale, is_assumed) in [(Some(Span::from_secs(600)), false), (None, true)] {
        let mut play = Play::new();
        let role = Role::Resolver;
        let mut servers = placed([("coredns-a", Role::Replica)]);
        servers.insert("resolver".to_owned(), Placed { role, serve_stale });
        play.layers.placed(&servers, at(0));
        play.play(0, 300);
        // Told at 100 of the epoch that began then, it keeps that for 30 s, and serves it on.
        for now in [100_u64, 110, 130, 150, 299] {
            let mut said = answers(100, 100, 0);
            if let Heard::Message(message) = &mut said.named {
                message.ttl = Some(Span::from_secs(130_u64.saturating_sub(now)));
            }
            play.layers.looked("resolver", &said, at(now));
        }
        let resolver = &play.told(300).layers["resolver"];
        assert_eq!(resolver.reading.mask(), Some(Mask::Cache));
        let until = Horizon::Until {
            at: at(130) + serve_stale.unwrap_or(SERVE_STALE),
            is_assumed,
        };
        assert_eq!(resolver.horizon, Some(until));
    }
}

#[test]
fn behind_a_frozen_replica_no_cache_is_blamed() {
    let mut play = Play::new();
    play.follows[1] = 100;
    play.cache = 100;
    play.play(0, 160);
    let frozen = Some(Mask::FrozenReplica);
    assert_eq!(play.masks(160), [None, frozen, frozen]);
}

#[test]
fn one_lost_answer_is_no_outage_and_two_are() {
    let mut play = Play::new();
    play.play(0, 100);
    play.layers.looked("coredns-a", &silence(), at(100));
    assert_eq!(play.masks(100), [None; 3]);
    assert!(play.told(100).layers["coredns-a"].reading.fresh().is_some());
    play.layers.looked("coredns-a", &silence(), at(105));
    let absent = Reading::Absent {
        why: "it does not answer: timed out".to_owned(),
    };
    assert_eq!(play.told(105).layers["coredns-a"].reading, absent);
}

#[test]
fn a_replica_that_began_without_the_api_is_cold_and_counts_no_longer_as_one_that_knows() {
    let mut play = Play::new();
    play.api = 100;
    play.play(0, 130);
    play.layers
        .looked("coredns-a", &only(Code::ServFail), at(130));
    let told = play.told(130);
    assert!(matches!(
        &told.layers["coredns-a"].reading,
        Reading::Absent { why } if why.contains("SERVFAIL")
    ));
    let horizon = told.layers["coredns-b"].horizon;
    assert_eq!(horizon, Some(Horizon::UntilRestart { warm: 1 }));
}

#[test]
fn nobody_is_late_for_a_beat_that_was_not_written() {
    let mut play = Play::new();
    play.play(0, 100);
    for now in [100, 110, 120, 130] {
        let why = "429: too many requests".to_owned();
        play.layers.beats.refused(why, at(now));
        for name in ["coredns-a", "coredns-b", "kube-dns"] {
            play.layers.looked(name, &answers(90, 90, 0), at(now));
        }
        assert_eq!(play.masks(now), [None; 3]);
    }
    let told = play.told(130);
    assert!(matches!(told.source, Source::Stalled { .. }));
    let unknown = |layer: &LayerEvidence| matches!(layer.reading, Reading::Absent { .. });
    assert!(told.layers.values().all(unknown), "{told:?}");
    // Who hears of others' changes is known to hear.
    play.layers
        .looked("coredns-a", &answers(128, 90, 0), at(131));
    assert!(play.told(131).layers["coredns-a"].reading.fresh().is_some());
}

#[test]
fn where_no_server_ever_shows_the_beacon_nothing_is_measured() {
    let mut layers = Layers::new(at(0));
    assert!(matches!(layers.evidence(at(0)), Dns::Awaited { .. }));
    layers.placed(&placed([("10.0.0.10", Role::Service)]), at(0));
    layers.looked("10.0.0.10", &only(Code::NxDomain), at(5));
    assert!(matches!(layers.evidence(at(59)), Dns::Awaited { .. }));
    let not = Dns::NotMeasured {
        why: "10.0.0.10: it knows no beacon".to_owned(),
    };
    assert_eq!(layers.evidence(at(60)), not);
}

#[test]
fn what_one_resolver_rewrites_is_not_understood_and_hides_no_other() {
    let mut play = Play::new();
    let mut servers = placed([("resolver", Role::Resolver)]);
    servers.extend(placed([("coredns-a", Role::Replica)]));
    play.layers.placed(&servers, at(0));
    play.play(0, 60);
    let rewritten = Answers {
        named: Heard::Message(Message {
            addresses: vec![Ipv4Addr::new(10, 1, 2, 3)],
            ttl: Some(BEAT),
            ..message(Code::NoError)
        }),
        nonce: only(Code::NxDomain).nonce,
    };
    play.layers.looked("resolver", &rewritten, at(60));
    let told = play.told(60);
    let resolver = &told.layers["resolver"];
    assert!(matches!(&resolver.reading, Reading::Garbled { why } if why.contains("rewrites")));
    assert_eq!(resolver.measured, Measured::No);
    assert!(told.layers["coredns-a"].reading.fresh().is_some());
}

#[test]
fn one_that_was_frozen_before_there_was_a_beacon_is_found_by_its_serial() {
    let mut play = Play::new();
    play.play(0, 60);
    for now in [60, 65, 70, 75, 80] {
        let mut said = answers(3, 3, 0);
        said.named = only(Code::NxDomain).named;
        if now % 10 == 0 {
            play.layers.beats.took(Epoch::at(at(now)), at(now));
        }
        play.layers.looked("coredns-a", &said, at(now));
        play.layers.looked(
            "coredns-b",
            &answers(now / 10 * 10, now / 10 * 10, 0),
            at(now),
        );
    }
    assert_eq!(play.masks(80)[..2], [Some(Mask::FrozenReplica), None]);
    assert_eq!(play.told(80).layers["coredns-a"].measured, Measured::Yes);
}

#[test]
fn one_lost_denial_forgets_no_serial() {
    let mut play = Play::new();
    play.play(0, 100);
    // Its own cache shows the beat before; of the denial nothing arrives.
    let mut half = answers(90, 90, 0);
    half.nonce = silence().nonce;
    play.layers.beats.took(Epoch::at(at(100)), at(100));
    play.layers.looked("coredns-a", &half, at(102));
    play.layers
        .looked("coredns-a", &answers(100, 90, 0), at(107));
    assert_eq!(play.masks(107)[0], None);
}

#[test]
fn what_was_not_looked_at_for_long_is_stale_and_never_masked() {
    let mut play = Play::new();
    play.play(0, 100);
    for now in [100, 110, 120, 130] {
        play.layers.beats.took(Epoch::at(at(now)), at(now));
        assert_eq!(play.masks(now + 5), [None; 3], "{now}");
    }
    let told = play.told(130);
    assert!(
        matches!(told.layers["coredns-a"].reading, Reading::Stale { .. }),
        "{told:?}"
    );
}

#[test]
fn an_epoch_of_nobody_is_not_understood() {
    let mut play = Play::new();
    play.play(0, 100);
    play.layers
        .looked("kube-dns", &answers(90, 700, 0), at(100));
    let reading = &play.told(100).layers["kube-dns"].reading;
    assert!(
        matches!(reading, Reading::Garbled { why } if why.contains("never had")),
        "{reading:?}"
    );
}

#[test]
fn a_clock_is_off_by_no_more_than_it_must_be() {
    let second = 1_795_860_000_000_u64;
    let skew = |told: u64, sent: u64, received: u64| {
        let at = |offset| Moment::from_millis(second + offset);
        super::skew_ms(at(told), at(sent), at(received))
    };
    assert_eq!(skew(0, 300, 340), 0);
    assert_eq!(
        skew(0, 990, 1_040),
        0,
        "it may have been stamped before the second ended"
    );
    assert_eq!(skew(5_000, 300, 340), 4_660);
    assert_eq!(skew(0, 5_300, 5_340), -4_300);
}

#[test]
fn whoever_begins_to_look_takes_no_cache_for_fresh_that_may_have_been_late_before() {
    let mut play = Play::new();
    play.cache = 100;
    play.play(0, 700);
    assert_eq!(play.masks(700), [None, None, Some(Mask::Cache)]);
    play.lead_anew(700);
    for now in (705..760).step_by(5) {
        play.play(now - 5, now);
        let told = play.told(now);
        let is_fresh = |name: &str| told.layers[name].reading.fresh().is_some();
        assert!(is_fresh("coredns-a") && is_fresh("coredns-b"), "{told:?}");
        assert!(!is_fresh("kube-dns"), "{now}: {told:?}");
    }
    assert_eq!(play.masks(755), [None, None, Some(Mask::Cache)]);
    play.cache = u64::MAX;
    play.play(755, 760);
    assert_eq!(play.masks(760), [None; 3]);
}

#[test]
fn nor_anything_behind_a_replica_that_may_have_stood_still_before() {
    let mut play = Play::new();
    play.follows[1] = 100;
    play.play(0, 700);
    play.lead_anew(700);
    for now in (705..760).step_by(5) {
        play.play(now - 5, now);
        let told = play.told(now);
        let is_fresh = |name: &str| told.layers[name].reading.fresh().is_some();
        assert!(is_fresh("coredns-a"), "{told:?}");
        assert!(!is_fresh("coredns-b") && !is_fresh("kube-dns"), "{told:?}");
    }
    let frozen = Some(Mask::FrozenReplica);
    assert_eq!(play.masks(755), [None, frozen, frozen]);
}

/// Also where a cache has a beat from before the one that is on record, as it may.
#[test]
fn what_is_well_is_fresh_at_the_first_look_of_whoever_begins_to_lead() {
    for cached in [670, 680, 690, u64::MAX] {
        let mut play = Play::new();
        play.cache = cached;
        play.play(0, 700);
        play.lead_anew(700);
        play.play(700, 703);
        let told = play.told(703);
        let mut layers = told.layers.values();
        assert!(
            layers.all(|layer| layer.reading.fresh().is_some()),
            "{cached}: {told:?}"
        );
    }
}

/// Whoever begins to lead may have another clock than whoever wrote before: epochs go on from what is there, and nobody
/// is late for that.
#[test]
fn a_new_leader_whose_clock_is_a_minute_off_blames_nobody() {
    for (begins, left) in [(1_000, 1_060), (1_060, 1_000)] {
        let mut layers = Layers::new(at(begins));
        let servers = [("coredns-a", Role::Replica), ("kube-dns", Role::Service)];
        layers.placed(&placed(servers), at(begins));
        let mut known = Epoch::at(at(left));
        layers.beats.read(Some(known), at(begins));
        for now in begins..begins + 200 {
            if now % 10 == 0 {
                known = layers.beats.next(at(now));
                layers.beats.took(known, at(now));
                layers.watched(Some(known), at(now));
            }
            if now % 5 == 2 {
                let written = known.begins().since(BEGIN).as_millis() / 1000;
                for name in ["coredns-a", "kube-dns"] {
                    layers.looked(name, &answers(now, written, 0), at(now));
                }
            }
            let Dns::Measured(told) = layers.evidence(at(now)) else {
                continue;
            };
            let fresh = |layer: &LayerEvidence| layer.reading.fresh().is_some();
            let mut seen = told
                .layers
                .values()
                .filter(|layer| layer.measured == Measured::Yes);
            assert!(
                seen.all(fresh),
                "{now}, where epochs were left at {left}: {told:?}"
            );
        }
    }
}
