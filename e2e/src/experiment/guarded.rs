//! Follows what Weir says of the rollout: its GuardedRollout, as anybody with kubectl sees it.

use anyhow::{Context, Result, bail};
use futures::StreamExt;
use kube::{
    Api, Client,
    runtime::{WatchStreamExt, watcher, watcher::Event},
};
use tokio::{sync::mpsc, time::Instant};
use weir::api::{self, GuardedRollout};

use super::{forecasts::Forecasts, outcome::Course};
use crate::report::{FoundAt, State, StateAt};

/// A version of the GuardedRollout, and when it was seen.
pub(super) struct Sighting {
    pub(super) at: Instant,
    pub(super) rollout: GuardedRollout,
}

/// Follows the namespace's rollouts until it is dropped. Every version is sent; the admin's requests
/// are exempt from priority levels, but a drowning API server delays them all the same.
pub(super) async fn follow(
    client: Client,
    namespace: String,
    seen: mpsc::UnboundedSender<Sighting>,
) -> Result<()> {
    let rollouts: Api<GuardedRollout> = Api::namespaced(client, &namespace);
    let mut events =
        std::pin::pin!(watcher(rollouts, watcher::Config::default()).default_backoff());
    while let Some(event) = events.next().await {
        let Ok(Event::Apply(rollout) | Event::InitApply(rollout)) = event else {
            continue;
        };
        let at = Instant::now();
        seen.send(Sighting { at, rollout })
            .context("nobody follows any more")?;
    }
    bail!("the watch of {namespace}'s rollouts ended")
}

/// What was learnt from the sightings of one rollout.
#[derive(Debug, Default)]
pub(super) struct Guarded {
    pub(super) findings: Vec<FoundAt>,
    pub(super) forecasts: Forecasts,
}

impl Guarded {
    /// Takes a sighting in; tells what is new for a reader.
    pub(super) fn take(
        &mut self,
        second: f64,
        sighting: &Sighting,
        course: &mut Course,
    ) -> Option<String> {
        let status = sighting.rollout.status.as_ref()?;
        let state = state(status.state?);
        for finding in &status.findings {
            self.note(second, finding);
        }
        if let Some(forecast) = &status.forecast {
            self.forecasts.take(second, status.width, forecast);
        }
        if let Some(history) = &status.history {
            let pace = course.slowest.unwrap_or(f64::INFINITY).min(history.pace);
            course.slowest = Some(pace);
        }
        if let Some(last) = course.states.last_mut()
            && last.state == state
        {
            // Another fault may come to lead a hold.
            last.held_by.clone_from(&status.held_by);
            return None;
        }
        let summary = status.summary.clone().unwrap_or_default();
        let told = format!(
            "Weir: {state:?} at {} of {}: {summary}",
            status.width, status.full_width
        );
        course.states.push(StateAt {
            second,
            state,
            width: status.width,
            held_by: status.held_by.clone(),
            summary,
        });
        Some(told)
    }

    /// Each finding once, with its first evidence and its last.
    fn note(&mut self, second: f64, finding: &api::Finding) {
        let known = self
            .findings
            .iter_mut()
            .find(|found| found.reason == finding.reason && found.subject == finding.subject);
        if let Some(known) = known {
            known.last_evidence.clone_from(&finding.evidence);
            return;
        }
        self.findings.push(FoundAt {
            second,
            reason: finding.reason.clone(),
            severity: format!("{:?}", finding.severity),
            subject: finding.subject.clone(),
            evidence: finding.evidence.clone(),
            last_evidence: finding.evidence.clone(),
            clears_when: finding.clears_when.clone(),
        });
    }
}

const fn state(state: api::State) -> State {
    match state {
        api::State::Pending => State::Pending,
        api::State::Progressing => State::Progressing,
        api::State::Soaking => State::Soaking,
        api::State::Held => State::Held,
        api::State::Paused => State::Paused,
        api::State::Paced => State::Paced,
        api::State::Complete => State::Complete,
        api::State::LetGo => State::LetGo,
        api::State::Refused => State::Refused,
        api::State::Superseded => State::Superseded,
    }
}
