//! Objects and logs → the same without what must not leave a cluster.
//!
//! Of objects: whatever stands under a telling key, values beside names (variables, headers), arguments and
//! commands of containers that are not Weir's to know, attributes of volumes, and annotations that are not
//! known to be harmless, since tools keep copies of whole objects there. Of texts: what looks like a token, a
//! key or a password, or follows a telling name.

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
const SECRETIVE: [&str; 17] = [
    "password",
    "passwd",
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
const REFERENCES: [&str; 5] = [
    "secretKeyRef",
    "secretRef",
    "imagePullSecrets",
    "secrets",
    "nodePublishSecretRef",
];
/// How well-known tokens begin.
const PREFIXES: [&str; 8] = [
    "ghp_", "gho_", "ghs_", "glpat-", "xoxb-", "xoxp-", "AKIA", "H4sI",
];
/// Ways of authorization that are told before the secret.
const SCHEMES: [&str; 3] = ["bearer", "basic", "negotiate"];
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
    let name = name.to_ascii_lowercase();
    SECRETIVE.iter().any(|part| name.contains(part))
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
        lines.push(words(&without_login(line)));
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

/// What of a line comes next.
#[derive(Clone, Copy, PartialEq, Eq)]
enum Next {
    Plain,
    Secret,
    /// Of an authorization: its scheme, or what follows that.
    Authorization,
}

/// One line's words, of which some are taken out. What separates them stays.
fn words(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut next = Next::Plain;
    for word in line.split_inclusive(is_separator) {
        let bare = word.trim_end_matches(is_separator);
        let rest = &word[bare.len()..];
        if bare.is_empty() {
            kept.push_str(rest);
            continue;
        }
        let lower = bare.to_ascii_lowercase();
        let goes_on = next == Next::Authorization && rest.starts_with([' ', '\t']);
        if SCHEMES.contains(&lower.as_str()) {
            kept.push_str(bare);
            next = Next::Secret;
        } else if next != Next::Plain || is_token(bare) {
            kept.push_str(GONE);
            next = if goes_on { Next::Secret } else { Next::Plain };
        } else {
            kept.push_str(bare);
            next = after(&lower, rest);
        }
        kept.push_str(rest);
    }
    kept
}

/// What follows a word: a value stands behind its name and one of some signs, or behind a flag and a blank.
fn after(word: &str, rest: &str) -> Next {
    let is_flag = word.starts_with('-') && rest.starts_with([' ', '\t']);
    if !is_secretive(word) || !(is_flag || rest.starts_with(['=', ':', '"', '\'', '\\'])) {
        Next::Plain
    } else if word.contains("authorization") {
        Next::Authorization
    } else {
        Next::Secret
    }
}

const fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t'
            | '\r'
            | '"'
            | '\''
            | '\\'
            | '='
            | ':'
            | ','
            | ';'
            | '('
            | ')'
            | '{'
            | '}'
            | '['
            | ']'
            | '<'
            | '>'
    )
}

/// A JSON Web Token, a bootstrap token, or one that begins as some do.
fn is_token(word: &str) -> bool {
    let is_web_token = word.starts_with("eyJ") && word.matches('.').count() == 2;
    let is_known = word.len() >= 16 && PREFIXES.iter().any(|prefix| word.starts_with(prefix));
    let is_bootstrap = || {
        let plain = |part: &str| {
            part.chars()
                .all(|c| c.is_ascii_lowercase() || c.is_ascii_digit())
        };
        let halves = word.split_once('.');
        halves.is_some_and(|(id, secret)| {
            id.len() == 6 && secret.len() == 16 && plain(id) && plain(secret)
        })
    };
    is_web_token || is_known || is_bootstrap()
}

#[cfg(test)]
mod tests;
