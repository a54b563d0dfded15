//! What an account was granted, and what of it it has never asked for.

use std::collections::{BTreeMap, BTreeSet};
use std::fmt;

use anyhow::Result;
use k8s_openapi::api::rbac::v1::{
    ClusterRole, ClusterRoleBinding, PolicyRule, Role, RoleBinding, RoleRef, Subject,
};
use kube::api::ListParams;
use kube::{Api, Client};

use crate::world::AuditedRequest;

/// What may be done to what, and where.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Right {
    verb: String,
    /// The API group; empty for the oldest one, and for paths.
    group: String,
    /// A resource, with its subresource after a slash; or a path.
    target: String,
    /// Empty for everywhere.
    namespace: String,
}

/// All that an account was granted.
pub type Rights = BTreeSet<Right>;

/// A right, as it is written for people, and why it need not be used where one looks.
pub type Excuse = (&'static str, &'static str);

/// Namespaces that Weir knows by name: for what it needs there alone, a Role there is enough. What is
/// granted everywhere must have been used elsewhere too.
const KNOWN: [&str; 4] = ["default", "kube-system", "weir-check", "weir-system"];

const LISTS: &str = "where an API server streams no lists";
const UNDISTURBED: &str = "where a policy asks for an undisturbed soak";
const GRANTS: &str = "held only so that it may be granted";

/// Rights of Weir that only other times call for.
pub const ELSEWHERE: [Excuse; 18] = [
    ("list controllerrevisions.apps", LISTS),
    ("list controlplanes.weir.dev", LISTS),
    ("list daemonsets.apps", LISTS),
    ("list deployments.apps", UNDISTURBED),
    ("watch deployments.apps", UNDISTURBED),
    ("list statefulsets.apps", UNDISTURBED),
    ("watch statefulsets.apps", UNDISTURBED),
    ("list endpointslices.discovery.k8s.io in default", LISTS),
    ("list flowschemas.flowcontrol.apiserver.k8s.io", LISTS),
    ("list guardedrollouts.weir.dev", LISTS),
    ("list namespaces", LISTS),
    ("list nodes", LISTS),
    ("list pods", LISTS),
    ("list rolloutpolicies.weir.dev", LISTS),
    ("list roles.rbac.authorization.k8s.io in weir-system", LISTS),
    ("patch events.events.k8s.io", "when an event repeats"),
    ("adopt valve.weir.dev in weir-system", GRANTS),
    ("run revisions.weir.dev in weir-system", GRANTS),
];

impl fmt::Display for Right {
    /// `patch rolloutpolicies.weir.dev/status`, `list leases.coordination.k8s.io in kube-system`.
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        let (resource, sub) = match self.target.split_once('/') {
            Some((resource, sub)) if !resource.is_empty() => (resource, Some(sub)),
            _ => (self.target.as_str(), None),
        };
        write!(formatter, "{} {resource}", self.verb)?;
        if !self.group.is_empty() {
            write!(formatter, ".{}", self.group)?;
        }
        if let Some(sub) = sub {
            write!(formatter, "/{sub}")?;
        }
        if !self.namespace.is_empty() {
            write!(formatter, " in {}", self.namespace)?;
        }
        Ok(())
    }
}

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
    let mut all = Rights::new();
    let cluster: Api<ClusterRoleBinding> = Api::all(client.clone());
    for binding in cluster.list(&everything).await? {
        if is_ours(binding.subjects.as_deref()) {
            all.extend(rights(rules_of(client, &binding.role_ref, "").await?, ""));
        }
    }
    let namespaced: Api<RoleBinding> = Api::all(client.clone());
    for binding in namespaced.list(&everything).await? {
        if is_ours(binding.subjects.as_deref()) {
            let within = binding.metadata.namespace.unwrap_or_default();
            all.extend(rights(
                rules_of(client, &binding.role_ref, &within).await?,
                &within,
            ));
        }
    }
    Ok(all)
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

fn rights(rules: Vec<PolicyRule>, namespace: &str) -> Rights {
    let mut rights = Rights::new();
    for rule in rules {
        let groups = rule.api_groups.unwrap_or_default();
        let resources = rule.resources.unwrap_or_default();
        let of_groups = groups
            .iter()
            .flat_map(|group| resources.iter().map(move |target| (group.as_str(), target)));
        let paths = rule.non_resource_urls.unwrap_or_default();
        for (group, target) in of_groups.chain(paths.iter().map(|path| ("", path))) {
            rights.extend(rule.verbs.iter().map(|verb| Right {
                verb: verb.clone(),
                group: group.to_owned(),
                target: target.clone(),
                namespace: namespace.to_owned(),
            }));
        }
    }
    rights
}

/// What was granted, beside what was used.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Compared {
    /// How many rights there are.
    pub granted: usize,
    /// How many of them were used.
    pub used: usize,
    /// Those that were not, and need not be, by why.
    pub excused: BTreeMap<&'static str, Vec<String>>,
    /// Those that were not, and should have been.
    pub unused: Vec<String>,
}

impl Compared {
    /// All of it in a line.
    #[must_use]
    pub fn told(&self) -> String {
        let number: usize = self.excused.values().map(Vec::len).sum();
        let excused = self.excused.iter();
        let excused: Vec<_> = excused
            .map(|(why, rights)| format!("{why} ({})", rights.join(", ")))
            .collect();
        format!(
            "{} rights granted, {} used, {number} excused: {}",
            self.granted,
            self.used,
            excused.join("; ")
        )
    }
}

/// Finds which of the rights requests have used. One that was refused used none.
#[must_use]
pub fn compare(granted: &Rights, requests: &[AuditedRequest], excuses: &[Excuse]) -> Compared {
    let mut answered = Rights::new();
    for request in requests {
        if matches!(request.code, 401 | 403) {
            continue;
        }
        let asked = Right {
            verb: request.verb.clone(),
            group: request.group.clone(),
            target: request.target.clone(),
            namespace: request.namespace.clone(),
        };
        if request.verb == "patch" && request.code == 201 {
            // What is applied where there is nothing yet is created, and must be allowed to be.
            answered.insert(Right {
                verb: "create".to_owned(),
                ..asked.clone()
            });
        }
        answered.insert(asked);
    }
    let mut compared = Compared {
        granted: granted.len(),
        used: 0,
        excused: BTreeMap::new(),
        unused: Vec::new(),
    };
    for right in granted {
        let text = right.to_string();
        let excuse = excuses.iter().find(|(excused, _)| *excused == text);
        if answered.iter().any(|asked| uses(asked, right)) {
            compared.used += 1;
        } else if let Some((_, why)) = excuse {
            compared.excused.entry(*why).or_default().push(text);
        } else {
            compared.unused.push(text);
        }
    }
    compared
}

/// Whether what was asked for needed this right, and not only one that is narrower.
fn uses(asked: &Right, right: &Right) -> bool {
    let place = if right.namespace.is_empty() {
        !KNOWN.contains(&asked.namespace.as_str())
    } else {
        asked.namespace == right.namespace
    };
    place && asked.verb == right.verb && asked.group == right.group && asked.target == right.target
}

#[cfg(test)]
mod tests;
