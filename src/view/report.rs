//! What Weir did, or in shadow would have done: from GuardedRollouts and Events to a table of holds.
//!
//! Events are kept for an hour as a rule: what is older is told only as far as the records hold it.

mod holds;
#[cfg(test)]
mod tests;
mod text;

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use serde::Serialize;
use weir_core::time::Moment;

use self::holds::{Told, holds};
use super::figures;
use crate::api::{
    ForecastStatus, GuardedRollout, IncidentStatus, Mode, PointStatus, Resource, State, times,
};

pub use self::text::render;

/// What Weir did since a moment.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Report {
    /// Since when.
    pub since: Time,
    /// The oldest Event of Weir's that is still there, if any is.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub oldest_event: Option<Time>,
    /// Rollouts that began, or of which something was told, since then.
    pub rollouts: Vec<Rollout>,
    /// Why something is missing.
    pub unknown: Vec<String>,
}

/// One rollout.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Rollout {
    /// Its namespace.
    pub namespace: String,
    /// The GuardedRollout's name.
    pub name: String,
    /// Where it stands; none before Weir has judged it, or once its record is gone.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub state: Option<State>,
    /// How far Weir goes with it.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub mode: Option<Mode>,
    /// Pods that are out.
    pub width: u32,
    /// Pods that the workload wants.
    pub full_width: u32,
    /// Its holds, the oldest first.
    pub holds: Vec<Hold>,
    /// Holds like some of these that are only counted: Events that repeat keep their first and last time.
    pub like_these: u32,
    /// What people did, in Weir's words, each with its time.
    pub people: Vec<String>,
    /// The last incident that its record tells, if any of it was lately.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentStatus>,
    /// What was foreseen, beside what was seen.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecast: Option<Foreseen>,
}

/// One hold, or in shadow one that would have been.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Hold {
    /// When it began.
    pub began: Time,
    /// How long it lasted, or has lasted so far, in seconds.
    pub seconds: u64,
    /// Whether nothing says when it ended: it lasted for that long at least.
    pub at_least: bool,
    /// Whether it still stands.
    pub stands: bool,
    /// Whether the rollout went on at its own pace all the same.
    pub would_be: bool,
    /// Why, once for each fault that came to lead it.
    pub why: Vec<String>,
}

/// What was foreseen of the CPU of the busiest API server, beside what was seen.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Foreseen {
    /// For so many pods, in words: the most likely figure and its interval.
    pub at_full: String,
    /// What there is, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub capacity: Option<f64>,
    /// The widest width that was seen, and what all API servers used then, in cores.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub seen: Option<(u32, f64)>,
    /// What the widths up to half of that one tell of it by themselves; none where they are too few.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub from_half: Option<FromHalf>,
}

/// What narrow widths foretold of a wide one: a straight line through them, which knows nothing of what came
/// later.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct FromHalf {
    /// The widest of the widths that it goes through.
    pub up_to: u32,
    /// What it says that all API servers would use at the widest width that was seen, in cores.
    pub cores: f64,
}

/// Sums up.
#[must_use]
pub fn report(
    rollouts: &[GuardedRollout],
    events: &[Event],
    since: Moment,
    now: Moment,
    unknown: Vec<String>,
) -> Report {
    let mut told: BTreeMap<(String, String), Vec<Told<'_>>> = BTreeMap::new();
    for event in events {
        let Some(record) = event.related.as_ref() else {
            continue;
        };
        let key = (
            record.namespace.clone().unwrap_or_default(),
            record.name.clone().unwrap_or_default(),
        );
        told.entry(key).or_default().extend(Told::of(event));
    }
    for events in told.values_mut() {
        events.sort_by_key(|told| told.at);
    }
    let oldest = told.values().flatten().map(|told| told.at).min();
    let mut all: BTreeMap<(String, String), Option<&GuardedRollout>> =
        told.keys().map(|key| (key.clone(), None)).collect();
    for one in rollouts {
        let meta = &one.metadata;
        let key = (
            meta.namespace.clone().unwrap_or_default(),
            meta.name.clone().unwrap_or_default(),
        );
        all.insert(key, Some(one));
    }
    let none = Vec::new();
    let rollouts = all.into_iter().filter_map(|(key, record)| {
        let events = told.get(&key).unwrap_or(&none);
        let begun = record.and_then(|record| record.metadata.creation_timestamp.as_ref());
        let is_new = begun.is_some_and(|begun| times::moment(begun.0) >= since);
        let rollout = rollout(key, record, events, since, now);
        let is_told =
            !rollout.holds.is_empty() || !rollout.people.is_empty() || rollout.incident.is_some();
        (is_new || is_told).then_some(rollout)
    });
    Report {
        since: times::time(since),
        oldest_event: oldest.map(times::time),
        rollouts: rollouts.collect(),
        unknown,
    }
}

fn rollout(
    (namespace, name): (String, String),
    record: Option<&GuardedRollout>,
    events: &[Told<'_>],
    since: Moment,
    now: Moment,
) -> Rollout {
    let status = record.and_then(|record| record.status.clone());
    let status = status.unwrap_or_default();
    let mut holds = holds(events, &status, now);
    holds.retain(|hold| hold.stands || times::moment(hold.began.0) >= since);
    let lately = || events.iter().filter(move |told| told.at >= since);
    let people = lately().filter(|told| told.reason().ends_with("ByPerson"));
    let like_these = lately().filter(|told| told.reason() == "RolloutHeld");
    Rollout {
        namespace,
        name,
        state: status.state,
        mode: status.mode,
        width: status.width,
        full_width: status.full_width,
        holds,
        like_these: like_these.map(|told| told.between).sum(),
        people: people
            .map(|told| format!("{} {}", times::time(told.at).0, told.note()))
            .collect(),
        incident: status
            .incident
            .filter(|incident| is_lately(incident, status.state, since)),
        forecast: status.forecast.as_ref().and_then(foreseen),
    }
}

/// Whether it ended after a moment, if it did. Of a rollout that is no longer followed nobody sees the end.
fn is_lately(incident: &IncidentStatus, state: Option<State>, since: Moment) -> bool {
    let is_followed = !matches!(
        state,
        Some(State::Complete | State::LetGo | State::Superseded)
    );
    let ended = incident.mitigated.as_ref();
    let last = ended.or(Some(&incident.seen).filter(|_| !is_followed));
    last.is_none_or(|last| times::moment(last.0) >= since)
}

fn foreseen(forecast: &ForecastStatus) -> Option<Foreseen> {
    let mut resources = forecast.resources.iter();
    let cpu = resources.find(|one| one.resource == Resource::Cpu)?;
    let widest = forecast.points.iter().max_by_key(|point| point.width);
    Some(Foreseen {
        at_full: figures::interval(Resource::Cpu, &cpu.at_full),
        capacity: cpu.capacity,
        seen: widest.map(|point| (point.width, point.cpu_cores)),
        from_half: widest.and_then(|widest| from_half(&forecast.points, widest.width)),
    })
}

/// A straight line through the widths up to half of `width`, by least squares, each with the weight of its
/// windows. The forecast of now would know the outcome that it is compared with.
fn from_half(points: &[PointStatus], width: u32) -> Option<FromHalf> {
    let narrow: Vec<&PointStatus> = points
        .iter()
        .filter(|point| point.width <= width / 2 && point.windows > 0)
        .collect();
    if narrow.len() < 3 {
        return None;
    }
    let sum = |of: fn(f64, f64) -> f64| -> f64 {
        let terms = narrow.iter().map(|point| {
            let weight = f64::from(point.windows);
            weight * of(f64::from(point.width), point.cpu_cores)
        });
        terms.sum()
    };
    let (all, x, y) = (sum(|_, _| 1.0), sum(|x, _| x), sum(|_, y| y));
    let (xx, xy) = (sum(|x, _| x * x), sum(|x, y| x * y));
    let spread = all * xx - x * x;
    if spread <= 0.0 {
        return None;
    }
    let slope = (all * xy - x * y) / spread;
    let cores = (y - slope * x) / all + slope * f64::from(width);
    Some(FromHalf {
        up_to: narrow.iter().map(|point| point.width).max()?,
        cores: cores.max(0.0),
    })
}
