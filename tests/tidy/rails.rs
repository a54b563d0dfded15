//! The rails around the code: make targets, lints, the toolchain, licences, and what CI runs.

use std::collections::BTreeSet;

use crate::source::read;

/// Targets that a person could call, each with whether it has a line of help.
fn targets(makefile: &str) -> Vec<(&str, bool)> {
    makefile
        .lines()
        .filter(|line| line.starts_with(|c: char| c.is_ascii_lowercase()))
        .filter_map(|line| Some((line, line.split_once(':')?)))
        .filter(|(_, (name, rest))| !rest.starts_with('=') && !name.contains(['$', '=', ' ']))
        .map(|(line, (name, _))| (name, line.contains("## ")))
        .collect()
}

#[test]
fn every_make_target_has_a_line_of_help_and_is_no_file() {
    let makefile = read("Makefile");
    let phony: BTreeSet<_> = makefile
        .lines()
        .filter_map(|line| line.strip_prefix(".PHONY: "))
        .collect();
    let all = targets(&makefile);
    assert!(all.len() > 10, "{all:?}");
    for (name, helped) in all {
        assert!(helped, "`make {name}` has no help");
        assert!(phony.contains(name), "`{name}` is not .PHONY");
    }
}

#[test]
fn a_target_without_help_is_seen() {
    let makefile = "A := b\nCARGO ?= x\nfine: dep ## Does it\n\tx\nbare: dep\n\tx\n$(DENY):\n\tx\n";
    assert_eq!(targets(makefile), [("fine", true), ("bare", false)]);
}

/// The `make` targets that a text calls.
fn calls(text: &str) -> BTreeSet<String> {
    let is_name = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || c == '-';
    text.match_indices("make ")
        .filter(|(at, _)| !text[..*at].ends_with(is_name))
        .map(|(at, found)| text[at + found.len()..].split(|c| !is_name(c)).next())
        .filter_map(|name| name.filter(|name| !name.is_empty()).map(str::to_owned))
        .collect()
}

#[test]
fn ci_runs_everything_that_make_test_does_and_the_quick_checks() {
    let called = calls(&read(".ci/run"));
    let makefile = read("Makefile");
    let test = makefile
        .lines()
        .find(|line| line.starts_with("test:"))
        .unwrap_or_default();
    let parts = test
        .trim_start_matches("test:")
        .split("##")
        .next()
        .unwrap_or_default();
    let wanted: BTreeSet<_> = parts
        .split_whitespace()
        .chain(["lint", "deny"])
        .map(str::to_owned)
        .collect();
    assert!(wanted.len() > 3, "{wanted:?}");
    assert!(
        called.is_superset(&wanted),
        "CI calls {called:?}, of {wanted:?}"
    );
    let known: BTreeSet<_> = targets(&makefile)
        .into_iter()
        .map(|(name, _)| name)
        .collect();
    for name in called {
        assert!(known.contains(name.as_str()), "there is no `make {name}`");
    }
}

#[test]
fn a_call_is_read_from_a_script() {
    let script = "step make lint\nexec make test-e2e\n# cmake x, make.\n";
    assert_eq!(
        calls(script),
        BTreeSet::from(["lint".to_owned(), "test-e2e".to_owned()])
    );
}

/// A text's words, without what only breaks its lines: comment signs, and a literal's backslashes.
fn unbroken(text: &str) -> String {
    let breaks = |c: char| c.is_whitespace() || c == '#' || c == '\\';
    let words = text.split(breaks).filter(|word| !word.is_empty());
    words.collect::<Vec<_>>().join(" ")
}

#[test]
fn what_is_needed_is_said_in_the_same_words_everywhere() {
    let needs = "Rust (rustup), Go 1.26, make, gcc and the programs of iproute2, util-linux, mount \
                 and hostname (Debian's names";
    for path in [
        "README.md",
        "CONTRIBUTING.md",
        ".ci/run",
        "e2e/src/world/guidance.rs",
    ] {
        assert!(
            unbroken(&read(path)).contains(needs),
            "{path} does not say: {needs}"
        );
    }
    assert_eq!(unbroken("# a\n# b \\\n   c"), "a b c");
}

/// The lines of a clippy.toml that set something for all crates alike.
fn shared(clippy: &str) -> Vec<&str> {
    clippy
        .lines()
        .take_while(|line| !line.starts_with("disallowed"))
        .filter(|line| !line.starts_with('#') && !line.is_empty())
        .collect()
}

#[test]
fn the_core_s_lints_are_the_root_s_and_more() {
    let (root, core) = (read("clippy.toml"), read("crates/weir-core/clippy.toml"));
    assert!(!shared(&root).is_empty());
    assert_eq!(
        shared(&root),
        shared(&core),
        "the nearest clippy.toml wins without merging"
    );
    for word in [
        "Instant::now",
        "SystemTime::now",
        "HashMap",
        "std::fs::",
        "std::net::",
    ] {
        assert!(
            core.contains(word),
            "the core's clippy.toml does not ban {word}"
        );
    }
    for line in core.lines().filter(|line| line.contains("{ path =")) {
        assert!(line.contains("reason = \""), "no reason: {line}");
    }
}

#[test]
fn the_toolchain_is_the_one_that_the_manifest_asks_for() {
    let value = |text: &str, key: &str| {
        let line = text
            .lines()
            .find(|line| line.starts_with(key))
            .unwrap_or_default()
            .to_owned();
        line.split('"').nth(1).unwrap_or_default().to_owned()
    };
    let toolchain = value(&read("rust-toolchain.toml"), "channel");
    let manifest = value(&read("Cargo.toml"), "rust-version");
    assert!(!manifest.is_empty());
    assert_eq!(toolchain, format!("{manifest}.0"));
}

#[test]
fn skipped_duplicates_are_dated_and_have_reasons() {
    let deny = read("deny.toml");
    let skips: Vec<_> = deny
        .lines()
        .filter(|line| line.contains("{ crate = "))
        .collect();
    assert!(!skips.is_empty());
    for line in skips.iter().filter(|line| !line.contains("allow = ")) {
        assert!(line.contains("reason = \""), "no reason: {line}");
    }
    assert!(
        deny.contains("# Looked at on 20"),
        "when were the skips last looked at?"
    );
}

#[test]
fn the_licence_is_the_one_that_the_manifests_name() {
    assert!(read("LICENSE").contains("Apache License"));
    assert!(read("Cargo.toml").contains("license = \"Apache-2.0\""));
}
