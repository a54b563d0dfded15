//! Pods that our gate holds, anywhere, and the revision each is of.
//!
//! The server selects them: the label that the gate policy sets, and no node. What was let through
//! leaves the selection when it is placed, so that this watch is empty whenever nothing is held.

use k8s_openapi::{
    api::core::v1::{Pod, PodSchedulingGate},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

use super::{
    run::Selection,
    slim::{Keep, Seen},
};
use crate::{
    api::marks,
    observe::cluster::{GatedPod, WorkloadKey},
};

/// How gated pods are read.
pub(in crate::observe) struct GatedPods;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    #[serde(default)]
    spec: Spec,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Spec {
    scheduling_gates: Option<Vec<PodSchedulingGate>>,
}

impl GatedPods {
    /// What the server is asked for.
    pub(in crate::observe) fn selection() -> Selection {
        Selection {
            namespace: None,
            labels: Some(format!("{}=true", marks::ENROLLED)),
            fields: Some("spec.nodeName=".to_owned()),
        }
    }
}

impl Keep for GatedPods {
    type Kind = Pod;
    type Body = Body;
    type Key = WorkloadKey;
    type Row = GatedPod;

    fn key(meta: &ObjectMeta) -> WorkloadKey {
        WorkloadKey::of(meta)
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Body,
        _: Seen<'_, GatedPod>,
    ) -> Result<Option<GatedPod>, String> {
        let mut gates = body.spec.scheduling_gates.iter().flatten();
        if meta.deletion_timestamp.is_some() || !gates.any(|gate| gate.name == marks::GATE) {
            return Ok(None);
        }
        let annotations = meta.annotations.as_ref();
        let revision = annotations.and_then(|has| has.get(marks::REVISION));
        Ok(Some(GatedPod {
            revision: revision.cloned().unwrap_or_default(),
        }))
    }
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::observe::watches::slim::Slim;

    fn row(pod: Value) -> Option<GatedPod> {
        let slim: Slim<GatedPods> = serde_json::from_value(pod).unwrap();
        let seen = Seen {
            now: weir_core::time::Moment::from_millis(1),
            before: None,
        };
        GatedPods.row(&slim.meta, slim.body.unwrap(), seen).unwrap()
    }

    fn pod(gates: &Value) -> Value {
        json!({
            "metadata": { "name": "logs-1", "namespace": "shop",
                "annotations": { marks::REVISION: "0b5c.7d9f8c" } },
            "spec": { "schedulingGates": gates },
        })
    }

    #[test]
    fn only_what_our_gate_holds_is_kept() {
        let gated = row(pod(&json!([{ "name": "other" }, { "name": marks::GATE }])));
        assert_eq!(gated.unwrap().revision, "0b5c.7d9f8c");
        assert_eq!(row(pod(&json!([{ "name": "other" }]))), None);
        assert_eq!(row(pod(&Value::Null)), None);
        let mut going = pod(&json!([{ "name": marks::GATE }]));
        going["metadata"]["deletionTimestamp"] = json!("2026-01-01T00:00:00Z");
        assert_eq!(row(going), None);
    }
}
