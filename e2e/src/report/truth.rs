//! What a rollout's forecast was worth: the CPU that each width really took, beside what Weir foretold
//! when the canary was done. Pure, so that each definition can be tested.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};
use weir::api::{EstimateStatus, ForecastStatus, ResourceStatus};

use super::{
    Report,
    foreseen::{at_width, cpu},
};

/// The first seconds at a width are its pods' start, and no steady cost.
const SETTLES: f64 = 10.0;
/// Less than two periods of agents that ask every ten seconds says nothing of what they cost.
const LEAST_SECONDS: usize = 20;
/// Above this share of the capacity agents are served late and ask less: no truth of what they cost.
const CALM: f64 = 0.6;
/// From this share on nothing is left.
const USED_UP: f64 = 0.95;
/// A forecast is right if it is this close, as a share of the truth.
pub const CLOSE: f64 = 0.25;

/// What one width really took.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct TruthAt {
    /// The width: pods of the revision that ran.
    pub width: u32,
    /// Whole seconds that it was watched for, without the first ten.
    pub seconds: u32,
    /// Cores that all API servers used on average, as the kernel counts them.
    pub cpu_cores: f64,
    /// The standard error of that mean, from windows of five seconds.
    pub error: f64,
    /// Whether others were harmed in most of these seconds.
    pub harmed: bool,
}

/// What was foretold for a width, and what it took.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Compared {
    /// The width.
    pub width: u32,
    /// Cores that were foretold.
    pub foretold: EstimateStatus,
    /// Cores that it took.
    pub took: f64,
    /// How far what was foretold was from that, as a share of it; positive where it was more.
    pub off: f64,
    /// Whether that lies in the interval.
    pub inside: bool,
}

/// The width at which a core is used up: foretold and found.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Knee {
    /// What was foretold when the canary was done; null if nothing was.
    pub foretold: Option<EstimateStatus>,
    /// What was found; null if no width that was seen used it up.
    pub found: Option<f64>,
    /// How far what was foretold was from that, as a share of it.
    pub off: Option<f64>,
    /// Whether what was found lies in the interval that was foretold.
    pub inside: Option<bool>,
}

/// One run: the truth of all widths, and what was foretold at the canary's.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
pub struct Truth {
    /// The canary's width.
    pub canary: u32,
    /// Cores that the API servers have.
    pub capacity: f64,
    /// What Weir foretold when the canary was done; null if nothing.
    pub forecast: Option<ForecastStatus>,
    /// The second in which it did.
    pub forecast_second: Option<f64>,
    /// What each width took.
    pub widths: Vec<TruthAt>,
    /// Each calm width beyond the canary's, foretold and true.
    pub compared: Vec<Compared>,
    /// The knee.
    pub knee: Knee,
}

impl Truth {
    /// The truth of a run, and what was foretold when the canary was as wide as that.
    #[must_use]
    pub fn of(report: &Report, canary: u32) -> Self {
        // All API servers share one core.
        let capacity = 1.0;
        let widths = widths(report);
        let beyond = report
            .width
            .iter()
            .find(|at| at.width > canary)
            .map_or(f64::INFINITY, |at| at.second);
        let mut known = report.forecasts.iter();
        let at_canary = known.rfind(|at| at.width >= canary && at.second <= beyond);
        let told = at_canary.and_then(|at| cpu(&at.forecast));
        let compared = widths
            .iter()
            .filter(|at| at.width > canary && at.cpu_cores < CALM * capacity)
            .filter_map(|at| Some(compare(told?, at)))
            .collect();
        Self {
            canary,
            capacity,
            forecast: at_canary.map(|at| at.forecast.clone()),
            forecast_second: at_canary.map(|at| at.second),
            compared,
            knee: knee(told, &widths, capacity),
            widths,
        }
    }

    /// The comparison at four times the canary's width, if that was seen and was calm.
    #[must_use]
    pub fn at_four_times(&self) -> Option<&Compared> {
        let wanted = 4 * self.canary;
        self.compared.iter().find(|one| one.width == wanted)
    }

    /// Why the forecast was not right, if it was not: where the width was calm or the knee was found.
    #[must_use]
    pub fn unmet(&self) -> Option<String> {
        if self.forecast.is_none() {
            return Some(format!("nothing was foretold at {} pods", self.canary));
        }
        let (four, knee) = (self.at_four_times(), self.knee.off);
        if four.is_none() && knee.is_none() {
            return Some("neither four times the canary's width nor the knee was seen".to_owned());
        }
        let far = |what: &str, off: f64| {
            (off.abs() > CLOSE).then(|| format!("{what} was foretold {:+.0} % off", 100.0 * off))
        };
        four.and_then(|four| far(&format!("CPU at {} pods", four.width), four.off))
            .or_else(|| knee.and_then(|off| far("the knee", off)))
    }
}

fn compare(told: &ResourceStatus, at: &TruthAt) -> Compared {
    let foretold = at_width(told, f64::from(at.width));
    Compared {
        width: at.width,
        off: foretold.mid / at.cpu_cores.max(1e-9) - 1.0,
        inside: holds(&foretold, at.cpu_cores),
        foretold,
        took: at.cpu_cores,
    }
}

fn holds(estimate: &EstimateStatus, value: f64) -> bool {
    value >= estimate.low && estimate.high.is_none_or(|high| value <= high)
}

/// What each width took: the seconds in which exactly so many pods were let through and ran.
fn widths(report: &Report) -> Vec<TruthAt> {
    let mut stretches: Vec<(u32, f64, f64)> = vec![];
    for at in report
        .width
        .iter()
        .filter(|at| at.width > 0 && at.width == at.running)
    {
        match stretches.last_mut() {
            Some((width, _, last)) if *width == at.width => *last = at.second,
            _ => stretches.push((at.width, at.second, at.second)),
        }
    }
    let truths = stretches.into_iter().filter_map(|(width, first, last)| {
        let within = |second: f64| second > first + SETTLES && second <= last;
        let series = &report.api_server.series;
        let cores: Vec<f64> = series
            .iter()
            .filter(|at| within(at.second))
            .map(|at| at.cpu_cores)
            .collect();
        if cores.len() < LEAST_SECONDS {
            return None;
        }
        let felt = report.bystander.series.iter();
        let felt: Vec<_> = felt.filter(|at| within(at.second as f64)).collect();
        let above = report.harm.above_ms;
        let harmful = felt.iter().filter(|at| at.p50_ms > above).count();
        Some(TruthAt {
            width,
            seconds: u32::try_from(cores.len()).unwrap_or(u32::MAX),
            cpu_cores: round(mean(&cores)),
            error: round(error(&cores)),
            harmed: 2 * harmful > felt.len(),
        })
    });
    truths.collect()
}

fn mean(values: &[f64]) -> f64 {
    values.iter().sum::<f64>() / values.len().max(1) as f64
}

/// The standard error of the mean, from means of five values: neighbours are not independent.
fn error(values: &[f64]) -> f64 {
    let windows: Vec<f64> = values.chunks_exact(5).map(mean).collect();
    let (mean, count) = (mean(&windows), windows.len() as f64);
    let squares: f64 = windows.iter().map(|value| (value - mean).powi(2)).sum();
    (squares / (count - 1.0).max(1.0) / count.max(1.0)).sqrt()
}

fn round(value: f64) -> f64 {
    (value * 1e4).round() / 1e4
}

/// The width at which the capacity is used up: the line through the widths that left something, as far
/// as it lies between the last of these and the first that left nothing or harmed others.
fn knee(told: Option<&ResourceStatus>, widths: &[TruthAt], capacity: f64) -> Knee {
    let foretold = told.and_then(|told| told.knee);
    let used_up = |at: &TruthAt| at.harmed || at.cpu_cores >= USED_UP * capacity;
    let found = widths.iter().position(used_up).map(|first| {
        let (left, at) = (&widths[..first], f64::from(widths[first].width));
        let from = left.last().map_or(0.0, |last| f64::from(last.width));
        let reached = line(left).map_or(at, |(base, per_pod)| (capacity - base) / per_pod);
        reached.clamp(from, at)
    });
    let both = foretold.as_ref().zip(found);
    Knee {
        off: both.map(|(foretold, found)| foretold.mid / found.max(1e-9) - 1.0),
        inside: both.map(|(foretold, found)| holds(foretold, found)),
        foretold,
        found,
    }
}

/// Least squares: cores without any pod, and for each; none if they do not rise.
fn line(widths: &[TruthAt]) -> Option<(f64, f64)> {
    let points = widths.iter().map(|at| (f64::from(at.width), at.cpu_cores));
    let count = widths.len() as f64;
    let (x, y) = points
        .clone()
        .fold((0.0, 0.0), |(x, y), point| (x + point.0, y + point.1));
    let (x, y) = (x / count, y / count);
    let (mut xx, mut xy) = (0.0, 0.0);
    for point in points {
        xx += (point.0 - x).powi(2);
        xy += (point.0 - x) * (point.1 - y);
    }
    let per_pod = xy / xx;
    (per_pod > 0.0 && per_pod.is_finite()).then(|| (per_pod.mul_add(-x, y), per_pod))
}

/// How many truths lay in the interval that was foretold for them, of how many.
#[must_use]
pub fn coverage(truths: &[&Truth]) -> (usize, usize) {
    let all = || truths.iter().flat_map(|truth| &truth.compared);
    (all().filter(|one| one.inside).count(), all().count())
}

#[cfg(test)]
pub(crate) mod tests;
