//! What Weir did, or in shadow would have done: from GuardedRollouts and Events to a table of holds.
//!
//! Events are kept for an hour as a rule: what is older is told only as far as the records hold it.

use std::collections::BTreeMap;

use k8s_openapi::{api::core::v1::Event, apimachinery::pkg::apis::meta::v1::Time};
use serde::Serialize;
use weir_core::time::{Moment, Span};

use super::{
    age::age,
    figures,
    style::{BAD, FAINT, HEAD, WARN},
    words,
};
use crate::api::{
    ForecastStatus, GuardedRollout, GuardedRolloutStatus, Mode, Resource, State, marks::conditions,
    times,
};

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
    /// What people did, in Weir's words, each with its time.
    pub people: Vec<String>,
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
    /// Whether what was seen at full width lies within the interval; none before full width.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub within: Option<bool>,
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
    let mut told: BTreeMap<(String, String), Vec<(Moment, &Event)>> = BTreeMap::new();
    for event in events {
        let (Some(at), Some(record)) = (at(event), event.related.as_ref()) else {
            continue;
        };
        let key = (
            record.namespace.clone().unwrap_or_default(),
            record.name.clone().unwrap_or_default(),
        );
        told.entry(key).or_default().push((at, event));
    }
    for events in told.values_mut() {
        events.sort_by_key(|(at, _)| *at);
    }
    let oldest = told.values().flatten().map(|(at, _)| *at).min();
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
        let is_told = !rollout.holds.is_empty() || !rollout.people.is_empty();
        (is_new || is_told).then_some(rollout)
    });
    Report {
        since: times::time(since),
        oldest_event: oldest.map(times::time),
        rollouts: rollouts.collect(),
        unknown,
    }
}

fn at(event: &Event) -> Option<Moment> {
    let exact = event.event_time.as_ref().map(|time| times::moment(time.0));
    let first = || {
        event
            .first_timestamp
            .as_ref()
            .map(|time| times::moment(time.0))
    };
    exact.or_else(first)
}

fn rollout(
    (namespace, name): (String, String),
    record: Option<&GuardedRollout>,
    events: &[(Moment, &Event)],
    since: Moment,
    now: Moment,
) -> Rollout {
    let status = record.and_then(|record| record.status.clone());
    let status = status.unwrap_or_default();
    let mut holds = holds(events, &status, now);
    holds.retain(|hold| hold.stands || times::moment(hold.began.0) >= since);
    let people = events.iter().filter(|(at, event)| {
        let reason = event.reason.as_deref().unwrap_or_default();
        *at >= since && reason.ends_with("ByPerson")
    });
    Rollout {
        namespace,
        name,
        state: status.state,
        mode: status.mode,
        width: status.width,
        full_width: status.full_width,
        holds,
        people: people
            .map(|(at, event)| {
                let note = event.message.as_deref().unwrap_or_default();
                format!("{} {note}", times::time(*at).0)
            })
            .collect(),
        forecast: status.forecast.as_ref().and_then(foreseen),
    }
}

fn holds(events: &[(Moment, &Event)], status: &GuardedRolloutStatus, now: Moment) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for (at, event) in events {
        let open = holds.last_mut().filter(|hold| hold.stands);
        match event.reason.as_deref().unwrap_or_default() {
            "RolloutHeld" => {
                let why = why(event.message.as_deref().unwrap_or_default());
                match open {
                    Some(hold) => hold.why.push(why),
                    None => holds.push(Hold {
                        began: times::time(*at),
                        seconds: 0,
                        stands: true,
                        would_be: event
                            .message
                            .iter()
                            .any(|note| note.starts_with("Would be")),
                        why: vec![why],
                    }),
                }
            }
            "RolloutResumed" | "RolloutComplete" | "RolloutPaced" | "RolloutLetGo" => {
                if let Some(hold) = open {
                    hold.stands = false;
                    hold.seconds = seconds(at.since(times::moment(hold.began.0)));
                }
            }
            _ => {}
        }
    }
    // What the record says goes before Events, which may be gone or dropped.
    let is_held = status.state == Some(State::Held);
    if let Some(hold) = holds.last_mut().filter(|hold| hold.stands) {
        hold.seconds = seconds(now.since(times::moment(hold.began.0)));
        hold.stands = is_held;
    } else if is_held {
        let mut conditions = status.conditions.iter();
        let held = conditions.find(|one| one.type_ == conditions::HELD && one.status == "True");
        holds.extend(held.map(|held| Hold {
            began: held.last_transition_time.clone(),
            seconds: seconds(now.since(times::moment(held.last_transition_time.0))),
            stands: true,
            would_be: status.mode.is_some_and(|mode| mode != Mode::Enforce),
            why: vec![held.message.clone()],
        }));
    }
    holds
}

/// The reason out of an Event's note: what stands between where it was held and what to do.
fn why(note: &str) -> String {
    let reason = note.split_once("pods: ").map_or(note, |(_, rest)| rest);
    let end = reason.find(". Goes on by itself").unwrap_or(reason.len());
    reason[..end].lines().next().unwrap_or_default().to_owned()
}

fn foreseen(forecast: &ForecastStatus) -> Option<Foreseen> {
    let mut resources = forecast.resources.iter();
    let cpu = resources.find(|one| one.resource == Resource::Cpu)?;
    let widest = forecast.points.iter().max_by_key(|point| point.width);
    let seen = widest.map(|point| (point.width, point.cpu_cores));
    let at_full = seen.filter(|(width, _)| *width >= forecast.full_width);
    // Points are of all API servers together, the estimate of the busiest with one missing.
    let alone = forecast.servers <= 1;
    let within = at_full.filter(|_| alone).map(|(_, cores)| {
        let high = cpu.at_full.high.is_none_or(|high| cores <= high);
        cores >= cpu.at_full.low && high
    });
    Some(Foreseen {
        at_full: figures::interval(Resource::Cpu, &cpu.at_full),
        capacity: cpu.capacity,
        seen,
        within,
    })
}

const fn seconds(span: Span) -> u64 {
    span.as_millis() / 1000
}

/// As text, with colours, and a line break at its end.
#[must_use]
pub fn render(report: &Report) -> String {
    let holds = || report.rollouts.iter().flat_map(|one| &one.holds);
    let would_be = holds().filter(|hold| hold.would_be).count();
    let delay: u64 = holds()
        .filter(|hold| !hold.would_be)
        .map(|hold| hold.seconds)
        .sum();
    let mut lines = vec![format!(
        "{HEAD}SINCE{HEAD:#} {}: {} rollouts, {} holds of {} in all, {would_be} that would have been",
        report.since.0,
        report.rollouts.len(),
        holds().count() - would_be,
        age(Span::from_secs(delay))
    )];
    for one in &report.rollouts {
        lines.push(String::new());
        lines.extend(of_rollout(one));
    }
    if let Some(oldest) = report
        .oldest_event
        .as_ref()
        .filter(|oldest| oldest.0 > report.since.0)
    {
        lines.push(String::new());
        lines.push(format!(
            "{FAINT}Events are there since {} only; what is older is told as far as records hold it.{FAINT:#}",
            oldest.0
        ));
    }
    for why in &report.unknown {
        lines.push(format!("{WARN}not known{WARN:#}: {why}"));
    }
    lines.join("\n") + "\n"
}

fn of_rollout(one: &Rollout) -> Vec<String> {
    let (word, style) = words::state(one.state);
    let mode = one.mode.map_or("", words::mode);
    let mut lines = vec![format!(
        "{HEAD}{}/{}{HEAD:#}  {style}{word}{style:#}, {} of {} pods  {FAINT}{mode}{FAINT:#}",
        one.namespace, one.name, one.width, one.full_width
    )];
    for hold in &one.holds {
        let what = if hold.would_be {
            "would be held"
        } else {
            "held"
        };
        let lasts = age(Span::from_secs(hold.seconds));
        let stands = if hold.stands { ", and still is" } else { "" };
        let began = hold.began.0;
        lines.push(format!("  {began}  {BAD}{what}{BAD:#} for {lasts}{stands}"));
        lines.extend(hold.why.iter().map(|why| format!("      {why}")));
    }
    lines.extend(one.people.iter().map(|what| format!("  {what}")));
    lines.extend(one.forecast.as_ref().map(|forecast| {
        let capacity = forecast.capacity.map(figures::cores);
        let capacity = capacity
            .map(|cores| format!(" of {cores}"))
            .unwrap_or_default();
        let seen = forecast
            .seen
            .map(|(width, cores)| format!("; seen at {width} pods: {}", figures::cores(cores)));
        let within = match forecast.within {
            Some(true) => ", as foreseen",
            Some(false) => ", other than foreseen",
            None => "",
        };
        format!(
            "  forecast: CPU at full width {}{capacity}{}{within}",
            forecast.at_full,
            seen.unwrap_or_default()
        )
    }));
    lines
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;

    /// 2026-11-21T10:00:00Z.
    const NOW: Moment = Moment::from_millis(1_795_255_200_000);
    const SINCE: Moment = Moment::from_millis(NOW.as_millis() - 3_600_000);

    fn event(at: &str, reason: &str, note: &str, name: &str) -> Event {
        serde_json::from_value(json!({
            "metadata": { "namespace": "shop", "name": "e" }, "involvedObject": {},
            "related": { "namespace": "shop", "name": name },
            "eventTime": format!("2026-11-21T{at}.000000Z"), "reason": reason, "message": note,
        }))
        .unwrap()
    }

    fn record(name: &str, status: &Value) -> GuardedRollout {
        serde_json::from_value(json!({
            "metadata": {
                "namespace": "shop", "name": name, "creationTimestamp": "2026-11-21T09:30:00Z",
            },
            "spec": { "workload": { "kind": "DaemonSet", "name": name, "uid": "u" }, "revision": "r" },
            "status": status,
        }))
        .unwrap()
    }

    fn plain(report: &Report) -> String {
        anstream::adapter::strip_str(&render(report)).to_string()
    }

    #[test]
    fn each_hold_is_told_with_its_delay_and_the_forecast_with_its_outcome() {
        let estimate = json!({ "low": 0.2, "mid": 0.3, "high": 0.4 });
        let point = json!({ "width": 200, "cpuCores": 0.35, "ownCores": 0.1, "windows": 9 });
        let complete = record(
            "logs-1",
            &json!({
                "state": "Complete", "mode": "Enforce", "width": 200, "fullWidth": 200,
                "forecast": {
                    "fullWidth": 200, "budget": 0.5, "kappa": estimate, "metered": true, "meter": "m",
                    "servers": 1, "points": [point],
                    "resources": [{
                        "resource": "Cpu", "base": 0.1, "fixed": estimate, "perPod": estimate,
                        "atFull": estimate, "capacity": 2.0,
                    }],
                },
            }),
        );
        let held = record(
            "agent-1",
            &json!({
                "state": "Held", "mode": "Shadow", "width": 4, "fullWidth": 200,
            }),
        );
        let note = "Held at 4 of 200 pods: LatencyRegressed (api-a): 400 ms. Until calm. Goes on by \
                    itself. To release it without Weir:\nkubectl patch …";
        let events = [
            event("09:45:00", "RolloutResumed", "Goes on.", "logs-1"),
            event("09:40:00", "RolloutHeld", note, "logs-1"),
            event("09:50:00", "RolloutComplete", "all", "logs-1"),
            event(
                "09:42:00",
                "PausedByPerson",
                "Paused by a person: lunch.",
                "logs-1",
            ),
            event(
                "09:58:00",
                "RolloutHeld",
                "Would be held at 4 of 200 pods: Rejecting (api-a): 9",
                "agent-1",
            ),
        ];
        let report = report(&[complete, held], &events, SINCE, NOW, Vec::new());
        assert_eq!(
            plain(&report),
            "SINCE 2026-11-21T09:00:00Z: 2 rollouts, 1 holds of 5m in all, 1 that would have been\n\
             \n\
             shop/agent-1  Held, 4 of 200 pods  Shadow\n  \
             2026-11-21T09:58:00Z  would be held for 2m, and still is\n      \
             Rejecting (api-a): 9\n\
             \n\
             shop/logs-1  Complete, 200 of 200 pods  Enforce\n  \
             2026-11-21T09:40:00Z  held for 5m\n      \
             LatencyRegressed (api-a): 400 ms. Until calm\n  \
             2026-11-21T09:42:00Z Paused by a person: lunch.\n  \
             forecast: CPU at full width 0.3 (0.2-0.4) of 2 cores; seen at 200 pods: 0.35 cores, as foreseen\n\
             \n\
             Events are there since 2026-11-21T09:40:00Z only; what is older is told as far as records hold it.\n"
        );
    }

    #[test]
    fn a_hold_without_events_is_told_from_its_condition() {
        let held = record(
            "agent-1",
            &json!({
                "state": "Held", "mode": "Enforce", "width": 4, "fullWidth": 200,
                "conditions": [{
                    "type": "Held", "status": "True", "reason": "Rejecting", "message": "Held at 4.",
                    "lastTransitionTime": "2026-11-21T08:00:00Z",
                }],
            }),
        );
        let report = report(&[held], &[], SINCE, NOW, vec!["events: no".to_owned()]);
        let hold = &report.rollouts[0].holds[0];
        assert_eq!(
            (hold.seconds, hold.stands, hold.would_be),
            (7200, true, false)
        );
        assert!(plain(&report).ends_with("not known: events: no\n"));
    }
}
