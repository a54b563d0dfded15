use serde_json::{Value, json};

use super::*;

fn lowered(one: Value) -> (BTreeMap<String, Dependency>, Vec<String>) {
    let all: Vec<api::Dependency> = serde_json::from_value(Value::Array(vec![one])).unwrap();
    let mut problems = Vec::new();
    let lowered = lower(&all, &mut problems);
    let problems = problems.iter().map(ToString::to_string).collect();
    (lowered, problems)
}

fn http(fields: Value) -> Value {
    let mut http = json!({
        "url": "https://status.example.com/api/v2/status.json",
        "jsonPath": "$.status.indicator",
        "equals": "none",
    });
    let to = http.as_object_mut().unwrap();
    if let Value::Object(fields) = fields {
        to.extend(fields);
    }
    to.retain(|_, value| !value.is_null());
    json!({ "name": "cloud", "http": http })
}

fn problems(one: Value) -> Vec<String> {
    let (lowered, problems) = lowered(one);
    let asks = &lowered["cloud"].asks;
    assert_eq!(asks.is_err(), !problems.is_empty(), "{asks:?}");
    problems
}

#[test]
fn what_is_not_stated_is_as_documented() {
    let (all, problems) = lowered(http(json!({})));
    assert_eq!(problems, [""; 0]);
    let one = &all["cloud"];
    assert_eq!(one.silent_for, Span::from_secs(600));
    let question = one.asks.as_ref().unwrap();
    let expected = Question {
        every: Span::from_secs(60),
        timeout: Span::from_secs(5),
        url: "https://status.example.com/api/v2/status.json".to_owned(),
        signal: Signal::Json {
            path: "$.status.indicator".to_owned(),
            well: vec!["none".to_owned()],
        },
        tls: Tls::default(),
        bearer: None,
    };
    assert_eq!(**question, expected);
}

#[test]
fn what_is_stated_is_asked_so() {
    let (all, problems) = lowered(json!({
        "name": "errors", "every": "10s", "timeout": "2s", "silentFor": "0s",
        "prometheus": {
            "url": "https://prometheus.example.com/base/", "query": "sum(rate(errors[5m]))",
            "threshold": 0.5, "comparison": "Below",
            "tls": { "caSecret": "our-ca", "serverName": "prometheus.internal" },
            "bearerToken": { "name": "prometheus", "key": "token" },
        },
    }));
    assert_eq!(problems, [""; 0]);
    let one = &all["errors"];
    assert_eq!(one.silent_for, Span::ZERO);
    let expected = Question {
        every: Span::from_secs(10),
        timeout: Span::from_secs(2),
        url: "https://prometheus.example.com/base".to_owned(),
        signal: Signal::Prometheus {
            query: "sum(rate(errors[5m]))".to_owned(),
            threshold: Threshold(0.5),
            incident: Side::Below,
        },
        tls: Tls {
            ca_secret: Some("our-ca".to_owned()),
            server_name: Some("prometheus.internal".to_owned()),
        },
        bearer: Some(SecretKey {
            name: "prometheus".to_owned(),
            key: "token".to_owned(),
        }),
    };
    assert_eq!(**one.asks.as_ref().unwrap(), expected);
}

#[test]
fn all_that_is_wrong_is_told_at_once_and_no_address_is_repeated() {
    let one = json!({
        "name": "cloud", "every": "5s", "timeout": "31s", "silentFor": "25h",
        "http": {
            "url": "http://me:hush@status.example.com/", "jsonPath": "status",
            "tls": { "serverName": "not a name" }, "bearerToken": { "name": "a", "key": "b" },
        },
    });
    let told = problems(one);
    assert_eq!(
        told,
        [
            "spec.dependencies[cloud].every: 5s is not between 10s and 1h",
            "spec.dependencies[cloud].timeout: 31s is not between 1s and 30s",
            "spec.dependencies[cloud].silentFor: 25h is not between 0s and 24h",
            "spec.dependencies[cloud].http.equals: what is well is said either by equals or by oneOf",
            "spec.dependencies[cloud].http.jsonPath: `status` is no JSONPath such as `$.status.indicator` \
             (RFC 9535)",
            "spec.dependencies[cloud].http.url: it must hold neither user nor password: bearerToken names a \
             Secret",
            "spec.dependencies[cloud].http.tls.serverName: it is neither a host's name nor an address",
        ]
    );
    assert!(!told.join(" ").contains("hush"));
}

#[test]
fn secrets_are_for_https() {
    let token = json!({ "name": "a", "key": "b" });
    let url = "http://status.example.com/";
    assert_eq!(
        problems(http(json!({ "url": url, "bearerToken": token }))),
        ["spec.dependencies[cloud].http.bearerToken: a bearer token is sent by https only"]
    );
    assert_eq!(
        problems(http(json!({ "url": url, "tls": { "caSecret": "a" } }))),
        ["spec.dependencies[cloud].http.tls: it is for https only"]
    );
    assert_eq!(problems(http(json!({ "url": url }))), [""; 0]);
}

#[test]
fn addresses_that_nobody_can_ask_are_found() {
    for url in [
        "",
        "status",
        "/status",
        "ftp://a/b",
        "https://",
        "https://a b/",
        "https://a/#b",
    ] {
        let told = problems(http(json!({ "url": url })));
        assert_eq!(told.len(), 1, "{url}: {told:?}");
        assert!(told[0].contains(".http.url: "), "{told:?}");
    }
}

#[test]
fn paths_whose_cost_an_answer_could_blow_up_are_refused() {
    for path in [
        "$..status",
        "$.a[?@.b == $.c]",
        "$.a[?count($.b[*]) > 1]",
        "$[*,*][*,*][*,*]",
        "$.a['b','c']",
    ] {
        let told = problems(http(json!({ "jsonPath": path })));
        assert_eq!(told.len(), 1, "{path}: {told:?}");
    }
    for path in [
        "$.a[?match(@.b, @.c)].d",
        "$.a[?search(@.b, 'c')]",
        "$.a[?!match(@.b, 'c') && @.d]",
        "$.a[?length(@.b) > 1]",
        "$.a[?@.b == 'c' || count(@.b[*]) > 1]",
        "$.a[?value(@.b) == 'c']",
    ] {
        let told = problems(http(json!({ "jsonPath": path })));
        assert_eq!(told.len(), 1, "{path}: {told:?}");
        assert!(told[0].contains("calls a function"), "{told:?}");
    }
    for path in [
        "$",
        "$.length",
        "$['match(a)']",
        "$.a[?(@.b == 'c' || @.d == 'e') && !(@.f == 'match(1)')].g",
        "$.status.indicator",
        "$.components[?@.name == 'A..B $1'].status",
        "$['a..b']['c, d']",
        "$.a[0]",
        "$.a[?@.b].c",
    ] {
        assert_eq!(
            problems(http(json!({ "jsonPath": path }))),
            [""; 0],
            "{path}"
        );
    }
}

#[test]
fn it_is_asked_in_one_way_only() {
    let neither = json!({ "name": "cloud" });
    assert_eq!(problems(neither).len(), 1);
    let mut both = http(json!({}));
    both["prometheus"] = json!({
        "url": "http://a/", "query": "up", "threshold": 1, "comparison": "Below",
    });
    assert_eq!(problems(both).len(), 1);
}
