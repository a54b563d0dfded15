//! What kstatus, and so `helm --wait`, Flux and others, make of each thing that Weir may say of its objects.

use std::collections::BTreeSet;

use kube::{CustomResourceExt, core::Status as Refusal};
use serde_json::Value;
use weir_core::{
    plan::{self, Plan, Report, Rule},
    time::Moment,
};

use super::{
    control_plane::{
        Survey,
        tests::{absent, slow, status as of_control_plane, world},
    },
    *,
};
use crate::{
    act::{enact::Outcome, permit::Unwritten},
    api::{Mode as Asked, RolloutPolicySpec},
    guard::{rollout::Judged, roster::NONE},
    observe::DaemonSetView,
};

const NOW: Moment = Moment::from_millis(1_800_000_000_000);
const PAGE: &str = include_str!("../../../docs/reference/conditions.md");

/// What kstatus makes of an object of generation 1: what it does with kinds that it does not know.
fn kstatus(status: &Value, generation: i64) -> &'static str {
    let seen = status["observedGeneration"].as_i64();
    if seen.is_some_and(|seen| seen != generation) {
        return "InProgress";
    }
    for (kind, verdict) in [("Reconciling", "InProgress"), ("Stalled", "Failed")] {
        if condition(status, kind) == "True" {
            return verdict;
        }
    }
    match condition(status, "Ready") {
        "True" | "" => "Current",
        _ => "InProgress",
    }
}

/// The status of a condition; nothing if there is none.
fn condition<'a>(status: &'a Value, kind: &str) -> &'a str {
    let mut all = status["conditions"].as_array().into_iter().flatten();
    let found = all.find(|one| one["type"] == kind);
    found
        .and_then(|one| one["status"].as_str())
        .unwrap_or_default()
}

/// A row of the table in docs/reference/conditions.md.
fn row(kind: &str, what: &str, status: &Value, generation: i64) -> String {
    let conditions = ["Ready", "Reconciling", "Stalled", "Held"];
    let conditions = conditions.map(|kind| match condition(status, kind) {
        "" => "-",
        known => known,
    });
    let verdict = kstatus(status, generation);
    format!(
        "| {kind} | {what} | {} | {verdict} |",
        conditions.join(" | ")
    )
}

fn id() -> RolloutId {
    RolloutId {
        workload: WorkloadKey {
            namespace: "shop".to_owned(),
            name: "logs".to_owned(),
        },
        uid: "u".to_owned(),
        hash: "aaa".to_owned(),
    }
}

fn record() -> GuardedRollout {
    let mut record = rollout::object(&id());
    record.metadata.generation = Some(1);
    record
}

fn judged(state: plan::State) -> Judged {
    let held = plan::Finding {
        rule: Rule::LatencyRegressed,
        severity: plan::Severity::Hold,
        subject: "api-a".to_owned(),
        evidence: "400 ms".to_owned(),
        clears_when: "it is fast".to_owned(),
    };
    let is_held = state == plan::State::Held;
    Judged {
        decision: String::new(),
        report: Report {
            state,
            findings: is_held.then_some(held).into_iter().collect(),
            hold: None,
            width: 4,
            full_width: 200,
            target: 4,
            wave: 3,
            soaked: Span::ZERO,
            soak_needed: Span::ZERO,
            soak_stands_still: None,
            incident: None,
            forecast: None,
            nodes_without_pod: 0,
            summary: state.name().to_owned(),
        },
        plan: Plan {
            intents: Vec::new(),
            look_again: NOW,
        },
    }
}

fn view() -> DaemonSetView {
    DaemonSetView {
        uid: "u".to_owned(),
        generation: 1,
        observed_generation: 1,
        desired: 200,
        updated: 4,
        max_unavailable: 1,
        template_labels: BTreeMap::new(),
        template_hash: "sha256:00".to_owned(),
        template_facts: k8s_openapi::api::core::v1::PodSpec::default(),
        selector: "app=logs".to_owned(),
        revision: Some("aaa".to_owned()),
        revisions: Vec::new(),
        deleting: false,
    }
}

/// What is written of a rollout that was judged so, whose last writes were refused or not.
fn of_rollout(state: plan::State, writes: bool) -> Value {
    let mandate = Mandate::Guard(Mode::Enforce);
    let choice = Policies::new([]).select(&NONE, &NONE);
    let mut rollout = Rollout::take_up(view(), mandate, choice, None, NOW);
    let refusal = || Refusal::failure("no", "Forbidden").with_code(403).boxed();
    for _ in 0..if writes { 0 } else { 3 } {
        let outcome = Outcome {
            error: Some(Unwritten::Failed(kube::Error::Api(refusal()).into())),
            ..Outcome::default()
        };
        rollout.conclude("shop/logs", &outcome, NOW);
    }
    json(&rollout::status(&rollout, &judged(state), &record(), NOW))
}

const STATES: [plan::State; 8] = [
    plan::State::Pending,
    plan::State::Progressing,
    plan::State::Soaking,
    plan::State::Held,
    plan::State::Paused,
    plan::State::Paced,
    plan::State::Complete,
    plan::State::LetGo,
];

/// Each thing that may be said of a GuardedRollout, and its status.
fn rollouts() -> Vec<(String, Value)> {
    let mut all: Vec<_> = STATES
        .map(|state| (format!("`{}`", state.name()), of_rollout(state, true)))
        .to_vec();
    let stranded = rollout::stranded("9 pods stay gated", &record(), NOW);
    let refused = rollout::refused("it is a CNI plugin", "say so", &record(), NOW);
    let mut before = record();
    before.status = serde_json::from_value(of_rollout(plan::State::Held, true)).ok();
    let superseded = rollout::superseded(&before, "bbb", NOW);
    let more = [
        ("`Refused`", json(&refused)),
        ("`Superseded`", json(&superseded)),
        (
            "`Progressing`, held by `WriteFailed`",
            of_rollout(plan::State::Progressing, false),
        ),
        (
            "`Complete`, held by `WriteFailed`",
            of_rollout(plan::State::Complete, false),
        ),
        ("`Held` by `PodsStranded`", json(&stranded)),
    ];
    all.extend(more.map(|(what, status)| (what.to_owned(), status)));
    all
}

fn of_policy(spec: Value) -> Value {
    let spec: RolloutPolicySpec = serde_json::from_value(spec).unwrap();
    let mut policy = RolloutPolicy::new("fleet", spec);
    policy.metadata.generation = Some(1);
    let policies = Policies::new([&policy]);
    let conditions = policies.conditions("fleet", []).unwrap();
    let unheard = Unheard::default();
    let depends = dependencies::Depends::of(&policies, "fleet", &unheard, &world(1));
    json(&policy::status(&conditions, &depends, &policy, NOW))
}

fn of_servers(change: impl FnOnce(&mut World)) -> Value {
    let mut world = world(2);
    change(&mut world);
    json(&of_control_plane(&mut Survey::default(), &world))
}

/// All rows, in the order of the page.
fn rows() -> Vec<String> {
    let mut rows: Vec<_> = rollouts()
        .iter()
        .map(|(what, status)| row("GuardedRollout", what, status, 1))
        .collect();
    let complete = of_rollout(plan::State::Complete, true);
    let changed = "any, its spec changed and not judged since";
    rows.push(row("GuardedRollout", changed, &complete, 2));
    let valid = of_policy(serde_json::json!({}));
    let invalid = of_policy(serde_json::json!({ "waves": { "canary": "none" } }));
    let plane = [
        ("RolloutPolicy", "valid", valid),
        ("RolloutPolicy", "invalid", invalid),
        ("ControlPlane", "quiet", of_servers(|_| {})),
        ("ControlPlane", "an API server suffers", of_servers(slow)),
        (
            "ControlPlane",
            "Weir does not see all it must",
            of_servers(|world| world.expected_servers = absent()),
        ),
    ];
    rows.extend(
        plane
            .iter()
            .map(|(kind, what, status)| row(kind, what, status, 1)),
    );
    rows
}

#[test]
fn the_page_says_what_kstatus_makes_of_each_state() {
    let rows = rows();
    let told: Vec<_> = PAGE
        .lines()
        .filter(|line| {
            [
                "| GuardedRollout |",
                "| RolloutPolicy |",
                "| ControlPlane |",
            ]
            .iter()
            .any(|kind| line.starts_with(kind))
        })
        .collect();
    assert_eq!(
        told,
        rows,
        "docs/reference/conditions.md should say:\n{}",
        rows.join("\n")
    );
}

#[test]
fn no_state_is_left_out() {
    let schema = json(&GuardedRollout::crd());
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/status/properties/state/enum";
    let states = schema.pointer(field).and_then(Value::as_array).unwrap();
    let states: BTreeSet<_> = states.iter().filter_map(Value::as_str).collect();
    let told = rollouts();
    let told: BTreeSet<_> = told
        .iter()
        .filter_map(|(_, one)| one["state"].as_str())
        .collect();
    assert_eq!(told, states);
}

#[test]
fn what_is_held_by_anything_has_the_condition_that_says_so() {
    for (what, status) in rollouts() {
        let is_held = status.get("heldBy").is_some();
        let expected = if is_held { "True" } else { "False" };
        assert_eq!(condition(&status, "Held"), expected, "{what}");
    }
}

#[test]
fn what_is_stranded_is_told_in_the_mode_that_strands_it() {
    let stranded = rollout::stranded("9 pods stay gated", &record(), NOW);
    assert_eq!(stranded.mode, Some(Asked::Observe));
}
