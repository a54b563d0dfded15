//! What ships in `deploy/`, as far as checks compare a cluster with it: embedded, so that a plugin checks
//! for what its own version needs.

use std::collections::BTreeMap;

use k8s_openapi::api::{
    admissionregistration::v1::ValidatingAdmissionPolicySpec, rbac::v1::PolicyRule,
};
use serde_json::Value;

const RBAC: &str = include_str!("../../../deploy/rbac.yaml");
const CHECK: &str = include_str!("../../../deploy/check.yaml");
const CONFINE: &str = include_str!("../../../deploy/confine.yaml");
const ORDERS: &str = include_str!("../../../deploy/orders.yaml");

/// Weir's account in `deploy/`, whose namespace Weir always has.
pub(super) const ACCOUNT: &str = "weir";

/// What Weir's account must be able to do with one resource.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub(super) struct Right {
    /// Where; everywhere if none.
    pub(super) namespace: Option<String>,
    /// The resource's group.
    pub(super) group: String,
    /// The resource, with its subresource behind a slash; a path if it is no resource.
    pub(super) resource: String,
    /// What, and on which object if it is one.
    pub(super) verbs: Vec<(String, Option<String>)>,
}

impl Right {
    /// Whether it is about a path, and no resource.
    pub(super) fn is_path(&self) -> bool {
        self.resource.starts_with('/')
    }

    /// Its verbs in words.
    pub(super) fn said(&self) -> String {
        let verbs = self.verbs.iter().map(|(verb, name)| match name {
            Some(name) => format!("{verb} {name}"),
            None => verb.clone(),
        });
        verbs.collect::<Vec<_>>().join(", ")
    }
}

/// All documents of a file.
fn documents(text: &str) -> Vec<Value> {
    // A unit test parses all of them.
    serde_saphyr::from_multiple(text).unwrap_or_default()
}

/// All rights that ship, one for each resource in each namespace, in the order of the files.
pub(super) fn rights() -> Vec<Right> {
    let roles = [RBAC, CHECK].into_iter().flat_map(documents);
    let roles = roles.filter(|one| matches!(one["kind"].as_str(), Some("ClusterRole" | "Role")));
    let mut all: Vec<Right> = Vec::new();
    for role in roles {
        let namespace = role["metadata"]["namespace"].as_str().map(str::to_owned);
        let granted = role["rules"].as_array().into_iter().flatten();
        let granted =
            granted.filter_map(|rule| serde_json::from_value::<PolicyRule>(rule.clone()).ok());
        for right in granted.flat_map(|rule| flat(&rule, namespace.as_ref())) {
            let same = |one: &&mut Right| {
                (&one.namespace, &one.group, &one.resource)
                    == (&right.namespace, &right.group, &right.resource)
            };
            match all.iter_mut().find(same) {
                Some(known) => known.verbs.extend(right.verbs),
                None => all.push(right),
            }
        }
    }
    all
}

fn flat(rule: &PolicyRule, namespace: Option<&String>) -> Vec<Right> {
    let names = rule.resource_names.clone().unwrap_or_default();
    let names: Vec<Option<String>> = match names.len() {
        0 => vec![None],
        _ => names.into_iter().map(Some).collect(),
    };
    let of_name = |name: &Option<String>| {
        let verbs = rule.verbs.iter();
        verbs
            .map(|verb| (verb.clone(), name.clone()))
            .collect::<Vec<_>>()
    };
    let verbs: Vec<_> = names.iter().flat_map(of_name).collect();
    let right = |group: &str, resource: &str| Right {
        namespace: namespace.cloned(),
        group: group.to_owned(),
        resource: resource.to_owned(),
        verbs: verbs.clone(),
    };
    let paths = rule.non_resource_urls.iter().flatten();
    let paths = paths.map(|path| right("", path));
    let groups = rule.api_groups.iter().flatten();
    let resources = groups.flat_map(|group| {
        let resources = rule.resources.iter().flatten();
        resources.map(|resource| right(group, resource))
    });
    paths.chain(resources).collect()
}

/// The policies that confine Weir's account, of this name, and people's orders, by name.
pub(super) fn confining(account: &str) -> BTreeMap<String, ValidatingAdmissionPolicySpec> {
    let confines = |account: &str| format!("'system:serviceaccount:weir-system:{account}'");
    let named =
        [CONFINE, CHECK, ORDERS].map(|text| text.replace(&confines(ACCOUNT), &confines(account)));
    let policies = named.iter().flat_map(|text| documents(text));
    let policies = policies.filter(|one| one["kind"].as_str() == Some("ValidatingAdmissionPolicy"));
    policies
        .filter_map(|policy| {
            let name = policy["metadata"]["name"].as_str()?.to_owned();
            let spec = serde_json::from_value(policy["spec"].clone()).ok()?;
            Some((name, spec))
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn all_that_ships_is_read() {
        let rights = rights();
        let pods = rights
            .iter()
            .find(|right| right.resource == "pods")
            .unwrap();
        assert_eq!(pods.said(), "list, watch, patch");
        let roles = rights
            .iter()
            .find(|right| right.resource == "roles")
            .unwrap();
        assert_eq!(roles.namespace.as_deref(), Some("weir-system"));
        assert_eq!(
            roles.said(),
            "get weir-approved, list weir-approved, watch weir-approved, patch weir-approved, create"
        );
        assert!(
            rights
                .iter()
                .any(|right| right.is_path() && right.resource == "/metrics")
        );
        assert!(rights.len() > 15, "{}", rights.len());
        let names: Vec<_> = confining(ACCOUNT).into_keys().collect();
        assert_eq!(
            names,
            [
                "weir-check-dry-run-only",
                "weir-only-approves",
                "weir-only-meters",
                "weir-only-removes-its-gate",
                "weir-orders-need-approval",
            ]
        );
        for (name, spec) in confining(ACCOUNT) {
            let validations = spec.validations.unwrap_or_default();
            assert!(!validations.is_empty(), "{name}");
        }
    }
}
