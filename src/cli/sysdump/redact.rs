//! Objects and logs → the same without what must not leave a cluster.
//!
//! Taken out are values of environment variables, arguments and commands of containers that are not Weir's
//! to know, what looks like a token, a key or a password, and what repeats all of that (the last applied
//! configuration, managed fields).

use serde_json::{Map, Value};

/// What stands for what was taken out.
const GONE: &str = "(redacted)";
/// Annotations that hold whole objects.
const WHOLE: [&str; 2] = [
    "kubectl.kubernetes.io/last-applied-configuration",
    "deprecated.daemonset.template.generation",
];
/// What stands before a value that is to be kept to oneself, whatever its case.
const SECRETIVE: [&str; 8] = [
    "password",
    "passwd",
    "secret",
    "token",
    "authorization",
    "apikey",
    "api_key",
    "api-key",
];

/// An object without what must not leave the cluster.
pub(super) fn object(value: Value) -> Value {
    match value {
        Value::Object(fields) => Value::Object(fields.into_iter().filter_map(field).collect()),
        Value::Array(all) => Value::Array(all.into_iter().map(object).collect()),
        Value::String(text) => Value::String(log(&text)),
        other => other,
    }
}

fn field((name, value): (String, Value)) -> Option<(String, Value)> {
    let value = match (name.as_str(), value) {
        ("managedFields", _) => return None,
        ("annotations", Value::Object(mut all)) => {
            all.retain(|key, _| !WHOLE.contains(&key.as_str()));
            object(Value::Object(all))
        }
        ("env", Value::Array(all)) => Value::Array(all.into_iter().map(variable).collect()),
        ("args" | "command", Value::Array(all)) => {
            Value::Array(all.iter().map(|_| GONE.into()).collect())
        }
        (_, value) => object(value),
    };
    Some((name, value))
}

/// An environment variable: its name, and where its value would come from, but not its value.
fn variable(value: Value) -> Value {
    let Value::Object(fields) = value else {
        return GONE.into();
    };
    let kept = fields.into_iter().map(|(name, value)| {
        let value = if name == "value" { GONE.into() } else { value };
        (name, value)
    });
    Value::Object(kept.collect::<Map<_, _>>())
}

/// Text without what looks like a token, a key or a password.
pub(super) fn log(text: &str) -> String {
    let mut lines = Vec::new();
    let mut in_key = false;
    for line in text.split('\n') {
        let begins = line.contains("-----BEGIN ");
        let ends = line.contains("-----END ");
        if begins || in_key {
            if begins {
                lines.push(GONE.to_owned());
            }
            in_key = !ends;
            continue;
        }
        lines.push(words(line));
    }
    lines.join("\n")
}

/// One line's words, of which some are taken out. What separates them stays.
fn words(line: &str) -> String {
    let mut kept = String::with_capacity(line.len());
    let mut is_secret = false;
    for word in line.split_inclusive(is_separator) {
        let bare = word.trim_end_matches(is_separator);
        let rest = &word[bare.len()..];
        if bare.is_empty() {
            kept.push_str(rest);
            continue;
        }
        let lower = bare.to_ascii_lowercase();
        if lower == "bearer" || lower == "basic" {
            kept.push_str(bare);
            is_secret = true;
        } else if is_secret || is_token(bare) {
            kept.push_str(GONE);
            is_secret = false;
        } else {
            kept.push_str(bare);
            // A value follows its name behind one of these, not behind a blank.
            let names = SECRETIVE.iter().any(|name| lower.ends_with(name));
            is_secret = names && rest.starts_with(['=', ':', '"']);
        }
        kept.push_str(rest);
    }
    kept
}

const fn is_separator(c: char) -> bool {
    matches!(
        c,
        ' ' | '\t'
            | '\r'
            | '"'
            | '\''
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

/// A JSON Web Token, or a bootstrap token.
fn is_token(word: &str) -> bool {
    let is_web_token = word.starts_with("eyJ") && word.matches('.').count() == 2;
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
    is_web_token || is_bootstrap()
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn values_of_variables_arguments_and_copies_of_objects_are_taken_out() {
        let pod = json!({
            "metadata": {
                "name": "a",
                "managedFields": [{ "manager": "x" }],
                "annotations": {
                    "kubectl.kubernetes.io/last-applied-configuration": "{\"a\":\"hunter2\"}",
                    "weir.dev/revision": "u.7d9f",
                },
            },
            "spec": { "containers": [{
                "name": "c", "command": ["run"], "args": ["--key", "hunter2"],
                "env": [
                    { "name": "KEY", "value": "hunter2" },
                    { "name": "REF", "valueFrom": { "secretKeyRef": { "name": "s", "key": "k" } } },
                ],
            }] },
        });
        let redacted = object(pod);
        assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
        assert_eq!(
            redacted["metadata"]["annotations"]["weir.dev/revision"],
            "u.7d9f"
        );
        assert_eq!(redacted["metadata"].get("managedFields"), None);
        let container = &redacted["spec"]["containers"][0];
        assert_eq!(container["args"], json!([GONE, GONE]));
        assert_eq!(container["env"][0], json!({ "name": "KEY", "value": GONE }));
        assert_eq!(
            container["env"][1]["valueFrom"]["secretKeyRef"]["name"],
            "s"
        );
    }

    #[test]
    fn what_looks_like_a_secret_is_taken_out_of_text() {
        for (text, expected) in [
            (
                "Authorization: Bearer abc.def",
                "Authorization: Bearer (redacted)",
            ),
            ("token=abc next", "token=(redacted) next"),
            (
                r#"{"password":"abc","a":1}"#,
                r#"{"password":"(redacted)","a":1}"#,
            ),
            ("with eyJhbGciOi.eyJzdWIi.c2ln!", "with (redacted)"),
            ("join abcdef.0123456789abcdef now", "join (redacted) now"),
            ("the token bucket is empty", "the token bucket is empty"),
            (
                "a\n-----BEGIN RSA PRIVATE KEY-----\nMIIE\n-----END RSA PRIVATE KEY-----\nb",
                "a\n(redacted)\nb",
            ),
            (
                "width 4 of 200: LatencyRegressed",
                "width 4 of 200: LatencyRegressed",
            ),
        ] {
            assert_eq!(log(text), expected);
        }
    }
}
