//! Valve: the parameter object of the gate policy, read by API servers on each pod creation.
//!
//! Absent, emptied or without the mark `adopted` it means that nothing is gated.

use std::collections::BTreeMap;

use kube::{CustomResource, KubeSchema};
use serde::{Deserialize, Serialize};

use super::bounds;

/// Which revisions may start freely. Made and kept by Weir; there is one, named `cluster`.
#[derive(CustomResource, KubeSchema, Debug, Clone, Default, PartialEq, Serialize, Deserialize)]
#[kube(
    group = "weir.dev",
    version = "v1alpha1",
    kind = "Valve",
    derive = "PartialEq",
    shortname = "valve",
    category = "weir",
    doc = "The gate policy's parameters: which revisions of enrolled workloads may start freely.",
    validation = Rule::new("self.metadata.name == 'cluster'")
        .message("there is one Valve, named `cluster`")
        .reason(Reason::FieldValueForbidden),
    printcolumn(
        name = "Adopted",
        type_ = "boolean",
        description = "Whether new pods of unapproved revisions are gated",
        json_path = ".spec.adopted",
    ),
    printcolumn(name = "Age", type_ = "date", json_path = ".metadata.creationTimestamp"),
)]
#[serde(rename_all = "camelCase")]
pub struct ValveSpec {
    /// Set by Weir once every revision that already runs is approved; without it nothing is gated.
    #[serde(default)]
    pub adopted: bool,

    /// Revisions whose pods are born ungated, keyed by `<owner uid>.<revision hash>`; the value is
    /// a note for people, such as `shop/logs by weir`.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    #[schemars(extend(
        "maxProperties" = bounds::APPROVED,
        "additionalProperties" = { "type": "string", "maxLength": bounds::NOTE }
    ))]
    #[x_kube(
        validation = Rule::new(r"self.all(key, key.matches('^[0-9a-f-]{36}\\.[a-z0-9]{1,63}$'))")
            .message("each key is `<owner uid>.<revision hash>`")
            .reason(Reason::FieldValueInvalid),
        merge_strategy = MapMerge::Granular
    )]
    pub approved: BTreeMap<String, String>,
}
