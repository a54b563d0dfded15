//! Which revisions may start freely ⇄ the rules of the Role that says so.
//!
//! The gate policy asks its authorizer what a made-up account may do, and the Role [`ROLE`] is all
//! that this account may:
//!
//! ```text
//!  rules:                                            means
//!  - revisions, run, [<owner uid>.<hash>, …]         these revisions are approved
//!  - valve, adopt                                    all others are gated
//! ```
//!
//! A rule without names means *all* names. Weir never writes one on revisions; one that it reads has
//! let everything through already, so that the Role then counts as emptied. For the same reason the
//! list of names is never empty: nothing is approved by [`NOBODY`], and there is always a list to
//! which a person's rule can be added.

use std::collections::BTreeMap;

use k8s_openapi::{api::rbac::v1::PolicyRule, apimachinery::pkg::apis::meta::v1::ObjectMeta};

use crate::api::{GROUP, bounds};

/// The Role in Weir's namespace, its binding, and the account that the gate policy asks about. No
/// such ServiceAccount need exist.
pub const ROLE: &str = "weir-approved";

/// What the account may [`RUN`] if they are approved.
pub(super) const REVISIONS: &str = "revisions";
/// The verb that approves.
pub(super) const RUN: &str = "run";
/// What the account may [`ADOPT`] if anything is to be gated.
pub(super) const VALVE: &str = "valve";
/// The verb that puts the gate in force.
pub(super) const ADOPT: &str = "adopt";

/// The name among the approved that is no revision's: keys have a dot.
const NOBODY: &str = "none";
/// What the notes' annotations begin with.
const PREFIX: &str = "weir.dev/";
/// Characters of an annotation's name behind its prefix that API servers take.
const ANNOTATION: usize = 63;

/// Which revisions may start freely, and whether all others are gated.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Approvals {
    /// Set once every revision that already runs is approved; without it nothing is gated.
    pub adopted: bool,
    /// Revisions whose pods are born ungated, by `<owner uid>.<revision hash>`, each with a note for
    /// people such as `shop/logs by weir`; empty where nobody left one.
    pub approved: BTreeMap<String, String>,
}

/// The Role, as it was read.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Standing {
    /// What it says.
    pub says: Approvals,
    /// It approves every revision there is or will be: nothing is gated, and what it says is lost.
    pub approves_all: bool,
    /// It says so as Weir would; a person's rules are yet to be merged otherwise.
    pub tidy: bool,
    /// Its `resourceVersion`.
    pub version: String,
    /// Annotations that hold notes, by their keys.
    pub(super) notes: BTreeMap<String, String>,
}

impl Standing {
    /// Reads a Role.
    #[must_use]
    pub fn read(meta: &ObjectMeta, rules: &[PolicyRule]) -> Self {
        let annotations = meta.annotations.iter().flatten();
        let notes: BTreeMap<String, String> = annotations
            .filter(|(key, _)| key.starts_with(PREFIX))
            .map(|(key, note)| (key.clone(), note.clone()))
            .collect();
        let approves_all = rules
            .iter()
            .any(|rule| grants(rule, REVISIONS, RUN) && names(rule).is_empty());
        let says = if approves_all {
            Approvals::default()
        } else {
            said(rules, &notes)
        };
        Self {
            tidy: rules == says.rules() && notes == says.notes(),
            says,
            approves_all,
            version: meta.resource_version.clone().unwrap_or_default(),
            notes,
        }
    }
}

impl Approvals {
    /// The Role's rules that say this.
    #[must_use]
    pub fn rules(&self) -> Vec<PolicyRule> {
        let mut names: Vec<String> = self.approved.keys().cloned().collect();
        if names.is_empty() {
            names.push(NOBODY.to_owned());
        }
        let mut rules = vec![PolicyRule {
            resource_names: Some(names),
            ..rule(REVISIONS, RUN)
        }];
        rules.extend(self.adopted.then(|| rule(VALVE, ADOPT)));
        rules
    }

    /// The Role's annotations that hold the notes. They always fit: see [`bounds::APPROVED`].
    #[must_use]
    pub fn notes(&self) -> BTreeMap<String, String> {
        let noted = self.approved.iter().filter(|(_, note)| !note.is_empty());
        let annotations = noted.filter_map(|(key, note)| Some((annotation(key)?, note.clone())));
        annotations.take(bounds::APPROVED).collect()
    }
}

/// A rule on one resource of Weir's group.
fn rule(resource: &str, verb: &str) -> PolicyRule {
    PolicyRule {
        api_groups: Some(vec![GROUP.to_owned()]),
        resources: Some(vec![resource.to_owned()]),
        verbs: vec![verb.to_owned()],
        ..PolicyRule::default()
    }
}

/// The rule that approves one revision, as a person would add it.
pub(super) fn rule_for(key: &str) -> PolicyRule {
    PolicyRule {
        resource_names: Some(vec![key.to_owned()]),
        ..rule(REVISIONS, RUN)
    }
}

/// What rules say that approve no more than they name.
fn said(rules: &[PolicyRule], notes: &BTreeMap<String, String>) -> Approvals {
    let adopts = |rule: &&PolicyRule| grants(rule, VALVE, ADOPT) && names(rule).is_empty();
    let approving = rules.iter().filter(|rule| grants(rule, REVISIONS, RUN));
    let keys = approving.flat_map(names).filter(|key| *key != NOBODY);
    let note = |key: &str| notes.get(&annotation(key)?).cloned();
    Approvals {
        adopted: rules.iter().any(|rule| adopts(&rule)),
        approved: keys
            .map(|key| (key.clone(), note(key).unwrap_or_default()))
            .collect(),
    }
}

/// Whether a rule is about this, as RBAC reads it.
fn grants(rule: &PolicyRule, resource: &str, verb: &str) -> bool {
    let holds = |list: &[String], word: &str| list.iter().any(|one| one == word || one == "*");
    let (groups, resources) = (rule.api_groups.as_deref(), rule.resources.as_deref());
    holds(groups.unwrap_or_default(), GROUP)
        && holds(resources.unwrap_or_default(), resource)
        && holds(&rule.verbs, verb)
}

/// The names that a rule is confined to; none if it is not.
fn names(rule: &PolicyRule) -> &[String] {
    rule.resource_names.as_deref().unwrap_or_default()
}

/// The annotation for a revision's note; none if an API server would not take it.
fn annotation(key: &str) -> Option<String> {
    let is_plain = |c: char| c.is_ascii_alphanumeric() || matches!(c, '.' | '-' | '_');
    let fits = key.len() <= ANNOTATION && key.chars().all(is_plain);
    let is_bound = |c: Option<char>| c.is_some_and(|c| c.is_ascii_alphanumeric());
    let ends = is_bound(key.chars().next()) && is_bound(key.chars().next_back());
    (fits && ends).then(|| format!("{PREFIX}{key}"))
}

#[cfg(test)]
mod tests;
