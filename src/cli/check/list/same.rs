//! Two admission policies → whether they decide the same, whatever API servers filled in.

use k8s_openapi::{
    api::admissionregistration::v1::{
        MatchCondition, MatchResources, MutatingAdmissionPolicySpec, NamedRuleWithOperations,
        ValidatingAdmissionPolicySpec, Variable,
    },
    apimachinery::pkg::apis::meta::v1::LabelSelector,
};

/// What both kinds of policies say of when they apply; their types have nothing else in common.
macro_rules! when {
    ($found:expr, $shipped:expr) => {
        [
            (
                fails($found.failure_policy.as_ref()) != fails($shipped.failure_policy.as_ref()),
                "failurePolicy",
            ),
            (
                constraints($found.match_constraints.as_ref())
                    != constraints($shipped.match_constraints.as_ref()),
                "matchConstraints",
            ),
            (
                conditions($found.match_conditions.as_deref())
                    != conditions($shipped.match_conditions.as_deref()),
                "matchConditions",
            ),
            (
                variables($found.variables.as_deref()) != variables($shipped.variables.as_deref()),
                "variables",
            ),
        ]
    };
}

/// What differs between a validating policy and the one that ships, if something does.
pub(super) fn validating(
    found: &ValidatingAdmissionPolicySpec,
    shipped: &ValidatingAdmissionPolicySpec,
) -> Option<&'static str> {
    let validations = |spec: &ValidatingAdmissionPolicySpec| {
        let all = spec.validations.iter().flatten();
        sorted(all.map(|one| one.expression.clone()))
    };
    let differs = [
        (validations(found) != validations(shipped), "validations"),
        (found.param_kind != shipped.param_kind, "paramKind"),
    ];
    first(when!(found, shipped).into_iter().chain(differs))
}

/// The same of a mutating policy.
pub(super) fn mutating(
    found: &MutatingAdmissionPolicySpec,
    shipped: &MutatingAdmissionPolicySpec,
) -> Option<&'static str> {
    let differs = [
        (found.mutations != shipped.mutations, "mutations"),
        (
            found.reinvocation_policy != shipped.reinvocation_policy,
            "reinvocationPolicy",
        ),
        (found.param_kind != shipped.param_kind, "paramKind"),
    ];
    first(when!(found, shipped).into_iter().chain(differs))
}

fn first(differs: impl IntoIterator<Item = (bool, &'static str)>) -> Option<&'static str> {
    let mut differs = differs.into_iter();
    differs.find_map(|(differs, what)| differs.then_some(what))
}

/// A policy that says nothing fails.
fn fails(policy: Option<&String>) -> &str {
    policy.map_or("Fail", String::as_str)
}

fn sorted(expressions: impl Iterator<Item = String>) -> Vec<String> {
    let mut all: Vec<String> = expressions.collect();
    all.sort();
    all
}

fn conditions(all: Option<&[MatchCondition]>) -> Vec<String> {
    sorted(all.into_iter().flatten().map(|one| one.expression.clone()))
}

fn variables(all: Option<&[Variable]>) -> Vec<String> {
    let all = all.into_iter().flatten();
    sorted(all.map(|one| format!("{} = {}", one.name, one.expression)))
}

/// What is matched, with what API servers fill in left out: all scopes, equivalent versions, and selectors
/// that choose everything.
fn constraints(all: Option<&MatchResources>) -> MatchResources {
    let all = all.cloned().unwrap_or_default();
    let rules = |rules: Option<Vec<NamedRuleWithOperations>>| {
        let plain = |rule: NamedRuleWithOperations| NamedRuleWithOperations {
            scope: rule.scope.filter(|scope| scope != "*"),
            resource_names: rule.resource_names.filter(|names| !names.is_empty()),
            ..rule
        };
        let rules = rules.filter(|rules| !rules.is_empty())?;
        Some(rules.into_iter().map(plain).collect())
    };
    let selector = |selector: Option<LabelSelector>| {
        selector.filter(|selector| *selector != LabelSelector::default())
    };
    MatchResources {
        exclude_resource_rules: rules(all.exclude_resource_rules),
        match_policy: all.match_policy.filter(|policy| policy != "Equivalent"),
        namespace_selector: selector(all.namespace_selector),
        object_selector: selector(all.object_selector),
        resource_rules: rules(all.resource_rules),
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn policy(change: impl Fn(&mut serde_json::Value)) -> ValidatingAdmissionPolicySpec {
        let mut spec = json!({
            "failurePolicy": "Fail",
            "matchConstraints": { "resourceRules": [{
                "apiGroups": [""], "apiVersions": ["v1"], "operations": ["UPDATE"], "resources": ["pods"],
            }] },
            "matchConditions": [{ "name": "weir", "expression": "true" }],
            "validations": [{ "expression": "false", "message": "no" }],
        });
        change(&mut spec);
        serde_json::from_value(spec).unwrap()
    }

    #[test]
    fn what_api_servers_fill_in_makes_no_difference() {
        let found = policy(|spec| {
            let constraints = &mut spec["matchConstraints"];
            constraints["matchPolicy"] = json!("Equivalent");
            constraints["namespaceSelector"] = json!({});
            constraints["objectSelector"] = json!({});
            constraints["resourceRules"][0]["scope"] = json!("*");
        });
        assert_eq!(validating(&found, &policy(|_| {})), None);
    }

    #[test]
    fn whatever_switches_it_off_is_a_difference() {
        type Change = fn(&mut serde_json::Value);
        let changes: [(&str, Change); 5] = [
            ("failurePolicy", |spec| {
                spec["failurePolicy"] = json!("Ignore");
            }),
            ("matchConstraints", |spec| {
                spec["matchConstraints"]["resourceRules"][0]["resourceNames"] = json!(["none"]);
            }),
            ("matchConstraints", |spec| {
                spec["matchConstraints"]["namespaceSelector"] =
                    json!({ "matchLabels": { "a": "b" } });
            }),
            ("matchConditions", |spec| {
                let off = json!({ "name": "off", "expression": "false" });
                spec["matchConditions"].as_array_mut().unwrap().push(off);
            }),
            ("validations", |spec| spec["validations"] = json!([])),
        ];
        for (what, change) in changes {
            assert_eq!(validating(&policy(change), &policy(|_| {})), Some(what));
        }
    }
}
