//! `kubectl weir preflight`: what a measured cost means for another cluster.

mod said;
#[cfg(test)]
mod tests;
mod text;

use serde::Serialize;
use weir_core::forecast::{self, Elsewhere, Estimate, Growth, Objects, Target, Verdict};

use crate::api::{Cost, EstimateStatus, RecordStatus, Resource};

pub use text::render;

/// What was asked.
#[derive(Debug, Clone)]
pub struct Asked {
    /// The DaemonSet's name.
    pub name: String,
    /// The content hash of its pod template.
    pub template: String,
    /// Where what is known of it is from.
    pub origins: Vec<Origin>,
    /// The cluster that it is to go to.
    pub target: Target,
}

/// What a record was measured on.
#[derive(Debug, Clone, PartialEq, Eq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Origin {
    /// The workload's namespace and name.
    pub workload: String,
    /// The API servers' version, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub kubernetes: Option<String>,
    /// The Weir that measured.
    pub weir: String,
    /// Pods that the workload wanted there.
    pub nodes: u32,
    /// Pods in that cluster, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<u32>,
    /// API servers there.
    pub api_servers: u32,
    /// The least width that was seen.
    pub least_width: u32,
    /// The greatest width that was seen.
    pub most_width: u32,
    /// Whether its requests were counted apart from all others'.
    pub metered: bool,
}

impl Origin {
    /// What a cost was measured on, of which this is the record.
    #[must_use]
    pub fn of(cost: &Cost, record: &RecordStatus) -> Self {
        let (source, told) = (&cost.source, &cost.forecast);
        Self {
            workload: format!("{}/{}", source.namespace, source.name),
            kubernetes: record.kubernetes.clone(),
            weir: record.weir.clone(),
            nodes: told.full_width,
            pods: record.pods,
            api_servers: told.servers,
            least_width: record.least_width,
            most_width: record.most_width,
            metered: told.metered,
        }
    }
}

/// The answer; also the document of `-o json` and `-o yaml`. All CPU is of the API server that would
/// be busiest with one missing.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Preflight {
    /// The DaemonSet's name.
    pub name: String,
    /// The content hash of its pod template.
    pub template: String,
    /// `Within`, `Exceeded` or `Open`; the exit code is 0 for the first only.
    pub verdict: Verdict,
    /// Why it is not surely within budget, in sentences.
    pub reasons: Vec<String>,
    /// What was taken for granted, in sentences.
    pub assumptions: Vec<String>,
    /// What it was measured on.
    pub measured_on: Vec<Origin>,
    /// Pods for each pod that was ever seen at once.
    pub stretch: f64,
    /// Nodes that it is to run on.
    pub nodes: f64,
    /// Pods in the cluster that were reckoned with, if a number can be told.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub pods: Option<f64>,
    /// API servers.
    pub api_servers: u32,
    /// Cores of each, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cores: Option<f64>,
    /// Cores that may be in use, if known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub budget_cores: Option<f64>,
    /// How long the start of all at once may take, in seconds.
    pub budget_seconds: f64,
    /// Cores in use without it.
    pub in_use: f64,
    /// What it would cost, if a pod's cost grew in one way.
    pub cases: Vec<Case>,
    /// The same of whatever else has a capacity that is known.
    pub others: Vec<Other>,
}

/// What it would cost, if a pod's cost grew in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Case {
    /// `Alike`: not with the pods in the cluster; `WithObjects`: with nothing else; `AsMeasured`: as
    /// two records tell.
    pub growth: Growth,
    /// Cores that each pod uses.
    pub per_pod: EstimateStatus,
    /// Cores in use with all pods, all else included.
    pub steady: EstimateStatus,
    /// Whether that is less than 2 % of the cores more than without it, even by the upper end:
    /// harmless, however much is in use already.
    pub adds_little: bool,
    /// How long the start of all at once would take, in seconds, if that is known.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub unison: Option<EstimateStatus>,
}

/// What it would take of a resource besides CPU, if that grew in one way.
#[derive(Debug, Clone, PartialEq, Serialize)]
#[serde(rename_all = "camelCase")]
pub struct Other {
    /// Which.
    pub resource: Resource,
    /// In which.
    pub growth: Growth,
    /// What each pod uses.
    pub per_pod: EstimateStatus,
    /// In use with all pods, all else included.
    pub steady: EstimateStatus,
    /// All that there is.
    pub capacity: f64,
    /// What may be in use.
    pub budget: f64,
    /// In use without it.
    pub in_use: f64,
}

/// The answer to what was asked.
#[must_use]
pub fn preflight(answer: &Elsewhere, asked: &Asked) -> Preflight {
    let target = &asked.target;
    let budget_cores = answer.cores.map(|cores| cores * target.budget);
    let cases = answer.cases.iter().map(case).collect();
    let others = answer.others.iter().map(|one| other(one, target)).collect();
    let mut document = Preflight {
        name: asked.name.clone(),
        template: asked.template.clone(),
        verdict: answer.verdict,
        reasons: Vec::new(),
        assumptions: said::assumptions(answer, target),
        measured_on: asked.origins.clone(),
        stretch: answer.stretch,
        nodes: target.nodes,
        pods: match answer.objects {
            Objects::Number(number) => Some(number.round()),
            Objects::Times(_) => None,
        },
        api_servers: answer.servers,
        cores: answer.cores,
        budget_cores,
        budget_seconds: target.unison,
        in_use: answer.in_use,
        cases,
        others,
    };
    document.reasons = said::reasons(&document);
    document
}

fn case(case: &forecast::Case) -> Case {
    Case {
        growth: case.growth,
        per_pod: told(case.per_pod),
        steady: told(case.steady),
        adds_little: case.adds_little,
        unison: case.unison.map(told),
    }
}

fn other(one: &forecast::Other, target: &Target) -> Other {
    Other {
        resource: one.resource.into(),
        growth: one.growth,
        per_pod: told(one.per_pod),
        steady: told(one.steady),
        capacity: one.capacity,
        budget: one.capacity * target.budget,
        in_use: one.in_use,
    }
}

fn told(estimate: Estimate) -> EstimateStatus {
    EstimateStatus {
        low: estimate.low,
        mid: estimate.mid,
        high: Some(estimate.high).filter(|high| high.is_finite()),
    }
}
