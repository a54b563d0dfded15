//! Limits that are set in rooms which may not know of each other, and have to agree.

use kube::CustomResourceExt;
use weir::{act::permit::WRITE_WITHIN, api::RolloutPolicy, client::Budget};

#[test]
fn a_policy_may_not_ask_for_more_releases_than_the_budget_lets_through() {
    let definition = serde_json::to_value(RolloutPolicy::crd()).unwrap();
    let field = "/spec/versions/0/schema/openAPIV3Schema/properties/spec/properties/waves\
                 /properties/releasesPerSecond/maximum";
    let most = definition
        .pointer(field)
        .and_then(serde_json::Value::as_f64);
    let releases = Budget::standard().releases;
    assert!(
        most.is_some_and(|most| most <= releases.per_second && most <= releases.burst),
        "{most:?} a second are allowed, of {releases:?}"
    );
}

/// A write that is given up while it waits for the budget would be told as one that may have been
/// made.
#[test]
fn what_waits_for_the_budget_gives_up_long_before_the_write_that_it_is() {
    let budget = Budget::standard();
    for allowance in [budget.writes, budget.releases] {
        let left = WRITE_WITHIN
            .as_millis()
            .saturating_sub(u128::from(allowance.wait.as_millis()));
        assert!(
            left >= 3000,
            "{left} ms are left for an answer, of {allowance:?}"
        );
    }
}
