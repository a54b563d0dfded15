//! Meters that people change or remove.

use kube::api::DeleteParams;

use super::*;

pub(crate) async fn a_meter_comes_back_after_anybodys_hand(stage: &Stage<'_>) -> Result<()> {
    let namespace = "handled";
    agents(stage, namespace).await?;
    enrol(stage, namespace, Some("shadow")).await?;
    let whole = until_metered(stage, namespace).await?;
    let (api, name) = (schemas(stage), name(namespace));
    let comes_back = async |what: &str| {
        eventually(&format!("the meter comes back after {what}"), async || {
            let now = api.get_opt(&name).await?;
            Ok(now.is_some_and(|now| {
                now.spec == whole.spec && now.metadata.labels == whole.metadata.labels
            }))
        })
        .await
    };
    api.delete(&name, &DeleteParams::default()).await?;
    comes_back("it was deleted").await?;
    let of_everybody = json!([{
        "subjects": [{ "kind": "Group", "group": { "name": "system:authenticated" } }],
        "nonResourceRules": [{ "verbs": ["*"], "nonResourceURLs": ["*"] }],
    }]);
    // Each is undone later than the one before.
    for edit in [
        json!({ "spec": {
            "priorityLevelConfiguration": { "name": "exempt" },
            "matchingPrecedence": 300,
            "rules": of_everybody,
        } }),
        json!({ "metadata": { "labels": { "app.kubernetes.io/managed-by": null } } }),
    ] {
        let what = edit.to_string();
        api.patch(&name, &PatchParams::default(), &merge(edit))
            .await?;
        comes_back(&what).await?;
    }
    Ok(())
}
