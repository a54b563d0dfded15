//! Reads an archive as container engines do, each by its own door, and trusts nothing that can be
//! counted: digests, sizes and what is unpacked must agree. It knows nothing of how archives are
//! written.

use std::{collections::BTreeMap, io::Read};

use flate2::read::GzDecoder;
use serde_json::Value;
use sha2::{Digest, Sha256};
use tar::Archive;

/// An image as an engine would have it.
pub(crate) struct Loaded {
    /// The name that it would be run by.
    pub(crate) name: String,
    /// The digest of its manifest.
    pub(crate) digest: String,
    /// What a container of it gets.
    pub(crate) config: Value,
    /// Its only layer, unpacked: a tar archive.
    pub(crate) layer: Vec<u8>,
}

/// As containerd does: by the OCI layout's index.
pub(crate) fn by_index(archive: &[u8]) -> Loaded {
    let files = files(archive);
    let layout = json(&files["oci-layout"]);
    assert_eq!(layout["imageLayoutVersion"], "1.0.0");
    let index = json(&files["index.json"]);
    let manifests = index["manifests"].as_array().expect("a list of manifests");
    assert_eq!(manifests.len(), 1);
    let manifest = json(described(&files, &manifests[0]));
    assert_eq!(manifest["mediaType"], manifests[0]["mediaType"]);
    let config = json(described(&files, &manifest["config"]));
    for key in ["architecture", "os"] {
        assert_eq!(config[key], manifests[0]["platform"][key]);
    }
    let layers = manifest["layers"].as_array().expect("a list of layers");
    assert_eq!(layers.len(), 1);
    Loaded {
        name: string(&manifests[0]["annotations"]["io.containerd.image.name"]),
        digest: string(&manifests[0]["digest"]),
        layer: unpacked(described(&files, &layers[0]), &config),
        config,
    }
}

/// As docker does: by the `manifest.json` of `docker save`. It tells no digest, and takes none.
pub(crate) fn by_docker_manifest(archive: &[u8]) -> Loaded {
    let files = files(archive);
    let manifest = json(&files["manifest.json"]);
    let image = &manifest[0];
    let file = |path: &Value| &files[path.as_str().expect("a path")];
    let config = json(file(&image["Config"]));
    Loaded {
        name: string(&image["RepoTags"][0]),
        digest: String::new(),
        layer: unpacked(file(&image["Layers"][0]), &config),
        config,
    }
}

fn files(archive: &[u8]) -> BTreeMap<String, Vec<u8>> {
    let mut archive = Archive::new(archive);
    let entries = archive.entries().expect("a tar archive");
    entries
        .map(|entry| {
            let mut entry = entry.expect("a whole entry");
            let path = entry.path().expect("a path").display().to_string();
            let mut content = Vec::new();
            entry.read_to_end(&mut content).expect("its content");
            (path, content)
        })
        .collect()
}

/// The file that a descriptor describes, which must be as it says.
fn described<'a>(files: &'a BTreeMap<String, Vec<u8>>, descriptor: &Value) -> &'a [u8] {
    let digest = string(&descriptor["digest"]);
    let content = &files[&format!("blobs/{}", digest.replace(':', "/"))];
    assert_eq!(digest, sha256(content));
    assert_eq!(descriptor["size"], content.len());
    content
}

/// A layer without its compression, which must be the one that the configuration names.
fn unpacked(layer: &[u8], config: &Value) -> Vec<u8> {
    let mut content = Vec::new();
    GzDecoder::new(layer)
        .read_to_end(&mut content)
        .expect("a whole gzip stream");
    assert_eq!(config["rootfs"]["diff_ids"][0], sha256(&content));
    content
}

fn sha256(content: &[u8]) -> String {
    let hex: Vec<_> = Sha256::digest(content)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect();
    format!("sha256:{}", hex.concat())
}

fn json(content: &[u8]) -> Value {
    serde_json::from_slice(content).expect("JSON")
}

fn string(value: &Value) -> String {
    value.as_str().expect("a string").to_owned()
}
