//! What may run out besides CPU: seats and memory, by the same two extremes.
//!
//! Always by the widest record: what others move too is too noisy for a line through two.

use serde::{Deserialize, Serialize};

use super::{Estimate, Growth, Measured, Resource, Target, Verdict, is_negligible, share, times};

/// A resource besides CPU, as it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Gauge {
    /// Which.
    pub resource: Resource,
    /// In use without the rollout.
    pub base: f64,
    /// What the rollout uses at any width.
    pub fixed: Estimate,
    /// What each pod uses.
    pub per_pod: Estimate,
    /// All that there is, if that is known.
    pub capacity: Option<f64>,
}

/// What is stated of a resource in the other cluster; none means as where it was measured.
#[derive(Debug, Clone, PartialEq)]
pub struct Stated {
    /// Which.
    pub resource: Resource,
    /// All that there is.
    pub capacity: Option<f64>,
    /// In use without the rollout.
    pub in_use: Option<f64>,
}

/// What it would take of one resource if that grew in one way.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
pub struct Other {
    /// Which.
    pub resource: Resource,
    /// In which.
    pub growth: Growth,
    /// What each pod uses.
    pub per_pod: Estimate,
    /// In use with all pods, all else included.
    pub steady: Estimate,
    /// All that there is.
    pub capacity: f64,
    /// In use without the rollout.
    pub in_use: f64,
}

/// What there would be of each resource of which it is known how much there is, and the others.
pub(super) fn reckon(
    main: &Measured,
    target: &Target,
    servers: u32,
    ratio: f64,
) -> (Vec<Other>, Vec<Resource>) {
    let (mut reckoned, mut unknown) = (Vec::new(), Vec::new());
    for gauge in &main.others {
        let stated = target
            .stated
            .iter()
            .find(|stated| stated.resource == gauge.resource);
        let capacity = stated.and_then(|stated| stated.capacity);
        let Some(capacity) = capacity.or(gauge.capacity) else {
            unknown.push(gauge.resource);
            continue;
        };
        let in_use = stated.and_then(|stated| stated.in_use);
        let share = borne(gauge.resource, share(main.servers, servers));
        reckoned.extend([(Growth::Alike, 1.0), (Growth::WithObjects, ratio)].map(
            |(growth, factor)| {
                let [fixed, per_pod] =
                    [gauge.fixed, gauge.per_pod].map(|cost| times(cost, share * factor));
                let in_use = in_use.unwrap_or_else(|| base(gauge, share, factor));
                let steady = |fixed: f64, each: f64| in_use + fixed + target.nodes * each;
                Other {
                    resource: gauge.resource,
                    growth,
                    per_pod,
                    steady: Estimate {
                        low: steady(fixed.low, per_pod.low),
                        mid: steady(fixed.mid, per_pod.mid),
                        high: steady(fixed.high, per_pod.high),
                    },
                    capacity,
                    in_use,
                }
            },
        ));
    }
    (reckoned, unknown)
}

/// What that comes to: too much if any one resource surely is.
pub(super) fn verdict(others: &[Other], budget: f64) -> Verdict {
    // What adds next to nothing is harmless, however much is in use already.
    let adds_little = |one: &Other, steady: f64| is_negligible(steady - one.in_use, one.capacity);
    let is_within =
        |one: &Other| one.steady.high <= one.capacity * budget || adds_little(one, one.steady.high);
    let is_beyond =
        |one: &Other| one.steady.low > one.capacity * budget && !adds_little(one, one.steady.low);
    let is_surely_beyond = |one: &Other| {
        let mut cases = others.iter().filter(|other| other.resource == one.resource);
        cases.all(is_beyond)
    };
    if others.iter().all(is_within) {
        Verdict::Within
    } else if others.iter().any(is_surely_beyond) {
        Verdict::Exceeded
    } else {
        Verdict::Open
    }
}

/// How much more of a resource one API server takes. Much of its memory is the same however many there
/// are: fewer take more, but more of them need not take less.
fn borne(resource: Resource, share: f64) -> f64 {
    match resource {
        Resource::Memory => share.max(1.0),
        Resource::Cpu
        | Resource::Seats
        | Resource::EtcdRequests
        | Resource::ResponseBytes
        | Resource::Watches => share,
    }
}

/// What is in use without the rollout. API servers keep every object in memory, each of them; whatever
/// else there is they share.
fn base(gauge: &Gauge, share: f64, factor: f64) -> f64 {
    match gauge.resource {
        Resource::Memory => gauge.base * factor,
        Resource::Cpu
        | Resource::Seats
        | Resource::EtcdRequests
        | Resource::ResponseBytes
        | Resource::Watches => gauge.base * share,
    }
}
