//! A preflight as text.

use weir_core::forecast::{Growth, Verdict};

use super::{Case, Origin, Other, Preflight, said::name};
use crate::view::{
    figures::{amount, cores, figure, interval, plain_interval},
    style::{BAD, FAINT, GOOD, HEAD, WARN},
    table::{self, Cell},
    wrap::{used, wrapped},
};

/// The answer for a terminal of so many columns, with colours, and a line break at its end.
#[must_use]
pub fn render(document: &Preflight, columns: usize) -> String {
    let columns = used(columns);
    let nodes = figure(document.nodes, 3);
    let mut lines = vec![format!(
        "{HEAD}PREFLIGHT{HEAD:#}  DaemonSet {} on {nodes} nodes, CPU in cores of the busiest API server",
        document.name
    )];
    let titles = [
        "COST OF A POD",
        "PER POD",
        "IN USE",
        "ALLOWED",
        "AT ONCE (s)",
        "ALLOWED",
    ];
    let mut rows = vec![titles.map(|title| Cell::styled(title, FAINT)).to_vec()];
    rows.extend(document.cases.iter().map(|case| row(case, document)));
    rows.extend(document.others.iter().map(other));
    lines.extend(table::lines(&rows));
    lines.push(String::new());
    let (word, style) = match document.verdict {
        Verdict::Within => ("Within budget:", GOOD),
        Verdict::Exceeded => ("Too much:", BAD),
        Verdict::Open => ("Cannot be excluded to be too much:", WARN),
    };
    let said = match document.reasons.as_slice() {
        [] => within(document),
        reasons => format!("{}.", reasons.join("; ")),
    };
    let mut verdict = wrapped(&format!("{word} {said}"), columns, "", "");
    if let Some(first) = verdict.first_mut()
        && let Some(rest) = first.strip_prefix(word)
    {
        *first = format!("{style}{word}{style:#}{rest}");
    }
    lines.extend(verdict);
    let origins: Vec<_> = document.measured_on.iter().map(origin).collect();
    for (title, said) in [
        ("TAKEN FOR GRANTED", &document.assumptions),
        ("MEASURED ON", &origins),
    ] {
        lines.push(String::new());
        lines.push(format!("{HEAD}{title}{HEAD:#}"));
        for one in said {
            lines.extend(wrapped(one, columns, "  ", "    "));
        }
    }
    lines.push(String::new());
    lines.join("\n")
}

fn row(case: &Case, document: &Preflight) -> Vec<Cell> {
    let growth = growth(case.growth);
    let unison = case.unison.as_ref();
    let or_unknown = |known: Option<String>| known.unwrap_or_else(|| "?".to_owned());
    vec![
        growth.into(),
        plain_interval(&case.per_pod).into(),
        plain_interval(&case.steady).into(),
        or_unknown(document.budget_cores.map(|cores| figure(cores, 3))).into(),
        or_unknown(unison.map(plain_interval)).into(),
        figure(document.budget_seconds, 3).into(),
    ]
}

fn other(other: &Other) -> Vec<Cell> {
    let resource = other.resource;
    vec![
        format!("{}: {}", name(resource), growth(other.growth)).into(),
        interval(resource, &other.per_pod).into(),
        interval(resource, &other.steady).into(),
        amount(resource, other.budget).into(),
    ]
}

const fn growth(growth: Growth) -> &'static str {
    match growth {
        Growth::Alike => "the same anywhere",
        Growth::WithObjects => "grows with pods",
        Growth::AsMeasured => "as measured twice",
    }
}

fn origin(origin: &Origin) -> String {
    let Origin {
        workload,
        kubernetes,
        weir,
        nodes,
        pods,
        api_servers,
        least_width,
        most_width,
        metered,
    } = origin;
    let kubernetes = kubernetes.as_deref().unwrap_or("of unknown version");
    let pods = pods.map_or_else(|| "?".to_owned(), |pods| pods.to_string());
    let counted = if *metered {
        "its requests counted apart"
    } else {
        "by the CPU of all requests"
    };
    format!(
        "{workload} on Kubernetes {kubernetes} by Weir {weir}: widths {least_width} to {most_width} \
         of {nodes}, {pods} pods in the cluster, API servers: {api_servers}, {counted}"
    )
}

fn within(document: &Preflight) -> String {
    let most = |of: &dyn Fn(&Case) -> Option<f64>| {
        document.cases.iter().filter_map(of).fold(0.0, f64::max)
    };
    let steady = most(&|case| case.steady.high);
    let unison = most(&|case| case.unison.as_ref().and_then(|unison| unison.high));
    let others = document
        .others
        .chunk_by(|one, next| one.resource == next.resource);
    let others = others.map(|cases| {
        let resource = cases[0].resource;
        let highs = cases.iter().filter_map(|case| case.steady.high);
        format!(
            ", {} of {} of {}",
            amount(resource, highs.fold(0.0, f64::max)),
            amount(resource, cases[0].budget),
            name(resource)
        )
    });
    let budget = document.budget_cores.unwrap_or_default();
    let busy = if steady > budget {
        ", which is next to nothing more than without it"
    } else {
        ""
    };
    format!(
        "at most {} would be in use, of {} that may be{busy}{}, and all starts at once would take at most \
         {} s of {}.",
        cores(steady),
        cores(budget),
        others.collect::<String>(),
        figure(unison, 3),
        figure(document.budget_seconds, 3)
    )
}
