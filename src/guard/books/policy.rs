//! What a RolloutPolicy means, and for whom → its status.

use weir_core::time::Moment;

use super::conditions::{self, timed};
use crate::{
    api::{RolloutPolicy, RolloutPolicyStatus, marks},
    policy::{Condition, Conditions},
};

/// The status of a policy.
pub(super) fn status(
    policy: &Conditions,
    record: &RolloutPolicy,
    now: Moment,
) -> RolloutPolicyStatus {
    let said = |kind, said: &Condition| conditions::Said {
        kind,
        holds: said.holds,
        reason: said.reason.as_str().to_owned(),
        message: said.message.clone(),
    };
    let before = record
        .status
        .as_ref()
        .map(|status| status.conditions.as_slice());
    RolloutPolicyStatus {
        observed_generation: record.metadata.generation,
        matched: Some(policy.workloads),
        conditions: timed(
            vec![
                said(marks::conditions::READY, &policy.ready),
                // Nothing but a person's change makes a wrong policy right.
                conditions::Said {
                    holds: !policy.ready.holds,
                    ..said(marks::conditions::STALLED, &policy.ready)
                },
                said(marks::conditions::MATCHED, &policy.matched),
            ],
            before.unwrap_or_default(),
            record.metadata.generation,
            now,
        ),
    }
}
