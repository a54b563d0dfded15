//! Where requests land, with a meter and without.

use super::*;

/// Objects of all scopes, the account's own namespace among them, and paths without objects.
fn paths(namespace: &str) -> [String; 5] {
    [
        "/api/v1/pods".to_owned(),
        format!("/api/v1/namespaces/{namespace}/configmaps"),
        "/apis/apps/v1/daemonsets".to_owned(),
        "/readyz".to_owned(),
        "/metrics".to_owned(),
    ]
}

pub(crate) async fn requests_stay_at_their_level_and_are_counted_apart(
    stage: &Stage<'_>,
) -> Result<()> {
    let namespace = "metered";
    let client = agents(stage, namespace).await?;
    let mut before = Vec::new();
    for path in paths(namespace) {
        before.push(taken(&client, &path).await?);
    }
    enrol(stage, namespace, Some("shadow")).await?;
    let meter = until_metered(stage, namespace).await?;
    let uid = meter.metadata.uid.context("it has a UID")?;
    eventually("the API server matches by the meter", async || {
        Ok(taken(&client, "/api/v1/pods").await?[0] == uid)
    })
    .await?;
    for (path, [schema_before, level_before]) in paths(namespace).into_iter().zip(before) {
        let [schema, level] = taken(&client, &path).await?;
        ensure!(level == level_before, "{path} is at another level");
        let is_probe = path == "/readyz";
        ensure!(
            if is_probe {
                schema == schema_before
            } else {
                schema == uid
            },
            "{path} is taken by {schema}"
        );
    }
    let page = stage.world.kubectl(&["get", "--raw", "/metrics"]).await?;
    let counted = format!(
        "dispatched_requests_total{{flow_schema=\"{}\"",
        name(namespace)
    );
    let line = page.lines().find(|line| line.contains(&counted));
    let line = line.context("its requests are not counted")?;
    ensure!(line.contains("priority_level=\"workload-low\""), "{line}");
    Ok(())
}

pub(crate) async fn what_is_no_longer_enrolled_is_no_longer_metered(
    stage: &Stage<'_>,
) -> Result<()> {
    let namespace = "unmetered";
    agents(stage, namespace).await?;
    enrol(stage, namespace, Some("shadow")).await?;
    until_metered(stage, namespace).await?;
    enrol(stage, namespace, None).await?;
    let api = schemas(stage);
    eventually("the meter is gone", async || {
        Ok(api.get_opt(&name(namespace)).await?.is_none())
    })
    .await
}

pub(crate) async fn a_schema_that_splits_an_account_is_named(
    stage: &Stage<'_>,
    weir: &WeirProcess,
) -> Result<()> {
    let namespace = "split";
    agents(stage, namespace).await?;
    let splitter = format!(
        "
apiVersion: flowcontrol.apiserver.k8s.io/v1
kind: FlowSchema
metadata: {{ name: pods-apart }}
spec:
  priorityLevelConfiguration: {{ name: global-default }}
  matchingPrecedence: 700
  rules:
  - subjects: [{{ kind: ServiceAccount, serviceAccount: {{ name: {ACCOUNT}, namespace: {namespace} }} }}]
    resourceRules: [{{ verbs: ['*'], apiGroups: [''], resources: [pods], namespaces: ['*'] }}]
"
    );
    stage.world.apply(&splitter).await?;
    enrol(stage, namespace, Some("shadow")).await?;
    eventually("Weir names what splits the account", async || {
        let said = log(weir)?;
        let mut lines = said.lines();
        Ok(lines.any(|line| line.contains("split/logs") && line.contains("FlowSchema pods-apart")))
    })
    .await?;
    let page = weir.get("/metrics").await?;
    ensure!(
        page.contains("weir_metered_accounts{state=\"none\"} 1"),
        "{page}"
    );
    let there = schemas(stage).get_opt(&name(namespace)).await?;
    ensure!(there.is_none(), "it is metered");
    schemas(stage)
        .delete("pods-apart", &kube::api::DeleteParams::default())
        .await?;
    until_metered(stage, namespace).await?;
    Ok(())
}
