//! GuardedRollout: one revision of one workload on its way to full width.
//!
//! Made by Weir and owned by the workload. `spec.paused` and `spec.letThrough` are the user's;
//! everything else in the spec is fixed, and the status holds what must survive a restart of Weir.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, Time};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{ForecastStatus, IncidentStatus, bounds, schema};

/// Which revision of which workload, and what a person has said of it.
#[derive(CustomResource, KubeSchema, Debug, Clone, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "GuardedRollout",
    namespaced,
    status = "GuardedRolloutStatus",
    derive = "PartialEq",
    shortname = "gro",
    category = "weir",
    doc = "One revision of one workload on its way to full width; made by Weir.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "True once the revision is everywhere, soaked and approved",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
    ),
    printcolumn(name = "State", type_ = "string", json_path = ".status.state"),
    printcolumn(name = "Wave", type_ = "integer", json_path = ".status.wave"),
    printcolumn(
        name = "Width",
        type_ = "integer",
        description = "Pods of this revision that are let through",
        json_path = ".status.width",
    ),
    printcolumn(
        name = "Of",
        type_ = "integer",
        description = "Pods that the workload wants",
        json_path = ".status.fullWidth",
    ),
    printcolumn(
        name = "Held-By",
        type_ = "string",
        description = "The most severe finding that holds it",
        json_path = ".status.heldBy",
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Mode",
        type_ = "string",
        priority = 1,
        json_path = ".status.mode"
    ),
    printcolumn(
        name = "Summary",
        type_ = "string",
        priority = 1,
        json_path = ".status.summary"
    )
)]
#[x_kube(
    validation = Rule::new("self.workload == oldSelf.workload")
        .message("a GuardedRollout stays with its workload; only `paused` and `letThrough` can be changed")
        .field_path(".workload")
        .reason(Reason::FieldValueForbidden),
    validation = Rule::new("self.revision == oldSelf.revision")
        .message("a GuardedRollout stays with its revision; only `paused` and `letThrough` can be changed")
        .field_path(".revision")
        .reason(Reason::FieldValueForbidden)
)]
#[serde(rename_all = "camelCase")]
pub struct GuardedRolloutSpec {
    /// The workload, in the same namespace.
    pub workload: WorkloadRef,
    /// The hash of the workload's controller revision.
    #[schemars(length(min = 1, max = 63), regex(pattern = "^[a-z0-9]+$"))]
    pub revision: String,
    /// Set by a person to let nothing more through until it is cleared.
    #[serde(default)]
    pub paused: bool,
    /// Set by a person to let pods through once, whatever Weir finds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "LetThrough")]
    pub let_through: Option<LetThrough>,
}

/// A person's order to let pods through. It ends once its width is out or nothing that it covers is left, when
/// the workload has a newer revision, and after four hours; the revision is not approved by it. It covers what
/// was there when it was given, and what an update puts in its place. A later `given` is another order.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct LetThrough {
    /// Pods of this revision that may be out in all.
    #[schemars(range(min = 1))]
    pub width: u32,
    /// When the order was given: later than the last one, and not in the future.
    #[schemars(schema_with = "schema::optional_time")]
    pub given: Time,
    /// Why, for whoever looks at it later.
    #[schemars(length(min = 1, max = bounds::REASON))]
    pub reason: String,
}

/// A workload.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub struct WorkloadRef {
    /// Its kind.
    pub kind: WorkloadKind,
    /// Its name.
    #[schemars(length(min = 1, max = bounds::WORD))]
    pub name: String,
    /// Its UID: a workload that was deleted and made again is another one.
    #[schemars(length(min = 1, max = bounds::UID))]
    pub uid: String,
}

/// Kinds of workloads that Weir guards.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum WorkloadKind {
    /// An apps/v1 DaemonSet.
    DaemonSet,
}

/// Where it stands.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct GuardedRolloutStatus {
    /// The generation that this status was judged on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Where the rollout stands.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "State")]
    pub state: Option<State>,
    /// How far Weir goes with it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "Mode")]
    pub mode: Option<Mode>,
    /// One sentence that says what is going on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::TEXT))]
    pub summary: Option<String>,
    /// Waves begun.
    #[serde(default)]
    pub wave: u32,
    /// Pods of this revision that are let through.
    #[serde(default)]
    pub width: u32,
    /// Pods that the workload wants: full width.
    #[serde(default)]
    pub full_width: u32,
    /// Nodes that wait for a pod of this workload.
    #[serde(default)]
    pub nodes_without_pod: u32,
    /// The most severe finding that holds the rollout, while one does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(max = bounds::WORD))]
    pub held_by: Option<String>,
    /// What was found, the most severe first.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(length(max = bounds::FINDINGS), extend("x-kubernetes-list-type" = "atomic"))]
    pub findings: Vec<Finding>,
    /// Findings that did not fit into the list.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub findings_omitted: Option<u32>,
    /// The policies that it is judged by; none means the built-in one.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = bounds::POLICIES),
        inner(length(max = bounds::WORD)),
        extend("x-kubernetes-list-type" = "atomic")
    )]
    pub policies: Vec<String>,
    /// What full width would cost, once there is something to tell it from.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastStatus>,
    /// The incident that goes on, or the last one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub incident: Option<IncidentStatus>,
    /// What the next judgement needs after a restart of Weir.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub history: Option<HistoryStatus>,
    /// When the order of `spec.letThrough` was given that was last carried out, or that a newer revision
    /// ended: none that was given at this time or before it is obeyed any more.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_time")]
    pub obeyed: Option<Time>,
    /// Conditions: `Ready` (but of what was superseded or let go), `Reconciling`, `Stalled`, `Held`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}

/// One thing that was found.
#[derive(Debug, Clone, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Finding {
    /// The rule that found it, such as `LatencyRegressed`.
    #[schemars(length(min = 1, max = 64))]
    pub reason: String,
    /// What it does.
    pub severity: Severity,
    /// What it was found on.
    #[schemars(length(max = bounds::WORD))]
    pub subject: String,
    /// The evidence, with figures.
    #[schemars(length(max = bounds::TEXT))]
    pub evidence: String,
    /// What would clear it.
    #[schemars(length(max = bounds::TEXT))]
    pub clears_when: String,
}

/// What a finding does to the rollout.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Severity {
    /// Nothing more is let through while it stands.
    Hold,
    /// Told, and nothing else.
    Notice,
}

/// What must survive a restart of Weir. Soak time does not: it is repeated.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct HistoryStatus {
    /// The width that the waves so far allow.
    pub target: u32,
    /// Waves begun.
    pub wave: u32,
    /// What waves are multiplied by after holds.
    #[schemars(range(min = 0, max = 4))]
    pub pace: f64,
    /// Whether soak time without deployments was ever as long as `spec.undisturbed` demands.
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub stretched: bool,
}

/// Where a rollout stands.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum State {
    /// Nothing is let through yet: evidence is being gathered, or calm is awaited.
    Pending,
    /// A wave is being let through, or its pods are becoming ready.
    Progressing,
    /// The wave is out and ready; soak time is being added.
    Soaking,
    /// Nothing more is let through, for the findings' reasons.
    Held,
    /// A person has paused it.
    Paused,
    /// All pods are out and soaked, but their start in unison would be too much: the revision is not
    /// approved, and each pod that comes later passes the valve at the pace that the API servers bear.
    Paced,
    /// All pods are out and soaked, and the revision is approved.
    Complete,
    /// No pod is gated any more, since nobody asks for the guard any longer. It was neither soaked at
    /// full width nor approved.
    LetGo,
    /// Weir does not guard it, for the reason that the summary gives.
    Refused,
    /// The workload has a newer revision.
    Superseded,
}

/// How far Weir goes.
#[derive(
    Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
pub enum Mode {
    /// Weir only reads.
    Observe,
    /// Weir judges what rolls at its own pace, and says what it would have done.
    Shadow,
    /// Weir holds the rollout and lets it through in waves.
    Enforce,
}
