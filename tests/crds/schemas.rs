//! Structural, bounded schemas, and the conventions by which other tools read the objects.

use std::collections::BTreeSet;

use serde_json::{Value, json};
use weir::api::{
    self,
    marks::conditions::{GATING, READY},
};

use crate::walk;

/// What is missing in one node, if anything.
fn defect(node: &Value) -> Option<&'static str> {
    for word in ["$ref", "oneOf", "anyOf", "allOf", "not", "nullable"] {
        if node.get(word).is_some() {
            return Some("is not a plain structural node");
        }
    }
    if node.get("x-kubernetes-preserve-unknown-fields").is_some() {
        return Some("keeps unknown fields");
    }
    match node["type"].as_str() {
        Some("string") if node.get("enum").is_none() && node.get("maxLength").is_none() => {
            Some("is a string without maxLength")
        }
        Some("array") if node.get("maxItems").is_none() => Some("is a list without maxItems"),
        Some("array") if node.get("x-kubernetes-list-type").is_none() => {
            Some("is a list that does not say how it is merged")
        }
        Some("object")
            if node.get("additionalProperties").is_some()
                && node.get("maxProperties").is_none() =>
        {
            Some("is a map without maxProperties")
        }
        Some("string" | "array" | "object" | "integer" | "number" | "boolean") => None,
        _ => Some("has no type"),
    }
}

fn defects(schema: &Value) -> Vec<String> {
    let mut found = Vec::new();
    walk::nodes(schema, "", &mut |path, node| {
        found.extend(defect(node).map(|what| format!("`{path}` {what}")));
    });
    found
}

#[test]
fn every_list_map_and_string_is_bounded() {
    for definition in api::definitions() {
        let found = defects(&walk::schema(&definition));
        assert!(
            found.is_empty(),
            "{}: {found:#?}",
            definition.spec.names.kind
        );
    }
}

#[test]
fn a_missing_bound_is_found_wherever_it_is() {
    let nested = |node: Value| {
        json!({ "type": "object", "properties": { "list": {
            "type": "array", "maxItems": 1, "x-kubernetes-list-type": "atomic", "items": {
                "type": "object", "maxProperties": 1, "additionalProperties": node,
            },
        } } })
    };
    assert_eq!(
        defects(&nested(json!({ "type": "string", "maxLength": 1 }))),
        [""; 0]
    );
    let bad = [
        json!({ "type": "string" }),
        json!({ "type": "array", "x-kubernetes-list-type": "atomic", "items": { "type": "integer" } }),
        json!({ "type": "array", "maxItems": 1, "items": { "type": "integer" } }),
        json!({ "type": "object", "additionalProperties": { "type": "integer" } }),
        json!({ "type": "object", "x-kubernetes-preserve-unknown-fields": true }),
        json!({ "anyOf": [{ "type": "integer" }] }),
        json!({ "type": "integer", "nullable": true }),
        json!({ "description": "anything" }),
    ];
    for node in bad {
        let found = defects(&nested(node.clone()));
        assert!(
            matches!(found.as_slice(), [one] if one.starts_with("`list[]{}` ")),
            "{node}"
        );
    }
}

#[test]
fn every_field_is_described() {
    for definition in api::definitions() {
        let kind = &definition.spec.names.kind;
        walk::nodes(&walk::schema(&definition), "", &mut |path, node| {
            let leaf = path.rsplit('.').next().unwrap_or_default();
            // Kubernetes' own types are described by Kubernetes.
            let foreign = path.contains("elector.") || path.contains("conditions[]");
            let nameless = leaf.ends_with("[]") || leaf.ends_with("{}");
            assert!(
                foreign || nameless || node.get("description").is_some(),
                "{kind}: `{path}` has no description"
            );
        });
    }
}

#[test]
fn conditions_are_merged_by_type_and_status_is_a_subresource() {
    let mut with_conditions = BTreeSet::new();
    for definition in api::definitions() {
        let kind = definition.spec.names.kind.clone();
        let schema = walk::schema(&definition);
        let Some(status) = schema["properties"].get("status") else {
            continue;
        };
        let subresources = definition.spec.versions[0].subresources.as_ref();
        assert!(
            subresources.is_some_and(|all| all.status.is_some()),
            "{kind}"
        );
        assert_eq!(
            status["properties"]["observedGeneration"]["type"], "integer",
            "{kind}"
        );
        let conditions = &status["properties"]["conditions"];
        assert_eq!(conditions["x-kubernetes-list-type"], "map", "{kind}");
        assert_eq!(
            conditions["x-kubernetes-list-map-keys"],
            json!(["type"]),
            "{kind}"
        );
        with_conditions.insert(kind);
    }
    let expected = ["ControlPlane", "GuardedRollout", "RolloutPolicy"].map(str::to_owned);
    assert_eq!(with_conditions, BTreeSet::from(expected));
}

#[test]
fn short_names_differ_and_every_kind_is_listed_by_kubectl_get_weir() {
    let mut names = BTreeSet::new();
    for definition in api::definitions() {
        let these = &definition.spec.names;
        assert_eq!(
            these.categories,
            Some(vec!["weir".to_owned()]),
            "{}",
            these.kind
        );
        for name in these.short_names.iter().flatten().chain([&these.plural]) {
            assert!(names.insert(name.clone()), "{name} is taken twice");
        }
    }
}

#[test]
fn every_column_shows_a_field_that_exists() {
    for definition in api::definitions() {
        let kind = &definition.spec.names.kind;
        let mut paths = BTreeSet::from([".metadata.creationTimestamp".to_owned()]);
        walk::nodes(&walk::schema(&definition), "", &mut |path, _| {
            paths.insert(format!(".{path}"));
        });
        let columns = definition.spec.versions[0]
            .additional_printer_columns
            .as_ref();
        for column in columns.expect("every kind has columns") {
            // `conditions[?(@.type=="Ready")].status` shows `conditions[].status`.
            let of_condition = [READY, GATING].map(|one| format!(r#"[?(@.type=="{one}")]"#));
            let plain = |path: String, one: &String| path.replace(one, "[]");
            let path = of_condition.iter().fold(column.json_path.clone(), plain);
            assert!(
                paths.contains(&path),
                "{kind}: no field for {}",
                column.json_path
            );
        }
    }
}

#[test]
fn the_columns_of_a_rollout_answer_whether_one_may_go_home() {
    let definition = &api::definitions()[1];
    let columns = definition.spec.versions[0]
        .additional_printer_columns
        .as_ref();
    let narrow: Vec<_> = columns
        .into_iter()
        .flatten()
        .filter(|column| column.priority.unwrap_or_default() == 0)
        .map(|column| column.name.as_str())
        .collect();
    assert_eq!(
        narrow,
        ["Ready", "State", "Wave", "Width", "Of", "Held-By", "Age"]
    );
}
