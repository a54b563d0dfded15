//! A forecast → the part of a GuardedRollout's status that tells it.

use weir_core::forecast::{self, Basis, Estimate, Forecast, Point};

use crate::api::{
    DroppedStatus, EstimateStatus, ForecastStatus, PointStatus, RecordStatus, ResourceStatus,
    UnisonStatus,
    bounds::{self, clip},
};

/// What the status says of it, of pods of the template with this hash. Without one nothing of it could
/// be used elsewhere.
pub(super) fn status(forecast: &Forecast, template: Option<&str>) -> ForecastStatus {
    let Basis {
        points,
        dropped,
        kappa,
        metered,
        meter,
        servers,
        version,
        pods,
    } = &forecast.basis;
    // The width without any pod is a point of the fit, but no width that was seen.
    let widths = || {
        points
            .iter()
            .map(|point| point.width)
            .filter(|width| *width > 0)
    };
    let between = widths().min().zip(widths().max());
    let record = template
        .zip(between)
        .map(|(template, (least, most))| RecordStatus {
            template: clip(template, bounds::HASH),
            weir: env!("CARGO_PKG_VERSION").to_owned(),
            kubernetes: version.as_ref().map(|version| clip(version, bounds::WORD)),
            pods: pods.map(count),
            least_width: least,
            most_width: most,
        });
    let dropped = dropped.iter().map(|(why, windows)| DroppedStatus {
        why: clip(why, 64),
        windows: *windows,
    });
    ForecastStatus {
        full_width: forecast.full_width,
        budget: rounded(forecast.budget),
        resources: forecast
            .resources
            .iter()
            .take(bounds::RESOURCES)
            .map(resource)
            .collect(),
        unison: forecast.unison.as_ref().map(|unison| UnisonStatus {
            start: estimate(unison.start),
            seconds: estimate(unison.seconds),
            budget: rounded(unison.budget),
            waves: unison.waves,
        }),
        points: spread(points).map(point).collect(),
        dropped: dropped.take(bounds::DROPPED).collect(),
        kappa: estimate(*kappa),
        metered: *metered,
        meter: clip(meter, bounds::TEXT),
        servers: *servers,
        record,
    }
}

/// As many of the points as fit: the first, which tells what was used before, and the others evenly
/// spread, the last among them.
fn spread(points: &[Point]) -> impl Iterator<Item = &Point> {
    let (first, others) = points.split_at(points.len().min(1));
    let every = others.len().div_ceil(bounds::POINTS - 1).max(1);
    let skipped = others.len().saturating_sub(1) % every;
    first
        .iter()
        .chain(others.iter().skip(skipped).step_by(every))
}

fn resource(told: &forecast::ResourceForecast) -> ResourceStatus {
    ResourceStatus {
        resource: told.resource.into(),
        base: rounded(told.base),
        fixed: estimate(told.fixed),
        per_pod: estimate(told.per_pod),
        at_full: estimate(told.at_full),
        capacity: told.capacity.map(rounded),
        knee: told.knee.map(estimate),
    }
}

fn point(point: &Point) -> PointStatus {
    PointStatus {
        width: point.width,
        cpu_cores: rounded(point.cpu_cores),
        own_cores: point.counted.map(|counted| rounded(counted.own_cores)),
        unexplained_cores: point
            .counted
            .map(|counted| rounded(counted.unexplained_cores)),
        watches: point.counted.map(|counted| rounded(counted.watches)),
        windows: point.windows,
    }
}

fn estimate(told: Estimate) -> EstimateStatus {
    EstimateStatus {
        low: rounded(told.low),
        mid: rounded(told.mid),
        high: told.high.is_finite().then(|| rounded(told.high)),
    }
}

/// A number of objects, to three digits as well: no status is written for each pod that comes.
#[expect(
    clippy::cast_possible_truncation,
    clippy::cast_sign_loss,
    reason = "clamped to what fits; fractions of a pod mean nothing"
)]
fn count(number: f64) -> u32 {
    rounded(number).clamp(0.0, f64::from(u32::MAX)) as u32
}

/// To three digits that mean something: JSON knows neither infinity nor what is no number.
fn rounded(value: f64) -> f64 {
    if !value.is_finite() {
        return 0.0;
    }
    format!("{value:.2e}").parse().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn figures_keep_three_digits() {
        let cases = [
            (0.0, 0.0),
            (0.012_345, 0.0123),
            (-1234.6, -1230.0),
            (f64::NAN, 0.0),
        ];
        for (value, told) in cases {
            assert_eq!(rounded(value).to_bits(), f64::to_bits(told), "{value}");
        }
    }

    #[test]
    fn a_record_says_between_which_widths_it_was_measured() {
        let point = |width| Point {
            width,
            cpu_cores: 0.1,
            counted: None,
            windows: 1,
        };
        let mut forecast = Forecast {
            full_width: 200,
            resources: Vec::new(),
            unison: None,
            budget: 0.5,
            basis: Basis {
                points: vec![point(0), point(4), point(2)],
                version: Some("v1.36.3".to_owned()),
                pods: Some(3141.0),
                ..Basis::default()
            },
        };
        assert_eq!(status(&forecast, None).record, None);
        let record = status(&forecast, Some("sha256:00")).record.unwrap();
        assert_eq!((record.least_width, record.most_width), (2, 4));
        assert_eq!(record.template, "sha256:00");
        assert_eq!(record.pods, Some(3140));
        forecast.basis.points.truncate(1);
        assert_eq!(status(&forecast, Some("sha256:00")).record, None);
    }

    #[test]
    fn the_first_and_the_last_of_too_many_points_are_told() {
        for number in [1, 23, 24, 25, 49, 100] {
            let points: Vec<Point> = (1..=number)
                .map(|width| Point {
                    width,
                    cpu_cores: 0.0,
                    counted: None,
                    windows: 1,
                })
                .collect();
            let told: Vec<_> = spread(&points).collect();
            assert!(told.len() <= bounds::POINTS, "{number}: {}", told.len());
            assert_eq!(told.first().unwrap().width, 1);
            assert_eq!(told.last().unwrap().width, number);
        }
    }
}
