//! A rollout's record → the history that it goes on from, after a restart or once another has led.

use weir_core::{
    forecast::{Counted, Point, Recalled},
    history::{History, Progress, Record},
    plan::{self, Rule},
    time::Moment,
};

use crate::{
    api::{self, GuardedRollout, HistoryStatus, PointStatus, times::moment},
    guard::books,
};

/// The history that the record tells; one that begins if there is none.
pub(super) fn history(record: Option<&GuardedRollout>, now: Moment) -> History {
    record.map_or_else(
        || History::begin(now, now),
        |record| History::resumed(read(record, now), now),
    )
}

/// All that the record tells of a history.
fn read(record: &GuardedRollout, now: Moment) -> Record {
    let status = record.status.as_ref();
    Record {
        begun: begun(record, now),
        progress: progress(record),
        width: status.map_or(0, |status| status.width),
        findings: findings(record),
        costs: costs(record),
        paced: status.is_some_and(|status| status.state == Some(api::State::Paced)),
        obeyed: obeyed(record),
        incident: status
            .and_then(|status| status.incident.as_ref())
            .and_then(books::recalled_incident),
    }
}

/// How far the waves had come, if the record's rollout is still the same run of them.
pub(super) fn progress(record: &GuardedRollout) -> Option<Progress> {
    let status = record.status.as_ref()?;
    let HistoryStatus {
        target,
        wave,
        pace,
        stretched,
    } = status.history?;
    Some(Progress {
        target,
        wave,
        pace,
        stretched,
    })
}

/// When the order was given that was last carried out, or that a newer revision ended.
fn obeyed(record: &GuardedRollout) -> Option<Moment> {
    let status = record.status.as_ref()?;
    Some(moment(status.obeyed.as_ref()?.0))
}

/// What the record tells of what pods cost.
fn costs(record: &GuardedRollout) -> Option<Recalled> {
    let told = record.status.as_ref()?.forecast.as_ref()?;
    let start = told.unison.as_ref();
    let resources = told.resources.iter();
    Some(Recalled {
        points: told.points.iter().map(point).collect(),
        kappa: told.kappa.mid,
        start: start.map(|unison| (unison.start.mid, unison.waves)),
        resources: resources
            .map(|told| (told.resource.into(), told.at_full.mid, told.capacity))
            .collect(),
    })
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
