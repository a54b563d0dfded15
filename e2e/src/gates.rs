//! A pod → the scheduling gates that it has, as everybody here asks for them.

use k8s_openapi::api::core::v1::Pod;
use weir::api::marks;

/// The names of the gates that a pod has, in their order.
#[must_use]
pub fn gates_of(pod: &Pod) -> Vec<&str> {
    let gates = pod.spec.iter().flat_map(|spec| &spec.scheduling_gates);
    gates.flatten().map(|gate| gate.name.as_str()).collect()
}

/// Whether Weir's gate is among them.
#[must_use]
pub fn is_gated(pod: &Pod) -> bool {
    gates_of(pod).contains(&marks::GATE)
}
