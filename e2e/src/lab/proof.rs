//! Results that are committed: Markdown with the commit, the date, the command and the machine, without
//! which no figure is worth anything.

use std::{
    fmt::Write,
    path::{Path, PathBuf},
};

use anyhow::Result;
use clap::Args;
use jiff::Timestamp;
use serde::{Deserialize, Serialize};

use super::{
    WorldArgs,
    cells::{headed, markdown, none},
};
use crate::{
    experiment::story::line,
    report::{
        self, Report, Use, WeirUse,
        machine::{self, Machine},
    },
};

/// Seconds after which Weir has written what it writes once.
const IDLE_AFTER: u32 = 60;

/// Where what was found is kept: an option of every command whose results are committed.
#[derive(Debug, Clone, Args)]
pub(super) struct ProofArgs {
    /// Where what was found is written, as Markdown
    #[arg(long, value_name = "FILE")]
    proof: Option<PathBuf>,
}

/// Where and when figures were taken, and by which command.
#[derive(Debug, Clone, Serialize, Deserialize)]
pub(super) struct Taken {
    pub(super) commit: Option<String>,
    command: String,
    started: Timestamp,
    machine: Machine,
    nodes: u32,
    pods: u32,
    api_servers: u32,
}

impl Taken {
    /// Here and now, in a world of this size.
    pub(super) fn now(world: &WorldArgs) -> Self {
        Self {
            commit: machine::commit(Path::new(env!("CARGO_MANIFEST_DIR"))),
            command: command(),
            started: Timestamp::now(),
            machine: Machine::here(),
            nodes: world.nodes,
            pods: world.pods,
            api_servers: world.api_servers.into(),
        }
    }

    /// As the lines of a list.
    pub(super) fn told(&self) -> String {
        let Self {
            commit,
            command,
            started,
            machine,
            nodes,
            pods,
            api_servers,
        } = self;
        format!(
            "- command: `cargo run -p weir-e2e --release --bin lab -- {command}`\n\
             - commit: {}\n\
             - date: {}\n\
             - machine: {machine}\n\
             - world: {nodes} nodes, {pods} pods, {api_servers} API server(s) on one core\n",
            commit.as_deref().unwrap_or("unknown"),
            started.strftime("%Y-%m-%d"),
        )
    }
}

/// The arguments that this was called with.
fn command() -> String {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    arguments.join(" ")
}

impl From<&Report> for Taken {
    fn from(report: &Report) -> Self {
        Self {
            commit: report.commit.clone(),
            command: command(),
            started: report.started,
            machine: report.machine.clone(),
            nodes: report.nodes,
            pods: report.pods,
            api_servers: report.api_servers,
        }
    }
}

impl ProofArgs {
    /// Writes a proof, if there is to be one: a title, where and when, and its parts.
    pub(super) fn keep(
        &self,
        title: &str,
        taken: impl Into<Taken>,
        parts: &[String],
    ) -> Result<()> {
        self.write(&page(title, &taken.into(), parts))
    }

    /// Writes what is told already, if there is to be a proof.
    pub(super) fn write(&self, page: &str) -> Result<()> {
        let Some(path) = &self.proof else {
            return Ok(());
        };
        report::write_whole(path, page.as_bytes())?;
        line(&format!("proof: {}", path.display()));
        Ok(())
    }
}

fn page(title: &str, taken: &Taken, parts: &[String]) -> String {
    let mut page = format!("# {title}\n\n{}", taken.told());
    for part in parts {
        // Writing to a String cannot fail.
        write!(page, "\n{}\n", part.trim_end()).ok();
    }
    page
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
    let rows = reports.iter().filter_map(|report| {
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
            in_flight.bytes.map_or_else(none, |bytes| {
                format!("{:.0}", per_second(bytes, &in_flight) / 1e3)
            }),
            format!("{peak_rss_mib:.0}"),
        ])
    });
    format!(
        "What Weir used (within {IDLE_AFTER} s of its start some of its records are written for the first \
         time: only a longer idle time says what idling costs):\n\n{}",
        markdown(&headed(head, rows))
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::{State, tests::report};

    #[test]
    fn a_proof_says_where_when_and_how() {
        let report = report("pod-lister", true, State::Held);
        let taken = Taken {
            command: "repeat --runs 10".to_owned(),
            ..Taken::from(&report)
        };
        let page = page("Title", &taken, &["It held.".to_owned()]);
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
