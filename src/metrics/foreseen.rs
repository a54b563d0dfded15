//! What is foreseen of each rollout, as series.

use weir_core::{
    forecast::{Estimate, Forecast, Resource, ResourceForecast},
    plan::Report,
};

use super::{Labels, Page, of_rollout};
use crate::snapshot::Snapshot;

/// A label, and the figure that it stands for.
type Bound = (&'static str, fn(&Estimate) -> f64);

/// An estimate's ends and its middle, by the label that tells them apart.
const BOUNDS: [Bound; 3] = [
    ("low", |estimate| estimate.low),
    ("mid", |estimate| estimate.mid),
    ("high", |estimate| estimate.high),
];

/// What is told of an estimate of each rollout.
type Told = (
    &'static str,
    &'static str,
    fn(&Forecast) -> Option<Estimate>,
);

const ESTIMATES: [Told; 3] = [
    (
        "rollout_forecast_cpu_cores",
        "CPU that the busiest API server would use at full width, with one missing",
        |forecast| Some(cpu(forecast)?.at_full),
    ),
    (
        "rollout_forecast_knee_pods",
        "Pods that would use up its cores",
        |forecast| cpu(forecast)?.knee,
    ),
    (
        "rollout_forecast_unison_seconds",
        "How long the API servers would need to serve the start of all pods at once",
        |forecast| Some(forecast.unison.as_ref()?.seconds),
    ),
];

const CAPACITY: &str = "rollout_forecast_capacity_cores";

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    let estimates = ESTIMATES.into_iter().map(|(name, _, _)| name);
    estimates.chain([CAPACITY])
}

/// Adds them to the page. What nothing bounds has no series.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let reports = || {
        snapshot
            .rollouts
            .iter()
            .map(|(name, view)| (name, &view.report))
    };
    for (name, help, of) in ESTIMATES {
        let series = reports().flat_map(|(rollout, report)| bounds(rollout, report, of));
        page.gauges(name, help, series.collect::<Vec<_>>());
    }
    let capacity = reports().filter_map(|(rollout, report)| {
        let cores = cpu(report.forecast.as_ref()?)?.capacity?;
        Some((of_rollout(rollout), cores))
    });
    page.gauges(
        CAPACITY,
        "Cores that an API server has, as it says or a policy states",
        capacity,
    );
}

fn bounds(
    rollout: &(String, String),
    report: &Report,
    of: fn(&Forecast) -> Option<Estimate>,
) -> Vec<(Labels, f64)> {
    let Some(estimate) = report.forecast.as_ref().and_then(of) else {
        return Vec::new();
    };
    let series = BOUNDS.iter().map(|(bound, value)| {
        let mut labels = of_rollout(rollout);
        labels.push(("bound", (*bound).to_owned()));
        (labels, value(&estimate))
    });
    series.filter(|(_, value)| value.is_finite()).collect()
}

fn cpu(forecast: &Forecast) -> Option<&ResourceForecast> {
    let mut resources = forecast.resources.iter();
    resources.find(|told| told.resource == Resource::Cpu)
}
