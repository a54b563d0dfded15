//! A forecast as text: the table, the start in unison, the plot, and what it was made from.

use super::plot;
use crate::{
    api::{ForecastStatus, RecordStatus, Resource, ResourceStatus, UnisonStatus},
    view::{
        figures::{amount, cores, figure, interval, plain_interval, pods, title},
        style::{BAD, FAINT, GOOD, HEAD, WARN},
        table::{self, Cell},
        wrap::wrapped,
    },
};

/// The parts of a forecast, each of some lines.
pub(super) fn render(told: &ForecastStatus, columns: usize) -> Vec<Vec<String>> {
    let mut parts = vec![resources(told, columns)];
    parts.extend(plot::render(told, columns));
    parts.push(basis(told, columns));
    parts
}

fn resources(told: &ForecastStatus, columns: usize) -> Vec<String> {
    let full = told.full_width;
    let at_full = format!("AT {full} PODS");
    let titles = [
        "RESOURCE", "BASE", "FIXED", "PER POD", &at_full, "CAPACITY", "KNEE",
    ];
    let mut rows = vec![titles.map(|title| Cell::styled(title, FAINT)).to_vec()];
    rows.extend(told.resources.iter().map(|one| row(one, told.budget)));
    let of = match told.servers {
        0 | 1 => "of the API server",
        _ => "of the API server that would be busiest with one missing",
    };
    let mut lines = vec![format!("{HEAD}FORECAST{HEAD:#}  {of}, with 95 % intervals")];
    lines.extend(table::lines(&rows));
    lines.extend(wrapped(&budget(told), columns, "  ", "  "));
    let unison = match &told.unison {
        Some(unison) => self::unison(unison, full),
        None => "All at once: not known before the start of a pod was seen.".to_owned(),
    };
    lines.extend(wrapped(&unison, columns, "  ", "  "));
    lines
}

fn row(told: &ResourceStatus, budget: f64) -> Vec<Cell> {
    let ResourceStatus {
        resource,
        base,
        fixed,
        per_pod,
        at_full,
        capacity,
        knee,
    } = told;
    let resource = *resource;
    let verdict = match (capacity, at_full.high) {
        (Some(capacity), _) if at_full.low > *capacity => BAD,
        (Some(capacity), Some(high)) if high <= *capacity * budget => GOOD,
        (Some(_), _) => WARN,
        (None, _) => anstyle::Style::new(),
    };
    vec![
        title(resource).into(),
        amount(resource, *base).into(),
        amount(resource, fixed.mid).into(),
        amount(resource, per_pod.mid).into(),
        Cell::styled(interval(resource, at_full), verdict),
        capacity
            .map_or_else(|| "-".to_owned(), |all| amount(resource, all))
            .into(),
        knee.as_ref().map_or_else(|| "-".to_owned(), pods).into(),
    ]
}

fn budget(told: &ForecastStatus) -> String {
    let share = figure(told.budget * 100.0, 3);
    let cpu = told
        .resources
        .iter()
        .find(|one| one.resource == Resource::Cpu);
    match cpu.and_then(|cpu| cpu.capacity) {
        Some(all) => format!(
            "The budget is {share} % of each capacity: {} of CPU. A knee is the number of pods \
             that uses up a capacity.",
            cores(all * told.budget)
        ),
        None => format!(
            "The budget is {share} % of each capacity, but that of CPU is not known: state it in a \
             RolloutPolicy (spec.capacity.cpu)."
        ),
    }
}

fn unison(told: &UnisonStatus, full: u32) -> String {
    let UnisonStatus {
        start,
        seconds,
        budget,
        waves: _,
    } = told;
    let verdict = match seconds.high {
        _ if seconds.low > *budget => "too long",
        Some(high) if high <= *budget => "within that",
        _ => "which it may exceed",
    };
    format!(
        "All at once: the start of a pod takes {} CPU-seconds, that of all {full} keeps the API \
         servers busy for {} s; {} s are allowed: {verdict}.",
        plain_interval(start),
        plain_interval(seconds),
        figure(*budget, 3)
    )
}

fn basis(told: &ForecastStatus, columns: usize) -> Vec<String> {
    let seen = told.points.iter().filter(|point| point.width > 0);
    let widths: Vec<_> = seen.clone().map(|point| point.width.to_string()).collect();
    let windows: u32 = told.points.iter().map(|point| point.windows).sum();
    let mut said = vec![format!(
        "widths of {} pods, {windows} windows",
        match widths.as_slice() {
            [] => "no".to_owned(),
            some => some.join(", "),
        }
    )];
    said.extend(
        told.dropped
            .iter()
            .map(|dropped| format!("left out: {} windows, {}", dropped.windows, dropped.why)),
    );
    said.push(format!("counted by: {}", told.meter));
    if told.metered {
        said.push(format!(
            "kappa: {} CPU-seconds for each second that its requests ran",
            plain_interval(&told.kappa)
        ));
    }
    said.push(format!("API servers: {}", told.servers));
    said.extend(told.record.as_ref().map(record));
    let mut lines = vec![format!("{HEAD}MADE FROM{HEAD:#}")];
    for one in said {
        lines.extend(wrapped(&one, columns, "  ", "    "));
    }
    lines
}

fn record(record: &RecordStatus) -> String {
    let RecordStatus {
        template,
        weir,
        kubernetes,
        pods,
        least_width,
        most_width,
    } = record;
    let kubernetes = kubernetes.as_deref().unwrap_or("version not known");
    let pods = pods.map_or_else(|| "?".to_owned(), |pods| pods.to_string());
    format!(
        "record: Kubernetes {kubernetes}, {pods} pods in the cluster, widths {least_width} to \
         {most_width}, by Weir {weir}; template {template}"
    )
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::api::EstimateStatus;

    #[test]
    fn only_what_is_surely_within_budget_is_green() {
        let coloured = |low: f64, high: Option<f64>, capacity: Option<f64>| {
            let estimate = EstimateStatus {
                low,
                mid: low,
                high,
            };
            let told = ResourceStatus {
                resource: Resource::Cpu,
                base: 0.1,
                fixed: estimate,
                per_pod: estimate,
                at_full: estimate,
                capacity,
                knee: None,
            };
            let of = interval(Resource::Cpu, &estimate);
            let drawn = table::lines(&[row(&told, 0.5)]).concat();
            [("good", GOOD), ("warn", WARN), ("bad", BAD)]
                .into_iter()
                .find(|(_, style)| drawn.contains(&format!("{style}{of}{style:#}")))
                .map(|(name, _)| name)
        };
        assert_eq!(coloured(0.5, Some(1.0), Some(2.0)), Some("good"));
        assert_eq!(coloured(0.5, Some(1.1), Some(2.0)), Some("warn"));
        assert_eq!(coloured(1.5, Some(1.9), Some(2.0)), Some("warn"));
        assert_eq!(coloured(0.5, None, Some(2.0)), Some("warn"));
        assert_eq!(coloured(2.1, Some(9.0), Some(2.0)), Some("bad"));
        assert_eq!(coloured(2.1, Some(9.0), None), None);
    }
}
