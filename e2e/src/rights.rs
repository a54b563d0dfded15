//! What an account was granted, and what of it it has never asked for.

use std::collections::BTreeSet;

use anyhow::Result;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::ListParams;
use kube::{Api, Client};

use crate::world::AuditedRequest;

/// Verbs, each with what it is granted on: a resource, with its subresource after a slash, or a path.
pub type Rights = BTreeSet<(String, String)>;

/// Rights of Weir that only other times call for: where API servers stream no lists, everything is
/// listed; records of revisions that are gone, and meters of workloads that are, are deleted; an event
/// that repeats is patched. And those that are held only so that they may be granted, or that applying
/// asks for where there is nothing yet.
pub const ELSEWHERE: [(&str, &str); 17] = [
    ("list", "controllerrevisions"),
    ("list", "controlplanes"),
    ("list", "daemonsets"),
    ("list", "endpointslices"),
    ("list", "flowschemas"),
    ("list", "guardedrollouts"),
    ("list", "namespaces"),
    ("list", "nodes"),
    ("list", "pods"),
    ("list", "rolloutpolicies"),
    ("list", "roles"),
    ("create", "flowschemas"),
    ("delete", "flowschemas"),
    ("delete", "guardedrollouts"),
    ("patch", "events"),
    ("adopt", "valve"),
    ("run", "revisions"),
];

/// What all roles grant that a ServiceAccount is bound to by its name.
///
/// # Errors
/// The API server does not answer.
pub async fn granted(client: &Client, namespace: &str, account: &str) -> Result<Rights> {
    let is_ours = |subjects: Option<&[Subject]>| {
        subjects.into_iter().flatten().any(|subject| {
            subject.kind == "ServiceAccount"
                && subject.name == account
                && subject.namespace.as_deref() == Some(namespace)
        })
    };
    let everything = ListParams::default();
    let mut rules = Vec::new();
    let cluster: Api<ClusterRoleBinding> = Api::all(client.clone());
    for binding in cluster.list(&everything).await? {
        if is_ours(binding.subjects.as_deref()) {
            rules.extend(rules_of(client, &binding.role_ref, "").await?);
        }
    }
    let namespaced: Api<RoleBinding> = Api::all(client.clone());
    for binding in namespaced.list(&everything).await? {
        if is_ours(binding.subjects.as_deref()) {
            let within = binding.metadata.namespace.unwrap_or_default();
            rules.extend(rules_of(client, &binding.role_ref, &within).await?);
        }
    }
    Ok(rights(rules))
}

async fn rules_of(client: &Client, role: &RoleRef, namespace: &str) -> Result<Vec<PolicyRule>> {
    let rules = if role.kind == "Role" {
        let roles: Api<Role> = Api::namespaced(client.clone(), namespace);
        roles.get_opt(&role.name).await?.and_then(|role| role.rules)
    } else {
        let roles: Api<ClusterRole> = Api::all(client.clone());
        roles.get_opt(&role.name).await?.and_then(|role| role.rules)
    };
    Ok(rules.unwrap_or_default())
}

fn rights(rules: Vec<PolicyRule>) -> Rights {
    let mut rights = Rights::new();
    for rule in rules {
        for target in [rule.resources, rule.non_resource_urls]
            .into_iter()
            .flatten()
            .flatten()
        {
            let of = |verb: &String| (verb.clone(), target.clone());
            rights.extend(rule.verbs.iter().map(of));
        }
    }
    rights
}

/// The rights that no request has used, but for those of [`ELSEWHERE`].
#[must_use]
pub fn unused(granted: &Rights, requests: &[AuditedRequest]) -> Vec<(String, String)> {
    let used: Rights = requests
        .iter()
        .map(|request| (request.verb.clone(), request.target.clone()))
        .collect();
    let unused = granted.difference(&used);
    unused
        .filter(|(verb, target)| !ELSEWHERE.contains(&(verb.as_str(), target.as_str())))
        .cloned()
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_right_is_a_verb_on_a_target_however_rules_group_them() {
        let rule = PolicyRule {
            resources: Some(vec!["pods".to_owned(), "nodes".to_owned()]),
            verbs: vec!["get".to_owned(), "watch".to_owned()],
            ..PolicyRule::default()
        };
        let page = PolicyRule {
            non_resource_urls: Some(vec!["/metrics".to_owned()]),
            verbs: vec!["get".to_owned()],
            ..PolicyRule::default()
        };
        let rights = rights(vec![rule, page]);
        assert_eq!(rights.len(), 5);
        let request = AuditedRequest {
            at: jiff::Timestamp::UNIX_EPOCH,
            user: String::new(),
            verb: "watch".to_owned(),
            target: "pods".to_owned(),
            code: 200,
            user_agent: String::new(),
            dry_run: false,
        };
        let left = unused(&rights, &[request]);
        assert!(!left.contains(&("watch".to_owned(), "pods".to_owned())));
        assert!(left.contains(&("get".to_owned(), "/metrics".to_owned())));
        assert_eq!(left.len(), 4);
    }
}
