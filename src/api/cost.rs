//! Cost: what pods of one template were measured to cost, as a file.
//!
//! Not a custom resource: `kubectl weir cost export` writes it, `kubectl weir preflight` reads it, and
//! no cluster stores it. `docs/reference/cost.md` describes each field.

use serde::{Deserialize, Serialize};

use super::{ForecastStatus, GROUP, WorkloadKind};

/// What pods of one template were measured to cost.
#[derive(Debug, Clone, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct Cost {
    /// `weir.dev/v1alpha1`.
    pub api_version: String,
    /// `Cost`.
    pub kind: String,
    /// Where it was measured.
    pub source: CostSource,
    /// What was measured. Its record is always there.
    pub forecast: ForecastStatus,
}

/// The rollout that was measured.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub struct CostSource {
    /// Its namespace.
    pub namespace: String,
    /// Its workload's kind.
    pub kind: WorkloadKind,
    /// Its workload's name.
    pub name: String,
    /// The hash of its workload's controller revision.
    pub revision: String,
}

impl Cost {
    /// The kind that such a file says it is.
    pub const KIND: &'static str = "Cost";

    /// The version that such a file says it has.
    #[must_use]
    pub fn version() -> String {
        format!("{GROUP}/v1alpha1")
    }

    /// The file of what was measured there.
    #[must_use]
    pub fn new(source: CostSource, forecast: ForecastStatus) -> Self {
        Self {
            api_version: Self::version(),
            kind: Self::KIND.to_owned(),
            source,
            forecast,
        }
    }
}
