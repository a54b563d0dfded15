//! The RBAC rules that an agent of a profile needs: exactly its calls, nothing more.

use std::collections::{BTreeMap, BTreeSet};

use k8s_openapi::api::rbac::v1::PolicyRule;

use super::Profile;

/// One rule per resource and subresource, with the verbs of all calls to it.
#[must_use]
pub fn rules(profile: &Profile) -> Vec<PolicyRule> {
    let mut verbs: BTreeMap<(String, String), BTreeSet<String>> = BTreeMap::new();
    for call in &profile.calls {
        let resource = match &call.subresource {
            Some(subresource) => format!("{}/{subresource}", call.resource.plural),
            None => call.resource.plural.clone(),
        };
        verbs
            .entry((call.resource.group.clone(), resource))
            .or_default()
            .insert(call.verb.name().to_owned());
    }
    verbs
        .into_iter()
        .map(|((group, resource), verbs)| PolicyRule {
            api_groups: Some(vec![group]),
            resources: Some(vec![resource]),
            verbs: verbs.into_iter().collect(),
            ..PolicyRule::default()
        })
        .collect()
}
