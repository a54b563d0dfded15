//! The plugin can be installed by krew: the archive and the manifest that `krew/pack` makes belong together,
//! and the manifest's fields are what krew takes.

use std::{
    fs,
    io::Read,
    path::{Path, PathBuf},
    process::Command,
};

use serde_json::Value;
use sha2::{Digest, Sha256};

/// Packs a stand-in for the plugin, and gives back the archive's bytes, its name and the manifest.
fn packed(name: &str) -> (Vec<u8>, String, Value) {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let out: PathBuf = Path::new(env!("CARGO_TARGET_TMPDIR")).join(name);
    fs::create_dir_all(&out).expect("the directory can be made");
    let binary = out.join("stand-in");
    fs::write(&binary, "#!/bin/sh\n").expect("the file can be written");
    let run = Command::new(root.join("krew/pack"))
        .args([&binary, &out])
        .output()
        .expect("the script can be run");
    assert!(
        run.status.success(),
        "{}",
        String::from_utf8_lossy(&run.stderr)
    );
    let version = env!("CARGO_PKG_VERSION");
    let archive = format!("kubectl-weir-v{version}-linux-amd64.tar.gz");
    let bytes = fs::read(out.join(&archive)).expect("the archive was packed");
    let manifest = fs::read_to_string(out.join("weir.yaml")).expect("the manifest was written");
    let manifest = serde_saphyr::from_str(&manifest).expect("the manifest is YAML");
    (bytes, archive, manifest)
}

fn text<'a>(value: &'a Value, at: &str) -> &'a str {
    value
        .pointer(at)
        .and_then(Value::as_str)
        .unwrap_or_default()
}

fn hex(byte: u8) -> String {
    format!("{byte:02x}")
}

#[test]
fn what_needs_this_machine_s_libraries_is_not_packed() {
    let root = Path::new(env!("CARGO_MANIFEST_DIR"));
    let this_test = std::env::current_exe().expect("this test's program");
    let run = Command::new(root.join("krew/pack"))
        .arg(this_test)
        .arg(Path::new(env!("CARGO_TARGET_TMPDIR")).join("krew-refused"))
        .output()
        .expect("the script can be run");
    assert_eq!(run.status.code(), Some(1));
    let said = String::from_utf8_lossy(&run.stderr);
    assert!(said.contains("make static"), "{said}");
}

#[test]
fn the_manifest_names_the_archive_that_was_packed_with_it() {
    let (bytes, archive, manifest) = packed("krew");
    let digits = Sha256::digest(&bytes)
        .into_iter()
        .map(hex)
        .collect::<Vec<_>>();
    let sum = digits.concat();
    assert_eq!(text(&manifest, "/spec/platforms/0/sha256"), sum);
    let version = concat!("v", env!("CARGO_PKG_VERSION"));
    assert_eq!(text(&manifest, "/spec/version"), version);
    let uri = text(&manifest, "/spec/platforms/0/uri");
    assert!(
        uri.ends_with(&format!("/releases/download/{version}/{archive}")),
        "{uri}"
    );
    assert!(uri.starts_with(env!("CARGO_PKG_REPOSITORY")), "{uri}");

    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(bytes.as_slice()));
    let entries = tar.entries().unwrap();
    let files: Vec<(String, u32, String)> = entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mode = entry.header().mode().unwrap();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, mode & 0o777, text)
        })
        .collect();
    let named: Vec<_> = files
        .iter()
        .map(|(name, mode, _)| (name.as_str(), *mode))
        .collect();
    assert_eq!(named, [("LICENSE", 0o644), ("kubectl-weir", 0o755)]);
    // What the manifest installs is in the archive.
    let installed = manifest.pointer("/spec/platforms/0/files");
    for file in installed.and_then(Value::as_array).unwrap() {
        let from = text(file, "/from");
        assert!(files.iter().any(|(name, ..)| name == from), "{from}");
    }
}

#[test]
fn the_same_files_make_the_same_archive() {
    assert_eq!(packed("krew-one").0, packed("krew-two").0);
}

#[test]
fn the_manifest_s_fields_are_what_krew_takes() {
    let (_, _, manifest) = packed("krew-fields");
    assert_eq!(
        text(&manifest, "/apiVersion"),
        "krew.googlecontainertools.github.com/v1alpha2"
    );
    assert_eq!(text(&manifest, "/kind"), "Plugin");
    // kubectl finds `kubectl weir` by the name of the binary.
    assert_eq!(text(&manifest, "/metadata/name"), "weir");
    assert_eq!(text(&manifest, "/spec/platforms/0/bin"), "kubectl-weir");
    let cargo = include_str!("../Cargo.toml");
    assert!(cargo.contains("name = \"kubectl-weir\""));
    let short = text(&manifest, "/spec/shortDescription");
    assert!((10..=50).contains(&short.len()), "{short}");
    assert!(!short.ends_with('.'), "{short}");
    for field in ["/spec/homepage", "/spec/description", "/spec/caveats"] {
        assert!(!text(&manifest, field).is_empty(), "{field}");
    }
    // Only what is built and tested is listed.
    let platforms = manifest
        .pointer("/spec/platforms")
        .and_then(Value::as_array);
    let labels: Vec<_> = platforms
        .unwrap()
        .iter()
        .map(|one| {
            let label = |name: &str| text(one, &format!("/selector/matchLabels/{name}")).to_owned();
            (label("os"), label("arch"))
        })
        .collect();
    assert_eq!(labels, [("linux".to_owned(), "amd64".to_owned())]);
    assert!(!manifest.to_string().contains('@'), "{manifest}");
}
