//! What Weir foresaw over time, as far as a report can hold it.

use weir::api::ForecastStatus;

use crate::report::foreseen::ForecastAt;

/// So many are kept; of more, every second of the older ones goes. At one new forecast in five
/// seconds these are ten minutes.
const MOST: usize = 120;

/// Forecasts in the order in which they were seen.
#[derive(Debug, Default)]
pub(super) struct Forecasts {
    pub(super) series: Vec<ForecastAt>,
}

impl Forecasts {
    /// Takes a forecast in, unless it is the last one again.
    pub(super) fn take(&mut self, second: f64, width: u32, forecast: &ForecastStatus) {
        let is_known = |last: &ForecastAt| last.width == width && last.forecast == *forecast;
        if self.series.last().is_some_and(is_known) {
            return;
        }
        if self.series.len() >= MOST {
            let mut keep = [true, false].into_iter().cycle();
            self.series.retain(|_| keep.next().unwrap_or(true));
        }
        self.series.push(ForecastAt {
            second,
            width,
            forecast: forecast.clone(),
        });
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::report::tests::forecast;

    #[test]
    fn each_forecast_is_kept_once_and_the_last_always() {
        let mut forecasts = Forecasts::default();
        forecasts.take(1.0, 4, &forecast());
        forecasts.take(2.0, 4, &forecast());
        assert_eq!(forecasts.series.len(), 1, "nothing was new");
        for second in 0..1000 {
            let mut new = forecast();
            new.budget = f64::from(second);
            forecasts.take(f64::from(second), 4, &new);
            assert!(forecasts.series.len() <= MOST);
            assert_eq!(
                forecasts.series.last().map(|at| at.second),
                Some(f64::from(second))
            );
        }
        assert!(
            forecasts
                .series
                .is_sorted_by(|one, other| one.second <= other.second)
        );
        assert!(forecasts.series.len() >= MOST / 2);
    }
}
