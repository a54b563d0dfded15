//! What was found, as Markdown: where, when, how long each case took in each run, and all figures.

use std::fmt::Write;
use std::path::Path;

use anyhow::Result;
use jiff::Timestamp;
use weir_e2e::report::machine::{Machine, commit};
use weir_e2e::report::write_whole;

use super::{Case, Run};

/// Writes it.
pub(crate) fn write(path: &Path, words: &[String], cases: &[Case], runs: &[Run]) -> Result<()> {
    let repository = Path::new(env!("CARGO_MANIFEST_DIR")).join("..");
    let commit = commit(&repository).unwrap_or_else(|| "unknown".to_owned());
    let mut page = format!(
        "# The installed operator on a real cluster\n\n\
         - command: `cargo test --release -p weir-e2e --test kind -- {}`\n\
         - commit: {commit}\n\
         - date: {}\n\
         - machine: {}\n\n",
        words.join(" "),
        Timestamp::now().strftime("%Y-%m-%d"),
        Machine::here(),
    );
    page.push_str(&table(cases, runs));
    for (at, run) in runs.iter().enumerate() {
        // Writing to a String cannot fail.
        write!(page, "\nFigures of run {}:\n\n", at + 1).ok();
        for figure in &run.figures {
            writeln!(page, "- {figure}").ok();
        }
    }
    // Tests run in the directory of their package.
    write_whole(&repository.join(path), page.as_bytes())
}

/// Seconds of each case in each run; what failed is said.
fn table(cases: &[Case], runs: &[Run]) -> String {
    let mut rows = vec![row("seconds", runs, |at, _| format!("run {}", at + 1))];
    rows.push(row("---", runs, |_, _| "---".to_owned()));
    rows.push(row("cluster, images", runs, |_, run| {
        run.brought_up.as_secs().to_string()
    }));
    for case in cases {
        rows.push(row(&case.name(), runs, |_, run| {
            let mut all = run.ended.iter();
            let ended = all.find(|ended| ended.case == *case);
            ended.map_or_else(
                || "not run".to_owned(),
                |ended| match &ended.failed {
                    None => ended.took.as_secs().to_string(),
                    Some(_) => format!("FAILED after {}", ended.took.as_secs()),
                },
            )
        }));
    }
    rows.push(row("undone", runs, |_, run| {
        let how = if run.left.is_some() { "FAILED" } else { "ok" };
        how.to_owned()
    }));
    rows.push(row("in all", runs, |_, run| {
        run.took().as_secs().to_string()
    }));
    rows.concat()
}

fn row(head: &str, runs: &[Run], cell: impl Fn(usize, &Run) -> String) -> String {
    let cells = runs.iter().enumerate().map(|(at, run)| cell(at, run));
    let cells: Vec<_> = cells.collect();
    format!("| {head} | {} |\n", cells.join(" | "))
}
