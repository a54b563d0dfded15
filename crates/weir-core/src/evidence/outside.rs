//! What a rollout is judged by besides the cluster: signals that a policy names, its windows, and who else deploys.

use serde::{Deserialize, Serialize};

use super::Reading;
use crate::time::Moment;

/// A signal from outside the cluster that a policy names: a provider's status page, a query of its own metrics.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub struct Dependency {
    /// What it says. A fault of its own is never the rollout's.
    pub reading: Reading<Health>,
    /// Until when nothing is let through while it says nothing; afterwards that is only told.
    pub awaited_until: Moment,
}

/// How a dependency is, by its own signal.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Health {
    /// As it should be.
    Well,
    /// It has an incident.
    Incident {
        /// What its signal says, and what it should say.
        what: String,
    },
}

/// Whether waves may begin at this time, by the policy's windows.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Window {
    /// They may: a window is open, or the policy names none.
    Open,
    /// They may not.
    Closed {
        /// When one opens, for people; a time that does not move.
        opens: String,
    },
}
