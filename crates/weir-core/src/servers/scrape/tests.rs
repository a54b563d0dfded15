//! Pages that are read, and pages that are garbled, each with the sentence that says so.

#![expect(
    clippy::float_cmp,
    reason = "what is written in a page is read exactly"
)]

use super::*;

const QUIET: &str = include_str!("../../../tests/fixtures/kube_apiserver_1_36_3_quiet.txt");
const STORM: &str =
    include_str!("../../../tests/fixtures/kube_apiserver_1_36_3_queued_and_refused_2.txt");

fn collect(page: &str) -> Result<Scrape, ScrapeError> {
    let mut collector = Collector::default();
    for chunk in page.as_bytes().chunks(4096) {
        collector.push(chunk);
    }
    collector.finish()
}

fn garbled(page: &str) -> String {
    match collect(page) {
        Err(ScrapeError::Garbled { why }) => why,
        other => panic!("not garbled: {other:?}"),
    }
}

/// The quiet page with the lines of one metric replaced.
fn quiet_but(metric: &str, line: &str) -> String {
    let is_other = |line: &&str| !line.starts_with(metric);
    let mut page: String = QUIET
        .lines()
        .filter(is_other)
        .flat_map(|line| [line, "\n"])
        .collect();
    page.push_str(line);
    page
}

#[test]
fn a_quiet_page_has_no_lines_for_what_never_happened() {
    let scrape = collect(QUIET).expect("a real page");
    assert_eq!(scrape.started, 1_795_295_987_120);
    assert_eq!(scrape.cpu_seconds, 0.89);
    assert_eq!(scrape.cpu_limit_cores, Some(2.0));
    assert_eq!(scrape.resident_bytes, 294_006_784.0);
    assert_eq!((scrape.inflight, scrape.refused), (0.0, 0.0));
    assert!(scrape.levels.is_empty());
}

#[test]
fn a_storms_page_adds_up_each_level() {
    let scrape = collect(STORM).expect("a real page");
    let small = Level {
        wait_seconds: 184.198_706_714_000_28 + 0.006_264_079_999_999_995,
        waited: 1169.0,
        rejected: 619.0,
        in_queue: 0.0,
    };
    assert_eq!(scrape.levels, BTreeMap::from([("small".to_owned(), small)]));
    assert_eq!((scrape.inflight, scrape.refused), (44.0, 619.0));
}

#[test]
fn an_eviction_refused_by_a_disruption_budget_is_not_the_servers_refusal() {
    let evictions = "apiserver_request_total{code=\"429\",resource=\"pods\",subresource=\"eviction\"} 9\n\
                     apiserver_request_total{code=\"429\",resource=\"pods\",subresource=\"\"} 2\n";
    let scrape = collect(&quiet_but("apiserver_request_total", evictions)).expect("a whole page");
    assert_eq!(scrape.refused, 2.0);
}

#[test]
fn the_exempt_level_is_left_out_and_countless_levels_become_one() {
    let line = |level: &str| format!("{IN_QUEUE}{{priority_level=\"{level}\"}} 1\n");
    let levels: String = (0..500)
        .map(|level| line(&format!("level-{level}")))
        .collect();
    let page = quiet_but(IN_QUEUE, &(line(EXEMPT) + &levels));
    let scrape = collect(&page).expect("a whole page");
    assert_eq!(scrape.levels.len(), MAX_LEVELS + 1);
    assert!(!scrape.levels.contains_key(EXEMPT));
    let waiting: f64 = scrape.levels.values().map(|level| level.in_queue).sum();
    assert_eq!(waiting, 500.0);
}

#[test]
fn a_page_that_misses_what_every_server_tells_is_garbled() {
    for metric in [STARTED, CPU_SECONDS, RESIDENT_BYTES, INFLIGHT] {
        let expected = format!("{metric} is missing, which every kube-apiserver has");
        assert_eq!(garbled(&quiet_but(metric, "")), expected);
    }
    assert!(garbled("# nothing but a comment\n").contains("is missing"));
    assert_eq!(garbled(""), "it is empty");
    let unlimited = collect(&quiet_but(CPU_LIMIT, "")).expect("only some builds tell it");
    assert_eq!(unlimited.cpu_limit_cores, None);
}

#[test]
fn a_page_that_was_cut_in_a_line_is_garbled() {
    let (before, after) = STORM
        .split_once("process_start_time_seconds 1")
        .expect("it tells its start");
    assert!(
        garbled(&format!("{before}process_start_time_seconds 1"))
            .starts_with("it was cut in line ")
    );
    assert!(collect(&format!("{before}process_start_time_seconds 1{after}")).is_ok());
}

#[test]
fn a_page_that_was_cut_between_two_lines_is_whole_or_garbled_but_never_less() {
    let whole = collect(STORM).expect("a real page");
    let ends = STORM.match_indices('\n').map(|(end, _)| end + 1);
    let (mut garbled, mut read) = (0, 0);
    for end in ends.step_by(7) {
        match collect(&STORM[..end]) {
            Ok(scrape) => {
                assert_eq!(scrape, whole);
                read += 1;
            }
            Err(error) => {
                assert!(error.to_string().contains("is missing"), "{error}");
                garbled += 1;
            }
        }
    }
    assert!(garbled > 50 && read > 10, "{garbled} garbled, {read} read");
}

#[test]
fn another_format_is_garbled() {
    let html = "<html>\n<body>\n<h1>502 Bad Gateway</h1>\n</body>\n</html>\n";
    assert_eq!(
        garbled(html),
        "of 5 lines, 5 lines were not understood (5 not a sample), the first is line 1"
    );
}

#[test]
fn one_wanted_line_that_is_not_understood_is_enough() {
    let page = quiet_but(
        REJECTED,
        "apiserver_flowcontrol_rejected_requests_total{a=b} 1\n",
    );
    assert!(garbled(&page).contains("1 with unreadable labels"));
    let page = quiet_but("other", "<a stray line>\n");
    assert!(
        collect(&page).is_ok(),
        "one line of another metric may be torn"
    );
}

#[test]
fn numbers_that_cannot_be_true_are_garbled() {
    let page = quiet_but(CPU_SECONDS, "process_cpu_seconds_total NaN\n");
    assert_eq!(garbled(&page), "process_cpu_seconds_total is NaN");
    let page = quiet_but(RESIDENT_BYTES, "process_resident_memory_bytes -1\n");
    assert_eq!(garbled(&page), "process_resident_memory_bytes is -1");
    let page = quiet_but(STARTED, "process_start_time_seconds 1e300\n");
    assert!(garbled(&page).starts_with("process_start_time_seconds is 1"));
    let page = quiet_but(
        IN_QUEUE,
        "apiserver_flowcontrol_current_inqueue_requests 1\n",
    );
    assert!(garbled(&page).ends_with("has no label priority_level"));
}
