//! What is linked into a static program besides crates, and comes with the Rust toolchain: the
//! standard library, libc and the unwinder. Without it a list of what is in the image would miss just
//! what scanners look for first.

use std::{fs, path::Path};

use anyhow::{Context, Result, ensure};

use crate::{output, packages::Package};

/// The libc that Rust's musl targets bring along. It says so nowhere but in itself, where it is looked
/// for: another toolchain may bring another one.
const MUSL: &str = "1.2.5";

/// The standard library, libc and the unwinder of the toolchain that is in use.
///
/// # Errors
/// No toolchain for the target, or one with another libc than is known here.
pub fn linked(root: &Path, target: &str) -> Result<Vec<Package>> {
    let version = output(root, "rustc", &["--version", "--verbose"])?;
    let directory = output(
        root,
        "rustc",
        &["--print", "target-libdir", "--target", target],
    )?;
    let libc = Path::new(directory.trim()).join("self-contained/libc.a");
    let bytes = fs::read(&libc)
        .with_context(|| format!("reading {}: `rustup target add {target}`", libc.display()))?;
    ensure!(
        is_musl(&bytes, MUSL),
        "{} is not musl {MUSL}: say in the source of weir-image which version it is",
        libc.display()
    );
    packages(&version)
}

fn packages(version: &str) -> Result<Vec<Package>> {
    let value = |key: &str| {
        version
            .lines()
            .find_map(|line| line.strip_prefix(key)?.strip_prefix(": "))
            .with_context(|| format!("`rustc --version --verbose` tells no {key}"))
    };
    let package = |name: &str, version: &str, license: &str| Package {
        name: name.to_owned(),
        version: version.to_owned(),
        url: format!("pkg:generic/{name}@{version}"),
        license: Some(license.to_owned()),
        checksum: None,
        sources: None,
        uses: Vec::new(),
    };
    let unwinder = package(
        "libunwind",
        value("LLVM version")?,
        "Apache-2.0 WITH LLVM-exception",
    );
    let libc = package("musl", MUSL, "MIT");
    let mut std = package("rust-std", value("release")?, "MIT OR Apache-2.0");
    std.uses = vec![unwinder.url.clone(), libc.url.clone()];
    Ok(vec![unwinder, libc, std])
}

/// Whether a libc holds this version as a text of its own.
fn is_musl(libc: &[u8], version: &str) -> bool {
    let text = format!("{version}\0");
    libc.windows(text.len())
        .enumerate()
        .filter(|(_, window)| *window == text.as_bytes())
        .any(|(at, _)| {
            at.checked_sub(1)
                .is_none_or(|before| !is_part(libc[before]))
        })
}

fn is_part(byte: u8) -> bool {
    byte.is_ascii_digit() || byte == b'.'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_toolchain_s_parts_are_told_with_their_versions() {
        let version = "rustc 1.95.0 (5980 2026-04-14)\nrelease: 1.95.0\nLLVM version: 22.1.2\n";
        let urls: Vec<_> = packages(version)
            .unwrap()
            .into_iter()
            .map(|one| one.url)
            .collect();
        assert_eq!(
            urls,
            [
                "pkg:generic/libunwind@22.1.2",
                "pkg:generic/musl@1.2.5",
                "pkg:generic/rust-std@1.95.0"
            ]
        );
        let error = packages("rustc 1.95.0\n").unwrap_err().to_string();
        assert!(error.contains("tells no LLVM version"), "{error}");
    }

    #[test]
    fn another_libc_is_noticed() {
        assert!(is_musl(b"\n1.2.5\0", "1.2.5"));
        assert!(!is_musl(b"\x0011.2.5\0", "1.2.5"));
        assert!(!is_musl(b"\x001.2.50\0", "1.2.5"));
    }
}
