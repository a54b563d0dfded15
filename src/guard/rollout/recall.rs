//! A rollout's record → the history that it goes on from, after a restart or once another has led.

use weir_core::{
    forecast::{self, Counted, Exceeded, Ledger, Point, Recalled},
    history::{History, Progress},
    plan::{self, Rule},
    time::Moment,
};

use crate::api::{
    self, ForecastStatus, GuardedRollout, HistoryStatus, PointStatus, ResourceStatus, times::moment,
};

/// The history that the record tells; one that begins if it tells of none.
pub(super) fn history(record: Option<&GuardedRollout>, now: Moment) -> History {
    let begun = record.map_or(now, |record| begun(record, now));
    let history = match record.and_then(|record| Some((progress(record)?, findings(record)))) {
        Some((progress, findings)) => {
            let ledger = record.and_then(ledger).unwrap_or_default();
            let is_paced =
                |status: &api::GuardedRolloutStatus| status.state == Some(api::State::Paced);
            History {
                paced: record
                    .and_then(|record| record.status.as_ref())
                    .is_some_and(is_paced),
                ..History::resumed(begun, progress, findings, ledger, now)
            }
        }
        None => History::begin(begun, now),
    };
    // Waves may begin anew, but no order is obeyed twice.
    History {
        obeyed: record.and_then(obeyed),
        ..history
    }
}

/// How far the waves had come, if the record's rollout is still the same run of them.
pub(super) fn progress(record: &GuardedRollout) -> Option<Progress> {
    let status = record.status.as_ref()?;
    let HistoryStatus { target, wave, pace } = status.history?;
    Some(Progress { target, wave, pace })
}

/// When the order was given that was last carried out, or that a newer revision ended.
fn obeyed(record: &GuardedRollout) -> Option<Moment> {
    let status = record.status.as_ref()?;
    Some(moment(status.obeyed.as_ref()?.0))
}

/// What the record tells of what pods cost.
fn ledger(record: &GuardedRollout) -> Option<Ledger> {
    let told = record.status.as_ref()?.forecast.as_ref()?;
    let findings = findings(record);
    let held_by = |rule: Rule| {
        let mut findings = findings.iter();
        findings.any(|finding| finding.rule == rule && finding.severity == plan::Severity::Hold)
    };
    let start = told.unison.as_ref();
    Some(Ledger::recalled(&Recalled {
        points: told.points.iter().map(point).collect(),
        kappa: told.kappa.mid,
        start: start.map(|unison| (unison.start.mid, unison.waves)),
        exceeded: Exceeded {
            capacity: held_by(Rule::ForecastExceedsCapacity).then(|| exceeded(told)),
            unison: held_by(Rule::UnisonExceedsCapacity),
        },
    }))
}

/// A width as it was seen. What was counted of the account is on record as a whole or not at all.
fn point(told: &PointStatus) -> Point {
    let counted = told.own_cores.zip(told.unexplained_cores).zip(told.watches);
    Point {
        width: told.width,
        cpu_cores: told.cpu_cores,
        counted: counted.map(|((own_cores, unexplained_cores), watches)| Counted {
            own_cores,
            unexplained_cores,
            watches,
        }),
        windows: told.windows,
    }
}

/// The resource that a hold is for: the first that would probably be exceeded.
fn exceeded(told: &ForecastStatus) -> forecast::Resource {
    let mut resources = told.resources.iter();
    let above = |told: &&ResourceStatus| {
        let capacity = told.capacity.unwrap_or(f64::INFINITY);
        told.at_full.mid > capacity
    };
    let resource = resources.find(above).map(|told| told.resource);
    resource.map_or(forecast::Resource::Cpu, Into::into)
}

/// When the record was created; `now` if it does not say.
fn begun(record: &GuardedRollout, now: Moment) -> Moment {
    let created = record.metadata.creation_timestamp.as_ref();
    let millis = created.and_then(|time| u64::try_from(time.0.as_millisecond()).ok());
    millis.map_or(now, Moment::from_millis)
}

/// What was found at last, but for what no rule finds (`WriteFailed`).
fn findings(record: &GuardedRollout) -> Vec<plan::Finding> {
    let status = record.status.iter();
    let all = status.flat_map(|status| &status.findings);
    all.filter_map(finding).collect()
}

fn finding(found: &api::Finding) -> Option<plan::Finding> {
    Some(plan::Finding {
        rule: Rule::named(&found.reason)?,
        severity: match found.severity {
            api::Severity::Hold => plan::Severity::Hold,
            api::Severity::Notice => plan::Severity::Notice,
        },
        subject: found.subject.clone(),
        evidence: found.evidence.clone(),
        clears_when: found.clears_when.clone(),
    })
}
