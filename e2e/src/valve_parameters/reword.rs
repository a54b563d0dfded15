//! The policy that ships, in words that read parameters of other kinds.

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::{MutatingAdmissionPolicySpec, ParamKind};

/// The annotation that says that a namespace is adopted.
pub(super) const ADOPTED: &str = "weir.dev/adopted";

/// How the shipped policy asks whether anything is adopted.
const IS_ADOPTED: &str = "authorizer.serviceAccount('weir-system', 'weir-approved')
      .group('weir.dev').resource('valve').namespace('weir-system')
      .check('adopt').allowed()";

/// How the shipped policy asks whether the owner's revision is approved.
const IS_APPROVED: &str = "authorizer.serviceAccount('weir-system', 'weir-approved')
      .group('weir.dev').resource('revisions').namespace('weir-system').name(owner.uid + '.' + \
                           object.metadata.labels['controller-revision-hash'])
      .check('run').allowed()";

/// The key of the owner's revision.
const KEY: &str = "(owner.uid + '.' + object.metadata.labels['controller-revision-hash'])";

/// The annotation that approves a revision.
pub(super) fn annotation(key: &str) -> String {
    format!("weir.dev/{key}")
}

/// Keys beside the mark, all in the ConfigMap's data.
pub(super) fn for_config_map(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    spec.param_kind = Some(kind("v1", "ConfigMap"));
    reword(
        spec,
        "has(params.data) && has(params.data.adopted) && params.data.adopted == 'true'",
        &format!("(has(params.data) && {KEY} in params.data)"),
    )
}

/// A mark and a map.
pub(super) fn for_custom_resource(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    spec.param_kind = Some(kind("measured.weir.dev/v1", "Valve"));
    reword(
        spec,
        "has(params.spec) && has(params.spec.adopted) && params.spec.adopted",
        &format!(
            "(has(params.spec) && has(params.spec.approved) && {KEY} in params.spec.approved)"
        ),
    )
}

/// Match conditions do not see the namespace, so that the mutation has to decide.
pub(super) fn for_namespace(spec: &mut MutatingAdmissionPolicySpec) -> Result<()> {
    reword(spec, "true", "false")?;
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

fn kind(api_version: &str, kind: &str) -> ParamKind {
    ParamKind {
        api_version: Some(api_version.to_owned()),
        kind: Some(kind.to_owned()),
    }
}

/// Asks these instead of the authorizer.
fn reword(spec: &mut MutatingAdmissionPolicySpec, adopted: &str, approved: &str) -> Result<()> {
    let mut questions = 0;
    for condition in spec.match_conditions.iter_mut().flatten() {
        for (asked, instead) in [(IS_ADOPTED, adopted), (IS_APPROVED, approved)] {
            questions += condition.expression.matches(asked).count();
            condition.expression = condition.expression.replace(asked, instead);
        }
        let expression = &condition.expression;
        ensure!(
            !expression.contains("authorizer"),
            "still asks the authorizer: {expression}"
        );
    }
    ensure!(questions == 2, "the policy that ships asks otherwise");
    Ok(())
}

#[cfg(test)]
mod tests {
    use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicy;

    use super::*;

    #[test]
    fn the_policy_that_ships_can_be_worded_for_each_other_kind() -> Result<()> {
        for reword in [for_config_map, for_custom_resource, for_namespace] {
            let shipped = include_str!("../../../deploy/gate-policy.yaml");
            let policy: MutatingAdmissionPolicy = serde_saphyr::from_str(shipped)?;
            reword(&mut policy.spec.context("the policy has a spec")?)?;
        }
        Ok(())
    }
}
