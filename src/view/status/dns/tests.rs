use serde_json::{Value, json};

use super::*;

/// 2026-11-21T10:00:00Z.
const NOW: Moment = Moment::from_millis(1_795_255_200_000);

fn status(dns: &Value, fresh: [&str; 2]) -> ControlPlaneStatus {
    let [status, message] = fresh;
    let condition = json!({
        "type": "DNSFresh", "status": status, "reason": "Any", "message": message,
        "lastTransitionTime": "2026-11-21T09:00:00Z",
    });
    serde_json::from_value(json!({ "dns": dns, "conditions": [condition] })).unwrap()
}

fn plain(dns: &NameService) -> Vec<String> {
    let plain = |line: String| anstream::adapter::strip_str(&line).to_string();
    lines(dns).into_iter().map(plain).collect()
}

fn layer(name: &str, state: &str, more: &Value) -> Value {
    let mut layer = json!({ "name": name, "role": "Replica", "state": state });
    for (key, value) in more.as_object().unwrap() {
        layer[key] = value.clone();
    }
    layer
}

#[test]
fn what_is_fresh_takes_one_line() {
    let layers = json!({ "layers": [layer("coredns-a", "Fresh", &json!({}))] });
    let dns = summarize(&status(&layers, ["True", "all follow"]), NOW);
    assert_eq!(plain(&dns), ["DNS  Fresh, 1 of 1 servers follow the API"]);
    assert_eq!(trouble(&dns), [""; 0]);
}

#[test]
fn what_is_masked_is_told_with_its_countdown() {
    let layers = json!({ "layers": [
        layer("coredns-a", "Fresh", &json!({})),
        layer("coredns-b", "Masked", &json!({ "mask": "ControlPlane", "warmReplicas": 2 })),
        layer("resolver 169.254.20.10", "Masked",
            &json!({ "mask": "Cache", "endsAt": "2026-11-21T10:00:25Z" })),
        layer("resolver 10.0.0.7", "Masked",
            &json!({ "mask": "Cache", "endsAt": "2026-11-21T09:00:25Z" })),
        layer("coredns-c", "Unseen", &json!({ "why": "it answers SERVFAIL" })),
    ]});
    let dns = summarize(&status(&layers, ["False", "the API is silent"]), NOW);
    assert_eq!(
        plain(&dns),
        [
            "DNS  Not fresh, 1 of 5 servers follow the API",
            "  coredns-b               Masked  while the API is silent, until 2 replicas that know restart",
            "  resolver 169.254.20.10  Masked  by a cache, for 25 s yet",
            "  resolver 10.0.0.7       Masked  by a cache, for longer than it should be",
            "  coredns-c               Unseen  it answers SERVFAIL",
        ]
    );
    assert_eq!(trouble(&dns), ["DNS: the API is silent"]);
}

#[test]
fn what_cannot_be_measured_is_no_trouble() {
    let dns = json!({ "notMeasured": "there is no Service kube-dns" });
    let dns = summarize(&status(&dns, ["False", "it cannot be measured"]), NOW);
    assert_eq!(plain(&dns), ["DNS  not measured: it cannot be measured"]);
    assert_eq!(trouble(&dns), [""; 0]);
    let unlooked = summarize(&ControlPlaneStatus::default(), NOW);
    assert_eq!(plain(&unlooked), [""; 0]);
}
