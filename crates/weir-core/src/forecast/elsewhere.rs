//! What a cost that was measured in one cluster would be in another, larger one.
//!
//! A pod's cost may grow with the objects that it is answered with: use = base + fixed + N·(a + b·P),
//! N the pods of the rollout and P the objects (after Kindling, Datadog's agent and the OpenTelemetry
//! collector, whose cost was N·P in their incidents). From one measurement at one P the two cannot be
//! told apart: what is known is c = a + b·P only. So both extremes are reckoned with, and the truth
//! lies between them:
//!
//! ```text
//!  b = 0   each pod costs c, however many objects there are
//!  a = 0   each pod costs c · P′ / P
//! ```
//!
//! Two measurements at different P give the line through both. Neither a nor b is ever negative,
//! which bounds how far their intervals can carry it.
//!
//! As in a forecast, everything is of the API server that would be busiest with one missing. Of k there
//! are k − 1 left, so that from k to k′ the same unevenness means (k − 1) / (k′ − 1) of the cost.
//!
//! What else may run out is reckoned by both extremes too (`others.rs`).

mod others;

use serde::{Deserialize, Serialize};

pub use self::others::{Gauge, Other, Stated};
use super::{calm::is_negligible, estimate::Estimate, told::Resource};

/// Beyond so many times the widest width that was seen a line is a guess, which bears nothing.
pub const STRETCH: f64 = 10.0;

/// What was measured in one cluster, of its busiest API server with one missing.
#[derive(Debug, Clone, PartialEq)]
pub struct Measured {
    /// Objects in that cluster (pods, as a rule), if they were counted.
    pub objects: Option<f64>,
    /// Nodes that the rollout wanted to be on.
    pub nodes: f64,
    /// API servers.
    pub servers: u32,
    /// The widest width that was seen.
    pub widest: u32,
    /// Cores in use without the rollout.
    pub base: f64,
    /// Cores that it uses at any width.
    pub fixed: Estimate,
    /// Cores that each pod uses.
    pub per_pod: Estimate,
    /// Cores of an API server, if that is known.
    pub cores: Option<f64>,
    /// CPU-seconds of one pod's start, if one was seen.
    pub start: Option<Estimate>,
    /// What else was measured.
    pub others: Vec<Gauge>,
}

/// The cluster that it is to go to.
#[derive(Debug, Clone, PartialEq)]
pub struct Target {
    /// Pods of the rollout: nodes, as a rule.
    pub nodes: f64,
    /// Objects; none means as many for each node as where it was measured.
    pub objects: Option<f64>,
    /// API servers; none means as many as where it was measured.
    pub servers: Option<u32>,
    /// Cores of each; none means as where it was measured.
    pub cores: Option<f64>,
    /// Cores of the busiest that are in use without the rollout; none means as where it was measured.
    pub in_use: Option<f64>,
    /// What is stated of other resources there.
    pub stated: Vec<Stated>,
    /// The share of each capacity that may be in use.
    pub budget: f64,
    /// How long the start of all pods at once may take, in seconds.
    pub unison: f64,
}

/// What a pod's cost is taken to depend on.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize)]
pub enum Growth {
    /// Not on the objects.
    Alike,
    /// On nothing but the objects.
    WithObjects,
    /// On both, as two measurements tell.
    AsMeasured,
}

/// What it would cost if a pod's cost grew in one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Case {
    /// In which.
    pub growth: Growth,
    /// Cores that each pod uses.
    pub per_pod: Estimate,
    /// Cores in use with all pods, all else included.
    pub steady: Estimate,
    /// Whether that is next to nothing more than without it, even by the upper end: harmless, however
    /// much is in use already.
    pub adds_little: bool,
    /// Whether it may be: by the lower end.
    pub may_add_little: bool,
    /// How long the start of all at once would take, in seconds, if that is known.
    pub unison: Option<Estimate>,
}

/// What it would cost in the other cluster.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Elsewhere {
    /// Both extremes, or the one case that two measurements leave.
    pub cases: Vec<Case>,
    /// Objects that were reckoned with, or how many times those of the measurement if they were not
    /// counted there.
    pub objects: Objects,
    /// API servers.
    pub servers: u32,
    /// Cores of each, if they are known.
    pub cores: Option<f64>,
    /// Cores of the busiest in use without the rollout.
    pub in_use: f64,
    /// What else may run out, by both extremes.
    pub others: Vec<Other>,
    /// What was measured without anybody knowing how much there is: it is not reckoned with.
    pub unknown: Vec<Resource>,
    /// Pods for each pod of the widest width that was seen.
    pub stretch: f64,
    /// What all of that comes to.
    pub verdict: Verdict,
}

/// Objects in the other cluster.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
pub enum Objects {
    /// So many.
    Number(f64),
    /// So many times those of the measurement.
    Times(f64),
}

/// Whether the other cluster would bear it, the worst last.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize)]
pub enum Verdict {
    /// It would, even by the upper ends of all cases.
    Within,
    /// Neither is sure.
    Open,
    /// It would not, even by the lower ends of all cases of one resource.
    Exceeded,
}

/// Why nothing can be said.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
pub enum Mismatch {
    /// Nothing was measured.
    #[error("there is no measurement")]
    Nothing,
    /// A number of objects says nothing where those of the measurement were not counted.
    #[error(
        "the record does not say how many pods its cluster had, so that a number of pods says nothing"
    )]
    ObjectsUnknown,
    /// A line goes through two numbers of objects, not through one.
    #[error(
        "one of the two records does not say how many pods its cluster had, so that they cannot be \
         compared"
    )]
    ObjectsOfOneUnknown,
    /// Two measurements of the same say nothing of how cost grows.
    #[error(
        "both records were measured at the same number of pods, so that they are no more than one"
    )]
    SameObjects,
    /// A pod cannot cost less because there is more to read.
    #[error("the records contradict each other: a pod costs less where there is more to read")]
    Contradiction,
}

/// What one or two measurements say of another cluster. What is not stated of it is taken to be as where
/// the wider of them was made.
pub fn elsewhere(measured: &[Measured], target: &Target) -> Result<Elsewhere, Mismatch> {
    let widest = measured.iter().max_by_key(|one| one.widest);
    let main = widest.ok_or(Mismatch::Nothing)?;
    let servers = target.servers.unwrap_or(main.servers);
    let scaled: Vec<_> = measured.iter().map(|one| one.among(servers)).collect();
    if measured.len() > 1 && measured.iter().any(|one| one.objects.is_none()) {
        return Err(Mismatch::ObjectsOfOneUnknown);
    }
    let objects = objects(main, target)?;
    let ratio = objects.ratio(main);
    let cases = match scaled.as_slice() {
        [] => return Err(Mismatch::Nothing),
        [one] => extremes(one, ratio),
        [one, other, ..] => vec![through(one, other, objects)?],
    };
    let base = scaled.iter().map(|one| one.base).fold(0.0, f64::max);
    let in_use = target.in_use.unwrap_or(base);
    let cores = target.cores.or(main.cores);
    let cases: Vec<_> = cases
        .iter()
        .map(|rates| rates.case(target.nodes, in_use, cores))
        .collect();
    let (others, unknown) = others::reckon(main, target, servers, ratio);
    let stretch = target.nodes / f64::from(main.widest.max(1));
    let limit = cores.map(|cores| cores * target.budget);
    let guessed = if stretch > STRETCH {
        Verdict::Open
    } else {
        Verdict::Within
    };
    Ok(Elsewhere {
        verdict: verdict(&cases, limit, target.unison)
            .max(others::verdict(&others, target.budget))
            .max(guessed),
        cases,
        objects,
        servers,
        cores,
        in_use,
        others,
        unknown,
        stretch,
    })
}

/// What the pods of one case cost.
struct Rates {
    growth: Growth,
    fixed: Estimate,
    per_pod: Estimate,
    start: Option<Estimate>,
}

impl Rates {
    fn case(&self, nodes: f64, in_use: f64, cores: Option<f64>) -> Case {
        let steady = |fixed: f64, each: f64| in_use + fixed + nodes * each;
        let least = steady(self.fixed.low, self.per_pod.low);
        let most = steady(self.fixed.high, self.per_pod.high);
        let adds_little =
            |steady: f64| cores.is_some_and(|cores| is_negligible(steady - in_use, cores));
        let unison = self.start.zip(cores).filter(|(_, cores)| *cores > 0.0);
        Case {
            growth: self.growth,
            per_pod: self.per_pod,
            steady: Estimate {
                low: least,
                mid: steady(self.fixed.mid, self.per_pod.mid),
                high: most,
            },
            adds_little: adds_little(most),
            may_add_little: adds_little(least),
            unison: unison.map(|(start, cores)| times(start, nodes / cores)),
        }
    }
}

impl Measured {
    /// The same borne by so many API servers, as unevenly.
    fn among(&self, servers: u32) -> Self {
        let share = share(self.servers, servers);
        Self {
            base: self.base * share,
            fixed: times(self.fixed, share),
            per_pod: times(self.per_pod, share),
            start: self.start.map(|start| times(start, share)),
            ..self.clone()
        }
    }
}

impl Objects {
    /// How many times those of a measurement.
    fn ratio(self, main: &Measured) -> f64 {
        match self {
            Self::Times(times) => times,
            Self::Number(number) => number / main.objects.unwrap_or(number),
        }
    }
}

/// How much more one of the API servers that are left bears if there are `there` instead of `here`.
fn share(here: u32, there: u32) -> f64 {
    let left = |servers: u32| f64::from(servers.saturating_sub(1).max(1));
    left(here) / left(there)
}

fn objects(main: &Measured, target: &Target) -> Result<Objects, Mismatch> {
    let grown = target.nodes / main.nodes;
    match (target.objects, main.objects) {
        (Some(_), None) => Err(Mismatch::ObjectsUnknown),
        (Some(number), Some(_)) => Ok(Objects::Number(number)),
        (None, Some(there)) => Ok(Objects::Number(there * grown)),
        (None, None) => Ok(Objects::Times(grown)),
    }
}

fn extremes(one: &Measured, ratio: f64) -> Vec<Rates> {
    [(Growth::Alike, 1.0), (Growth::WithObjects, ratio)]
        .map(|(growth, factor)| Rates {
            growth,
            fixed: times(one.fixed, factor),
            per_pod: times(one.per_pod, factor),
            start: one.start.map(|start| times(start, factor)),
        })
        .into()
}

fn through(one: &Measured, other: &Measured, objects: Objects) -> Result<Rates, Mismatch> {
    let (Some(here), Some(there), Objects::Number(number)) = (one.objects, other.objects, objects)
    else {
        return Err(Mismatch::ObjectsUnknown);
    };
    if here > there {
        return through(other, one, objects);
    }
    if there <= here {
        return Err(Mismatch::SameObjects);
    }
    let at = |of: fn(&Measured) -> Estimate| line((here, of(one)), (there, of(other)), number);
    let start = match (one.start, other.start) {
        (Some(first), Some(second)) => Some(line((here, first), (there, second), number)?),
        _ => None,
    };
    Ok(Rates {
        growth: Growth::AsMeasured,
        fixed: at(|one| one.fixed)?,
        per_pod: at(|one| one.per_pod)?,
        start,
    })
}

/// Where the lines a + b·P through two intervals are at a third P, if neither a nor b is negative. The
/// first is at the smaller P.
fn line(
    (near, first): (f64, Estimate),
    (far, second): (f64, Estimate),
    at: f64,
) -> Result<Estimate, Mismatch> {
    if second.high < first.low {
        return Err(Mismatch::Contradiction);
    }
    let share = (at - near) / (far - near);
    let through = |one: f64, other: f64| one + (other - one) * share;
    let (low, high) = if at > far {
        // No steeper than from nothing, and never falling.
        let high = through(first.low, second.high).min(second.high * at / far);
        (through(first.high, second.low).max(second.low), high)
    } else if at < near {
        let low = through(first.low, second.high).max(first.low * at / near);
        (low, through(first.high, second.low).min(first.high))
    } else {
        (
            through(first.low, second.low),
            through(first.high, second.high),
        )
    };
    Ok(Estimate {
        low,
        // Intervals that overlap may have middles that no such line goes through.
        mid: through(first.mid, second.mid).max(low).min(high),
        high,
    })
}

fn verdict(cases: &[Case], limit: Option<f64>, unison: f64) -> Verdict {
    let below = |estimate: Option<Estimate>, limit: Option<f64>| {
        estimate
            .zip(limit)
            .is_some_and(|(one, limit)| one.high <= limit)
    };
    let above = |estimate: Option<Estimate>, limit: Option<f64>| {
        estimate
            .zip(limit)
            .is_some_and(|(one, limit)| one.low > limit)
    };
    let is_within = |case: &Case| {
        let steady = case.adds_little || below(Some(case.steady), limit);
        steady && below(case.unison, Some(unison))
    };
    let is_beyond = |case: &Case| {
        let steady = !case.may_add_little && above(Some(case.steady), limit);
        steady || above(case.unison, Some(unison))
    };
    if cases.iter().all(is_within) {
        Verdict::Within
    } else if cases.iter().all(is_beyond) {
        Verdict::Exceeded
    } else {
        Verdict::Open
    }
}

/// Infinity times nothing is nothing.
fn times(estimate: Estimate, factor: f64) -> Estimate {
    estimate.map(|value| if factor == 0.0 { 0.0 } else { value * factor })
}

#[cfg(test)]
mod tests;
