//! What is linked into the programs, as a `CycloneDX` 1.6 document: the software bill of materials.
//!
//! It is dated by the commit and has no serial number, so that it is the same each time. Build tools
//! are not in it: they leave nothing in the programs but what they compiled.

use anyhow::{Context, Result};
use serde_json::{Value, json};

use crate::{packages::Package, revision::Revision};

/// The document, for programs made of `crates` and of what the toolchain adds; `package` is the crate
/// that they are programs of.
///
/// # Errors
/// That crate is not among the others.
pub fn document(
    revision: &Revision,
    package: &str,
    crates: &[Package],
    toolchain: &[Package],
) -> Result<String> {
    let itself = crates
        .iter()
        .find(|one| one.name == package)
        .with_context(|| format!("{package} is not among the crates that are linked"))?;
    let others = || {
        crates
            .iter()
            .filter(|one| one.url != itself.url)
            .chain(toolchain)
    };
    let mut own = dependencies(itself);
    // Every crate uses the standard library; once is enough to say it.
    if let Some(Value::Array(used)) = own.get_mut("dependsOn") {
        used.extend(toolchain.last().map(|std| json!(std.url)));
    }
    let document = json!({
        "$schema": "http://cyclonedx.org/schema/bom-1.6.schema.json",
        "bomFormat": "CycloneDX",
        "specVersion": "1.6",
        "version": 1,
        "metadata": {
            "timestamp": revision.time.to_string(),
            "component": component(itself, "application"),
            "properties": [{ "name": "weir:revision", "value": revision.name }],
        },
        "components": others().map(|one| component(one, "library")).collect::<Vec<_>>(),
        "dependencies": std::iter::once(own)
            .chain(others().map(dependencies))
            .collect::<Vec<_>>(),
    });
    Ok(format!("{document:#}\n"))
}

fn component(package: &Package, kind: &str) -> Value {
    let mut component = json!({
        "type": kind,
        "bom-ref": package.url,
        "name": package.name,
        "version": package.version,
        "purl": package.url,
    });
    if let Some(license) = &package.license {
        component["licenses"] = json!([{ "expression": license }]);
    }
    if let Some(checksum) = &package.checksum {
        component["hashes"] = json!([{ "alg": "SHA-256", "content": checksum }]);
    }
    component
}

fn dependencies(package: &Package) -> Value {
    json!({ "ref": package.url, "dependsOn": package.uses })
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;

    const ROOT: &str = "weir";

    fn package(name: &str, uses: &[&str]) -> Package {
        Package {
            name: name.to_owned(),
            version: "1.0.0".to_owned(),
            url: format!("pkg:cargo/{name}@1.0.0"),
            license: Some("MIT".to_owned()),
            checksum: (name != ROOT).then(|| "c0ffee".to_owned()),
            sources: None,
            uses: uses
                .iter()
                .map(|name| format!("pkg:cargo/{name}@1.0.0"))
                .collect(),
        }
    }

    fn revision() -> Revision {
        Revision {
            name: "0f3a".to_owned(),
            time: Timestamp::from_second(1_764_262_800).unwrap(),
        }
    }

    #[test]
    fn everything_linked_is_listed_once_and_its_uses_resolve() {
        let crates = [package(ROOT, &["yaml"]), package("yaml", &[])];
        let toolchain = [package("libc", &[]), package("std", &["libc"])];
        let text = document(&revision(), ROOT, &crates, &toolchain).unwrap();
        assert_eq!(
            text,
            document(&revision(), ROOT, &crates, &toolchain).unwrap()
        );
        let document: Value = serde_json::from_str(&text).unwrap();
        assert_eq!(document["metadata"]["timestamp"], "2025-11-27T17:00:00Z");
        assert_eq!(document["metadata"]["component"]["name"], ROOT);
        let names: Vec<_> = document["components"]
            .as_array()
            .unwrap()
            .iter()
            .map(|one| one["name"].as_str().unwrap())
            .collect();
        assert_eq!(names, ["yaml", "libc", "std"]);
        assert_eq!(document["components"][0]["hashes"][0]["content"], "c0ffee");
        assert_eq!(
            document["dependencies"][0]["dependsOn"],
            json!(["pkg:cargo/yaml@1.0.0", "pkg:cargo/std@1.0.0"])
        );
    }

    #[test]
    fn a_list_without_the_program_itself_is_refused() {
        assert!(document(&revision(), ROOT, &[package("yaml", &[])], &[]).is_err());
    }
}
