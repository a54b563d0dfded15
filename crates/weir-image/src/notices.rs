//! The texts under which what is linked into the programs may be passed on, each once: most licences
//! ask for that wherever a program goes.

use std::{collections::BTreeMap, fmt::Write, fs, path::Path};

use anyhow::{Context, Result};

use crate::packages::Package;

/// What files with such texts begin with, in whatever case.
const BEGINNINGS: &[&str] = &["licen", "copying", "copyright", "notice", "unlicense"];

/// All packages with their licences, and then each text with the packages that it came with.
///
/// # Errors
/// Sources of a package cannot be read.
pub fn page(packages: &[Package]) -> Result<String> {
    let mut texts: BTreeMap<String, Vec<String>> = BTreeMap::new();
    let mut page = String::from(
        "The programs beside contain the following. Each package's licence is in the terms of SPDX;\n\
         the texts that packages came with follow below.\n\n",
    );
    for package in packages {
        let name = format!("{} {}", package.name, package.version);
        let license = package.license.as_deref().unwrap_or("not stated");
        // Writing to a String cannot fail.
        writeln!(page, "{name}: {license}").ok();
        let Some(sources) = &package.sources else {
            continue;
        };
        for text in texts_in(sources).with_context(|| format!("reading licences of {name}"))? {
            texts.entry(text).or_default().push(name.clone());
        }
    }
    let mut texts: Vec<_> = texts.into_iter().collect();
    texts.sort_by(|(_, one), (_, other)| one.cmp(other));
    for (text, names) in texts {
        let line = "-".repeat(80);
        write!(page, "\n{line}\n{}\n{line}\n\n{text}\n", names.join(", ")).ok();
    }
    Ok(page)
}

/// The licence texts at the top of a package, each once, by the order of their files' names.
fn texts_in(sources: &Path) -> Result<Vec<String>> {
    let mut paths = Vec::new();
    for entry in fs::read_dir(sources)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        let name = name.to_lowercase();
        let wanted = BEGINNINGS
            .iter()
            .any(|beginning| name.starts_with(beginning));
        if wanted && path.is_file() {
            paths.push(path);
        }
    }
    paths.sort();
    let mut texts = Vec::new();
    for path in paths {
        let text = String::from_utf8_lossy(&fs::read(&path)?).replace('\r', "");
        let text = text.trim_matches('\n').trim_end().to_owned();
        if !texts.contains(&text) {
            texts.push(text);
        }
    }
    Ok(texts)
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;

    use super::*;

    fn package(name: &str, files: &[(&str, &str)]) -> Package {
        let sources =
            std::env::temp_dir().join(format!("weir-notices-{}-{name}", std::process::id()));
        fs::create_dir_all(&sources).unwrap();
        for (file, text) in files {
            fs::write(sources.join(file), text).unwrap();
        }
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            url: String::new(),
            license: Some("MIT".to_owned()),
            checksum: None,
            sources: Some(sources),
            uses: Vec::new(),
        }
    }

    fn remove(packages: &[Package]) {
        for sources in packages.iter().filter_map(|one| one.sources.as_ref()) {
            fs::remove_dir_all::<&PathBuf>(sources).unwrap();
        }
    }

    #[test]
    fn each_text_is_there_once_with_all_that_came_with_it() {
        let packages = [
            package(
                "one",
                &[("LICENSE-MIT", "As is.\r\n"), ("README", "Not this.")],
            ),
            package(
                "other",
                &[("license.txt", "\nAs is.\n"), ("NOTICE", "Thanks.")],
            ),
        ];
        let page = page(&packages);
        remove(&packages);
        let page = page.unwrap();
        assert!(page.contains("\none 1.0.0: MIT\nother 1.0.0: MIT\n"));
        assert_eq!(page.matches("As is.").count(), 1);
        assert!(page.contains("\none 1.0.0, other 1.0.0\n"), "{page}");
        assert!(page.contains("Thanks.") && !page.contains("Not this."));
    }
}
