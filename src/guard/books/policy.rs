//! What a RolloutPolicy means, for whom, and on what it depends → its status.

use weir_core::time::Moment;

use super::{
    conditions::{self, timed},
    dependencies::Depends,
};
use crate::{
    api::{RolloutPolicy, RolloutPolicyStatus, marks},
    guard::dependencies::on_record,
    policy::{Condition, Conditions},
};

/// The status of a policy.
pub(super) fn status(
    policy: &Conditions,
    depends: &Depends,
    record: &RolloutPolicy,
    now: Moment,
) -> RolloutPolicyStatus {
    let said = |kind, said: &Condition| conditions::Said {
        kind,
        holds: said.holds,
        reason: said.reason.as_str().to_owned(),
        message: said.message.clone(),
    };
    let before = record.status.as_ref();
    let conditions_before = before.map(|status| status.conditions.as_slice());
    let conditions_before = conditions_before.unwrap_or_default();
    let mut said = vec![
        said(marks::conditions::READY, &policy.ready),
        // Nothing but a person's change makes a wrong policy right.
        conditions::Said {
            holds: !policy.ready.holds,
            ..said(marks::conditions::STALLED, &policy.ready)
        },
        said(marks::conditions::MATCHED, &policy.matched),
    ];
    said.extend(depends.said(now));
    let generation = record.metadata.generation;
    let mut conditions = timed(said, conditions_before, generation, now);
    if depends.is_awaited() {
        let kind = marks::conditions::DEPENDENCIES_KNOWN;
        let mut before = conditions_before.iter();
        conditions.extend(before.find(|one| one.type_ == kind).cloned());
    }
    RolloutPolicyStatus {
        observed_generation: generation,
        matched: Some(policy.workloads),
        dependencies: depends.status(on_record(record), now),
        conditions,
    }
}
