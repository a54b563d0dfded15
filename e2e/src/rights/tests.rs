use std::path::Path;

use serde_json::Value;

use super::*;

fn rule(group: &str, resources: &[&str], verbs: &[&str]) -> PolicyRule {
    let owned = |words: &[&str]| {
        words
            .iter()
            .map(|&word| word.to_owned())
            .collect::<Vec<_>>()
    };
    PolicyRule {
        api_groups: Some(owned(&[group])),
        resources: Some(owned(resources)),
        verbs: owned(verbs),
        ..PolicyRule::default()
    }
}

/// A request for something, as `verb target.group namespace`.
fn asked(verb: &str, group: &str, target: &str, namespace: &str) -> AuditedRequest {
    AuditedRequest {
        at: jiff::Timestamp::UNIX_EPOCH,
        user: String::new(),
        verb: verb.to_owned(),
        group: group.to_owned(),
        namespace: namespace.to_owned(),
        target: target.to_owned(),
        code: 200,
        user_agent: String::new(),
        dry_run: false,
    }
}

#[test]
fn a_right_is_a_verb_on_a_target_however_rules_group_them() {
    let page = PolicyRule {
        non_resource_urls: Some(vec!["/metrics".to_owned()]),
        verbs: vec!["get".to_owned()],
        ..PolicyRule::default()
    };
    let rules = vec![rule("", &["pods", "nodes"], &["get", "watch"]), page];
    let rights = rights(rules, "");
    let requests = [
        asked("watch", "", "pods", ""),
        asked("get", "", "/metrics", ""),
    ];
    let compared = compare(&rights, &requests, &[("get pods", "at night")]);
    assert_eq!(compared.unused, ["get nodes", "watch nodes"]);
    assert_eq!(
        compared.told(),
        "5 rights granted, 2 used, 1 excused: at night (get pods)"
    );
}

#[test]
fn a_right_is_used_in_its_group_and_in_its_place_only() {
    let mut granted = rights(vec![rule("", &["pods"], &["create"])], "");
    granted.extend(rights(
        vec![rule("coordination.k8s.io", &["leases"], &["list"])],
        "weir-system",
    ));
    let unused = |requests: &[AuditedRequest]| compare(&granted, requests, &[]).unused;
    let both = [
        "create pods",
        "list leases.coordination.k8s.io in weir-system",
    ];
    let elsewhere = [
        // A Role in the namespace that Weir knows would do.
        asked("create", "", "pods", "weir-check"),
        asked("create", "metrics.k8s.io", "pods", "shop"),
        asked("list", "coordination.k8s.io", "leases", "kube-system"),
        asked("list", "coordination.k8s.io", "leases", ""),
    ];
    assert_eq!(unused(&elsewhere), both);
    let there = [
        asked("create", "", "pods", "shop"),
        asked("list", "coordination.k8s.io", "leases", "weir-system"),
    ];
    assert_eq!(unused(&there), [""; 0]);
    let refused = there.map(|request| AuditedRequest {
        code: 403,
        ..request
    });
    assert_eq!(unused(&refused), both);
}

#[test]
fn to_apply_what_is_not_there_is_to_create_it() {
    let granted = rights(
        vec![rule("weir.dev", &["a/status"], &["create", "patch"])],
        "",
    );
    let apply = asked("patch", "weir.dev", "a/status", "");
    let unused = |code| {
        let request = AuditedRequest {
            code,
            ..apply.clone()
        };
        compare(&granted, &[request], &[]).unused
    };
    assert_eq!(unused(200), ["create a.weir.dev/status"]);
    assert_eq!(unused(201), [""; 0]);
}

/// What the manifests grant, as an API server would say it.
fn shipped() -> Rights {
    let deploy = Path::new(env!("CARGO_MANIFEST_DIR")).join("../deploy");
    let mut all = Rights::new();
    for file in ["rbac.yaml", "check.yaml"] {
        let text = std::fs::read_to_string(deploy.join(file)).expect("a manifest");
        for document in text.split("\n---\n") {
            let object: Value = serde_saphyr::from_str(document).expect("YAML");
            let namespace = match object["kind"].as_str() {
                Some("ClusterRole") => "",
                Some("Role") => object["metadata"]["namespace"].as_str().unwrap_or_default(),
                _ => continue,
            };
            let rules = serde_json::from_value(object["rules"].clone()).expect("rules");
            all.extend(rights(rules, namespace));
        }
    }
    all
}

#[test]
fn an_excuse_is_for_what_is_granted_and_said_once() {
    let granted: BTreeSet<_> = shipped().iter().map(Right::to_string).collect();
    assert!(granted.len() > 30, "{granted:?}");
    let excused: BTreeSet<_> = ELSEWHERE
        .iter()
        .map(|(right, _)| (*right).to_owned())
        .collect();
    assert_eq!(excused.len(), ELSEWHERE.len());
    let idle: Vec<_> = excused.difference(&granted).collect();
    assert!(idle.is_empty(), "excused, and not granted: {idle:?}");
}
