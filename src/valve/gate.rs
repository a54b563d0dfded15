//! The gate: the admission policy, its two bindings, and the account that it asks about, generated
//! into `deploy/`.
//!
//! The policy runs inside each API server at pod creation and adds the scheduling gate to pods of
//! enrolled DaemonSets whose revision is not approved. It is static: what it does changes with
//! labels and with the rights of one account, never by an edit of the policy. It has no parameters:
//! API servers know roles before they serve anyone, and parameters only some time after.
//!
//! What is decided where, and why there:
//!
//! - *Selectors* decide enrolment. They come first and cost nothing, so that a fault in an
//!   expression cannot touch a workload that nobody enrolled. Match conditions could not do it:
//!   they see neither the namespace nor variables. Two bindings, because selectors can only be
//!   combined by *and*: one for enrolled namespaces, one for enrolled templates. A pod is in at
//!   most one of them.
//! - *Match conditions* decide everything else; they read the pod and ask the authorizer. An error
//!   in one skips the policy (`failurePolicy: Ignore`); an error in a mutation would not always,
//!   since API servers return some of them to the client whatever the policy says. All of them are
//!   evaluated, whatever the first says: what must not be asked of every pod stands behind an `&&`.
//! - *The mutation* has nothing left to decide.
//!
//! Only `ApplyConfiguration` is used. A `JSONPatch` that put a typed object into a list made
//! API servers panic at each matching pod creation, in spite of `failurePolicy: Ignore`.

use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            ApplyConfiguration, MatchCondition, MatchResources, MutatingAdmissionPolicy,
            MutatingAdmissionPolicyBinding, MutatingAdmissionPolicyBindingSpec,
            MutatingAdmissionPolicySpec, Mutation, NamedRuleWithOperations, Variable,
        },
        rbac::v1::{Role, RoleBinding, RoleRef, Subject},
    },
    apimachinery::pkg::apis::meta::v1::{LabelSelector, LabelSelectorRequirement},
};
use kube::{Resource, api::ObjectMeta};

use super::{
    NAMESPACE, NEVER_GATED, REVISION_HASH, ROLE,
    approvals::{ADOPT, REVISIONS, RUN, VALVE},
    enrolment::ACKNOWLEDGED,
    node_critical,
};
use crate::api::{GROUP, marks};

/// Name of the gate policy.
pub const POLICY: &str = "weir-gate";

/// Name of the binding for enrolled namespaces.
pub const NAMESPACES_BINDING: &str = "weir-gate-namespaces";

/// Name of the binding for enrolled pod templates.
pub const TEMPLATES_BINDING: &str = "weir-gate-templates";

/// The value of [`marks::GUARD`] that the gate acts on.
const ENFORCE: &str = "enforce";

/// The gate policy. Without a binding it does nothing.
#[must_use]
pub fn policy() -> MutatingAdmissionPolicy {
    MutatingAdmissionPolicy {
        metadata: named(POLICY),
        spec: Some(MutatingAdmissionPolicySpec {
            // A valve that is out of order lets pods through; it must never be the outage.
            failure_policy: Some("Ignore".to_owned()),
            // What counts is the pod as the DaemonSet controller made it, since that is what Weir
            // can read in the template. A label that a webhook adds later must not gate a pod that
            // Weir does not take for enrolled, and nobody would release.
            reinvocation_policy: Some("Never".to_owned()),
            param_kind: None,
            match_constraints: Some(pods_outside_of_system_namespaces()),
            match_conditions: Some(match_conditions()),
            variables: Some(vec![Variable {
                name: "revision".to_owned(),
                expression: revision_expression(),
            }]),
            mutations: Some(vec![Mutation {
                patch_type: "ApplyConfiguration".to_owned(),
                apply_configuration: Some(ApplyConfiguration {
                    expression: Some(mutation_expression()),
                }),
                json_patch: None,
            }]),
        }),
    }
}

/// The bindings that put the policy in force. They exist only where the installation may enforce.
#[must_use]
pub fn bindings() -> [MutatingAdmissionPolicyBinding; 2] {
    let enforced = LabelSelectorRequirement {
        key: marks::GUARD.to_owned(),
        operator: "In".to_owned(),
        values: Some(vec![ENFORCE.to_owned()]),
    };
    let unlabelled = LabelSelectorRequirement {
        key: marks::GUARD.to_owned(),
        operator: "DoesNotExist".to_owned(),
        values: None,
    };
    [
        binding(
            NAMESPACES_BINDING,
            MatchResources {
                namespace_selector: Some(selector(enforced.clone())),
                object_selector: Some(selector(unlabelled)),
                ..MatchResources::default()
            },
        ),
        binding(
            TEMPLATES_BINDING,
            MatchResources {
                object_selector: Some(selector(enforced)),
                ..MatchResources::default()
            },
        ),
    ]
}

fn binding(name: &str, resources: MatchResources) -> MutatingAdmissionPolicyBinding {
    MutatingAdmissionPolicyBinding {
        metadata: named(name),
        spec: Some(MutatingAdmissionPolicyBindingSpec {
            policy_name: Some(POLICY.to_owned()),
            param_ref: None,
            match_resources: Some(resources),
        }),
    }
}

/// Gives the Role of the approvals, whether or not there is one, to the account that the policy asks
/// about. No Role means no rights: nothing is adopted and nothing gated, never everything.
#[must_use]
pub fn role_binding() -> RoleBinding {
    RoleBinding {
        metadata: ObjectMeta {
            namespace: Some(NAMESPACE.to_owned()),
            ..named(ROLE)
        },
        role_ref: RoleRef {
            api_group: Some(Role::group(&()).into_owned()),
            kind: Role::kind(&()).into_owned(),
            name: ROLE.to_owned(),
        },
        subjects: Some(vec![Subject {
            kind: "ServiceAccount".to_owned(),
            name: ROLE.to_owned(),
            namespace: Some(NAMESPACE.to_owned()),
            api_group: None,
        }]),
    }
}

fn pods_outside_of_system_namespaces() -> MatchResources {
    MatchResources {
        namespace_selector: Some(selector(LabelSelectorRequirement {
            key: "kubernetes.io/metadata.name".to_owned(),
            operator: "NotIn".to_owned(),
            values: Some(NEVER_GATED.map(str::to_owned).to_vec()),
        })),
        resource_rules: Some(vec![NamedRuleWithOperations {
            api_groups: Some(vec![String::new()]),
            api_versions: Some(vec!["v1".to_owned()]),
            operations: Some(vec!["CREATE".to_owned()]),
            resources: Some(vec!["pods".to_owned()]),
            ..NamedRuleWithOperations::default()
        }]),
        ..MatchResources::default()
    }
}

/// The cheap ones first. Each is null-safe by itself: all are evaluated, and one that fails would let
/// the pod through if none is false.
fn match_conditions() -> Vec<MatchCondition> {
    [
        ("not-placed", NOT_PLACED.to_owned()),
        ("not-node-critical", not_node_critical_expression()),
        ("unapproved-revision", unapproved_expression()),
    ]
    .map(|(name, expression)| MatchCondition {
        name: name.to_owned(),
        expression,
    })
    .to_vec()
}

/// Validation refuses a gate on a pod that is already placed.
const NOT_PLACED: &str = "!has(object.spec.nodeName) || object.spec.nodeName == ''";

/// True of the pod's owner if it is the DaemonSet that made the pod.
const DAEMON_SET: &str = "has(owner.controller) && owner.controller \
    && owner.apiVersion == 'apps/v1' && owner.kind == 'DaemonSet'";

/// Whether the account may do this with a resource, or with the one named so.
fn allowed(resource: &str, named: Option<&str>, verb: &str) -> String {
    let name = named.map_or_else(String::new, |name| format!(".name({name})"));
    format!(
        r"authorizer.serviceAccount('{NAMESPACE}', '{ROLE}')
      .group('{GROUP}').resource('{resource}').namespace('{NAMESPACE}'){name}
      .check('{verb}').allowed()"
    )
}

/// The authorizer is asked last, and of a DaemonSet's pods alone: each question costs a third of what
/// an expression may, and goes to a cluster's authorization webhooks if no role answers it.
fn unapproved_expression() -> String {
    let adopted = allowed(VALVE, None, ADOPT);
    let key = format!("owner.uid + '.' + object.metadata.labels['{REVISION_HASH}']");
    let approved = allowed(REVISIONS, Some(&key), RUN);
    format!(
        r"has(object.metadata.labels) && '{REVISION_HASH}' in object.metadata.labels &&
has(object.metadata.ownerReferences) && object.metadata.ownerReferences.exists(owner,
  {DAEMON_SET} &&
  {adopted} &&
  !{approved})"
    )
}

fn not_node_critical_expression() -> String {
    let label = marks::NODE_CRITICAL;
    let critical = node_critical::cel();
    format!(
        r"has(object.metadata.labels) && '{label}' in object.metadata.labels &&
  object.metadata.labels['{label}'] == '{ACKNOWLEDGED}' ||
!({critical})"
    )
}

fn revision_expression() -> String {
    format!(
        r"object.metadata.ownerReferences.filter(owner, {DAEMON_SET})[0].uid
  + '.' + object.metadata.labels['{REVISION_HASH}']"
    )
}

/// Merged by key into labels, annotations and gates, so that what is there already stays.
fn mutation_expression() -> String {
    format!(
        r"Object{{
  metadata: Object.metadata{{
    labels: {{'{enrolled}': 'true'}},
    annotations: {{'{revision}': variables.revision}}
  }},
  spec: Object.spec{{
    schedulingGates: [Object.spec.schedulingGates{{name: '{gate}'}}]
  }}
}}",
        enrolled = marks::ENROLLED,
        revision = marks::REVISION,
        gate = marks::GATE,
    )
}

fn named(name: &str) -> ObjectMeta {
    ObjectMeta {
        name: Some(name.to_owned()),
        ..ObjectMeta::default()
    }
}

fn selector(requirement: LabelSelectorRequirement) -> LabelSelector {
    LabelSelector {
        match_expressions: Some(vec![requirement]),
        match_labels: None,
    }
}

#[cfg(test)]
mod tests;
