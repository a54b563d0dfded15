//! Who may import whom.
//!
//! Data flows observe → judge → act. The table is the shell's side of it; the core's side is its
//! manifest, which has nothing to import.

use std::collections::{BTreeMap, BTreeSet};

use crate::source::{Source, read, rust_files};

/// Each module of `src/`, and the modules that it may use.
const MAY_USE: &[(&str, &[&str])] = &[
    // Types only: nobody's knowledge.
    ("api", &[]),
    ("clock", &[]),
    ("dependency", &[]),
    ("fnv", &[]),
    ("tasks", &[]),
    ("config", &["api"]),
    ("telemetry", &[]),
    ("client", &["clock"]),
    ("policy", &["api", "dependency"]),
    ("valve", &["api", "client"]),
    ("meter", &["fnv"]),
    // What a pod template says: the operator hashes live ones, the plugin those of files.
    ("template", &[]),
    (
        "observe",
        &[
            "api",
            "client",
            "clock",
            "dependency",
            "fnv",
            "meter",
            "tasks",
            "template",
            "valve",
        ],
    ),
    ("snapshot", &["client"]),
    // Acts on plans: it sees neither readings nor policies.
    (
        "act",
        &[
            "api", "client", "clock", "fnv", "snapshot", "tasks", "valve",
        ],
    ),
    ("metrics", &["client", "snapshot"]),
    ("serve", &["clock", "metrics", "snapshot", "tasks"]),
    // The only place that holds observing, judging and acting together.
    (
        "guard",
        &[
            "act",
            "api",
            "client",
            "clock",
            "config",
            "dependency",
            "meter",
            "observe",
            "policy",
            "serve",
            "snapshot",
            "tasks",
            "valve",
        ],
    ),
    // Pure rendering.
    ("view", &["api"]),
    (
        "cli",
        &["api", "client", "clock", "template", "valve", "view"],
    ),
    // Runs once, without the loop: nothing is observed or judged.
    ("uninstall", &["api", "client", "clock", "meter", "valve"]),
    ("generate", &["api", "cli", "valve"]),
];

/// What the core may depend on: nothing with a clock, I/O, async or randomness.
const CORE_DEPENDENCIES: &[&str] = &["memchr", "serde", "thiserror"];

/// What black-box tests may use of the shell: its types, never its code.
const BLACK_BOX: &[&str] = &["api"];

/// The module of `src/` that a file belongs to; none for the roots of the crate's targets.
fn module(path: &str) -> Option<&str> {
    let inside = path.strip_prefix("src/")?;
    let name = inside.split('/').next()?.trim_end_matches(".rs");
    (!["lib", "main", "bin"].contains(&name)).then_some(name)
}

/// The first segments after `krate::` in code, in grouped imports too.
fn used(code: &str, krate: &str) -> BTreeSet<String> {
    let mut found = BTreeSet::new();
    for (at, prefix) in code.match_indices(&format!("{krate}::")) {
        let before = code[..at].chars().next_back();
        if before.is_some_and(|c| c.is_alphanumeric() || c == '_' || c == ':') {
            continue;
        }
        let after = &code[at + prefix.len()..];
        match after.strip_prefix('{') {
            Some(group) => found.extend(group_heads(group)),
            None => found.extend(word(after)),
        }
    }
    found
}

/// The first words of a group's members: of `a::{b, c}, d}`, `a` and `d`.
fn group_heads(group: &str) -> Vec<String> {
    let mut heads = Vec::new();
    let (mut depth, mut at_head) = (0_usize, true);
    for (at, c) in group.char_indices() {
        match c {
            '{' => depth += 1,
            '}' if depth == 0 => break,
            '}' => depth -= 1,
            ',' if depth == 0 => at_head = true,
            _ if at_head && !c.is_whitespace() => {
                heads.extend(word(&group[at..]));
                at_head = false;
            }
            _ => {}
        }
    }
    heads
}

fn word(text: &str) -> Option<String> {
    let end = text
        .find(|c: char| !c.is_alphanumeric() && c != '_')
        .unwrap_or(text.len());
    (end > 0).then(|| text[..end].to_owned())
}

/// Whatever a file of the shell uses against the table.
fn forbidden(source: &Source, table: &BTreeMap<&str, &[&str]>) -> Vec<String> {
    let Some(module) = module(&source.path) else {
        return Vec::new();
    };
    let Some(allowed) = table.get(module) else {
        return vec![format!(
            "{}: module `{module}` is not in the table",
            source.path
        )];
    };
    let known = |name: &String| table.contains_key(name.as_str());
    used(&source.code, "crate")
        .into_iter()
        .filter(|name| known(name) && name != module && !allowed.contains(&name.as_str()))
        .map(|name| format!("{}: `{module}` must not use `{name}`", source.path))
        .collect()
}

/// At a module's top, `super` is the crate's root, which would go around the table.
fn reaches_around(source: &Source) -> bool {
    let top = source.path.matches('/').count() == 1 || source.path.ends_with("/mod.rs");
    let shallow = source.path.matches('/').count() <= 2;
    module(&source.path).is_some()
        && top
        && shallow
        && source
            .product()
            .lines()
            .any(|line| line.starts_with("use super::") || line.starts_with("pub use super::"))
}

#[test]
fn the_shell_s_modules_import_only_what_they_may() {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let complaints: Vec<_> = rust_files(&["src"])
        .iter()
        .flat_map(|source| forbidden(source, &table))
        .collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn no_module_reaches_around_the_table() {
    let sources = rust_files(&["src"]);
    let around: Vec<_> = sources
        .iter()
        .filter(|one| reaches_around(one))
        .map(|s| &s.path)
        .collect();
    assert!(
        around.is_empty(),
        "write `crate::` instead of `super::` in {around:?}"
    );
}

#[test]
fn a_forbidden_import_is_found_however_it_is_written() {
    let table: BTreeMap<_, _> = MAY_USE.iter().copied().collect();
    let find = |path: &str, text: &str| forbidden(&Source::new(path, text), &table);
    let act = "src/act/gate.rs";
    let complaint = ["src/act/gate.rs: `act` must not use `observe`"];
    assert_eq!(find(act, "use crate::observe::Cluster;"), complaint);
    assert_eq!(
        find(
            act,
            "use crate::{\n    api::{Valve, observe_not},\n    observe,\n};"
        ),
        complaint
    );
    assert_eq!(find(act, "fn a() { crate::observe::look(); }"), complaint);
    assert_eq!(
        find(act, "// crate::observe\nuse crate::{api, act::gate};"),
        [""; 0]
    );
    assert_eq!(
        find("src/newcomer.rs", ""),
        ["src/newcomer.rs: module `newcomer` is not in the table"]
    );
    assert!(reaches_around(&Source::new(
        "src/act/mod.rs",
        "use super::observe::Cluster;"
    )));
    assert!(reaches_around(&Source::new(
        "src/clock.rs",
        "use super::observe;"
    )));
    assert!(!reaches_around(&Source::new(
        "src/act/gate.rs",
        "use super::permit::Permit;"
    )));
}

#[test]
fn the_table_has_no_module_that_is_gone_and_no_cycle_around_the_flow() {
    let names: BTreeSet<_> = MAY_USE.iter().map(|(name, _)| *name).collect();
    for (name, uses) in MAY_USE {
        for used in *uses {
            assert!(
                names.contains(used),
                "{name} may use `{used}`, which is not in the table"
            );
        }
    }
    let uses = |name: &str| {
        MAY_USE
            .iter()
            .find(|(one, _)| *one == name)
            .map(|(_, uses)| *uses)
    };
    assert!(uses("act").is_some_and(|uses| !uses.contains(&"observe")));
    assert!(uses("observe").is_some_and(|uses| !uses.contains(&"act")));
}

#[test]
fn the_core_depends_on_nothing_that_could_make_it_impure() {
    let found = dependencies(&read("crates/weir-core/Cargo.toml"));
    let extra: Vec<_> = found
        .iter()
        .filter(|name| !CORE_DEPENDENCIES.contains(&name.as_str()))
        .collect();
    assert!(!found.is_empty());
    assert!(extra.is_empty(), "the core must stay pure: {extra:?}");
}

#[test]
fn a_core_s_dependency_is_seen() {
    let manifest = "[package]\nname = \"x\"\n[dependencies]\n# why\ntokio = \"1\"\nserde.workspace = true\n[lints]\nworkspace = true\n";
    assert_eq!(dependencies(manifest), ["tokio", "serde"]);
}

/// The names under `[dependencies]`.
fn dependencies(manifest: &str) -> Vec<String> {
    manifest
        .lines()
        .skip_while(|line| *line != "[dependencies]")
        .skip(1)
        .take_while(|line| !line.starts_with('['))
        .filter_map(word)
        .collect()
}

#[test]
fn black_box_tests_use_the_shell_s_types_only() {
    let complaints: Vec<_> = rust_files(&["e2e"]).iter().flat_map(inside_looks).collect();
    assert!(complaints.is_empty(), "{complaints:#?}");
}

#[test]
fn a_look_inside_the_box_is_found() {
    let find = |text: &str| inside_looks(&Source::new("e2e/src/a.rs", text));
    assert_eq!(
        find("use weir::guard::Guard;"),
        ["e2e/src/a.rs uses weir::guard"]
    );
    assert_eq!(find("use weir::api::Valve; use weir_e2e::guard;"), [""; 0]);
    assert_eq!(find("mod weir;\nuse weir::guard;"), [""; 0]);
    assert_eq!(
        find("mod weir;\nuse ::weir::guard;"),
        ["e2e/src/a.rs uses weir::guard"]
    );
    assert_eq!(
        find("use weir_core::judge::judge;"),
        ["e2e/src/a.rs uses weir_core::judge"]
    );
}

fn inside_looks(source: &Source) -> Vec<String> {
    // Where a module of the same name stands, the crate is only reached by its full path.
    let shadowed = source.code.contains("mod weir;");
    let shell = used(&source.code, if shadowed { "::weir" } else { "weir" });
    let shell = shell
        .iter()
        .filter(|name| !BLACK_BOX.contains(&name.as_str()));
    let core = used(&source.code, "weir_core");
    shell
        .map(|name| format!("{} uses weir::{name}", source.path))
        .chain(
            core.iter()
                .map(|name| format!("{} uses weir_core::{name}", source.path)),
        )
        .collect()
}
