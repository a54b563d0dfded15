//! Figures as people read them: three digits that mean something, with their unit.

use crate::api::{EstimateStatus, Resource};

const KIB: f64 = 1024.0;

/// A figure's unit and how much of a plain one it is.
#[derive(Debug, Clone, Copy, PartialEq)]
struct Unit {
    name: &'static str,
    size: f64,
}

/// A resource, with the unit that its figures have unless they bring their own.
pub(super) const fn title(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "CPU (cores)",
        Resource::Seats => "seats",
        Resource::Memory => "memory",
        Resource::EtcdRequests => "etcd (/s)",
        Resource::ResponseBytes => "bytes (/s)",
        Resource::Watches => "watches",
    }
}

/// One figure of a resource.
pub(super) fn amount(resource: Resource, value: f64) -> String {
    let unit = unit(resource, value);
    format!("{}{}", figure(value / unit.size, 3), unit.name)
}

/// A figure of a resource with its interval: `5.58 (3.9-7.3)`.
pub(super) fn interval(resource: Resource, estimate: &EstimateStatus) -> String {
    let unit = unit(resource, estimate.mid);
    format!(
        "{}{} ({})",
        figure(estimate.mid / unit.size, 3),
        unit.name,
        ends(estimate, unit.size)
    )
}

/// A number of pods with its interval.
pub(super) fn pods(estimate: &EstimateStatus) -> String {
    format!("{} ({})", figure(estimate.mid, 2), ends(estimate, 1.0))
}

/// So many cores.
pub(super) fn cores(number: f64) -> String {
    match figure(number, 3) {
        one if one == "1" => "1 core".to_owned(),
        other => format!("{other} cores"),
    }
}

/// A figure without unit, with its interval.
pub(super) fn plain_interval(estimate: &EstimateStatus) -> String {
    format!("{} ({})", figure(estimate.mid, 3), ends(estimate, 1.0))
}

fn ends(estimate: &EstimateStatus, size: f64) -> String {
    let low = figure(estimate.low / size, 2);
    match estimate.high {
        Some(high) => format!("{low}-{}", figure(high / size, 2)),
        None => format!("at least {low}"),
    }
}

fn unit(resource: Resource, value: f64) -> Unit {
    match resource {
        Resource::Memory | Resource::ResponseBytes => {
            let value = value.abs();
            let units = [(" GiB", KIB.powi(3)), (" MiB", KIB.powi(2)), (" KiB", KIB)];
            let fits = units.into_iter().find(|(_, size)| value >= *size);
            let (name, size) = fits.unwrap_or((if value > 0.0 { " B" } else { "" }, 1.0));
            Unit { name, size }
        }
        Resource::Cpu | Resource::Seats | Resource::EtcdRequests | Resource::Watches => Unit {
            name: "",
            size: 1.0,
        },
    }
}

/// A number to so many digits that mean something, and never cut before the point.
pub(super) fn figure(value: f64, digits: i32) -> String {
    let mut magnitude = 0;
    while magnitude < 18 && value.abs() >= 10_f64.powi(magnitude + 1) {
        magnitude += 1;
    }
    while magnitude > -9 && value != 0.0 && value.abs() < 10_f64.powi(magnitude) {
        magnitude -= 1;
    }
    let places = usize::try_from(digits - 1 - magnitude).unwrap_or(0);
    let text = format!("{value:.places$}");
    if text.contains('.') {
        text.trim_end_matches('0').trim_end_matches('.').to_owned()
    } else {
        text
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_number_has_three_digits_that_mean_something() {
        let cases = [
            (0.0, "0"),
            (0.027_4, "0.0274"),
            (5.583, "5.58"),
            (2.0, "2"),
            (69.44, "69.4"),
            (1234.0, "1234"),
            (0.000_000_4, "0.0000004"),
            (-1.5, "-1.5"),
        ];
        for (value, expected) in cases {
            assert_eq!(figure(value, 3), expected);
        }
    }

    #[test]
    fn bytes_bring_their_unit_and_an_interval_has_that_of_its_middle() {
        let gib = KIB.powi(3);
        let estimate = EstimateStatus {
            low: 0.5 * gib,
            mid: 1.5 * gib,
            high: Some(2.25 * gib),
        };
        assert_eq!(interval(Resource::Memory, &estimate), "1.5 GiB (0.5-2.2)");
        let unbounded = EstimateStatus {
            high: None,
            ..estimate
        };
        assert_eq!(
            interval(Resource::Memory, &unbounded),
            "1.5 GiB (at least 0.5)"
        );
        assert_eq!(amount(Resource::ResponseBytes, 0.0), "0");
        assert_eq!(amount(Resource::ResponseBytes, 2048.0), "2 KiB");
        assert_eq!(amount(Resource::Watches, 200.0), "200");
    }
}
