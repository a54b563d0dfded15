//! `kubectl weir explain`: why a rollout stands where it stands, and what full width would cost.
//!
//! All of it is in the GuardedRollout's status, so that it can be told while the operator is down.

mod forecast;
mod plot;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;

use crate::api::{
    Finding, ForecastStatus, GuardedRollout, GuardedRolloutSpec, Hold, IncidentStatus, Mode, State,
    WorkloadRef,
};

pub use text::render;

/// One rollout, explained; also the document of `-o json` and `-o yaml`.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Explanation {
    /// Its namespace.
    pub namespace: String,
    /// The GuardedRollout's name.
    pub name: String,
    /// The workload.
    pub workload: WorkloadRef,
    /// The hash of the workload's controller revision.
    pub revision: String,
    /// Whether anything but a person holds it; in shadow, whether it would. The exit code is then 1.
    pub held: bool,
    /// Where it stands; none before Weir has judged it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How far Weir goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// The most severe finding that holds it, while one does.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub held_by: Option<String>,
    /// One sentence that says what is going on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub summary: Option<String>,
    /// Waves begun.
    pub wave: u32,
    /// Pods of this revision that are let through.
    pub width: u32,
    /// Pods that the workload wants.
    pub full_width: u32,
    /// Nodes that wait for a pod.
    pub nodes_without_pod: u32,
    /// The policies that it is judged by; none means the built-in one.
    pub policies: Vec<String>,
    /// What was found, the most severe first.
    pub findings: Vec<Finding>,
    /// Findings that its status had no room for.
    pub findings_omitted: u32,
    /// The incident that goes on, or the last one.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentStatus>,
    /// What full width would cost.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastStatus>,
    /// Why there is no forecast, where there is none.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub no_forecast: Option<String>,
}

/// What a GuardedRollout says of its rollout.
#[must_use]
pub fn explain(object: GuardedRollout) -> Explanation {
    let GuardedRolloutSpec {
        workload, revision, ..
    } = object.spec;
    let status = object.status.unwrap_or_default();
    let no_forecast = match &status.forecast {
        Some(_) => None,
        None => Some(no_forecast(status.state, status.mode).to_owned()),
    };
    Explanation {
        namespace: object.metadata.namespace.unwrap_or_default(),
        name: object.metadata.name.unwrap_or_default(),
        workload,
        revision,
        held: Hold::of(&status).is_some(),
        state: status.state,
        mode: status.mode,
        held_by: status.held_by,
        summary: status.summary,
        wave: status.wave,
        width: status.width,
        full_width: status.full_width,
        nodes_without_pod: status.nodes_without_pod,
        policies: status.policies,
        findings: status.findings,
        findings_omitted: status.findings_omitted.unwrap_or_default(),
        incident: status.incident,
        forecast: status.forecast,
        no_forecast,
    }
}

fn no_forecast(state: Option<State>, mode: Option<Mode>) -> &'static str {
    match (state, mode) {
        (None, _) => "Weir has not judged this rollout yet: is the operator running?",
        (Some(State::Refused), _) => "Weir does not guard this rollout; the summary says why",
        (_, Some(Mode::Observe)) => "in mode observe Weir only reads, and forecasts nothing",
        (Some(State::Pending), _) => {
            "nothing was let through yet, and cost is learnt from the first pods"
        }
        (Some(State::Superseded), _) => {
            "the workload went on to another revision before one was made"
        }
        (
            Some(
                State::Progressing
                | State::Soaking
                | State::Held
                | State::Paused
                | State::Paced
                | State::Complete
                | State::LetGo,
            ),
            _,
        ) => "Weir has not seen the API servers' counters beside this rollout's pods yet",
    }
}
