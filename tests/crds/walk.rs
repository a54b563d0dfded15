//! Walks a CRD's schema and shows each node with its path.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition;
use serde_json::Value;

/// The schema of the only version of a kind.
pub(crate) fn schema(definition: &CustomResourceDefinition) -> Value {
    assert_eq!(
        definition.spec.versions.len(),
        1,
        "{}",
        definition.spec.names.kind
    );
    let schema = definition.spec.versions[0].schema.as_ref();
    let schema = schema.and_then(|all| all.open_api_v3_schema.as_ref());
    serde_json::to_value(schema.expect("a generated definition has a schema"))
        .expect("a schema is JSON")
}

/// Calls `visit` with the path and the node, for the schema itself and everything below it. Items
/// of a list are `path[]`, values of a map `path{}`.
pub(crate) fn nodes(schema: &Value, path: &str, visit: &mut dyn FnMut(&str, &Value)) {
    visit(path, schema);
    for (name, property) in schema["properties"].as_object().into_iter().flatten() {
        let below = if path.is_empty() {
            name.clone()
        } else {
            format!("{path}.{name}")
        };
        nodes(property, &below, visit);
    }
    if let Some(items) = schema.get("items") {
        nodes(items, &format!("{path}[]"), visit);
    }
    if let Some(values @ Value::Object(_)) = schema.get("additionalProperties") {
        nodes(values, &format!("{path}{{}}"), visit);
    }
}
