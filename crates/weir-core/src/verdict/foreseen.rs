//! Faults that are foreseen from what the first pods cost, and faults in how that cost develops.
//!
//! They hold before anybody suffers. Soak goes on meanwhile, and nothing is withdrawn: a forecast clears
//! as soon as what was seen says so.

use super::Scene;
use crate::{
    course,
    forecast::{AMPLIFIED, Estimate, Outlook, PROPORTIONAL, Resource, ResourceForecast, Unison},
    history::History,
    plan::{Finding, Rule, Severity},
};

/// What every forecast is found on.
const FULL_WIDTH: &str = "full width";

/// What is said where a figure that held cannot be made at present.
const UNTOLD: &str = "it was foreseen before, and cannot be told at present: it is not known what the API \
                      servers have, or nothing was seen since they restarted";

/// How a person lets through what is only foreseen.
const REGARDLESS: &str = "to let it through regardless, approve the revision";

/// By what the first pods cost, full width would be more than a capacity.
pub(super) fn forecast_exceeds_capacity(scene: &Scene<'_>, history: &History) -> Option<Finding> {
    let resource = history.ledger.exceeded().capacity?;
    let forecast = scene.forecast?;
    let mut resources = forecast.resources.iter();
    let told = resources.find(|told| told.resource == resource);
    let evidence = told
        .and_then(|told| Some((told, told.capacity?)))
        .map_or_else(
            || UNTOLD.to_owned(),
            |(told, capacity)| more_than_there_is(scene, told, capacity),
        );
    let stated = match resource {
        Resource::Cpu => ", or a policy states more (spec.capacity.cpu)",
        Resource::Memory => ", or a policy states more (spec.capacity.memory)",
        Resource::Seats | Resource::EtcdRequests | Resource::ResponseBytes | Resource::Watches => {
            ""
        }
    };
    let clears = format!(
        "the agent asks for less, or fewer pods are wanted, or the API servers have more{stated}; \
         {REGARDLESS}"
    );
    Some(foreseen(
        scene,
        Rule::ForecastExceedsCapacity,
        evidence,
        clears,
    ))
}

/// What full width needs of a resource, beside what there is.
fn more_than_there_is(scene: &Scene<'_>, told: &ResourceForecast, capacity: f64) -> String {
    let show = |value: f64| shown(told.resource, value);
    let knee = told.knee.map_or_else(String::new, |knee| {
        format!(
            "; {} pods would use up all ({})",
            count(knee.mid),
            interval(knee, count)
        )
    });
    format!(
        "each pod adds {} ({}), by what was seen of {}: {} pods need {} ({}) of {}{knee}",
        show(told.per_pod.mid),
        interval(told.per_pod, show),
        widths(scene),
        scene.census.full,
        show(told.at_full.mid),
        interval(told.at_full, show),
        show(capacity),
    )
}

/// By what the first pods' start cost, all pods' at once would take the API servers too long.
pub(super) fn unison_exceeds_capacity(scene: &Scene<'_>, history: &History) -> Option<Finding> {
    if !history.ledger.exceeded().unison {
        return None;
    }
    let unison = scene.forecast?.unison.as_ref();
    let evidence = unison.map_or_else(
        || UNTOLD.to_owned(),
        |unison| longer_than_may(scene, unison),
    );
    let clears = format!(
        "the agent asks for less when it starts, or a policy allows more (spec.forecast.unison) or \
         lets it go on, paced for ever (spec.forecast.beyondUnison: Pace), or more starts show that all \
         of them would probably be served in time; {REGARDLESS}"
    );
    let finding = foreseen(scene, Rule::UnisonExceedsCapacity, evidence, clears);
    Some(if scene.policy.forecast.paces {
        finding.only_told()
    } else {
        finding
    })
}

/// What all pods' start at once takes, beside what it may.
fn longer_than_may(scene: &Scene<'_>, unison: &Unison) -> String {
    let seconds = |value: f64| format!("{value:.0} s");
    let cpu = |value: f64| format!("{value:.2} CPU seconds");
    format!(
        "the start of a pod costs {} ({}): all {} at once, as when nodes join in a storm or an API \
         server restarts, would keep the API servers busy for {} ({}; limit {})",
        cpu(unison.start.mid),
        interval(unison.start, cpu),
        scene.census.full,
        seconds(unison.seconds.mid),
        interval(unison.seconds, seconds),
        seconds(unison.budget),
    )
}

/// What was seen does not tell yet whether the next wave would be within budget.
///
/// It is told while more is watched for, and holds once patience has run out and not even one pod more
/// would surely be survived; or at once where it would probably not be.
pub(super) fn evidence_insufficient(scene: &Scene<'_>, history: &History) -> Option<Finding> {
    let outlook = scene.outlook?;
    let next = scene.target + 1;
    let is_soaked = scene.target > 0
        && scene.target < scene.census.full
        && history.soaked >= crate::soak::needed(scene.policy, scene.census.full);
    let undecided = outlook.is_unsettled() || !outlook.is_within(next);
    let exceeded = history.ledger.exceeded();
    let holds = exceeded.capacity.is_some() || exceeded.unison && !scene.policy.forecast.paces;
    if !is_soaked || !undecided || holds {
        return None;
    }
    let cores = |value: f64| shown(Resource::Cpu, value);
    let cpu = outlook.cpu(next);
    let evidence = format!(
        "with {next} pods the busiest API server may use {} ({}), by what was seen of {}; the budget \
         is {}",
        cores(cpu.mid),
        interval(cpu, cores),
        widths(scene),
        budget(outlook, cores),
    );
    let patience = scene.policy.forecast.patience;
    let waits = course::waited(scene, history) < patience;
    let stuck = outlook.is_unlikely_borne(next) || !waits && !outlook.is_bearable(next);
    let settles = if outlook.is_fitted() {
        "more of the same width being seen narrows it"
    } else {
        "three widths tell what each pod adds from what only one of them does"
    };
    let clears = if stuck && outlook.is_unseen() {
        format!(
            "the API servers are less busy, or are read: nothing can be seen of what pods cost while \
             requests queue, are refused, or use more than {:.0} % of the cores; {REGARDLESS}",
            100.0 * PROPORTIONAL
        )
    } else if stuck {
        format!(
            "the agent asks for less, or the API servers have more; one pod more could be too much to \
             find out; {REGARDLESS}"
        )
    } else {
        format!(
            "{settles}; after {patience} of that as much is let through as is probably within budget, one pod at least"
        )
    };
    let finding = foreseen(scene, Rule::EvidenceInsufficient, evidence, clears);
    Some(if stuck { finding } else { finding.only_told() })
}

/// What a pod costs grows while it runs.
pub(super) fn cost_grows_with_age(scene: &Scene<'_>, history: &History) -> Option<Finding> {
    let outlook = scene.outlook?;
    let [before, after] = history.ledger.grown_with_age()?;
    if !outlook.is_material(after - before) {
        return None;
    }
    let evidence = format!(
        "at the same width the account's requests ran for {before:.2} seconds a second at first, and \
         {after:.2} now"
    );
    let clears = "it has stopped to grow, which the later half of what is seen at this width must show; \
                  look for lists that get longer, and for watches that begin again and again";
    Some(foreseen(
        scene,
        Rule::CostGrowsWithAge,
        evidence,
        clears.to_owned(),
    ))
}

/// The rollout's account asks ever more often, since it is refused or not answered.
pub(super) fn retry_amplification(scene: &Scene<'_>, history: &History) -> Option<Finding> {
    let amplified = history
        .ledger
        .amplified(scene.policy.harm.rejected_per_second, scene.now)?;
    let evidence = format!(
        "each pod asks {:.1} times a second, where it asked {:.1} times before; {:.1} requests of the \
         account are refused each second",
        amplified.now, amplified.before, amplified.refused
    );
    let clears = format!(
        "it has asked less than {AMPLIFIED:.0} times as often as before for {}; clients that retry without \
         waiting keep this up: undo the rollout",
        scene.clear_after
    );
    Some(Finding::hold(
        Rule::RetryAmplification,
        "its account",
        evidence,
        clears,
    ))
}

/// A finding that holds, unless forecasts are only told.
fn foreseen(scene: &Scene<'_>, rule: Rule, evidence: String, clears_when: String) -> Finding {
    let finding = Finding {
        rule,
        severity: Severity::Hold,
        subject: FULL_WIDTH.to_owned(),
        evidence,
        clears_when,
    };
    if scene.policy.forecast.holds {
        finding
    } else {
        finding.only_told()
    }
}

/// The widths that were seen, for people.
fn widths(scene: &Scene<'_>) -> String {
    let points = scene
        .forecast
        .map_or(&[][..], |forecast| &forecast.basis.points);
    let widths: Vec<_> = points.iter().filter(|point| point.width > 0).collect();
    match widths.as_slice() {
        [] => "no pod".to_owned(),
        [one] => pods(one.width),
        [first, .., last] => format!(
            "{} widths from {} to {}",
            widths.len(),
            first.width,
            pods(last.width)
        ),
    }
}

fn pods(number: u32) -> String {
    match number {
        1 => "1 pod".to_owned(),
        number => format!("{number} pods"),
    }
}

fn budget(outlook: &Outlook, show: impl Fn(f64) -> String) -> String {
    outlook
        .budget_cores()
        .map_or_else(|| "not known".to_owned(), show)
}

/// An interval, for people.
fn interval(estimate: Estimate, show: impl Fn(f64) -> String) -> String {
    if estimate.high.is_finite() {
        format!("{} to {}", show(estimate.low), show(estimate.high))
    } else {
        format!("at least {}", show(estimate.low))
    }
}

fn count(pods: f64) -> String {
    format!("{pods:.0}")
}

/// A figure in its resource's unit.
fn shown(resource: Resource, value: f64) -> String {
    const MIB: f64 = 1024.0 * 1024.0;
    match resource {
        Resource::Cpu if 0.0 < value && value < 0.0095 => format!("{value:.5} cores"),
        // A hundredth of a core is much for a pod, and nothing for two hundred of them.
        Resource::Cpu if value < 0.095 => format!("{value:.3} cores"),
        Resource::Cpu if value < 9.5 => format!("{value:.2} cores"),
        Resource::Cpu => format!("{value:.0} cores"),
        Resource::Seats => format!("{value:.1} seats"),
        Resource::Memory => format!("{:.0} MiB", value / MIB),
        Resource::EtcdRequests => format!("{value:.0} requests/s"),
        Resource::ResponseBytes => format!("{:.1} MiB/s", value / MIB),
        Resource::Watches => format!("{value:.0} watches"),
    }
}
