//! The image that `make image` built is what it says, and runs where nothing else is.
//!
//! `make test-image` says in `WEIR_IMAGE` where the archive is. Containers are played by namespaces, as
//! an engine would make them: no other files, a root that nobody can write to, no privileges.

mod loading;

use std::{
    fs,
    path::{Path, PathBuf},
    process::{Command, Output},
};

use loading::{Loaded, by_docker_manifest, by_index};
use serde_json::Value;
use tar::Archive;

fn archive() -> PathBuf {
    let path = std::env::var_os("WEIR_IMAGE").expect("`make test-image` says where the image is");
    PathBuf::from(path)
}

fn loaded() -> Loaded {
    by_index(&fs::read(archive()).expect("`make image` was run"))
}

/// The image's files, unpacked for one test.
fn root(test: &str) -> PathBuf {
    let root = Path::new(env!("CARGO_TARGET_TMPDIR")).join(test);
    if root.exists() {
        fs::remove_dir_all(&root).expect("what an earlier run left can be removed");
    }
    fs::create_dir_all(&root).expect("a directory can be made");
    let layer = loaded().layer;
    Archive::new(layer.as_slice())
        .unpack(&root)
        .expect("the layer can be unpacked");
    root
}

/// Runs a command as a container of the image would: as user 65532, in a root that is all there is.
fn run(root: &Path, command: &[&str]) -> Output {
    let script = r#"
        mount --bind "$0" "$0"
        mount -o remount,bind,ro "$0"
        exec unshare --user --map-user=65532 --map-group=65532 --root="$0" -- "$@"
    "#;
    Command::new("unshare")
        .args([
            "--user",
            "--map-root-user",
            "--mount",
            "--net",
            "--",
            "sh",
            "-euc",
            script,
        ])
        .arg(root)
        .args(command)
        .env_clear()
        .env("PATH", std::env::var_os("PATH").unwrap_or_default())
        .output()
        .expect("unshare is there (util-linux)")
}

fn text(output: &Output) -> String {
    let both = [output.stdout.as_slice(), output.stderr.as_slice()].concat();
    String::from_utf8_lossy(&both).into_owned()
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn it_says_who_it_is_and_runs_as_a_number() {
    let Loaded {
        name,
        digest,
        config,
        ..
    } = loaded();
    // `make test-image IMAGE=…` may have named it otherwise.
    assert!(name.contains(['/', ':']), "{name}");
    let beside = fs::read_to_string(archive().with_extension("digest")).expect("the digest");
    assert_eq!(beside.trim(), digest);
    assert_eq!(config["architecture"], "amd64");
    let container = &config["config"];
    let user = container["User"].as_str().expect("a user");
    for number in user.split(':') {
        assert!(number.parse::<u32>().expect("a number") > 0, "{user}");
    }
    assert_eq!(container["Entrypoint"], serde_json::json!(["/bin/weir"]));
    let labels = container["Labels"].as_object().expect("labels");
    let label = |name: &str| {
        let label = labels.get(&format!("org.opencontainers.image.{name}"));
        label.and_then(Value::as_str).unwrap_or_default().to_owned()
    };
    assert_eq!(label("version"), env!("CARGO_PKG_VERSION"));
    assert_eq!(label("licenses"), "Apache-2.0");
    assert_eq!(label("revision").trim_end_matches("-dirty").len(), 40);
    for name in [
        "title",
        "description",
        "created",
        "source",
        "url",
        "documentation",
    ] {
        assert!(!label(name).is_empty(), "no {name}");
    }
    assert_eq!(Value::from(label("created")), config["created"]);
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn docker_reads_the_same_image() {
    let bytes = fs::read(archive()).expect("`make image` was run");
    let (containerd, docker) = (by_index(&bytes), by_docker_manifest(&bytes));
    assert_eq!(containerd.name, docker.name);
    assert_eq!(containerd.config, docker.config);
    assert_eq!(docker.digest, "");
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn both_programs_run_with_nothing_else_and_cannot_write() {
    let root = root("programs");
    for program in ["/bin/weir", "/bin/kubectl-weir"] {
        let output = run(&root, &[program, "--version"]);
        assert!(output.status.success(), "{}", text(&output));
        assert!(
            text(&output).contains(env!("CARGO_PKG_VERSION")),
            "{}",
            text(&output)
        );
    }
    // A hidden command that writes files: the root must refuse them.
    let output = run(&root, &["/bin/weir", "generate", "/"]);
    assert!(!output.status.success());
    assert!(
        text(&output).contains("Read-only file system"),
        "{}",
        text(&output)
    );
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn neither_program_tells_where_it_was_built() {
    let root = root("paths");
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("../..");
    let repository = repository.canonicalize().expect("the repository is there");
    let crates = std::env::var("CARGO_HOME")
        .or_else(|_| std::env::var("HOME").map(|home| format!("{home}/.cargo")))
        .expect("cargo keeps its crates somewhere");
    let paths = [format!("{}/", repository.display()), format!("{crates}/")];
    for program in ["weir", "kubectl-weir"] {
        let bytes = fs::read(root.join("bin").join(program)).expect("the image has it");
        for path in &paths {
            let found = bytes
                .windows(path.len())
                .position(|part| part == path.as_bytes());
            let around = found.map(|at| &bytes[at..bytes.len().min(at + 100)]);
            let told = around.map(String::from_utf8_lossy);
            assert!(told.is_none(), "{program}: {told:?}");
        }
    }
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn without_a_cluster_the_operator_ends_and_says_so() {
    let output = run(&root("alone"), &["/bin/weir"]);
    assert_eq!(output.status.code(), Some(1), "{}", text(&output));
    assert!(
        text(&output).contains("no way to a cluster was found"),
        "{}",
        text(&output)
    );
}

#[test]
#[ignore = "needs a built image: make test-image"]
fn it_holds_what_it_is_made_of_and_nothing_unexpected() {
    let root = root("contents");
    let documents = root.join("usr/share/doc/weir");
    let mut files = Vec::new();
    let layer = loaded().layer;
    for entry in Archive::new(layer.as_slice())
        .entries()
        .expect("a tar archive")
    {
        let path = entry
            .expect("a whole entry")
            .path()
            .expect("a path")
            .display()
            .to_string();
        if !path.ends_with('/') {
            files.push(path);
        }
    }
    assert_eq!(
        files,
        [
            "bin/kubectl-weir",
            "bin/weir",
            "usr/share/doc/weir/LICENSE",
            "usr/share/doc/weir/THIRD-PARTY",
            "usr/share/doc/weir/weir.cdx.json"
        ]
    );
    let sbom = fs::read(documents.join("weir.cdx.json")).expect("the list of what is in it");
    assert_eq!(
        sbom,
        fs::read(archive().with_extension("cdx.json")).expect("the same beside it")
    );
    let sbom: Value = serde_json::from_slice(&sbom).expect("JSON");
    let components = sbom["components"].as_array().expect("components");
    for wanted in ["kube", "rustls", "ring", "weir-core", "musl", "rust-std"] {
        assert!(
            components.iter().any(|one| one["name"] == wanted),
            "{wanted} is missing"
        );
    }
    let notices = fs::read_to_string(documents.join("THIRD-PARTY")).expect("the licences");
    for one in components {
        let line = format!(
            "\n{} {}: ",
            one["name"].as_str().unwrap_or_default(),
            one["version"].as_str().unwrap_or_default()
        );
        assert!(notices.contains(&line), "no licence of{line}");
    }
}
