//! Timelines: what is told when of servers that answer, hang, restart, vanish, or share an address.

#![expect(
    clippy::float_cmp,
    reason = "the figures are chosen so that they are exact"
)]

use std::{collections::BTreeMap, time::Duration};

use super::*;
use crate::{
    evidence::{Flow, Process, Wait},
    servers::{Level, Totals, scrape::Schema},
    time::Span,
};

const CADENCE: Cadence = Cadence {
    probe_every: Span::from_secs(1),
    probe_timeout: Span::from_secs(2),
    scrape_every: Span::from_secs(5),
    scrape_timeout: Span::from_secs(5),
    page_bytes_per_second: 16 << 20,
};

const A: &str = "10.0.0.1:6443";
const B: &str = "10.0.0.2:6443";

/// Weir's first second; servers start before it.
const BEGIN: u64 = 1_000_000;

fn at(seconds: u64) -> Moment {
    Moment::from_millis((BEGIN + seconds) * 1000)
}

/// A process's page, `age` seconds after it started at second `started` of the timeline's clock:
/// half a core is used.
fn page(started: i64, age: u64) -> Scrape {
    Scrape {
        started: BEGIN.saturating_add_signed(started) * 1000 + 120,
        cpu_seconds: age as f64 / 2.0,
        cpu_limit_cores: Some(2.0),
        resident_bytes: 1e9,
        inflight: 3.0,
        refused: 0.0,
        levels: BTreeMap::new(),
        totals: Totals::default(),
    }
}

/// The page at `second` of a process that started at second `started`.
fn page_at(started: i64, second: u64) -> Scrape {
    page(started, second.saturating_add_signed(-started))
}

fn id(address: &str, started: i64) -> ServerId {
    ServerId {
        address: address.to_owned(),
        started: Some(page(started, 0).started),
    }
}

fn fleet(addresses: &[&str]) -> Fleet {
    let mut fleet = Fleet::new(CADENCE);
    fleet.endpoints(&set(addresses), at(0));
    fleet
}

fn set(addresses: &[&str]) -> BTreeSet<String> {
    addresses
        .iter()
        .map(|address| (*address).to_owned())
        .collect()
}

/// Scrapes every five seconds of the range.
fn scrape(fleet: &mut Fleet, address: &str, started: i64, seconds: std::ops::RangeInclusive<u64>) {
    for second in seconds.step_by(5) {
        fleet.scraped(address, Ok(page_at(started, second)), at(second));
    }
}

fn ids(fleet: &Fleet, expected: u32, second: u64) -> Vec<ServerId> {
    fleet
        .evidence(&Reading::Fresh(expected), at(second))
        .into_keys()
        .collect()
}

fn told(fleet: &Fleet, id: &ServerId, second: u64) -> ServerEvidence {
    let unknown = Reading::Absent {
        why: "not permitted".to_owned(),
    };
    let mut evidence = fleet.evidence(&unknown, at(second));
    evidence
        .remove(id)
        .unwrap_or_else(|| panic!("{id:?} is not told at {second}"))
}

fn flow(fleet: &Fleet, id: &ServerId, second: u64) -> Flow {
    let flow = told(fleet, id, second).flow;
    flow.fresh().unwrap_or_else(|| panic!("{flow:?}")).clone()
}

fn process(fleet: &Fleet, id: &ServerId, second: u64) -> Process {
    let process = told(fleet, id, second).process;
    *process.fresh().unwrap_or_else(|| panic!("{process:?}"))
}

fn failed(why: &str) -> Result<Scrape, ScrapeError> {
    Err(ScrapeError::Failed {
        why: why.to_owned(),
    })
}

fn why<T: std::fmt::Debug>(reading: Reading<T>) -> String {
    match reading {
        Reading::Absent { why } | Reading::Garbled { why } => why,
        other => panic!("{other:?}"),
    }
}

#[test]
fn an_address_that_has_told_nothing_is_absent() {
    let mut fleet = fleet(&[A]);
    let unknown = ServerId {
        address: A.to_owned(),
        started: None,
    };
    let evidence = told(&fleet, &unknown, 1);
    assert_eq!(why(evidence.latency), "no probe has ended yet");
    assert_eq!(why(evidence.flow), "the metrics page has not been read yet");
    fleet.scraped(A, failed("403 Forbidden"), at(2));
    assert_eq!(
        why(told(&fleet, &unknown, 2).process),
        "the metrics page could not be read: 403 Forbidden"
    );
    assert_eq!(
        ids(&fleet, 0, 9999),
        [unknown],
        "an endpoint is told for ever"
    );
}

#[test]
fn rates_need_two_scrapes() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=5);
    assert_eq!(
        why(told(&fleet, &id(A, -60), 5).flow),
        "the metrics page was read once lately, and a rate needs two"
    );
    scrape(&mut fleet, A, -60, 10..=10);
    let process = process(&fleet, &id(A, -60), 10);
    assert_eq!(
        (process.cpu_cores, process.cpu_limit_cores),
        (0.5, Some(2.0))
    );
    assert_eq!(flow(&fleet, &id(A, -60), 10).queued, 0.0);
    assert_eq!(told(&fleet, &id(A, -60), 10).restarted, None);
}

#[test]
fn the_first_page_of_each_process_is_told_from_the_next() {
    let mut fleet = fleet(&[A]);
    assert!(fleet.scraped(A, Ok(page_at(-60, 5)), at(5)));
    assert!(!fleet.scraped(A, Ok(page_at(-60, 10)), at(10)));
    assert!(!fleet.scraped(A, failed("503"), at(15)));
    assert!(fleet.scraped(A, Ok(page_at(12, 20)), at(20)));
    assert!(!fleet.scraped("never", Ok(page_at(-60, 25)), at(25)));
}

#[test]
fn queues_and_refusals_are_rates_over_the_last_interval() {
    let mut fleet = fleet(&[A]);
    let with = |second, wait_seconds, waited, rejected, in_queue| {
        let level = Level {
            wait_seconds,
            waited,
            rejected,
            in_queue,
        };
        let idle = Level::default();
        let levels = [("busy".to_owned(), level), ("idle".to_owned(), idle)];
        let mut schema = Schema::default();
        (schema.wait_seconds, schema.waited) = (wait_seconds, waited);
        let schemas = [
            ("many".to_owned(), schema),
            ("idle".to_owned(), Schema::default()),
        ];
        Scrape {
            levels: levels.into(),
            refused: rejected,
            totals: Totals {
                schemas: schemas.into(),
                ..Totals::default()
            },
            ..page_at(-60, second)
        }
    };
    fleet.scraped(A, Ok(with(5, 100.0, 50.0, 7.0, 0.0)), at(5));
    fleet.scraped(A, Ok(with(10, 110.0, 70.0, 17.0, 4.0)), at(10));
    let wait = Wait {
        queued: 2.0,
        per_second: 4.0,
    };
    assert_eq!(wait.mean_ms(), 500.0);
    let expected = Flow {
        queued: 2.0,
        in_queue: 4.0,
        standing: 0.0,
        waits: BTreeMap::from([("many".to_owned(), wait)]),
        rejected_per_second: 2.0,
        worst_level: Some("busy".to_owned()),
    };
    assert_eq!(flow(&fleet, &id(A, -60), 10), expected);
    // A queue that hardly moves counts little wait, but those that were in it are in it still.
    fleet.scraped(A, Ok(with(15, 110.0, 71.0, 17.0, 9.0)), at(15));
    let stuck = Flow {
        queued: 3.0,
        in_queue: 9.0,
        standing: 3.0,
        waits: BTreeMap::new(),
        rejected_per_second: 0.0,
        worst_level: Some("busy".to_owned()),
    };
    assert_eq!(flow(&fleet, &id(A, -60), 15), stuck);
    // Nine that wait are others than the nine that waited, where more have left.
    fleet.scraped(A, Ok(with(20, 110.1, 91.0, 17.0, 9.0)), at(20));
    assert_eq!(flow(&fleet, &id(A, -60), 20).standing, 0.0);
}

#[test]
fn a_refusal_outside_of_the_levels_counts_too() {
    let mut fleet = fleet(&[A]);
    for second in [5, 10] {
        let refused = second as f64;
        fleet.scraped(
            A,
            Ok(Scrape {
                refused,
                ..page_at(-60, second)
            }),
            at(second),
        );
    }
    assert_eq!(flow(&fleet, &id(A, -60), 10).rejected_per_second, 1.0);
}

#[test]
fn memory_is_compared_with_the_start_of_its_window() {
    let mut fleet = fleet(&[A]);
    let with = |second, resident_bytes| Scrape {
        resident_bytes,
        ..page_at(-60, second)
    };
    for second in (0..=300).step_by(5) {
        let resident_bytes = if second < 240 {
            1e9
        } else {
            1e9 + (second - 235) as f64 * 1e6
        };
        fleet.scraped(A, Ok(with(second, resident_bytes)), at(second));
        let process = told(&fleet, &id(A, -60), second).process;
        let Some(process) = process.fresh() else {
            continue;
        };
        assert_eq!(process.resident_before_bytes, 1e9);
        assert_eq!(process.resident_bytes, resident_bytes);
        let window = second.min(120) as f64;
        assert_eq!(
            process.resident_growth_per_second,
            (resident_bytes - 1e9) / window
        );
    }
}

#[test]
fn silence_makes_a_page_stale_and_then_absent_and_says_why() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let id = id(A, -60);
    assert!(
        told(&fleet, &id, 30).process.fresh().is_some(),
        "three scrapes and a time-out"
    );
    let Reading::Stale { value, age } = told(&fleet, &id, 31).process else {
        panic!("not stale")
    };
    assert_eq!((value.cpu_cores, age), (0.5, Span::from_secs(21)));
    fleet.scraped(A, failed("timed out after 5 s"), at(60));
    assert!(matches!(told(&fleet, &id, 75).flow, Reading::Stale { .. }));
    assert_eq!(
        why(told(&fleet, &id, 76).flow),
        "last read 1 min 6 s ago, the metrics page could not be read: timed out after 5 s"
    );
}

#[test]
fn a_lost_right_to_the_page_is_told_at_the_first_refusal_and_until_it_is_back() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let denied = Err(ScrapeError::Denied {
        why: "grant it".to_owned(),
    });
    fleet.scraped(A, denied, at(15));
    let id = id(A, -60);
    assert_eq!(
        why(told(&fleet, &id, 15).flow),
        "the metrics page may not be read: grant it"
    );
    scrape(&mut fleet, A, -60, 20..=20);
    assert!(told(&fleet, &id, 20).flow.fresh().is_some());
}

#[test]
fn a_costly_page_stays_fresh_until_the_next_can_have_come() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let id = id(A, -60);
    assert!(told(&fleet, &id, 35).flow.fresh().is_none());
    fleet.cost(
        A,
        PageCost {
            took: Span::from_secs(4),
            bytes: 200 << 20,
        },
    );
    assert!(told(&fleet, &id, 35).flow.fresh().is_some());
}

#[test]
fn a_page_too_costly_to_be_read_in_time_says_so_in_place_of_being_stale() {
    let mut fleet = fleet(&[A]);
    fleet.cost(
        A,
        PageCost {
            took: Span::from_secs(50),
            bytes: 4000 << 20,
        },
    );
    fleet.scraped(A, Ok(page_at(-60, 5)), at(5));
    fleet.scraped(A, Ok(page_at(-60, 160)), at(160));
    let id = id(A, -60);
    assert!(told(&fleet, &id, 220).process.fresh().is_some());
    let why = why(told(&fleet, &id, 221).process);
    assert!(
        why.contains("4000 MiB") && why.contains("16 MiB a second"),
        "{why}"
    );
}

#[test]
fn a_garbled_page_is_told_at_once_and_until_a_whole_one_comes() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let garbled = Err(ScrapeError::Garbled {
        why: "it is empty".to_owned(),
    });
    fleet.scraped(A, garbled, at(15));
    let id = id(A, -60);
    assert!(matches!(
        told(&fleet, &id, 15).flow,
        Reading::Garbled { .. }
    ));
    assert_eq!(
        why(told(&fleet, &id, 16).process),
        "the metrics page is garbled: it is empty"
    );
    scrape(&mut fleet, A, -60, 20..=20);
    assert!(told(&fleet, &id, 20).flow.fresh().is_some());
}

#[test]
fn a_rate_is_never_taken_over_a_long_silence() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    scrape(&mut fleet, A, -60, 600..=600);
    assert!(told(&fleet, &id(A, -60), 600).process.fresh().is_none());
    scrape(&mut fleet, A, -60, 605..=605);
    assert_eq!(process(&fleet, &id(A, -60), 605).cpu_cores, 0.5);
}

#[test]
fn a_process_that_began_after_the_other_was_heard_has_taken_its_place() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    scrape(&mut fleet, A, 12, 15..=20);
    assert_eq!(ids(&fleet, 1, 20), [id(A, 12)]);
    let evidence = told(&fleet, &id(A, 12), 20);
    assert_eq!(evidence.restarted, Some(at(15)));
    assert_eq!(
        process(&fleet, &id(A, 12), 20).cpu_cores,
        0.5,
        "no counter of the one before"
    );
}

#[test]
fn a_process_that_seemed_replaced_is_told_again_once_it_is_heard() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    scrape(&mut fleet, A, 12, 15..=20);
    scrape(&mut fleet, A, -60, 25..=25);
    assert_eq!(ids(&fleet, 2, 25), [id(A, -60), id(A, 12)]);
    assert_eq!(process(&fleet, &id(A, -60), 25).cpu_cores, 0.5);
}

#[test]
fn processes_behind_a_balancer_are_told_apart_and_none_is_a_restart() {
    let mut fleet = fleet(&[A]);
    for second in (5..=65).step_by(5) {
        let started = match second / 5 % 3 {
            0 => -60,
            1 => -5000,
            _ => -300,
        };
        fleet.scraped(A, Ok(page_at(started, second)), at(second));
    }
    let expected = [-5000, -300, -60].map(|started| id(A, started));
    assert_eq!(ids(&fleet, 3, 65), expected);
    for id in &expected {
        assert_eq!(process(&fleet, id, 65).cpu_cores, 0.5);
        assert_eq!(told(&fleet, id, 65).restarted, None);
    }
    // Each is heard in turn: what is old for one process at an address is not for three.
    assert!(told(&fleet, &expected[0], 110).process.fresh().is_some());
}

#[test]
fn a_process_behind_a_balancer_is_missed_until_there_are_enough_without_it() {
    let mut fleet = fleet(&[A]);
    for second in (5..=200).step_by(5) {
        let restarted = second > 100;
        let started = match second / 5 % 2 {
            0 => -5000,
            _ if restarted => 98,
            _ => -60,
        };
        fleet.scraped(A, Ok(page_at(started, second)), at(second));
    }
    assert_eq!(ids(&fleet, 3, 200), [id(A, -5000), id(A, -60), id(A, 98)]);
    let missed = told(&fleet, &id(A, -60), 200);
    assert!(missed.flow.fresh().is_none() && missed.spare);
    assert!(!told(&fleet, &id(A, -5000), 200).spare);
    assert_eq!(ids(&fleet, 2, 200), [id(A, -5000), id(A, 98)]);
    assert_eq!(told(&fleet, &id(A, 98), 200).restarted, Some(at(105)));
}

#[test]
fn a_hung_server_that_left_the_endpoints_does_not_look_like_health() {
    let mut fleet = fleet(&[A, B]);
    scrape(&mut fleet, A, -60, 5..=60);
    scrape(&mut fleet, B, -70, 5..=20);
    fleet.endpoints(&set(&[A]), at(35));
    assert_eq!(ids(&fleet, 2, 60), [id(A, -60), id(B, -70)]);
    let evidence = told(&fleet, &id(B, -70), 60);
    let left = "the address left the endpoints of the service default/kubernetes 25 s ago";
    assert_eq!(why(evidence.latency), left);
    assert_eq!(why(evidence.flow), left);
    assert!(evidence.spare && !told(&fleet, &id(A, -60), 60).spare);
    // Its Lease has expired, or was deleted with its node.
    assert_eq!(ids(&fleet, 1, 60), [id(A, -60)]);
}

#[test]
fn a_server_that_left_and_came_back_with_a_new_process_has_restarted() {
    let mut fleet = fleet(&[A, B]);
    scrape(&mut fleet, B, -70, 5..=20);
    fleet.endpoints(&set(&[A]), at(25));
    fleet.endpoints(&set(&[A, B]), at(60));
    scrape(&mut fleet, B, 50, 60..=65);
    assert_eq!(told(&fleet, &id(B, 50), 65).restarted, Some(at(60)));
    assert!(!ids(&fleet, 9, 65).contains(&id(B, -70)));
}

#[test]
fn what_left_is_given_up_after_an_hour_and_forgotten_beyond_a_bound() {
    let mut fleet = fleet(&[A, B]);
    scrape(&mut fleet, B, -60, 5..=5);
    fleet.endpoints(&set(&[]), at(10));
    assert_eq!(ids(&fleet, 2, 3609).len(), 2);
    assert_eq!(ids(&fleet, 2, 3610).len(), 0);
    for second in 0..100 {
        fleet.endpoints(&set(&[&format!("10.1.0.{second}:6443")]), at(20 + second));
    }
    assert_eq!(fleet.addresses.len(), MAX_GONE + 1);
    assert!(
        fleet.addresses.contains_key("10.1.0.98:6443"),
        "the last to leave are kept"
    );
}

#[test]
fn countless_processes_at_an_address_are_bounded() {
    let mut fleet = fleet(&[A]);
    for (second, started) in (5..).zip((-500..-200).step_by(3)) {
        fleet.scraped(A, Ok(page_at(started, second)), at(second));
    }
    let ids = ids(&fleet, 99, 104);
    assert_eq!(ids.len(), 16);
    assert_eq!(ids.last(), Some(&id(A, -203)), "the last heard are kept");
}

#[test]
fn a_step_of_the_servers_clock_is_not_another_process() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let stepped = Scrape {
        started: page(-60, 0).started + 1000,
        ..page_at(-60, 15)
    };
    fleet.scraped(A, Ok(stepped), at(15));
    assert_eq!(ids(&fleet, 1, 15), [id(A, -60)]);
    assert_eq!(process(&fleet, &id(A, -60), 15).cpu_cores, 0.5);
}

#[test]
fn another_process_that_started_within_a_second_is_not_a_step_of_the_clock() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let other = Scrape {
        started: page(-60, 0).started + 1500,
        ..page_at(-60, 15)
    };
    fleet.scraped(A, Ok(other), at(15));
    let younger = Scrape {
        cpu_seconds: 1.0,
        ..page_at(-59, 20)
    };
    fleet.scraped(A, Ok(younger), at(20));
    assert_eq!(ids(&fleet, 9, 20).len(), 3);
}

#[test]
fn a_counter_that_went_down_begins_the_series_anew() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    let anew = |age| Scrape {
        resident_bytes: 7e8,
        ..page(-60, age)
    };
    fleet.scraped(A, Ok(anew(1)), at(15));
    assert!(told(&fleet, &id(A, -60), 15).process.fresh().is_none());
    fleet.scraped(A, Ok(anew(6)), at(20));
    let process = process(&fleet, &id(A, -60), 20);
    assert_eq!(
        (process.cpu_cores, process.resident_before_bytes),
        (0.5, 7e8)
    );
}

#[test]
fn an_older_scrape_that_comes_late_changes_nothing() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=20);
    let before = told(&fleet, &id(A, -60), 20);
    fleet.scraped(A, Ok(page_at(-60, 15)), at(15));
    assert_eq!(told(&fleet, &id(A, -60), 20), before);
}

#[test]
fn probes_are_compared_with_quiet_times_only() {
    let mut fleet = fleet(&[A]);
    let probe = |fleet: &mut Fleet, seconds: std::ops::Range<u64>, ms| {
        for second in seconds {
            let result = ProbeResult::Served(Duration::from_millis(ms));
            fleet.probed(A, ProbeKind::Get, result, at(second));
        }
    };
    fleet.quiet(true);
    probe(&mut fleet, 0..20, 4);
    fleet.quiet(false);
    probe(&mut fleet, 20..60, 400);
    let unknown = ServerId {
        address: A.to_owned(),
        started: None,
    };
    let latency = told(&fleet, &unknown, 60).latency;
    let latency = latency.fresh().expect("a probe has just ended");
    assert_eq!(
        (latency.baseline_p50_ms, latency.p50_ms),
        (Some(4.0), 400.0)
    );
}

#[test]
fn a_slower_pace_keeps_answers_fresh_for_longer() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, A, -60, 5..=10);
    assert!(told(&fleet, &id(A, -60), 60).flow.fresh().is_none());
    fleet.pace(Cadence {
        scrape_every: Span::from_secs(60),
        ..CADENCE
    });
    assert!(told(&fleet, &id(A, -60), 60).flow.fresh().is_some());
}

#[test]
fn what_was_never_an_endpoint_is_not_told() {
    let mut fleet = fleet(&[A]);
    scrape(&mut fleet, B, -60, 5..=10);
    fleet.probed(B, ProbeKind::Get, ProbeResult::Refused, at(5));
    assert_eq!(
        ids(&fleet, 2, 10),
        [ServerId {
            address: A.to_owned(),
            started: None
        }]
    );
}
