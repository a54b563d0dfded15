//! A plain model of Priority and Fairness: with meters every request is where it was without them.

use std::slice;

use k8s_openapi::api::flowcontrol::v1::{FlowSchemaSpec, ResourcePolicyRule, Subject};
use proptest::{prelude::*, sample::select};
use serde_json::{Value, json};

use super::{by, everything, schema, standard, template};
use crate::meter::{Account, Client, Schema, Schemas, plan};

/// What a request is about.
#[derive(Debug, Clone)]
enum About {
    Object {
        group: &'static str,
        resource: &'static str,
        namespace: &'static str,
    },
    Path(&'static str),
}

#[derive(Debug, Clone)]
struct Request {
    account: Account,
    verb: &'static str,
    about: About,
}

const NAMESPACES: [&str; 3] = ["shop", "else", "kube-system"];
const ACCOUNTS: [&str; 3] = ["default", "logs", "other"];

fn has(list: &[String], value: &str) -> bool {
    list.iter().any(|one| one == "*" || one == value)
}

fn is_by(subject: &Subject, account: &Account) -> bool {
    let Account { namespace, name } = account;
    if let Some(user) = &subject.user {
        return has(
            slice::from_ref(&user.name),
            &format!("system:serviceaccount:{namespace}:{name}"),
        );
    }
    if let Some(group) = &subject.group {
        let in_namespace = format!("system:serviceaccounts:{namespace}");
        let groups = [
            "system:serviceaccounts",
            &in_namespace,
            "system:authenticated",
        ];
        return group.name == "*" || groups.contains(&group.name.as_str());
    }
    let one = subject
        .service_account
        .as_ref()
        .expect("a subject of some kind");
    one.namespace == *namespace && has(slice::from_ref(&one.name), name)
}

fn is_for(
    rule: &ResourcePolicyRule,
    verb: &str,
    group: &str,
    resource: &str,
    namespace: &str,
) -> bool {
    has(&rule.verbs, verb)
        && has(&rule.api_groups, group)
        && has(&rule.resources, resource)
        && if namespace.is_empty() {
            rule.cluster_scope.unwrap_or(false)
        } else {
            has(rule.namespaces.as_deref().unwrap_or_default(), namespace)
        }
}

fn matches(spec: &FlowSchemaSpec, request: &Request) -> bool {
    spec.rules.iter().flatten().any(|rule| {
        rule.subjects
            .iter()
            .any(|subject| is_by(subject, &request.account))
            && match request.about {
                About::Object {
                    group,
                    resource,
                    namespace,
                } => {
                    let mut rules = rule.resource_rules.iter().flatten();
                    rules.any(|rule| is_for(rule, request.verb, group, resource, namespace))
                }
                About::Path(path) => {
                    let mut rules = rule.non_resource_rules.iter().flatten();
                    rules.any(|rule| {
                        has(&rule.verbs, request.verb) && has(&rule.non_resource_urls, path)
                    })
                }
            }
    })
}

/// The FlowSchema that takes a request, and its level.
fn place<'a>(schemas: &'a Schemas, request: &Request) -> Option<(&'a String, &'a FlowSchemaSpec)> {
    let schemas = schemas.iter().filter(|(_, schema)| !schema.is_dangling);
    let all = schemas.map(|(name, schema)| (name, &schema.spec));
    all.filter(|(_, spec)| matches(spec, request))
        .min_by_key(|(name, spec)| (spec.matching_precedence, *name))
}

fn subjects() -> impl Strategy<Value = Value> {
    let group = |name: String| json!({ "kind": "Group", "group": { "name": name } });
    let one = select(NAMESPACES.to_vec()).prop_flat_map(|namespace| {
        select(vec!["*", "default", "logs"]).prop_map(move |name| {
            json!({ "kind": "ServiceAccount",
                "serviceAccount": { "namespace": namespace, "name": name } })
        })
    });
    prop_oneof![
        select(vec!["system:serviceaccounts", "system:authenticated", "system:nodes", "*"])
            .prop_map(move |name| group(name.to_owned())),
        select(NAMESPACES.to_vec())
            .prop_map(move |name| group(format!("system:serviceaccounts:{name}"))),
        one,
        select(ACCOUNTS.to_vec()).prop_map(|name| {
            json!({ "kind": "User", "user": { "name": format!("system:serviceaccount:shop:{name}") } })
        }),
    ]
}

fn takes() -> impl Strategy<Value = Value> {
    let resources = |group: &str, resource: &str, cluster: bool| {
        json!({ "resourceRules": [{ "verbs": ["*"], "apiGroups": [group], "resources": [resource],
            "clusterScope": cluster, "namespaces": ["*"] }] })
    };
    prop_oneof![
        3 => Just(everything()),
        1 => Just(resources("coordination.k8s.io", "leases", true)),
        1 => Just(resources("", "pods", true)),
        1 => Just(resources("*", "*", false)),
        1 => Just(json!({ "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["/readyz"] }] })),
    ]
}

fn custom() -> impl Strategy<Value = (String, Schema)> {
    let level = select(vec!["workload-low", "workload-high", "small", "exempt"]);
    let precedence = select(vec![2, 150, 201, 500, 899, 900, 8998, 8999, 9000, 9001]);
    let name = select(vec!["a", "m", "z", "zz", "weir-meter-zz"]);
    let method = select(vec!["ByUser", "ByUser", "ByNamespace", ""]);
    (
        name,
        precedence,
        level,
        method,
        subjects(),
        takes(),
        prop::bool::weighted(0.1),
    )
        .prop_map(
            |(name, precedence, level, method, subject, takes, is_dangling)| {
                let schema = by(method, schema(precedence, level, &subject, &takes));
                (
                    name.to_owned(),
                    Schema {
                        is_dangling,
                        ..schema
                    },
                )
            },
        )
}

/// The flow that a request is queued in: of one FlowSchema, told apart by user, by namespace or not.
fn flow(schemas: &Schemas, request: &Request) -> Option<(String, String)> {
    let (name, spec) = place(schemas, request)?;
    let method = spec.distinguisher_method.as_ref();
    let apart = match method.map(|method| method.type_.as_str()) {
        Some("ByUser") => request.account.user(),
        Some("ByNamespace") => match request.about {
            About::Object { namespace, .. } => namespace.to_owned(),
            About::Path(_) => String::new(),
        },
        _ => String::new(),
    };
    Some((name.clone(), apart))
}

/// Which requests share a flow, as the number of the first request of each one's flow.
fn together(schemas: &Schemas, requests: &[Request]) -> Vec<Option<usize>> {
    let flows: Vec<_> = requests.iter().map(|one| flow(schemas, one)).collect();
    let first = |flow: &Option<(String, String)>| flows.iter().position(|other| other == flow);
    flows.iter().map(first).collect()
}

/// Whether a request is one that an earlier FlowSchema may keep.
fn is_aside(request: &Request) -> bool {
    matches!(
        request.about,
        About::Path(_)
            | About::Object {
                resource: "leases",
                ..
            }
    )
}

fn requests() -> Vec<Request> {
    let abouts = [
        About::Path("/readyz"),
        About::Path("/metrics"),
        About::Object {
            group: "",
            resource: "pods",
            namespace: "",
        },
        About::Object {
            group: "",
            resource: "pods",
            namespace: "shop",
        },
        About::Object {
            group: "apps",
            resource: "daemonsets",
            namespace: "else",
        },
        About::Object {
            group: "coordination.k8s.io",
            resource: "leases",
            namespace: "shop",
        },
    ];
    let accounts = NAMESPACES.iter().flat_map(|namespace| {
        ACCOUNTS.map(|name| Account {
            namespace: (*namespace).to_owned(),
            name: name.to_owned(),
        })
    });
    let all = accounts.flat_map(|account| {
        abouts.clone().map(|about| Request {
            account: account.clone(),
            verb: "list",
            about,
        })
    });
    all.collect()
}

proptest! {
    #[test]
    fn with_meters_every_request_is_at_the_level_where_it_was(
        customs in prop::collection::vec(custom(), 0..4),
        has_standard in prop::bool::weighted(0.8),
    ) {
        let mut before = if has_standard { standard() } else { Schemas::new() };
        before.extend(customs);
        let templates = ACCOUNTS.map(template);
        let clients: Vec<_> = NAMESPACES
            .iter()
            .flat_map(|namespace| {
                templates.iter().zip(ACCOUNTS).map(move |(template, account)| Client {
                    workload: format!("{namespace}/{account}"),
                    namespace,
                    template,
                    in_flight: false,
                })
            })
            .collect();
        let planned = plan(&before, &clients, []);
        let mut after = before.clone();
        for (name, spec) in &planned.schemas {
            let meter = Schema {
                uid: String::new(),
                is_labelled: true,
                is_dangling: false,
                spec: spec.clone(),
            };
            after.insert(name.clone(), meter);
        }
        // But for probes and renewals, which stay where they are, flows are what they were.
        let costly: Vec<_> = requests().into_iter().filter(|one| !is_aside(one)).collect();
        prop_assert_eq!(together(&before, &costly), together(&after, &costly));
        for request in requests() {
            let (was, is) = (place(&before, &request), place(&after, &request));
            let level = |place: Option<(&String, &FlowSchemaSpec)>| {
                place.map(|(_, spec)| {
                    let level = spec.priority_level_configuration.name.clone();
                    (level, spec.distinguisher_method.clone())
                })
            };
            prop_assert_eq!(level(was), level(is), "{:?}", request);
            let meter = request.account.meter_name();
            let (Some((name, _)), true) = (is, planned.schemas.contains_key(&meter)) else {
                continue;
            };
            prop_assert!(
                *name == meter || is_aside(&request),
                "{:?} is counted by {}", request, name
            );
        }
        // What is planned is planned again when it is there.
        prop_assert_eq!(plan(&after, &clients, []), planned);
    }
}
