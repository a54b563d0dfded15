//! Hours at which nothing begins, and what others deploy beside a rollout.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::{ToSpan, Zoned};
use k8s_openapi::api::apps::v1::Deployment;
use kube::Api;
use kube::api::{Patch, PatchParams};
use serde_json::json;
use weir::api::{RolloutPolicy, State};
use weir_e2e::stage::{PATIENCE, Shape, Stage, all_the_while, policy_for};

/// How often somebody deploys, and how many times: together longer than the stretch that is demanded.
const DEPLOYS_EVERY: Duration = Duration::from_secs(15);
const DEPLOYS: u32 = 5;

/// The namespaces of the cases here, and their policies' names.
const CLOSED: &str = "closed";
const RESTLESS: &str = "restless";

/// A policy whose only window is the day after tomorrow.
pub(crate) fn closed() -> Result<String> {
    let later = Zoned::now().checked_add(2.days())?;
    let day = later.strftime("%a");
    let window = format!("{{ days: [{day}], from: \"00:00\", to: \"00:00\" }}");
    let spec = format!("pace: Fast\nsoak: 2s\nwindows: [{window}]\n{PATIENCE}");
    Ok(policy_for(CLOSED, &[CLOSED], &spec))
}

/// A policy that demands a minute without deployments before there is more than one pod.
pub(crate) fn restless() -> String {
    let undisturbed = "undisturbed: { stretch: 1m, before: 10% }";
    let spec = format!("pace: Fast\nsoak: 2s\n{undisturbed}\n{PATIENCE}");
    policy_for(RESTLESS, &[RESTLESS], &spec)
}

pub(crate) async fn nothing_begins_outside_the_windows(stage: &Stage<'_>) -> Result<()> {
    let logs = stage.logs(CLOSED, &Shape::default()).await?;
    let revision = logs.revision().await?;
    logs.until(
        &revision,
        "it says that it waits for its window",
        |status| {
            let mut findings = status.findings.iter();
            let summary = status.summary.as_deref().unwrap_or_default();
            status.state == Some(State::Pending)
                && findings.any(|finding| finding.reason == "OutsideWindow")
                && summary.contains("window")
        },
    )
    .await?;
    all_the_while("no pod is let through", async || {
        Ok(logs.status(&revision).await?.width == 0)
    })
    .await?;
    // Somebody opens it.
    let policies: Api<RolloutPolicy> = Api::all(stage.admin.clone());
    let windows = json!([{ "from": "00:00", "to": "00:00", "timeZone": "Pacific/Auckland" }]);
    let patch = Patch::Merge(json!({ "spec": { "windows": windows } }));
    policies
        .patch(CLOSED, &PatchParams::default(), &patch)
        .await?;
    logs.until_state(&revision, State::Complete).await?;
    Ok(())
}

pub(crate) async fn what_others_deploy_keeps_it_narrow(stage: &Stage<'_>) -> Result<()> {
    let logs = stage.logs(RESTLESS, &Shape::default()).await?;
    let revision = logs.revision().await?;
    logs.until(&revision, "its first pod soaks", |status| {
        status.state == Some(State::Soaking) && status.width == 1
    })
    .await?;
    let deployments: Api<Deployment> = Api::namespaced(stage.admin.clone(), RESTLESS);
    for number in 0..DEPLOYS {
        let apply = PatchParams::apply("e2e").force();
        let web = Patch::Apply(deployment(number));
        deployments.patch("web", &apply, &web).await?;
        tokio::time::sleep(DEPLOYS_EVERY).await;
    }
    let status = logs.status(&revision).await?;
    ensure!(
        status.width == 1,
        "{} pods were let through while others deployed: {status:?}",
        status.width
    );
    logs.until_state(&revision, State::Complete).await?;
    Ok(())
}

/// A Deployment without pods, each time another revision.
fn deployment(number: u32) -> serde_json::Value {
    let labels = json!({ "app": "web" });
    json!({
        "apiVersion": "apps/v1",
        "kind": "Deployment",
        "metadata": { "name": "web" },
        "spec": {
            "replicas": 0,
            "selector": { "matchLabels": labels },
            "template": {
                "metadata": { "labels": labels, "annotations": { "deployed": number.to_string() } },
                "spec": { "containers": [{ "name": "web", "image": "registry.invalid/web:1" }] },
            },
        },
    })
}
