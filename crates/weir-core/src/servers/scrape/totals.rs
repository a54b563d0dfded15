//! What a page tells of the whole process and of each FlowSchema, for forecasts.
//!
//! Nothing of it is required: a server without Priority and Fairness counts no FlowSchemas, and what
//! never happened has no line.

use std::{borrow::Cow, collections::BTreeMap};

use super::{OTHER_LEVELS, REJECTED, WAIT_COUNT, WAIT_SUM};
use crate::{
    exposition::Sample,
    usage::{MAX_LEVELS, MAX_METERS, MAX_OTHERS, METERS, OTHER_METERS, OTHER_SCHEMAS, SchemaCount},
};

const DISPATCHED: &str = "apiserver_flowcontrol_dispatched_requests_total";
const EXECUTION_SUM: &str = "apiserver_flowcontrol_request_execution_seconds_sum";
const SEATS_SUM: &str = "apiserver_flowcontrol_work_estimated_seats_sum";
const CURRENT_SEATS: &str = "apiserver_flowcontrol_current_limit_seats";
const NOMINAL_SEATS: &str = "apiserver_flowcontrol_nominal_limit_seats";
const EXECUTING_SEATS: &str = "apiserver_flowcontrol_current_executing_seats";
const ETCD_REQUESTS: &str = "etcd_requests_total";
const RESPONSE_BYTES: &str = "apiserver_response_sizes_sum";
const LONG_RUNNING: &str = "apiserver_longrunning_requests";
const MEMORY_LIMIT: &str = "go_gc_gomemlimit_bytes";
const BUILD_INFO: &str = "kubernetes_build_info";
const OBJECTS: &str = "apiserver_resource_objects";
/// The same by its older name, which names the resource otherwise; 1.36 has both.
const STORED_OBJECTS: &str = "apiserver_storage_objects";

/// The metrics that [`Totals`] are made of, besides [`REJECTED`], [`WAIT_SUM`] and [`WAIT_COUNT`].
pub(super) const WANTED: [&str; 13] = [
    DISPATCHED,
    EXECUTION_SUM,
    SEATS_SUM,
    CURRENT_SEATS,
    NOMINAL_SEATS,
    EXECUTING_SEATS,
    ETCD_REQUESTS,
    RESPONSE_BYTES,
    LONG_RUNNING,
    MEMORY_LIMIT,
    BUILD_INFO,
    OBJECTS,
    STORED_OBJECTS,
];

/// Levels remembered for one FlowSchema. It has another only after it was moved.
const MAX_MOVES: usize = 8;

/// What Go tells as its memory limit where there is none: the largest `int64`.
const NO_MEMORY_LIMIT: f64 = i64::MAX as f64;

/// Counters and gauges that a verdict does not need, but a forecast does.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Totals {
    /// Bytes of memory that the process tries to stay below, if it has such a limit.
    pub memory_limit_bytes: Option<f64>,
    /// Requests sent to etcd.
    pub etcd_requests: f64,
    /// Bytes of responses.
    pub response_bytes: f64,
    /// Watches that are open now.
    pub watches: f64,
    /// Each FlowSchema by its name.
    pub schemas: BTreeMap<String, Schema>,
    /// The server's version.
    pub version: Option<String>,
    /// Pods that are stored.
    pub pods: Option<f64>,
    /// Nominal seats of each priority level, or what it has now in a server that does not tell them. (What
    /// a level has now falls while it is idle, and comes back when it is asked for.)
    pub seats: BTreeMap<String, f64>,
    /// Seats of each priority level that requests take now, whoever asks.
    pub executing_seats: BTreeMap<String, f64>,
}

/// One FlowSchema, all its levels added up.
#[derive(Debug, Clone, PartialEq, Default)]
pub struct Schema {
    /// What was counted. Of a single page its level is the one with the most requests.
    pub count: SchemaCount,
    /// Time that its requests had waited which were let run, in seconds.
    pub wait_seconds: f64,
    /// Its requests that were let run from a queue.
    pub waited: f64,
    /// Requests that were let run, by level: one page does not tell where the last were.
    dispatched: BTreeMap<String, f64>,
}

impl Totals {
    /// Names the level of each FlowSchema that has been moved: the one whose requests grew since the
    /// process's page before, or the one named there if none did.
    pub(in crate::servers) fn follow(&mut self, before: &Self) {
        for (name, schema) in &mut self.schemas {
            if let Some(before) = before.schemas.get(name) {
                schema.follow(before);
            }
        }
    }
}

impl Schema {
    fn follow(&mut self, before: &Self) {
        let growth = |(level, now): (&String, &f64)| {
            let grown = now - before.dispatched.get(level).copied().unwrap_or(0.0);
            (level.clone(), grown)
        };
        let grown = self.dispatched.iter().map(growth);
        self.count.level = most(grown).unwrap_or_else(|| before.count.level.clone());
    }
}

/// The level with the most of something, if any has more than nothing of it.
fn most(levels: impl Iterator<Item = (String, f64)>) -> Option<String> {
    levels
        .filter(|(_, much)| *much > 0.0)
        .max_by(|(_, one), (_, other)| one.total_cmp(other))
        .map(|(level, _)| level)
}

/// [`Totals`] in the making.
#[derive(Debug, Default)]
pub(super) struct Draft {
    totals: Totals,
    nominal_seats: BTreeMap<String, f64>,
    stored_pods: Option<f64>,
    /// FlowSchemas that are told apart: meters, and others.
    meters: usize,
    others: usize,
}

impl Draft {
    /// Takes a sample of [`WANTED`], or of what levels count too. A label that is missing is an error.
    pub(super) fn take(&mut self, sample: Sample<'_>) -> Result<(), String> {
        let value = sample.value;
        let totals = &mut self.totals;
        match sample.name {
            ETCD_REQUESTS => totals.etcd_requests += value,
            RESPONSE_BYTES => totals.response_bytes += value,
            LONG_RUNNING if is(sample, "verb", "WATCH") => totals.watches += value,
            MEMORY_LIMIT => totals.memory_limit_bytes = (value < NO_MEMORY_LIMIT).then_some(value),
            BUILD_INFO => {
                let version = sample.labels.get("git_version");
                totals.version = version.map(Cow::into_owned);
            }
            OBJECTS if is(sample, "group", "") && is(sample, "resource", "pods") => {
                totals.pods = known(value);
            }
            STORED_OBJECTS if is(sample, "resource", "pods") => self.stored_pods = known(value),
            LONG_RUNNING | OBJECTS | STORED_OBJECTS => {}
            CURRENT_SEATS => add_seats(&mut totals.seats, sample)?,
            NOMINAL_SEATS => add_seats(&mut self.nominal_seats, sample)?,
            EXECUTING_SEATS => add_seats(&mut totals.executing_seats, sample)?,
            _ => self.take_schema(sample)?,
        }
        Ok(())
    }

    /// Whether a metric's value may be negative: these two are −1 where the store did not tell.
    pub(super) fn may_be_unknown(name: &str) -> bool {
        matches!(name, OBJECTS | STORED_OBJECTS)
    }

    fn take_schema(&mut self, sample: Sample<'_>) -> Result<(), String> {
        let name = label(sample, "flow_schema")?;
        let level = label(sample, "priority_level")?;
        let name = self.told_as(&name).to_owned();
        let schema = self.totals.schemas.entry(name).or_default();
        let count = &mut schema.count;
        match sample.name {
            DISPATCHED => {
                count.dispatched += sample.value;
                let levels = &mut schema.dispatched;
                if levels.contains_key(level.as_ref()) || levels.len() < MAX_MOVES {
                    *levels.entry(level.into_owned()).or_default() += sample.value;
                }
            }
            // Most that is refused did not wait at all, and would make the wait of others look short.
            WAIT_SUM | WAIT_COUNT if is(sample, "execute", "false") => {}
            WAIT_SUM => schema.wait_seconds += sample.value,
            WAIT_COUNT => schema.waited += sample.value,
            EXECUTION_SUM => count.execution_seconds += sample.value,
            SEATS_SUM => count.estimated_seats += sample.value,
            REJECTED => {
                count.rejected += sample.value;
                // A schema all of whose requests were refused has no other level to tell.
                count.level = level.into_owned();
            }
            _ => {}
        }
        Ok(())
    }

    /// The name that a FlowSchema is told under. Meters have room of their own: they are what a forecast
    /// is made from, and others' FlowSchemas, however many, must not take it.
    fn told_as<'a>(&mut self, name: &'a str) -> &'a str {
        if self.totals.schemas.contains_key(name) {
            return name;
        }
        let (told, most, rest) = if name.starts_with(METERS) {
            (&mut self.meters, MAX_METERS, OTHER_METERS)
        } else {
            (&mut self.others, MAX_OTHERS, OTHER_SCHEMAS)
        };
        if *told >= most {
            return rest;
        }
        *told += 1;
        name
    }

    pub(super) fn finish(self) -> Totals {
        let mut totals = self.totals;
        totals.pods = totals.pods.or(self.stored_pods);
        if !self.nominal_seats.is_empty() {
            totals.seats = self.nominal_seats;
        }
        for schema in totals.schemas.values_mut() {
            let levels = schema.dispatched.iter();
            if let Some(level) = most(levels.map(|(level, count)| (level.clone(), *count))) {
                schema.count.level = level;
            }
        }
        totals
    }
}

fn add_seats(levels: &mut BTreeMap<String, f64>, sample: Sample<'_>) -> Result<(), String> {
    let name = label(sample, "priority_level")?;
    let name = if levels.contains_key(name.as_ref()) || levels.len() < MAX_LEVELS {
        &name
    } else {
        OTHER_LEVELS
    };
    *levels.entry(name.to_owned()).or_default() += sample.value;
    Ok(())
}

fn known(objects: f64) -> Option<f64> {
    (objects >= 0.0).then_some(objects)
}

fn is(sample: Sample<'_>, name: &str, value: &str) -> bool {
    sample.labels.get(name).is_some_and(|label| label == value)
}

fn label<'a>(sample: Sample<'a>, name: &str) -> Result<Cow<'a, str>, String> {
    let label = sample.labels.get(name);
    label.ok_or_else(|| format!("{} has no label {name}", sample.name))
}

#[cfg(test)]
mod tests;
