//! Somebody empties the Role of the approvals, deletes it, or makes it approve everything.

use anyhow::{Result, ensure};
use k8s_openapi::api::authorization::v1::SubjectAccessReview;
use k8s_openapi::api::rbac::v1::{PolicyRule, Role};
use kube::Api;
use kube::api::{Patch, PatchParams, PostParams};
use serde_json::json;
use weir_e2e::stage::{Logs, Shape, Stage, eventually};
use weir_e2e::world::approvals::{NAMESPACE, ROLE, adopt, roles, run};

use super::NODES;

/// The Role that lets Weir write the other, and the account that has it.
const WEIR: &str = "weir";
const ACCOUNT: &str = "system:serviceaccount:weir-system:weir";

/// A DaemonSet whose revision the valve has approved.
pub(crate) async fn approved(stage: &Stage<'_>) -> Result<Logs> {
    let logs = stage.logs("rebuilt", &Shape::default()).await?;
    logs.completes(stage).await?;
    Ok(logs)
}

pub(crate) async fn one_that_is_emptied_deleted_or_approves_everything_is_rebuilt(
    stage: &Stage<'_>,
    logs: &Logs,
) -> Result<()> {
    let hash = logs.revision().await?;
    let pods = logs.pod_uids().await?;
    let key = logs.key(&hash).await?;
    let patch = |rules: serde_json::Value| {
        let patch = json!({ "rules": rules }).to_string();
        [
            "patch",
            "role",
            "weir-approved",
            "--type=merge",
            "-p",
            &patch,
        ]
        .map(str::to_owned)
    };
    let wildcard = json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] });
    for (how, harm) in [
        ("emptied", patch(json!(null)).to_vec()),
        (
            "made to approve everything",
            patch(json!([adopt(), run(&[])])).to_vec(),
        ),
        ("made a wildcard", patch(json!([wildcard])).to_vec()),
        (
            "deleted",
            ["delete", "role", "weir-approved"]
                .map(str::to_owned)
                .to_vec(),
        ),
    ] {
        let mut words: Vec<&str> = harm.iter().map(String::as_str).collect();
        words.extend(["-n", "weir-system"]);
        let before = times_rebuilt(stage).await?;
        stage.world.kubectl(&words).await?;
        until_rebuilt(stage, &key, before, how).await?;
        ensure!(logs.pod_uids().await? == pods, "{how}: pods were touched");
        logs.until_runs(&hash, NODES).await?;
    }
    let note = stage
        .event("weir-system", "weir-approved", "ValveRebuilt")
        .await?;
    ensure!(note.contains("deleted or emptied"), "{note}");
    Ok(())
}

/// Weir writes such a Role anew within a moment. Here it may not at first, so that there is time to
/// read what it says until then.
pub(crate) async fn one_that_approves_everything_is_told_of_until_it_is_rebuilt(
    stage: &Stage<'_>,
    logs: &Logs,
) -> Result<()> {
    let key = logs.key(&logs.revision().await?).await?;
    let roles = roles(&stage.admin);
    let may = roles.get(WEIR).await?.rules.unwrap_or_default();
    let mut may_not = may.clone();
    for rule in &mut may_not {
        if rule.resource_names.iter().flatten().any(|one| one == ROLE) {
            rule.verbs.retain(|verb| verb != "patch");
        }
    }
    ensure!(may_not != may, "nothing was taken away");
    set_rules(&roles, WEIR, &may_not).await?;
    let reviews: Api<SubjectAccessReview> = Api::all(stage.admin.clone());
    let review: SubjectAccessReview = serde_json::from_value(json!({ "metadata": {}, "spec": {
        "user": ACCOUNT,
        "resourceAttributes": {
            "group": "rbac.authorization.k8s.io", "resource": "roles",
            "namespace": NAMESPACE, "name": ROLE, "verb": "patch",
        },
    }}))?;
    eventually("Weir may not write the Role", async || {
        let answer = reviews.create(&PostParams::default(), &review).await?;
        Ok(answer.status.is_some_and(|status| !status.allowed))
    })
    .await?;

    let before = times_rebuilt(stage).await?;
    let everything: Vec<PolicyRule> = serde_json::from_value(json!([adopt(), run(&[])]))?;
    set_rules(&roles, ROLE, &everything).await?;
    let (status, message) = stage
        .control_plane_says("Gating", "EverythingApproved")
        .await?;
    ensure!(
        status == "False" && message.contains("nothing is gated until Weir has written the Role"),
        "{status}: {message}"
    );
    set_rules(&roles, WEIR, &may).await?;
    until_rebuilt(stage, &key, before, "left to approve everything").await?;
    let (status, _) = stage.control_plane_says("Gating", "InForce").await?;
    ensure!(status == "True", "it is in force, and {status}");
    Ok(())
}

/// Waits until the Role says again what it said, and that is told once more than `before`.
async fn until_rebuilt(stage: &Stage<'_>, key: &str, before: i32, how: &str) -> Result<()> {
    let what = format!("the Role was {how}, and says again what it said");
    eventually(&what, async || {
        let said = stage.approvals().await?;
        Ok(said.adopted && said.approved.contains(key))
    })
    .await?;
    let what = format!("the Role was {how}, and its being rebuilt is told");
    eventually(&what, async || Ok(times_rebuilt(stage).await? > before)).await
}

async fn times_rebuilt(stage: &Stage<'_>) -> Result<i32> {
    stage.times_told(NAMESPACE, ROLE, "ValveRebuilt").await
}

async fn set_rules(roles: &Api<Role>, name: &str, wanted: &[PolicyRule]) -> Result<()> {
    let patch = Patch::Merge(json!({ "rules": wanted }));
    roles.patch(name, &PatchParams::default(), &patch).await?;
    Ok(())
}

/// As before somebody broke it, and what it had approved runs on.
pub(crate) async fn it_gates_what_is_new(stage: &Stage<'_>, logs: &Logs) -> Result<()> {
    let second = logs.update("none.invalid/logs:2").await?;
    ensure!(logs.completes(stage).await? == second);
    let status = logs.status(&second).await?;
    ensure!(status.wave > 1, "it did not pass the valve: {status:?}");
    Ok(())
}
