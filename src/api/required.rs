//! What a policy requires to be known before anything is let through.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

/// What must be seen before anything is let through.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Required {
    /// API server instances that must be seen freshly; absent means as many as the cluster says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 32))]
    pub api_servers: Option<u32>,
    /// Whether DNS must be seen to follow the API; absent means wherever that can be measured.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "DnsRequired")]
    pub dns: Option<DnsRequired>,
}

/// Whether DNS must be seen to follow the API.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DnsRequired {
    /// Wherever that can be measured.
    WhereMeasured,
    /// Everywhere: where it cannot be measured nothing is let through.
    Always,
    /// Nowhere.
    Never,
}
