//! What Weir's account may do: whoever has stolen its token meets each rule of the policies that confine
//! it; and of all its rights there is none that Weir has not used, but for those that are excused.

use anyhow::{Result, bail, ensure};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::flowcontrol::v1::FlowSchema;
use k8s_openapi::api::rbac::v1::{ClusterRoleBinding, Role};
use kube::api::{DeleteParams, Patch, PatchParams, PostParams};
use kube::{Api, Client};
use serde_json::{Value, json};
use weir_e2e::gates::gates_of;
use weir_e2e::kind::{Cluster, NAMESPACE, NODE_PODS, WEIR};
use weir_e2e::rights;
use weir_e2e::stage::{Logs, Stage, eventually};
use weir_e2e::world::approvals::{ROLE, adopt, role, roles, run};

/// Where a pod stands that is not Weir's.
const THEIRS: &str = "theirs";

pub(crate) async fn are_confined_and_all_used(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    let weir = cluster.as_weir().await?;
    stage.namespace(THEIRS, None).await?;
    pods(&stage, &weir).await?;
    approvals(&weir).await?;
    flow_schemas(&weir).await?;
    beyond(&weir).await?;
    // Rights are used by rollouts, of which there was none where this case is run alone.
    let logs = stage.agents("used", NODE_PODS).await?;
    logs.completes(&stage).await?;
    its_own_go(&stage, &logs).await?;
    all_used(cluster).await
}

/// A pod that is gated twice, by Weir and by somebody else.
fn pod(name: &str) -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": name, "labels": { "app": name } },
        "spec": {
            "schedulingGates": [{ "name": "weir.dev/gate" }, { "name": "example.com/theirs" }],
            "containers": [{ "name": "main", "image": "none.invalid/main" }],
        },
    }))?)
}

/// A pod that Pod Security has nothing against.
fn restricted() -> Result<Pod> {
    Ok(serde_json::from_value(json!({
        "metadata": { "name": "real" },
        "spec": {
            "securityContext": {
                "runAsNonRoot": true, "runAsUser": 65_532,
                "seccompProfile": { "type": "RuntimeDefault" },
            },
            "containers": [{
                "name": "main", "image": "none.invalid/main",
                "securityContext": {
                    "allowPrivilegeEscalation": false, "capabilities": { "drop": ["ALL"] },
                },
            }],
        },
    }))?)
}

/// A toleration that API servers give each pod at its birth.
fn born(taint: &str) -> Value {
    json!({
        "key": format!("node.kubernetes.io/{taint}"), "operator": "Exists", "effect": "NoExecute",
        "tolerationSeconds": 300,
    })
}

/// Changes of a pod, each with a part of what the rule says that refuses it.
fn attacks() -> Vec<(Value, &'static str)> {
    let spec = "change its gate only";
    let metadata = "may not change a pod's metadata";
    let another_gate = json!({ "$patch": "delete", "name": "example.com/theirs" });
    let image = json!({ "name": "main", "image": "none.invalid/other" });
    let owner = json!({ "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b" });
    let mut attacks = vec![(
        json!({ "spec": { "schedulingGates": [another_gate] } }),
        "remove its own gate only",
    )];
    for change in [
        json!({ "containers": [image] }),
        json!({ "activeDeadlineSeconds": 1 }),
        json!({ "nodeSelector": { "a": "b" } }),
        // API servers let nobody change those that a pod has.
        json!({ "tolerations": [born("not-ready"), born("unreachable"), { "operator": "Exists" }] }),
    ] {
        attacks.push((json!({ "spec": change }), spec));
    }
    for change in [
        json!({ "labels": { "app": "other" } }),
        json!({ "annotations": { "a": "b" } }),
        json!({ "finalizers": ["example.com/a"] }),
        json!({ "ownerReferences": [owner] }),
    ] {
        attacks.push((json!({ "metadata": change }), metadata));
    }
    attacks
}

async fn pods(stage: &Stage<'_, Cluster>, weir: &Client) -> Result<()> {
    let theirs: Api<Pod> = Api::namespaced(stage.admin.clone(), THEIRS);
    let confined = pod("confined")?;
    theirs.create(&PostParams::default(), &confined).await?;
    let pods: Api<Pod> = Api::namespaced(weir.clone(), THEIRS);
    let patch = async |patch: Value| {
        let parameters = PatchParams::default();
        let patch = Patch::Strategic(patch);
        pods.patch("confined", &parameters, &patch).await
    };
    for (change, rule) in attacks() {
        let what = format!("to patch a pod with {change}");
        refused(&what, patch(change).await, rule)?;
    }
    let gone = pods.delete("confined", &DeleteParams::default()).await;
    refused("to delete another's pod", gone, "cannot delete")?;
    let created = pods.create(&PostParams::default(), &pod("new")?).await;
    refused("to create a pod", created, "cannot create")?;
    let check: Api<Pod> = Api::namespaced(weir.clone(), "weir-check");
    let created = check.create(&PostParams::default(), &restricted()?).await;
    refused("to run a pod in weir-check", created, "for dry runs only")?;
    // What it is there for.
    let ours = json!({ "$patch": "delete", "name": "weir.dev/gate" });
    patch(json!({ "spec": { "schedulingGates": [ours] } })).await?;
    let left = theirs.get("confined").await?;
    ensure!(
        gates_of(&left) == ["example.com/theirs"],
        "{:?}",
        gates_of(&left)
    );
    theirs.delete("confined", &DeleteParams::default()).await?;
    Ok(())
}

async fn approvals(weir: &Client) -> Result<()> {
    let ours = roles(weir);
    let before = ours.get(ROLE).await?;
    let thought = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let set = async |patch: Value| ours.patch(ROLE, &thought, &Patch::Merge(patch)).await;
    let grants = "grant nothing else";
    let goes_with = "may not say what the Role goes with";
    // What Weir holds itself, so that RBAC would let it.
    let leases = json!({
        "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"],
    });
    for rule in [leases, run(&[])] {
        let what = format!("to grant {rule}");
        refused(&what, set(json!({ "rules": [rule] })).await, grants)?;
    }
    // And what it does not.
    let secrets = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] });
    let all = json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] });
    for rule in [secrets, all] {
        let granted = set(json!({ "rules": [rule.clone()] })).await;
        ensure!(granted.is_err(), "Weir may grant {rule}");
    }
    let finalizers = json!({ "metadata": { "finalizers": ["example.com/a"] } });
    refused("to bind the Role", set(finalizers).await, goes_with)?;
    let mut another = role(&[run(&["a.b"])])?;
    another.metadata.name = Some("another".to_owned());
    let created = ours.create(&PostParams::default(), &another).await;
    let only = "may write the Role weir-approved";
    refused("to create another Role", created, only)?;
    let elsewhere: Api<Role> = Api::namespaced(weir.clone(), "default");
    let created = elsewhere.create(&PostParams::default(), &another).await;
    refused("to create a Role elsewhere", created, "cannot create")?;
    // What it is there for.
    set(json!({ "rules": [run(&["a.b"]), adopt()] })).await?;
    ensure!(
        ours.get(ROLE).await?.rules == before.rules,
        "a dry run has changed approvals"
    );
    Ok(())
}

/// A FlowSchema about one subject, with its name, level and precedence.
fn schema(name: &str, subject: &Value, level: &str, precedence: i32) -> Value {
    let all = json!({
        "verbs": ["*"], "apiGroups": ["*"], "resources": ["*"], "namespaces": ["*"],
        "clusterScope": true,
    });
    json!({
        "metadata": { "name": name },
        "spec": {
            "priorityLevelConfiguration": { "name": level },
            "matchingPrecedence": precedence,
            "rules": [{ "subjects": [subject], "resourceRules": [all] }],
        },
    })
}

fn account(namespace: &str, name: &str) -> Value {
    let account = json!({ "namespace": namespace, "name": name });
    json!({ "kind": "ServiceAccount", "serviceAccount": account })
}

async fn flow_schemas(weir: &Client) -> Result<()> {
    let schemas: Api<FlowSchema> = Api::all(weir.clone());
    let thought = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    let create = async |schema: Value| -> Result<Result<FlowSchema, kube::Error>> {
        let schema: FlowSchema = serde_json::from_value(schema)?;
        Ok(schemas.create(&thought, &schema).await)
    };
    let (low, meter) = ("workload-low", "weir-meter-a.b");
    let one = account(THEIRS, "default");
    let user = json!({ "kind": "User", "user": { "name": "*" } });
    let named = "those named weir-meter-* only";
    let single = "single service accounts outside kube-system only";
    let own = "may not write a FlowSchema about its own account";
    let levels = "may exempt nobody from limits";
    for (schema, rule) in [
        (schema("theirs", &one, low, 8_000), named),
        (schema(meter, &user, low, 8_000), single),
        (schema(meter, &account(THEIRS, "*"), low, 8_000), single),
        (
            schema(meter, &account("kube-system", "a"), low, 8_000),
            single,
        ),
        (schema(meter, &account(NAMESPACE, WEIR), low, 8_000), own),
        (schema(meter, &one, "exempt", 8_000), levels),
        (schema(meter, &one, "leader-election", 8_000), levels),
        (schema(meter, &one, low, 150), levels),
    ] {
        let what = format!("to create the FlowSchema {schema}");
        refused(&what, create(schema).await?, rule)?;
    }
    let mut finalized = schema(meter, &one, low, 8_000);
    finalized["metadata"]["finalizers"] = json!(["example.com/a"]);
    let goes_with = "may not say what a FlowSchema goes with";
    refused("to bind a meter", create(finalized).await?, goes_with)?;
    let patch = Patch::Merge(json!({ "spec": { "matchingPrecedence": 9_000 } }));
    let thought = PatchParams {
        dry_run: true,
        ..PatchParams::default()
    };
    let changed = schemas.patch("global-default", &thought, &patch).await;
    refused("to change another's FlowSchema", changed, named)?;
    let gone = DeleteParams::default().dry_run();
    let gone = schemas.delete("weir-lease", &gone).await;
    refused("to delete the one that bounds it", gone, named)?;
    // What it is there for.
    create(schema(meter, &one, low, 8_000)).await??;
    Ok(())
}

/// What RBAC alone refuses.
async fn beyond(weir: &Client) -> Result<()> {
    let bindings: Api<ClusterRoleBinding> = Api::all(weir.clone());
    let binding: ClusterRoleBinding = serde_json::from_value(json!({
        "metadata": { "name": "weir-admin" },
        "roleRef": {
            "apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": "cluster-admin",
        },
        "subjects": [{ "kind": "ServiceAccount", "namespace": NAMESPACE, "name": WEIR }],
    }))?;
    let bound = bindings.create(&PostParams::default(), &binding).await;
    refused("to make itself cluster-admin", bound, "cannot create")?;
    let secrets = "/api/v1/namespaces/weir-system/secrets";
    let request = http::Request::get(secrets).body(Vec::new())?;
    let read = weir.request_text(request).await;
    refused("to read secrets", read, "cannot list")
}

/// With a workload Weir removes its record and its meter.
async fn its_own_go(stage: &Stage<'_, Cluster>, logs: &Logs) -> Result<()> {
    let meters: Api<FlowSchema> = Api::all(stage.admin.clone());
    let meter = format!("weir-meter-{}.agent", logs.namespace);
    eventually("its account is metered", async || {
        Ok(meters.get_opt(&meter).await?.is_some())
    })
    .await?;
    // Its record is nobody's then, and Weir's own to remove; else it would go with its owner.
    logs.abandon().await?;
    eventually("its record and its meter are gone", async || {
        Ok(logs.records().await?.is_empty() && meters.get_opt(&meter).await?.is_none())
    })
    .await
}

async fn all_used(cluster: &Cluster) -> Result<()> {
    let granted = rights::granted(&cluster.client(), NAMESPACE, WEIR).await?;
    ensure!(granted.len() > 10, "Weir's roles were not found");
    let Some(requests) = cluster.weir_requests().await? else {
        cluster.tell("rights were not compared: the cluster keeps no audit log".to_owned());
        return Ok(());
    };
    let compared = rights::compare(&granted, &requests, &rights::ELSEWHERE);
    let (told, number) = (compared.told(), requests.len());
    cluster.tell(format!("{told}; of {number} requests"));
    let unused = compared.unused;
    ensure!(unused.is_empty(), "granted, and never used: {unused:?}");
    Ok(())
}

/// It was refused, and by the rule that is meant to refuse it.
fn refused<T>(what: &str, answer: Result<T, kube::Error>, rule: &str) -> Result<()> {
    match answer {
        Ok(_) => bail!("Weir's account is allowed {what}"),
        Err(kube::Error::Api(status)) => {
            ensure!(
                status.message.contains(rule),
                "{what} is refused, but not by `{rule}`: {}",
                status.message
            );
            Ok(())
        }
        Err(error) => Err(error.into()),
    }
}
