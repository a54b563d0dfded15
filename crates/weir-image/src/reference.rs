//! An image's name, whole: a registry, a repository and a tag. Kubelets complete a shorter one with a
//! registry that they are configured with, so that it would be found on one node and not on another.

use std::{fmt, str::FromStr};

use anyhow::{Context, Error, Result, ensure};

/// A name such as `registry.example/weir:1.0.0`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Reference {
    name: String,
    tag: String,
}

impl Reference {
    /// What stands behind the colon.
    #[must_use]
    pub fn tag(&self) -> &str {
        &self.tag
    }

    /// Registry and repository.
    #[must_use]
    pub fn name(&self) -> &str {
        &self.name
    }
}

impl fmt::Display for Reference {
    fn fmt(&self, formatter: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(formatter, "{}:{}", self.name, self.tag)
    }
}

impl FromStr for Reference {
    type Err = Error;

    fn from_str(text: &str) -> Result<Self> {
        let (name, tag) = text
            .rsplit_once(':')
            .filter(|(_, tag)| !tag.contains('/'))
            .with_context(|| format!("`{text}` has no tag: write REGISTRY/NAME:TAG"))?;
        let (registry, repository) = name.split_once('/').unwrap_or_default();
        ensure!(
            registry == "localhost" || registry.contains(['.', ':']),
            "`{text}` does not begin with a registry: write REGISTRY/NAME:TAG"
        );
        let lower = |c: char| c.is_ascii_lowercase() || c.is_ascii_digit() || "._-/".contains(c);
        let plain = |c: char| c.is_ascii_alphanumeric() || "._-".contains(c);
        ensure!(
            !repository.is_empty() && repository.chars().all(lower),
            "`{repository}` is no repository's name: lower-case letters, digits and `._-/`"
        );
        ensure!(
            !tag.is_empty() && tag.len() <= 128 && tag.chars().all(plain),
            "`{tag}` is no tag: at most 128 letters, digits and `._-`"
        );
        Ok(Self {
            name: name.to_owned(),
            tag: tag.to_owned(),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn whole_names_are_taken_apart_and_others_refused() {
        for whole in ["registry.example/weir:1.0.0", "localhost:5000/a/weir:dev"] {
            let reference: Reference = whole.parse().unwrap();
            assert_eq!(reference.to_string(), whole);
        }
        let refusal = |text: &str| text.parse::<Reference>().unwrap_err().to_string();
        assert!(refusal("weir").contains("no tag"));
        assert!(refusal("localhost:5000/weir").contains("no tag"));
        assert!(refusal("weir:1").contains("registry"));
        assert!(refusal("weir-dev/weir:1").contains("registry"));
        assert!(refusal("ghcr.io/Weir:1").contains("lower-case"));
        assert!(refusal("ghcr.io/weir:").contains("no tag"));
        assert!(refusal("ghcr.io/weir:a b").contains("no tag"));
    }
}
