//! What is planned for one account at a time, and for many.

mod model;

use k8s_openapi::api::core::v1::{HostPathVolumeSource, PodSpec, Volume};
use k8s_openapi::api::flowcontrol::v1::FlowDistinguisherMethod;
use serde_json::{Value, json};
use weir_core::usage::Meter;

use super::*;

/// A FlowSchema that takes everything of a group, as Kubernetes' own do.
pub(super) fn of_group(group: &str, precedence: i32, level: &str) -> Schema {
    let subject = json!({ "kind": "Group", "group": { "name": group } });
    schema(precedence, level, &subject, &everything())
}

pub(super) fn everything() -> Value {
    json!({
        "resourceRules": [{
            "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "clusterScope": true,
            "namespaces": ["*"],
        }],
        "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
    })
}

fn resources(group: &str, resource: &str) -> Value {
    json!({ "resourceRules": [{
        "verbs": ["*"], "apiGroups": [group], "resources": [resource], "clusterScope": true,
        "namespaces": ["*"],
    }] })
}

pub(super) fn schema(precedence: i32, level: &str, subject: &Value, takes: &Value) -> Schema {
    let mut rule = takes.clone();
    rule["subjects"] = json!([subject]);
    let spec = json!({
        "matchingPrecedence": precedence,
        "priorityLevelConfiguration": { "name": level },
        "distinguisherMethod": { "type": "ByUser" },
        "rules": [rule],
    });
    Schema {
        uid: "0b5c".to_owned(),
        is_labelled: false,
        is_dangling: false,
        spec: serde_json::from_value(spec).unwrap(),
    }
}

/// The same, with requests told apart into flows by something else; by nothing if it is empty.
pub(super) fn by(method: &str, schema: Schema) -> Schema {
    let method = (!method.is_empty()).then(|| FlowDistinguisherMethod {
        type_: method.to_owned(),
    });
    let spec = FlowSchemaSpec {
        distinguisher_method: method,
        ..schema.spec
    };
    Schema { spec, ..schema }
}

/// What every API server has, as far as accounts meet it.
pub(super) fn standard() -> Schemas {
    let probes =
        json!({ "nonResourceRules": [{ "verbs": ["get"], "nonResourceURLs": ["/readyz"] }] });
    let authenticated = json!({ "kind": "Group", "group": { "name": "system:authenticated" } });
    let of_system = json!({ "kind": "ServiceAccount",
        "serviceAccount": { "namespace": "kube-system", "name": "*" } });
    let leases = resources("coordination.k8s.io", "leases");
    Schemas::from([
        ("exempt".to_owned(), of_group("system:masters", 1, "exempt")),
        (
            "probes".to_owned(),
            schema(2, "exempt", &authenticated, &probes),
        ),
        (
            "system-leader-election".to_owned(),
            schema(100, "leader-election", &of_system, &leases),
        ),
        (
            "kube-system-service-accounts".to_owned(),
            by(
                "ByNamespace",
                schema(900, "workload-high", &of_system, &everything()),
            ),
        ),
        (
            "service-accounts".to_owned(),
            of_group("system:serviceaccounts", 9000, "workload-low"),
        ),
        (
            "global-default".to_owned(),
            of_group("system:authenticated", 9900, "global-default"),
        ),
    ])
}

fn standard_and(name: &str, schema: Schema) -> Schemas {
    let mut schemas = standard();
    schemas.insert(name.to_owned(), schema);
    schemas
}

pub(super) fn template(account: &str) -> PodSpec {
    PodSpec {
        service_account_name: Some(account.to_owned()),
        ..PodSpec::default()
    }
}

/// The meter and what it would be for a workload of one template, enrolled alone.
fn alone(schemas: &Schemas, namespace: &str, template: &PodSpec) -> (Plan, Meter) {
    let client = Client {
        workload: format!("{namespace}/logs"),
        namespace,
        template,
        in_flight: true,
    };
    let workload = client.workload.clone();
    let plan = plan(
        schemas,
        &[client],
        [(workload.clone(), namespace, template)],
    );
    let meter = plan.meters[&workload].clone();
    (plan, meter)
}

fn why_not(schemas: &Schemas, template: &PodSpec) -> String {
    match alone(schemas, "shop", template) {
        (plan, Meter::None { why }) if plan.schemas.is_empty() => why,
        other => panic!("it has a meter: {other:?}"),
    }
}

#[test]
fn an_ordinary_account_is_metered_at_the_level_where_it_was() {
    let (plan, meter) = alone(&standard(), "shop", &template("logs"));
    let name = "weir-meter-shop.logs";
    assert_eq!(meter.schema(), Some(name));
    assert!(matches!(meter, Meter::Own { .. }));
    let mut rule = everything();
    rule["subjects"] = json!([{ "kind": "ServiceAccount",
        "serviceAccount": { "namespace": "shop", "name": "logs" } }]);
    let expected = json!({
        "matchingPrecedence": 8999,
        "priorityLevelConfiguration": { "name": "workload-low" },
        "distinguisherMethod": { "type": "ByUser" },
        "rules": [rule],
    });
    assert_eq!(serde_json::to_value(&plan.schemas[name]).unwrap(), expected);
}

#[test]
fn an_account_of_the_system_has_none() {
    let (plan, meter) = alone(&standard(), "kube-system", &template("proxy"));
    assert!(plan.schemas.is_empty());
    assert!(
        matches!(&meter, Meter::None { why } if why.contains("kube-system")),
        "{meter:?}"
    );
}

#[test]
fn an_account_that_shares_a_flow_with_others_is_given_none_of_its_own() {
    for method in ["", "ByNamespace"] {
        let all = by(
            method,
            of_group("system:serviceaccounts", 300, "workload-low"),
        );
        let why = why_not(&standard_and("together", all), &template("logs"));
        assert!(
            why.contains("FlowSchema together") && why.contains("not ByUser"),
            "{why}"
        );
    }
}

#[test]
fn what_takes_more_than_renewals_at_their_level_takes_a_part() {
    let all = json!({ "kind": "Group", "group": { "name": "system:serviceaccounts:shop" } });
    let at = |group: &str, resource: &str, level: &str| {
        let taken = schema(500, level, &all, &resources(group, resource));
        let schemas = standard_and("renewals", taken);
        alone(&schemas, "shop", &template("logs"))
            .1
            .schema()
            .is_some()
    };
    assert!(at("coordination.k8s.io", "leases", "leader-election"));
    assert!(at("", "endpoints", "leader-election") && at("", "configmaps", "leader-election"));
    assert!(!at("", "configmaps", "small") && !at("", "pods", "leader-election"));
    assert!(!at("*", "leases", "leader-election"));
}

#[test]
fn what_is_planned_once_is_planned_again_although_it_is_there_or_was_edited() {
    let mut schemas = standard();
    let (first, _) = alone(&schemas, "shop", &template("logs"));
    let edited = of_group("system:authenticated", 300, "workload-high");
    for (is_labelled, spec) in [
        (true, first.schemas["weir-meter-shop.logs"].clone()),
        (true, edited.spec.clone()),
        (false, edited.spec.clone()),
    ] {
        let meter = Schema {
            is_labelled,
            spec,
            ..edited.clone()
        };
        schemas.insert("weir-meter-shop.logs".to_owned(), meter);
        assert_eq!(alone(&schemas, "shop", &template("logs")).0, first);
    }
}

#[test]
fn a_schema_that_takes_a_part_of_an_account_is_named() {
    let account = json!({ "kind": "User", "user": { "name": "system:serviceaccount:shop:logs" } });
    let pods = schema(500, "small", &account, &resources("", "pods"));
    let schemas = standard_and("pods-apart", pods);
    assert!(why_not(&schemas, &template("logs")).contains("FlowSchema pods-apart takes some"));
    let other = alone(&schemas, "shop", &template("other")).1;
    assert!(other.schema().is_some(), "it is not about this one");
    let dangling = Schema {
        is_dangling: true,
        ..schemas["pods-apart"].clone()
    };
    let ignored = standard_and("pods-apart", dangling);
    assert!(
        alone(&ignored, "shop", &template("logs"))
            .1
            .schema()
            .is_some()
    );
}

#[test]
fn leases_and_probes_apart_do_no_harm_unless_they_leave_no_room() {
    let all = json!({ "kind": "Group", "group": { "name": "system:serviceaccounts:shop" } });
    let leases = |precedence| {
        let takes = resources("coordination.k8s.io", "leases");
        standard_and("leases", schema(precedence, "small", &all, &takes))
    };
    assert!(
        alone(&leases(500), "shop", &template("logs"))
            .1
            .schema()
            .is_some()
    );
    assert!(
        alone(&leases(8999), "shop", &template("logs"))
            .1
            .schema()
            .is_some()
    );
    let why = why_not(&leases(9000), &template("logs"));
    assert!(
        why.contains("service-accounts (9000)") && why.contains("leases (9000)"),
        "{why}"
    );
}

#[test]
fn an_account_at_a_level_of_the_systems_or_at_none_has_no_meter() {
    for level in ["exempt", "system", "node-high", "leader-election"] {
        let all = of_group("system:serviceaccounts", 300, level);
        let why = why_not(&standard_and("trusted", all), &template("logs"));
        assert!(
            why.contains("the FlowSchema trusted") && why.contains(level),
            "{why}"
        );
    }
    let why = why_not(&Schemas::new(), &template("logs"));
    assert_eq!(why, "no FlowSchema takes all its requests");
    let early = of_group("system:serviceaccounts", 150, "workload-low");
    assert!(why_not(&standard_and("early", early), &template("logs")).contains("no room"));
}

#[test]
fn credentials_that_are_not_the_accounts_cannot_be_metered() {
    let mounting = |path: &str| PodSpec {
        volumes: Some(vec![Volume {
            host_path: Some(HostPathVolumeSource {
                path: path.to_owned(),
                type_: None,
            }),
            ..Volume::default()
        }]),
        ..template("logs")
    };
    for path in [
        "/etc/kubernetes",
        "/etc/kubernetes/pki",
        "/var/lib/kubelet",
        "/var/lib/kubelet/pki/",
    ] {
        assert!(why_not(&standard(), &mounting(path)).contains(path));
    }
    for path in ["/", "/var/log", "/var/lib/kubelet/pods"] {
        assert!(
            alone(&standard(), "shop", &mounting(path))
                .1
                .schema()
                .is_some(),
            "{path}"
        );
    }
    let tokenless = PodSpec {
        automount_service_account_token: Some(false),
        ..template("logs")
    };
    assert!(why_not(&standard(), &tokenless).contains("no token"));
    let with_token = |audience: Value| PodSpec {
        volumes: Some(vec![Volume {
            projected: serde_json::from_value(json!({ "sources": [
                { "configMap": { "name": "ca" } },
                { "serviceAccountToken": { "path": "token", "audience": audience } },
            ] }))
            .unwrap(),
            ..Volume::default()
        }]),
        ..tokenless.clone()
    };
    for ours in [
        json!(null),
        json!("https://kubernetes.default.svc.cluster.local"),
    ] {
        let meter = alone(&standard(), "shop", &with_token(ours)).1;
        assert!(
            meter.schema().is_some(),
            "a token of the account is the account"
        );
    }
    assert!(why_not(&standard(), &with_token(json!("vault"))).contains("no token"));
}

#[test]
fn an_account_that_others_use_is_shared_and_one_without_a_name_always() {
    let (logs, bare) = (template("logs"), PodSpec::default());
    let client = |workload: &str, template| Client {
        workload: workload.to_owned(),
        namespace: "shop",
        template,
        in_flight: false,
    };
    let clients = [client("shop/a", &logs), client("shop/bare", &bare)];
    let names = ["shop/a", "shop/b", "shop/c", "shop/d", "shop/e"];
    let all = names.map(|name| (name.to_owned(), "shop", &logs));
    let elsewhere = [("else/a".to_owned(), "else", &logs)];
    let plan = plan(&standard(), &clients, all.into_iter().chain(elsewhere));
    let shared = |schema: &str, with: &str| Meter::Shared {
        schema: schema.to_owned(),
        with: with.to_owned(),
    };
    let meters = &plan.meters;
    assert_eq!(
        meters["shop/a"],
        shared("weir-meter-shop.logs", "shop/b, shop/c, shop/d and 1 more")
    );
    let with = "whatever in the namespace shop has no account of its own";
    assert_eq!(meters["shop/bare"], shared("weir-meter-shop.default", with));
}

#[test]
fn of_too_many_those_with_a_rollout_come_first() {
    let templates: Vec<_> = (0..150).map(|n| template(&format!("a{n:03}"))).collect();
    let clients: Vec<_> = templates
        .iter()
        .enumerate()
        .map(|(n, template)| Client {
            workload: format!("shop/w{n:03}"),
            namespace: "shop",
            template,
            in_flight: n == 149,
        })
        .collect();
    let plan = plan(&standard(), &clients, []);
    assert_eq!(plan.schemas.len(), MAX_METERS);
    assert!(plan.meters["shop/w149"].schema().is_some());
    assert!(plan.meters["shop/w098"].schema().is_some());
    let Meter::None { why } = &plan.meters["shop/w099"] else {
        panic!("it has a meter")
    };
    assert!(why.starts_with("100 other accounts"), "{why}");

    // Those that have one keep it.
    let mut schemas = standard();
    let names = ["weir-meter-shop.a120", "weir-meter-shop.a130"];
    schemas.extend(names.map(|name| {
        let meter = of_group("system:authenticated", 300, "workload-low");
        let is_labelled = name.ends_with("a130");
        (
            name.to_owned(),
            Schema {
                is_labelled,
                ..meter
            },
        )
    }));
    let plan = super::plan(&schemas, &clients, []);
    assert_eq!(plan.schemas.len(), MAX_METERS);
    for (workload, is_metered) in [
        ("shop/w149", true),
        ("shop/w130", true),
        ("shop/w120", false),
        ("shop/w097", true),
        ("shop/w098", false),
    ] {
        let schema = plan.meters[workload].schema();
        assert_eq!(schema.is_some(), is_metered, "{workload}");
    }
}

#[test]
fn a_name_that_is_too_long_is_cut_and_stays_its_own() {
    let account = |name: String| Account {
        namespace: "n".repeat(63),
        name,
    };
    let longest = account("a".repeat(178)).meter_name();
    assert_eq!(longest.len(), MAX_NAME);
    assert!(longest.ends_with("aaaa"), "it is whole");
    let names = ["b", "c"].map(|end| account("a.".repeat(100) + end).meter_name());
    assert_ne!(names[0], names[1]);
    assert_eq!(names[0], account("a.".repeat(100) + "b").meter_name());
    for name in names {
        assert!(name.len() <= MAX_NAME && !name.contains(".-"), "{name}");
    }
}
