//! Events about one rollout, and its record → its holds, with when each began and ended.

use k8s_openapi::api::core::v1::Event;
use weir_core::time::{Moment, Span};

use super::Hold;
use crate::api::{self, GuardedRolloutStatus, State, marks::conditions, times};

/// What tells that a rollout goes on, or that Weir holds it no longer. A person's pause ends Weir's hold as
/// far as anybody can see.
const ENDS: [&str; 7] = [
    "RolloutResumed",
    "RolloutComplete",
    "RolloutPaced",
    "RolloutLetGo",
    "RolloutNoLongerGuarded",
    "RolloutPaused",
    "WaveReleased",
];

/// One time at which an Event was told.
#[derive(Debug, Clone, Copy)]
pub(super) struct Told<'a> {
    pub(super) at: Moment,
    event: &'a Event,
    /// How often it was told between its first and its last time, which are all that it keeps.
    pub(super) between: u32,
}

impl<'a> Told<'a> {
    /// The times that an Event keeps: its first, and its last if it was told again.
    pub(super) fn of(event: &'a Event) -> Vec<Self> {
        let exact = event.event_time.as_ref().map(|time| times::moment(time.0));
        let coarse = event.first_timestamp.as_ref();
        let Some(first) = exact.or_else(|| coarse.map(|time| times::moment(time.0))) else {
            return Vec::new();
        };
        let series = event.series.as_ref();
        let again = series.and_then(|series| series.last_observed_time.as_ref());
        let again = again.map(|time| times::moment(time.0));
        let coarse = event.last_timestamp.as_ref();
        let again = again.or_else(|| coarse.map(|time| times::moment(time.0)));
        let count = series.and_then(|series| series.count).or(event.count);
        let between = u32::try_from(count.unwrap_or(1)).unwrap_or(1);
        let mut told = vec![Self {
            at: first,
            event,
            between: 0,
        }];
        told.extend(again.filter(|again| *again > first).map(|at| Self {
            at,
            event,
            between: between.saturating_sub(2),
        }));
        told
    }

    pub(super) fn reason(&self) -> &'a str {
        self.event.reason.as_deref().unwrap_or_default()
    }

    pub(super) fn note(&self) -> &'a str {
        self.event.message.as_deref().unwrap_or_default()
    }
}

/// The holds that Events tell, in their order, and the one that the record tells.
pub(super) fn holds(events: &[Told<'_>], status: &GuardedRolloutStatus, now: Moment) -> Vec<Hold> {
    let mut holds: Vec<Hold> = Vec::new();
    for told in events {
        let open = holds.last_mut().filter(|hold| hold.stands);
        match (told.reason(), open) {
            ("RolloutHeld", Some(hold)) => {
                let why = why(told.note());
                if !hold.why.contains(&why) {
                    hold.why.push(why);
                }
            }
            ("RolloutHeld", None) => holds.push(Hold {
                began: times::time(told.at),
                seconds: 0,
                at_least: false,
                stands: true,
                would_be: told.note().starts_with("Would be"),
                why: vec![why(told.note())],
            }),
            (reason, Some(hold)) if ENDS.contains(&reason) => end(hold, told.at),
            _ => {}
        }
    }
    // What the record says goes before Events, which may be gone or dropped.
    match holds.last_mut().filter(|hold| hold.stands) {
        Some(hold) if status.state == Some(State::Held) => {
            hold.seconds = seconds(now.since(times::moment(hold.began.0)));
        }
        Some(hold) => end_unseen(hold, events, status),
        None if status.state == Some(State::Held) => holds.extend(on_record(status, now)),
        None => {}
    }
    holds
}

fn end(hold: &mut Hold, at: Moment) {
    hold.stands = false;
    hold.seconds = seconds(at.since(times::moment(hold.began.0)));
}

/// Ends a hold of which no Event tells the end: as the record's condition says, or else it is only known for
/// how long it lasted at least.
fn end_unseen(hold: &mut Hold, events: &[Told<'_>], status: &GuardedRolloutStatus) {
    let began = times::moment(hold.began.0);
    let mut conditions = status.conditions.iter();
    let over = conditions.find(|one| one.type_ == conditions::HELD && one.status == "False");
    let over = over.map(|one| times::moment(one.last_transition_time.0));
    if let Some(over) = over.filter(|over| *over >= began) {
        end(hold, over);
    } else {
        let last = events.iter().map(|told| told.at).max();
        end(hold, last.unwrap_or(began));
        hold.at_least = true;
    }
}

/// The hold that the record tells, if its Events are gone.
fn on_record(status: &GuardedRolloutStatus, now: Moment) -> Option<Hold> {
    let mut conditions = status.conditions.iter();
    let held = conditions.find(|one| one.type_ == conditions::HELD && one.status == "True")?;
    Some(Hold {
        began: held.last_transition_time.clone(),
        seconds: seconds(now.since(times::moment(held.last_transition_time.0))),
        at_least: false,
        stands: true,
        would_be: !api::Hold::of(status)?.enforced,
        why: vec![held.message.clone()],
    })
}

/// The reason out of an Event's note: what stands between where it was held and what to do.
fn why(note: &str) -> String {
    let reason = note.split_once("pods: ").map_or(note, |(_, rest)| rest);
    let end = reason.find(". Goes on by itself").unwrap_or(reason.len());
    reason[..end].lines().next().unwrap_or_default().to_owned()
}

const fn seconds(span: Span) -> u64 {
    span.as_millis() / 1000
}
