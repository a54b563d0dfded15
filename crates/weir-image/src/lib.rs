//! Turns Weir's finished programs into an archive that container engines load: an empty file system
//! with two programs, what they are made of, and under which licences.
//!
//! It needs no container engine and no base image, and packs the same programs into the same bytes:
//! nothing that it adds comes from the machine or the hour. It compiles nothing; `make image` does that
//! before. In reading order:
//!
//! - [`architecture`]: what a processor is called by whom.
//! - [`elf`]: whether a program runs on an empty file system.
//! - [`revision`]: the commit that everything is dated and labelled by.
//! - [`packages`]: which crates are linked into the programs, as cargo tells it.
//! - [`toolchain`]: what else is: the standard library, libc and the unwinder.
//! - [`sbom`]: all of them as a `CycloneDX` document.
//! - [`notices`]: the texts of their licences.
//! - [`layer`]: files as a tar archive, always the same one.
//! - [`mod@reference`]: an image's name.
//! - [`archive`]: layer and configuration as an archive of one image.
//! - [`contents`]: what is in Weir's image, and what it says of itself.

pub mod architecture;
pub mod archive;
pub mod contents;
pub mod elf;
pub mod layer;
pub mod notices;
pub mod packages;
pub mod reference;
pub mod revision;
pub mod sbom;
pub mod toolchain;

use std::{path::Path, process::Command};

use anyhow::{Context, Result, ensure};

/// What a command prints, run in `directory`.
///
/// # Errors
/// The command cannot be run, fails, or prints no text.
fn output(directory: &Path, program: &str, arguments: &[&str]) -> Result<String> {
    let shown = || format!("{program} {}", arguments.join(" "));
    let output = Command::new(program)
        .args(arguments)
        .current_dir(directory)
        .output()
        .with_context(|| format!("running `{}`", shown()))?;
    ensure!(
        output.status.success(),
        "`{}` failed: {}",
        shown(),
        String::from_utf8_lossy(&output.stderr).trim()
    );
    String::from_utf8(output.stdout).with_context(|| format!("`{}` printed no text", shown()))
}
