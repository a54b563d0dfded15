//! Who is enrolled, what their accounts may ask, and how their rollouts fare.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::{
    apps::v1::DaemonSet,
    rbac::v1::{PolicyRule, Subject},
};
use weir_core::policy;

use super::{Check, Ended, Entry, bad, few, known, skip, warn};
use crate::{
    api::{GuardedRollout, State, marks::conditions},
    cli::check::facts::Facts,
    valve::{self, Enrolment, Membership, enrolment, node_critical},
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
    let enrolled = enrolled().map(|entry| entry.check("Enrolment", false));
    let rollouts = rollouts().map(|entry| entry.check("Rollouts", false));
    enrolled.chain(rollouts).collect()
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
            about: "Ranked by RBAC: who may list what there is most of can harm most when it rolls out.",
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
    ]
    .into_iter()
}

/// An enrolled DaemonSet.
struct Workload {
    name: String,
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
            let name = one.metadata.name.as_deref().unwrap_or_default();
            let pod = one
                .spec
                .as_ref()
                .and_then(|spec| spec.template.spec.as_ref());
            let account = pod.and_then(|pod| pod.service_account_name.clone());
            let account = account.filter(|name| !name.is_empty());
            let account = account.unwrap_or_else(|| "default".to_owned());
            Workload {
                name: format!("{namespace}/{name}"),
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
    let rules = theirs.filter_map(|one| roles.get(one.role_ref.name.as_str()));
    let rules = rules.flat_map(|rules| rules.iter());
    let lists = rules.filter(|rule| {
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
    let resources = lists.flat_map(|rule| rule.resources.iter().flatten());
    Ok(resources.cloned().collect())
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
    let dear = DEAR.iter().filter(|one| listed.contains(**one)).count();
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

fn rollouts() -> impl Iterator<Item = Entry> {
    [
        Entry {
            id: "nothing-is-held",
            title: "No rollout is held",
            about: "What is held waits at the gate; what runs goes on running.",
            hint: "`kubectl weir explain NAME` says why, and what would clear it",
            ask: |facts| in_state(facts, State::Held, Level::Warning),
        },
        Entry {
            id: "nothing-is-refused",
            title: "No workload is refused",
            about: "A workload on which nodes depend is not guarded until its author acknowledges that.",
            hint: "label the pod template weir.dev/node-critical=acknowledged if nodes may wait for it, or \
                   take the enrolment away",
            ask: |facts| in_state(facts, State::Refused, Level::Warning),
        },
        Entry {
            id: "nothing-is-paused",
            title: "No rollout is paused",
            about: "A pause lasts until a person takes it back, and holds nodes that starve too.",
            hint: "`kubectl weir resume NAME`",
            ask: |facts| in_state(facts, State::Paused, Level::Warning),
        },
        Entry {
            id: "no-node-starves",
            title: "No node waits for a pod",
            about: "Nodes whose old pod is gone wait while their rollout is held.",
            hint: "`kubectl weir explain NAME`; in need `kubectl weir approve NAME --width N` lets some through",
            ask: |facts| {
                let starve = |status: &crate::api::GuardedRolloutStatus| {
                    status.nodes_without_pod > 0 && status.state != Some(State::Superseded)
                };
                let found = which(facts, |one| one.status.as_ref().is_some_and(starve))?;
                if found.is_empty() { Ok(String::new()) } else { warn(found) }
            },
        },
        Entry {
            id: "no-pod-is-stranded",
            title: "Every gated pod has a rollout",
            about: "A gated pod that no rollout accounts for waits for ever, unless somebody lets it through.",
            hint: "remove the gate: `kubectl patch pod NAME -n NAMESPACE -p \
                   '{\"spec\":{\"schedulingGates\":[{\"$patch\":\"delete\",\"name\":\"weir.dev/gate\"}]}}'`",
            ask: stranded,
        },
    ]
    .into_iter()
}

/// The names of the rollouts of which this is so.
fn which(facts: &Facts, is: impl Fn(&GuardedRollout) -> bool) -> Result<String, (Level, String)> {
    let rollouts = known(&facts.running.rollouts)?.iter();
    let names: Vec<String> = rollouts
        .filter(|one| is(one))
        .map(|one| {
            let namespace = one.metadata.namespace.as_deref().unwrap_or_default();
            format!(
                "{namespace}/{}",
                one.metadata.name.as_deref().unwrap_or_default()
            )
        })
        .collect();
    Ok(few(names.iter().map(String::as_str)))
}

fn in_state(facts: &Facts, state: State, level: Level) -> Ended {
    let is =
        |one: &GuardedRollout| one.status.as_ref().and_then(|status| status.state) == Some(state);
    let found = which(facts, is)?;
    if found.is_empty() {
        Ok(String::new())
    } else {
        Err((level, found))
    }
}

fn stranded(facts: &Facts) -> Ended {
    let known_keys: BTreeSet<String> = known(&facts.running.rollouts)?
        .iter()
        .filter(|one| {
            one.status.as_ref().and_then(|status| status.state) != Some(State::Superseded)
        })
        .map(|one| valve::revision_key(&one.spec.workload.uid, &one.spec.revision))
        .collect();
    let gated = known(&facts.running.gated)?;
    let alone = gated.iter().filter(|pod| {
        let key = pod.revision.as_ref();
        key.is_none_or(|key| !known_keys.contains(key))
    });
    let alone: Vec<String> = alone
        .map(|pod| format!("{}/{}", pod.namespace, pod.name))
        .collect();
    if alone.is_empty() {
        return Ok(format!("{} pods are gated", gated.len()));
    }
    bad(format!(
        "{} are not: {}",
        alone.len(),
        few(alone.iter().map(String::as_str))
    ))
}
