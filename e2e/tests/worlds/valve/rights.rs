//! What Weir's account may do, and what it may not.

use anyhow::{Result, ensure};
use k8s_openapi::api::authorization::v1::{
    ResourceAttributes, SelfSubjectAccessReview, SelfSubjectAccessReviewSpec,
};
use k8s_openapi::api::core::v1::Pod;
use k8s_openapi::api::discovery::v1::EndpointSlice;
use k8s_openapi::api::rbac::v1::Role;
use kube::Api;
use kube::api::{ListParams, Patch, PatchParams, PostParams};
use serde_json::{Value, json};
use weir_e2e::world::approvals::{ROLE, adopt, role, roles, run};

use weir_e2e::gates::{gates_of, is_gated};

use super::cluster::{Cluster, Probe, RELEASE};

const RBAC: &str = "rbac.authorization.k8s.io";

pub(crate) async fn weir_may_ask_whether_the_gate_is_in_force_and_nothing_comes_of_it(
    cluster: &Cluster<'_>,
) -> Result<()> {
    let pods: Api<Pod> = Api::namespaced(cluster.weir.clone(), "weir-check");
    let pod = Probe::of("weir-check").pod()?;
    let dry_run = PostParams {
        dry_run: true,
        ..PostParams::default()
    };
    ensure!(is_gated(&pods.create(&dry_run, &pod).await?));
    for (who, pods) in [
        ("Weir", pods),
        ("an administrator", cluster.pods("weir-check")),
    ] {
        let created = pods.create(&PostParams::default(), &pod).await;
        ensure!(created.is_err(), "{who} created a pod in weir-check");
    }
    ensure!(
        cluster
            .pods("weir-check")
            .list(&ListParams::default())
            .await?
            .items
            .is_empty()
    );
    let elsewhere: Api<Pod> = Api::namespaced(cluster.weir.clone(), "default");
    ensure!(
        elsewhere.create(&dry_run, &pod).await.is_err(),
        "Weir may create pods elsewhere"
    );
    Ok(())
}

pub(crate) async fn weir_may_remove_its_gate_from_a_pod_and_change_nothing_else(
    cluster: &Cluster<'_>,
) -> Result<()> {
    cluster.namespace("confined", None).await?;
    let pods = cluster.pods("confined");
    let pod: Pod = serde_json::from_value(json!({
        "metadata": { "name": "confined", "labels": { "app": "confined" } },
        "spec": {
            "schedulingGates": [{ "name": "weir.dev/gate" }, { "name": "example.com/theirs" }],
            "containers": [{ "name": "confined", "image": "none.invalid/confined" }],
        },
    }))?;
    pods.create(&PostParams::default(), &pod).await?;
    let as_weir: Api<Pod> = Api::namespaced(cluster.weir.clone(), "confined");
    let patch = async |patch: Value| {
        let parameters = PatchParams::default();
        as_weir
            .patch("confined", &parameters, &Patch::Strategic(patch))
            .await
    };
    for forbidden in [
        json!({ "metadata": { "labels": { "app": "other" } } }),
        json!({ "metadata": { "annotations": { "a": "b" } } }),
        json!({ "metadata": { "finalizers": ["example.com/a"] } }),
        json!({ "spec": { "containers": [{ "name": "confined", "image": "none.invalid/other" }] } }),
        json!({ "spec": { "nodeSelector": { "a": "b" } } }),
        json!({ "spec": { "activeDeadlineSeconds": 1 } }),
        json!({ "spec": { "tolerations": [{ "operator": "Exists" }] } }),
        json!({ "spec": { "schedulingGates": [{ "$patch": "delete", "name": "example.com/theirs" }] } }),
    ] {
        ensure!(
            patch(forbidden.clone()).await.is_err(),
            "Weir may patch {forbidden}"
        );
    }
    patch(serde_json::from_str(RELEASE)?).await?;
    let left = pods.get("confined").await?;
    ensure!(
        gates_of(&left) == ["example.com/theirs"],
        "{:?}",
        gates_of(&left)
    );
    Ok(())
}

/// As far as RBAC and the confining policy let it: rights are its own to grant, and nothing else.
pub(crate) async fn weir_may_approve_and_grant_nothing_else(cluster: &Cluster<'_>) -> Result<()> {
    let as_weir = roles(&cluster.weir);
    let before = as_weir.get(ROLE).await?;
    let set = async |patch: Value| {
        let patch = Patch::Merge(patch);
        as_weir.patch(ROLE, &PatchParams::default(), &patch).await
    };
    set(json!({ "rules": [run(&["a.b"]), adopt()] })).await?;
    set(json!({ "metadata": { "annotations": { "weir.dev/a.b": "shop/logs by weir" } } })).await?;
    let secrets = json!({ "apiGroups": [""], "resources": ["secrets"], "verbs": ["get"] });
    let wildcard = json!({ "apiGroups": ["*"], "resources": ["*"], "verbs": ["*"] });
    // What Weir holds itself, so that RBAC would let it.
    let leases = json!({
        "apiGroups": ["coordination.k8s.io"], "resources": ["leases"], "verbs": ["get"],
    });
    let mut other_verb = run(&["a.b"]);
    other_verb["verbs"] = json!(["*"]);
    for rule in [secrets, wildcard, leases, run(&[]), other_verb] {
        let refused = set(json!({ "rules": [run(&["a.b"]), rule] })).await;
        ensure!(refused.is_err(), "Weir may grant {rule}");
    }
    for metadata in [
        json!({ "finalizers": ["example.com/a"] }),
        json!({ "ownerReferences": [
            { "apiVersion": "v1", "kind": "ConfigMap", "name": "a", "uid": "b" },
        ] }),
    ] {
        let refused = set(json!({ "metadata": metadata })).await;
        ensure!(refused.is_err(), "Weir may write {metadata}");
    }
    let mut another = role(&[run(&["a.b"])])?;
    another.metadata.name = Some("another".to_owned());
    let created = as_weir.create(&PostParams::default(), &another).await;
    ensure!(created.is_err(), "Weir may create other Roles");
    let elsewhere: Api<Role> = Api::namespaced(cluster.weir.clone(), "default");
    let created = elsewhere
        .create(&PostParams::default(), &role(&[run(&["a.b"])])?)
        .await;
    ensure!(created.is_err(), "Weir may create Roles elsewhere");
    set(json!({ "rules": before.rules })).await?;
    cluster.in_force().await
}

pub(crate) async fn weir_may_do_no_more_than_it_needs(cluster: &Cluster<'_>) -> Result<()> {
    let needed = [
        ("", "pods", "", "patch", "shop"),
        ("", "pods", "", "watch", ""),
        ("", "nodes", "", "watch", ""),
        ("apps", "daemonsets", "", "watch", ""),
        ("weir.dev", "guardedrollouts", "status", "patch", "shop"),
        ("events.k8s.io", "events", "", "create", "shop"),
        ("coordination.k8s.io", "leases", "", "update", "weir-system"),
    ];
    let denied = [
        ("", "secrets", "", "get", "weir-system"),
        ("", "configmaps", "", "list", ""),
        ("", "pods", "", "create", "shop"),
        ("", "pods", "", "delete", "shop"),
        ("", "pods", "exec", "create", "shop"),
        ("", "pods", "status", "patch", "shop"),
        ("", "nodes", "", "patch", ""),
        ("apps", "daemonsets", "", "patch", "shop"),
        ("weir.dev", "rolloutpolicies", "", "patch", ""),
        ("weir.dev", "guardedrollouts", "", "patch", "shop"),
        ("coordination.k8s.io", "leases", "", "update", "kube-system"),
        ("discovery.k8s.io", "endpointslices", "", "list", ""),
        (
            "admissionregistration.k8s.io",
            "mutatingadmissionpolicies",
            "",
            "patch",
            "",
        ),
        (RBAC, "clusterroles", "", "get", ""),
        (RBAC, "roles", "", "list", "weir-system"),
        (RBAC, "roles", "", "create", "kube-system"),
        (RBAC, "roles", "", "escalate", "weir-system"),
        (RBAC, "roles", "", "bind", "weir-system"),
        (RBAC, "rolebindings", "", "create", "weir-system"),
        ("weir.dev", "revisions", "", "run", "shop"),
    ];
    let slices: Api<EndpointSlice> = Api::namespaced(cluster.weir.clone(), "default");
    let servers = ListParams::default().fields("metadata.name=kubernetes");
    ensure!(slices.list(&servers).await?.items.len() == 1);
    ensure!(
        slices.list(&ListParams::default()).await.is_err(),
        "Weir may see others' endpoints"
    );
    for (allowed, table) in [(true, &needed[..]), (false, &denied[..])] {
        for &right in table {
            ensure!(
                may(cluster, right).await? == allowed,
                "{right:?} should be {allowed}"
            );
        }
    }
    Ok(())
}

/// Whether Weir's account may do this: group, resource, subresource, verb, namespace.
async fn may(cluster: &Cluster<'_>, right: (&str, &str, &str, &str, &str)) -> Result<bool> {
    let (group, resource, subresource, verb, namespace) = right;
    let some = |text: &str| Some(text.to_owned());
    let review = SelfSubjectAccessReview {
        spec: SelfSubjectAccessReviewSpec {
            resource_attributes: Some(ResourceAttributes {
                group: some(group),
                resource: some(resource),
                subresource: some(subresource),
                verb: some(verb),
                namespace: some(namespace),
                ..ResourceAttributes::default()
            }),
            ..SelfSubjectAccessReviewSpec::default()
        },
        ..SelfSubjectAccessReview::default()
    };
    let reviews: Api<SelfSubjectAccessReview> = Api::all(cluster.weir.clone());
    let review = reviews.create(&PostParams::default(), &review).await?;
    Ok(review.status.is_some_and(|status| status.allowed))
}
