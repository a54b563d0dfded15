//! Meters on a real API server: they count one account apart, and change nothing about it.
//!
//! All cases share one world and one Weir, each with a namespace and an account of its own.

use std::fs;

use anyhow::{Context, Result, ensure};
use http::Request;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use kube::api::{Patch, PatchParams};
use kube::client::Body;
use kube::config::{KubeConfigOptions, Kubeconfig};
use kube::{Api, Client, Config};
use serde_json::{Value, json};
use weir_e2e::stage::{Stage, eventually};
use weir_e2e::world::{WeirProcess, World, WorldSpec};
use weir_e2e::{cases, inside};

mod hands;
mod levels;
mod off;
mod rights;

/// Nodes of the world: only the account counts here.
const NODES: u32 = 2;

/// The account of every case's DaemonSet.
const ACCOUNT: &str = "agent";

#[test]
fn meters_count_an_account_apart_and_change_nothing() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let (stage, weir) = Stage::set(&world).await?;
        let beside_each_other = cases!(
            &stage;
            levels::requests_stay_at_their_level_and_are_counted_apart,
            levels::what_is_no_longer_enrolled_is_no_longer_metered,
            hands::a_meter_comes_back_after_anybodys_hand,
            rights::weir_may_write_meters_and_nothing_else_of_priority_and_fairness,
        );
        stage.run(beside_each_other).await?;
        levels::a_schema_that_splits_an_account_is_named(&stage, &weir).await?;
        weir.program.check()
    })
}

/// The meter of a namespace's account.
fn name(namespace: &str) -> String {
    format!("weir-meter-{namespace}.{ACCOUNT}")
}

fn schemas(stage: &Stage<'_>) -> Api<FlowSchema> {
    Api::all(stage.admin.clone())
}

async fn until_metered(stage: &Stage<'_>, namespace: &str) -> Result<FlowSchema> {
    let (api, name) = (schemas(stage), name(namespace));
    eventually(&format!("the FlowSchema {name}"), async || {
        Ok(api.get_opt(&name).await?.is_some())
    })
    .await?;
    Ok(api.get(&name).await?)
}

/// A namespace with an account, and a DaemonSet that runs under it; nothing is enrolled yet.
async fn agents(stage: &Stage<'_>, namespace: &str) -> Result<Client> {
    stage.namespace(namespace, None).await?;
    let objects = format!(
        "
apiVersion: v1
kind: ServiceAccount
metadata: {{ name: {ACCOUNT}, namespace: {namespace} }}
---
apiVersion: apps/v1
kind: DaemonSet
metadata: {{ name: logs, namespace: {namespace} }}
spec:
  selector: {{ matchLabels: {{ app: logs }} }}
  template:
    metadata: {{ labels: {{ app: logs }} }}
    spec:
      serviceAccountName: {ACCOUNT}
      containers: [{{ name: logs, image: none.invalid/logs }}]
"
    );
    stage.world.apply(&objects).await?;
    account(stage.world, namespace, ACCOUNT).await
}

/// Sets a namespace's enrolment, or takes it away.
async fn enrol(stage: &Stage<'_>, namespace: &str, mode: Option<&str>) -> Result<()> {
    let label = mode.map_or_else(
        || "weir.dev/guard-".to_owned(),
        |mode| format!("weir.dev/guard={mode}"),
    );
    let words = ["label", "namespace", namespace, "--overwrite", &label];
    stage.world.kubectl(&words).await?;
    Ok(())
}

/// A client that asks as a ServiceAccount.
async fn account(world: &World, namespace: &str, account: &str) -> Result<Client> {
    let kubeconfig = world.account_kubeconfig(namespace, account).await?;
    let kubeconfig = Kubeconfig::read_from(kubeconfig)?;
    let options = KubeConfigOptions::default();
    let config = Config::from_custom_kubeconfig(kubeconfig, &options).await?;
    Ok(Client::try_from(config)?)
}

/// The UIDs of the FlowSchema and of the level that a request was taken by.
async fn taken(client: &Client, path: &str) -> Result<[String; 2]> {
    let request = Request::get(path).body(Body::empty())?;
    let answer = client.send(request).await?;
    let uid = |header: &str| {
        let value = answer.headers().get(header);
        let value = value.with_context(|| format!("{path}: an answer without {header}"))?;
        Ok::<_, anyhow::Error>(value.to_str()?.to_owned())
    };
    Ok([
        uid("x-kubernetes-pf-flowschema-uid")?,
        uid("x-kubernetes-pf-prioritylevel-uid")?,
    ])
}

fn merge(value: Value) -> Patch<Value> {
    Patch::Merge(value)
}

fn log(weir: &WeirProcess) -> Result<String> {
    Ok(fs::read_to_string(weir.program.log())?)
}
