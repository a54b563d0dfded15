//! How far a plot reaches, and where its figures stand.

use crate::api::{ForecastStatus, ResourceStatus};

/// A knee farther away than so many full widths is not drawn: the rest would be too small to see.
const FAR: f64 = 3.0;
/// Points that take up less than this share of the plot ask for a logarithmic scale.
const CROWDED: f64 = 1.0 / 12.0;

/// The axis of pods.
pub(super) struct Across {
    /// Characters.
    pub(super) columns: usize,
    /// Pods at its right end.
    pub(super) most: f64,
    /// Whether it is logarithmic, with room for none.
    pub(super) is_log: bool,
}

impl Across {
    /// To a bit beyond full width, and the knee where that is not far away.
    pub(super) fn of(told: &ForecastStatus, cpu: &ResourceStatus, columns: usize) -> Self {
        let widths = told.points.iter().map(|point| f64::from(point.width));
        let seen = widths.fold(0.0, f64::max);
        let full = f64::from(told.full_width).max(seen);
        let knee = cpu.knee.as_ref().map(|knee| knee.mid);
        let knee = knee.filter(|pods| *pods <= FAR * full).unwrap_or(0.0);
        let most = (full.max(knee) * 1.05).ceil();
        Self {
            columns,
            most,
            is_log: seen > 0.0 && seen < most * CROWDED,
        }
    }

    /// The number of pods that a column stands for.
    pub(super) fn pods(&self, column: usize) -> f64 {
        let share = column as f64 / (self.columns - 1) as f64;
        if self.is_log {
            (self.most.ln_1p() * share).exp_m1()
        } else {
            self.most * share
        }
    }

    /// The column of a number of pods; none outside the plot.
    pub(super) fn column(&self, pods: f64) -> Option<usize> {
        let share = if self.is_log {
            pods.ln_1p() / self.most.ln_1p()
        } else {
            pods / self.most
        };
        cell(share, self.columns)
    }
}

/// The cell of so many that this share of their length falls into; none outside.
pub(super) fn cell(share: f64, cells: usize) -> Option<usize> {
    let at = share * (cells - 1) as f64;
    (0..cells).find(|one| (*one as f64 - at).abs() <= 0.5)
}

/// Numbers of pods that are written below the axis, the least first.
pub(super) fn ticks(across: &Across) -> Vec<f64> {
    let steps = (0..8).flat_map(|power| [1.0, 2.0, 5.0].map(|one| one * 10_f64.powi(power)));
    if across.is_log {
        let within = steps.take_while(|pods| *pods <= across.most);
        return [0.0].into_iter().chain(within).collect();
    }
    let mut steps = steps;
    let step = steps.find(|step| across.most / step <= across.columns as f64 / 10.0);
    let step = step.unwrap_or(across.most);
    (0..=99_u32)
        .map(|number| f64::from(number) * step)
        .take_while(|pods| *pods <= across.most)
        .collect()
}

/// Cores at the plot's upper edge. Budget and capacity are shown where that leaves the rest large
/// enough to see; what exceeds the capacity by more than a quarter is cut off.
pub(super) fn reach(mid: f64, high: f64, measured: f64, limits: [Option<f64>; 2]) -> f64 {
    let likely = mid.max(measured);
    let seen = if high.is_finite() {
        high.min(likely * 2.0).max(likely)
    } else {
        likely
    };
    let [budget, capacity] = limits;
    let visible = |limit: Option<f64>| limit.filter(|cores| *cores <= 3.0 * seen);
    let top = match (capacity, visible(capacity), visible(budget)) {
        (Some(cores), ..) if seen >= 1.25 * cores => 1.25 * cores.max(measured),
        (_, Some(cores), _) | (_, None, Some(cores)) => 1.1 * cores.max(seen),
        (_, None, None) => 1.2 * seen,
    };
    if top > 0.0 { top } else { 1.0 }
}
