//! The two kinds of files that a preflight reads.

use std::{fs, io::Read, path::Path};

use serde_json::Value;
use weir_core::forecast::{Estimate, Gauge, Measured};

use crate::{
    api::{Cost, EstimateStatus, RecordStatus, Resource, ResourceStatus},
    cli::error::CliError,
};

/// A DaemonSet of a manifest.
#[derive(Debug)]
pub(super) struct DaemonSet {
    pub(super) name: String,
    pub(super) template: Value,
}

/// The path that stands for standard input.
const STANDARD_INPUT: &str = "-";

/// The one DaemonSet of a file of YAML or JSON documents, or of standard input.
pub(super) fn daemon_set(
    path: &Path,
    standard_input: &mut dyn Read,
) -> Result<DaemonSet, CliError> {
    let wrong = |why: String| CliError::File {
        path: path.to_owned(),
        why,
    };
    let text = if path == Path::new(STANDARD_INPUT) {
        let mut text = String::new();
        let read = standard_input.read_to_string(&mut text);
        read.map_err(|error| wrong(error.to_string()))?;
        text
    } else {
        text(path)?
    };
    let mut found: Vec<Value> = documents(path, &text)?
        .into_iter()
        .flat_map(|document| match document.get("items") {
            Some(Value::Array(items)) => items.clone(),
            _ => vec![document],
        })
        .filter(|document| document["kind"] == "DaemonSet")
        .collect();
    let one = match (found.pop(), found.len()) {
        (Some(one), 0) => one,
        (None, _) => return Err(wrong("it holds no DaemonSet".to_owned())),
        (Some(_), others) => {
            let number = others + 1;
            return Err(wrong(format!("it holds {number} DaemonSets: leave one")));
        }
    };
    match one.pointer("/spec/template") {
        Some(template @ Value::Object(_)) => Ok(DaemonSet {
            name: one["metadata"]["name"].as_str().unwrap_or("?").to_owned(),
            template: template.clone(),
        }),
        _ => Err(wrong("its DaemonSet has no spec.template".to_owned())),
    }
}

/// The cost in a file.
pub(super) fn record(path: &Path) -> Result<Cost, CliError> {
    let wrong = |why: String| CliError::File {
        path: path.to_owned(),
        why,
    };
    let mut documents = documents(path, &text(path)?)?;
    let (Some(document), true) = (documents.pop(), documents.is_empty()) else {
        return Err(wrong("it does not hold exactly one document".to_owned()));
    };
    let (kind, version) = (&document["kind"], &document["apiVersion"]);
    if kind != Cost::KIND || *version != Cost::version() {
        let is = kind.as_str().unwrap_or("something else");
        return Err(wrong(format!(
            "it is no Cost of {}, but {is}",
            Cost::version()
        )));
    }
    serde_json::from_value(document).map_err(|error| wrong(error.to_string()))
}

fn text(path: &Path) -> Result<String, CliError> {
    fs::read_to_string(path).map_err(|error| CliError::File {
        path: path.to_owned(),
        why: error.to_string(),
    })
}

fn documents(path: &Path, text: &str) -> Result<Vec<Value>, CliError> {
    // As kubectl reads it: 0644 is octal, and yes, on and y are true.
    let options = serde_saphyr::options! { legacy_octal_numbers: true, strict_booleans: false };
    let documents: Vec<Value> =
        serde_saphyr::from_multiple_with_options(text, options).map_err(|error| {
            CliError::File {
                path: path.to_owned(),
                why: format!("it is no YAML: {error}"),
            }
        })?;
    Ok(documents.into_iter().filter(|one| !one.is_null()).collect())
}

/// A cost's record, and what was measured, or what is wrong with it.
pub(super) fn measured(cost: &Cost) -> Result<(&RecordStatus, Measured), String> {
    let told = &cost.forecast;
    let record = told.record.as_ref();
    let record = record.ok_or("forecast.record is missing: it does not say what was measured")?;
    let mut resources = told.resources.iter();
    let cpu = resources.find(|one| one.resource == Resource::Cpu);
    let cpu = gauge(cpu.ok_or("forecast.resources says nothing of Cpu")?)?;
    if told.full_width == 0 || told.servers == 0 || record.most_width == 0 {
        return Err(
            "forecast.fullWidth, servers and record.mostWidth must be at least 1".to_owned(),
        );
    }
    let full = f64::from(told.full_width);
    // The seconds that all starts take are those of the busiest API server, at its capacity.
    let start = match (&told.unison, cpu.capacity) {
        (Some(unison), Some(cores)) => {
            let seconds = estimate("unison.seconds", Resource::Cpu, &unison.seconds)?;
            let each = |seconds: f64| seconds * cores / full;
            Some(Estimate {
                low: each(seconds.low),
                mid: each(seconds.mid),
                high: each(seconds.high),
            })
        }
        _ => None,
    };
    let others = told
        .resources
        .iter()
        .filter(|one| one.resource != Resource::Cpu);
    let measured = Measured {
        objects: record.pods.filter(|pods| *pods > 0).map(f64::from),
        nodes: full,
        servers: told.servers,
        widest: record.most_width,
        base: cpu.base,
        fixed: cpu.fixed,
        per_pod: cpu.per_pod,
        cores: cpu.capacity,
        start,
        others: others.map(gauge).collect::<Result<_, _>>()?,
    };
    Ok((record, measured))
}

/// What was measured of one resource.
fn gauge(told: &ResourceStatus) -> Result<Gauge, String> {
    let resource = told.resource;
    for (name, number) in [("base", Some(told.base)), ("capacity", told.capacity)] {
        if number.is_some_and(|number| !(number >= 0.0 && number.is_finite())) {
            return Err(format!("the {name} of {resource:?} is no number from 0 on"));
        }
    }
    Ok(Gauge {
        resource: resource.into(),
        base: told.base,
        fixed: estimate("fixed", resource, &told.fixed)?,
        per_pod: estimate("perPod", resource, &told.per_pod)?,
        capacity: told.capacity.filter(|all| *all > 0.0),
    })
}

fn estimate(name: &str, of: Resource, told: &EstimateStatus) -> Result<Estimate, String> {
    let high = told.high.unwrap_or(f64::INFINITY);
    let is_sound = told.low >= 0.0 && told.low <= told.mid && told.mid <= high;
    let estimate = Estimate {
        low: told.low,
        mid: told.mid,
        high,
    };
    if is_sound && told.mid.is_finite() {
        Ok(estimate)
    } else {
        Err(format!(
            "{name} of {of:?} is no interval of numbers from 0 on"
        ))
    }
}
