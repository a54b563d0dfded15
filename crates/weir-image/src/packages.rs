//! What cargo knows → the crates that are linked into a package's programs.
//!
//! Which ones is asked of `cargo tree`, since it alone resolves features for this one package:
//! `cargo metadata` mixes in what tests and other members of the workspace ask for, but it has the
//! licences and sources. Hashes are in the lock file only. Procedural macros, build scripts and what
//! these use are no part of a program, and left out.

use std::{
    collections::{BTreeMap, BTreeSet},
    fs,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use crate::output;

/// Something that is linked into a program.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Package {
    /// Its name.
    pub name: String,
    /// Its version.
    pub version: String,
    /// What it is called by all who exchange such lists (a package URL).
    pub url: String,
    /// An SPDX expression.
    pub license: Option<String>,
    /// SHA-256 of what the registry serves; none for what this repository holds itself.
    pub checksum: Option<String>,
    /// Where its sources lie, and with them the texts of its licences.
    pub sources: Option<PathBuf>,
    /// Package URLs of what it uses.
    pub uses: Vec<String>,
}

/// The crates linked into the programs of `package` for a target, by name and version, itself among
/// them.
///
/// # Errors
/// Cargo fails, or answers contradict each other.
pub fn linked(root: &Path, package: &str, target: &str) -> Result<Vec<Package>> {
    let cargo = std::env::var("CARGO").unwrap_or_else(|_| "cargo".to_owned());
    let metadata = [
        "metadata",
        "--locked",
        "--format-version=1",
        "--filter-platform",
        target,
    ];
    let tree = [
        "tree",
        "--locked",
        "--package",
        package,
        "--edges=normal,no-proc-macro",
        "--target",
        target,
        "--prefix=none",
        "--format={p}",
    ];
    let lock = fs::read_to_string(root.join("Cargo.lock")).context("reading Cargo.lock")?;
    read(
        &output(root, &cargo, &metadata)?,
        &output(root, &cargo, &tree)?,
        &lock,
    )
}

#[derive(Deserialize)]
struct Metadata {
    packages: Vec<Described>,
    resolve: Resolve,
}

#[derive(Deserialize)]
struct Described {
    id: String,
    name: String,
    version: String,
    license: Option<String>,
    manifest_path: PathBuf,
}

#[derive(Deserialize)]
struct Resolve {
    nodes: Vec<Node>,
}

#[derive(Deserialize)]
struct Node {
    id: String,
    dependencies: Vec<String>,
}

type NameAndVersion = (String, String);

fn read(metadata: &str, tree: &str, lock: &str) -> Result<Vec<Package>> {
    let metadata: Metadata = serde_json::from_str(metadata).context("reading cargo metadata")?;
    let linked = named(tree);
    let checksums = checksums(lock);
    let urls: BTreeMap<&str, String> = metadata
        .packages
        .iter()
        .filter(|package| linked.contains(&package.key()))
        .map(|package| {
            let is_published = checksums.contains_key(&package.key());
            (package.id.as_str(), package.url(is_published))
        })
        .collect();
    ensure!(
        urls.len() == linked.len(),
        "cargo tree names {} crates, of which cargo metadata knows {}",
        linked.len(),
        urls.len()
    );
    let nodes: BTreeMap<&str, &[String]> = metadata
        .resolve
        .nodes
        .iter()
        .map(|node| (node.id.as_str(), node.dependencies.as_slice()))
        .collect();
    let mut packages: Vec<_> = metadata
        .packages
        .iter()
        .filter_map(|package| {
            let url = urls.get(package.id.as_str())?.clone();
            let all = nodes.get(package.id.as_str()).copied().unwrap_or_default();
            let uses: BTreeSet<_> = all
                .iter()
                .filter_map(|id| urls.get(id.as_str()).cloned())
                .collect();
            Some(Package {
                name: package.name.clone(),
                version: package.version.clone(),
                license: package.license.as_deref().map(spdx),
                checksum: checksums.get(&package.key()).cloned(),
                sources: package.manifest_path.parent().map(Path::to_owned),
                uses: uses.into_iter().collect(),
                url,
            })
        })
        .collect();
    packages.sort_by(|one, other| (&one.name, &one.version).cmp(&(&other.name, &other.version)));
    Ok(packages)
}

impl Described {
    fn key(&self) -> NameAndVersion {
        (self.name.clone(), self.version.clone())
    }

    /// `is_published` says whether the registry has it. This repository's own crates are none of the
    /// registry's, whose namesakes' faults scanners would find in them.
    fn url(&self, is_published: bool) -> String {
        // A package URL escapes the sign before build metadata.
        let version = self.version.replace('+', "%2B");
        let kind = if is_published { "cargo" } else { "generic" };
        format!("pkg:{kind}/{}@{version}", self.name)
    }
}

/// An older way to write a choice of licences, as SPDX has it.
fn spdx(license: &str) -> String {
    license.replace('/', " OR ")
}

/// The crates of `cargo tree`: a line each, `name vVERSION` and what is of no matter here.
fn named(tree: &str) -> BTreeSet<NameAndVersion> {
    tree.lines()
        .filter_map(|line| {
            let mut words = line.split_whitespace();
            let name = words.next()?;
            let version = words.next()?.strip_prefix('v')?;
            Some((name.to_owned(), version.to_owned()))
        })
        .collect()
}

/// The checksums of a lock file, which cargo writes in one form only: `key = "value"`, a line each.
fn checksums(lock: &str) -> BTreeMap<NameAndVersion, String> {
    lock.split("[[package]]")
        .filter_map(|entry| {
            let value = |key: &str| {
                let line = entry.lines().find(|line| line.starts_with(key))?;
                line.split('"').nth(1).map(str::to_owned)
            };
            let key = (value("name = ")?, value("version = ")?);
            Some((key, value("checksum = ")?))
        })
        .collect()
}

#[cfg(test)]
mod tests;
