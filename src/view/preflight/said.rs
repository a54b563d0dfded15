//! A preflight in sentences: why it is not surely within budget, and what was taken for granted.

use weir_core::forecast::{self, Elsewhere, Growth, Objects, STRETCH, Target};

use super::Preflight;
use crate::{
    api::{EstimateStatus, Resource},
    view::figures::{amount, cores, figure},
};

/// Why it is not surely within budget, what is sure first.
pub(super) fn reasons(document: &Preflight) -> Vec<String> {
    let mut reasons = Vec::new();
    if document.budget_cores.is_none() {
        reasons.push("the API servers' cores are not known: state them with --cpu".to_owned());
    }
    if document.cases.iter().any(|case| case.unison.is_none()) {
        reasons.push(
            "what all pods would cost if they started at once is not known: no start was measured"
                .to_owned(),
        );
    }
    for case in &document.cases {
        let growth = growth(case.growth);
        let limit = document.budget_cores.filter(|_| !case.adds_little);
        let steady = limit.and_then(|limit| {
            let need = beyond(&case.steady, limit, &cores)?;
            let limit = cores(limit);
            Some(format!(
                "{growth}, {need} would be in use, and {limit} may be"
            ))
        });
        let unison = case.unison.as_ref().and_then(|unison| {
            let need = beyond(unison, document.budget_seconds, &|one| {
                format!("{} s", figure(one, 3))
            })?;
            let limit = figure(document.budget_seconds, 3);
            Some(format!(
                "{growth}, all starts at once would take {need}, and {limit} s are allowed"
            ))
        });
        reasons.extend([steady, unison].into_iter().flatten());
    }
    reasons.extend(document.others.iter().filter_map(|other| {
        let need = beyond(&other.steady, other.budget, &|one| {
            amount(other.resource, one)
        })?;
        let limit = amount(other.resource, other.budget);
        let (growth, name) = (growth(other.growth), name(other.resource));
        Some(format!(
            "{growth}, {need} of {name} would be in use, and {limit} may be"
        ))
    }));
    if document.stretch > STRETCH {
        let nodes = figure(document.nodes, 3);
        let times = figure(document.stretch, 2);
        let enough = figure((document.nodes / STRETCH).ceil(), 3);
        reasons.push(format!(
            "{nodes} pods are {times} times as many as were ever seen at once, and beyond {STRETCH} \
             times a line is a guess: measure again with {enough} or more"
        ));
    }
    reasons
}

/// How far an estimate goes beyond a limit: surely, perhaps, or not at all.
fn beyond(estimate: &EstimateStatus, limit: f64, said: &dyn Fn(f64) -> String) -> Option<String> {
    match estimate.high {
        _ if estimate.low > limit => Some(format!("at least {}", said(estimate.low))),
        Some(high) if high <= limit => None,
        Some(high) => Some(format!("up to {}", said(high))),
        None => Some("nobody knows how much".to_owned()),
    }
}

const fn growth(growth: Growth) -> &'static str {
    match growth {
        Growth::Alike => "if a pod costs the same in any cluster",
        Growth::WithObjects => "if a pod's cost grows with the pods in the cluster",
        Growth::AsMeasured => "as both records tell",
    }
}

/// What was taken for granted.
pub(super) fn assumptions(answer: &Elsewhere, target: &Target) -> Vec<String> {
    let mut said = Vec::new();
    if target.objects.is_none() {
        said.push(match answer.objects {
            Objects::Number(number) => format!(
                "{} pods in the cluster: as many for each node as where it was measured (--pods)",
                figure(number, 3)
            ),
            Objects::Times(times) => format!(
                "{} times the pods in the cluster: as many for each node as where it was measured",
                figure(times, 3)
            ),
        });
    }
    if target.in_use.is_none() {
        said.push(format!(
            "{} in use without it: as where it was measured (--in-use)",
            cores(answer.in_use)
        ));
    }
    if target.cores.is_none() && answer.cores.is_some() {
        said.push("cores of an API server: as where it was measured (--cpu)".to_owned());
    }
    let others = answer.servers.saturating_sub(1).max(1);
    let servers = answer.servers;
    said.push(match servers {
        0 | 1 => "one API server bears all of it".to_owned(),
        _ => format!("{others} of {servers} API servers bear all of it, as one may be missing"),
    });
    said.extend(of_others(answer, target));
    said.push(alone(answer));
    said
}

/// What was taken for granted of resources besides CPU.
fn of_others(answer: &Elsewhere, target: &Target) -> Vec<String> {
    let mut said = Vec::new();
    for other in &answer.others {
        let is_same = |stated: &&forecast::Stated| stated.resource == other.resource;
        let stated = target.stated.iter().find(is_same);
        let (resource, with_pods) = (other.resource.into(), other.growth != Growth::Alike);
        let name = name(resource);
        if stated.and_then(|stated| stated.capacity).is_none() && !with_pods {
            let capacity = amount(resource, other.capacity);
            let flag = flag(resource);
            said.push(format!(
                "{capacity} of {name} at each API server: as where it was measured{flag}"
            ));
        }
        if resource == Resource::Memory
            && stated.and_then(|stated| stated.in_use).is_none()
            && with_pods
        {
            said.push(format!(
                "up to {} of memory in use without it: as where it was measured, and growing with \
                 the pods in the cluster (--memory-in-use)",
                amount(resource, other.in_use)
            ));
        }
    }
    said
}

/// What alone is reckoned with.
fn alone(answer: &Elsewhere) -> String {
    let mut reckoned = vec!["CPU"];
    for other in &answer.others {
        let name = name(other.resource.into());
        if !reckoned.contains(&name) {
            reckoned.push(name);
        }
    }
    let reckoned = reckoned.join(" and ");
    let unknown = answer.unknown.iter().map(|one| {
        let one = (*one).into();
        format!("{}{}", name(one), flag(one))
    });
    match unknown.collect::<Vec<_>>().join(", ") {
        none if none.is_empty() => format!("reckoned with: {reckoned}; nothing else was measured"),
        unknown => format!("reckoned with: {reckoned}; there is no known capacity of {unknown}"),
    }
}

/// A resource in a sentence.
pub(super) const fn name(resource: Resource) -> &'static str {
    match resource {
        Resource::Cpu => "CPU",
        Resource::Seats => "seats",
        Resource::Memory => "memory",
        Resource::EtcdRequests => "requests to etcd",
        Resource::ResponseBytes => "bytes of responses",
        Resource::Watches => "watches",
    }
}

/// What states how much there is of a resource.
const fn flag(resource: Resource) -> &'static str {
    match resource {
        Resource::Seats => " (--seats)",
        Resource::Memory => " (--memory)",
        Resource::Cpu | Resource::EtcdRequests | Resource::ResponseBytes | Resource::Watches => "",
    }
}
