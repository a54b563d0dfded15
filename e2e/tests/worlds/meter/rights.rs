//! What Weir's account may write of Priority and Fairness, tried with its own token.

use k8s_openapi::api::flowcontrol::v1::PriorityLevelConfiguration;
use kube::api::{DeleteParams, PostParams};

use super::*;

/// Fails unless the policy that confines Weir refused it.
fn refused<T>(result: kube::Result<T>, what: &str) -> Result<()> {
    let error = result.err().with_context(|| format!("Weir may {what}"))?;
    let said = error.to_string();
    ensure!(said.contains("weir-only-meters"), "{what}: {said}");
    Ok(())
}

/// A FlowSchema that Weir may write, as far as it goes.
fn allowed(name: &str) -> Value {
    json!({
        "metadata": { "name": name },
        "spec": {
            "priorityLevelConfiguration": { "name": "workload-low" },
            "matchingPrecedence": 8999,
            "rules": [{
                "subjects": [one("shop", "logs")],
                "resourceRules": [{ "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"],
                    "clusterScope": true, "namespaces": ["*"] }],
            }],
        },
    })
}

fn one(namespace: &str, name: &str) -> Value {
    json!({ "kind": "ServiceAccount", "serviceAccount": { "namespace": namespace, "name": name } })
}

fn with(path: &str, value: Value) -> Result<Value> {
    let mut schema = allowed("weir-meter-attempt");
    *schema.pointer_mut(path).context("no such field")? = value;
    Ok(schema)
}

pub(crate) async fn weir_may_write_meters_and_nothing_else_of_priority_and_fairness(
    stage: &Stage<'_>,
) -> Result<()> {
    let client = account(stage.world, "weir-system", "weir").await?;
    let as_weir: Api<FlowSchema> = Api::all(client.clone());
    let create = async |schema: &Value| {
        let schema = serde_json::from_value(schema.clone())?;
        anyhow::Ok(as_weir.create(&PostParams::default(), &schema).await)
    };
    // It does not bear Weir's label, so that Weir itself leaves it alone.
    create(&allowed("weir-meter-attempt-kept")).await??;
    let subjects = "/spec/rules/0/subjects";
    let user = json!({ "kind": "User", "user": { "name": "system:serviceaccount:shop:logs" } });
    let group = json!({ "kind": "Group", "group": { "name": "system:masters" } });
    for schema in [
        allowed("weir-attempt"),
        with(subjects, json!([one("shop", "logs"), user]))?,
        with(subjects, json!([group]))?,
        with(subjects, json!([one("shop", "*")]))?,
        with(subjects, json!([one("weir-system", "weir")]))?,
        with(subjects, json!([one("kube-system", "proxy")]))?,
        with("/spec/priorityLevelConfiguration/name", json!("exempt"))?,
        with("/spec/priorityLevelConfiguration/name", json!("system"))?,
        with("/spec/priorityLevelConfiguration/name", json!("node-high"))?,
        with(
            "/spec/priorityLevelConfiguration/name",
            json!("leader-election"),
        )?,
        with("/spec/matchingPrecedence", json!(200))?,
        with(
            "/metadata",
            json!({ "name": "weir-meter-attempt", "finalizers": ["example.com/a"] }),
        )?,
    ] {
        refused(create(&schema).await?, &format!("create {schema}"))?;
    }
    for (name, patch) in [
        ("weir-meter-attempt-kept", with(subjects, json!([group]))?),
        (
            "weir-meter-attempt-kept",
            with("/spec/priorityLevelConfiguration/name", json!("exempt"))?,
        ),
        (
            "service-accounts",
            json!({ "spec": { "matchingPrecedence": 9999 } }),
        ),
    ] {
        let patch = json!({ "spec": patch["spec"] });
        let patched = as_weir
            .patch(name, &PatchParams::default(), &merge(patch.clone()))
            .await;
        refused(patched, &format!("make of {name} {patch}"))?;
    }
    let deleted = as_weir
        .delete("service-accounts", &DeleteParams::default())
        .await;
    refused(deleted, "delete others' FlowSchemas")?;
    of_its_own(stage, &as_weir).await?;
    let levels: Api<PriorityLevelConfiguration> = Api::all(client);
    let deleted = levels
        .delete("workload-low", &DeleteParams::default())
        .await;
    ensure!(deleted.is_err(), "Weir may delete levels");
    as_weir
        .delete("weir-meter-attempt-kept", &DeleteParams::default())
        .await?;
    Ok(())
}

/// What bounds Weir itself is not Weir's to change, whatever it is called.
async fn of_its_own(stage: &Stage<'_>, as_weir: &Api<FlowSchema>) -> Result<()> {
    let mut own = allowed("weir-meter-itself");
    own["spec"]["rules"][0]["subjects"] = json!([one("weir-system", "weir")]);
    let own: FlowSchema = serde_json::from_value(own)?;
    schemas(stage).create(&PostParams::default(), &own).await?;
    let higher = merge(json!({ "spec": { "priorityLevelConfiguration": { "name": "system" } } }));
    let others = merge(json!({ "spec": { "rules": allowed("")["spec"]["rules"] } }));
    for patch in [higher, others] {
        let patched = as_weir
            .patch("weir-meter-itself", &PatchParams::default(), &patch)
            .await;
        refused(patched, "change what bounds it")?;
    }
    let deleted = as_weir
        .delete("weir-meter-itself", &DeleteParams::default())
        .await;
    refused(deleted, "remove what bounds it")?;
    schemas(stage)
        .delete("weir-meter-itself", &DeleteParams::default())
        .await?;
    Ok(())
}
