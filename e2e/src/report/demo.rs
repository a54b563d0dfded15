//! The demo's report: the same rollout without and with Weir, and a harmless one with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Report, State,
    foreseen::{cpu, percent, pods, told},
    holds,
    html::seconds,
    plot::escape,
    saturated::borne,
};
use crate::bystander;

/// A harmful rollout must be held at this share of its full width, or less.
const MOST_SHARE: f64 = 0.02;

/// Three runs in one world.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Demo {
    /// A harmful agent without Weir.
    pub unguarded: Report,
    /// The same agent with Weir.
    pub guarded: Report,
    /// A harmless agent with Weir.
    pub harmless: Report,
}

impl Demo {
    /// What it showed, in plain sentences: the end of the demo.
    #[must_use]
    pub fn summary(&self) -> [String; 3] {
        [
            without(&self.unguarded),
            with(&self.guarded),
            harmless(&self.harmless),
        ]
    }

    /// What was foreseen, and what the unguarded run says of it.
    #[must_use]
    pub fn foresight(&self) -> String {
        let report = &self.guarded;
        let Some((forecast, cpu)) = report
            .forecast
            .as_ref()
            .and_then(|forecast| Some((forecast, cpu(forecast)?)))
        else {
            return "Weir foresaw nothing.".to_owned();
        };
        let seen = forecast.points.iter().map(|point| point.width).max();
        let capacity = cpu
            .capacity
            .map_or_else(String::new, |cores| format!(" of the API server's {cores}"));
        let knee = cpu.knee.as_ref().map_or_else(
            || "no width uses that up".to_owned(),
            |knee| format!("{} pods use that up", pods(knee)),
        );
        format!(
            "From {} pods Weir foresaw that {} take {} cores{capacity}, and that {knee}. {}",
            seen.unwrap_or_default(),
            forecast.full_width,
            told(&cpu.at_full),
            self.found()
        )
    }

    /// What the unguarded run found of the knee.
    fn found(&self) -> String {
        let Some(borne) = borne(&self.unguarded) else {
            return "Without Weir the agents left no knee to compare with.".to_owned();
        };
        let off = self.knee_off().map_or_else(String::new, |off| {
            let side = if off < 0.0 { "below" } else { "above" };
            let per_cent = 100.0 * off.abs();
            format!("; what was foreseen lies {per_cent:.0} % {side} that")
        });
        format!(
            "Without Weir the API server answered {:.1} calls a second when it had nothing left, of which \
             each agent asks {}: it bears {:.0} agents{off}.",
            borne.answered_per_second, borne.asked_per_second, borne.pods
        )
    }

    /// How far the knee that was foretold lies from what the unguarded run bore, as a share of that.
    fn knee_off(&self) -> Option<f64> {
        let knee = cpu(self.guarded.forecast.as_ref()?)?.knee?;
        Some(knee.mid / borne(&self.unguarded)?.pods.max(1e-9) - 1.0)
    }

    /// Whether what the unguarded run bore lies in the interval of the knee that was foretold.
    fn knee_is_within(&self) -> Option<bool> {
        let knee = cpu(self.guarded.forecast.as_ref()?)?.knee?;
        let pods = borne(&self.unguarded)?.pods;
        Some(knee.low <= pods && knee.high.is_none_or(|high| pods <= high))
    }

    /// What is not as it must be: a run that its profile does not expect, a hold that came late or was
    /// felt, or a knee that was foretold wrongly.
    #[must_use]
    pub fn unmet(&self) -> Vec<String> {
        let mut unmet = vec![];
        for report in [&self.unguarded, &self.guarded, &self.harmless] {
            match &report.expected {
                None => unmet.push(format!("{} expects nothing", report.profile)),
                Some(expected) => {
                    let said = expected.why.iter();
                    unmet.extend(said.map(|why| format!("{}: {why}", report.profile)));
                }
            }
        }
        let held = &self.guarded;
        let share = held.held_at_share.filter(|share| *share <= MOST_SHARE);
        if held.state == State::Held && share.is_none() {
            let width = held.held_at_width.unwrap_or_default();
            let share = percent(width, held.full_width);
            unmet.push(format!("{} was held only at {share}", held.profile));
        }
        if !held.nobody_felt_it() {
            unmet.push(format!(
                "a quiet client felt {}: its slowest hundredth took {}, when idle {}",
                held.profile,
                millis(held.bystander.of_agents().p99_ms),
                millis(held.bystander.idle.p99_ms)
            ));
        }
        match self.knee_is_within() {
            Some(true) => {}
            Some(false) => unmet.push(format!("the knee was foretold wrongly. {}", self.found())),
            None => unmet.push("no knee was foretold and found".to_owned()),
        }
        unmet
    }

    /// The same sentences as HTML.
    pub(super) fn summary_html(&self) -> [String; 3] {
        self.summary().map(|sentence| escape(&sentence))
    }
}

fn without(report: &Report) -> String {
    let (idle, during) = (report.bystander.idle, report.bystander.during);
    format!(
        "Without Weir {}. A quiet client's calls, of which one in a hundred took {} before, then took \
         {}: {} times as long{}.",
        started(report),
        millis(idle.p99_ms),
        millis(during.p99_ms),
        factor(report),
        failures(during.failed, during.calls),
    )
}

/// A drowned control plane does not start all pods.
fn started(report: &Report) -> String {
    let full = report.full_width;
    report.seconds_to_complete.map_or_else(
        || {
            let running = report.width.iter().map(|at| at.running).max();
            format!("{} of {full} pods started", running.unwrap_or_default())
        },
        |after| format!("all {full} pods started within {}", seconds(after)),
    )
}

fn with(report: &Report) -> String {
    let Some(hold) = report.hold() else {
        let state = report.state;
        return format!("With Weir the same rollout ended {state:?}, which it must not.");
    };
    let harm = report.seconds_to_hold.map_or_else(String::new, |after| {
        format!(", {} after the first harm", seconds(after))
    });
    format!(
        "With Weir the same rollout was {hold}{harm}: of the quiet client's calls one in a hundred took {} once \
         agents ran ({} while their pods were created, before any ran).",
        millis(report.bystander.of_agents().p99_ms),
        millis(report.bystander.creation.p99_ms)
    )
}

fn harmless(report: &Report) -> String {
    let held = match holds(&report.states) {
        0 => "and was never held".to_owned(),
        1 => "but was held once on its way".to_owned(),
        more => format!("but was held {more} times on its way"),
    };
    match (report.state, report.seconds_to_complete) {
        (State::Complete, Some(after)) => format!(
            "A harmless agent went through all {} nodes in {}, {held}.",
            report.full_width,
            seconds(after)
        ),
        (state, _) => format!("A harmless agent ended {state:?}, which it must not, {held}."),
    }
}

fn failures(failed: u64, calls: u64) -> String {
    if failed == 0 {
        return String::new();
    }
    format!("; {failed} of {calls} failed, and count as 10 s")
}

/// How many times as long: no more than that is known of calls that count as their time-out.
fn factor(report: &Report) -> String {
    let times = report.bystander.p99_factor();
    if report.bystander.during.p99_ms < bystander::TIMEOUT.as_secs_f64() * 1000.0 {
        format!("{times:.0}")
    } else {
        format!("at least {times:.0}")
    }
}

/// Milliseconds as people say them.
#[must_use]
pub fn millis(ms: f64) -> String {
    if ms >= 1000.0 {
        format!("{:.1} s", ms / 1000.0)
    } else if ms >= 10.0 {
        format!("{ms:.0} ms")
    } else {
        format!("{ms:.1} ms")
    }
}
