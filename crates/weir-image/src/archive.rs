//! One layer and its configuration → an archive of one image.
//!
//! The archive is an OCI image layout, which containerd and registries' tools read, and has the
//! `manifest.json` beside it that docker reads. Both point at the same files. For another processor
//! the index would get another entry.

use std::{collections::BTreeMap, fmt::Write};

use anyhow::{Context, Result};
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

use crate::{
    architecture::Architecture,
    layer::{File, gzip, tar},
    reference::Reference,
    revision::Revision,
};

const MANIFEST: &str = "application/vnd.oci.image.manifest.v1+json";
const CONFIG: &str = "application/vnd.oci.image.config.v1+json";
const LAYER: &str = "application/vnd.oci.image.layer.v1.tar+gzip";

/// An image, before it is packed.
#[derive(Clone, Debug)]
pub struct Image {
    /// Its name.
    pub reference: Reference,
    /// What its programs run on.
    pub architecture: Architecture,
    /// What it dates from.
    pub revision: Revision,
    /// What a container runs as: numbers, since there are no names in an empty file system.
    pub user: String,
    /// What a container runs.
    pub entrypoint: Vec<String>,
    /// Where programs are looked for.
    pub path: String,
    /// Ports that it listens on.
    pub ports: Vec<String>,
    /// What it says of itself.
    pub labels: BTreeMap<String, String>,
    /// Its file system.
    pub files: Vec<File>,
}

/// A packed image.
#[derive(Clone, Debug)]
pub struct Archive {
    /// The tar archive.
    pub bytes: Vec<u8>,
    /// The digest that the image is pulled by.
    pub digest: String,
}

/// Packs an image: of the same image always the same bytes.
///
/// # Errors
/// Files of one path, or paths that do not fit into an archive.
pub fn pack(image: &Image) -> Result<Archive> {
    let seconds = image.revision.seconds();
    let content = tar(&image.files, seconds)?;
    let layer = gzip(&content)?;
    let config = text(&config(image, &digest(&content)));
    let manifest = text(&json!({
        "schemaVersion": 2,
        "mediaType": MANIFEST,
        "config": descriptor(CONFIG, config.as_bytes()),
        "layers": [descriptor(LAYER, &layer)],
    }));
    let mut described = descriptor(MANIFEST, manifest.as_bytes());
    described["platform"] = json!({ "architecture": image.architecture.name(), "os": "linux" });
    described["annotations"] = json!({
        // The whole name, for containerd; the tag alone is what the layout's specification asks for.
        "io.containerd.image.name": image.reference.to_string(),
        "org.opencontainers.image.ref.name": image.reference.tag(),
    });
    let index = json!({
        "schemaVersion": 2,
        "mediaType": "application/vnd.oci.image.index.v1+json",
        "manifests": [described],
    });
    let docker = json!([{
        "Config": blob(config.as_bytes()),
        "RepoTags": [image.reference.to_string()],
        "Layers": [blob(&layer)],
    }]);
    let digest = digest(manifest.as_bytes());
    let files = vec![
        File::data(
            "oci-layout",
            text(&json!({ "imageLayoutVersion": "1.0.0" })),
        ),
        File::data("index.json", text(&index)),
        File::data("manifest.json", text(&docker)),
        File::data(&blob(config.as_bytes()), config),
        File::data(&blob(manifest.as_bytes()), manifest),
        File::data(&blob(&layer), layer),
    ];
    let bytes = tar(&files, seconds).context("packing the image")?;
    Ok(Archive { bytes, digest })
}

fn config(image: &Image, layer: &str) -> Value {
    let created = image.revision.time.to_string();
    let ports: BTreeMap<_, _> = image.ports.iter().map(|port| (port, json!({}))).collect();
    json!({
        "architecture": image.architecture.name(),
        "os": "linux",
        "created": created,
        "config": {
            "User": image.user,
            "ExposedPorts": ports,
            "Env": [format!("PATH={}", image.path)],
            "Entrypoint": image.entrypoint,
            "WorkingDir": "/",
            "Labels": image.labels,
        },
        "rootfs": { "type": "layers", "diff_ids": [layer] },
        "history": [{ "created": created, "created_by": "make image" }],
    })
}

fn text(value: &Value) -> String {
    value.to_string()
}

fn descriptor(kind: &str, content: &[u8]) -> Value {
    json!({ "mediaType": kind, "digest": digest(content), "size": content.len() })
}

/// Where a file of the layout lies.
fn blob(content: &[u8]) -> String {
    format!("blobs/{}", digest(content).replace(':', "/"))
}

/// A file's name for itself.
#[must_use]
pub fn digest(content: &[u8]) -> String {
    Sha256::digest(content)
        .iter()
        .fold(String::from("sha256:"), |mut digest, byte| {
            // Writing to a String cannot fail.
            write!(digest, "{byte:02x}").ok();
            digest
        })
}
