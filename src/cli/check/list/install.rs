//! Whether Weir can be installed, and whether all of it is there.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSON, JSONSchemaProps, JSONSchemaPropsOrArray,
};
use serde_json::Value;

use super::{Ask, Check, Ended, Entry, MAY_INSTALL, bad, known, rights, skip, there};
use crate::{
    api::{definitions, marks},
    cli::check::{facts::Facts, manifest::Right},
    view::check::Level,
};

/// The first Kubernetes with `MutatingAdmissionPolicy` v1.
const LEAST_MINOR: u32 = 36;

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    let mut all: Vec<Check> = cluster()
        .into_iter()
        .map(|entry| entry.check("Cluster", true))
        .collect();
    all.extend(
        MAY_INSTALL
            .iter()
            .map(|(resource, _)| may_install(resource)),
    );
    all.extend(kinds().map(|entry| entry.check("Kinds", false)));
    all.extend(account().map(|entry| entry.check("Account", false)));
    all.extend(rights().iter().enumerate().map(|(at, one)| lacks(at, one)));
    all
}

fn cluster() -> [Entry; 5] {
    [
        Entry {
            id: "kubernetes-version",
            title: "Kubernetes is 1.36 or later",
            about: "The gate is a MutatingAdmissionPolicy, which is v1 since 1.36.",
            hint: "upgrade the control plane, or run Weir in a cluster that is recent enough",
            ask: version,
        },
        Entry {
            id: "policy-is-taken",
            title: "API servers take the gate policy",
            about: "It is offered by dry run, since some API servers publish the kind and do not serve it.",
            hint: "see that the API servers serve admissionregistration.k8s.io/v1 with \
                   mutatingadmissionpolicies, and that you may create them",
            ask: |facts| known(&facts.cluster.takes_policy).map(|()| String::new()),
        },
        Entry {
            id: "flow-control",
            title: "Priority and Fairness is on",
            about: "Weir counts what each account costs by FlowSchemas of its own.",
            hint: "see that the API servers do not run with --enable-priority-and-fairness=false",
            ask: |facts| match known(&facts.cluster.flow_schemas)?.len() {
                0 => bad("there is no FlowSchema, not even those that API servers make themselves"),
                number => Ok(format!("{number} FlowSchemas")),
            },
        },
        Entry {
            id: "api-server-addresses",
            title: "API servers publish their addresses",
            about: "Weir measures each API server at the addresses of the EndpointSlice `kubernetes` in \
                    `default`.",
            hint: "look at `kubectl get endpointslices -n default`; they must be reachable from Weir's pods",
            ask: |facts| match known(&facts.cluster.addresses)? {
                0 => bad("the EndpointSlice `kubernetes` has no address"),
                number => Ok(format!("{number} addresses")),
            },
        },
        Entry {
            id: "not-all-is-approved",
            title: "Not every account may do everything",
            about: "The gate asks what an account may do that nobody uses. Where everybody may do \
                    everything, every revision counts as approved and nothing is gated.",
            hint: "find what grants it: `kubectl auth can-i --list --as \
                   system:serviceaccount:weir-system:weir-approved -n weir-system`; a binding of \
                   cluster-admin to all service accounts, or an authorization webhook, must leave it out",
            ask: |facts| match known(&facts.cluster.approves_all)? {
                true => bad("the account that the gate asks about may run any revision"),
                false => Ok(String::new()),
            },
        },
    ]
}

fn version(facts: &Facts) -> Ended {
    let info = known(&facts.cluster.version)?;
    let digits = |text: &str| {
        let digits: String = text.chars().take_while(char::is_ascii_digit).collect();
        digits.parse::<u32>().unwrap_or_default()
    };
    let version = info.git_version.clone();
    if (digits(&info.major), digits(&info.minor)) < (1, LEAST_MINOR) {
        return bad(format!("it is {version}"));
    }
    Ok(version)
}

fn may_install(resource: &'static str) -> Check {
    Check {
        id: format!("may-create-{resource}"),
        category: "Installer",
        title: format!("You may create {resource}"),
        about: "Whoever installs Weir creates some. Where somebody else does that, this does not matter.",
        hint: "install as an administrator of the cluster",
        pre: true,
        ask: Ask::One(match resource {
            "customresourcedefinitions" => |facts| may(facts, MAY_INSTALL[0].0),
            "mutatingadmissionpolicies" => |facts| may(facts, MAY_INSTALL[1].0),
            "mutatingadmissionpolicybindings" => |facts| may(facts, MAY_INSTALL[2].0),
            "validatingadmissionpolicies" => |facts| may(facts, MAY_INSTALL[3].0),
            "validatingadmissionpolicybindings" => |facts| may(facts, MAY_INSTALL[4].0),
            "clusterroles" => |facts| may(facts, MAY_INSTALL[5].0),
            "clusterrolebindings" => |facts| may(facts, MAY_INSTALL[6].0),
            _ => |facts| may(facts, MAY_INSTALL[7].0),
        }),
    }
}

fn may(facts: &Facts, resource: &str) -> Ended {
    match facts
        .cluster
        .may_install
        .get(resource)
        .map(known)
        .transpose()?
    {
        Some(true) => Ok(String::new()),
        Some(false) | None => Err((Level::Warning, "you may not".to_owned())),
    }
}

fn kinds() -> impl Iterator<Item = Entry> {
    type Ask = fn(&Facts) -> Ended;
    let about = "An older definition drops fields that this version writes, or refuses values of them, and a \
                 missing one stops Weir.";
    let hint = "apply crds/ of this version: `kubectl apply --server-side -f crds/`";
    let asks: [(&str, &str, Ask); 3] = [
        (
            "kind-rolloutpolicies",
            "RolloutPolicies are defined as this version needs them",
            |facts| kind(facts, 0),
        ),
        (
            "kind-guardedrollouts",
            "GuardedRollouts are defined as this version needs them",
            |facts| kind(facts, 1),
        ),
        (
            "kind-controlplanes",
            "ControlPlanes are defined as this version needs them",
            |facts| kind(facts, 2),
        ),
    ];
    asks.into_iter().map(move |(id, title, ask)| Entry {
        id,
        title,
        about,
        hint,
        ask,
    })
}

fn kind(facts: &Facts, at: usize) -> Ended {
    let definitions = definitions();
    let Some(wanted) = definitions.get(at) else {
        return skip("it is not of this version");
    };
    let name = wanted.metadata.name.as_deref().unwrap_or_default();
    let Some(found) = facts.shipped.kinds.get(name) else {
        return skip("it was not asked for");
    };
    let found = there(found, &format!("CustomResourceDefinition {name}"))?;
    let conditions = found.status.iter().flat_map(|status| &status.conditions);
    let mut conditions = conditions.flatten();
    if !conditions.any(|one| one.type_ == "Established" && one.status == "True") {
        return bad(format!("{name} is not served yet"));
    }
    let missing: Vec<String> = fields(wanted).difference(&fields(found)).cloned().collect();
    match missing.first() {
        Some(first) => bad(format!(
            "{} fields or values are not defined in the cluster, {first} among them: it is of an older version",
            missing.len()
        )),
        None => Ok(String::new()),
    }
}

/// The paths of all fields of a kind's version that is served, and with each that takes a few values only these
/// (`path=value`): an API server refuses a whole status for one value that it does not know.
fn fields(definition: &CustomResourceDefinition) -> BTreeSet<String> {
    let served = definition
        .spec
        .versions
        .iter()
        .filter(|version| version.served);
    let schemas = served.filter_map(|version| version.schema.as_ref()?.open_api_v3_schema.as_ref());
    let mut fields = BTreeSet::new();
    for schema in schemas {
        collect(schema, "", &mut fields);
    }
    fields
}

fn collect(schema: &JSONSchemaProps, at: &str, fields: &mut BTreeSet<String>) {
    let none = BTreeMap::new();
    for (name, below) in schema.properties.as_ref().unwrap_or(&none) {
        let path = format!("{at}.{name}");
        collect(below, &path, fields);
        fields.insert(path);
    }
    if let Some(JSONSchemaPropsOrArray::Schema(items)) = &schema.items {
        collect(items, &format!("{at}[]"), fields);
    }
    let values = schema.enum_.iter().flatten();
    fields.extend(values.map(|JSON(value)| match value {
        Value::String(value) => format!("{at}={value}"),
        value => format!("{at}={value}"),
    }));
}

fn account() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "namespace",
            title: "Weir's namespace is there",
            about: "Weir runs in it, and its Lease and the Role of the approvals are there.",
            hint: "apply deploy/namespace.yaml, or give --weir-namespace",
            ask: |facts| there(&facts.shipped.namespace, "namespace of that name").map(|_| String::new()),
        },
        Entry {
            id: "account",
            title: "Weir's account is there",
            about: "The operator runs as a ServiceAccount which its rights are bound to: that of its Deployment, or \
                    else `weir`, unless --weir-account says another.",
            hint: "apply deploy/namespace.yaml and deploy/rbac.yaml",
            ask: |facts| {
                let what = format!("ServiceAccount `{}`", facts.account);
                there(&facts.shipped.account, &what).map(|_| String::new())
            },
        },
        Entry {
            id: "check-namespace",
            title: "The namespace for dry runs is there and enrolled",
            about: "In it Weir asks by dry run whether the gate is in force; it must be enrolled as others are.",
            hint: "apply deploy/check.yaml",
            ask: |facts| {
                let namespace = there(&facts.shipped.check_namespace, "namespace weir-check")?;
                let labels = namespace.metadata.labels.as_ref();
                match labels.and_then(|labels| labels.get(marks::GUARD)) {
                    Some(mode) if mode == "enforce" => Ok(String::new()),
                    _ => bad(format!("it has no label {}=enforce", marks::GUARD)),
                }
            },
        },
    ]
    .into_iter()
}

fn lacks(at: usize, right: &Right) -> Check {
    let resource = right.resource.trim_start_matches('/').replace('/', "-");
    let within = right.namespace.as_ref();
    let suffix = within
        .filter(|namespace| *namespace != "weir-system")
        .map(|namespace| format!("-in-{namespace}"));
    let place = within.map(|namespace| format!(" in {namespace}"));
    Check {
        id: format!("weir-may-{resource}{}", suffix.unwrap_or_default()),
        category: "Rights",
        title: format!(
            "Weir's account has its rights on {}{}: {}",
            right.resource,
            place.unwrap_or_default(),
            right.said()
        ),
        about: "deploy/rbac.yaml and deploy/check.yaml say beside each right what it is for.",
        hint: "apply deploy/rbac.yaml and deploy/check.yaml of this version; whoever may not ask about \
               others' rights (create subjectaccessreviews) does not learn it",
        pre: false,
        ask: Ask::Right(at),
    }
}

/// Whether nothing is missing of the right at this place.
pub(super) fn right(facts: &Facts, at: usize) -> Ended {
    let Some(lacks) = facts.lacks.get(at) else {
        return skip("it was not asked for");
    };
    match known(lacks)?.as_slice() {
        [] => Ok(String::new()),
        lacks => bad(format!("it may not {}", lacks.join(", "))),
    }
}
