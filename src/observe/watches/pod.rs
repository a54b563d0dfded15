//! Pod → [`PodView`].
//!
//! ```text
//!  Gated ──▶ Unscheduled ──▶ Starting ◀──▶ Ready
//!                                └───▶ Failing ◀──┘
//! ```
//!
//! A pod that restarted fails for as long as the kubelet remembers it, even while it is ready: a
//! crash loop is ready most of the time.

use k8s_openapi::{
    api::core::v1::{NodeSelectorTerm, Pod, PodSchedulingGate},
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde::Deserialize;
use weir_core::{
    evidence::{PodRow, PodState},
    time::{Moment, Span},
};

use super::slim::{Keep, Seen};
use crate::{
    api::{marks, times::moment},
    observe::cluster::{PodView, Restarts},
    valve::REVISION_HASH,
};

/// How long a restart counts as failing: a container that ran for ten minutes starts with a fresh
/// back-off at the kubelet, too.
const RESTART_COUNTS: Span = Span::from_secs(600);

/// How Pods are read.
pub(in crate::observe) struct Pods;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    #[serde(default)]
    spec: Spec,
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    node_name: Option<String>,
    scheduling_gates: Option<Vec<PodSchedulingGate>>,
    affinity: Option<Affinity>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Affinity {
    node_affinity: Option<NodeAffinity>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeAffinity {
    required_during_scheduling_ignored_during_execution: Option<NodeSelector>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct NodeSelector {
    node_selector_terms: Vec<NodeSelectorTerm>,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    phase: Option<String>,
    conditions: Option<Vec<Condition>>,
    container_statuses: Option<Vec<Container>>,
    init_container_statuses: Option<Vec<Container>>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    last_transition_time: Option<Time>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Container {
    restart_count: u32,
    #[serde(default)]
    state: ContainerState,
    #[serde(default)]
    last_state: ContainerState,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct ContainerState {
    waiting: Option<Waiting>,
    terminated: Option<Terminated>,
}

#[derive(Debug, Clone, Deserialize)]
struct Waiting {
    reason: Option<String>,
}

#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Terminated {
    #[serde(default)]
    exit_code: i32,
    finished_at: Option<Time>,
}

impl Keep for Pods {
    type Kind = Pod;
    type Body = Body;
    type Key = String;
    type Row = PodView;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Body,
        Seen { now, before }: Seen<'_, PodView>,
    ) -> Result<Option<PodView>, String> {
        let uid = meta.uid.clone().ok_or("it has no uid")?;
        // Another pod may have come to have the name.
        let before = before.filter(|before| before.uid == uid);
        let otherwise = body.state();
        let restarts = Restarts {
            last: body.last_restart(before, now),
            count: body.restarts(),
            otherwise,
        };
        let state = restarts.state(now);
        let since = match before {
            Some(before) if before.row.state == state => before.row.since,
            Some(_) => now,
            None => body
                .since(state, meta, &restarts)
                .map_or(now, |since| since.min(now)),
        };
        let annotations = meta.annotations.as_ref();
        let labels = meta.labels.as_ref();
        Ok(Some(PodView {
            row: PodRow {
                node: body.node().unwrap_or_default().to_owned(),
                state,
                since,
                placed: body.placed(),
                born_gated: annotations.is_some_and(|has| has.contains_key(marks::REVISION)),
            },
            revision: labels
                .and_then(|has| has.get(REVISION_HASH))
                .cloned()
                .unwrap_or_default(),
            uid,
            deleting: meta.deletion_timestamp.is_some(),
            restarts,
        }))
    }

    fn aged(&self, row: &PodView, now: Moment) -> Option<PodView> {
        let state = row.restarts.state(now);
        (state != row.row.state).then(|| {
            let mut aged = row.clone();
            aged.row.state = state;
            aged.row.since = now;
            aged
        })
    }
}

impl Restarts {
    /// What the pod is doing, all told.
    fn state(&self, now: Moment) -> PodState {
        let counts = self
            .last
            .is_some_and(|last| now.since(last) < RESTART_COUNTS);
        if counts {
            PodState::Failing
        } else {
            self.otherwise
        }
    }
}

impl Body {
    /// What the pod is doing, its past restarts aside.
    fn state(&self) -> PodState {
        let mut gates = self.spec.scheduling_gates.iter().flatten();
        if gates.any(|gate| gate.name == marks::GATE) {
            PodState::Gated
        } else if self.spec.node_name.is_none() {
            PodState::Unscheduled
        } else if self.is_failing() {
            PodState::Failing
        } else if self
            .condition("Ready")
            .is_some_and(|ready| ready.status == "True")
        {
            PodState::Ready
        } else {
            PodState::Starting
        }
    }

    /// A pod of a DaemonSet is never done: one that has ended, in whatever phase, has failed.
    fn is_failing(&self) -> bool {
        matches!(self.status.phase.as_deref(), Some("Failed" | "Succeeded"))
            || self.containers().any(Container::is_failing)
            || self
                .status
                .container_statuses
                .iter()
                .flatten()
                .any(Container::has_ended)
    }

    fn containers(&self) -> impl Iterator<Item = &Container> {
        let Status {
            container_statuses,
            init_container_statuses,
            ..
        } = &self.status;
        container_statuses
            .iter()
            .chain(init_container_statuses)
            .flatten()
    }

    fn restarts(&self) -> u32 {
        self.containers()
            .map(|container| container.restart_count)
            .fold(0, u32::saturating_add)
    }

    /// When it last restarted: when Weir saw the count grow, or else when the kubelet says that the
    /// run before this one ended.
    fn last_restart(&self, before: Option<&PodView>, now: Moment) -> Option<Moment> {
        let count = self.restarts();
        match before {
            Some(before) if count > before.restarts.count => Some(now),
            Some(before) => before.restarts.last,
            None if count == 0 => None,
            None => {
                let ended = self.containers().filter_map(Container::ended_before).max();
                Some(ended.map_or(now, |ended| ended.min(now)))
            }
        }
    }

    /// The node that it is on, or that the DaemonSet controller made it for.
    fn node(&self) -> Option<&str> {
        if let Some(name) = &self.spec.node_name {
            return Some(name);
        }
        let affinity = self.spec.affinity.as_ref()?.node_affinity.as_ref()?;
        let required = affinity
            .required_during_scheduling_ignored_during_execution
            .as_ref()?;
        let terms = required.node_selector_terms.iter();
        let mut fields = terms.flat_map(|term| term.match_fields.iter().flatten());
        let named = fields.find(|field| field.key == "metadata.name" && field.operator == "In")?;
        named.values.as_ref()?.first().map(String::as_str)
    }

    /// Since when a pod that Weir sees for the first time is in its state, where a time that others
    /// wrote says just that. When a gate was removed is written nowhere.
    fn since(&self, state: PodState, meta: &ObjectMeta, restarts: &Restarts) -> Option<Moment> {
        match state {
            PodState::Gated => meta.creation_timestamp.as_ref().map(|time| moment(time.0)),
            PodState::Unscheduled => None,
            PodState::Starting => self.turned("PodScheduled"),
            PodState::Ready => self.turned("Ready"),
            PodState::Failing => restarts.last,
        }
    }

    /// When it was placed on its node.
    fn placed(&self) -> Option<Moment> {
        self.spec.node_name.as_ref()?;
        self.turned("PodScheduled")
    }

    fn turned(&self, condition: &str) -> Option<Moment> {
        let condition = self.condition(condition)?;
        let turned = condition.last_transition_time.as_ref();
        turned.map(|time| moment(time.0))
    }

    fn condition(&self, name: &str) -> Option<&Condition> {
        let mut conditions = self.status.conditions.iter().flatten();
        conditions.find(|condition| condition.r#type == name)
    }
}

impl Container {
    fn is_failing(&self) -> bool {
        let waiting = self
            .state
            .waiting
            .as_ref()
            .and_then(|waiting| waiting.reason.as_deref());
        let ended = self.state.terminated.as_ref();
        waiting == Some("CrashLoopBackOff") || ended.is_some_and(|ended| ended.exit_code != 0)
    }

    fn has_ended(&self) -> bool {
        self.state.terminated.is_some()
    }

    fn ended_before(&self) -> Option<Moment> {
        self.last_state
            .terminated
            .as_ref()?
            .finished_at
            .as_ref()
            .map(|time| moment(time.0))
    }
}

#[cfg(test)]
mod tests;
