//! The valve: the gate that holds pods of unapproved revisions, and the list of approved ones.
//!
//! Turns labels into enrolment, and what runs into [`Approvals`]: the rights of an account that API
//! servers look up at each pod creation. Only [`remote`] and [`gates`] talk to an API server; the rest is pure.
//! Nothing here removes a gate or decides when to: that is a plan's business.
//!
//! ```text
//!  namespace and template labels ──▶ enrolment ──▶ Enforce ──▶ gate policy (in the API server)
//!                                                                 │ asks the authorizer
//!  what runs, ControllerRevisions ──▶ adopt ──▶ Approvals ──▶ Role ┘
//! ```
//!
//! - [`mod@enrolment`]: how far Weir goes with a workload.
//! - [`mod@node_critical`]: workloads that nodes depend on; the one table for Rust and CEL.
//! - [`gate`]: the admission policy and its bindings, generated into `deploy/`.
//! - [`mod@approvals`]: approvals as the rules of a Role, and back.
//! - [`adopt`]: which revisions are approved, rebuilt from what runs.
//! - [`remote`]: writing the Role, and checking that the gate is in force.
//! - [`gates`]: gated pods, and their release without the operator.
//! - [`release`]: the plain kubectl lines that do Weir's work without Weir.

pub mod adopt;
mod approvals;
pub mod enrolment;
pub mod gate;
pub mod gates;
mod node_critical;
pub mod release;
pub mod remote;

pub use approvals::{Approvals, ROLE, Standing};
pub use enrolment::{Enrolment, Membership, enrolment};
pub use node_critical::node_critical;

/// Weir's own namespace, where it is installed unless told otherwise.
pub const NAMESPACE: &str = "weir-system";

/// The namespace in which Weir asks, by dry run only, whether the gate is in force.
pub const CHECK_NAMESPACE: &str = "weir-check";

/// Namespaces whose pods are never gated: what a recovering cluster needs first, and Weir itself.
pub const NEVER_GATED: [&str; 3] = ["kube-system", "kube-node-lease", NAMESPACE];

/// The label by which the DaemonSet controller tells a pod's revision.
pub const REVISION_HASH: &str = "controller-revision-hash";

/// The key of a revision in the list of approved ones, and the value of the pods' annotation.
///
/// ```
/// assert_eq!(weir::valve::revision_key("0b5c", "7d9f8c"), "0b5c.7d9f8c");
/// ```
#[must_use]
pub fn revision_key(uid: &str, hash: &str) -> String {
    format!("{uid}.{hash}")
}
