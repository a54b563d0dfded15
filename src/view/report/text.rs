//! A report as text.

use weir_core::time::Span;

use super::{Report, Rollout};
use crate::view::{
    age::age,
    clean::one_line,
    figures, incident,
    style::{BAD, FAINT, HEAD, WARN},
    words,
};

/// As text, with colours, and a line break at its end.
#[must_use]
pub fn render(report: &Report) -> String {
    let holds = || report.rollouts.iter().flat_map(|one| &one.holds);
    let would_be = holds().filter(|hold| hold.would_be).count();
    let real = || holds().filter(|hold| !hold.would_be);
    let delay: u64 = real().map(|hold| hold.seconds).sum();
    let at_least = if real().any(|hold| hold.at_least) {
        "at least "
    } else {
        ""
    };
    let mut lines = vec![format!(
        "{HEAD}SINCE{HEAD:#} {}: {} rollouts, {} holds of {at_least}{} in all, {would_be} that would have been",
        report.since.0,
        report.rollouts.len(),
        real().count(),
        age(Span::from_secs(delay))
    )];
    for one in &report.rollouts {
        lines.push(String::new());
        lines.extend(of_rollout(one));
    }
    if let Some(oldest) = report
        .oldest_event
        .as_ref()
        .filter(|oldest| oldest.0 > report.since.0)
    {
        lines.push(String::new());
        lines.push(format!(
            "{FAINT}Events are there since {} only; what is older is told as far as records hold it.{FAINT:#}",
            oldest.0
        ));
    }
    for why in &report.unknown {
        lines.push(format!("{WARN}not known{WARN:#}: {}", one_line(why)));
    }
    lines.join("\n") + "\n"
}

fn of_rollout(one: &Rollout) -> Vec<String> {
    let (word, style) = words::state(one.state);
    let mode = one.mode.map_or("", words::mode);
    let mut lines = vec![format!(
        "{HEAD}{}/{}{HEAD:#}  {style}{word}{style:#}, {} of {} pods  {FAINT}{mode}{FAINT:#}",
        one.namespace, one.name, one.width, one.full_width
    )];
    for hold in &one.holds {
        let what = if hold.would_be {
            "would be held"
        } else {
            "held"
        };
        let lasts = age(Span::from_secs(hold.seconds));
        let at_least = if hold.at_least { "at least " } else { "" };
        let stands = if hold.stands { ", and still is" } else { "" };
        let began = hold.began.0;
        lines.push(format!(
            "  {began}  {BAD}{what}{BAD:#} for {at_least}{lasts}{stands}"
        ));
        lines.extend(
            hold.why
                .iter()
                .map(|why| format!("      {}", one_line(why))),
        );
    }
    match one.like_these {
        0 => {}
        1 => lines.push("  and one more like these, of which only the number is known".to_owned()),
        many => lines.push(format!(
            "  and {many} more like these, of which only the number is known"
        )),
    }
    lines.extend(
        one.people
            .iter()
            .map(|what| format!("  {}", one_line(what))),
    );
    let incident = one.incident.as_ref().map(incident::line);
    lines.extend(incident.map(|told| format!("  {}", one_line(&told))));
    lines.extend(one.forecast.as_ref().map(|forecast| {
        let capacity = forecast.capacity.map(figures::cores);
        let capacity = capacity
            .map(|cores| format!(" of {cores}"))
            .unwrap_or_default();
        let seen = forecast
            .seen
            .map(|(width, cores)| format!("; seen at {width} pods: {}", figures::cores(cores)));
        let from_half = forecast.from_half.as_ref().map(|line| {
            format!(
                "; a line through the widths up to {} says {}",
                line.up_to,
                figures::cores(line.cores)
            )
        });
        format!(
            "  forecast: CPU at full width {}{capacity}{}{}",
            forecast.at_full,
            seen.unwrap_or_default(),
            from_half.unwrap_or_default()
        )
    }));
    lines
}
