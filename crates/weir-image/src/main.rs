//! The command line that packs the image: `make image` calls it once the programs are built.

use std::{fs, io::Write, path::PathBuf};

use anyhow::{Context, Result};
use clap::{Parser, ValueEnum};
use weir_image::{
    architecture::Architecture,
    archive::{self, Archive},
    contents::{self, AGENT, Contents, Sources, WEIR},
    reference::Reference,
};

#[derive(Clone, Copy, Debug, ValueEnum)]
enum Which {
    /// The operator and the plugin.
    Weir,
    /// The agent of the tests on real nodes.
    Agent,
}

/// Packs Weir's programs into an image.
#[derive(Debug, Parser)]
struct Args {
    /// Which of the images.
    which: Which,
    /// Its name, if not its usual one: REGISTRY/NAME:TAG.
    #[arg(long)]
    name: Option<Reference>,
    /// What the programs were built for.
    #[arg(long, value_enum, default_value = "amd64")]
    architecture: Architecture,
    /// The directory that the programs are in.
    #[arg(long)]
    programs: PathBuf,
    /// The directory that the archive is written to.
    #[arg(long)]
    out: PathBuf,
}

fn main() -> Result<()> {
    let args = Args::parse();
    let root = std::env::current_dir().context("finding the repository")?;
    let sources = Sources {
        root: &root,
        programs: &args.programs,
        architecture: args.architecture,
    };
    let recipe = match args.which {
        Which::Weir => WEIR,
        Which::Agent => AGENT,
    };
    let name = args.name.map_or_else(|| contents::reference(&recipe), Ok)?;
    let Contents { image, sbom } = contents::gather(&recipe, &sources, name.clone())?;
    let Archive { bytes, digest } = archive::pack(&image)?;
    fs::create_dir_all(&args.out).with_context(|| format!("creating {}", args.out.display()))?;
    let write = |extension: &str, content: &[u8]| {
        let path = args.out.join(format!("{}.{extension}", recipe.title));
        fs::write(&path, content).with_context(|| format!("writing {}", path.display()))?;
        Ok::<_, anyhow::Error>(path)
    };
    write("cdx.json", sbom.as_bytes())?;
    write("digest", format!("{digest}\n").as_bytes())?;
    let archive = write("tar", &bytes)?;
    let mut out = std::io::stdout().lock();
    writeln!(out, "{}: {} bytes", archive.display(), bytes.len())?;
    writeln!(out, "{name}@{digest}")?;
    Ok(())
}
