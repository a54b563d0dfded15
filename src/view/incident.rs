//! The three times of an incident, from a GuardedRollout's status to lines.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;

use super::age::age;
use crate::api::{FaultStatus, IncidentStatus, times::moment};

/// Each time in a line of its own, with what was found then.
pub(super) fn lines(incident: &IncidentStatus) -> [String; 3] {
    let evidence = |fault: &FaultStatus| format!("{}: {}", named(fault), fault.evidence);
    let understood = incident.understood.as_ref().zip(incident.cause.as_ref());
    let understood = match (understood, &incident.mitigated) {
        (Some((at, cause)), _) => {
            let later = after(incident, at);
            format!("understood {later}: {}", evidence(cause))
        }
        (None, None) => "not understood yet: no finding says what is at fault".to_owned(),
        (None, Some(_)) => "never understood: no finding said what was at fault".to_owned(),
    };
    [
        format!("seen {}: {}", incident.seen.0, evidence(&incident.sign)),
        understood,
        mitigated(incident),
    ]
}

/// All of it in one line, without the evidence.
pub(super) fn line(incident: &IncidentStatus) -> String {
    let understood = incident.understood.as_ref().zip(incident.cause.as_ref());
    let understood = understood.map_or_else(
        || "not understood".to_owned(),
        |(at, cause)| format!("understood {} ({})", after(incident, at), named(cause)),
    );
    format!(
        "incident: seen {} ({}), {understood}, {}",
        incident.seen.0,
        named(&incident.sign),
        mitigated(incident)
    )
}

fn mitigated(incident: &IncidentStatus) -> String {
    incident.mitigated.as_ref().map_or_else(
        || "not mitigated yet".to_owned(),
        |at| format!("mitigated {}", after(incident, at)),
    )
}

fn named(fault: &FaultStatus) -> String {
    format!("{} on {}", fault.reason, fault.subject)
}

/// How long after it was seen.
fn after(incident: &IncidentStatus, at: &Time) -> String {
    let later = moment(at.0).since(moment(incident.seen.0));
    if later.as_millis() == 0 {
        "at once".to_owned()
    } else {
        format!("{} later", age(later))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    fn incident(understood: Option<&str>, mitigated: Option<&str>) -> IncidentStatus {
        let fault =
            |reason: &str| json!({ "reason": reason, "subject": "api-a", "evidence": "figures" });
        serde_json::from_value(json!({
            "seen": "2026-11-21T09:40:00Z", "sign": fault("LatencyRegressed"),
            "understood": understood, "cause": understood.map(|_| fault("NotTheCause")),
            "mitigated": mitigated,
        }))
        .unwrap()
    }

    #[test]
    fn each_of_the_three_is_told_and_that_it_is_not_there_yet() {
        let open = incident(None, None);
        assert_eq!(
            lines(&open),
            [
                "seen 2026-11-21T09:40:00Z: LatencyRegressed on api-a: figures",
                "not understood yet: no finding says what is at fault",
                "not mitigated yet"
            ]
        );
        let over = incident(Some("2026-11-21T09:40:32Z"), Some("2026-11-21T09:44:00Z"));
        assert_eq!(
            line(&over),
            "incident: seen 2026-11-21T09:40:00Z (LatencyRegressed on api-a), understood 32s later \
             (NotTheCause on api-a), mitigated 4m later"
        );
        let at_once = incident(Some("2026-11-21T09:40:00Z"), None);
        assert_eq!(
            lines(&at_once)[1],
            "understood at once: NotTheCause on api-a: figures"
        );
        let never = incident(None, Some("2026-11-21T09:44:00Z"));
        assert!(lines(&never)[1].starts_with("never understood"));
    }
}
