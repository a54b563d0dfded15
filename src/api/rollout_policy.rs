//! RolloutPolicy: how enrolled workloads are judged and paced.
//!
//! Everything is optional and overrides the preset that `pace` names. Enrolment is not decided
//! here but by the label `weir.dev/guard`; a policy only says how.

use k8s_openapi::apimachinery::pkg::apis::meta::v1::{Condition, LabelSelector};
use kube::{CustomResource, KubeSchema};
use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::{
    Dependency, DependencyStatus, bounds,
    forms::{Duration, Percent, Size},
    required::Required,
    schema,
    timing::{Undisturbed, WindowSpec},
};

/// How enrolled workloads are judged and paced.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "RolloutPolicy",
    plural = "rolloutpolicies",
    status = "RolloutPolicyStatus",
    derive = "PartialEq",
    shortname = "rpol",
    category = "weir",
    doc = "How rollouts of enrolled workloads are judged and paced.",
    printcolumn(
        name = "Ready",
        type_ = "string",
        description = "Whether the policy is valid",
        json_path = ".status.conditions[?(@.type==\"Ready\")].status",
    ),
    printcolumn(
        name = "Reason",
        type_ = "string",
        json_path = ".status.conditions[?(@.type==\"Ready\")].reason",
    ),
    printcolumn(name = "Pace", type_ = "string", json_path = ".spec.pace"),
    printcolumn(
        name = "Workloads",
        type_ = "integer",
        description = "Enrolled workloads that it matches",
        json_path = ".status.matched",
    ),
    printcolumn(
        name = "Age",
        type_ = "date",
        json_path = ".metadata.creationTimestamp"
    ),
    printcolumn(
        name = "Message",
        type_ = "string",
        priority = 1,
        json_path = ".status.conditions[?(@.type==\"Ready\")].message",
    )
)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicySpec {
    /// Which enrolled workloads this policy is for; absent means all of them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub workloads: Option<Workloads>,

    /// The preset that everything below overrides.
    #[serde(default)]
    pub pace: Pace,

    /// How wide the waves are.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub waves: Option<Waves>,

    /// Fresh, undisturbed time at each width before the next wave.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("soak is between 1s and 24h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub soak: Option<Duration>,

    /// What soak must include before the rollout becomes wide.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub undisturbed: Option<Undisturbed>,

    /// When waves may begin; absent means at any time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(length(min = 1, max = bounds::WINDOWS), extend("x-kubernetes-list-type" = "atomic"))]
    pub windows: Option<Vec<WindowSpec>>,

    /// The node label that each wave is spread over, such as `topology.kubernetes.io/zone`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(
        length(min = 1, max = 317),
        regex(
            pattern = "^([a-z0-9]([-a-z0-9.]*[a-z0-9])?/)?[A-Za-z0-9]([-A-Za-z0-9_.]*[A-Za-z0-9])?$"
        )
    )]
    pub spread_by: Option<String>,

    /// When the API servers are said to suffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub harm: Option<Harm>,

    /// What may be forecast before it holds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub forecast: Option<ForecastLimits>,

    /// What each API server has, where it is not what the API server itself says.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub capacity: Option<Capacity>,

    /// When the rollout's own pods are said to suffer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub pods: Option<Pods>,

    /// What must be seen before anything is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub required: Option<Required>,

    /// Nodes that would be left without any pod of a workload that already ran there get one at
    /// this rate: this share of all nodes per ten minutes.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub starving_nodes: Option<Percent>,

    /// What must have no incident of its own before anything is let through.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = bounds::DEPENDENCIES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub dependencies: Vec<Dependency>,
}

/// Which enrolled workloads a policy is for. Both selectors must match.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct Workloads {
    /// Labels of the workload's namespace.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_selector")]
    pub namespace_selector: Option<LabelSelector>,
    /// Labels of the workload's pod template.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(schema_with = "schema::optional_selector")]
    pub selector: Option<LabelSelector>,
}

/// A preset.
#[derive(Debug, Clone, Copy, Default, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum Pace {
    /// At least ten minutes for the last 90 %.
    #[default]
    Careful,
    /// For workloads that are known: the width doubles, with a short soak at each width.
    Fast,
}

/// How wide the waves are.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[x_kube(
    validation = Rule::new(
        "!has(self.canary) || !has(self.maxStep) \
         || double(self.canary.replace('%', '')) <= double(self.maxStep.replace('%', ''))"
    )
    .message("canary must not be larger than maxStep: the first wave is a step too")
    .field_path(".canary")
    .reason(Reason::FieldValueInvalid)
)]
#[serde(rename_all = "camelCase")]
pub struct Waves {
    /// Pods of the first wave, as a share of full width; always at least one pod. Where a forecast holds
    /// (`forecast.act`), it is one pod whatever this says: more is learnt from a second.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("double(self.replace('%', '')) > 0.0")
            .message("canary must be more than 0%")
            .reason(Reason::FieldValueInvalid)
    )]
    pub canary: Option<Percent>,
    /// How much wider each wave may make the rollout than the last: `2` doubles the width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 10))]
    #[x_kube(
        validation = Rule::new("double(self) >= 1.01")
            .message("growth must be at least 1.01, else the rollout never gets wider")
            .reason(Reason::FieldValueInvalid)
    )]
    pub growth: Option<f64>,
    /// The most that one wave may add, as a share of full width.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("double(self.replace('%', '')) > 0.0")
            .message("maxStep must be more than 0%")
            .reason(Reason::FieldValueInvalid)
    )]
    pub max_step: Option<Percent>,
    /// Pods let through per second at most.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 100))]
    pub releases_per_second: Option<f64>,
}

/// When the API servers are said to suffer.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Harm {
    /// A median of Weir's own probes up to this never counts as regressed, whatever is usual; and only
    /// waits in API servers' queues of this or more, on average, count for `queued`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) <= duration('1s')")
            .message("latencyFloor is at most 1s, Kubernetes' own objective for API latency")
            .reason(Reason::FieldValueInvalid)
    )]
    pub latency_floor: Option<Duration>,
    /// The median counts as regressed above this multiple of what is usual when quiet.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 1, max = 100))]
    pub latency_factor: Option<f64>,
    /// Requests waiting in priority-and-fairness queues that count as saturation: on average, of
    /// clients other than the rollout's pods that wait for `latencyFloor` or longer; or of anybody,
    /// waiting from one look to the next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 1000))]
    pub queued: Option<f64>,
    /// Requests refused with 429 per second that count as rejecting.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 1000))]
    pub rejected_per_second: Option<f64>,
    /// Growth of an API server's memory, within minutes, that counts as climbing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("double(self.replace('%', '')) > 0.0")
            .message("memoryGrowth must be more than 0%")
            .reason(Reason::FieldValueInvalid)
    )]
    pub memory_growth: Option<Percent>,
    /// Growth of less than this never counts as climbing, whatever share it is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_growth_floor: Option<Size>,
    /// The share of time that an API server should be good: what it may be bad is its error budget, and while
    /// that is spent far too fast nothing is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new(
            "double(self.replace('%', '')) >= 50.0 && double(self.replace('%', '')) <= 99.99"
        )
        .message("objective is between 50% and 99.99%")
        .reason(Reason::FieldValueInvalid)
    )]
    pub objective: Option<Percent>,
    /// How long after an API server's restart nothing is let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) <= duration('1h')")
            .message("restartQuiet is at most 1h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub restart_quiet: Option<Duration>,
    /// How long a harm must have been gone before the rollout goes on. It doubles each time that
    /// harm comes back, up to 32 times, until clean waves have made up for it. For lost nodes it is
    /// never less than ten minutes, which double likewise.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')")
            .message("clearAfter is between 1s and 1h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub clear_after: Option<Duration>,
}

/// What may be forecast before it holds.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct ForecastLimits {
    /// What a forecast does.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "ForecastAct")]
    pub act: Option<ForecastAct>,
    /// The share of each capacity that a rollout may bring its use to, by the upper bound of what is
    /// forecast.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("double(self.replace('%', '')) > 0.0")
            .message("budget must be more than 0%")
            .reason(Reason::FieldValueInvalid)
    )]
    pub budget: Option<Percent>,
    /// How long the API servers may need to serve the start of all pods at once.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')")
            .message("unison is between 1s and 1h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub unison: Option<Duration>,
    /// What happens where they would need longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(with = "BeyondUnison")]
    pub beyond_unison: Option<BeyondUnison>,
    /// How long a rollout waits, after its soak, for evidence that does not suffice, before it takes
    /// a step that is only probably within budget.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("patience is between 1s and 24h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub patience: Option<Duration>,
}

/// What a forecast does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum ForecastAct {
    /// It decides how wide the next wave is, and holds a rollout that would exceed a capacity.
    Hold,
    /// It is told, and changes nothing.
    Tell,
}

/// What happens to a rollout whose pods must not start all at once.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
pub enum BeyondUnison {
    /// It is held.
    Hold,
    /// It goes on, and is never approved: each pod passes the valve for ever, at the pace that the
    /// API servers bear.
    Pace,
}

/// What each API server has.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Capacity {
    /// Cores, such as `4` or `1.5`; absent means what the process says that it may use.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[schemars(range(min = 0.1, max = 1024))]
    pub cpu: Option<f64>,
    /// Memory; absent means the limit that the process was started with, if it has one.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory: Option<Size>,
}

/// When the rollout's own pods are said to suffer.
#[derive(KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[serde(rename_all = "camelCase")]
pub struct Pods {
    /// Pods that may be unhealthy, as a share of those let through.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub unhealthy: Option<Percent>,
    /// How long a pod that was let through may take to be placed on its node.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('1h')")
            .message("scheduleWithin is between 1s and 1h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub schedule_within: Option<Duration>,
    /// How long a placed pod may take to be ready.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    #[x_kube(
        validation = Rule::new("duration(self) >= duration('1s') && duration(self) <= duration('24h')")
            .message("readyWithin is between 1s and 24h")
            .reason(Reason::FieldValueInvalid)
    )]
    pub ready_within: Option<Duration>,
}

/// Whether the policy is valid, and what it applies to.
#[derive(Debug, Clone, Default, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "camelCase")]
pub struct RolloutPolicyStatus {
    /// The generation that this status was judged on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub observed_generation: Option<i64>,
    /// Enrolled workloads that it matches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub matched: Option<u32>,
    /// What it depends on, and how that is.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(
        length(max = bounds::DEPENDENCIES),
        extend("x-kubernetes-list-type" = "map", "x-kubernetes-list-map-keys" = ["name"])
    )]
    pub dependencies: Vec<DependencyStatus>,
    /// Conditions: `Ready`, `Stalled`, `Matched`, and where it depends on something `DependenciesKnown`.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    #[schemars(schema_with = "schema::conditions")]
    pub conditions: Vec<Condition>,
}
