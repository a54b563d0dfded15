//! What one experiment found, as JSON. The schema is published in docs/reference; these types are its
//! source. Nothing here measures or judges.

mod beside;
mod cost_chart;
pub mod demo;
pub mod foreseen;
pub mod html;
pub mod machine;
mod plot;
pub mod saturated;
pub mod terminal;
pub mod truth;

use std::{collections::BTreeMap, fs, io::Write, path::Path};

use anyhow::{Context, Result};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::api::ForecastStatus;

pub use self::beside::{Beside, Joined, LoopsUse};
use self::{foreseen::ForecastAt, machine::Machine};
use crate::{
    bystander::stats::{Harm, Latency, LatencyAt},
    profile::Ending,
};

/// One rollout of one profile, guarded or not. Times are seconds from the rollout's start, that is
/// from when its DaemonSet was created or updated; what came before it is negative.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
#[schemars(title = "Report of one experiment of Weir's lab")]
pub struct Report {
    /// When the rollout began, in UTC.
    #[schemars(with = "String", extend("format" = "date-time"))]
    pub started: jiff::Timestamp,
    /// The commit of the repository that was run, with `-dirty` if it was changed; null if unknown.
    pub commit: Option<String>,
    /// Where it was run.
    pub machine: Machine,
    /// Nodes, and with that pods at full width.
    pub nodes: u32,
    /// Background pods.
    pub pods: u32,
    /// API servers.
    pub api_servers: u32,
    /// The profile's name.
    pub profile: String,
    /// What the profile's agent does, in a line.
    pub about: String,
    /// What one of its agents asks again and again, in calls a second; null if nothing.
    pub asks_per_second: Option<f64>,
    /// Whether Weir guarded the rollout.
    pub guarded: bool,
    /// Whether it updated a revision that ran everywhere; else the workload was new.
    pub update: bool,
    /// The profile of that revision's agents; null if they called nothing, or there was none.
    pub updated_from: Option<String>,
    /// The policy's pace; null if unguarded.
    pub pace: Option<String>,
    /// How it ended.
    pub state: State,
    /// Whether it was ended by the experiment's time-out rather than by an end of its own.
    pub timed_out: bool,
    /// Pods at full width.
    pub full_width: u32,
    /// The width over time: a point for each second.
    pub width: Vec<WidthAt>,
    /// Every change of the guard's state that was seen; empty if unguarded.
    pub states: Vec<StateAt>,
    /// The width at the last hold; null if it was never held.
    pub held_at_width: Option<u32>,
    /// The same as a share of full width, 0 to 1.
    pub held_at_share: Option<f64>,
    /// What held it last, as its status said; null if it was never held.
    pub held_by: Option<String>,
    /// The least that Weir multiplied its waves by, 1 if nothing slowed them down; null if it did not
    /// say so.
    pub slowest_pace: Option<f64>,
    /// The last forecast that was seen; null if there was none.
    pub forecast: Option<ForecastStatus>,
    /// Every forecast that was seen; of more than 120, every second of the older ones is left out.
    pub forecasts: Vec<ForecastAt>,
    /// What Weir found at any time, each once, in the order of appearance.
    pub findings: Vec<FoundAt>,
    /// What was rolled out beside it; null if nothing was.
    pub beside: Option<Beside>,
    /// What another account asked meanwhile; null if none was to.
    pub loops: Option<LoopsUse>,
    /// What nodes that joined after it did to others; null if none were to.
    pub joined: Option<Joined>,
    /// Whether others were harmed.
    pub harm: Harm,
    /// From the first harm to the hold; null where nobody was harmed, where the rollout was already
    /// held when harm began, and where it was not held after that.
    pub seconds_to_hold: Option<f64>,
    /// Until all pods ran and, if guarded, the rollout was Complete or Paced; null if it did not come to
    /// that.
    pub seconds_to_complete: Option<f64>,
    /// What a quiet client felt.
    pub bystander: Bystander,
    /// What the API servers used.
    pub api_server: ApiServer,
    /// What the agents did.
    pub swarm: SwarmUse,
    /// What Weir used; null if unguarded.
    pub weir: Option<WeirUse>,
    /// Whether it ended as the profile expects; null if it expects nothing.
    pub expected: Option<Expected>,
}

/// How a rollout ended: the states of a GuardedRollout, and for an unguarded one `Complete` once all
/// its pods ran, else `Progressing`.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Before the first wave.
    Pending,
    /// On its way.
    Progressing,
    /// A wave is out and observed.
    Soaking,
    /// Nothing more is let through.
    Held,
    /// Paused by a person.
    Paused,
    /// Everywhere, and let through one by one for ever.
    Paced,
    /// Everywhere, and approved.
    Complete,
    /// Let through without an end to its soak, since nobody asked for the guard any longer.
    LetGo,
    /// Not guarded, for the reason that its condition gives.
    Refused,
    /// Overtaken by another revision.
    Superseded,
}

/// The width in one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WidthAt {
    /// The second.
    pub second: f64,
    /// Pods of the revision that are let through.
    pub width: u32,
    /// Of those, running.
    pub running: u32,
}

/// A change of the guard's state.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct StateAt {
    /// The second in which the lab saw it.
    pub second: f64,
    /// The state from then on.
    pub state: State,
    /// The width that its status said.
    pub width: u32,
    /// What it said holds the rollout, as last said in this state; null where nothing does.
    pub held_by: Option<String>,
    /// Weir's own sentence.
    pub summary: String,
}

/// How often a rollout was held.
#[must_use]
pub fn holds(states: &[StateAt]) -> usize {
    let held = states.iter().filter(|at| at.state == State::Held);
    held.count()
}

/// Whether it was held in this second.
#[must_use]
pub fn was_held_at(states: &[StateAt], second: f64) -> bool {
    let last = states.iter().rfind(|at| at.second <= second);
    last.is_some_and(|at| at.state == State::Held)
}

/// Something that Weir found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct FoundAt {
    /// The second in which the lab first saw it.
    pub second: f64,
    /// The rule, such as `LatencyRegressed`.
    pub reason: String,
    /// `Hold` or `Notice`.
    pub severity: String,
    /// What it was found on.
    pub subject: String,
    /// Its first evidence.
    pub evidence: String,
    /// Its last evidence: who else rose, for example, is known only after a while.
    pub last_evidence: String,
    /// What would clear it.
    pub clears_when: String,
}

/// What a quiet client felt.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Bystander {
    /// Before the rollout.
    pub idle: Latency,
    /// Whether it was calm before that: else nothing that follows says anything.
    pub calm: bool,
    /// From its start to the experiment's end.
    pub during: Latency,
    /// Of that, before any of its agents ran: what the creation of its pods took, which nobody holds.
    #[serde(default)]
    pub creation: Latency,
    /// Of that, from its first agent's start on; none if none ran.
    #[serde(default)]
    pub agents: Option<Latency>,
    /// The 99th percentile of the worst ten seconds in a row of that, in milliseconds.
    pub worst_p99_ms: f64,
    /// By the second.
    pub series: Vec<LatencyAt>,
}

impl Bystander {
    /// What it felt of the agents: of all that was, where none of them ran.
    #[must_use]
    pub fn of_agents(&self) -> &Latency {
        self.agents.as_ref().unwrap_or(&self.during)
    }

    /// How many times slower the slowest hundredth became.
    #[must_use]
    pub fn p99_factor(&self) -> f64 {
        // An idle p99 below 0.1 ms is no latency that was measured.
        self.during.p99_ms / self.idle.p99_ms.max(0.1)
    }
}

/// What the API servers used, all together.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiServer {
    /// The most cores used in a second.
    pub peak_cpu_cores: f64,
    /// The most memory, resident, in MiB.
    pub peak_rss_mib: f64,
    /// Requests refused with 429 from the rollout's start on.
    pub rejected: u64,
    /// By the second.
    pub series: Vec<ApiServerAt>,
}

/// The API servers in one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ApiServerAt {
    /// The second.
    pub second: f64,
    /// Cores used.
    pub cpu_cores: f64,
    /// Resident memory in MiB.
    pub rss_mib: f64,
    /// Requests refused with 429 since the last reading, which is made every five seconds from the
    /// servers' own metrics; null in between, and while they do not answer.
    pub rejected: Option<u64>,
}

/// What the agents did.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SwarmUse {
    /// Requests sent.
    pub requests: u64,
    /// Of those, answered well, and to the end; watches have no end and are not counted.
    pub answered: u64,
    /// Of those, answered with 429.
    pub rejected: u64,
    /// Of those, failed otherwise.
    pub errors: u64,
    /// Bytes of answers, compressed where the agent accepts it.
    pub bytes: u64,
    /// Failures by kind.
    pub failures: BTreeMap<String, u64>,
    /// By the second.
    pub series: Vec<SwarmAt>,
}

/// The agents in one second.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct SwarmAt {
    /// The second.
    pub second: f64,
    /// Agents at work.
    pub agents: u64,
    /// Watches held open.
    pub watches: u64,
    /// Requests sent in it.
    pub requests: u64,
    /// Of those that ended in it, answered well.
    pub answered: u64,
    /// Of those that ended in it, answered with 429.
    pub rejected: u64,
    /// Of those that ended in it, failed otherwise.
    pub errors: u64,
    /// Bytes of answers in it.
    pub bytes: u64,
}

/// What Weir used.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct WeirUse {
    /// Requests to the API servers per second, from its start to the end of `in_flight`.
    pub requests_per_second: f64,
    /// Of its requests, writes.
    pub writes: u64,
    /// Bytes of answers; null if Weir did not say.
    pub bytes: Option<u64>,
    /// The most memory, resident, in MiB.
    pub peak_rss_mib: f64,
    /// Before the rollout, once it was ready: its start is not idle time.
    pub idle: Use,
    /// From the rollout's start until it was complete, else to the experiment's end.
    pub in_flight: Use,
}

/// What Weir used over a stretch of time.
#[derive(Debug, Clone, Copy, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Use {
    /// How long the stretch was.
    pub seconds: f64,
    /// Requests per second.
    pub requests_per_second: f64,
    /// Writes.
    pub writes: u64,
    /// Bytes of answers; null if Weir did not say.
    pub bytes: Option<u64>,
}

/// Whether it ended as the profile expects.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Expected {
    /// How it must end under the guard.
    pub ends: Ending,
    /// Whether this run is as it must be: guarded, it ended so, by harm to the API servers where it
    /// must be held; unguarded, it harmed, unless the profile is harmless.
    pub met: bool,
    /// Why not, if it is not.
    pub why: Option<String>,
}

impl Report {
    /// Reads what [`Self::write`] has written.
    pub fn read(path: &Path) -> Result<Self> {
        let shown = path.display();
        let json = fs::read(path).with_context(|| format!("cannot read {shown}"))?;
        serde_json::from_slice(&json).with_context(|| format!("{shown} is no report of the lab"))
    }

    /// Writes the report as JSON, whole or not at all.
    pub fn write(&self, path: &Path) -> Result<()> {
        write_json(path, self)
    }
}

/// Writes a value as JSON, whole or not at all.
pub fn write_json(path: &Path, value: &impl Serialize) -> Result<()> {
    let mut json = serde_json::to_vec_pretty(value)?;
    json.push(b'\n');
    write_whole(path, &json)
}

/// Writes a file beside its place and moves it there, so that nobody ever reads half of it.
pub fn write_whole(path: &Path, bytes: &[u8]) -> Result<()> {
    let shown = path.display();
    let folder = path
        .parent()
        .filter(|folder| !folder.as_os_str().is_empty());
    if let Some(folder) = folder {
        fs::create_dir_all(folder).with_context(|| format!("cannot make the folder of {shown}"))?;
    }
    let mut beside = path.as_os_str().to_owned();
    beside.push(format!(".{}", std::process::id()));
    let written = fs::File::create(&beside)
        .and_then(|mut file| file.write_all(bytes).and_then(|()| file.sync_all()))
        .and_then(|()| fs::rename(&beside, path));
    if written.is_err() {
        // What is left of it is no report; that it could not be removed either changes nothing.
        fs::remove_file(&beside).ok();
    }
    written.with_context(|| format!("cannot write {shown}; choose another place"))
}

/// The JSON schema of a report, as published.
#[must_use]
pub fn schema() -> String {
    let schema = schemars::schema_for!(Report);
    format!(
        "{schema:#}\n",
        schema = serde_json::to_value(&schema).unwrap_or_default()
    )
}

#[cfg(test)]
pub(crate) mod tests;
