//! An incident in a GuardedRollout's status: its three times, and what told them.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounds, schema};

/// An incident, as the rollout met it: the one that goes on, or the last one.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct IncidentStatus {
    /// When its first sign was found: harm that held the rollout, a mask, or an incident of a dependency.
    #[schemars(schema_with = "schema::optional_time")]
    pub seen: Time,
    /// That sign.
    pub sign: FaultStatus,
    /// When a finding first said what was at fault; absent while none has.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub understood: Option<Time>,
    /// What was at fault. A symptom, such as `LatencyRegressed`, means this rollout, by the order of events.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cause: Option<FaultStatus>,
    /// When it was over: nothing of it had been found for as long as the policy says (`harm.clearAfter`).
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub mitigated: Option<Time>,
}

/// A fault, as it was found when it mattered.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct FaultStatus {
    /// The rule that found it, such as `EvidenceMasked`.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// What it was found on.
    #[schemars(length(max = bounds::WORD))]
    pub subject: String,
    /// The evidence of that moment, with figures.
    #[schemars(length(max = bounds::TEXT))]
    pub evidence: String,
}
