//! What the parameter object does to the gate.

use std::time::Duration;

use anyhow::{Result, ensure};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::json;
use weir::api::SINGLETON;

use super::cluster::{A_WHILE, Cluster, Probe, SOON};
use super::eventually;

/// Ten times what is measured on idle cores.
const APPROVAL_LIMIT: Duration = Duration::from_secs(2);

const UID: &str = "11111111-2222-3333-4444-555555555555";

/// Runs first, and leaves the gate in force for the others.
pub(crate) async fn nothing_is_gated_before_anything_is_adopted(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let probe = Probe::of("weir-check");
    // The bindings are known by then: see how long it takes with parameters.
    tokio::time::sleep(A_WHILE).await;
    ensure!(!cluster.gates(&probe).await?);
    cluster.adopt().await
}

pub(crate) async fn an_approval_takes_effect_within_two_seconds(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("effect", Some("enforce")).await?;
    let probe = Probe {
        uid: UID,
        hash: "effect",
        ..Probe::of("effect")
    };
    ensure!(cluster.gates(&probe).await?);
    let key = format!("{UID}.effect");
    for note in [json!("by the test"), json!(null)] {
        let patch = json!({ "spec": { "approved": { &key: note } } });
        cluster
            .valves()
            .patch(SINGLETON, &PatchParams::default(), &Patch::Merge(patch))
            .await?;
        let wanted = note.is_null();
        eventually("the approval has effect", APPROVAL_LIMIT, async || {
            Ok(cluster.gates(&probe).await? == wanted)
        })
        .await?;
    }
    Ok(())
}

pub(crate) async fn emptied_and_missing_parameters_gate_nothing(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let probe = Probe::of("weir-check");
    let open =
        async |what: &str| eventually(what, SOON, async || Ok(!cluster.gates(&probe).await?)).await;
    let before = cluster.valves().get(SINGLETON).await?.spec;
    let emptied = json!([{ "op": "replace", "path": "/spec", "value": {} }]);
    let emptied = serde_json::from_value(emptied)?;
    let patch = Patch::<()>::Json(emptied);
    cluster
        .valves()
        .patch(SINGLETON, &PatchParams::default(), &patch)
        .await?;
    open("emptied parameters gate nothing").await?;
    cluster.adopt().await?;
    cluster
        .valves()
        .delete(SINGLETON, &DeleteParams::default())
        .await?;
    open("missing parameters gate nothing").await?;
    // As it was, since other cases have approvals in it.
    let valve = weir::api::Valve::new(SINGLETON, before);
    cluster
        .valves()
        .create(&PostParams::default(), &valve)
        .await?;
    cluster.in_force().await
}

/// With a ConfigMap as the parameter object it would not (kubernetes#130887).
pub(crate) async fn the_valve_survives_being_unbound_and_bound_again(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let bindings: Api<MutatingAdmissionPolicyBinding> = Api::all(cluster.admin.clone());
    let all = bindings.list(&ListParams::default()).await?;
    for binding in &all {
        let name = binding.metadata.name.clone().unwrap_or_default();
        bindings.delete(&name, &DeleteParams::default()).await?;
    }
    let probe = Probe::of("weir-check");
    eventually("unbound, it gates nothing", SOON, async || {
        Ok(!cluster.gates(&probe).await?)
    })
    .await?;
    tokio::time::sleep(A_WHILE).await;
    for mut binding in all {
        binding.metadata.resource_version = None;
        binding.metadata.uid = None;
        bindings.create(&PostParams::default(), &binding).await?;
    }
    cluster.in_force().await?;
    an_approval_of(cluster, "rebound").await
}

async fn an_approval_of(cluster: &Cluster<'_>, hash: &str) -> Result<()> {
    let patch = json!({ "spec": { "approved": { format!("{UID}.{hash}"): "by the test" } } });
    cluster
        .valves()
        .patch(SINGLETON, &PatchParams::default(), &Patch::Merge(patch))
        .await?;
    let probe = Probe {
        uid: UID,
        hash,
        ..Probe::of("weir-check")
    };
    eventually("the approval has effect", SOON, async || {
        Ok(!cluster.gates(&probe).await?)
    })
    .await?;
    Ok(())
}

pub(crate) async fn a_malformed_approval_is_refused(cluster: &Cluster<'_>) -> Result<()> {
    for key in ["logs", "shop/logs", &format!("{UID}."), ".abc"] {
        let patch = json!({ "spec": { "approved": { key: "by the test" } } });
        let patched = cluster
            .valves()
            .patch(SINGLETON, &PatchParams::default(), &Patch::Merge(patch))
            .await;
        ensure!(patched.is_err(), "{key} was taken for a revision");
    }
    Ok(())
}
