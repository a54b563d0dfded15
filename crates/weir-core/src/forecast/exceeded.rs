//! What was found to be exceeded at full width, and stays so until it probably is not.

use serde::{Deserialize, Serialize};

use super::{
    calm::is_negligible,
    outlook::Outlook,
    told::{Forecast, Resource, ResourceForecast},
};

/// What was found to be exceeded at full width.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default, Serialize, Deserialize)]
pub(crate) struct Exceeded {
    /// A capacity: that of this resource.
    pub(crate) capacity: Option<Resource>,
    /// The time that the start of all pods at once may take.
    pub(crate) unison: bool,
}

impl Exceeded {
    /// What is exceeded by this forecast, and what was before and probably still is. What cannot be told at
    /// present says nothing of what was told before.
    pub(super) fn weigh(self, forecast: &Forecast, outlook: &Outlook) -> Self {
        Self {
            capacity: exceeded(forecast, outlook).or_else(|| {
                self.capacity
                    .filter(|of| may_exceed(forecast, outlook, *of))
            }),
            unison: forecast.unison.as_ref().map_or(self.unison, |unison| {
                let above = |seconds: f64| seconds > unison.budget;
                above(unison.seconds.low) || self.unison && above(unison.seconds.mid)
            }),
        }
    }
}

/// The first resource of which full width would surely take more than there is.
fn exceeded(forecast: &Forecast, outlook: &Outlook) -> Option<Resource> {
    let resources = forecast.resources.iter();
    let exceeds = |told: &&ResourceForecast| is_above(told, told.at_full.low) == Some(true);
    resources
        .filter(|told| outlook.may_hold(told.resource))
        .find(exceeds)
        .map(|told| told.resource)
}

/// Whether full width would probably take more of a resource than there is, or that cannot be told.
fn may_exceed(forecast: &Forecast, outlook: &Outlook, of: Resource) -> bool {
    let mut resources = forecast.resources.iter();
    let told = resources.find(|told| told.resource == of && outlook.may_hold(of));
    let is_more = told.and_then(|told| is_above(told, told.at_full.mid));
    is_more.unwrap_or(true)
}

/// Whether so much is above a capacity, and not for the sake of others alone: what is full without the
/// rollout is not full for its sake. None where it is not known what there is.
fn is_above(told: &ResourceForecast, used: f64) -> Option<bool> {
    let capacity = told.capacity?;
    Some(used > capacity && !is_negligible(used - told.base, capacity))
}
