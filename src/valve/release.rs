//! A revision → the plain kubectl lines that let it through without Weir.
//!
//! They are printed in events and on status, and must work in a POSIX shell while Weir is dead.

use serde_json::{Value, json};

use super::{NAMESPACE, REVISION_HASH, ROLE, approvals::rule_for, revision_key};
use crate::api::marks;

/// A revision of a workload, as the lines name it.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Target<'a> {
    /// The workload's namespace.
    pub namespace: &'a str,
    /// The workload's UID.
    pub uid: &'a str,
    /// The revision's hash.
    pub hash: &'a str,
}

/// The lines that open the valve for a revision, in the order in which they are to be run.
///
/// Approval comes first: the other way round, a node that joins in between would be left with a
/// gated pod. It adds a rule, whatever rules there are; Weir merges them. Others' gates are left alone.
#[must_use]
pub fn release_lines(target: &Target<'_>) -> Vec<String> {
    let Target {
        namespace,
        uid,
        hash,
    } = target;
    let key = revision_key(uid, hash);
    let approval = json!([{ "op": "add", "path": "/rules/-", "value": rule_for(&key) }]);
    let enrolled = marks::ENROLLED;
    vec![
        format!("kubectl patch role {ROLE} -n {NAMESPACE} --type=json -p '{approval}'"),
        format!(
            "kubectl get pods -n {namespace} -l {REVISION_HASH}={hash},{enrolled}=true -o name \
             | xargs -I% kubectl patch % -n {namespace} -p '{}'",
            gate_removal()
        ),
    ]
}

/// The line that lets one pod through, and no other.
#[must_use]
pub fn release_pod_line(namespace: &str, pod: &str) -> String {
    format!(
        "kubectl patch pod {pod} -n {namespace} -p '{}'",
        gate_removal()
    )
}

/// The strategic merge patch that removes Weir's gate from a pod and leaves others' alone. On a pod
/// without the gate it changes nothing.
#[must_use]
pub fn gate_removal() -> Value {
    json!({ "spec": { "schedulingGates": [{ "$patch": "delete", "name": marks::GATE }] } })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_lines_approve_first_and_then_release_what_is_held() {
        let target = Target {
            namespace: "shop",
            uid: "0b5c",
            hash: "7d9f8c",
        };
        assert_eq!(
            release_lines(&target),
            [
                r#"kubectl patch role weir-approved -n weir-system --type=json -p '[{"op":"add","path":"/rules/-","value":{"apiGroups":["weir.dev"],"resourceNames":["0b5c.7d9f8c"],"resources":["revisions"],"verbs":["run"]}}]'"#,
                r#"kubectl get pods -n shop -l controller-revision-hash=7d9f8c,weir.dev/enrolled=true -o name | xargs -I% kubectl patch % -n shop -p '{"spec":{"schedulingGates":[{"$patch":"delete","name":"weir.dev/gate"}]}}'"#,
            ]
        );
    }

    #[test]
    fn one_pod_can_be_released_alone() {
        assert_eq!(
            release_pod_line("shop", "logs-x7k2p"),
            r#"kubectl patch pod logs-x7k2p -n shop -p '{"spec":{"schedulingGates":[{"$patch":"delete","name":"weir.dev/gate"}]}}'"#
        );
    }
}
