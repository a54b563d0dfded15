//! Each CEL rule accepts what it should and refuses what it should, evaluated as an API server does
//! but without one; and no rule is without such a pair.

use std::collections::BTreeSet;

use kube::core::cel::{ErrorKind, Validator};
use serde_json::{Value, json};
use weir::api;

use crate::walk;

/// One rule, by where it stands and what it says, with objects on both sides of it.
struct Case {
    kind: &'static str,
    /// Path of the schema node that holds the rule.
    at: &'static str,
    message: &'static str,
    /// For rules about changes: the object before.
    old: Option<Value>,
    accepts: Vec<Value>,
    refuses: Vec<Value>,
}

/// A rule about a RolloutPolicy, by the specs that it accepts and refuses.
fn policy<const A: usize, const R: usize>(
    at: &'static str,
    message: &'static str,
    accepts: [Value; A],
    refuses: [Value; R],
) -> Case {
    let object = |spec: Value| json!({ "metadata": { "name": "any" }, "spec": spec });
    Case {
        kind: "RolloutPolicy",
        at,
        message,
        old: None,
        accepts: accepts.into_iter().map(object).collect(),
        refuses: refuses.into_iter().map(object).collect(),
    }
}

/// A rule about one text of a RolloutPolicy, given as `section.field`.
fn text(
    at: &'static str,
    message: &'static str,
    accepts: &[&'static str],
    refuses: &[&'static str],
) -> Case {
    let spec = |text: &&str| {
        let path = at.strip_prefix("spec.").expect("the field is in the spec");
        let spec = path
            .rsplit('.')
            .fold(json!(text), |below, name| json!({ name: below }));
        json!({ "metadata": { "name": "any" }, "spec": spec })
    };
    Case {
        accepts: accepts.iter().map(spec).collect(),
        refuses: refuses.iter().map(spec).collect(),
        ..policy(at, message, [], [])
    }
}

fn waves() -> Vec<Case> {
    let canary =
        |canary: &str, step: &str| json!({ "waves": { "canary": canary, "maxStep": step } });
    let growth = |growth: f64| json!({ "waves": { "growth": growth } });
    vec![
        policy(
            "spec.waves",
            "canary must not be larger than maxStep: the first wave is a step too",
            [
                canary("1%", "9%"),
                canary("9%", "9%"),
                json!({ "waves": { "canary": "50%" } }),
                json!({ "waves": { "maxStep": "1%" } }),
                json!({}),
            ],
            // As text, 10% would sort before 9%.
            [canary("10%", "9%"), canary("1.5%", "1.25%")],
        ),
        policy(
            "spec.waves.growth",
            "growth must be at least 1.01, else the rollout never gets wider",
            [
                growth(1.01),
                growth(2.0),
                json!({ "waves": { "growth": 2 } }),
            ],
            [
                growth(1.0),
                growth(0.5),
                json!({ "waves": { "growth": 1 } }),
            ],
        ),
        text(
            "spec.waves.canary",
            "canary must be more than 0%",
            &["0.01%", "100%"],
            &["0%", "0.00%"],
        ),
        text(
            "spec.waves.maxStep",
            "maxStep must be more than 0%",
            &["0.01%", "100%"],
            &["0%", "00%"],
        ),
    ]
}

fn texts() -> Vec<Case> {
    vec![
        text(
            "spec.soak",
            "soak is between 1s and 24h",
            &["1s", "90m", "24h"],
            &["999ms", "25h"],
        ),
        text(
            "spec.undisturbed.stretch",
            "stretch is between 1m and 72h",
            &["1m", "4h", "72h"],
            &["59s", "73h"],
        ),
        text(
            "spec.forecast.budget",
            "budget must be more than 0%",
            &["0.01%", "50%", "100%"],
            &["0%", "0.00%"],
        ),
        text(
            "spec.forecast.unison",
            "unison is between 1s and 1h",
            &["1s", "30s", "1h"],
            &["999ms", "2h"],
        ),
        text(
            "spec.forecast.patience",
            "patience is between 1s and 24h",
            &["1s", "1m", "24h"],
            &["999ms", "25h"],
        ),
    ]
}

fn texts_of_harm() -> Vec<Case> {
    vec![
        text(
            "spec.harm.latencyFloor",
            "latencyFloor is at most 1s, Kubernetes' own objective for API latency",
            &["1ms", "1000ms", "1s"],
            &["1001ms", "1m"],
        ),
        text(
            "spec.harm.memoryGrowth",
            "memoryGrowth must be more than 0%",
            &["1%", "100%"],
            &["0%", "0.0%"],
        ),
        text(
            "spec.harm.objective",
            "objective is between 50% and 99.99%",
            &["50%", "99.9%", "99.99%"],
            &["49.99%", "100%"],
        ),
        text(
            "spec.harm.restartQuiet",
            "restartQuiet is at most 1h",
            &["1ms", "60m", "1h"],
            &["61m", "2h"],
        ),
        text(
            "spec.harm.clearAfter",
            "clearAfter is between 1s and 1h",
            &["1s", "3600s"],
            &["999ms", "3601s"],
        ),
    ]
}

fn texts_of_pods() -> Vec<Case> {
    vec![
        text(
            "spec.pods.scheduleWithin",
            "scheduleWithin is between 1s and 1h",
            &["1s", "1h"],
            &["500ms", "61m"],
        ),
        text(
            "spec.pods.readyWithin",
            "readyWithin is between 1s and 24h",
            &["1000ms", "24h"],
            &["1ms", "1441m"],
        ),
    ]
}

/// Policies that depend on one thing: `fields` are added to what is asked by, and null takes one away.
fn depends(by: &str, fields: Value) -> Value {
    let mut source = match by {
        "http" => json!({ "url": "https://a/", "jsonPath": "$.a", "equals": "b" }),
        _ => json!({ "url": "https://a/", "query": "up", "threshold": 1, "comparison": "Below" }),
    };
    if let Value::Object(fields) = fields {
        for (name, value) in fields {
            source[name] = value;
        }
    }
    let source = source.as_object_mut().expect("it is an object");
    source.retain(|_, value| !value.is_null());
    dependency(json!({ by: source }))
}

fn dependency(mut fields: Value) -> Value {
    fields["name"] = json!("cloud");
    json!({ "dependencies": [fields] })
}

fn dependencies() -> Vec<Case> {
    let of = |field: &str, text: &str| {
        let mut one = depends("http", json!({}));
        one["dependencies"][0][field] = json!(text);
        one
    };
    let both = || {
        let mut one = depends("http", json!({}));
        one["dependencies"][0]["prometheus"] =
            depends("prometheus", json!({}))["dependencies"][0]["prometheus"].clone();
        one
    };
    vec![
        policy(
            "spec.dependencies[]",
            "a dependency is asked either by http or by prometheus",
            [depends("http", json!({})), depends("prometheus", json!({}))],
            [dependency(json!({})), both()],
        ),
        policy(
            "spec.dependencies[].every",
            "every is between 10s and 1h",
            [of("every", "10s"), of("every", "1h")],
            [of("every", "9s"), of("every", "61m")],
        ),
        policy(
            "spec.dependencies[].timeout",
            "timeout is between 1s and 30s",
            [of("timeout", "1s"), of("timeout", "30s")],
            [of("timeout", "999ms"), of("timeout", "31s")],
        ),
        policy(
            "spec.dependencies[].silentFor",
            "silentFor is at most 24h",
            [of("silentFor", "0s"), of("silentFor", "24h")],
            [of("silentFor", "25h")],
        ),
        policy(
            "spec.dependencies[].http",
            "what is well is said either by equals or by oneOf",
            [
                depends("http", json!({})),
                depends("http", json!({ "equals": null, "oneOf": ["a", "b"] })),
                depends("http", json!({ "oneOf": [] })),
            ],
            [
                depends("http", json!({ "equals": null })),
                depends("http", json!({ "equals": null, "oneOf": [] })),
                depends("http", json!({ "oneOf": ["a"] })),
            ],
        ),
    ]
}

fn trust() -> Vec<Case> {
    let token = json!({ "name": "a", "key": "b" });
    let tls = json!({ "caSecret": "a" });
    let sources = [
        ("http", "spec.dependencies[].http"),
        ("prometheus", "spec.dependencies[].prometheus"),
    ];
    let of = |(by, at): (&str, &'static str)| {
        [
            policy(
                at,
                "a bearer token is sent by https only",
                [depends(by, json!({ "bearerToken": token }))],
                [depends(
                    by,
                    json!({ "bearerToken": token, "url": "http://a/" }),
                )],
            ),
            policy(
                at,
                "tls is for https only",
                [depends(by, json!({ "tls": tls }))],
                [depends(by, json!({ "tls": tls, "url": "http://a/" }))],
            ),
        ]
    };
    sources.into_iter().flat_map(of).collect()
}

fn selectors() -> Vec<Case> {
    const AT: [&str; 2] = [
        "spec.workloads.namespaceSelector.matchExpressions[]",
        "spec.workloads.selector.matchExpressions[]",
    ];
    let spec = |at: &str, expression: Value| {
        let selector = if at == AT[0] {
            "namespaceSelector"
        } else {
            "selector"
        };
        json!({ "workloads": { selector: { "matchExpressions": [expression] } } })
    };
    let values = |operator: &str| json!({ "key": "a", "operator": operator, "values": ["x"] });
    let bare = |operator: &str| json!({ "key": "a", "operator": operator });
    let empty = |operator: &str| json!({ "key": "a", "operator": operator, "values": [] });
    AT.into_iter()
        .flat_map(|at| {
            [
                policy(
                    at,
                    "In and NotIn need at least one value",
                    [
                        spec(at, values("In")),
                        spec(at, values("NotIn")),
                        spec(at, bare("Exists")),
                    ],
                    [
                        spec(at, bare("In")),
                        spec(at, empty("In")),
                        spec(at, bare("NotIn")),
                    ],
                ),
                policy(
                    at,
                    "Exists and DoesNotExist take no values",
                    [
                        spec(at, bare("Exists")),
                        spec(at, empty("DoesNotExist")),
                        spec(at, values("In")),
                    ],
                    [spec(at, values("Exists")), spec(at, values("DoesNotExist"))],
                ),
            ]
        })
        .collect()
}

fn rollouts() -> Vec<Case> {
    let rollout = |name: &str, revision: &str, paused: bool| {
        json!({
            "metadata": { "name": "logs-5d4f" },
            "spec": {
                "workload": { "kind": "DaemonSet", "name": name, "uid": "u" },
                "revision": revision,
                "paused": paused,
            },
        })
    };
    let old = || Some(rollout("logs", "5d4f", false));
    let accepts = || {
        vec![
            rollout("logs", "5d4f", false),
            rollout("logs", "5d4f", true),
        ]
    };
    vec![
        Case {
            kind: "GuardedRollout",
            at: "spec",
            message: "a GuardedRollout stays with its workload; only `paused` and `letThrough` can be changed",
            old: old(),
            accepts: accepts(),
            refuses: vec![
                rollout("metrics", "5d4f", false),
                rollout("metrics", "5d4f", true),
            ],
        },
        Case {
            kind: "GuardedRollout",
            at: "spec",
            message: "a GuardedRollout stays with its revision; only `paused` and `letThrough` can be changed",
            old: old(),
            accepts: accepts(),
            refuses: vec![
                rollout("logs", "77c9", false),
                rollout("logs", "77c9", true),
            ],
        },
    ]
}

fn singletons() -> Vec<Case> {
    let named = |name: &str| json!({ "metadata": { "name": name }, "spec": {} });
    vec![Case {
        kind: "ControlPlane",
        at: "",
        message: "there is one ControlPlane, named `cluster`",
        old: None,
        accepts: vec![named("cluster")],
        refuses: vec![named("mine"), named("cluster-2")],
    }]
}

fn cases() -> Vec<Case> {
    let texts = [texts(), texts_of_harm(), texts_of_pods()];
    let of_policies = [waves(), dependencies(), trust(), selectors()];
    let of_others = [rollouts(), singletons()];
    let all = texts.into_iter().chain(of_policies).chain(of_others);
    all.flatten().collect()
}

/// Every rule in every schema: (kind, path of the node, message).
fn rules() -> BTreeSet<(String, String, String)> {
    let mut found = BTreeSet::new();
    for definition in api::definitions() {
        walk::nodes(&walk::schema(&definition), "", &mut |path, node| {
            for rule in node["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                let message = rule["message"]
                    .as_str()
                    .unwrap_or("(no message)")
                    .to_owned();
                found.insert((definition.spec.names.kind.clone(), path.to_owned(), message));
            }
        });
    }
    found
}

/// The messages of the rules that the object breaks.
fn broken(kind: &str, object: &Value, old: Option<&Value>) -> Vec<String> {
    let definitions = api::definitions();
    let definition = definitions
        .iter()
        .find(|definition| definition.spec.names.kind == kind)
        .expect("the kind exists");
    let Err(errors) = Validator::new().validate(&walk::schema(definition), object, old) else {
        return Vec::new();
    };
    for error in errors.as_slice() {
        assert_eq!(
            error.kind,
            ErrorKind::ValidationFailure,
            "{kind}: {error:?}"
        );
    }
    errors
        .into_vec()
        .into_iter()
        .map(|error| error.message)
        .collect()
}

#[test]
fn each_rule_accepts_what_it_should() {
    for case in cases() {
        for object in &case.accepts {
            let broken = broken(case.kind, object, case.old.as_ref());
            assert!(broken.is_empty(), "{object} was refused: {broken:?}");
        }
    }
}

#[test]
fn each_rule_refuses_what_it_should() {
    for case in cases() {
        for object in &case.refuses {
            let broken = broken(case.kind, object, case.old.as_ref());
            assert_eq!(broken, [case.message], "{object}");
        }
    }
}

#[test]
fn every_rule_in_the_schemas_has_a_pair() {
    let covered: BTreeSet<_> = cases()
        .into_iter()
        .filter(|case| !case.accepts.is_empty() && !case.refuses.is_empty())
        .map(|case| {
            (
                case.kind.to_owned(),
                case.at.to_owned(),
                case.message.to_owned(),
            )
        })
        .collect();
    assert_eq!(rules(), covered);
}

#[test]
fn every_rule_says_what_is_wrong_and_how_it_counts() {
    for definition in api::definitions() {
        walk::nodes(&walk::schema(&definition), "", &mut |path, node| {
            for rule in node["x-kubernetes-validations"]
                .as_array()
                .into_iter()
                .flatten()
            {
                assert!(rule["message"].is_string(), "{path}: {rule}");
                assert!(rule["reason"].is_string(), "{path}: {rule}");
                // A rule over several fields points at one; metadata cannot be pointed at.
                let points =
                    path.is_empty() || node["type"] != "object" || rule["fieldPath"].is_string();
                let keys = node.get("additionalProperties").is_some();
                assert!(points || keys, "{path}: {rule}");
            }
        });
    }
}
