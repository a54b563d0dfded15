//! Which policies apply to a workload.

use std::collections::BTreeMap;

use k8s_openapi::apimachinery::pkg::apis::meta::v1::LabelSelector;
use kube::{
    ResourceExt,
    core::{Selector, SelectorExt},
};
use weir_core::policy::{Policy, Servers};

use super::{
    conditions::{self, Conditions},
    dependencies,
    lower::{Defect, Problem, lower},
    stricter::stricter,
    windows::Windows,
};
use crate::{
    api::{RolloutPolicy, Workloads},
    dependency::Dependency,
};

type Labels = BTreeMap<String, String>;

/// All policies of the cluster, lowered once; by name.
#[derive(Debug, Clone)]
pub struct Policies {
    all: BTreeMap<String, Entry>,
}

#[derive(Debug, Clone)]
struct Entry {
    /// None if they cannot be evaluated: then the policy matches nothing.
    selectors: Option<Selectors>,
    policy: Policy,
    windows: Windows,
    dependencies: BTreeMap<String, Dependency>,
    problems: Vec<Problem>,
}

#[derive(Debug, Clone)]
struct Selectors {
    namespaces: Selector,
    workloads: Selector,
}

/// What one workload is judged by.
#[derive(Debug, Clone, PartialEq)]
pub struct Choice {
    /// The policy.
    pub policy: Policy,
    /// When each policy lets waves begin: all of them must.
    pub windows: Vec<Windows>,
    /// The names of the RolloutPolicies it comes from; empty for the built-in one.
    pub names: Vec<String>,
    /// What a person should know about how it came about.
    pub notes: Vec<String>,
    /// What all of these depend on, by what findings call it.
    pub dependencies: BTreeMap<String, Dependency>,
}

impl Policies {
    /// Lowers all policies; a wrong one is kept, with its problems, as the built-in `Careful`.
    #[must_use]
    pub fn new<'a>(policies: impl IntoIterator<Item = &'a RolloutPolicy>) -> Self {
        let entry = |policy: &RolloutPolicy| (policy.name_any(), Entry::new(policy));
        Self {
            all: policies.into_iter().map(entry).collect(),
        }
    }

    /// What all policies mean, in the order of their names.
    pub fn all(&self) -> impl Iterator<Item = &Policy> {
        self.all.values().map(|entry| &entry.policy)
    }

    /// What policies depend on, each with the policy's name and its own.
    pub fn dependencies(&self) -> impl Iterator<Item = (&str, &str, &Dependency)> {
        self.all.iter().flat_map(|(policy, entry)| {
            let all = entry.dependencies.iter();
            all.map(move |(name, one)| (policy.as_str(), name.as_str(), one))
        })
    }

    /// What one policy depends on, by name.
    pub fn dependencies_of(&self, policy: &str) -> impl Iterator<Item = (&String, &Dependency)> {
        let entry = self.all.get(policy);
        entry.into_iter().flat_map(|entry| &entry.dependencies)
    }

    /// The most API servers that any policy says there are; 0 if none says.
    #[must_use]
    pub fn most_servers_stated(&self) -> u32 {
        let stated = self.all().map(|policy| match policy.required.servers {
            Servers::Stated(servers) => servers,
            Servers::AsFound { .. } => 0,
        });
        stated.max().unwrap_or(0)
    }

    /// What a workload is judged by, from its namespace's labels and its pod template's labels.
    #[must_use]
    pub fn select(&self, namespace: &Labels, template: &Labels) -> Choice {
        let matching: Vec<_> = self
            .all
            .iter()
            .filter(|(_, entry)| entry.matches(namespace, template))
            .collect();
        let Some(policy) = matching
            .iter()
            .map(|(_, entry)| entry.policy.clone())
            .reduce(|one, other| stricter(&one, &other))
        else {
            return Choice {
                policy: Policy::careful(),
                windows: Vec::new(),
                names: Vec::new(),
                notes: Vec::new(),
                dependencies: BTreeMap::new(),
            };
        };
        let names: Vec<_> = matching.iter().map(|(name, _)| (*name).clone()).collect();
        let mut notes = Vec::new();
        if let [_, _, ..] = names.as_slice() {
            notes.push(format!(
                "policies {} all match: the stricter of each field applies",
                names.join(", ")
            ));
        }
        if matching
            .iter()
            .any(|(_, entry)| entry.policy.spread_by != policy.spread_by)
        {
            notes.push(format!(
                "they differ in spreadBy: waves are spread over `{}`, as {} says",
                policy.spread_by, names[0]
            ));
        }
        notes.extend(
            matching
                .iter()
                .filter(|(_, entry)| !entry.problems.is_empty())
                .map(|(name, _)| {
                    format!("policy {name} is wrong: the built-in Careful stands in for it")
                }),
        );
        let windows = matching.iter().map(|(_, entry)| entry.windows.clone());
        Choice {
            policy,
            windows: windows.collect(),
            names,
            notes,
            dependencies: union(&matching),
        }
    }

    /// What a policy's conditions say, given the choices made for all enrolled workloads, each with
    /// its `namespace/name`; none if there is no such policy.
    #[must_use]
    pub fn conditions<'a>(
        &self,
        name: &str,
        choices: impl IntoIterator<Item = (&'a str, &'a Choice)>,
    ) -> Option<Conditions> {
        let entry = self.all.get(name)?;
        let mine: Vec<_> = choices
            .into_iter()
            .filter(|(_, choice)| choice.names.iter().any(|one| one == name))
            .collect();
        Some(Conditions {
            ready: conditions::ready(&entry.problems, entry.selectors.is_some()),
            matched: conditions::matched(name, &mine),
            workloads: u32::try_from(mine.len()).unwrap_or(u32::MAX),
        })
    }
}

impl Entry {
    fn new(policy: &RolloutPolicy) -> Self {
        let (lowered, mut problems) = match lower(&policy.spec) {
            Ok(lowered) => (lowered, Vec::new()),
            Err(problems) => (Policy::careful(), problems),
        };
        let (windows, wrong) = Windows::read(policy.spec.windows.as_deref());
        problems.extend(wrong);
        // Also of a policy that is wrong elsewhere: without them it would be looser than was meant.
        let dependencies = dependencies::lower(&policy.spec.dependencies, &mut problems);
        let lowered = if problems.is_empty() {
            lowered
        } else {
            Policy::careful()
        };
        let Workloads {
            namespace_selector,
            selector,
        } = policy.spec.workloads.clone().unwrap_or_default();
        let namespaces = evaluable(
            "workloads.namespaceSelector",
            namespace_selector,
            &mut problems,
        );
        let workloads = evaluable("workloads.selector", selector, &mut problems);
        let selectors = namespaces
            .zip(workloads)
            .map(|(namespaces, workloads)| Selectors {
                namespaces,
                workloads,
            });
        Self {
            selectors,
            policy: lowered,
            windows,
            dependencies,
            problems,
        }
    }

    fn matches(&self, namespace: &Labels, template: &Labels) -> bool {
        self.selectors.as_ref().is_some_and(
            |Selectors {
                 namespaces,
                 workloads,
             }| { namespaces.matches(namespace) && workloads.matches(template) },
        )
    }
}

/// What any of these policies depends on. Where two call different things by one name, the policies' own names are
/// put before it.
fn union(matching: &[(&String, &Entry)]) -> BTreeMap<String, Dependency> {
    let mut named: BTreeMap<&String, Vec<(&String, &Dependency)>> = BTreeMap::new();
    for (policy, entry) in matching {
        for (name, one) in &entry.dependencies {
            named.entry(name).or_default().push((*policy, one));
        }
    }
    let mut all = BTreeMap::new();
    for (name, ones) in named {
        if ones.windows(2).all(|pair| pair[0].1 == pair[1].1) {
            all.extend(ones.first().map(|(_, one)| (name.clone(), (*one).clone())));
        } else {
            let full =
                |(policy, one): (&String, &Dependency)| (format!("{policy}/{name}"), one.clone());
            all.extend(ones.into_iter().map(full));
        }
    }
    all
}

/// The selector in a form that can be evaluated; an absent one matches everything.
fn evaluable(
    field: &'static str,
    selector: Option<LabelSelector>,
    problems: &mut Vec<Problem>,
) -> Option<Selector> {
    selector
        .unwrap_or_default()
        .try_into()
        .inspect_err(|error: &kube::core::ParseExpressionError| {
            problems.push(Problem {
                field: field.into(),
                defect: Defect::Selector(error.0.clone()),
            });
        })
        .ok()
}
