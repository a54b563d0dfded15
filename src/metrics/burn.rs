//! How fast API servers' error budgets are spent, as series.

use weir_core::burn::OBJECTIVE;

use super::{Page, of_server};
use crate::snapshot::Snapshot;

const RATE: &str = "burn_rate";

/// The windows, in the order of `BadTime::rates`.
const WINDOWS: [&str; 5] = ["5m", "30m", "1h", "6h", "3d"];

/// What they are called. A series without a value is on no page.
#[cfg(test)]
pub(super) fn names() -> impl Iterator<Item = &'static str> {
    [RATE].into_iter()
}

/// Adds them to the page.
pub(super) fn add(page: &mut Page, snapshot: &Snapshot) {
    let rates = snapshot.servers.iter().flat_map(|(id, server)| {
        let rates = server.bad.rates(OBJECTIVE);
        WINDOWS
            .into_iter()
            .zip(rates)
            .map(move |(window, (_, rate))| {
                let mut labels = of_server(id);
                labels.push(("window", window.to_owned()));
                (labels, rate)
            })
    });
    page.gauges(
        RATE,
        "How many times as fast as an objective of 99 % allows an API server was bad (refused, timed out, \
         queued or slow), over the window: 1 spends its error budget and no more",
        rates.collect::<Vec<_>>(),
    );
}

#[cfg(test)]
mod tests {
    use weir_core::{burn::BadTime, time::Span};

    use super::*;

    #[test]
    fn windows_are_called_what_they_last() {
        let rates = BadTime::default().rates(OBJECTIVE);
        let seconds = |name: &str| {
            let (number, unit) = name.split_at(name.len() - 1);
            let unit = match unit {
                "m" => 60,
                "h" => 3600,
                _ => 24 * 3600,
            };
            Span::from_secs(number.parse::<u64>().unwrap() * unit)
        };
        for (name, (window, _)) in WINDOWS.into_iter().zip(rates) {
            assert_eq!(seconds(name), window, "{name}");
        }
    }
}
