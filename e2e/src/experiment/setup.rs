//! What an experiment needs in the cluster before anything rolls out: namespaces, accounts with
//! exactly the rights that they use, and the bystander's objects.

use anyhow::{Context, Result};
use k8s_openapi::api::{
    core::v1::{ConfigMap, Namespace, ServiceAccount},
    rbac::v1::{ClusterRole, ClusterRoleBinding, PolicyRule},
};
use kube::{
    Api, Client, Resource,
    api::{Patch, PatchParams},
};
use serde::{Serialize, de::DeserializeOwned};
use serde_json::{Value, json};

use crate::{
    bystander,
    profile::{Profile, rules},
    stage::LABEL,
};

/// The agents' ServiceAccount, and the name of their role.
pub(crate) const ACCOUNT: &str = "agent";

/// Makes or updates an object, whoever made it before.
pub(super) async fn apply<K>(api: &Api<K>, object: Value) -> Result<()>
where
    K: Clone + std::fmt::Debug + Serialize + DeserializeOwned,
{
    let name = object["metadata"]["name"]
        .as_str()
        .context("an object without a name")?
        .to_owned();
    let params = PatchParams::apply("lab").force();
    api.patch(&name, &params, &Patch::Apply(&object))
        .await
        .map(drop)
        .with_context(|| format!("the lab could not apply {} {name}", object["kind"]))
}

/// An object's `apiVersion` and `kind`, with what is given beside them.
pub(super) fn object<K: Resource<DynamicType = ()>>(mut rest: Value) -> Value {
    rest["apiVersion"] = json!(K::api_version(&()));
    rest["kind"] = json!(K::kind(&()));
    rest
}

/// Makes the bystander's namespace, account, rights and objects.
pub(super) async fn bystander(client: &Client) -> Result<()> {
    let namespace = bystander::NAMESPACE;
    self::namespace(client, namespace, json!({})).await?;
    let rule = PolicyRule {
        api_groups: Some(vec![String::new()]),
        resources: Some(vec!["configmaps".to_owned()]),
        verbs: ["get", "list", "update"].map(str::to_owned).to_vec(),
        ..PolicyRule::default()
    };
    account(client, namespace, bystander::NAMESPACE, &[rule]).await?;
    let objects: Api<ConfigMap> = Api::namespaced(client.clone(), namespace);
    for number in 0..bystander::OBJECTS {
        let name = format!("{}-{number}", bystander::OBJECT);
        apply(&objects, bystander::object(&name, 0)).await?;
    }
    Ok(())
}

/// Makes the agents' namespace and their account, whose rights are the profiles' calls.
pub(crate) async fn agents(client: &Client, namespace: &str, profiles: &[&Profile]) -> Result<()> {
    self::namespace(client, namespace, json!({})).await?;
    let rules: Vec<_> = profiles
        .iter()
        .flat_map(|profile| rules::rules(profile))
        .collect();
    account(client, namespace, ACCOUNT, &rules).await
}

/// Makes a namespace with these labels, or gives it these.
pub(super) async fn namespace(client: &Client, name: &str, labels: Value) -> Result<()> {
    let metadata = json!({"name": name, "labels": labels});
    let namespaces: Api<Namespace> = Api::all(client.clone());
    apply(
        &namespaces,
        object::<Namespace>(json!({"metadata": metadata})),
    )
    .await
}

/// Makes a ServiceAccount with these rights everywhere; rules may name what has no namespace. The rights
/// are labelled, since they do not go with the namespace.
async fn account(client: &Client, namespace: &str, name: &str, rules: &[PolicyRule]) -> Result<()> {
    let accounts: Api<ServiceAccount> = Api::namespaced(client.clone(), namespace);
    let account = object::<ServiceAccount>(json!({"metadata": {"name": name}}));
    apply(&accounts, account).await?;
    let role = format!("{namespace}-{name}");
    let granted: Api<ClusterRole> = Api::all(client.clone());
    let metadata = json!({"name": role, "labels": {(LABEL): namespace}});
    apply(
        &granted,
        object::<ClusterRole>(json!({"metadata": &metadata, "rules": rules})),
    )
    .await?;
    let bindings: Api<ClusterRoleBinding> = Api::all(client.clone());
    let binding = object::<ClusterRoleBinding>(json!({
        "metadata": metadata,
        "roleRef": {"apiGroup": "rbac.authorization.k8s.io", "kind": "ClusterRole", "name": role},
        "subjects": [{"kind": "ServiceAccount", "namespace": namespace, "name": name}],
    }));
    apply(&bindings, binding).await
}
