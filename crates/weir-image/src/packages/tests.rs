use serde_json::json;

use super::*;

fn described(name: &str, version: &str, license: &str) -> serde_json::Value {
    json!({
        "id": format!("{name}#{version}"),
        "name": name,
        "version": version,
        "license": license,
        "manifest_path": format!("/sources/{name}/Cargo.toml"),
    })
}

fn metadata() -> String {
    json!({
        "packages": [
            described("yaml", "1.0.0+2", "MIT/Apache-2.0"),
            described("weir", "0.1.0", "Apache-2.0"),
            described("only-tests", "3.0.0", "MIT"),
        ],
        "resolve": { "nodes": [
            { "id": "weir#0.1.0", "dependencies": ["yaml#1.0.0+2", "only-tests#3.0.0"] },
            { "id": "yaml#1.0.0+2", "dependencies": [] },
        ]},
    })
    .to_string()
}

const TREE: &str = "weir v0.1.0 (/sources/weir)\nyaml v1.0.0+2\nyaml v1.0.0+2 (*)\n";

const LOCK: &str = r#"version = 4

[[package]]
name = "weir"
version = "0.1.0"
dependencies = [
 "yaml",
]

[[package]]
name = "yaml"
version = "1.0.0+2"
source = "registry"
checksum = "c0ffee"
"#;

#[test]
fn what_is_linked_is_told_with_licence_hash_and_what_it_uses() {
    let packages = read(&metadata(), TREE, LOCK).unwrap();
    let names: Vec<_> = packages.iter().map(|one| one.name.as_str()).collect();
    assert_eq!(names, ["weir", "yaml"], "what only tests use is no part");
    let [weir, yaml] = packages.as_slice() else {
        panic!("two packages");
    };
    assert_eq!(weir.uses, [yaml.url.as_str()]);
    assert_eq!(weir.checksum, None);
    assert!(weir.url.starts_with("pkg:generic/weir@"), "{}", weir.url);
    assert_eq!(yaml.url, "pkg:cargo/yaml@1.0.0%2B2");
    assert_eq!(yaml.license.as_deref(), Some("MIT OR Apache-2.0"));
    assert_eq!(yaml.checksum.as_deref(), Some("c0ffee"));
    assert_eq!(yaml.sources.as_deref(), Some(Path::new("/sources/yaml")));
}

#[test]
fn a_crate_that_only_one_of_cargo_s_answers_has_is_not_passed_over() {
    let tree = format!("{TREE}newcomer v1.0.0\n");
    let error = read(&metadata(), &tree, LOCK).unwrap_err().to_string();
    assert!(error.contains("names 3 crates"), "{error}");
}

#[test]
fn this_repository_s_own_programs_are_read() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let packages = linked(&root, "weir", "x86_64-unknown-linux-gnu").unwrap();
    let find = |name: &str| packages.iter().find(|one| one.name == name);
    let weir = find("weir").unwrap();
    assert!(
        weir.uses
            .iter()
            .any(|url| url.starts_with("pkg:cargo/kube@"))
    );
    assert!(find("weir-core").is_some() && find("ring").is_some());
    assert_eq!(find("proptest"), None, "tests are no part of a program");
    assert_eq!(find("serde_derive"), None, "nor are procedural macros");
    for package in &packages {
        assert!(package.license.is_some(), "{}", package.name);
        assert!(
            package.checksum.is_some() || package.name.starts_with("weir"),
            "{}",
            package.name
        );
    }
}
