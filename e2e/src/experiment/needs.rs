//! What a profile needs in the cluster: definitions of custom resources, and objects.

use std::time::Duration;

use anyhow::{Context, Result};
use futures::{TryStreamExt, stream};
use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use kube::{
    Api, Client,
    api::{DynamicObject, PostParams},
    core::{ApiResource, GroupVersionKind},
    runtime::{conditions, wait::await_condition},
};
use serde_json::{Value, json};
use tokio::time::timeout;

use super::setup;
use crate::profile::{Need, template::Values};
use crate::stage::LABEL;

/// Where needed objects live.
pub(super) const NAMESPACE: &str = "lab-needs";

/// Objects made at the same time; more would only wait for the API server's one core.
const AT_ONCE: usize = 16;

/// A definition is established within a second of a calm server.
const ESTABLISHED_WITHIN: Duration = Duration::from_mins(1);

/// Makes everything that is needed in a cluster of this size, and says how many objects that were.
pub(crate) async fn provide(
    client: &Client,
    needs: &[Need],
    (nodes, pods): (u32, u32),
) -> Result<u32> {
    if needs.is_empty() {
        return Ok(0);
    }
    setup::namespace(client, NAMESPACE, json!({(LABEL): NAMESPACE})).await?;
    let mut made = 0;
    for need in needs {
        if need.define {
            define(client, need).await?;
        }
        let count = need.count.of(nodes, pods);
        objects(client, need, count).await?;
        made += count;
    }
    Ok(made)
}

async fn define(client: &Client, need: &Need) -> Result<()> {
    let definitions: Api<CustomResourceDefinition> = Api::all(client.clone());
    let definition = definition(need);
    let name = format!("{}.{}", need.resource.plural, need.resource.group);
    setup::apply(&definitions, definition).await?;
    let established = conditions::is_crd_established();
    timeout(
        ESTABLISHED_WITHIN,
        await_condition(definitions, &name, established),
    )
    .await
    .with_context(|| format!("the definition {name} is not established in time"))??;
    Ok(())
}

/// A definition that takes any object of its kind.
fn definition(need: &Need) -> Value {
    let resource = &need.resource;
    let scope = if need.namespaced {
        "Namespaced"
    } else {
        "Cluster"
    };
    let anything = json!({"type": "object", "x-kubernetes-preserve-unknown-fields": true});
    setup::object::<CustomResourceDefinition>(json!({
        "metadata": {"name": format!("{}.{}", resource.plural, resource.group)},
        "spec": {
            "group": resource.group,
            "scope": scope,
            "names": {
                "kind": need.kind,
                "plural": resource.plural,
                "singular": need.kind.to_lowercase(),
            },
            "versions": [{
                "name": resource.version,
                "served": true,
                "storage": true,
                "schema": {"openAPIV3Schema": anything},
            }],
        },
    }))
}

async fn objects(client: &Client, need: &Need, count: u32) -> Result<()> {
    let kind = GroupVersionKind::gvk(&need.resource.group, &need.resource.version, &need.kind);
    let resource = ApiResource::from_gvk_with_plural(&kind, &need.resource.plural);
    let api: Api<DynamicObject> = if need.namespaced {
        Api::namespaced_with(client.clone(), NAMESPACE, &resource)
    } else {
        Api::all_with(client.clone(), &resource)
    };
    let params = PostParams::default();
    stream::iter((0..count).map(anyhow::Ok))
        .try_for_each_concurrent(AT_ONCE, async |index| {
            let object = serde_json::from_value(object(need, index))?;
            match api.create(&params, &object).await {
                // Left by a run before this one in the same world.
                Err(kube::Error::Api(status)) if status.is_already_exists() => Ok(()),
                Err(error) => Err(error).with_context(|| {
                    format!(
                        "the profile's {} lab-{index} could not be made",
                        need.resource
                    )
                }),
                Ok(_) => Ok(()),
            }
        })
        .await
}

/// The object of this number, as large as the profile asks.
fn object(need: &Need, index: u32) -> Value {
    let values = Values {
        node: "",
        pod: "",
        namespace: NAMESPACE,
        index: u64::from(index),
        now: jiff::Timestamp::now(),
    };
    let mut object = need
        .body
        .as_ref()
        .map_or_else(|| json!({}), |body| body.fill(&values));
    object["apiVersion"] = json!(need.resource.api_version());
    object["kind"] = json!(need.kind);
    object["metadata"] = json!({"name": format!("lab-{index}")});
    let missing = (need.bytes as usize).saturating_sub(object.to_string().len());
    if missing > 0 {
        object["metadata"]["annotations"] = json!({"lab.weir.dev/padding": "x".repeat(missing)});
    }
    object
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::profile::Profile;

    fn need(text: &str) -> Need {
        Profile::parse(&format!("needs: [{text}]"), "test")
            .expect("a good profile")
            .needs
            .remove(0)
    }

    #[test]
    fn objects_are_as_large_as_the_profile_asks() {
        let need = need(
            "{resource: example.com/v1/things, kind: Thing, define: true, bytes: 2000, \
             count: {fixed: 3}, body: {spec: {number: $(INDEX), place: $(POD_NAMESPACE)}}}",
        );
        let object = object(&need, 2);
        let size = object.to_string().len();
        assert!((2000..2100).contains(&size), "{size}");
        assert_eq!(object["spec"], json!({"number": "2", "place": NAMESPACE}));
        assert_eq!(
            (&object["apiVersion"], &object["kind"]),
            (&json!("example.com/v1"), &json!("Thing"))
        );
    }

    #[test]
    fn a_definition_takes_its_names_from_the_need() {
        let need =
            need("{resource: example.com/v1/things, kind: Thing, define: true, namespaced: false}");
        let definition = definition(&need);
        assert_eq!(definition["metadata"]["name"], "things.example.com");
        assert_eq!(definition["spec"]["scope"], "Cluster");
        assert_eq!(definition["spec"]["names"]["singular"], "thing");
        let parsed = serde_json::from_value::<CustomResourceDefinition>(definition);
        assert!(parsed.is_ok(), "{parsed:?}");
    }
}
