//! Objects and logs → the same without what must not leave a cluster.
//!
//! Of objects: whatever stands under a telling key, values beside names (variables, headers), arguments and
//! commands of containers that are not Weir's to know, attributes of volumes, and annotations that are not
//! known to be harmless, since tools keep copies of whole objects there. Of texts: what looks like a token, a
//! key or a password, or follows a telling name.

mod words;

use serde_json::Value;

/// What stands for what was taken out.
const GONE: &str = "(redacted)";
/// Whose annotations are kept: they hold no copies of objects.
const KNOWN: [&str; 6] = [
    "weir.dev",
    "meta.helm.sh",
    "helm.sh",
    "apf.kubernetes.io",
    "deployment.kubernetes.io",
    "rbac.authorization.kubernetes.io",
];
/// Fields whose values are for programs of others.
const OPAQUE: [&str; 9] = [
    "args",
    "command",
    "volumeAttributes",
    "options",
    "parameters",
    "data",
    "stringData",
    "binaryData",
    "flags",
];
/// What is part of the name of a value that is to be kept to oneself, whatever its case.
const SECRETIVE: [&str; 18] = [
    "password",
    "passwd",
    "pwd",
    "passphrase",
    "secret",
    "token",
    "credential",
    "authorization",
    "cookie",
    "apikey",
    "api_key",
    "api-key",
    "privatekey",
    "private_key",
    "private-key",
    "accesskey",
    "access_key",
    "access-key",
];
/// Objects under a telling key that only say where a secret is.
const REFERENCES: [&str; 7] = [
    "bearerToken",
    "caSecret",
    "secretKeyRef",
    "secretRef",
    "imagePullSecrets",
    "secrets",
    "nodePublishSecretRef",
];
/// Words that end like a short name of a password, and are none.
const ORDINARY: [&str; 6] = [
    "bypass",
    "compass",
    "overpass",
    "surpass",
    "trespass",
    "underpass",
];
/// How names of Kubernetes' own end that speak of authorization, and hold no secret.
const GROUPS: [&str; 2] = ["authorization.k8s.io", "authorization.kubernetes.io"];
/// Lines of a key at most: one whose end was cut off must not swallow the rest of a log.
const KEY_LINES: usize = 120;

/// An object without what must not leave the cluster.
pub(super) fn object(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let named = fields.contains_key("name");
            let fields = fields.into_iter();
            Value::Object(fields.filter_map(|one| field(one, named)).collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(object).collect()),
        Value::String(text) => Value::String(log(&text)),
        other => other,
    }
}

/// One field; none if it is to be left out. `named` says that a name stands beside it.
fn field((key, value): (String, Value), named: bool) -> Option<(String, Value)> {
    let value = match (key.as_str(), value) {
        ("managedFields", _) => return None,
        ("annotations", Value::Object(all)) => {
            let all = all.into_iter().map(|(key, value)| {
                let domain = key.split('/').next().unwrap_or_default();
                let is_kept = KNOWN.contains(&domain) && !is_secretive(&key);
                let value = if is_kept { object(value) } else { gone(value) };
                (key, value)
            });
            Value::Object(all.collect())
        }
        ("value", value @ Value::String(_)) if named => gone(value),
        (key, value) if OPAQUE.contains(&key) => gone(value),
        (key, value) if is_secretive(key) && !REFERENCES.contains(&key) => gone(value),
        (_, value) => object(value),
    };
    Some((key, value))
}

/// The same shape without any text.
fn gone(value: Value) -> Value {
    match value {
        Value::Object(fields) => {
            let fields = fields.into_iter();
            Value::Object(fields.map(|(key, value)| (key, gone(value))).collect())
        }
        Value::Array(all) => Value::Array(all.into_iter().map(gone).collect()),
        Value::String(_) => GONE.into(),
        other => other,
    }
}

fn is_secretive(name: &str) -> bool {
    let name = telling(name);
    SECRETIVE.iter().any(|part| name.contains(part)) || has_pass(&name)
}

/// Whether it is the name of a header whose value has parts, with signs and blanks of their own.
fn is_header(name: &str) -> bool {
    let name = telling(name);
    ["authorization", "cookie"]
        .iter()
        .any(|part| name.contains(part))
}

/// What of a name may tell something, in small letters.
fn telling(name: &str) -> String {
    let name = name.to_ascii_lowercase();
    GROUPS
        .iter()
        .fold(name, |name, group| name.replace(group, ""))
}

/// Whether a part of a name is `pass`, or ends with it as `PGPASS` does.
fn has_pass(name: &str) -> bool {
    let mut parts = name.split(|c: char| !c.is_ascii_alphanumeric());
    parts.any(|part| {
        let part = part.trim_end_matches(|c: char| c.is_ascii_digit());
        part.ends_with("pass") && !ORDINARY.iter().any(|word| part.ends_with(word))
    })
}

/// Text without what looks like a token, a key or a password.
pub(super) fn log(text: &str) -> String {
    let mut lines = Vec::new();
    let mut of_key = 0;
    for line in text.split('\n') {
        if line.contains("-----BEGIN ") {
            lines.push(GONE.to_owned());
            of_key = KEY_LINES;
        }
        if of_key > 0 {
            let ends = line.contains("-----END ");
            of_key = if ends { 0 } else { of_key - 1 };
            continue;
        }
        lines.push(words::words(&without_login(line)));
    }
    lines.join("\n")
}

/// A line without the users and passwords in its URLs.
fn without_login(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut rest = line;
    while let Some((before, after)) = rest.split_once("://") {
        kept.push_str(before);
        kept.push_str("://");
        let is_end = |c: char| c == '/' || c.is_whitespace() || matches!(c, '"' | '\'' | '?');
        let authority = &after[..after.find(is_end).unwrap_or(after.len())];
        rest = match authority.rfind('@') {
            Some(at) => {
                kept.push_str(GONE);
                &after[at..]
            }
            None => after,
        };
    }
    kept.push_str(rest);
    kept
}

#[cfg(test)]
mod tests;
