//! How far a value goes, whatever it is and however it is written; and that ordinary words stay.

use proptest::prelude::*;

use super::*;

#[test]
fn a_value_goes_as_far_as_how_it_is_written_says() {
    for (line, expected) in [
        ("Cookie: session=s3cr3t; csrf=abc", "Cookie: (redacted)"),
        ("Set-Cookie: s3cr3t; Path=/", "Set-Cookie: (redacted)"),
        (
            "password = hunter2 at once",
            "password = (redacted) at once",
        ),
        (
            r#"password="correct horse battery" next"#,
            r#"password="(redacted)" next"#,
        ),
        (
            r#"{"password":"ab,cd:ef","a":1}"#,
            r#"{"password":"(redacted)","a":1}"#,
        ),
        (
            r#"{"password":"a\"b\\","a":1}"#,
            r#"{"password":"(redacted)","a":1}"#,
        ),
        (
            r#""said":"{\"password\":\"a\\\"b c\",\"a\":1}""#,
            r#""said":"{\"password\":\"(redacted)\",\"a\":1}""#,
        ),
        (
            "run --password=Tr0ub4dor;3x now",
            "run --password=(redacted) now",
        ),
        (
            r#"["run", "--password", "correct horse"]"#,
            r#"["run", "--password", "(redacted)"]"#,
        ),
        (
            r#"Authorization: Digest username="u", response="deadbeef""#,
            "Authorization: (redacted)",
        ),
        (
            r#"{"authorization": "Digest a=\"b\", c=d", "a": 1}"#,
            r#"{"authorization": "(redacted)", "a": 1}"#,
        ),
        (
            "map[Authorization:[Bearer abc] Accept:[a b]]",
            "map[Authorization:(redacted) Accept:[a b]]",
        ),
    ] {
        assert_eq!(words(line), expected, "{line}");
    }
}

#[test]
fn short_names_and_what_programs_print_of_their_own_are_known() {
    for (line, expected) in [
        ("pwd=hunter2", "pwd=(redacted)"),
        ("PGPASS=hunter2", "PGPASS=(redacted)"),
        ("MYSQL_PWD: hunter2", "MYSQL_PWD: (redacted)"),
        ("db_pass2=hunter2", "db_pass2=(redacted)"),
        (
            r#"Login { token: Some("x y"), of: 3 }"#,
            "Login { token: (redacted) of: 3 }",
        ),
        (
            r#"Login { key: 1, secret: Sealed { of: ["x", "}"] }, of: 3 }"#,
            "Login { key: 1, secret: (redacted) of: 3 }",
        ),
        (
            r#"[("x-api-key", "hunter2"), ("a", "b")]"#,
            r#"[("x-api-key", "(redacted)"), ("a", "b")]"#,
        ),
        (
            r#"EnvVar { name: "PASSWORD", value: Some("x y"), of: 3 }"#,
            r#"EnvVar { name: "PASSWORD", value: (redacted) of: 3 }"#,
        ),
        (
            r#"{"name":"PASSWORD","value":"x y","a":1}"#,
            r#"{"name":"PASSWORD","value":"(redacted)","a":1}"#,
        ),
        (
            r#"{"credentials":{"user":"a b","of":["c"]},"a":1}"#,
            r#"{"credentials":(redacted)"#,
        ),
        (
            r#"headers["token"] = "x y";"#,
            r#"headers["token"] = "(redacted)";"#,
        ),
        (r#"password="cut off here"#, r#"password="(redacted)"#),
        (r#"password="a"b c"#, "password=(redacted) c"),
        ("password: 'it''s so'", "password: (redacted) so'"),
    ] {
        assert_eq!(words(line), expected, "{line}");
    }
}

#[test]
fn what_is_no_secret_stays() {
    for line in [
        "all tests passed: 12, pass 3 of 4",
        "passes=2 bypass=true compass: north",
        "the token bucket is empty",
        r#"User "jane" cannot list resource "secrets" in API group "" at the cluster scope"#,
        "clusterroles.rbac.authorization.k8s.io: no such thing, say all of it",
        r#""apiGroup":"rbac.authorization.k8s.io","kind":"Role""#,
        r#"{"level":"INFO","fields":{"message":"let through","pods":4},"target":"weir::act"}"#,
        "width 4 of 200: LatencyRegressed",
        "password:",
        r"\\\\ ( [ {",
    ] {
        assert_eq!(words(line), line);
    }
    let line = r#"{"token_count":5,"level":"INFO","pods":4}"#;
    let expected = r#"{"token_count":(redacted),"level":"INFO","pods":4}"#;
    assert_eq!(words(line), expected);
}

/// In every part of a secret, so that no part of it gets by.
const TRACE: &str = "Zq9";

fn names() -> impl Strategy<Value = &'static str> {
    proptest::sample::select(vec![
        "password",
        "DB_PASSWORD",
        "pwd",
        "PGPASS",
        "smtp-pass",
        "clientSecret",
        "token",
        "X-Api-Key",
        "Cookie",
        "Authorization",
        "proxy-authorization",
    ])
}

fn secrets(between: &'static str) -> impl Strategy<Value = String> {
    (between, between).prop_map(|(a, b)| format!("{TRACE}{a}{TRACE}{b}{TRACE}"))
}

proptest! {
    #[test]
    fn no_part_of_a_quoted_secret_is_left(name in names(), secret in secrets("[ -~]{0,9}")) {
        let quoted = serde_json::to_string(&secret).unwrap();
        let json = format!(r#"{{"a":1,"{name}":{quoted},"b":2}}"#);
        let escaped = serde_json::to_string(&json).unwrap();
        let twice = serde_json::to_string(&escaped).unwrap();
        let debug = format!("{:?}", Some(&secret));
        for line in [
            format!("a {name}={quoted} b"),
            format!("a {name} : {quoted}, b"),
            format!("run --{name} {quoted} now"),
            format!("Login {{ {name}: {debug}, of: 3 }}"),
            format!("{{{name:?}: {quoted}}}"),
            format!("[({name:?}, {quoted})]"),
            json,
            escaped,
            twice,
        ] {
            let left = words(&line);
            prop_assert!(!left.contains(TRACE), "{line} -> {left}");
        }
    }

    #[test]
    fn no_part_of_a_bare_secret_is_left(name in names(), secret in secrets("[!-~]{0,9}")) {
        for line in [
            format!("a {name}={secret} b"),
            format!("{name}: {secret}"),
            format!("{name}\t=\t{secret}"),
            format!("run --{name}={secret} now"),
            format!("run --{name} {secret} now"),
        ] {
            let left = words(&line);
            prop_assert!(!left.contains(TRACE), "{line} -> {left}");
        }
    }

    #[test]
    fn of_a_header_the_whole_line_is_gone(secret in secrets("[ -~]{0,9}")) {
        for name in ["Cookie", "set-cookie", "Authorization"] {
            let left = words(&format!("{name}: {secret}"));
            prop_assert!(!left.contains(TRACE), "{left}");
        }
    }

    #[test]
    fn any_line_can_be_read(line in r#"[a-z"'\\`()\[\]{}=:, päß]{0,40}"#) {
        let _ = words(&format!("token={line}"));
        let _ = words(&line);
    }
}
