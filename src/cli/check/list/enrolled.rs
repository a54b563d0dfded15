//! Who is enrolled, and what their accounts may ask.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    rbac::v1::{PolicyRule, Subject},
};
use weir_core::policy;

use super::{Check, Ended, Entry, bad, few, known, skip, warn};
use crate::{
    api::marks::conditions,
    cli::check::facts::Facts,
    valve::{Enrolment, Membership, enrolment, node_critical},
    view::check::Level,
};

/// Accounts that are named.
const NAMED: usize = 8;
/// What costs most to list at scale, the dearest first.
const DEAR: [&str; 6] = [
    "pods",
    "nodes",
    "secrets",
    "configmaps",
    "endpointslices",
    "events",
];

/// All of them.
pub(super) fn checks() -> Vec<Check> {
    enrolled()
        .map(|entry| entry.check("Enrolment", false))
        .collect()
}

fn enrolled() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "labels-are-modes",
            title: "Every label weir.dev/guard says a mode",
            about: "A label that is no mode changes nothing: what is enrolled stays so, what is not is not.",
            hint: "set it to observe, shadow or enforce",
            ask: labels,
        },
        Entry {
            id: "somebody-is-enrolled",
            title: "Somebody is enrolled",
            about: "Nothing is guarded that nobody enrolled.",
            hint: "begin with one namespace: `kubectl label namespace NAME weir.dev/guard=shadow`",
            ask: |facts| match workloads(facts)?.len() {
                0 => warn("no DaemonSet is"),
                number => Ok(format!("{number} DaemonSets")),
            },
        },
        Entry {
            id: "accounts-are-own",
            title: "Enrolled workloads have accounts of their own",
            about: "An account that several workloads share is counted as one: a forecast then tells less.",
            hint: "give each enrolled DaemonSet a serviceAccountName of its own",
            ask: shared,
        },
        Entry {
            id: "accounts-by-footprint",
            title: "What enrolled accounts may list of the whole cluster",
            about: "Ranked by RBAC: who may list what there is most of can harm most when it rolls out. What \
                    RoleBindings grant in single namespaces is not counted.",
            hint: "grant only what the workload needs, and in its own namespace where that is enough",
            ask: footprint,
        },
        Entry {
            id: "policies-are-valid",
            title: "Every RolloutPolicy is valid",
            about: "One that is not is not used; built-in defaults are.",
            hint: "the condition's message says what is wrong; `kubectl describe rolloutpolicy NAME`",
            ask: |facts| policies(facts, conditions::READY, Level::Trouble),
        },
        Entry {
            id: "policies-are-used",
            title: "Every RolloutPolicy matches somebody",
            about: "A policy that matches nobody may have been meant for somebody.",
            hint: "compare its selectors with the labels of the namespace and of the pod template",
            ask: |facts| policies(facts, conditions::MATCHED, Level::Warning),
        },
        Entry {
            id: "dependencies-are-known",
            title: "What RolloutPolicies depend on says how it is",
            about: "A dependency that says nothing holds rollouts for as long as its policy says (silentFor).",
            hint: "the message names the address, or the right that is missing; see dependencies.secrets and \
                   networkPolicy.dependencies in the chart's values",
            ask: |facts| policies(facts, conditions::DEPENDENCIES_KNOWN, Level::Warning),
        },
    ]
    .into_iter()
}

/// An enrolled DaemonSet.
struct Workload {
    account: String,
    user: (String, String),
}

fn workloads(facts: &Facts) -> Result<Vec<Workload>, (Level, String)> {
    let namespaces = namespace_labels(facts)?;
    let all = known(&facts.enrolled.daemon_sets)?.iter();
    Ok(all
        .filter(|one| {
            matches!(
                asked(one, &namespaces),
                Enrolment::Mode(_) | Enrolment::Refused { .. }
            )
        })
        .map(|one| {
            let namespace = one.metadata.namespace.clone().unwrap_or_default();
            let pod = one
                .spec
                .as_ref()
                .and_then(|spec| spec.template.spec.as_ref());
            let account = pod.and_then(|pod| pod.service_account_name.clone());
            let account = account.filter(|name| !name.is_empty());
            let account = account.unwrap_or_else(|| "default".to_owned());
            Workload {
                account: format!("{namespace}/{account}"),
                user: (namespace, account),
            }
        })
        .collect())
}

type Labels = BTreeMap<String, String>;

fn namespace_labels(facts: &Facts) -> Result<BTreeMap<String, Labels>, (Level, String)> {
    let namespaces = known(&facts.enrolled.namespaces)?.iter();
    Ok(namespaces
        .filter_map(|one| {
            let labels = one.metadata.labels.clone().unwrap_or_default();
            Some((one.metadata.name.clone()?, labels))
        })
        .collect())
}

fn asked(one: &DaemonSet, namespaces: &BTreeMap<String, Labels>) -> Enrolment {
    let none = Labels::new();
    let namespace = one.metadata.namespace.as_deref().unwrap_or_default();
    let template = one.spec.as_ref().map(|spec| &spec.template);
    let labels = template.and_then(|template| template.metadata.as_ref()?.labels.as_ref());
    let critical = template.and_then(|template| node_critical(template.spec.as_ref()?));
    enrolment(
        &Membership {
            namespace,
            namespace_labels: namespaces.get(namespace).unwrap_or(&none),
            template_labels: labels.unwrap_or(&none),
            node_critical: critical.as_deref(),
        },
        policy::Mode::Enforce,
    )
}

fn labels(facts: &Facts) -> Ended {
    let namespaces = namespace_labels(facts)?;
    let unclear: Vec<String> = known(&facts.enrolled.daemon_sets)?
        .iter()
        .filter_map(|one| match asked(one, &namespaces) {
            Enrolment::Unclear { why } => {
                let (namespace, name) =
                    (one.metadata.namespace.as_ref(), one.metadata.name.as_ref());
                Some(format!("{}/{}: {why}", namespace?, name?))
            }
            Enrolment::Not { .. } | Enrolment::Mode(_) | Enrolment::Refused { .. } => None,
        })
        .collect();
    if unclear.is_empty() {
        Ok(String::new())
    } else {
        bad(unclear.join("\n"))
    }
}

fn shared(facts: &Facts) -> Ended {
    let mut by_account: BTreeMap<String, u32> = BTreeMap::new();
    for workload in workloads(facts)? {
        *by_account.entry(workload.account).or_default() += 1;
    }
    let shared = by_account
        .iter()
        .filter(|(account, number)| **number > 1 || account.ends_with("/default"));
    let shared: Vec<_> = shared.map(|(account, _)| account.as_str()).collect();
    if shared.is_empty() {
        Ok(String::new())
    } else {
        warn(few(shared))
    }
}

/// All of the core group.
const CORE: &str = "*.core";

/// What an account may list or watch of all namespaces; `*` is everything.
fn listed(facts: &Facts, user: &(String, String)) -> Result<BTreeSet<String>, (Level, String)> {
    let roles: BTreeMap<&str, &[PolicyRule]> = known(&facts.enrolled.cluster_roles)?
        .iter()
        .filter_map(|role| Some((role.metadata.name.as_deref()?, role.rules.as_deref()?)))
        .collect();
    let (namespace, name) = user;
    let is_theirs = |subject: &Subject| match subject.kind.as_str() {
        "ServiceAccount" => subject.name == *name && subject.namespace.as_ref() == Some(namespace),
        "Group" => [
            "system:serviceaccounts",
            "system:authenticated",
            &format!("system:serviceaccounts:{namespace}"),
        ]
        .contains(&subject.name.as_str()),
        _ => false,
    };
    let bindings = known(&facts.enrolled.cluster_bindings)?.iter();
    let theirs = bindings.filter(|one| one.subjects.iter().flatten().any(is_theirs));
    let granted = theirs.filter_map(|one| roles.get(one.role_ref.name.as_str()));
    let granted = granted.flat_map(|rules| rules.iter());
    let lists = granted.filter(|rule| {
        let named = rule
            .resource_names
            .as_ref()
            .is_some_and(|names| !names.is_empty());
        !named
            && rule
                .verbs
                .iter()
                .any(|verb| matches!(verb.as_str(), "*" | "list" | "watch"))
    });
    Ok(lists.flat_map(named).collect())
}

/// The resources of a rule: those of the core group by their names, others with their group behind a dot.
fn named(rule: &PolicyRule) -> Vec<String> {
    let name = |group: &str, resource: &str| match (group, resource) {
        ("*", "*") => "*".to_owned(),
        ("", "*") => CORE.to_owned(),
        ("*" | "", resource) => resource.to_owned(),
        (group, resource) => format!("{resource}.{group}"),
    };
    let mut names = Vec::new();
    for group in rule.api_groups.iter().flatten() {
        for resource in rule.resources.iter().flatten() {
            names.push(name(group, resource));
        }
    }
    names
}

fn footprint(facts: &Facts) -> Ended {
    let mut accounts: BTreeMap<String, (String, String)> = BTreeMap::new();
    for workload in workloads(facts)? {
        accounts.insert(workload.account, workload.user);
    }
    if accounts.is_empty() {
        return skip("nobody is enrolled");
    }
    let mut ranked = Vec::new();
    for (account, user) in accounts {
        let listed = listed(facts, &user)?;
        ranked.push((weight(&listed), account, listed));
    }
    ranked.sort_by(|a, b| b.0.cmp(&a.0).then_with(|| a.1.cmp(&b.1)));
    let said: Vec<String> = ranked
        .iter()
        .take(NAMED)
        .map(|(_, account, listed)| format!("{account}: {}", told(listed)))
        .collect();
    let said = said.join("\n");
    let everything = ranked.iter().any(|(_, _, listed)| listed.contains("*"));
    if everything { warn(said) } else { Ok(said) }
}

/// Everything weighs most, then what is dear, then how much it is.
fn weight(listed: &BTreeSet<String>) -> (bool, usize, usize) {
    let is_listed = |one: &&&str| listed.contains(**one) || listed.contains(CORE);
    let dear = DEAR.iter().filter(is_listed).count();
    (listed.contains("*"), dear, listed.len())
}

fn told(listed: &BTreeSet<String>) -> String {
    if listed.contains("*") {
        return "everything".to_owned();
    }
    if listed.is_empty() {
        return "nothing".to_owned();
    }
    let dear = DEAR.iter().copied().filter(|one| listed.contains(*one));
    let others = listed.iter().map(String::as_str);
    few(dear.chain(others.filter(|one| !DEAR.contains(one))))
}

fn policies(facts: &Facts, kind: &str, level: Level) -> Ended {
    let policies = known(&facts.running.policies)?;
    let wrong: Vec<String> = policies
        .iter()
        .filter_map(|policy| {
            let mut all = policy.status.iter().flat_map(|status| &status.conditions);
            let one = all.find(|one| one.type_ == kind && one.status == "False")?;
            let name = policy.metadata.name.as_deref().unwrap_or_default();
            Some(format!("{name}: {}", one.message))
        })
        .collect();
    match (policies.len(), wrong.is_empty()) {
        (0, _) => skip("there is none: built-in defaults apply"),
        (number, true) => Ok(format!("{number} policies")),
        (_, false) => Err((level, wrong.join("\n"))),
    }
}
