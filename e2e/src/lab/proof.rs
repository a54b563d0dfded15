//! Results that are committed: Markdown with the commit, the date, the command and the machine, without
//! which no figure is worth anything.

use std::{fmt::Write, path::Path};

use anyhow::Result;

use crate::report::{self, Report, Use, WeirUse};

/// Seconds after which Weir has written what it writes once.
const IDLE_AFTER: u32 = 60;

/// Writes a proof: a title, where and when, and its parts.
pub(super) fn write(path: &Path, title: &str, first: &Report, parts: &[String]) -> Result<()> {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    report::write_whole(path, page(title, first, &arguments, parts).as_bytes())
}

fn page(title: &str, first: &Report, arguments: &[String], parts: &[String]) -> String {
    let commit = first.commit.as_deref().unwrap_or("unknown");
    let mut page = format!(
        "# {title}\n\n\
         - command: `cargo run -p weir-e2e --release --bin lab -- {}`\n\
         - commit: {commit}\n\
         - date: {}\n\
         - machine: {}\n\
         - world: {} nodes, {} pods, {} API server(s) on one core\n",
        arguments.join(" "),
        first.started.strftime("%Y-%m-%d"),
        first.machine,
        first.nodes,
        first.pods,
        first.api_servers,
    );
    for part in parts {
        // Writing to a String cannot fail.
        write!(page, "\n{}\n", part.trim_end()).ok();
    }
    page
}

/// A table as Markdown; the first row is its head.
pub(super) fn markdown(table: &[Vec<String>]) -> String {
    let row = |cells: &[String]| {
        let cells: Vec<_> = cells.iter().map(|cell| cell.replace('|', "\\|")).collect();
        format!("| {} |\n", cells.join(" | "))
    };
    let Some((head, rows)) = table.split_first() else {
        return String::new();
    };
    let rule = format!("|{}\n", "---|".repeat(head.len()));
    let rows: String = rows.iter().map(|cells| row(cells)).collect();
    [row(head), rule, rows].concat()
}

/// What Weir used in each guarded run, before the rollout and during it; the budget is 1 request a
/// second and 1 write in 10 s while idle, and 64 MiB.
pub(super) fn weir_use(reports: &[&Report]) -> String {
    let head = [
        "profile",
        "nodes",
        "idle for s",
        "idle requests/s",
        "idle writes/10 s",
        "requests/s in flight",
        "writes/s in flight",
        "kB/s in flight",
        "peak MiB",
    ];
    let mut table = vec![head.map(str::to_owned).to_vec()];
    table.extend(reports.iter().filter_map(|report| {
        let WeirUse {
            idle,
            in_flight,
            peak_rss_mib,
            ..
        } = report.weir?;
        let per_second = |count: u64, used: &Use| count as f64 / used.seconds.max(0.001);
        Some(vec![
            report.profile.clone(),
            report.nodes.to_string(),
            format!("{:.0}", idle.seconds),
            format!("{:.2}", idle.requests_per_second),
            format!("{:.2}", 10.0 * per_second(idle.writes, &idle)),
            format!("{:.2}", in_flight.requests_per_second),
            format!("{:.2}", per_second(in_flight.writes, &in_flight)),
            in_flight.bytes.map_or_else(
                || "–".to_owned(),
                |bytes| format!("{:.0}", per_second(bytes, &in_flight) / 1e3),
            ),
            format!("{peak_rss_mib:.0}"),
        ])
    }));
    format!(
        "What Weir used (within {IDLE_AFTER} s of its start some of its records are written for the first \
         time: only a longer idle time says what idling costs):\n\n{}",
        markdown(&table)
    )
}

/// A table for a terminal, its columns aligned.
pub(super) fn plain(table: &[Vec<String>]) -> String {
    let columns = table.iter().map(Vec::len).max().unwrap_or_default();
    let widths: Vec<usize> = (0..columns)
        .map(|column| {
            let cells = table.iter().filter_map(|row| row.get(column));
            cells
                .map(|cell| cell.chars().count())
                .max()
                .unwrap_or_default()
        })
        .collect();
    let line = |row: &Vec<String>| {
        let cells: Vec<String> = row
            .iter()
            .zip(&widths)
            .map(|(cell, width)| {
                let padding = width.saturating_sub(cell.chars().count());
                format!("{cell}{}", " ".repeat(padding))
            })
            .collect();
        cells.join("  ").trim_end().to_owned()
    };
    table.iter().map(line).collect::<Vec<_>>().join("\n")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{State, tests::report};

    fn table() -> Vec<Vec<String>> {
        [["name", "p99"], ["a|b", "– ×"]]
            .map(|row| row.map(str::to_owned).to_vec())
            .to_vec()
    }

    #[test]
    fn tables_are_written_for_both_readers() {
        assert_eq!(
            markdown(&table()),
            "| name | p99 |\n|---|---|\n| a\\|b | – × |\n"
        );
        assert_eq!(plain(&table()), "name  p99\na|b   – ×");
    }

    #[test]
    fn a_proof_says_where_when_and_how() {
        let report = report("pod-lister", true, State::Held);
        let arguments = ["repeat", "--runs", "10"].map(str::to_owned);
        let page = page("Title", &report, &arguments, &["It held.".to_owned()]);
        for said in [
            "# Title\n",
            "lab -- repeat --runs 10`",
            "commit: abc123",
            "date: 1970-01-01",
            "CPU & <model>",
            "200 nodes, 3000 pods",
            "\nIt held.\n",
        ] {
            assert!(
                page.contains(said),
                "the proof does not say {said}:\n{page}"
            );
        }
    }
}
