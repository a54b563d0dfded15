//! What a pod template says, as one content hash.
//!
//! What a pod costs belongs to its template. A file and the object that an API server made of it must
//! have the same hash, so that a cost measured in one cluster is found again for the file that goes
//! to the next: what Kubernetes fills in is taken out on both sides, and everything else counts. Only
//! what tells nothing of the pods' behaviour is left out besides: Weir's own labels, and the
//! annotation by which `kubectl rollout restart` makes a new revision of the same template.

mod defaults;
mod quantity;
#[cfg(test)]
mod tests;

use std::collections::BTreeMap;

use serde_json::{Map, Value};
use sha2::{Digest, Sha256};

/// Parts of a template's metadata that reach its pods.
const METADATA: &[&str] = &["labels", "annotations", "finalizers"];
/// What `kubectl rollout restart` writes.
const RESTARTED: &str = "kubectl.kubernetes.io/restartedAt";
/// The prefix of Weir's own labels and annotations.
const OWN: &str = "weir.dev/";

/// Maps whose keys and values are a person's: an empty value means something.
const FREE: &[&str] = &[
    "labels",
    "annotations",
    "nodeSelector",
    "matchLabels",
    "volumeAttributes",
    "options",
];
/// Maps of quantities.
const QUANTITIES: &[&str] = &["limits", "requests", "overhead"];
/// Fields that are quantities.
const QUANTITY: &[&str] = &["sizeLimit", "divisor"];
/// Selectors: an empty one selects everything, none selects nothing.
const SELECTORS: &[&str] = &["labelSelector", "namespaceSelector", "selector"];
/// The text of which an empty one is not the same as none: it asks for a volume without a class.
const STORAGE_CLASS: &str = "storageClassName";

/// The content hash of a pod template, `sha256:…`, of a file as of a live object.
#[must_use]
pub fn hash(template: &Value) -> String {
    let text = canonical(template).to_string();
    let digest = Sha256::digest(text.as_bytes());
    let hex = digest.iter().map(|byte| format!("{byte:02x}"));
    format!("sha256:{}", hex.collect::<String>())
}

/// The template with nothing in it that its author could have left out.
fn canonical(template: &Value) -> Value {
    let mut template = template.clone();
    if let Some(Value::Object(metadata)) = template.get_mut("metadata") {
        metadata.retain(|key, _| METADATA.contains(&key.as_str()));
        for map in metadata.values_mut().filter_map(Value::as_object_mut) {
            map.retain(|key, _| key != RESTARTED && !key.starts_with(OWN));
        }
    }
    if let Some(Value::Object(spec)) = template.get_mut("spec") {
        defaults::take_out(spec);
    }
    kept("template", template).unwrap_or_default()
}

/// What remains of a field's value; nothing if an API server would drop it, or fill it in.
fn kept(key: &str, value: Value) -> Option<Value> {
    let is_any = |keys: &[&str]| keys.contains(&key);
    match value {
        Value::Null => None,
        value if defaults::is_falsy(key, &value) => None,
        Value::String(text) if text.is_empty() && key != STORAGE_CLASS => None,
        Value::String(_) | Value::Number(_) if is_any(QUANTITY) => Some(quantity::plain(value)),
        Value::Array(items) if items.is_empty() => None,
        // Items are never dropped: an empty argument is an argument.
        Value::Array(items) => Some(items.into_iter().map(|item| item_kept(key, item)).collect()),
        Value::Object(map) if is_any(FREE) => sorted(map, |key, value| match value {
            Value::String(_) => Some(value),
            odd => kept(key, odd),
        }),
        Value::Object(map) if is_any(QUANTITIES) => sorted(map, |key, value| match value {
            Value::String(_) | Value::Number(_) => Some(quantity::plain(value)),
            odd => kept(key, odd),
        }),
        Value::Object(map) if is_any(SELECTORS) => {
            Some(sorted(map, kept).unwrap_or_else(|| Value::Object(Map::new())))
        }
        Value::Object(mut map) => {
            defaults::take_out_of(key, &mut map);
            sorted(map, kept)
        }
        Value::Bool(_) | Value::Number(_) | Value::String(_) => Some(value),
    }
}

fn item_kept(key: &str, item: Value) -> Value {
    match item {
        Value::Object(_) => kept(key, item).unwrap_or_else(|| Value::Object(Map::new())),
        Value::Array(items) => items.into_iter().map(|item| item_kept(key, item)).collect(),
        other => other,
    }
}

/// The map in the order of its keys, less what is dropped; nothing if nothing remains.
fn sorted(map: Map<String, Value>, keep: impl Fn(&str, Value) -> Option<Value>) -> Option<Value> {
    let kept: BTreeMap<_, _> = map
        .into_iter()
        .filter(|(_, value)| !value.is_null())
        .filter_map(|(key, value)| keep(&key, value).map(|value| (key, value)))
        .collect();
    (!kept.is_empty()).then(|| Value::Object(kept.into_iter().collect()))
}
