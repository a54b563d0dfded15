//! What is approved, as anybody may read it: from the rules of the Role `weir-approved`.

use std::collections::BTreeSet;

use anyhow::Result;
use k8s_openapi::api::rbac::v1::Role;
use kube::{Api, Client};
use serde_json::{Value, json};

/// The namespace that the Role is in.
pub const NAMESPACE: &str = "weir-system";

/// The Role's name, and the name of the account that has its rights.
pub const ROLE: &str = "weir-approved";

/// What the Role says.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Pods of revisions that are not approved are gated.
    pub adopted: bool,
    /// Revisions that are approved, by `<owner uid>.<revision hash>`.
    pub approved: BTreeSet<String>,
}

impl Approvals {
    /// Reads the Role; `None` if there is none.
    ///
    /// # Errors
    /// The API server does not answer.
    pub async fn read(client: &Client) -> Result<Option<Self>> {
        Ok(roles(client)
            .get_opt(ROLE)
            .await?
            .map(|role| Self::of(&role)))
    }

    fn of(role: &Role) -> Self {
        let rules = || role.rules.iter().flatten();
        let about = |resource: &'static str| {
            rules().filter(move |rule| {
                let mut resources = rule.resources.iter().flatten();
                resources.any(|one| one == resource)
            })
        };
        let names = about("revisions").flat_map(|rule| rule.resource_names.iter().flatten());
        Self {
            adopted: about("valve").count() > 0,
            approved: names.filter(|name| name.contains('.')).cloned().collect(),
        }
    }
}

/// The Roles beside which Weir runs.
#[must_use]
pub fn roles(client: &Client) -> Api<Role> {
    Api::namespaced(client.clone(), NAMESPACE)
}

/// The Role with these rules.
///
/// # Errors
/// They are none.
pub fn role(rules: &[Value]) -> Result<Role> {
    let role = json!({ "metadata": { "name": ROLE }, "rules": rules });
    Ok(serde_json::from_value(role)?)
}

/// The rule by which the gate is in force.
#[must_use]
pub fn adopt() -> Value {
    json!({ "apiGroups": ["weir.dev"], "resources": ["valve"], "verbs": ["adopt"] })
}

/// The rule by which these revisions are approved.
#[must_use]
pub fn run(keys: &[&str]) -> Value {
    json!({
        "apiGroups": ["weir.dev"], "resources": ["revisions"], "verbs": ["run"],
        "resourceNames": keys,
    })
}

/// The JSON patch by which a person approves a revision, whatever is approved already.
#[must_use]
pub fn approval(key: &str) -> Value {
    json!([{ "op": "add", "path": "/rules/-", "value": run(&[key]) }])
}
