//! Meters come with enrolment, come back after anybody's hand, and go.

use std::collections::BTreeMap;

use serde_json::json;
use weir_core::{evidence::Reading, policy::Mode, time::Span, usage::Meter};

use super::{
    new_daemon_set,
    play::{Play, entry, logs, rows},
};
use crate::{
    act::{failure::Failure, record::Want},
    api::marks,
    meter::{Schema, Schemas},
    observe::{DaemonSetView, WorkloadKey},
};

/// The DaemonSet's pods have no account of their own.
const METER: &str = "weir-meter-shop.default";

fn schemas(play: &mut Play) -> &mut Schemas {
    rows(&mut play.world.cluster.flow_schemas)
}

/// A cluster with a new DaemonSet and the FlowSchema that takes all accounts.
fn metered() -> Play {
    let mut play = new_daemon_set(50);
    let spec = json!({
        "matchingPrecedence": 9000,
        "priorityLevelConfiguration": { "name": "workload-low" },
        "distinguisherMethod": { "type": "ByUser" },
        "rules": [{
            "subjects": [{ "kind": "Group", "group": { "name": "system:serviceaccounts" } }],
            "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                "clusterScope": true, "namespaces": ["*"] }],
            "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
        }],
    });
    let all = Schema {
        uid: "all".to_owned(),
        is_labelled: false,
        is_dangling: false,
        spec: serde_json::from_value(spec).unwrap(),
    };
    schemas(&mut play).insert("service-accounts".to_owned(), all);
    play
}

fn meter(play: &Play) -> Meter {
    play.mind.meters.of(&logs())
}

fn why(play: &Play) -> String {
    match meter(play) {
        Meter::Awaited { why } | Meter::None { why } => why,
        other => panic!("it has a meter: {other:?}"),
    }
}

#[test]
fn a_meter_is_there_before_it_is_told_and_goes_with_enrolment() {
    let mut play = metered();
    play.step();
    assert_eq!(
        why(&play),
        format!("its FlowSchema {METER} is not there yet")
    );
    play.step();
    assert_eq!(meter(&play).schema(), Some(METER));
    play.labels().remove(marks::GUARD);
    assert!(play.until(120, |play| !schemas(play).contains_key(METER)));
    assert_eq!(why(&play), "Weir does not guard it");
    assert!(schemas(&mut play).contains_key("service-accounts"));
}

#[test]
fn whatever_a_hand_did_to_a_meter_is_undone() {
    let mut play = metered();
    play.steps(3);
    let whole = schemas(&mut play)[METER].clone();
    let moved = |mut schema: Schema| {
        schema.spec.priority_level_configuration.name = "exempt".to_owned();
        schema
    };
    let hands: [&dyn Fn(Schema) -> Option<Schema>; 3] =
        [&|_| None, &|schema| Some(moved(schema)), &|schema| {
            Some(Schema {
                is_labelled: false,
                ..schema
            })
        }];
    for hand in hands {
        let schemas = schemas(&mut play);
        let meter = schemas.remove(METER).unwrap();
        schemas.extend(hand(meter).map(|meter| (METER.to_owned(), meter)));
        play.step();
        assert!(why(&play).contains("not there yet"));
        play.step();
        assert_eq!(self::schemas(&mut play)[METER], whole);
        assert_eq!(meter_name(&play).as_deref(), Some(METER));
    }
}

fn meter_name(play: &Play) -> Option<String> {
    meter(play).schema().map(str::to_owned)
}

#[test]
fn what_is_not_freshly_seen_is_left_as_it_is() {
    let mut play = metered();
    play.steps(3);
    let Reading::Fresh(value) = play.world.cluster.flow_schemas.clone() else {
        panic!("it is fresh")
    };
    let silent = [
        Reading::Stale {
            value,
            age: Span::from_secs(100),
        },
        Reading::Absent {
            why: "silent".to_owned(),
        },
    ];
    for reading in silent {
        play.world.cluster.flow_schemas = reading;
        play.labels().remove(marks::GUARD);
        for _ in 0..90 {
            let thought = play.step();
            assert!(entry(&thought, "FlowSchema", METER).is_none());
        }
        assert_eq!(meter(&play).schema(), Some(METER));
    }
    let mut blind = new_daemon_set(5);
    blind.world.cluster.flow_schemas = Reading::Absent {
        why: "not granted".to_owned(),
    };
    blind.step();
    assert!(why(&blind).contains("not granted"));
    assert!(
        blind.until(30, |play| play.out("aaa") > 0),
        "it is no reason to hold"
    );
}

#[test]
fn a_meter_that_may_not_be_written_says_what_to_grant() {
    let mut play = metered();
    play.recorder = false;
    play.step();
    let key = ("FlowSchema".to_owned(), None, METER.to_owned());
    let failure = Failure {
        what: "it could not be written",
        error: "flowschemas is forbidden".to_owned(),
        advice: "grant it",
        passing: false,
    };
    play.world.unrecorded.insert(key, failure);
    play.step();
    let why = why(&play);
    assert!(
        why.contains("flowschemas is forbidden") && why.contains("grant it"),
        "{why}"
    );
}

#[test]
fn a_weir_that_only_reads_writes_no_meter_and_leaves_those_that_are_there() {
    let mut play = metered();
    play.steps(3);
    play.world.cluster.role = Reading::Fresh(None);
    play.world.ceiling = Mode::Observe;
    play.restart();
    for _ in 0..60 {
        let thought = play.step();
        assert!(!thought.lease_wanted);
        assert!(entry(&thought, "FlowSchema", METER).is_none());
    }
    assert!(schemas(&mut play).contains_key(METER));
}

#[test]
fn a_weir_that_withdraws_the_valve_takes_its_meters_along() {
    let mut play = metered();
    play.steps(3);
    play.world.ceiling = Mode::Observe;
    play.restart();
    let thought = play.step();
    let gone = entry(&thought, "FlowSchema", METER).unwrap();
    assert!(matches!(gone.want, Want::Gone { .. }));
    for _ in 0..60 {
        let thought = play.step();
        assert!(entry(&thought, "FlowSchema", METER).is_none());
    }
    let left: Vec<_> = schemas(&mut play).keys().collect();
    assert_eq!(left, ["service-accounts"]);
}

#[test]
fn others_meters_of_the_same_account_are_shared_with_them() {
    let mut play = metered();
    let view: DaemonSetView = play.daemon_sets()[&logs()].clone();
    let view = DaemonSetView {
        uid: "uid-2".to_owned(),
        ..named(view)
    };
    let other = WorkloadKey {
        namespace: "shop".to_owned(),
        name: "other".to_owned(),
    };
    let own = named(play.daemon_sets()[&logs()].clone());
    *play.daemon_sets() = BTreeMap::from([(logs(), own), (other, view)]);
    play.steps(3);
    let shared = Meter::Shared {
        schema: "weir-meter-shop.agent".to_owned(),
        with: "shop/other".to_owned(),
    };
    assert_eq!(meter(&play), shared);
}

fn named(mut view: DaemonSetView) -> DaemonSetView {
    view.template_facts.service_account_name = Some("agent".to_owned());
    view
}
