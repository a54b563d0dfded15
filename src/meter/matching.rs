//! What of an account's requests a FlowSchema takes, as Priority and Fairness matches them.

use k8s_openapi::api::flowcontrol::v1::{
    FlowSchemaSpec, NonResourcePolicyRule, PolicyRulesWithSubjects, ResourcePolicyRule, Subject,
};

use super::Account;

/// What is renewed by whoever leads: group and resource.
const LEASES: (&str, &str) = ("coordination.k8s.io", "leases");
/// The same of clients from before there were Leases.
const OLD_LOCKS: [(&str, &str); 2] = [("", "endpoints"), ("", "configmaps")];

/// The level of renewals, where older API servers have the old locks too.
const RENEWALS: &str = "leader-election";

/// What of an account's requests a FlowSchema takes.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Takes {
    Nothing,
    /// Probes and other paths without objects, or renewals of Leases: next to nothing, and better left where
    /// it is.
    Aside,
    /// Some of its requests for objects.
    Part,
    Everything,
}

pub(super) fn takes(spec: &FlowSchemaSpec, account: &Account) -> Takes {
    let rules = spec.rules.iter().flatten();
    let rules: Vec<_> = rules.filter(|rule| is_about(rule, account)).collect();
    let resources = || {
        rules
            .iter()
            .flat_map(|rule| rule.resource_rules.iter().flatten())
    };
    let paths = || {
        rules
            .iter()
            .flat_map(|rule| rule.non_resource_rules.iter().flatten())
    };
    if resources().any(is_all_objects) && paths().any(is_all_paths) {
        Takes::Everything
    } else if !resources().all(|rule| is_of_locks_only(rule, spec)) {
        Takes::Part
    } else if resources().next().is_some() || paths().next().is_some() {
        Takes::Aside
    } else {
        Takes::Nothing
    }
}

fn is_about(rule: &PolicyRulesWithSubjects, account: &Account) -> bool {
    rule.subjects
        .iter()
        .any(|subject| is_subject(subject, account))
}

fn is_subject(subject: &Subject, account: &Account) -> bool {
    let user = subject.user.as_ref();
    let group = subject.group.as_ref();
    let one = subject.service_account.as_ref();
    match subject.kind.as_str() {
        "User" => user.is_some_and(|user| user.name == "*" || user.name == account.user()),
        "Group" => {
            group.is_some_and(|group| group.name == "*" || account.groups().contains(&group.name))
        }
        "ServiceAccount" => one.is_some_and(|one| {
            one.namespace == account.namespace && (one.name == "*" || one.name == account.name)
        }),
        _ => false,
    }
}

fn is_all_objects(rule: &ResourcePolicyRule) -> bool {
    let namespaces = rule.namespaces.as_deref().unwrap_or_default();
    let lists = [&rule.verbs, &rule.api_groups, &rule.resources];
    lists.into_iter().all(|list| is_any(list))
        && rule.cluster_scope.unwrap_or(false)
        && is_any(namespaces)
}

fn is_all_paths(rule: &NonResourcePolicyRule) -> bool {
    is_any(&rule.verbs) && is_any(&rule.non_resource_urls)
}

/// Whether a rule takes nothing but what is renewed by whoever leads.
fn is_of_locks_only(rule: &ResourcePolicyRule, spec: &FlowSchemaSpec) -> bool {
    let old = spec.priority_level_configuration.name == RENEWALS;
    let is_lock = |group: &String, resource: &String| {
        let what = (
            group.as_str(),
            resource.split('/').next().unwrap_or_default(),
        );
        what == LEASES || old && OLD_LOCKS.contains(&what)
    };
    let mut groups = rule.api_groups.iter();
    groups.all(|group| {
        rule.resources
            .iter()
            .all(|resource| is_lock(group, resource))
    })
}

fn is_any(list: &[String]) -> bool {
    list.iter().any(|one| one == "*")
}
