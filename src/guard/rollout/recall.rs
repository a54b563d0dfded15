//! A rollout's record → the history that it goes on from, after a restart or once another has led.

use weir_core::{
    forecast::{Exceeded, Ledger, Point, Recalled},
    history::{History, Progress},
    plan::{self, Rule},
    time::Moment,
};

use crate::api::{self, GuardedRollout, HistoryStatus, PointStatus};

/// The history that the record tells; one that begins if it tells of none.
pub(super) fn history(record: Option<&GuardedRollout>, now: Moment) -> History {
    let begun = record.map_or(now, |record| begun(record, now));
    match record.and_then(|record| Some((progress(record)?, findings(record)))) {
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
    }
}

/// How far the waves had come, if the record's rollout is still the same run of them.
pub(super) fn progress(record: &GuardedRollout) -> Option<Progress> {
    let status = record.status.as_ref()?;
    let HistoryStatus { target, wave, pace } = status.history?;
    Some(Progress { target, wave, pace })
}

/// What the record tells of what pods cost.
fn ledger(record: &GuardedRollout) -> Option<Ledger> {
    let told = record.status.as_ref()?.forecast.as_ref()?;
    let point = |told: &PointStatus| Point {
        width: told.width,
        cpu_cores: told.cpu_cores,
        own_cores: told.own_cores,
        windows: told.windows,
    };
    let points: Vec<Point> = told.points.iter().map(point).collect();
    let findings = findings(record);
    let held_by = |rule: Rule| {
        let mut findings = findings.iter();
        findings.any(|finding| finding.rule == rule && finding.severity == plan::Severity::Hold)
    };
    Some(Ledger::recalled(&Recalled {
        points,
        kappa: told.kappa.mid,
        start: told.unison.as_ref().map(|unison| unison.start.mid),
        exceeded: Exceeded {
            capacity: held_by(Rule::ForecastExceedsCapacity),
            unison: held_by(Rule::UnisonExceedsCapacity),
        },
    }))
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
