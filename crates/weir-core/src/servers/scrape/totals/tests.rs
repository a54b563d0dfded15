//! What is counted, in all and of each FlowSchema, on real pages and on none.

#![expect(
    clippy::float_cmp,
    reason = "what is written in a page is read exactly"
)]

use super::*;
use crate::servers::{Collector, Scrape, ScrapeError};

const METERED: &str =
    include_str!("../../../../tests/fixtures/kube_apiserver_1_36_3_metered_2.txt");
const BARE: &str = "apiserver_current_inflight_requests 0\nprocess_cpu_seconds_total 1\n\
                    process_resident_memory_bytes 1\nprocess_start_time_seconds 1\n";

fn collect(page: &str) -> Result<Scrape, ScrapeError> {
    let mut collector = Collector::default();
    collector.push(page.as_bytes());
    collector.finish()
}

/// The totals of a page that has these lines and what is required.
fn totals(lines: &str) -> Totals {
    let page = format!("{lines}{BARE}");
    collect(&page).expect("a whole page").totals
}

fn dispatched(schema: &str, level: &str, count: u32) -> String {
    format!("{DISPATCHED}{{flow_schema=\"{schema}\",priority_level=\"{level}\"}} {count}\n")
}

#[test]
fn a_real_page_tells_each_account_apart_that_has_a_meter() {
    let totals = collect(METERED).expect("a real page").totals;
    let metered = SchemaCount {
        level: "workload-low".to_owned(),
        dispatched: 15.0,
        execution_seconds: 0.693_931_912,
        estimated_seats: 150.0,
        rejected: 0.0,
    };
    assert_eq!(totals.schemas["weir-meter-default.agent-a"].count, metered);
    let other = &totals.schemas["weir-meter-default.agent-b"].count;
    assert_eq!((other.dispatched, other.estimated_seats), (3.0, 3.0));
    assert_eq!(other.execution_seconds, 0.003_125_5 + 0.001_390_179);
    assert_eq!(totals.schemas["exempt"].count.level, "exempt");
    assert_eq!(totals.schemas.len(), 7);
    assert_eq!(totals.memory_limit_bytes, None);
    assert_eq!(totals.version.as_deref(), Some("v1.36.3"));
    assert_eq!((totals.pods, totals.watches), (Some(201.0), 13.0));
    assert_eq!(totals.etcd_requests, 2274.0);
    assert_eq!(totals.response_bytes, 49_195_165.0);
    assert_eq!(totals.seats["workload-low"], 245.0);
    assert_eq!(totals.seats.len(), 8);
}

#[test]
fn a_page_without_any_of_it_counts_nothing() {
    assert_eq!(totals(""), Totals::default());
}

#[test]
fn a_schema_is_at_the_level_where_its_last_requests_were() {
    let level = |totals: &Totals| totals.schemas["a"].count.level.clone();
    let before = totals(&dispatched("a", "old", 900));
    let moved = dispatched("a", "old", 900) + &dispatched("a", "new", 3);
    let mut after = totals(&moved);
    assert_eq!(level(&after), "old", "one page cannot tell");
    assert_eq!(after.schemas["a"].count.dispatched, 903.0);
    after.follow(&before);
    assert_eq!(level(&after), "new");
    let mut idle = totals(&moved);
    idle.follow(&after);
    assert_eq!(level(&idle), "new", "no request since has told otherwise");
}

#[test]
fn a_schema_that_is_only_refused_has_the_level_that_refused_it() {
    let refused =
        format!("{REJECTED}{{flow_schema=\"a\",priority_level=\"small\",reason=\"time-out\"}} 2\n");
    let count = &totals(&refused).schemas["a"].count;
    assert_eq!((count.level.as_str(), count.rejected), ("small", 2.0));
}

#[test]
fn countless_schemas_become_one() {
    let lines: String = (0..MAX_OTHERS + 50)
        .map(|schema| dispatched(&format!("schema-{schema}"), "low", 2))
        .collect();
    let schemas = totals(&lines).schemas;
    assert_eq!(schemas.len(), MAX_OTHERS + 1);
    assert_eq!(schemas[OTHER_SCHEMAS].count.dispatched, 100.0);
}

/// Their names come last: others' FlowSchemas must not push them out.
#[test]
fn meters_are_told_apart_however_many_others_there_are() {
    let many = |name: &str, number: usize| -> String {
        let line = |index| dispatched(&format!("{name}{index}"), "low", 2);
        (0..number).map(line).collect()
    };
    let lines = many("schema-", MAX_OTHERS + 50) + &dispatched("weir-meter-shop.logs", "low", 7);
    let schemas = totals(&lines).schemas;
    assert_eq!(schemas["weir-meter-shop.logs"].count.dispatched, 7.0);
    let lines = many(METERS, MAX_METERS + 50) + &many("schema-", MAX_OTHERS + 50);
    let schemas = totals(&lines).schemas;
    assert_eq!(schemas.len(), crate::usage::MAX_SCHEMAS);
    assert_eq!(schemas[OTHER_METERS].count.dispatched, 100.0);
    assert_eq!(schemas[OTHER_SCHEMAS].count.dispatched, 100.0);
}

#[test]
fn a_schema_that_is_moved_again_and_again_keeps_few_levels() {
    let lines: String = (0..50)
        .map(|level| dispatched("a", &format!("level-{level}"), 1))
        .collect();
    let schema = &totals(&lines).schemas["a"];
    assert_eq!(schema.dispatched.len(), MAX_MOVES);
    assert_eq!(schema.count.dispatched, 50.0);
}

#[test]
fn what_a_level_has_at_present_stands_for_nominal_seats_that_are_not_told() {
    let current = format!("{CURRENT_SEATS}{{priority_level=\"low\"}} 9\n");
    assert_eq!(totals(&current).seats["low"], 9.0);
    let nominal = format!("{NOMINAL_SEATS}{{priority_level=\"low\"}} 7\n");
    assert_eq!(totals(&(current + &nominal)).seats["low"], 7.0);
}

#[test]
fn seats_that_requests_take_are_added_up_by_level() {
    let taken = |schema: &str, level: &str, seats: u32| {
        format!(
            "{EXECUTING_SEATS}{{flow_schema=\"{schema}\",priority_level=\"{level}\"}} {seats}\n"
        )
    };
    let lines = taken("a", "low", 3) + &taken("b", "low", 10) + &taken("c", "high", 1);
    let seats = totals(&lines).executing_seats;
    assert_eq!((seats["low"], seats["high"]), (13.0, 1.0));
}

#[test]
fn pods_that_the_store_does_not_tell_are_unknown_and_garble_nothing() {
    let lines = |count: &str| {
        format!(
            "{OBJECTS}{{group=\"metrics.k8s.io\",resource=\"pods\"}} 3\n\
             {OBJECTS}{{group=\"\",resource=\"pods\"}} {count}\n"
        )
    };
    assert_eq!(totals(&lines("-1")).pods, None);
    assert_eq!(totals(&lines("12")).pods, Some(12.0));
    let older = format!("{STORED_OBJECTS}{{resource=\"pods\"}} 5\n");
    assert_eq!(totals(&older).pods, Some(5.0));
}

#[test]
fn a_memory_limit_is_told_where_there_is_one() {
    let lines = |limit: &str| format!("{MEMORY_LIMIT} {limit}\n");
    assert_eq!(totals(&lines("2e+09")).memory_limit_bytes, Some(2e9));
    let none = totals(&lines("9.223372036854776e+18"));
    assert_eq!(none.memory_limit_bytes, None);
}

#[test]
fn a_count_of_no_schema_garbles_the_page() {
    let page = format!("{DISPATCHED}{{priority_level=\"low\"}} 1\n{BARE}");
    let error = collect(&page).expect_err("no schema").to_string();
    assert!(error.ends_with("has no label flow_schema"), "{error}");
}
