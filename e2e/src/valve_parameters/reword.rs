//! The policy that ships, in words that read other kinds of parameters.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicySpec;

/// The annotation that says that a namespace is adopted.
pub(super) const ADOPTED: &str = "weir.dev/adopted";

/// How the shipped policy asks whether the owner's revision is approved.
const APPROVED: &str = "has(params.spec) && has(params.spec.approved) &&
    (owner.uid + '.' + object.metadata.labels['controller-revision-hash']) in params.spec.approved";

/// The annotation that approves a revision.
pub(super) fn annotation(key: &str) -> String {
    format!("weir.dev/{key}")
}

/// Keys beside the mark, all in the ConfigMap's data.
pub(super) fn for_config_map(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    let kind = spec
        .param_kind
        .as_mut()
        .context("the policy has parameters")?;
    kind.api_version = Some("v1".to_owned());
    kind.kind = Some("ConfigMap".to_owned());
    for condition in spec.match_conditions.iter_mut().flatten() {
        condition.expression = condition
            .expression
            .replace(
                "params.spec.adopted == true",
                "params.data.adopted == 'true'",
            )
            .replace("params.spec.adopted", "params.data.adopted")
            .replace(
                "has(params.spec) && has(params.spec.approved)",
                "has(params.data)",
            )
            .replace("params.spec.approved", "params.data")
            .replace("params.spec", "params.data");
    }
    Ok(())
}

/// Match conditions do not see the namespace, so that the mutation has to decide.
pub(super) fn for_namespace(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    spec.param_kind = None;
    let conditions = spec
        .match_conditions
        .as_mut()
        .context("the policy has conditions")?;
    conditions.retain(|condition| condition.name != "adopted");
    for condition in conditions {
        condition.expression = condition.expression.replace(APPROVED, "false");
        let expression = &condition.expression;
        ensure!(
            !expression.contains("params"),
            "still reads parameters: {expression}"
        );
    }
    for mutation in spec.mutations.iter_mut().flatten() {
        let applied = mutation.apply_configuration.as_mut();
        let expression = applied.and_then(|applied| applied.expression.as_mut());
        let expression = expression.context("the mutation applies something")?;
        *expression = format!(
            "has(namespaceObject.metadata.annotations) && \
             '{ADOPTED}' in namespaceObject.metadata.annotations && \
             !(('weir.dev/' + variables.revision) in namespaceObject.metadata.annotations) \
             ? {expression} : Object{{}}"
        );
    }
    Ok(())
}

/// The account that is asked about, and what it is asked for.
pub(super) const ACCOUNT: (&str, &str) = ("default", "weir-valve");

/// What the account may do with revisions that are approved, and with the valve if it is adopted.
pub(super) const VERB: &str = "open";

/// Whether a made-up account has a right: roles are what API servers know before they serve anyone.
pub(super) fn for_role(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    spec.param_kind = None;
    let allowed = |resource: &str, name: &str| {
        let (namespace, account) = ACCOUNT;
        format!(
            "authorizer.serviceAccount('{namespace}', '{account}').group('weir.dev')\
             .resource('{resource}').name({name}).check('{VERB}').allowed()"
        )
    };
    let revision = "owner.uid + '.' + object.metadata.labels['controller-revision-hash']";
    for condition in spec.match_conditions.iter_mut().flatten() {
        condition.expression = if condition.name == "adopted" {
            allowed("valves", "'cluster'")
        } else {
            let approved = allowed("revisions", revision);
            condition.expression.replace(APPROVED, &approved)
        };
        let expression = &condition.expression;
        ensure!(
            !expression.contains("params"),
            "still reads parameters: {expression}"
        );
    }
    Ok(())
}
