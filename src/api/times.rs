//! Moments ↔ times as Kubernetes objects hold them.

use jiff::Timestamp;
use k8s_openapi::apimachinery::pkg::apis::meta::v1::{MicroTime, Time};
use weir_core::time::Moment;

/// A time of whatever precision as a moment; times before 1970 become 1970.
#[must_use]
pub fn moment(time: Timestamp) -> Moment {
    Moment::from_millis(u64::try_from(time.as_millisecond()).unwrap_or(0))
}

/// A moment as most objects hold it: in whole seconds.
#[must_use]
pub fn time(moment: Moment) -> Time {
    Time(timestamp(Moment::from_millis(
        moment.as_millis() / 1000 * 1000,
    )))
}

/// A moment as Leases hold it.
#[must_use]
pub fn micro_time(moment: Moment) -> MicroTime {
    MicroTime(timestamp(moment))
}

/// A moment as a time that calendars know.
#[must_use]
pub fn timestamp(moment: Moment) -> Timestamp {
    let millis = i64::try_from(moment.as_millis()).unwrap_or(i64::MAX);
    Timestamp::from_millisecond(millis).unwrap_or(Timestamp::MAX)
}

#[cfg(test)]
mod tests {
    use serde_json::json;

    use super::*;

    const AT: Moment = Moment::from_millis(1_795_297_020_123);

    #[test]
    fn times_are_written_as_objects_hold_them() {
        assert_eq!(json!(time(AT)), "2026-11-21T21:37:00Z");
        assert_eq!(json!(micro_time(AT)), "2026-11-21T21:37:00.123000Z");
    }

    #[test]
    fn a_moment_comes_back_from_a_lease_as_it_was() {
        assert_eq!(moment(micro_time(AT).0), AT);
        assert_eq!(moment(Timestamp::MIN), Moment::from_millis(0));
    }
}
