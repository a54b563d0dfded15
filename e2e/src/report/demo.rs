//! The demo's report: the same rollout without and with Weir, and a harmless one with it.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{Report, State, holds, html::seconds, plot::escape};
use crate::bystander;

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

    /// Whether each run ended as it must.
    #[must_use]
    pub fn is_as_expected(&self) -> bool {
        [&self.unguarded, &self.guarded, &self.harmless]
            .into_iter()
            .all(|report| {
                report
                    .expected
                    .as_ref()
                    .is_some_and(|expected| expected.met)
            })
    }

    /// The same sentences as HTML.
    pub(super) fn summary_html(&self) -> [String; 3] {
        self.summary().map(|sentence| escape(&sentence))
    }
}

fn without(report: &Report) -> String {
    let (idle, during) = (report.bystander.idle, report.bystander.during);
    format!(
        "Without Weir all {} pods started{}. A quiet client's calls, of which one in a hundred took \
         {} before, then took {}: {} times as long{}.",
        report.full_width,
        report
            .seconds_to_complete
            .map_or_else(String::new, |after| format!(" within {}", seconds(after))),
        millis(idle.p99_ms),
        millis(during.p99_ms),
        factor(report),
        failures(during.failed, during.calls),
    )
}

fn with(report: &Report) -> String {
    let width = report.held_at_width.unwrap_or_default();
    match (report.state, report.seconds_to_hold) {
        (State::Held, Some(after)) => format!(
            "With Weir the same rollout was held at {width} of {} pods, {} after the first harm.",
            report.full_width,
            seconds(after)
        ),
        (State::Held, None) => format!(
            "With Weir the same rollout was held at {width} of {} pods, before others were harmed.",
            report.full_width
        ),
        (state, _) => format!("With Weir the same rollout ended {state:?}, which it must not."),
    }
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
