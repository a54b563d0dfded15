//! The demo as one HTML page that needs nothing else: style and drawings are inline, and it is
//! readable on light and dark ground. It is well-formed XML too, so that a test can prove it whole.

use std::fmt::Write;

use super::{
    Report, State,
    cost_chart::cost_chart,
    demo::{Demo, millis},
    plot::{Chart, Line, Mark, Scale, escape},
};

const STYLE: &str = include_str!("page.css");

/// Latencies are drawn from a millisecond to the bystander's time-out.
const LATENCIES: Scale = Scale::Log(1.0, 10_000.0);

const SECONDS: &str = "seconds from the rollout's start";

/// How a run is named and coloured.
struct Cast<'a> {
    name: &'static str,
    class: &'static str,
    report: &'a Report,
}

/// The page.
#[must_use]
pub fn page(demo: &Demo) -> String {
    let without = Cast {
        name: "without Weir",
        class: "without",
        report: &demo.unguarded,
    };
    let with = Cast {
        name: "with Weir",
        class: "with",
        report: &demo.guarded,
    };
    let harmless = Cast {
        name: "harmless",
        class: "harmless",
        report: &demo.harmless,
    };
    let head = &demo.guarded;
    let parts = [
        "<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\"/>\n\
         <meta name=\"viewport\" content=\"width=device-width, initial-scale=1\"/>\n\
         <meta name=\"color-scheme\" content=\"light dark\"/>\n<title>Weir: one rollout, with and \
         without</title>\n<style>\n"
            .to_owned(),
        STYLE.to_owned(),
        "</style>\n</head>\n<body>\n<main>\n".to_owned(),
        header(head),
        cards(demo),
        foresight(demo),
        section(
            &format!("The harmful agent: {}", head.profile),
            &format!(
                "It {}, on every node. The same DaemonSet, created twice.",
                head.about
            ),
            &[
                width_chart(&[&without, &with]),
                latency_chart(&[&without, &with]),
            ],
        ),
        section(
            &format!("The harmless agent: {}", demo.harmless.profile),
            &format!(
                "It {}. Weir must let it through without a pause.",
                demo.harmless.about
            ),
            &[width_chart(&[&harmless]), latency_chart(&[&harmless])],
        ),
        findings(&demo.guarded),
        figures(&[&without, &with, &harmless]),
        footer(head),
        "</main>\n</body>\n</html>\n".to_owned(),
    ];
    parts.concat()
}

fn header(report: &Report) -> String {
    let servers = match report.api_servers {
        1 => "one API server on one core".to_owned(),
        more => format!("{more} API servers on one core"),
    };
    format!(
        "<header>\n<h1>One rollout, with and without Weir</h1>\n<p class=\"lead\">A real Kubernetes \
         control plane: {} nodes, {} pods, {servers}. A quiet client asks ten times a second; what it \
         feels, everybody feels.</p>\n</header>\n",
        report.nodes,
        grouped(u64::from(report.pods)),
    )
}

fn cards(demo: &Demo) -> String {
    let [unguarded, guarded, harmless] = demo.summary_html();
    let p99 = |report: &Report| millis(report.bystander.during.p99_ms);
    let width = |report: &Report| {
        let width = match report.state {
            State::Held => report.held_at_width.unwrap_or_default(),
            _ => report.width.last().map_or(0, |at| at.width),
        };
        format!("{width} of {}", report.full_width)
    };
    let card = |class: &str, title: &str, report: &Report, sentence: &str| {
        format!(
            "<article class=\"card {class}\">\n<h2>{title}</h2>\n<dl>\n<div><dt>pods let \
             through</dt><dd>{}</dd></div>\n<div><dt>slowest 1 % took</dt><dd>{}</dd></div>\n</dl>\n\
             <p>{sentence}</p>\n</article>\n",
            width(report),
            p99(report)
        )
    };
    [
        "<div class=\"cards\">\n",
        &card("without", "Without Weir", &demo.unguarded, &unguarded),
        &card("with", "With Weir", &demo.guarded, &guarded),
        &card("harmless", "Harmless, with Weir", &demo.harmless, &harmless),
        "</div>\n",
    ]
    .concat()
}

/// What was foreseen from the first pods, and what came of it.
fn foresight(demo: &Demo) -> String {
    match cost_chart(demo) {
        Some(chart) => section("What Weir foresaw", &demo.foresight(), &[chart]),
        None => String::new(),
    }
}

fn section(title: &str, lead: &str, charts: &[(&str, String)]) -> String {
    let mut section = format!(
        "<section>\n<h2>{}</h2>\n<p>{}</p>\n<div class=\"charts\">\n",
        escape(title),
        escape(lead)
    );
    for (caption, svg) in charts {
        section.push_str("<figure>\n<figcaption>");
        section.push_str(caption);
        section.push_str("</figcaption>\n");
        section.push_str(svg);
        section.push_str("</figure>\n");
    }
    section.push_str("</div>\n</section>\n");
    section
}

fn width_chart(runs: &[&Cast<'_>]) -> (&'static str, String) {
    let full = runs
        .iter()
        .map(|run| run.report.full_width)
        .max()
        .unwrap_or_default();
    let line = |run: &&Cast<'_>| Line {
        name: run.name.to_owned(),
        class: run.class,
        points: run
            .report
            .width
            .iter()
            .map(|at| (at.second, f64::from(at.width), f64::from(at.width)))
            .collect(),
    };
    let chart = Chart {
        label: "Pods let through over time".to_owned(),
        across: span(runs),
        axis: SECONDS,
        scale: Scale::Linear(f64::from(full)),
        written: |value| format!("{value:.0}"),
        level: None,
        lines: runs.iter().map(line).collect(),
        dots: vec![],
        marks: runs.iter().filter_map(|run| mark(run)).collect(),
    };
    ("Width: pods let through", chart.svg())
}

fn latency_chart(runs: &[&Cast<'_>]) -> (&'static str, String) {
    let line = |run: &&Cast<'_>| Line {
        name: run.name.to_owned(),
        class: run.class,
        points: run
            .report
            .bystander
            .series
            .iter()
            // In the middle of its second.
            .map(|at| (at.second as f64 + 0.5, at.p50_ms, at.max_ms))
            .collect(),
    };
    let above_ms = runs
        .iter()
        .map(|run| run.report.harm.above_ms)
        .fold(0.0, f64::max);
    let chart = Chart {
        label: "Latency of a quiet client over time, on a logarithmic scale".to_owned(),
        across: span(runs),
        axis: SECONDS,
        scale: LATENCIES,
        written: |ms| {
            if ms < 1000.0 {
                format!("{ms:.0} ms")
            } else {
                format!("{:.0} s", ms / 1e3)
            }
        },
        level: Some((above_ms, "others are harmed above this".to_owned())),
        lines: runs.iter().map(line).collect(),
        dots: vec![],
        marks: runs.iter().filter_map(|run| mark(run)).collect(),
    };
    (
        "A quiet client's latency: median, and up to the slowest",
        chart.svg(),
    )
}

/// From ten idle seconds to the end of the longest run, or to a while after the others ended.
fn span(runs: &[&Cast<'_>]) -> (f64, f64) {
    let last = runs
        .iter()
        .filter_map(|run| Some(run.report.width.last()?.second))
        .fold(10.0, f64::max);
    (-10.0, last)
}

/// The hold or the completion of a guarded run.
fn mark(run: &Cast<'_>) -> Option<Mark> {
    if !run.report.guarded {
        return None;
    }
    let end = match run.report.state {
        State::Held => State::Held,
        _ => State::Complete,
    };
    let at = run.report.states.iter().find(|at| at.state == end)?;
    let text = match end {
        State::Held => format!("held at {}", at.width),
        _ => format!("complete after {}", seconds(at.second)),
    };
    Some(Mark {
        x: at.second,
        text,
        class: run.class,
    })
}

fn findings(report: &Report) -> String {
    let mut rows = String::new();
    for found in &report.findings {
        row(
            &mut rows,
            &[
                &format!("{:.0} s", found.second),
                &found.reason,
                &found.evidence,
                &found.clears_when,
            ],
        );
    }
    if rows.is_empty() {
        return String::new();
    }
    format!(
        "<section>\n<h2>Why Weir held it</h2>\n<div class=\"wide\"><table>\n<thead><tr><th>at</th>\
         <th>finding</th><th>evidence</th><th>clears when</th></tr></thead>\n<tbody>\n{rows}</tbody>\n\
         </table></div>\n</section>\n"
    )
}

fn figures(runs: &[&Cast<'_>; 3]) -> String {
    let mut rows = String::new();
    let mut add = |name: &str, value: &dyn Fn(&Report) -> String| {
        let values = runs.map(|run| value(run.report));
        let [without, with, harmless] = &values;
        row(&mut rows, &[name, without, with, harmless]);
    };
    let or_none = |value: Option<String>| value.unwrap_or_else(|| "–".to_owned());
    add("ended", &|report| format!("{:?}", report.state));
    add("idle: median, slowest 1 %", &|report| {
        latency(&report.bystander.idle)
    });
    add("during: median, slowest 1 %", &|report| {
        latency(&report.bystander.during)
    });
    add("slowest 1 % compared with idle", &|report| {
        format!("× {:.1}", report.bystander.p99_factor())
    });
    add("calls that failed", &|report| {
        report.bystander.during.failed.to_string()
    });
    add("from harm to hold", &|report| {
        or_none(report.seconds_to_hold.map(seconds))
    });
    add("to completion", &|report| {
        or_none(report.seconds_to_complete.map(seconds))
    });
    add("API server: most CPU", &|report| {
        format!("{:.2} cores", report.api_server.peak_cpu_cores)
    });
    add("API server: most memory", &|report| {
        format!("{:.0} MiB", report.api_server.peak_rss_mib)
    });
    add("agents' requests", &|report| grouped(report.swarm.requests));
    add("agents' answers", &|report| {
        format!("{:.1} MB", report.swarm.bytes as f64 / 1e6)
    });
    add("refused with 429", &|report| {
        grouped(report.api_server.rejected)
    });
    add("Weir: requests per second", &|report| {
        or_none(
            report
                .weir
                .map(|weir| format!("{:.1}", weir.in_flight.requests_per_second)),
        )
    });
    add("Weir: most memory", &|report| {
        or_none(
            report
                .weir
                .map(|weir| format!("{:.0} MiB", weir.peak_rss_mib)),
        )
    });
    format!(
        "<section>\n<h2>Figures</h2>\n<div class=\"wide\"><table class=\"figures\">\n<thead><tr><th/>\
         <th>without Weir</th><th>with Weir</th><th>harmless</th></tr></thead>\n<tbody>\n{rows}</tbody>\
         \n</table></div>\n</section>\n"
    )
}

fn latency(latency: &crate::bystander::stats::Latency) -> String {
    format!("{}, {}", millis(latency.p50_ms), millis(latency.p99_ms))
}

fn footer(report: &Report) -> String {
    let commit = report.commit.as_deref().unwrap_or("unknown");
    format!(
        "<footer>\n<p>Latency counts from when a call was due, so that calls which waited for slow ones \
         are not forgotten; a call that failed counts as 10 s. A second is harmful when its median is \
         above ten times the idle median and 100 ms; harm begins with the first of two such \
         seconds.</p>\n<p>{} · commit {} · {}</p>\n</footer>\n",
        report.started.strftime("%Y-%m-%d %H:%M UTC"),
        escape(commit),
        escape(&report.machine.to_string()),
    )
}

fn row(rows: &mut String, cells: &[&str; 4]) {
    let [head, rest @ ..] = cells;
    // Writing to a String cannot fail.
    write!(rows, "<tr><th>{}</th>", escape(head)).ok();
    for cell in rest {
        write!(rows, "<td>{}</td>", escape(cell)).ok();
    }
    rows.push_str("</tr>\n");
}

/// Seconds as people say them.
#[must_use]
pub fn seconds(seconds: f64) -> String {
    if seconds < 10.0 {
        return format!("{seconds:.1} s");
    }
    let whole = seconds.round();
    let minutes = (whole / 60.0).floor();
    if minutes < 1.0 {
        format!("{whole:.0} s")
    } else {
        format!("{minutes:.0} min {:.0} s", whole - minutes * 60.0)
    }
}

/// A number with its thousands set apart.
fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}
