//! What Weir reads and writes on objects that are not its own.

/// Label of a namespace or a pod template (which wins): `observe`, `shadow` or `enforce`.
pub const GUARD: &str = "weir.dev/guard";

/// The scheduling gate.
pub const GATE: &str = "weir.dev/gate";

/// Label that the gate policy sets to `"true"` on each pod it gates.
pub const ENROLLED: &str = "weir.dev/enrolled";

/// Annotation that the gate policy sets on each pod it gates: `<owner uid>.<revision hash>`.
pub const REVISION: &str = "weir.dev/revision";

/// Label of a pod template whose author knows that nodes depend on it: `acknowledged`.
pub const NODE_CRITICAL: &str = "weir.dev/node-critical";

/// Annotation of a GuardedRollout whose revision a person released: when, and why.
pub const RELEASED: &str = "weir.dev/released";

/// The label that everything of an installation bears, as a selector.
pub const INSTALLED: &str = "app.kubernetes.io/name=weir";

/// Who leaves Events: the operator.
pub const OPERATOR: &str = "weir.dev/weir";

/// Who leaves Events: people, by the plugin.
pub const PLUGIN: &str = "weir.dev/kubectl-weir";

/// Types of the conditions that Weir sets on its own objects.
pub mod conditions {
    /// Everything is as the spec wants it, and judged.
    pub const READY: &str = "Ready";
    /// On the way there; also while held, since a hold clears by itself.
    pub const RECONCILING: &str = "Reconciling";
    /// Never going to get there without a person.
    pub const STALLED: &str = "Stalled";
    /// Nothing more is let through for now; the reason is the most severe finding's.
    pub const HELD: &str = "Held";
    /// A policy matches at least one enrolled workload.
    pub const MATCHED: &str = "Matched";
    /// Pods of unapproved revisions come back gated; only where Weir may hold rollouts.
    pub const GATING: &str = "Gating";
    /// DNS answers with what the API has.
    pub const DNS_FRESH: &str = "DNSFresh";
    /// All that a policy depends on says how it is; only where it depends on something.
    pub const DEPENDENCIES_KNOWN: &str = "DependenciesKnown";
    /// Reason of [`GATING`] where it was not found out.
    pub const GATING_NOT_KNOWN: &str = "NotKnown";
    /// Reason of [`GATING`] where nothing is to be gated, and pods are all the same; of [`HELD`] for the
    /// rollout that these are of.
    pub const PODS_STRANDED: &str = "PodsStranded";
    /// Reason of [`HELD`] where Weir cannot write what would let pods through.
    pub const WRITE_FAILED: &str = "WriteFailed";
}
