//! A Lease → who leads at a moment.

use k8s_openapi::api::coordination::v1::LeaseSpec;
use weir_core::time::{Moment, Span};

use super::times::moment;

/// A Lease without a duration is Weir's own: forty seconds.
const LEASE_SECONDS: i32 = 40;

/// How long it lasts without being renewed.
#[must_use]
pub fn lasts(lease: &LeaseSpec) -> Span {
    let seconds = lease.lease_duration_seconds.unwrap_or(LEASE_SECONDS);
    Span::from_secs(u64::try_from(seconds).unwrap_or_default())
}

/// Who holds it, if somebody does and has renewed it in time.
#[must_use]
pub fn leader(lease: &LeaseSpec, now: Moment) -> Option<&str> {
    let holder = lease.holder_identity.as_deref();
    let renewed = moment(lease.renew_time.as_ref()?.0);
    holder.filter(|name| !name.is_empty() && now.since(renewed) <= lasts(lease))
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    #[test]
    fn whoever_has_not_renewed_in_time_leads_no_longer() {
        let lease = |holder: &str| -> LeaseSpec {
            serde_json::from_value(json!({
                "holderIdentity": holder, "renewTime": "2026-11-21T10:00:00.000000Z",
            }))
            .unwrap()
        };
        let renewed = moment("2026-11-21T10:00:00Z".parse().unwrap());
        let after = |seconds| renewed + Span::from_secs(seconds);
        assert_eq!(leader(&lease("weir-1"), after(40)), Some("weir-1"));
        assert_eq!(leader(&lease("weir-1"), after(41)), None);
        assert_eq!(leader(&lease(""), after(0)), None);
        assert_eq!(leader(&LeaseSpec::default(), after(0)), None);
    }
}
