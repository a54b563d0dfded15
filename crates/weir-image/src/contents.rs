//! What is in Weir's images, and what they say of themselves.
//!
//! No certificates: these programs talk to API servers only, whose authority every pod is given with its token.
//! (Whatever asks other servers one day will need their authorities' certificates here.)
//! No names of users or hosts: the user is a number, and API servers are reached by address.

use std::{collections::BTreeMap, fs, path::Path};

use anyhow::{Context, Result};

use crate::{
    architecture::Architecture, archive::Image, elf, layer::File, notices, packages,
    reference::Reference, revision::Revision, sbom, toolchain,
};

/// Which programs an image holds, and what it says of them.
#[derive(Clone, Copy, Debug)]
pub struct Recipe {
    /// What its files, and its repository, are called.
    pub title: &'static str,
    description: &'static str,
    /// Where it is found, but for its tag.
    repository: &'static str,
    /// The crate whose programs they are.
    package: &'static str,
    /// The programs; the first is what a container runs.
    programs: &'static [&'static str],
    ports: &'static [&'static str],
}

/// The operator, and the plugin: the latter for `kubectl exec` and for whoever takes it out of here.
pub const WEIR: Recipe = Recipe {
    title: "weir",
    description: "A load guard for the Kubernetes control plane",
    repository: "ghcr.io/weir-dev/weir",
    package: "weir",
    programs: &["weir", "kubectl-weir"],
    ports: &["8080/tcp"],
};

/// What tests on real nodes guard. It is published nowhere, and its name is nobody's registry.
pub const AGENT: Recipe = Recipe {
    title: "weir-agent",
    description: "Makes the API calls of a profile",
    repository: "localhost/weir-agent",
    package: "weir-e2e",
    programs: &["weir-agent"],
    ports: &[],
};

/// Beyond what distributions give to people or services, and known as nobody's from other small images.
const USER: &str = "65532:65532";

/// An image and, as it is asked for by itself too, the list of what is in it.
pub struct Contents {
    /// The image itself.
    pub image: Image,
    /// The software bill of materials, which is in the image too.
    pub sbom: String,
}

/// What an image is made from.
pub struct Sources<'a> {
    /// The repository.
    pub root: &'a Path,
    /// Where the programs are.
    pub programs: &'a Path,
    /// What they were built for.
    pub architecture: Architecture,
}

/// The name that an image has unless it is given another.
///
/// # Errors
/// None for the recipes above.
pub fn reference(recipe: &Recipe) -> Result<Reference> {
    format!("{}:{}", recipe.repository, env!("CARGO_PKG_VERSION")).parse()
}

/// Gathers what an image holds.
///
/// # Errors
/// A program is missing or would not run alone, or cargo, rustc or git do not answer.
pub fn gather(recipe: &Recipe, sources: &Sources<'_>, reference: Reference) -> Result<Contents> {
    let revision = Revision::of(sources.root)?;
    let target = sources.architecture.target();
    let crates = packages::linked(sources.root, recipe.package, target)?;
    let toolchain = toolchain::linked(sources.root, target)?;
    let sbom = sbom::document(&revision, recipe.package, &crates, &toolchain)?;
    let linked: Vec<_> = crates.into_iter().chain(toolchain).collect();
    let license = fs::read(sources.root.join("LICENSE")).context("reading LICENSE")?;
    let documents = format!("usr/share/doc/{}", recipe.title);
    let mut files = vec![
        File::data(&format!("{documents}/LICENSE"), license),
        File::data(&format!("{documents}/THIRD-PARTY"), notices::page(&linked)?),
        // Scanners look for files that end like this.
        File::data(
            &format!("{documents}/{}.cdx.json", recipe.title),
            sbom.clone(),
        ),
    ];
    for name in recipe.programs {
        let path = sources.programs.join(name);
        let bytes = fs::read(&path).with_context(|| format!("reading {}", path.display()))?;
        elf::check(&bytes, sources.architecture)
            .with_context(|| format!("{} cannot run alone", path.display()))?;
        files.push(File::program(&format!("bin/{name}"), bytes));
    }
    let image = Image {
        architecture: sources.architecture,
        user: USER.to_owned(),
        entrypoint: recipe
            .programs
            .iter()
            .take(1)
            .map(|name| format!("/bin/{name}"))
            .collect(),
        path: "/bin".to_owned(),
        ports: recipe.ports.iter().map(|&port| port.to_owned()).collect(),
        labels: labels(recipe, &revision),
        files,
        reference,
        revision,
    };
    Ok(Contents { image, sbom })
}

/// The annotations that the OCI image specification has names for.
fn labels(recipe: &Recipe, revision: &Revision) -> BTreeMap<String, String> {
    let repository = env!("CARGO_PKG_REPOSITORY");
    let created = revision.time.to_string();
    [
        ("title", recipe.title),
        ("description", recipe.description),
        ("version", env!("CARGO_PKG_VERSION")),
        ("revision", &revision.name),
        ("created", &created),
        ("licenses", env!("CARGO_PKG_LICENSE")),
        ("source", repository),
        ("url", repository),
        ("documentation", &format!("{repository}#readme")),
    ]
    .into_iter()
    .map(|(name, value)| (format!("org.opencontainers.image.{name}"), value.to_owned()))
    .collect()
}
