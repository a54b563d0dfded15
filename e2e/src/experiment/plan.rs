//! What an experiment is to be: which agents, beside whom, guarded how, and watched for how long.

use std::time::Duration;

use weir::api::{Pace, RolloutPolicySpec};

use super::Patience;
use crate::profile::Profile;

/// What is to be run.
pub struct Plan {
    /// The agents.
    pub profile: Profile,
    /// What runs everywhere first, and is then updated; none if the workload is a new one.
    pub before: Option<Before>,
    /// The policy by which Weir lets the rollout through; none if nobody guards it.
    pub guard: Option<RolloutPolicySpec>,
    /// The agents of another workload, enrolled alike, that is rolled out at the same moment.
    pub beside: Option<Profile>,
    /// An account that begins to ask while the rollout is in flight.
    pub loops: Option<Loops>,
    /// Nodes that join at once, after the rollout has been everywhere for a while; 0 for none.
    pub joins: u32,
    /// How long things are watched.
    pub patience: Patience,
}

/// The revision that runs everywhere before an update.
pub enum Before {
    /// It calls nothing.
    Silent,
    /// Its pods are agents of this profile, for as long as they live.
    Costly(Box<Profile>),
}

impl Before {
    /// The profile of its agents, if they call something.
    pub(super) fn profile(&self) -> Option<String> {
        match self {
            Self::Silent => None,
            Self::Costly(profile) => Some(profile.name.clone()),
        }
    }
}

/// An account that has nothing to do with the rollout, and begins to ask too much.
pub struct Loops {
    /// What it asks.
    pub profile: Profile,
    /// How many clients of it ask.
    pub clients: u32,
    /// The width of the rollout at which they begin.
    pub at_width: u32,
    /// Whether the account is that of an enrolled and approved workload, and so has a meter.
    pub metered: bool,
}

impl Plan {
    /// A new workload of these agents, and nothing beside it.
    #[must_use]
    pub const fn new(
        profile: Profile,
        guard: Option<RolloutPolicySpec>,
        patience: Patience,
    ) -> Self {
        Self {
            profile,
            before: None,
            guard,
            beside: None,
            loops: None,
            joins: 0,
            patience,
        }
    }
}

/// A policy of this pace, with the soak that the profile asks for, if it does.
#[must_use]
pub fn policy(pace: Pace, profile: &Profile) -> RolloutPolicySpec {
    let soak = profile.expect.as_ref().and_then(|expect| expect.soak);
    RolloutPolicySpec {
        pace,
        soak: soak.map(form),
        ..RolloutPolicySpec::default()
    }
}

/// A span of time as a policy writes it.
#[must_use]
pub fn form(span: Duration) -> weir::api::forms::Duration {
    weir::api::forms::Duration(format!("{}s", span.as_secs().max(1)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_policy_has_the_soak_that_the_profile_takes() {
        let of = |text: &str| Profile::parse(text, "test").expect("a good profile");
        let late = of("expect: {ends: held, because: x, soak: 1m 10s}");
        let policy_of = |profile: &Profile| policy(Pace::Fast, profile);
        assert_eq!(policy_of(&late).soak, Some("70s".into()));
        let plain = of("expect: {ends: held, because: x}");
        assert_eq!(policy_of(&plain).soak, None);
        assert_eq!(policy_of(&plain).pace, Pace::Fast);
    }
}
