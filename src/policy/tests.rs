//! Tests of the lowering, the selection and the conditions.

use std::collections::BTreeMap;

use proptest::prelude::*;
use serde_json::{Value, json};
use weir_core::{
    policy::{DnsRequired, Policy, Servers, Stock},
    time::Span,
};

use super::{forms::Form, stricter::stricter, *};
use crate::api::{
    RolloutPolicy, RolloutPolicySpec,
    forms::{Duration, Percent, Size},
};

fn spec(spec: Value) -> RolloutPolicySpec {
    serde_json::from_value(spec).unwrap()
}

fn policies<const N: usize>(all: [(&str, Value); N]) -> Policies {
    let all = all.map(|(name, value)| RolloutPolicy::new(name, spec(value)));
    Policies::new(&all)
}

fn labels<const N: usize>(all: [(&str, &str); N]) -> BTreeMap<String, String> {
    BTreeMap::from(all.map(|(key, value)| (key.to_owned(), value.to_owned())))
}

fn problems(value: Value) -> Vec<String> {
    lower(&spec(value))
        .unwrap_err()
        .iter()
        .map(ToString::to_string)
        .collect()
}

#[test]
fn an_empty_policy_is_the_careful_preset() {
    assert_eq!(lower(&spec(json!({}))), Ok(Policy::careful()));
    assert_eq!(lower(&spec(json!({ "pace": "Fast" }))), Ok(Policy::fast()));
}

#[test]
fn every_field_overrides_the_preset() {
    // No value is a preset's, and no two fields have the same, so that none can be swapped.
    let lowered = lower(&spec(json!({
        "pace": "Fast",
        "waves": { "canary": "2%", "growth": 3, "maxStep": "40%", "releasesPerSecond": 7.5 },
        "soak": "45s",
        "spreadBy": "rack",
        "harm": {
            "latencyFloor": "250ms",
            "latencyFactor": 8,
            "queued": 2.5,
            "rejectedPerSecond": 1.5,
            "memoryGrowth": "60%",
            "memoryGrowthFloor": "1Gi",
            "objective": "99.5%",
            "restartQuiet": "2m",
            "clearAfter": "11s",
        },
        "forecast": {
            "act": "Tell", "budget": "60%", "unison": "20s",
            "beyondUnison": "Pace", "patience": "3m",
        },
        "capacity": { "cpu": 3.5, "memory": "8Gi" },
        "pods": { "unhealthy": "6%", "scheduleWithin": "3m", "readyWithin": "1h" },
        "required": { "apiServers": 5, "dns": "Always" },
        "starvingNodes": "4%",
    })))
    .unwrap();
    let expected = Policy {
        canary: 0.02,
        growth: 3.0,
        max_step: 0.4,
        soak: Span::from_secs(45),
        undisturbed: None,
        releases_per_second: 7.5,
        spread_by: "rack".to_owned(),
        harm: weir_core::policy::HarmLimits {
            latency_floor_ms: 250.0,
            latency_factor: 8.0,
            queued: 2.5,
            rejected_per_second: 1.5,
            memory_growth: 0.6,
            memory_growth_floor_bytes: 1024.0 * 1024.0 * 1024.0,
            objective: 0.995,
            restart_quiet: Span::from_secs(120),
            clear_after: Span::from_secs(11),
        },
        forecast: weir_core::policy::Foresight {
            holds: false,
            budget: 0.6,
            cores: Stock::Stated(3.5),
            memory_bytes: Stock::Stated(8.0 * 1024.0 * 1024.0 * 1024.0),
            unison: Span::from_secs(20),
            paces: true,
            patience: Span::from_secs(180),
        },
        pods: weir_core::policy::PodLimits {
            unhealthy: 0.06,
            schedule_within: Span::from_secs(180),
            ready_within: Span::from_secs(3600),
        },
        required: weir_core::policy::Required {
            servers: Servers::Stated(5),
            dns: DnsRequired::Always,
        },
        starving_per_ten_minutes: 0.04,
    };
    assert_eq!(lowered, expected);
}

#[test]
fn an_undisturbed_stretch_is_demanded_before_a_tenth_unless_it_is_said_otherwise() {
    let demanded = |undisturbed| {
        let policy = lower(&spec(json!({ "undisturbed": undisturbed }))).unwrap();
        let demand = policy.undisturbed.unwrap();
        (demand.stretch, demand.before)
    };
    let hours = |hours: u64| Span::from_secs(hours * 3600);
    assert_eq!(demanded(json!({ "stretch": "4h" })), (hours(4), 0.1));
    assert_eq!(
        demanded(json!({ "stretch": "72h", "before": "5%" })),
        (hours(72), 0.05)
    );
    let wrong = json!({ "undisturbed": { "stretch": "30s" } });
    assert_eq!(
        problems(wrong),
        ["spec.undisturbed.stretch: 30s is not between 1m and 72h"]
    );
}

#[test]
fn all_problems_are_told_at_once_and_say_what_to_write() {
    assert_eq!(
        problems(json!({
            "waves": { "canary": "a bit", "growth": 1 },
            "soak": "25h",
            "harm": { "memoryGrowthFloor": "512MB", "latencyFloor": "2s" },
            "forecast": { "budget": "0%", "unison": "2h", "patience": "soon" },
            "capacity": { "cpu": 0, "memory": "1Mi" },
            "required": { "apiServers": 0 },
        })),
        [
            "spec.waves.canary: `a bit` is not a percentage such as `1%` or `0.25%`",
            "spec.waves.growth: 1 is not between 1.01 and 10",
            "spec.soak: 25h is not between 1s and 24h",
            "spec.harm.latencyFloor: 2s is not between 1ms and 1s",
            "spec.harm.memoryGrowthFloor: `512MB` is not a size such as `512Mi` (units Ki, Mi, Gi)",
            "spec.forecast.budget: 0% is not between 0.01% and 100%",
            "spec.forecast.unison: 2h is not between 1s and 1h",
            "spec.forecast.patience: `soon` is not a duration such as `90s` (units ms, s, m, h)",
            "spec.capacity.cpu: 0 is not between 0.1 and 1024",
            "spec.capacity.memory: 1Mi is not between 64Mi and 16777216Mi",
            "spec.required.apiServers: 0 is not between 1 and 32",
        ]
    );
}

#[test]
fn a_canary_that_contradicts_the_preset_s_step_is_found() {
    assert_eq!(
        problems(json!({ "waves": { "canary": "50%" } })),
        [
            "spec.waves.canary: a canary of 50% is larger than the largest step of 9% (by preset \
          Careful where not stated): the first wave is a step too"
        ]
    );
    assert!(
        lower(&spec(
            json!({ "pace": "Fast", "waves": { "canary": "50%" } })
        ))
        .is_ok()
    );
}

#[test]
fn texts_without_a_meaning_are_refused() {
    for text in [
        "", "s", "5", "5 s", "-5s", "1.5s", "5d", "1h30m", "1000000s", "5S",
    ] {
        assert_eq!(Duration::from(text).meaning(), None, "{text}");
    }
    for text in [
        "", "%", "5", "-1%", "+1%", "1e1%", "inf%", "NaN%", ".5%", "5.%", "1.2.3%",
    ] {
        assert_eq!(Percent::from(text).meaning(), None, "{text}");
    }
    for text in ["", "Mi", "5", "5M", "5MB", "0.5Gi", "-5Mi", "1000000Mi"] {
        assert_eq!(Size::from(text).meaning(), None, "{text}");
    }
}

/// The pattern that the schema of a form has.
fn pattern<F: schemars::JsonSchema>() -> String {
    let schema = schemars::SchemaGenerator::default().into_root_schema_for::<F>();
    schema
        .get("pattern")
        .and_then(Value::as_str)
        .expect("a form has a pattern")
        .to_owned()
}

fn written_as<F: schemars::JsonSchema>() -> impl Strategy<Value = String> {
    let pattern = pattern::<F>();
    let inner = pattern
        .trim_start_matches('^')
        .trim_end_matches('$')
        .to_owned();
    proptest::string::string_regex(&inner).unwrap()
}

proptest! {
    #[test]
    fn whatever_the_schema_lets_through_has_a_meaning(
        duration in written_as::<Duration>(),
        percent in written_as::<Percent>(),
        size in written_as::<Size>(),
    ) {
        prop_assert!(Duration(duration).meaning().is_some_and(|span| span > Span::ZERO));
        prop_assert!(Percent(percent).meaning().is_some_and(|share| (0.0..=1.0).contains(&share)));
        prop_assert!(Size(size).meaning().is_some_and(|bytes| bytes >= 1024.0));
    }

    #[test]
    fn what_is_shown_means_the_same_again(duration in written_as::<Duration>()) {
        let span = Duration(duration).meaning().unwrap();
        prop_assert_eq!(Duration(Duration::show(&span)).meaning(), Some(span));
    }
}

#[test]
fn no_policy_means_the_built_in_careful() {
    let choice = policies([]).select(&labels([]), &labels([]));
    assert_eq!(
        choice,
        Choice {
            policy: Policy::careful(),
            windows: vec![],
            names: vec![],
            notes: vec![],
            dependencies: BTreeMap::new(),
        }
    );
}

#[test]
fn a_policy_applies_where_both_selectors_match() {
    let all = policies([(
        "logs",
        json!({
            "pace": "Fast",
            "workloads": {
                "namespaceSelector": { "matchLabels": { "team": "a" } },
                "selector": { "matchExpressions": [
                    { "key": "app", "operator": "In", "values": ["logs", "traces"] },
                    { "key": "legacy", "operator": "DoesNotExist" },
                ] },
            },
        }),
    )]);
    let names = |namespace: &[(&str, &str)], template: &[(&str, &str)]| {
        let of = |pairs: &[(&str, &str)]| {
            pairs
                .iter()
                .map(|(key, value)| ((*key).to_owned(), (*value).to_owned()))
                .collect()
        };
        all.select(&of(namespace), &of(template)).names
    };
    assert_eq!(names(&[("team", "a")], &[("app", "logs")]), ["logs"]);
    assert_eq!(names(&[("team", "b")], &[("app", "logs")]), [""; 0]);
    assert_eq!(names(&[("team", "a")], &[("app", "web")]), [""; 0]);
    assert_eq!(
        names(&[("team", "a")], &[("app", "logs"), ("legacy", "yes")]),
        [""; 0]
    );
}

#[test]
fn of_two_policies_the_stricter_of_each_field_applies_and_both_say_so() {
    let all = policies([
        (
            "brisk",
            json!({ "pace": "Fast", "soak": "2m", "spreadBy": "rack" }),
        ),
        ("calm", json!({ "waves": { "releasesPerSecond": 50 } })),
    ]);
    let choice = all.select(&labels([]), &labels([]));
    let expected = Policy {
        soak: Span::from_secs(120),
        spread_by: "rack".to_owned(),
        ..Policy::careful()
    };
    assert_eq!(choice.policy, expected);
    assert_eq!(choice.names, ["brisk", "calm"]);
    assert_eq!(
        choice.notes,
        [
            "policies brisk, calm all match: the stricter of each field applies",
            "they differ in spreadBy: waves are spread over `rack`, as brisk says",
        ]
    );
    let conditions = all.conditions("calm", [("shop/logs", &choice)]).unwrap();
    assert!(conditions.matched.holds);
    assert_eq!(conditions.matched.reason, Reason::Overlaps);
    assert_eq!(
        conditions.matched.message,
        "enrolled workloads matched: 1; to shop/logs, for one, policy brisk applies too: the stricter \
         of each field is used"
    );
}

#[test]
fn a_wrong_policy_never_loosens_anything() {
    let all = policies([("wrong", json!({ "pace": "Fast", "soak": "soon" }))]);
    let choice = all.select(&labels([]), &labels([]));
    assert_eq!(choice.policy, Policy::careful());
    assert_eq!(
        choice.notes,
        ["policy wrong is wrong: the built-in Careful stands in for it"]
    );
    let conditions = all.conditions("wrong", [("shop/logs", &choice)]).unwrap();
    assert!(!conditions.ready.holds);
    assert_eq!(conditions.ready.reason, Reason::Invalid);
    assert_eq!(
        conditions.ready.message,
        "spec.soak: `soon` is not a duration such as `90s` (units ms, s, m, h); until then the \
         built-in Careful applies to the workloads it selects"
    );
}

#[test]
fn a_selector_that_cannot_be_evaluated_selects_nothing_and_says_so() {
    let selector = json!({ "matchExpressions": [{ "key": "a", "operator": "Near" }] });
    let all = policies([("odd", json!({ "workloads": { "selector": selector } }))]);
    assert_eq!(
        all.select(&labels([]), &labels([("a", "b")])).names,
        [""; 0]
    );
    let conditions = all.conditions("odd", []).unwrap();
    assert_eq!(conditions.ready.reason, Reason::Invalid);
    assert!(
        conditions
            .ready
            .message
            .ends_with("until then it selects nothing")
    );
    assert_eq!((conditions.matched.holds, conditions.workloads), (false, 0));
}

#[test]
fn a_contradictory_policy_and_one_that_matches_nothing_say_so() {
    let all = policies([("wide", json!({ "waves": { "canary": "50%" } }))]);
    let conditions = all.conditions("wide", []).unwrap();
    assert_eq!(conditions.ready.reason.as_str(), "Contradictory");
    assert_eq!(conditions.matched.reason.as_str(), "MatchesNothing");
    assert!(!conditions.ready.holds && !conditions.matched.holds);
    assert_eq!(all.conditions("other", []), None);
}

#[test]
fn a_valid_policy_that_matches_is_ready() {
    let all = policies([("fine", json!({}))]);
    let choice = all.select(&labels([]), &labels([]));
    let other = Choice {
        names: vec!["other".to_owned()],
        ..choice.clone()
    };
    let conditions = all
        .conditions(
            "fine",
            [("a/x", &choice), ("a/y", &choice), ("b/z", &other)],
        )
        .unwrap();
    assert!(conditions.ready.holds && conditions.matched.holds);
    assert_eq!(
        (conditions.ready.reason, conditions.matched.reason),
        (Reason::Valid, Reason::Matches)
    );
    assert_eq!(conditions.workloads, 2);
}

#[test]
fn stricter_is_stricter_in_every_field_whichever_comes_first() {
    let (one, other) = (Policy::careful(), Policy::fast());
    // The presets differ in growth, step and soak only; careful is the stricter in all of them.
    assert_eq!(stricter(&one, &other), one);
    assert_eq!(stricter(&other, &one), one);

    let lowered = |value| lower(&spec(value)).unwrap();
    let loose = lowered(json!({
        "harm": {
            "latencyFloor": "1s", "latencyFactor": 9, "queued": 9, "rejectedPerSecond": 9,
            "memoryGrowth": "90%", "memoryGrowthFloor": "9Gi", "restartQuiet": "1s",
            "clearAfter": "1s",
        },
        "pods": { "unhealthy": "90%", "scheduleWithin": "9m", "readyWithin": "9h" },
        "required": { "apiServers": 1 },
        "starvingNodes": "90%",
        "waves": { "canary": "9%", "growth": 9, "maxStep": "90%", "releasesPerSecond": 90 },
        "soak": "1s",
    }));
    assert_eq!(stricter(&loose, &one), one);
    assert_eq!(stricter(&one, &loose), one);
}

#[test]
fn fewer_required_api_servers_are_only_enough_if_every_policy_says_so() {
    let servers = |one: Value, other: Value| {
        let lowered = |required| lower(&spec(json!({ "required": required }))).unwrap();
        stricter(&lowered(one), &lowered(other)).required.servers
    };
    assert_eq!(
        servers(json!({}), json!({ "apiServers": 1 })),
        Servers::AsFound { at_least: 1 }
    );
    assert_eq!(
        servers(json!({ "apiServers": 3 }), json!({})),
        Servers::AsFound { at_least: 3 }
    );
    assert_eq!(
        servers(json!({ "apiServers": 2 }), json!({ "apiServers": 1 })),
        Servers::Stated(2)
    );
}

#[test]
fn dns_may_be_passed_over_only_if_every_policy_says_so() {
    let dns = |one: &str, other: &str| {
        let lowered = |dns: &str| lower(&spec(json!({ "required": { "dns": dns } }))).unwrap();
        stricter(&lowered(one), &lowered(other)).required.dns
    };
    assert_eq!(dns("Never", "Never"), DnsRequired::Never);
    assert_eq!(dns("Never", "WhereMeasured"), DnsRequired::WhereMeasured);
    assert_eq!(dns("Always", "Never"), DnsRequired::Always);
    assert_eq!(Policy::careful().required.dns, DnsRequired::WhereMeasured);
}

#[test]
fn a_stated_capacity_is_never_more_than_another_policy_goes_by() {
    let cores = |one: Value, other: Value| {
        let lowered = |capacity| lower(&spec(json!({ "capacity": capacity }))).unwrap();
        stricter(&lowered(one), &lowered(other)).forecast.cores
    };
    let at_most = |cores| Stock::AsFound { at_most: cores };
    assert_eq!(cores(json!({}), json!({})), at_most(None));
    assert_eq!(cores(json!({ "cpu": 8 }), json!({})), at_most(Some(8.0)));
    assert_eq!(cores(json!({}), json!({ "cpu": 8 })), at_most(Some(8.0)));
    assert_eq!(
        cores(json!({ "cpu": 8 }), json!({ "cpu": 4 })),
        Stock::Stated(4.0)
    );
    let bounded = Stock::AsFound { at_most: Some(6.0) };
    let mut one = Policy::fast();
    one.forecast.cores = bounded;
    let mut other = Policy::fast();
    other.forecast.cores = Stock::Stated(8.0);
    assert_eq!(stricter(&one, &other).forecast.cores, bounded);
    assert_eq!(stricter(&other, &one).forecast.cores, bounded);
}

#[test]
fn the_most_api_servers_that_any_policy_states_count() {
    let required = |servers: u32| json!({ "required": { "apiServers": servers } });
    let stated = |all: Policies| all.most_servers_stated();
    assert_eq!(stated(policies([])), 0);
    assert_eq!(stated(policies([("a", json!({}))])), 0);
    let three = policies([("a", required(1)), ("b", required(3)), ("c", json!({}))]);
    assert_eq!(stated(three), 3);
}

/// A dependency on a page of a host.
fn page(name: &str, host: &str) -> Value {
    let url = format!("https://{host}/");
    json!({ "name": name, "http": { "url": url, "jsonPath": "$.s", "equals": "ok" } })
}

#[test]
fn a_workload_depends_on_what_any_of_its_policies_does() {
    let all = policies([
        (
            "one",
            json!({ "dependencies": [page("cloud", "a"), page("mail", "m")] }),
        ),
        (
            "other",
            json!({ "dependencies": [page("cloud", "b"), page("mail", "m")] }),
        ),
    ]);
    let names: Vec<_> = all
        .select(&labels([]), &labels([]))
        .dependencies
        .into_keys()
        .collect();
    assert_eq!(names, ["mail", "one/cloud", "other/cloud"]);
    let asked = all
        .dependencies()
        .map(|(policy, name, _)| format!("{policy} {name}"));
    assert_eq!(
        asked.collect::<Vec<_>>(),
        ["one cloud", "one mail", "other cloud", "other mail"]
    );
}

#[test]
fn a_dependency_that_cannot_be_asked_makes_its_policy_wrong_and_stays() {
    let mut wrong = page("cloud", "a");
    wrong["http"]["jsonPath"] = json!("$..s");
    let all = policies([("one", json!({ "pace": "Fast", "dependencies": [wrong] }))]);
    let choice = all.select(&labels([]), &labels([]));
    assert_eq!(choice.policy, Policy::careful());
    let why = choice.dependencies["cloud"].asks.as_ref().unwrap_err();
    assert!(
        why.starts_with("spec.dependencies[cloud].http.jsonPath: "),
        "{why}"
    );
    let conditions = all.conditions("one", []).unwrap();
    assert_eq!(conditions.ready.reason, Reason::Invalid);
    assert!(
        conditions.ready.message.contains(why),
        "{}",
        conditions.ready.message
    );
}
