//! The forecast as a drawing: CPU over the width, what was seen of the first pods, the fit through it with
//! its interval, the capacity, and where the two meet.

use weir::api::{EstimateStatus, ForecastStatus, ResourceStatus};

use super::{
    Report,
    demo::Demo,
    foreseen::{at_width, cpu, pods},
    plot::{Chart, Line, Mark, Scale},
    saturated::borne,
};

/// Points of a line that is bent where the drawing ends.
const POINTS: u32 = 60;
/// The drawing ends at this multiple of what crosses it last.
const ROOM: f64 = 1.6;

/// The guarded run's last forecast, and what the unguarded run found; none where there is no forecast.
pub(super) fn cost_chart(demo: &Demo) -> Option<(&'static str, String)> {
    let forecast = demo.guarded.forecast.as_ref()?;
    let cpu = cpu(forecast)?;
    let found = borne(&demo.unguarded).map(|borne| borne.pods);
    let capacity = cpu.capacity.unwrap_or(1.0);
    let last = last_width(forecast, cpu, found);
    let top = ROOM * capacity;
    let chart = Chart {
        label: "CPU of the API servers by the width of the rollout: seen, and foretold".to_owned(),
        across: (0.0, last),
        axis: "pods of the rollout",
        scale: Scale::Linear(top),
        written: |cores| format!("{cores:.1}"),
        level: Some((capacity, "capacity".to_owned())),
        lines: lines(cpu, last, top),
        dots: forecast
            .points
            .iter()
            .map(|point| (f64::from(point.width), point.cpu_cores))
            .collect(),
        marks: marks(&demo.guarded, cpu.knee.as_ref(), found),
    };
    Some(("CPU in cores: seen, foretold, and the knee", chart.svg()))
}

/// As far as is worth drawing: a little beyond the knees, or else full width.
fn last_width(forecast: &ForecastStatus, cpu: &ResourceStatus, found: Option<f64>) -> f64 {
    let full = f64::from(forecast.full_width.max(1));
    let foretold = cpu.knee.as_ref().map(|knee| knee.high.unwrap_or(knee.mid));
    let seen = forecast.points.iter().map(|point| f64::from(point.width));
    let crossed = foretold.into_iter().chain(found).chain(seen);
    let last = crossed.fold(0.0, f64::max);
    if cpu.knee.is_none() {
        return full;
    }
    (1.2 * last).min(full).max(1.0)
}

/// The fit, and its interval as a band behind it; neither is drawn beyond the drawing's top.
fn lines(cpu: &ResourceStatus, last: f64, top: f64) -> Vec<Line> {
    let widths = (0..=POINTS).map(|part| last * f64::from(part) / f64::from(POINTS));
    let estimates: Vec<(f64, EstimateStatus)> =
        widths.map(|width| (width, at_width(cpu, width))).collect();
    let band = estimates
        .iter()
        .filter(|(_, at)| at.low <= top)
        .map(|(width, at)| (*width, at.low, at.high.unwrap_or(top).min(top)))
        .collect();
    let fit = estimates
        .iter()
        .filter(|(_, at)| at.mid <= top)
        .map(|(width, at)| (*width, at.mid, at.mid))
        .collect();
    let line = |name: &str, class, points| Line {
        name: name.to_owned(),
        class,
        points,
    };
    vec![line("", "band", band), line("foretold", "with", fit)]
}

fn marks(guarded: &Report, knee: Option<&EstimateStatus>, found: Option<f64>) -> Vec<Mark> {
    let held = guarded.held_at_width.map(|width| Mark {
        x: f64::from(width),
        text: format!("held at {width}"),
        class: "with",
    });
    let foretold = knee.map(|knee| Mark {
        x: knee.mid,
        text: format!("knee foretold: {}", pods(knee)),
        class: "with",
    });
    let found = found.map(|found| Mark {
        x: found,
        text: format!("borne without Weir: {found:.0}"),
        class: "without",
    });
    held.into_iter().chain(foretold).chain(found).collect()
}
