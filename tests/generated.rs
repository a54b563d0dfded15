//! The committed generated files are the ones that the Rust types generate, no more and no less.

use std::{fs, path::Path};

/// Directories that hold generated files only.
const GENERATED: &[&str] = &[
    "crds",
    "deploy/enforce",
    "charts/weir/files/crds",
    "charts/weir/files/gate",
];

#[test]
fn committed_files_are_current() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = weir::generate::files().expect("all files can be generated");
    let stale: Vec<_> = files
        .iter()
        .filter(|(path, content)| {
            fs::read_to_string(root.join(path)).ok().as_ref() != Some(*content)
        })
        .map(|(path, _)| path)
        .collect();
    assert!(
        stale.is_empty(),
        "run `make generate`: {stale:?} are not what the types generate"
    );
}

#[test]
fn no_committed_file_is_left_over() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let files = weir::generate::files().expect("all files can be generated");
    for directory in GENERATED {
        for entry in fs::read_dir(root.join(directory)).expect("the directory is committed") {
            let path = entry.expect("the directory can be read").path();
            let relative = path.strip_prefix(root).expect("it lies below the root");
            assert!(
                files.contains_key(&relative.to_string_lossy().into_owned()),
                "{} is not generated any more: delete it",
                relative.display()
            );
        }
    }
}

#[test]
fn the_chart_installs_what_the_repository_does() {
    let files = weir::generate::files().expect("all files can be generated");
    for (of, copy) in [
        ("crds/guardedrollouts.yaml", "crds/guardedrollouts.yaml"),
        ("deploy/valve.yaml", "gate/valve.yaml"),
        ("deploy/gate-policy.yaml", "gate/gate-policy.yaml"),
        (
            "deploy/enforce/gate-bindings.yaml",
            "gate/gate-bindings.yaml",
        ),
    ] {
        let copied = files.get(&format!("charts/weir/files/{copy}"));
        assert!(copied.is_some() && copied == files.get(of), "{of}");
    }
    let number = |part: &str| files.keys().filter(|path| path.starts_with(part)).count();
    assert_eq!(number("crds/"), number("charts/weir/files/crds/"));
}

#[test]
fn writing_then_reading_gives_the_same() {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join("generated");
    weir::generate::write(&root).expect("all files can be written");
    for (path, content) in weir::generate::files().expect("all files can be generated") {
        assert_eq!(
            fs::read_to_string(root.join(&path)).ok(),
            Some(content),
            "{path}"
        );
    }
}
