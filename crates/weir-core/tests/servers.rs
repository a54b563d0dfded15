//! Real pages through to evidence, and what must hold of the fleet whatever comes in which order.

use std::{collections::BTreeSet, time::Duration};

use proptest::{prelude::*, sample::Index};
use weir_core::{
    evidence::{Reading, ServerEvidence, Wait},
    servers::{
        Cadence, Collector, Fleet, Level, ProbeKind, ProbeResult, Scrape, ScrapeError, Totals,
    },
    time::{Moment, Span},
    usage::Counted,
};

const CADENCE: Cadence = Cadence {
    probe_every: Span::from_secs(1),
    probe_timeout: Span::from_secs(2),
    scrape_every: Span::from_secs(5),
    scrape_timeout: Span::from_secs(5),
    page_bytes_per_second: 16 << 20,
};

const ADDRESSES: [&str; 3] = ["10.0.0.1:6443", "10.0.0.2:6443", "10.0.0.3:6443"];

/// Seconds since the Unix epoch at which Weir begins to look.
const BEGIN: u64 = 1_795_295_990;

/// How long a timeline lasts, in seconds.
const LENGTH: u64 = 240;

fn at(second: u64) -> Moment {
    Moment::from_millis((BEGIN + second) * 1000)
}

fn collect(page: &str) -> Result<Scrape, ScrapeError> {
    let mut collector = Collector::default();
    collector.push(page.as_bytes());
    collector.finish()
}

#[test]
fn two_real_pages_tell_how_a_server_suffered_between_them() {
    let pages = [
        include_str!("fixtures/kube_apiserver_1_36_3_queued_and_refused_1.txt"),
        include_str!("fixtures/kube_apiserver_1_36_3_queued_and_refused_2.txt"),
    ];
    let mut fleet = Fleet::new(CADENCE);
    fleet.endpoints(&BTreeSet::from([ADDRESSES[0].to_owned()]), at(0));
    // They were taken 5.85 s apart.
    fleet.scraped(ADDRESSES[0], collect(pages[0]), at(7));
    let second = at(7) + Span::from_millis(5850);
    fleet.scraped(ADDRESSES[0], collect(pages[1]), second);

    let evidence = fleet.evidence(&Reading::Fresh(1), second);
    let [(id, server)] = &evidence.iter().collect::<Vec<_>>()[..] else {
        panic!("{evidence:?}")
    };
    assert_eq!(id.started, Some(1_795_295_987_120));
    let flow = server.flow.fresh().expect("two scrapes");
    // 76.6 s waited by those that left the queue; of 238 refused and 373 dispatched only the latter.
    assert_eq!(
        format!("{:.1} {:.1}", flow.queued, flow.standing),
        "13.1 0.0"
    );
    let waits: Vec<String> = (flow.waits.iter())
        .map(|(schema, wait)| format!("{schema} {:.1} {:.0}", wait.queued, wait.mean_ms()))
        .collect();
    assert_eq!(waits, ["small 13.1 205"]);
    assert_eq!(format!("{:.1}", flow.rejected_per_second), "40.7");
    assert_eq!(flow.worst_level.as_deref(), Some("small"));
    let process = server.process.fresh().expect("two scrapes");
    assert_eq!(
        format!("{:.2} {:.0}", process.cpu_cores, process.inflight),
        "1.06 44"
    );
    assert_eq!(
        format!("{:.0}", process.resident_growth_per_second / 1e6),
        "54"
    );
}

#[test]
fn two_real_pages_tell_what_each_metered_account_cost_between_them() {
    let pages = [
        include_str!("fixtures/kube_apiserver_1_36_3_metered_1.txt"),
        include_str!("fixtures/kube_apiserver_1_36_3_metered_2.txt"),
    ];
    let begin = Moment::from_millis(1_795_786_054_180);
    let after = [begin, begin + Span::from_millis(5712)];
    let mut fleet = Fleet::new(CADENCE);
    fleet.endpoints(&BTreeSet::from([ADDRESSES[0].to_owned()]), begin);
    let counted = after.into_iter().zip(pages).map(|(at, page)| {
        fleet.scraped(ADDRESSES[0], collect(page), at);
        let evidence = fleet.evidence(&Reading::Fresh(1), at);
        let server = evidence.into_values().next().expect("one process");
        let counted = server.counted.fresh().expect("one page tells it").clone();
        assert_eq!(counted.at, at);
        counted
    });
    let counted: Vec<_> = counted.collect();
    let grown = |of: fn(&Counted) -> f64| of(&counted[1]) - of(&counted[0]);
    // Ten lists of some 200 pods, which Priority and Fairness takes for ten seats each, and nothing
    // else: their execution is 0.4 s of the 1.0 s of CPU time, the rest is the cluster's own.
    let meter = "weir-meter-default.agent-a";
    let of = |counted: &Counted| counted.schemas[meter].clone();
    let [before, now] = [of(&counted[0]), of(&counted[1])];
    let seats = now.estimated_seats - before.estimated_seats;
    assert_eq!((now.dispatched - before.dispatched, seats), (10.0, 100.0));
    let executed = now.execution_seconds - before.execution_seconds;
    assert_eq!(format!("{executed:.2}"), "0.40");
    assert_eq!(
        format!("{:.2}", grown(|counted| counted.cpu_seconds)),
        "1.02"
    );
    assert_eq!(
        format!("{:.0}", grown(|counted| counted.response_bytes) / 1e6),
        "32"
    );
}

/// Something that happens to one address.
#[derive(Debug, Clone)]
enum Event {
    /// Its page is read whole, of the process that began so many seconds after Weir (or before).
    Read { started: i64, scrape: Box<Scrape> },
    /// It is not read, or not to be trusted.
    Unread(ScrapeError),
    /// A probe ends.
    Probed(ProbeKind, ProbeResult),
}

impl Event {
    /// Whether it is an answer: without it less is known.
    const fn is_answer(&self) -> bool {
        matches!(
            self,
            Self::Read { .. } | Self::Probed(_, ProbeResult::Served(_))
        )
    }
}

/// An event at a second, to an address.
type Entry = (u64, usize, Event);

fn counter() -> impl Strategy<Value = f64> {
    (0_u32..1000).prop_map(f64::from)
}

fn level() -> impl Strategy<Value = Level> {
    (counter(), counter(), counter(), counter()).prop_map(
        |(wait_seconds, waited, rejected, in_queue)| Level {
            waited,
            wait_seconds,
            rejected,
            in_queue,
        },
    )
}

fn read() -> impl Strategy<Value = Event> {
    let started = prop::sample::select(vec![-5000_i64, -100, -60, 50, 100]);
    let levels = prop::collection::btree_map("[ab]", level(), 0..3);
    (started, counter(), counter(), counter(), levels).prop_map(
        |(started, cpu_seconds, resident_bytes, refused, levels)| Event::Read {
            started,
            scrape: Box::new(Scrape {
                started: BEGIN.saturating_add_signed(started) * 1000 + started.unsigned_abs() % 97,
                cpu_seconds,
                cpu_limit_cores: None,
                resident_bytes,
                inflight: 1.0,
                refused,
                levels,
                totals: Totals::default(),
            }),
        },
    )
}

fn event() -> impl Strategy<Value = Event> {
    let why = || "why".to_owned();
    let kind = prop::sample::select(vec![ProbeKind::Get, ProbeKind::List, ProbeKind::Write]);
    let result = prop_oneof![
        6 => (0_u64..3000).prop_map(|ms| ProbeResult::Served(Duration::from_millis(ms))),
        1 => Just(ProbeResult::Refused),
        1 => Just(ProbeResult::Failed { why: why() }),
        1 => Just(ProbeResult::Denied { why: why() }),
    ];
    prop_oneof![
        6 => read(),
        1 => Just(Event::Unread(ScrapeError::Failed { why: why() })),
        1 => Just(Event::Unread(ScrapeError::Denied { why: why() })),
        1 => Just(Event::Unread(ScrapeError::Garbled { why: why() })),
        6 => (kind, result).prop_map(|(kind, result)| Event::Probed(kind, result)),
    ]
}

/// A timeline in order of time, with counters that jump about. A process tells nothing before it
/// began.
fn timeline() -> impl Strategy<Value = Vec<Entry>> {
    let entry = (0..LENGTH, 0..ADDRESSES.len(), event());
    prop::collection::vec(entry, 0..120).prop_map(|mut timeline| {
        timeline.retain(|(second, _, event)| match event {
            Event::Read { started, .. } => i64::try_from(*second).is_ok_and(|now| now > *started),
            Event::Unread(_) | Event::Probed(..) => true,
        });
        timeline.sort_by_key(|(second, ..)| *second);
        timeline
    })
}

/// The same, but that CPU time grows with a process's age, as it does: a step back is the end of a
/// series, and without the step it would go on.
fn steady_timeline() -> impl Strategy<Value = Vec<Entry>> {
    timeline().prop_map(|mut timeline| {
        for (second, _, event) in &mut timeline {
            if let Event::Read { started, scrape } = event {
                scrape.cpu_seconds = second.saturating_add_signed(-*started) as f64;
            }
        }
        timeline
    })
}

fn play<'a>(timeline: impl IntoIterator<Item = &'a Entry>) -> Fleet {
    let mut fleet = Fleet::new(CADENCE);
    fleet.endpoints(
        &ADDRESSES
            .iter()
            .map(|address| (*address).to_owned())
            .collect(),
        at(0),
    );
    for (second, address, event) in timeline {
        let (address, at) = (ADDRESSES[*address], at(*second));
        match event.clone() {
            Event::Read { scrape, .. } => drop(fleet.scraped(address, Ok(*scrape), at)),
            Event::Unread(error) => drop(fleet.scraped(address, Err(error), at)),
            Event::Probed(kind, result) => fleet.probed(address, kind, result, at),
        }
    }
    fleet
}

/// How fresh a reading is: less is fresher.
fn rank<T>(reading: &Reading<T>) -> (u8, Span) {
    match reading {
        Reading::Fresh(_) => (0, Span::ZERO),
        Reading::Stale { age, .. } => (1, *age),
        Reading::Masked { .. } => unreachable!("nothing hides an API server"),
        Reading::Absent { .. } | Reading::Garbled { .. } => (2, Span::ZERO),
    }
}

fn ranks(server: &ServerEvidence) -> [(u8, Span); 4] {
    [
        rank(&server.latency),
        rank(&server.flow),
        rank(&server.process),
        rank(&server.counted),
    ]
}

proptest! {
    #[test]
    fn no_figure_is_ever_negative_or_without_end(timeline in timeline(), later in 0..200_u64) {
        let fleet = play(&timeline);
        for server in fleet.evidence(&Reading::Fresh(3), at(LENGTH + later)).values() {
            let mut figures = Vec::new();
            if let Some(latency) = server.latency.last() {
                figures.extend([latency.p50_ms, latency.max_ms]);
                figures.extend(latency.baseline_p50_ms);
            }
            if let Some(flow) = server.flow.last() {
                figures.extend([flow.queued, flow.in_queue, flow.standing]);
                figures.push(flow.rejected_per_second);
                figures.extend(flow.waits.values().map(Wait::mean_ms));
            }
            if let Some(process) = server.process.last() {
                figures.extend([process.cpu_cores, process.resident_before_bytes]);
                prop_assert!(process.resident_growth_per_second.is_finite());
            }
            for figure in figures {
                prop_assert!(figure.is_finite() && figure.is_sign_positive(), "{server:?}");
            }
        }
    }

    #[test]
    fn fewer_answers_never_make_a_reading_fresher(
        timeline in steady_timeline(),
        lost in prop::collection::vec(any::<Index>(), 1..20),
        later in 0..100_u64,
    ) {
        let lost: BTreeSet<usize> =
            lost.iter().map(|index| index.index(timeline.len().max(1))).collect();
        let kept = timeline.iter().enumerate().filter(|(index, (.., event))| {
            !(lost.contains(index) && event.is_answer())
        });
        let unknown = Reading::Absent { why: "not permitted".to_owned() };
        let now = at(LENGTH + later);
        let all = play(&timeline).evidence(&unknown, now);
        for (id, server) in play(kept.map(|(_, entry)| entry)).evidence(&unknown, now) {
            let Some(known) = all.get(&id) else { continue };
            for (fewer, more) in ranks(&server).into_iter().zip(ranks(known)) {
                prop_assert!(fewer >= more, "{id:?}: {server:?} of fewer, {known:?} of all answers");
            }
        }
    }

    #[test]
    fn time_alone_never_makes_a_reading_fresher(
        timeline in timeline(),
        soon in 0..100_u64,
        later in 0..100_u64,
    ) {
        let fleet = play(&timeline);
        let unknown = Reading::Absent { why: "not permitted".to_owned() };
        let before = fleet.evidence(&unknown, at(LENGTH + soon));
        let after = fleet.evidence(&unknown, at(LENGTH + soon + later));
        prop_assert!(before.keys().eq(after.keys()));
        for (before, after) in before.values().zip(after.values()) {
            for (before, after) in ranks(before).into_iter().zip(ranks(after)) {
                prop_assert!(after >= before);
            }
        }
    }

    #[test]
    fn what_happens_at_one_address_changes_nothing_at_another(timeline in timeline()) {
        let unknown = Reading::Absent { why: "not permitted".to_owned() };
        let all = play(&timeline).evidence(&unknown, at(LENGTH));
        for (index, name) in ADDRESSES.into_iter().enumerate() {
            let alone = play(timeline.iter().filter(|(_, address, _)| *address == index));
            let alone = alone.evidence(&unknown, at(LENGTH));
            let of_address = |(id, _): &(&_, &_)| {
                let id: &weir_core::evidence::ServerId = id;
                id.address == name
            };
            prop_assert!(alone.iter().filter(of_address).eq(all.iter().filter(of_address)));
        }
    }

    #[test]
    fn a_server_is_left_out_only_if_as_many_as_expected_are_live(
        timeline in timeline(),
        expected in 0..8_u32,
    ) {
        let fleet = play(&timeline);
        let unknown = Reading::Absent { why: "not permitted".to_owned() };
        let all = fleet.evidence(&unknown, at(LENGTH));
        let told = fleet.evidence(&Reading::Fresh(expected), at(LENGTH));
        for (id, server) in &told {
            prop_assert_eq!(all.get(id), Some(server));
        }
        for address in ADDRESSES {
            prop_assert!(told.keys().any(|id| id.address == address), "an endpoint is told");
        }
        if told.len() < all.len() {
            // A process that was read once is live, and yet tells no rate.
            prop_assert!(told.len() >= expected as usize);
        }
    }
}
