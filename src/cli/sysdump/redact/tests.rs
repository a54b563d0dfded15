//! What is taken out of objects and texts, and what stays.

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
                "objectset.rio.cattle.io/applied": "hunter2",
                "kapp.k14s.io/original": "{\"name\":\"KEY\",\"value\":\"hunter2\"}",
                "example.com/api-token": "hunter2",
                "weir.dev/revision": "u.7d9f",
                "rbac.authorization.kubernetes.io/autoupdate": "true",
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
    let annotations = &redacted["metadata"]["annotations"];
    assert_eq!(annotations["weir.dev/revision"], "u.7d9f");
    assert_eq!(annotations["example.com/api-token"], GONE);
    assert_eq!(
        annotations["rbac.authorization.kubernetes.io/autoupdate"],
        "true"
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
fn what_stands_under_a_telling_key_is_taken_out_wherever_it_is() {
    for secret in [
        json!({ "metadata": { "labels": { "example.com/db-password": "hunter2" } } }),
        json!({ "readinessProbe": { "httpGet": {
            "httpHeaders": [{ "name": "X-Api-Key", "value": "hunter2" }],
        } } }),
        json!({ "csi": { "driver": "d", "volumeAttributes": { "pw": "hunter2" } } }),
        json!({ "flexVolume": { "driver": "d", "options": { "pw": "hunter2" } } }),
        json!({ "lifecycle": { "preStop": { "exec": { "command": ["sh", "hunter2"] } } } }),
        json!({ "credentials": { "user": "hunter2", "more": ["hunter2"] } }),
        json!({ "clientSecret": "hunter2" }),
        json!({ "note": "https://admin:hunter2@example.com/x" }),
        json!({ "caBundle": { "private_key": "hunter2" } }),
    ] {
        let redacted = object(secret);
        assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
    }
    let kept = json!({
        "driver": "d", "image": "example.com/agent:1", "automountServiceAccountToken": false,
        "imagePullSecrets": [{ "name": "s" }], "resources": ["secrets"], "verbs": ["get"],
    });
    assert_eq!(object(kept.clone()), kept);
}

#[test]
fn what_looks_like_a_secret_is_taken_out_of_text() {
    for (text, expected) in [
        ("Authorization: Bearer abc.def", "Authorization: (redacted)"),
        ("sent Bearer abc.def, then", "sent Bearer (redacted), then"),
        ("authorization: AWS4 hunter2", "authorization: (redacted)"),
        ("token=abc next", "token=(redacted) next"),
        (
            r#"{"password":"abc","a":1}"#,
            r#"{"password":"(redacted)","a":1}"#,
        ),
        (
            r#"{\"password\":\"abc\",\"a\":1}"#,
            r#"{\"password\":\"(redacted)\",\"a\":1}"#,
        ),
        ("run --token hunter2 now", "run --token (redacted) now"),
        (
            "AWS_SECRET_ACCESS_KEY=hunter2",
            "AWS_SECRET_ACCESS_KEY=(redacted)",
        ),
        ("private_key: hunter2", "private_key: (redacted)"),
        ("passphrase='hunter2'", "passphrase='(redacted)'"),
        ("credentials=hunter2", "credentials=(redacted)"),
        (
            "see https://user:hunter2@host:6443/x and http://b/@c",
            "see https://(redacted)@host:6443/x and http://b/@c",
        ),
        ("with eyJhbGciOi.eyJzdWIi.c2ln!", "with (redacted)"),
        ("join abcdef.0123456789abcdef now", "join (redacted) now"),
        ("ghp_0123456789abcdef0123 leaked", "(redacted) leaked"),
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

#[test]
fn a_key_that_was_cut_off_does_not_swallow_the_rest_of_a_log() {
    let mut text = "-----BEGIN PRIVATE KEY-----\n".to_owned();
    text.extend((0..500).map(|number| format!("line {number}\n")));
    let redacted = log(&text);
    assert!(!redacted.contains("line 50\n"));
    assert!(redacted.contains("line 499"), "{redacted}");
}

#[test]
fn a_policy_s_dependency_keeps_where_its_secrets_are_and_loses_what_is_one() {
    let http = json!({
        "url": "https://status.example.com/a?api_key=hunter2",
        "bearerToken": { "name": "prometheus-token", "key": "token" },
        "tls": { "caSecret": "our-ca" },
    });
    let redacted = object(json!({ "name": "cloud", "http": http }));
    assert!(!redacted.to_string().contains("hunter2"), "{redacted}");
    assert_eq!(redacted["http"]["bearerToken"]["name"], "prometheus-token");
    assert_eq!(redacted["http"]["tls"]["caSecret"], "our-ca");
}
