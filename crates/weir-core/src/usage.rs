//! What one API server process has counted since its start, in all and of each client, and which of
//! that is a rollout's.
//!
//! Priority and Fairness counts by FlowSchema. One that matches a single account, at the level that the
//! account would have used anyway, meters that client alone and changes nothing.

use std::collections::BTreeMap;

use serde::{Deserialize, Serialize};

use crate::time::Moment;

/// What the names of FlowSchemas begin with that Weir makes to meter accounts.
pub const METERS: &str = "weir-meter-";

/// FlowSchemas told apart besides meters: Kubernetes has 13 of its own. Whatever more there are is added
/// up as one, so that a page cannot fill Weir's memory.
pub(crate) const MAX_OTHERS: usize = 256;

/// Meters told apart. Weir has at most 100 at a time, but an API server goes on to tell of those that were
/// removed for as long as it runs.
pub(crate) const MAX_METERS: usize = 256;

/// FlowSchemas told apart in all, with the two that the rest is added up as.
pub(crate) const MAX_SCHEMAS: usize = MAX_OTHERS + MAX_METERS + 2;

/// The name that the rest of FlowSchemas that are no meters is added up under; none can be called so.
pub(crate) const OTHER_SCHEMAS: &str = "(other schemas)";

/// The name that the rest of meters is added up under: of an account that is not told apart nothing is
/// known where it is there.
pub(crate) const OTHER_METERS: &str = "(other meters)";

/// Priority levels told apart; Kubernetes has 8 of its own. Whatever more there are is added up as one, so
/// that a page cannot fill Weir's memory.
pub(crate) const MAX_LEVELS: usize = 100;

/// What one process had counted when its page was made. Counters count from the start of the process.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct Counted {
    /// When the page was made.
    pub at: Moment,
    /// CPU time used, in seconds.
    pub cpu_seconds: f64,
    /// Cores that the process may use, if it says so.
    pub cpu_limit_cores: Option<f64>,
    /// Resident memory in bytes.
    pub resident_bytes: f64,
    /// Bytes of memory that the process tries to stay below (`GOMEMLIMIT`), if it has such a limit.
    pub memory_limit_bytes: Option<f64>,
    /// Requests sent to etcd.
    pub etcd_requests: f64,
    /// Bytes of responses.
    pub response_bytes: f64,
    /// Watches that are open now.
    pub watches: f64,
    /// Each FlowSchema's clients by its name; those beyond a bound are added up as one.
    pub schemas: BTreeMap<String, SchemaCount>,
    /// The API server's version (`kubernetes_build_info`), if it says so.
    pub version: Option<String>,
    /// Pods in the cluster, as the API server counts what it stores, if it says so.
    pub pods: Option<f64>,
    /// Seats that each priority level has a right to, by its name.
    pub seats: BTreeMap<String, f64>,
    /// Seats of each priority level that requests took when the page was made, whoever asked.
    pub executing_seats: BTreeMap<String, f64>,
}

/// What Priority and Fairness has counted of one FlowSchema's requests, whichever levels they were at.
#[derive(Debug, Clone, PartialEq, Default, Serialize, Deserialize)]
pub struct SchemaCount {
    /// The level that its requests were last counted at.
    pub level: String,
    /// Requests that were let run (`dispatched_requests_total`).
    pub dispatched: f64,
    /// Time that requests ran, in seconds (`request_execution_seconds`). It holds writing to the
    /// client: for a slow one it is more than CPU time.
    pub execution_seconds: f64,
    /// Seats that requests were taken for, added up (`work_estimated_seats`).
    pub estimated_seats: f64,
    /// Requests refused (`rejected_requests_total`).
    pub rejected: f64,
}

/// What counts the requests of a workload's account.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
pub enum Meter {
    /// A FlowSchema of its own, and no other DaemonSet uses the account; of what else might nothing is known.
    Own {
        /// Its name.
        schema: String,
    },
    /// A FlowSchema of its own, but others use the account too.
    Shared {
        /// Its name.
        schema: String,
        /// The others, for people.
        with: String,
    },
    /// One is on its way, and counts soon.
    Awaited {
        /// What is awaited.
        why: String,
    },
    /// Nothing does: only dose and response speak.
    None {
        /// Why, and what a person can do, if anything.
        why: String,
    },
}

impl Meter {
    /// The FlowSchema that counts the workload's own requests and, as far as is known, nobody else's.
    #[must_use]
    pub fn own(&self) -> Option<&str> {
        match self {
            Self::Own { schema } => Some(schema),
            Self::Shared { .. } | Self::Awaited { .. } | Self::None { .. } => None,
        }
    }

    /// The FlowSchema that counts, if one does.
    #[must_use]
    pub fn schema(&self) -> Option<&str> {
        match self {
            Self::Own { schema } | Self::Shared { schema, .. } => Some(schema),
            Self::Awaited { .. } | Self::None { .. } => None,
        }
    }
}
