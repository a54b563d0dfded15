//! The commit that the image is built from: what it is labelled with, and the moment that everything
//! in it is dated by.

use std::path::Path;

use anyhow::{Context, Result};
use jiff::Timestamp;

use crate::output;

/// A commit, and whether the files are as it says.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Revision {
    /// The commit's hash, with `-dirty` behind it if files differ from it.
    pub name: String,
    /// When it was committed.
    pub time: Timestamp,
}

impl Revision {
    /// The commit that is checked out in `root`.
    ///
    /// # Errors
    /// `root` is no git checkout.
    pub fn of(root: &Path) -> Result<Self> {
        let head = output(root, "git", &["log", "-1", "--format=%H %ct"])
            .context("an image says which commit it is of: build it in a git checkout")?;
        let changes = output(root, "git", &["status", "--porcelain"])?;
        Self::read(&head, !changes.is_empty())
    }

    fn read(head: &str, dirty: bool) -> Result<Self> {
        let (hash, seconds) = head
            .trim()
            .split_once(' ')
            .context("git log printed no hash and time")?;
        let suffix = if dirty { "-dirty" } else { "" };
        Ok(Self {
            name: format!("{hash}{suffix}"),
            time: Timestamp::from_second(seconds.parse().context("reading git log's time")?)?,
        })
    }

    /// When it was committed, in seconds, as file systems count them.
    #[must_use]
    pub fn seconds(&self) -> u64 {
        u64::try_from(self.time.as_second()).unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_commit_is_read_with_its_time_and_changes_are_not_hidden() {
        let clean = Revision::read("0f3a 1764262800\n", false).unwrap();
        assert_eq!(clean.name, "0f3a");
        assert_eq!(clean.time.to_string(), "2025-11-27T17:00:00Z");
        assert_eq!(clean.seconds(), 1_764_262_800);
        let dirty = Revision::read("0f3a 1764262800\n", true).unwrap();
        assert_eq!(dirty.name, "0f3a-dirty");
        assert!(Revision::read("0f3a", false).is_err());
    }
}
