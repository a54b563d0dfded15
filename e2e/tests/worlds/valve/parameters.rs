//! What the rights of the account that the policy asks about do to the gate.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use k8s_openapi::api::admissionregistration::v1::MutatingAdmissionPolicyBinding;
use k8s_openapi::api::rbac::v1::ClusterRoleBinding;
use kube::Api;
use kube::api::{DeleteParams, ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_e2e::world::approvals::{ROLE, adopt, role, run};

use super::cluster::{A_WHILE, Cluster, Probe, SOON};
use super::eventually;

/// Looks within which an approval has effect. On idle cores the first or second sees it, and this
/// many are two seconds. They are counted, not timed: where others use the cores too, a look takes
/// longer in the same API server that is to notice, and as much longer.
const LOOKS: u32 = 100;

/// Between two of these looks.
const LOOK_AGAIN: Duration = Duration::from_millis(20);

const UID: &str = "11111111-2222-3333-4444-555555555555";

/// What a person asks. `can-i run revisions.weir.dev/KEY` would not do: kubectl does not know the group
/// of what is no resource, and asks for another.
const MAY_DO: [&str; 7] = [
    "auth",
    "can-i",
    "--list",
    "-n",
    "weir-system",
    "--as",
    "system:serviceaccount:weir-system:weir-approved",
];

/// Runs first, and leaves the gate in force for the others.
pub(crate) async fn nothing_is_gated_before_anything_is_adopted(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let probe = Probe::of("weir-check");
    // The bindings are known by then: see how long it takes with a Role.
    tokio::time::sleep(A_WHILE).await;
    ensure!(!cluster.gates(&probe).await?);
    cluster.adopt().await
}

pub(crate) async fn an_approval_takes_effect_within_a_hundred_looks(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("effect", Some("enforce")).await?;
    let probe = Probe {
        uid: UID,
        hash: "effect",
        ..Probe::of("effect")
    };
    ensure!(cluster.gates(&probe).await?);
    let before = rules(cluster).await?;
    let key = format!("{UID}.effect");
    for gates in [false, true] {
        if gates {
            set_rules(cluster, &before).await?;
        } else {
            cluster.allow(&key).await?;
        }
        let mut looks = 1;
        while cluster.gates(&probe).await? != gates {
            ensure!(
                looks < LOOKS,
                "{looks} looks, and not yet: gated is {gates}"
            );
            looks += 1;
            tokio::time::sleep(LOOK_AGAIN).await;
        }
        let said = cluster.world.kubectl(&MAY_DO).await?;
        let approved = said.lines().any(|line| {
            line.starts_with("revisions.weir.dev") && line.contains(&key) && line.contains("[run]")
        });
        ensure!(approved != gates, "kubectl disagrees: {said}");
    }
    Ok(())
}

pub(crate) async fn an_emptied_or_missing_role_gates_nothing(cluster: &Cluster<'_>) -> Result<()> {
    let probe = Probe::of("weir-check");
    let open =
        async |what: &str| eventually(what, SOON, async || Ok(!cluster.gates(&probe).await?)).await;
    let before = rules(cluster).await?;
    set_rules(cluster, &json!(null)).await?;
    open("an emptied Role gates nothing").await?;
    cluster.adopt().await?;
    cluster
        .roles()
        .delete(ROLE, &DeleteParams::default())
        .await?;
    open("a missing Role gates nothing").await?;
    // As it was, since other cases have approvals in it.
    let rules: Vec<Value> = serde_json::from_value(before)?;
    cluster
        .roles()
        .create(&PostParams::default(), &role(&rules)?)
        .await?;
    cluster.in_force().await
}

/// A rule without names, or with a wildcard, means all revisions.
pub(crate) async fn a_role_that_approves_everything_gates_nothing(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let probe = Probe::of("weir-check");
    let before = rules(cluster).await?;
    let wildcard = json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] });
    for all in [run(&[]), wildcard] {
        set_rules(cluster, &json!([adopt(), all])).await?;
        eventually("everything is approved", SOON, async || {
            Ok(!cluster.gates(&probe).await?)
        })
        .await?;
        set_rules(cluster, &before).await?;
        cluster.in_force().await?;
    }
    Ok(())
}

/// As some clusters have it by mistake; Weir's check is what notices.
pub(crate) async fn where_every_account_may_do_everything_nothing_is_gated(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": { "name": "everyone" },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        },
        "subjects": [{
            "apiGroup": "rbac.authorization.k8s.io", "kind": "Group",
            "name": "system:serviceaccounts",
        }],
    }))?;
    let bindings: Api<ClusterRoleBinding> = Api::all(cluster.admin.clone());
    bindings.create(&PostParams::default(), &binding).await?;
    let probe = Probe::of("weir-check");
    let open = eventually("nothing is gated", SOON, async || {
        Ok(!cluster.gates(&probe).await?)
    })
    .await;
    let said = cluster.world.kubectl(&MAY_DO).await;
    bindings
        .delete("everyone", &DeleteParams::default())
        .await?;
    open?;
    let everything = |said: &str| said.lines().any(|line| line.starts_with("*.*"));
    ensure!(
        everything(&said?),
        "what Weir advises to ask does not show it"
    );
    cluster.in_force().await?;
    ensure!(!everything(&cluster.world.kubectl(&MAY_DO).await?));
    Ok(())
}

/// With a ConfigMap for parameters it would not (kubernetes#130887).
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
    cluster.allow(&format!("{UID}.{hash}")).await?;
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

/// A list at its bound, with notes at theirs, is taken; and the last of its names is found.
pub(crate) async fn a_full_list_is_taken_and_read(cluster: &Cluster<'_>) -> Result<()> {
    const MOST: usize = 2048;
    let before = rules(cluster).await?;
    let key = |number: usize| format!("{UID}.{number:026}");
    let keys: Vec<String> = (0..MOST).map(key).collect();
    let names: Vec<&str> = keys.iter().map(String::as_str).collect();
    let note = |key: &String| (format!("weir.dev/{key}"), json!("n".repeat(48)));
    let notes: serde_json::Map<String, Value> = keys.iter().map(note).collect();
    let cleared: serde_json::Map<String, Value> =
        notes.keys().map(|key| (key.clone(), Value::Null)).collect();
    let annotate = async |notes, rules| {
        let patch = json!({ "metadata": { "annotations": notes }, "rules": rules });
        let patch = Patch::Merge(patch);
        cluster
            .roles()
            .patch(ROLE, &PatchParams::default(), &patch)
            .await
            .map(drop)
    };
    annotate(notes, json!([run(&names), adopt()])).await?;
    let last = keys.last().context("there is one")?;
    let probe = |hash| Probe {
        uid: UID,
        hash,
        ..Probe::of("weir-check")
    };
    let hash = last.split_once('.').context("a key has two parts")?.1;
    let taken = eventually("the last is approved, and no other", SOON, async || {
        Ok(!cluster.gates(&probe(hash)).await? && cluster.gates(&probe("another")).await?)
    })
    .await;
    annotate(cleared, before).await?;
    taken.map(drop)
}

async fn rules(cluster: &Cluster<'_>) -> Result<Value> {
    Ok(json!(cluster.roles().get(ROLE).await?.rules))
}

async fn set_rules(cluster: &Cluster<'_>, rules: &Value) -> Result<()> {
    let patch = Patch::Merge(json!({ "rules": rules }));
    cluster
        .roles()
        .patch(ROLE, &PatchParams::default(), &patch)
        .await?;
    Ok(())
}
