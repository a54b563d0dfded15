//! What Weir foresaw, and what was said of a hold: the forecast over time, and whether anybody felt
//! the rollout before it was held.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::api::{EstimateStatus, ForecastStatus, Resource, ResourceStatus};

use super::{Report, State};
use crate::bystander::stats::Latency;

/// A quiet client has felt nothing below this p99, in milliseconds: the floor of a harmful second, and a tenth of
/// Kubernetes' own objective for the latency of its API.
const UNFELT_MS: f64 = 100.0;
/// … or below this multiple of its idle p99.
const UNFELT_FACTOR: f64 = 2.0;

/// A forecast, and when it was seen.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct ForecastAt {
    /// The second in which the lab first saw it.
    pub second: f64,
    /// The width that the status said beside it.
    pub width: u32,
    /// The forecast, as the status said it.
    pub forecast: ForecastStatus,
}

/// The p99, in milliseconds, up to which a quiet client has felt nothing.
#[must_use]
pub fn felt_above(idle: &Latency) -> f64 {
    (UNFELT_FACTOR * idle.p99_ms).max(UNFELT_MS)
}

/// What a forecast says of CPU: the resource that each API server has a limit of.
#[must_use]
pub fn cpu(forecast: &ForecastStatus) -> Option<&ResourceStatus> {
    let mut resources = forecast.resources.iter();
    resources.find(|resource| resource.resource == Resource::Cpu)
}

/// The use that a resource's fit says for this width, with its interval: no narrower than its parts
/// allow.
#[must_use]
pub fn at_width(resource: &ResourceStatus, width: f64) -> EstimateStatus {
    let ResourceStatus {
        base,
        fixed,
        per_pod,
        ..
    } = resource;
    let sum = |fixed: f64, per_pod: f64| per_pod.mul_add(width, base + fixed);
    EstimateStatus {
        low: sum(fixed.low, per_pod.low),
        mid: sum(fixed.mid, per_pod.mid),
        high: fixed
            .high
            .zip(per_pod.high)
            .map(|(fixed, per_pod)| sum(fixed, per_pod)),
    }
}

impl Report {
    /// Whether its p99 from the first agent's start on was nothing that a quiet client feels.
    #[must_use]
    pub fn nobody_felt_it(&self) -> bool {
        self.bystander.of_agents().p99_ms <= felt_above(&self.bystander.idle)
    }

    /// Where it was held, and whether anybody felt it: `held at 4 of 200 (2 %) by X, before anyone felt
    /// it`; none if it did not end held.
    #[must_use]
    pub fn hold(&self) -> Option<String> {
        let (State::Held, Some(width)) = (self.state, self.held_at_width) else {
            return None;
        };
        let by = self
            .held_by
            .as_ref()
            .map_or_else(String::new, |by| format!(" by {by}"));
        let felt = if self.nobody_felt_it() {
            "before anyone felt it"
        } else {
            "not before others felt it"
        };
        let (full, share) = (self.full_width, percent(width, self.full_width));
        Some(format!(
            "held at {width} of {full} pods ({share}){by}, {felt}"
        ))
    }
}

/// A share of all pods as people say it.
#[must_use]
pub fn percent(part: u32, of: u32) -> String {
    let share = 100.0 * f64::from(part) / f64::from(of.max(1));
    let digits = usize::from(share < 10.0 && (share - share.round()).abs() > 0.05);
    format!("{share:.digits$} %")
}

/// A figure with its interval, to two digits behind the point.
#[must_use]
pub fn told(estimate: &EstimateStatus) -> String {
    let high = estimate
        .high
        .map_or_else(|| "?".to_owned(), |high| format!("{high:.2}"));
    format!("{:.2} ({:.2} to {high})", estimate.mid, estimate.low)
}

/// A number of pods with its interval, in whole pods.
#[must_use]
pub fn pods(estimate: &EstimateStatus) -> String {
    let high = estimate
        .high
        .map_or_else(|| "?".to_owned(), |high| format!("{high:.0}"));
    format!("{:.0} ({:.0} to {high})", estimate.mid, estimate.low)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::{forecast, report};

    #[test]
    fn a_hold_says_where_by_what_and_whether_anybody_felt_it() {
        let mut held = report("pod-lister", true, State::Held);
        held.held_at_width = Some(4);
        held.held_by = Some("ForecastExceedsCapacity".to_owned());
        held.bystander.during.p99_ms = 99.0;
        assert_eq!(
            held.hold().as_deref(),
            Some("held at 4 of 200 pods (2 %) by ForecastExceedsCapacity, before anyone felt it")
        );
        held.bystander.during.p99_ms = 101.0;
        assert!(!held.nobody_felt_it());
        // Twice what it was when idle.
        held.bystander.idle.p99_ms = 60.0;
        assert!(held.nobody_felt_it());
        // The creation of its pods is felt whatever they do, and held by nobody.
        held.bystander.during.p99_ms = 300.0;
        held.bystander.agents = Some(held.bystander.idle);
        assert!(held.nobody_felt_it());
        assert_eq!(report("x", true, State::Complete).hold(), None);
    }

    #[test]
    fn shares_are_said_with_as_many_digits_as_they_need() {
        assert_eq!(percent(4, 200), "2 %");
        assert_eq!(percent(1, 200), "0.5 %");
        assert_eq!(percent(7, 0), "700 %");
        assert_eq!(percent(53, 200), "26 %");
    }

    #[test]
    fn use_at_a_width_is_the_base_with_what_the_fit_adds() {
        let forecast = forecast();
        let cpu = cpu(&forecast).expect("it tells of CPU");
        let at = at_width(cpu, 16.0);
        assert!((at.mid - 0.9).abs() < 1e-9, "{at:?}");
        assert!((at.low - 0.66).abs() < 1e-9, "{at:?}");
        assert!((at.high.unwrap_or_default() - 1.14).abs() < 1e-9, "{at:?}");
        assert_eq!(told(&at), "0.90 (0.66 to 1.14)");
        assert_eq!(
            cpu.knee.as_ref().map(pods).as_deref(),
            Some("18 (14 to 26)")
        );
    }
}
