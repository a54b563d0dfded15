use quick_xml::{Reader, events::Event};

use weir::api::{EstimateStatus, PointStatus, Resource, ResourceStatus, UnisonStatus};

use super::{demo::Demo, saturated::tests::drowned, *};
use crate::bystander::stats;

/// A report with plausible figures; tests change what they are about.
pub(crate) fn report(profile: &str, guarded: bool, state: State) -> Report {
    let series = series(guarded);
    let idle = Latency {
        calls: 100,
        p50_ms: 4.0,
        p99_ms: 8.0,
        max_ms: 9.0,
        ..Latency::default()
    };
    let held = state == State::Held;
    Report {
        started: jiff::Timestamp::UNIX_EPOCH,
        commit: Some("abc123".to_owned()),
        machine: machine(),
        nodes: 200,
        pods: 3000,
        api_servers: 1,
        profile: profile.to_owned(),
        about: "lists all pods".to_owned(),
        asks_per_second: Some(0.1),
        guarded,
        update: false,
        updated_from: None,
        pace: guarded.then(|| "Fast".to_owned()),
        state,
        timed_out: false,
        full_width: 200,
        width: (0..60_u32)
            .map(|second| WidthAt {
                second: f64::from(second),
                width: (second * 10).min(if held { 13 } else { 200 }),
                running: 0,
            })
            .collect(),
        states: guarded.then(|| state_at(state)).into_iter().collect(),
        held_at_width: held.then_some(13),
        held_at_share: held.then_some(0.065),
        held_by: held.then(|| "LatencyRegressed".to_owned()),
        slowest_pace: guarded.then_some(1.0),
        forecast: guarded.then(forecast),
        forecasts: vec![],
        beside: None,
        loops: None,
        joined: None,
        findings: guarded.then(finding).into_iter().collect(),
        harm: stats::harm(&idle, &series, Some(0.0)),
        seconds_to_hold: held.then_some(3.25),
        seconds_to_complete: (state == State::Complete).then_some(94.6),
        bystander: Bystander {
            idle,
            calm: true,
            worst_p99_ms: 9000.0,
            during: Latency {
                calls: 600,
                failed: 7,
                p99_ms: 3400.0,
                ..idle
            },
            creation: idle,
            agents: None,
            series,
        },
        api_server: api_server(),
        swarm: SwarmUse::default(),
        weir: None,
        expected: None,
    }
}

const fn api_server() -> ApiServer {
    ApiServer {
        peak_cpu_cores: 0.99,
        peak_rss_mib: 1800.0,
        rejected: 12_345,
        series: vec![],
    }
}

/// What four agents that take 0.05 cores each tell of 200, on one core of which a tenth is in use.
pub(crate) fn forecast() -> ForecastStatus {
    let estimate = |low, mid, high| EstimateStatus {
        low,
        mid,
        high: Some(high),
    };
    let point = |width: u32| PointStatus {
        width,
        cpu_cores: 0.05_f64.mul_add(f64::from(width), 0.1),
        own_cores: Some(0.05 * f64::from(width)),
        unexplained_cores: Some(0.0),
        watches: Some(100.0),
        windows: 6,
    };
    ForecastStatus {
        full_width: 200,
        budget: 0.5,
        resources: vec![ResourceStatus {
            resource: Resource::Cpu,
            base: 0.1,
            fixed: estimate(0.0, 0.0, 0.0),
            per_pod: estimate(0.035, 0.05, 0.065),
            at_full: estimate(7.1, 10.1, 13.1),
            capacity: Some(1.0),
            knee: Some(estimate(13.8, 18.0, 25.7)),
        }],
        unison: Some(UnisonStatus {
            start: estimate(0.4, 0.5, 0.6),
            seconds: estimate(80.0, 100.0, 120.0),
            budget: 30.0,
            waves: 3,
        }),
        points: vec![point(1), point(2), point(4)],
        dropped: vec![],
        kappa: estimate(0.7, 0.9, 1.0),
        metered: true,
        meter: "FlowSchema weir-meter-x".to_owned(),
        servers: 1,
        record: None,
    }
}

fn machine() -> Machine {
    Machine {
        cpu: "CPU & <model>".to_owned(),
        cores: 2,
        memory_mib: 24_000,
        kernel: "6.1".to_owned(),
    }
}

fn series(calm: bool) -> Vec<LatencyAt> {
    (-10..60)
        .map(|second| LatencyAt {
            second,
            calls: 10,
            failed: 0,
            p50_ms: if calm || second < 5 { 4.0 } else { 900.0 },
            max_ms: if calm || second < 5 { 9.0 } else { 4000.0 },
        })
        .collect()
}

fn state_at(state: State) -> StateAt {
    StateAt {
        second: 20.0,
        state,
        width: 13,
        held_by: (state == State::Held).then(|| "LatencyRegressed".to_owned()),
        summary: "so it is".to_owned(),
    }
}

fn finding() -> FoundAt {
    FoundAt {
        second: 19.0,
        reason: "LatencyRegressed".to_owned(),
        severity: "Hold".to_owned(),
        subject: "172.31.255.1:6443".to_owned(),
        evidence: "p50 of probes 213 ms > 5 × 4 ms".to_owned(),
        last_evidence: "p50 of probes 300 ms > 5 × 4 ms".to_owned(),
        clears_when: "quiet for 10 s".to_owned(),
    }
}

fn demo() -> Demo {
    Demo {
        unguarded: drowned(2),
        guarded: report("pod-lister", true, State::Held),
        harmless: report("node-exporter", true, State::Complete),
    }
}

#[test]
fn the_summary_says_what_was_shown() {
    let [without, with, harmless] = demo().summary();
    assert_eq!(
        without,
        "Without Weir all 200 pods started within 20 s. A quiet client's calls, of which one in a \
         hundred took 8.0 ms before, then took 3.4 s: 425 times as long; 7 of 600 failed, and \
         count as 10 s."
    );
    assert_eq!(
        with,
        "With Weir the same rollout was held at 13 of 200 pods (6.5 %) by LatencyRegressed, not before \
         others felt it, 3.2 s after the first harm: of the quiet client's calls one in a hundred took \
         3.4 s once agents ran (8.0 ms while their pods were created, before any ran)."
    );
    assert_eq!(
        harmless,
        "A harmless agent went through all 200 nodes in 1 min 35 s, and was never held."
    );
}

#[test]
fn what_a_drowned_control_plane_did_not_start_is_not_called_started() {
    let mut demo = demo();
    demo.unguarded.seconds_to_complete = None;
    demo.unguarded.width.truncate(1);
    let [without, ..] = demo.summary();
    assert!(
        without.starts_with("Without Weir 100 of 200 pods started. A quiet"),
        "{without}"
    );
}

#[test]
fn the_forecast_is_told_with_what_the_unguarded_run_found() {
    assert_eq!(
        demo().foresight(),
        "From 4 pods Weir foresaw that 200 take 10.10 (7.10 to 13.10) cores of the API server's 1, \
         and that 18 (14 to 26) pods use that up. Without Weir the API server answered 2.0 calls a \
         second when it had nothing left, of which each agent asks 0.1: it bears 20 agents; what was \
         foreseen lies 10 % below that."
    );
    let mut blind = demo();
    blind.guarded.forecast = None;
    assert_eq!(blind.foresight(), "Weir foresaw nothing.");
}

#[test]
fn a_demo_is_met_by_an_early_hold_that_nobody_felt_and_a_knee_that_is_there() {
    let met = || {
        let mut demo = demo();
        for report in [&mut demo.unguarded, &mut demo.guarded, &mut demo.harmless] {
            report.expected = Some(Expected {
                ends: Ending::Held,
                met: true,
                why: None,
            });
        }
        demo.guarded.held_at_width = Some(4);
        demo.guarded.held_at_share = Some(0.02);
        demo.guarded.bystander.during.p99_ms = 55.0;
        demo
    };
    assert_eq!(met().unmet(), Vec::<String>::new());
    let mut late = met();
    late.guarded.held_at_share = Some(0.03);
    let mut felt = met();
    felt.guarded.bystander.during.p99_ms = 155.0;
    let mut wrong = met();
    wrong.unguarded = Report {
        expected: wrong.unguarded.expected,
        ..drowned(4)
    };
    for (demo, why) in [(&late, "held only"), (&felt, "felt"), (&wrong, "knee")] {
        let unmet = demo.unmet();
        assert!(unmet.len() == 1 && unmet[0].contains(why), "{unmet:?}");
    }
}

#[test]
fn the_page_is_well_formed_and_needs_nothing_else() {
    let page = html::page(&demo());
    let mut reader = Reader::from_str(&page);
    let mut elements = 0;
    loop {
        match reader
            .read_event()
            .unwrap_or_else(|error| panic!("{error}\n{page}"))
        {
            Event::Eof => break,
            Event::Start(_) | Event::Empty(_) => elements += 1,
            _ => {}
        }
    }
    assert!(elements > 200, "only {elements} elements");
    for foreign in ["http://", "https://", "src=", "url(", "@import", "<script"] {
        assert!(!page.contains(foreign), "the page asks for {foreign}");
    }
}

#[test]
fn the_page_shows_the_figures_and_both_curves() {
    let page = html::page(&demo());
    for shown in [
        "held at 13",
        "13 of 200",
        "3.4 s",
        "12,345",
        "LatencyRegressed",
        "p50 of probes 213 ms &gt; 5 × 4 ms",
        "CPU &amp; &lt;model&gt;",
        "abc123",
        "class=\"line without\"",
        "class=\"line with\"",
        "class=\"line harmless\"",
        "class=\"area band\"",
        "knee foretold: 18 (14 to 26)",
        "borne without Weir: 20",
        "class=\"dot\"",
        "10 s</text>",
    ] {
        assert!(page.contains(shown), "the page does not show {shown}");
    }
}

#[test]
fn reports_are_read_back_as_they_were_written() {
    let folder = std::env::temp_dir().join(format!("lab-report-{}", std::process::id()));
    let path = folder.join("deep/report.json");
    let written = report("pod-lister", true, State::Held);
    written.write(&path).expect("a folder to write to");
    let text = fs::read(&path).expect("what was written");
    let files = fs::read_dir(folder.join("deep"))
        .expect("the folder")
        .count();
    fs::remove_dir_all(&folder).expect("the test's own folder");
    assert_eq!(
        serde_json::from_slice::<Report>(&text).expect("a report"),
        written
    );
    assert_eq!(files, 1, "nothing is left beside it");
}

#[test]
fn a_place_that_cannot_be_written_is_named() {
    let error = report("x", false, State::Complete)
        .write(Path::new("/proc/nowhere/report.json"))
        .expect_err("nobody can write there");
    assert!(
        format!("{error:#}").contains("/proc/nowhere/report.json"),
        "{error:#}"
    );
}

#[test]
fn the_published_schema_is_that_of_the_types() {
    let path =
        Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/reference/lab-report.schema.json");
    let published = fs::read_to_string(&path).unwrap_or_default();
    assert!(
        published == schema(),
        "the schema has changed; run: cargo run -p weir-e2e --bin lab -- schema > docs/reference/lab-report.schema.json"
    );
}
