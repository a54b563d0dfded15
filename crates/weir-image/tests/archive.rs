//! Archives are the same each time, and both kinds of engines read the same image out of them.

mod loading;

use std::collections::BTreeMap;

use jiff::Timestamp;
use loading::{by_docker_manifest, by_index};
use weir_image::{
    architecture::Architecture,
    archive::{self, Image},
    layer::File,
    revision::Revision,
};

fn image() -> Image {
    Image {
        reference: "registry.example/weir:1.0.0".parse().expect("a whole name"),
        architecture: Architecture::Amd64,
        revision: Revision {
            name: "0f3a".to_owned(),
            time: Timestamp::from_second(1_764_262_800).expect("a moment"),
        },
        user: "65532:65532".to_owned(),
        entrypoint: vec!["/bin/weir".to_owned()],
        path: "/bin".to_owned(),
        ports: vec!["8080/tcp".to_owned()],
        labels: BTreeMap::from([("title".to_owned(), "weir".to_owned())]),
        files: vec![
            File::data("usr/share/text", "text"),
            File::program("bin/weir", b"program".to_vec()),
        ],
    }
}

#[test]
fn every_engine_reads_the_same_image() {
    let archive = archive::pack(&image()).expect("it can be packed");
    let (containerd, docker) = (by_index(&archive.bytes), by_docker_manifest(&archive.bytes));
    assert_eq!(containerd.name, "registry.example/weir:1.0.0");
    assert_eq!(containerd.name, docker.name);
    assert_eq!(containerd.config, docker.config);
    assert_eq!(containerd.layer, docker.layer);
    assert_eq!(containerd.digest, archive.digest);
    assert_eq!(docker.digest, "");
}

#[test]
fn what_a_container_gets_is_what_was_asked_for() {
    let archive = archive::pack(&image()).expect("it can be packed");
    let config = by_index(&archive.bytes).config;
    assert_eq!(config["created"], "2025-11-27T17:00:00Z");
    let container = &config["config"];
    assert_eq!(container["User"], "65532:65532");
    assert_eq!(container["Entrypoint"][0], "/bin/weir");
    assert_eq!(container["Env"][0], "PATH=/bin");
    assert!(container["ExposedPorts"]["8080/tcp"].is_object());
    assert_eq!(container["Labels"]["title"], "weir");
}

#[test]
fn the_same_image_is_the_same_bytes_and_another_is_another_digest() {
    let pack = |image: Image| archive::pack(&image).expect("it can be packed");
    let mut reordered = image();
    reordered.files.reverse();
    assert_eq!(pack(image()).bytes, pack(reordered).bytes);
    let mut later = image();
    later.revision.time = Timestamp::from_second(1_764_262_801).expect("a moment");
    assert_ne!(pack(image()).digest, pack(later).digest);
    let mut renamed = image();
    renamed.reference = "registry.example/weir:1.0.1".parse().expect("a whole name");
    assert_eq!(
        pack(image()).digest,
        pack(renamed).digest,
        "a name is no content"
    );
}
