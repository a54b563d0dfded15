//! Where and when each part was run, kept beside what it found: parts can be run one by one, and be told together
//! later.

use std::{collections::BTreeSet, fmt::Write, path::Path};

use anyhow::{Context, Result, ensure};
use serde::{Deserialize, Serialize};

use super::Part;
use crate::lab::{cells::markdown, proof::Taken};

/// What a part found, and where and when.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Found {
    pub(super) taken: Taken,
    pub(super) part: Part,
}

impl Found {
    /// What an earlier run of a part has written.
    pub(super) fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let text = std::fs::read(path).with_context(|| format!("reading {shown}"))?;
        serde_json::from_slice(&text).with_context(|| format!("{shown} is no report of this part"))
    }
}

/// Figures of different commits are not of one proof.
pub(super) fn same_commit(found: &[Found]) -> Result<()> {
    let commits: BTreeSet<_> = found.iter().map(|one| &one.taken.commit).collect();
    ensure!(
        commits.len() <= 1,
        "the parts are of several commits ({commits:?}): run those of the older ones again"
    );
    Ok(())
}

/// All of them as Markdown, each with where and when it was run.
pub(super) fn page(title: &str, found: &[Found]) -> String {
    let mut page = format!("# {title}\n");
    for Found { taken, part } in found {
        let Part {
            title,
            says,
            table,
            unmet: _,
        } = part;
        let table = markdown(table);
        // Writing to a String cannot fail.
        write!(page, "\n## {title}\n\n{}\n{says}\n\n{table}", taken.told()).ok();
    }
    page
}

#[cfg(test)]
mod tests {
    use jiff::Timestamp;

    use super::*;
    use crate::report::{State, tests::report};

    fn found(commit: &str, second: i64) -> Found {
        let mut report = report("pod-lister", true, State::Held);
        report.commit = Some(commit.to_owned());
        report.started = Timestamp::from_second(second).expect("a moment");
        let taken = Taken::from(&report);
        let part = Part {
            title: "How soon it is seen".to_owned(),
            says: "It was seen.".to_owned(),
            table: vec![vec!["runs".to_owned()], vec!["10".to_owned()]],
            unmet: vec![],
        };
        Found { taken, part }
    }

    #[test]
    fn a_part_is_told_by_when_it_was_run_whenever_that_is_told() {
        let written = serde_json::to_vec(&found("abc123", 1)).expect("JSON");
        let read: Found = serde_json::from_slice(&written).expect("what was written");
        let page = page("Title", &[read, found("abc123", 2 * 24 * 60 * 60)]);
        for said in [
            "# Title\n\n## How soon it is seen\n\n- command: `",
            "\n- commit: abc123\n- date: 1970-01-01\n",
            "date: 1970-01-03\n",
            "200 nodes, 3000 pods, 1 API server(s) on one core\n\nIt was seen.\n\n| runs |\n",
        ] {
            assert!(page.contains(said), "{said} is not in:\n{page}");
        }
    }

    #[test]
    fn parts_of_two_commits_make_no_proof() {
        assert!(same_commit(&[found("a", 1), found("a", 2)]).is_ok());
        assert!(same_commit(&[found("a", 1), found("b", 1)]).is_err());
    }
}
