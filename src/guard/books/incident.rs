//! An incident that was judged ↔ how a GuardedRollout says it.

use weir_core::{
    incident::{Fault, Incident, Understood},
    plan::Rule,
    time::Span,
};

use crate::api::{
    FaultStatus, IncidentStatus,
    bounds::{self, clip},
    times::{moment, time},
};

/// As the status says it.
pub(super) fn status(incident: &Incident) -> IncidentStatus {
    let understood = incident.understood.as_ref();
    IncidentStatus {
        seen: time(incident.seen),
        sign: fault(&incident.sign),
        understood: understood.map(|known| time(known.at)),
        cause: understood.map(|known| fault(&known.cause)),
        mitigated: incident.mitigated.map(time),
    }
}

fn fault(fault: &Fault) -> FaultStatus {
    FaultStatus {
        reason: fault.rule.name().to_owned(),
        subject: clip(&fault.subject, bounds::WORD),
        evidence: clip(&fault.evidence, bounds::TEXT),
    }
}

/// What a record tells, if this version knows the rule that found it. How long it was quiet is not on record.
pub(in crate::guard) fn recalled(status: &IncidentStatus) -> Option<Incident> {
    let understood = status.understood.as_ref().zip(status.cause.as_ref());
    Some(Incident {
        seen: moment(status.seen.0),
        sign: known(&status.sign)?,
        understood: understood.and_then(|(at, cause)| {
            Some(Understood {
                at: moment(at.0),
                cause: known(cause)?,
            })
        }),
        mitigated: status.mitigated.as_ref().map(|at| moment(at.0)),
        quiet: Span::ZERO,
    })
}

fn known(fault: &FaultStatus) -> Option<Fault> {
    Some(Fault {
        rule: Rule::named(&fault.reason)?,
        subject: fault.subject.clone(),
        evidence: fault.evidence.clone(),
    })
}

#[cfg(test)]
mod tests {
    use weir_core::time::Moment;

    use super::*;

    fn at(seconds: u64) -> Moment {
        Moment::from_millis(1_795_860_000_000) + Span::from_secs(seconds)
    }

    fn of(rule: Rule) -> Fault {
        Fault {
            rule,
            subject: "api-a".to_owned(),
            evidence: "p50 is 400 ms".to_owned(),
        }
    }

    #[test]
    fn what_is_on_record_is_recalled() {
        let open = Incident {
            seen: at(0),
            sign: of(Rule::LatencyRegressed),
            understood: None,
            mitigated: None,
            quiet: Span::ZERO,
        };
        let over = Incident {
            understood: Some(Understood {
                at: at(30),
                cause: of(Rule::NotTheCause),
            }),
            mitigated: Some(at(90)),
            ..open.clone()
        };
        for incident in [open, over] {
            assert_eq!(recalled(&status(&incident)), Some(incident));
        }
    }

    #[test]
    fn an_incident_of_a_rule_that_is_not_known_here_is_left_alone() {
        let mut told = status(&Incident {
            seen: at(0),
            sign: of(Rule::Rejecting),
            understood: None,
            mitigated: None,
            quiet: Span::ZERO,
        });
        told.sign.reason = "OfALaterVersion".to_owned();
        assert_eq!(recalled(&told), None);
    }
}
