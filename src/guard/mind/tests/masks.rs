//! What people hear of masks: that one begins, and that it is over, each once.

use std::collections::BTreeMap;

use weir_core::{
    evidence::{
        Caches, Dns, DnsEvidence, Horizon, LayerEvidence, Mask, Measured, Reading, Role, Sight,
        Source,
    },
    policy::Mode,
    time::Span,
};

use super::{
    new_daemon_set,
    play::{BEGIN, Play},
};
use crate::api::State;

/// DNS whose servers show this, each.
fn dns(layers: &[(&str, Role, Option<Mask>)], source: Source) -> Dns {
    let sight = Sight {
        epoch: Some(180_000_000),
        lag: Span::from_secs(40),
        ttl: Span::from_secs(2),
        serial_age: None,
        expires: BEGIN,
        heard: BEGIN,
    };
    let layer = |role, mask| LayerEvidence {
        role,
        reading: match mask {
            None => Reading::Fresh(sight),
            Some(by) => Reading::Masked { value: sight, by },
        },
        horizon: mask.map(|_| Horizon::Until {
            at: BEGIN + Span::from_secs(600),
            is_assumed: false,
        }),
        measured: Measured::Yes,
    };
    let layers = layers.iter();
    let layers = layers.map(|(name, role, mask)| ((*name).to_owned(), layer(*role, *mask)));
    Dns::Measured(DnsEvidence {
        source,
        layers: layers.collect::<BTreeMap<_, _>>(),
        skew_ms: 0,
        caches: Caches::default(),
    })
}

fn fresh() -> Dns {
    dns(&[("kube-dns", Role::Service, None)], Source::Beating)
}

fn cached() -> Dns {
    let masked = Some(Mask::Cache);
    dns(&[("resolver", Role::Resolver, masked)], Source::Beating)
}

fn frozen() -> Dns {
    let masked = Some(Mask::FrozenReplica);
    dns(&[("coredns-a", Role::Replica, masked)], Source::Beating)
}

/// A Weir that leads and measures DNS, and has a ControlPlane to write to.
fn measured() -> Play {
    let mut play = Play::new(3, Mode::Enforce);
    play.world.dns = fresh();
    play.steps(40);
    assert!(play.told.iter().all(|notice| notice.reason != "DNSFresh"));
    play
}

fn told(play: &Play) -> Vec<&str> {
    let of_masks = [
        "DNSMasked",
        "DNSFresh",
        "ReplicaFrozen",
        "ReplicaFollows",
        "WatchFrozen",
        "WatchFollows",
    ];
    let mut reasons = play.reasons();
    reasons.retain(|reason| of_masks.contains(reason));
    reasons
}

#[test]
fn a_mask_is_told_when_it_begins_and_once_it_has_been_gone_for_half_a_minute() {
    let mut play = measured();
    play.world.dns = cached();
    play.steps(60);
    assert_eq!(told(&play), ["DNSMasked"]);
    let notice = &play.notices("DNSMasked")[0];
    assert!(notice.warning);
    assert_eq!(notice.about.kind.as_deref(), Some("ControlPlane"));
    assert_eq!(notice.about.name.as_deref(), Some("cluster"));
    assert!(notice.note.contains("resolver"), "{}", notice.note);
    assert!(
        notice.note.contains("until 2027-01-15T08:10:00Z"),
        "{}",
        notice.note
    );

    play.world.dns = fresh();
    play.steps(29);
    assert_eq!(told(&play), ["DNSMasked"]);
    play.steps(1);
    assert_eq!(told(&play), ["DNSMasked", "DNSFresh"]);
    let notice = &play.notices("DNSFresh")[0];
    assert!(!notice.warning);
    assert!(notice.note.contains("masked for 59 s"), "{}", notice.note);
    play.steps(60);
    assert_eq!(told(&play).len(), 2);
}

#[test]
fn a_mask_that_comes_and_goes_is_one() {
    let mut play = measured();
    for _ in 0..20 {
        play.world.dns = cached();
        play.steps(10);
        play.world.dns = fresh();
        play.steps(20);
    }
    assert_eq!(told(&play), ["DNSMasked"]);
}

#[test]
fn a_frozen_replica_is_told_apart_from_what_clients_see() {
    let mut play = measured();
    play.world.dns = frozen();
    play.steps(5);
    assert_eq!(told(&play), ["ReplicaFrozen"]);
    play.world.dns = cached();
    play.steps(40);
    assert_eq!(
        told(&play),
        ["ReplicaFrozen", "DNSMasked", "ReplicaFollows"]
    );
    let note = &play.notices("ReplicaFollows")[0].note;
    assert!(note.contains("coredns-a"), "{note}");
}

#[test]
fn a_frozen_watch_holds_and_is_told_apart_from_what_dns_says() {
    let mut play = new_daemon_set(20);
    play.world.dns = fresh();
    assert!(play.until(60, |play| play.out("aaa") >= 2));
    let watch = ("API (watch)", Role::ApiWatch, Some(Mask::FrozenWatch));
    let service = ("kube-dns", Role::Service, None);
    play.world.dns = dns(&[watch, service], Source::Beating);
    play.steps(5);
    let out = play.out("aaa");
    play.steps(60);
    assert_eq!(play.out("aaa"), out);
    assert_eq!(play.state("logs-aaa"), Some(State::Held));
    let status = play.record("logs-aaa").unwrap().status.unwrap();
    assert_eq!(status.held_by.as_deref(), Some("EvidenceMasked"));
    assert_eq!(told(&play), ["WatchFrozen"]);
    let note = &play.notices("WatchFrozen")[0].note;
    assert!(note.contains("Weir's own watch"), "{note}");

    play.world.dns = fresh();
    play.steps(40);
    assert_eq!(told(&play), ["WatchFrozen", "WatchFollows"]);
    assert!(!play.notices("WatchFollows")[0].warning);
    assert!(play.until(300, |play| play.state("logs-aaa") == Some(State::Complete)));
}

#[test]
fn after_a_restart_the_record_says_what_was_told() {
    let mut play = measured();
    play.world.dns = cached();
    play.steps(20);
    play.restart();
    play.world.dns = Dns::Awaited {
        why: "nobody has looked yet".to_owned(),
    };
    play.steps(10);
    play.world.dns = cached();
    play.steps(20);
    assert_eq!(told(&play), ["DNSMasked"]);
    play.world.dns = fresh();
    play.steps(40);
    assert_eq!(told(&play), ["DNSMasked", "DNSFresh"]);
    let note = &play.notices("DNSFresh")[0].note;
    assert!(note.contains("masked for 49 s"), "{note}");
}

#[test]
fn what_begins_while_the_api_is_silent_is_told_when_it_answers_again() {
    let mut play = measured();
    let since = play.world.now;
    let silent = Source::Silent {
        since,
        why: "refused".to_owned(),
    };
    let masked = Some(Mask::ControlPlane);
    play.world.dns = dns(&[("kube-dns", Role::Service, masked)], silent);
    play.steps(20);
    play.world.leads = false;
    play.steps(100);
    assert_eq!(told(&play), [""; 0]);
    play.world.leads = true;
    play.world.dns = fresh();
    play.steps(1);
    assert_eq!(told(&play), ["DNSMasked"]);
    let note = &play.notices("DNSMasked")[0].note;
    assert!(
        note.contains("silent from 2027-01-15T08:00:40Z on"),
        "{note}"
    );
    play.steps(40);
    assert_eq!(told(&play), ["DNSMasked", "DNSFresh"]);
    let note = &play.notices("DNSFresh")[0].note;
    assert!(note.contains("for 1 min 59 s"), "{note}");
}
