//! What a policy depends on outside the cluster, and how a RolloutPolicy's status tells of it.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::Time;
use kube::KubeSchema;
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{bounds, forms::Duration, schema};

/// A signal from outside the cluster: a provider's status page, or a query of a Prometheus. While it says that
/// there is an incident nothing is let through, and the rollout is not blamed for it.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.http) != has(self.prometheus)")
        .message("a dependency is asked either by http or by prometheus")
        .field_path(".http")
        .reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
pub struct Dependency {
    /// What findings, the status and metrics call it.
    #[schemars(
        length(min = 1, max = 63),
        regex(pattern = "^[a-z0-9]([-a-z0-9]*[a-z0-9])?$")
    )]
    pub name: String,
    /// How often it is asked while a rollout is in flight; every five minutes otherwise, if that is rarer. Absent
    /// means `60s`. What it said is believed for twice as long and `timeout`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('10s') && duration(self) <= duration('1h')")
            .message("every is between 10s and 1h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub every: Option<Duration>,
    /// How long the whole answer may take; absent means `5s`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('30s')")
            .message("timeout is between 1s and 30s")
            .reason(Reason::FieldValueInvalid)
    )]
    pub timeout: Option<Duration>,
    /// For how long nothing is let through while it says nothing; afterwards that is only told. Absent means `10m`;
    /// `0s` means that its silence holds nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_wait")]
    #[x_kube(
        validation = Rule::new("duration(self) <= duration('24h')")
            .message("silentFor is at most 24h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub silent_for: Option<Duration>,
    /// A value in an answer that is JSON.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub http: Option<HttpSource>,
    /// A query of a Prometheus.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub prometheus: Option<PrometheusSource>,
}

/// A value in an answer that is JSON. Redirects are not followed, and no more than 1 MiB is read.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("has(self.equals) != (has(self.oneOf) && self.oneOf.size() > 0)")
        .message("what is well is said either by equals or by oneOf")
        .field_path(".equals")
        .reason(Reason::FieldValueInvalid),
    validation = Rule::new("!has(self.bearerToken) || self.url.startsWith('https://')")
        .message("a bearer token is sent by https only")
        .field_path(".bearerToken")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.tls) || self.url.startsWith('https://')")
        .message("tls is for https only")
        .field_path(".tls")
        .reason(Reason::FieldValueForbidden)
)]
#[serde(rename_all = "camelCase")]
pub struct HttpSource {
    /// Its address, without user and password. Of the query nothing is ever told.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^https?://[^/?#@\s]+(/[^?#\s]*)?(\?[^#\s]*)?$")
    )]
    pub url: String,
    /// Where in the answer the value is, after RFC 9535, such as `$.status.indicator`. Of several values each must be
    /// well. Neither descendants (`..`), nor lists (`,`), nor `$` or a function within a filter.
    #[schemars(length(min = 1, max = 256), regex(pattern = r"^\$"))]
    pub json_path: String,
    /// The value by which it is well, as text: `none`, `0`, `true`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::WORD))]
    pub equals: Option<String>,
    /// The values by which it is well, as texts.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = 16),
        inner(length(max = bounds::WORD)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub one_of: Vec<String>,
    /// Whom to trust; absent means the authorities that browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// A bearer token to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretKey>,
}

/// A query of a Prometheus, or of whatever serves its API. Of several values the worst counts; none says nothing.
#[derive(KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new("!has(self.bearerToken) || self.url.startsWith('https://')")
        .message("a bearer token is sent by https only")
        .field_path(".bearerToken")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("!has(self.tls) || self.url.startsWith('https://')")
        .message("tls is for https only")
        .field_path(".tls")
        .reason(Reason::FieldValueForbidden)
)]
#[serde(rename_all = "camelCase")]
pub struct PrometheusSource {
    /// Its address, to which `/api/v1/query` is added; without user, password and query.
    #[schemars(
        length(min = 1, max = 1024),
        regex(pattern = r"^https?://[^/?#@\s]+(/[^?#\s]*)?$")
    )]
    pub url: String,
    /// The query, in `PromQL`: an instant vector or a scalar.
    #[schemars(length(min = 1, max = bounds::TEXT))]
    pub query: String,
    /// What its value is compared with.
    pub threshold: f64,
    /// On which side of the threshold there is an incident.
    pub comparison: Comparison,
    /// Whom to trust; absent means the authorities that browsers trust.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tls: Option<SourceTls>,
    /// A bearer token to send.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub bearer_token: Option<SecretKey>,
}

/// On which side of a threshold there is an incident.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Comparison {
    /// Where the value is greater.
    Above,
    /// Where the value is less.
    Below,
}

/// Whom to trust. That nobody is asked for a certificate cannot be said.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SourceTls {
    /// A Secret in Weir's own namespace, whose `ca.crt` holds the only authorities to trust, as PEM. Weir must be
    /// granted to read it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = bounds::WORD),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub ca_secret: Option<String>,
    /// The name that its certificate must carry, where it is not the address' own.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::WORD))]
    pub server_name: Option<String>,
}

/// A key of a Secret in Weir's own namespace. Weir must be granted to read it.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct SecretKey {
    /// The Secret.
    #[schemars(
        length(min = 1, max = bounds::WORD),
        regex(pattern = "^[a-z0-9]([-a-z0-9.]*[a-z0-9])?$")
    )]
    pub name: String,
    /// The key in it.
    #[schemars(length(min = 1, max = bounds::WORD), regex(pattern = "^[-._a-zA-Z0-9]+$"))]
    pub key: String,
}

/// How a dependency is, as of the last change.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct DependencyStatus {
    /// Its name.
    #[schemars(length(min = 1, max = 63))]
    pub name: String,
    /// How it is.
    pub state: DependencyState,
    /// What it says that it should not, or why it says nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::TEXT))]
    pub what: Option<String>,
    /// Since when it is so, as far as Weir saw.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub since: Option<Time>,
    /// Until when its silence holds rollouts, while it says nothing; absent where it holds them until the policy is
    /// mended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub holds_until: Option<Time>,
}

/// How a dependency is.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum DependencyState {
    /// As it should be.
    Well,
    /// It has an incident of its own: rollouts are held.
    Incident,
    /// It says nothing that could be understood, or nothing of late.
    Silent,
}
