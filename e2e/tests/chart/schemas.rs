//! The description that Kubernetes publishes of an API server of some version → the JSON schemas that
//! kubeconform reads, one file for each kind. Strict: a field that is not described is an error.

use std::{
    collections::BTreeSet,
    fs,
    path::{Path, PathBuf},
    process::Command,
};

use anyhow::{Context, Result, ensure};
use serde_json::{Map, Value, json};

use crate::scratch;

type Definitions = Map<String, Value>;

/// Where another definition is referred to.
const REFERENCE: &str = "#/definitions/";

/// Writes the schemas of these kinds, and says where.
pub(crate) fn written(version: &str, kinds: &BTreeSet<&str>) -> Result<PathBuf> {
    let description = description(version)?;
    let definitions = description["definitions"].as_object();
    let definitions = definitions.context("the description has no definitions")?;
    let directory = scratch().join(format!("schemas-{version}"));
    fs::create_dir_all(&directory)?;
    for (name, definition) in definitions {
        if let Some((kind, file)) = named(definition)
            && kinds.contains(kind)
        {
            let schema = standalone(definitions, name);
            fs::write(directory.join(file), schema.to_string())?;
        }
    }
    Ok(directory)
}

/// It is a file of Kubernetes' own module. Outside of any module of ours, so that none is changed.
fn description(version: &str) -> Result<Value> {
    let module = format!("k8s.io/kubernetes@v{version}");
    let output = Command::new("go")
        .args(["mod", "download", "-json", &module])
        .current_dir(scratch())
        .output()
        .context("starting the Go command")?;
    let said = String::from_utf8_lossy(&output.stdout);
    ensure!(output.status.success(), "{module}: {said}");
    let told: Value = serde_json::from_str(&said)?;
    let directory = told["Dir"]
        .as_str()
        .context("go does not say where it is")?;
    let file = Path::new(directory).join("api/openapi-spec/swagger.json");
    let text = fs::read(&file).with_context(|| format!("reading {}", file.display()))?;
    Ok(serde_json::from_slice(&text)?)
}

/// A definition's kind, and its file's name as kubeconform looks for it, if it is an object of the API.
fn named(definition: &Value) -> Option<(&str, String)> {
    let versions = definition["x-kubernetes-group-version-kind"].as_array()?;
    // What belongs to all groups, such as options of a deletion, is no object.
    let [version] = versions.as_slice() else {
        return None;
    };
    let part = |key: &str| version[key].as_str();
    let (group, kind) = (part("group")?, part("kind")?);
    let version = part("version")?;
    let group = match group.split('.').next() {
        None | Some("") => String::new(),
        Some(first) => format!("{first}-"),
    };
    let file = format!("{kind}-{group}{version}.json").to_lowercase();
    Some((kind, file))
}

/// A schema that needs no other file: with all that it refers to.
fn standalone(definitions: &Definitions, name: &str) -> Value {
    let mut kept = Definitions::new();
    let mut wanted = vec![name.to_owned()];
    while let Some(name) = wanted.pop() {
        if kept.contains_key(&name) {
            continue;
        }
        let mut definition = definitions.get(&name).cloned().unwrap_or_default();
        references(&definition, &mut wanted);
        tighten(&mut definition);
        kept.insert(name, definition);
    }
    json!({
        "$schema": "http://json-schema.org/draft-07/schema#",
        "$ref": format!("{REFERENCE}{name}"),
        "definitions": kept,
    })
}

fn references(value: &Value, into: &mut Vec<String>) {
    match value {
        Value::Object(fields) => {
            let reference = fields.get("$ref").and_then(Value::as_str);
            let name = reference.and_then(|reference| reference.strip_prefix(REFERENCE));
            into.extend(name.map(str::to_owned));
            for value in fields.values() {
                references(value, into);
            }
        }
        Value::Array(values) => {
            for value in values {
                references(value, into);
            }
        }
        _ => {}
    }
}

/// Refuses fields that are not described, and takes numbers where Kubernetes does.
fn tighten(value: &mut Value) {
    match value {
        Value::Object(fields) => {
            // Among the fields of a schema's own description these are names, not texts.
            let is = |key: &str, text: &str| fields.get(key).and_then(Value::as_str) == Some(text);
            let (is_either, is_object) = (is("format", "int-or-string"), is("type", "object"));
            if is_either {
                fields.remove("format");
                fields.insert("type".to_owned(), json!(["string", "integer"]));
            }
            if is_object && fields.contains_key("properties") {
                let others = fields.entry("additionalProperties");
                others.or_insert(Value::Bool(false));
            }
            for value in fields.values_mut() {
                tighten(value);
            }
        }
        Value::Array(values) => values.iter_mut().for_each(tighten),
        _ => {}
    }
}

#[test]
fn a_kind_has_the_file_that_kubeconform_looks_for() {
    let kind = |group: &str, kind: &str| {
        let version = json!([{ "group": group, "version": "v1", "kind": kind }]);
        let definition = json!({ "x-kubernetes-group-version-kind": version });
        named(&definition).map(|(_, file)| file)
    };
    assert_eq!(kind("", "Pod").as_deref(), Some("pod-v1.json"));
    assert_eq!(
        kind("flowcontrol.apiserver.k8s.io", "FlowSchema").as_deref(),
        Some("flowschema-flowcontrol-v1.json")
    );
    assert_eq!(named(&json!({ "type": "object" })), None);
}

#[test]
fn a_schema_brings_what_it_refers_to_and_takes_no_other_field() {
    let definitions = json!({
        "a": { "type": "object", "properties": { "b": { "$ref": "#/definitions/b" } } },
        "b": { "type": "string", "format": "int-or-string" },
        "c": { "type": "string" },
    });
    let schema = standalone(definitions.as_object().expect("an object"), "a");
    let kept = schema["definitions"].as_object().expect("definitions");
    assert_eq!(kept.keys().collect::<Vec<_>>(), ["a", "b"]);
    assert_eq!(kept["a"]["additionalProperties"], false);
    assert_eq!(kept["b"], json!({ "type": ["string", "integer"] }));
}
