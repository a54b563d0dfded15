//! Pages for people name all that they are about: each right of Weir's account, each finding, each state.

use std::{fs, path::Path};

use serde_json::Value;
use weir::api::marks::conditions;

fn read(path: &str) -> String {
    let whole = Path::new(env!("CARGO_MANIFEST_DIR")).join(path);
    fs::read_to_string(whole).unwrap_or_else(|error| format!("{path}: {error}"))
}

/// The rules of all roles in a file, as the page of rights says them.
fn rules(manifest: &str) -> Vec<String> {
    let documents: Vec<Value> = serde_saphyr::from_multiple(manifest).expect("YAML documents");
    let roles = documents
        .iter()
        .filter(|one| matches!(one["kind"].as_str(), Some("ClusterRole" | "Role")));
    roles
        .flat_map(|role| {
            let namespace = role["metadata"]["namespace"].as_str();
            let granted = role["rules"].as_array().into_iter().flatten();
            granted.map(move |rule| said(rule, namespace))
        })
        .collect()
}

fn said(rule: &Value, namespace: Option<&str>) -> String {
    let mut resources = texts(rule, "nonResourceURLs");
    for group in texts(rule, "apiGroups") {
        for resource in texts(rule, "resources") {
            resources.push(full_name(&group, &resource));
        }
    }
    let names = texts(rule, "resourceNames");
    let only = if names.is_empty() {
        String::new()
    } else {
        format!(" named {}", quoted(&names))
    };
    let place = namespace.map_or_else(String::new, |namespace| format!(" in `{namespace}`"));
    let verbs = quoted(&texts(rule, "verbs"));
    format!("{verbs} of {}{only}{place}", quoted(&resources))
}

fn texts(rule: &Value, key: &str) -> Vec<String> {
    let all = rule[key].as_array().into_iter().flatten();
    all.filter_map(Value::as_str).map(str::to_owned).collect()
}

/// A resource as kubectl takes it, with its subresource behind a slash.
fn full_name(group: &str, resource: &str) -> String {
    let (resource, subresource) = resource.split_once('/').unwrap_or((resource, ""));
    let of_group = match group {
        "" => resource.to_owned(),
        group => format!("{resource}.{group}"),
    };
    match subresource {
        "" => of_group,
        subresource => format!("{of_group}/{subresource}"),
    }
}

fn quoted(words: &[String]) -> String {
    let words: Vec<_> = words.iter().map(|word| format!("`{word}`")).collect();
    words.join(", ")
}

/// The first cells of a section's table, below its head.
fn first_cells(page: &str, section: &str) -> Vec<String> {
    let (_, section) = page.split_once(section).unwrap_or_default();
    let section = section.split("\n## ").next().unwrap_or_default();
    let rows = section.lines().filter_map(|line| line.strip_prefix("| "));
    let cells = rows.filter_map(|row| row.split(" | ").next());
    cells.skip(1).map(str::to_owned).collect()
}

#[test]
fn the_page_of_rights_names_each_right_of_weirs_account_and_no_other() {
    let page = read("docs/rights.md");
    let named = first_cells(&page, "## The rights of Weir's account\n");
    let mut granted = rules(&read("deploy/rbac.yaml"));
    granted.extend(rules(&read("deploy/check.yaml")));
    granted.extend(rules(&read("deploy/dns/rbac.yaml")));
    granted.extend(rules(&read("deploy/dependencies/rbac.yaml")));
    assert!(granted.len() > 10, "{granted:?}");
    assert_eq!(named, granted);
}

#[test]
fn the_page_of_rights_names_each_policy_that_confines() {
    let page = read("docs/rights.md");
    for manifest in [
        "deploy/confine.yaml",
        "deploy/check.yaml",
        "deploy/orders.yaml",
    ] {
        let documents: Vec<Value> =
            serde_saphyr::from_multiple(&read(manifest)).expect("YAML documents");
        let policies: Vec<_> = documents
            .iter()
            .filter(|one| one["kind"] == "ValidatingAdmissionPolicy")
            .filter_map(|one| one["metadata"]["name"].as_str())
            .collect();
        assert!(!policies.is_empty(), "{manifest}");
        for name in policies {
            assert!(page.contains(&format!("`{name}`")), "{name}");
        }
    }
}

#[test]
fn rules_are_said_as_the_page_says_them() {
    let manifest = "kind: Role\nmetadata: {namespace: a}\nrules:\n\
        - {apiGroups: [apps], resources: [deployments, deployments/scale], verbs: [get], resourceNames: [b]}\n\
        - {apiGroups: [''], resources: [pods], verbs: [list, watch]}\n---\nkind: Secret\n";
    assert_eq!(
        rules(manifest),
        [
            "`get` of `deployments.apps`, `deployments.apps/scale` named `b` in `a`",
            "`list`, `watch` of `pods` in `a`"
        ]
    );
    let page = "## A\n\n| b | c |\n|---|---|\n| `d` | e |\n\n## F\n\n| g | h |\n| `i` | j |\n";
    assert_eq!(first_cells(page, "## A\n"), ["`d`"]);
}

/// The variants of an enum in a Rust file.
fn variants(source: &str, name: &str) -> Vec<String> {
    let (_, body) = source
        .split_once(&format!("pub enum {name} {{"))
        .unwrap_or_default();
    let body = body.split('}').next().unwrap_or_default();
    let lines = body.lines().map(str::trim);
    let lines = lines.filter(|line| line.starts_with(|first: char| first.is_ascii_uppercase()));
    lines
        .map(|line| line.trim_end_matches(',').to_owned())
        .collect()
}

#[test]
fn the_page_about_holds_says_what_to_do_about_each_finding() {
    let page = read("docs/held.md");
    let findings = variants(&read("crates/weir-core/src/plan.rs"), "Rule");
    assert!(findings.len() > 10, "{findings:?}");
    let besides = [conditions::WRITE_FAILED, conditions::PODS_STRANDED].map(str::to_owned);
    let cells = first_cells(&page, "## 2. What to do about it\n").join(", ");
    for finding in findings.into_iter().chain(besides) {
        assert!(cells.contains(&format!("`{finding}`")), "{finding}");
    }
}

#[test]
fn the_page_about_holds_says_what_each_state_is() {
    let states = variants(&read("src/api/guarded_rollout.rs"), "State");
    assert!(states.len() >= 10, "{states:?}");
    let cells = first_cells(&read("docs/held.md"), "## 1. What holds it?\n").join(", ");
    for state in states {
        assert!(cells.contains(&format!("`{state}`")), "{state}");
    }
}
