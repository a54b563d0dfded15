//! Bounded schemas of types that Kubernetes has already defined, whose own schemas have no bounds.

use k8s_openapi::apiextensions_apiserver::pkg::apis::apiextensions::v1::{
    CustomResourceDefinition, JSONSchemaProps, JSONSchemaPropsOrArray, JSONSchemaPropsOrBool,
};
use schemars::{Schema, SchemaGenerator, json_schema};

use super::bounds;

/// A condition list after KEP-1623, merged by type.
pub(super) fn conditions(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "description": "Conditions as `kubectl wait` and kstatus read them.",
        "type": "array",
        "maxItems": bounds::CONDITIONS,
        "x-kubernetes-list-type": "map",
        "x-kubernetes-list-map-keys": ["type"],
        "items": {
            "type": "object",
            "required": ["type", "status", "lastTransitionTime", "reason", "message"],
            "properties": {
                "type": { "type": "string", "minLength": 1, "maxLength": 64 },
                "status": { "type": "string", "enum": ["True", "False", "Unknown"] },
                "observedGeneration": { "type": "integer", "format": "int64", "minimum": 0 },
                "lastTransitionTime": {
                    "type": "string", "format": "date-time", "maxLength": 64
                },
                "reason": {
                    "type": "string",
                    "minLength": 1,
                    "maxLength": 64,
                    "pattern": "^[A-Za-z]([A-Za-z0-9_]*[A-Za-z0-9])?$",
                },
                "message": { "type": "string", "maxLength": bounds::TEXT },
            },
        },
    })
}

/// A moment as RFC 3339 text.
pub(super) fn optional_time(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "format": "date-time", "maxLength": 64
    })
}

/// A length of time as people write it, which may be none at all: `0s`.
pub(super) fn optional_wait(_: &mut SchemaGenerator) -> Schema {
    json_schema!({
        "type": "string", "pattern": "^(0|[1-9][0-9]{0,4})(ms|s|m|h)$", "maxLength": 7
    })
}

/// A label selector whose every list, map and string is bounded, and whose expressions are checked
/// for the two mistakes that would make it match nothing, silently.
pub(super) fn optional_selector(_: &mut SchemaGenerator) -> Schema {
    let value = json_schema!({
        "type": "string",
        "maxLength": 63,
        "pattern": "^(([A-Za-z0-9][-A-Za-z0-9_.]*)?[A-Za-z0-9])?$",
    });
    let key = json_schema!({
        "type": "string",
        "minLength": 1,
        "maxLength": 317,
        "pattern": "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$",
    });
    json_schema!({
        "description": "A label selector; empty or absent matches everything.",
        "type": "object",
        "properties": {
            "matchLabels": {
                "type": "object",
                        "maxProperties": 8,
                "additionalProperties": value,
            },
            "matchExpressions": {
                "type": "array",
                        "maxItems": 8,
                "x-kubernetes-list-type": "atomic",
                "items": {
                    "type": "object",
                    "required": ["key", "operator"],
                    "properties": {
                        "key": key,
                        "operator": {
                            "type": "string",
                            "enum": ["In", "NotIn", "Exists", "DoesNotExist"],
                        },
                        "values": {
                            "type": "array",
                                                "maxItems": 16,
                            "x-kubernetes-list-type": "atomic",
                            "items": value,
                        },
                    },
                    "x-kubernetes-validations": [
                        {
                            "rule": "!(self.operator in ['In', 'NotIn']) \
                                || (has(self.values) && self.values.size() > 0)",
                            "message": "In and NotIn need at least one value",
                            "fieldPath": ".values",
                            "reason": "FieldValueRequired",
                        },
                        {
                            "rule": "!(self.operator in ['Exists', 'DoesNotExist']) \
                                || !has(self.values) || self.values.size() == 0",
                            "message": "Exists and DoesNotExist take no values",
                            "fieldPath": ".values",
                            "reason": "FieldValueForbidden",
                        },
                    ],
                },
            },
        },
    })
}

/// The definition as API servers like it: without `nullable`, so that they prune a null before any
/// rule can stumble over it, and without Rust's own number formats, which they warn about (the
/// minimum that came with them stays).
#[must_use]
pub(super) fn plain(mut definition: CustomResourceDefinition) -> CustomResourceDefinition {
    definition
        .spec
        .versions
        .iter_mut()
        .filter_map(|version| version.schema.as_mut()?.open_api_v3_schema.as_mut())
        .for_each(simplify);
    definition
}

fn simplify(schema: &mut JSONSchemaProps) {
    schema.nullable = None;
    if schema
        .format
        .as_deref()
        .is_some_and(|format| format.starts_with("uint"))
    {
        schema.format = None;
    }
    schema
        .properties
        .iter_mut()
        .flat_map(|all| all.values_mut())
        .for_each(simplify);
    match schema.items.as_mut() {
        Some(JSONSchemaPropsOrArray::Schema(items)) => simplify(items),
        Some(JSONSchemaPropsOrArray::Schemas(all)) => all.iter_mut().for_each(simplify),
        None => {}
    }
    if let Some(JSONSchemaPropsOrBool::Schema(values)) = schema.additional_properties.as_mut() {
        simplify(values);
    }
}
