//! Everything that checks look at, in the parts in which it is asked for.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        admissionregistration::v1::{
            MutatingAdmissionPolicy, MutatingAdmissionPolicyBinding, ValidatingAdmissionPolicy,
            ValidatingAdmissionPolicyBinding,
        },
        apps::v1::DaemonSet,
        coordination::v1::Lease,
        core::v1::{Namespace, ServiceAccount},
        flowcontrol::v1::FlowSchema,
        rbac::v1::{ClusterRole, ClusterRoleBinding, Role, RoleBinding},
    },
    apiextensions_apiserver::pkg::apis::apiextensions::v1::CustomResourceDefinition,
    apimachinery::pkg::version::Info,
};
use weir_core::time::Moment;

use super::manifest::ACCOUNT;
use crate::{
    api::{ControlPlane, GuardedRollout, RolloutPolicy},
    valve::{gates::Gated, remote},
};

/// What was answered, or why it is not known.
pub(super) type Fact<T> = Result<T, String>;

/// What may be asked for by itself: a check that is run alone must not list the whole cluster.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Part {
    /// What the cluster is.
    Cluster,
    /// What an installation is made of.
    Shipped,
    /// What Weir's account may do.
    Rights,
    /// Whether Weir is at work, and what it says of itself.
    State,
    /// Whether pods come back gated, and what is approved.
    Gate,
    /// Rollouts, policies and gated pods.
    Rollouts,
    /// Who is enrolled, and what accounts may do.
    Enrolled,
    /// The cluster's DNS.
    Dns,
}

/// Everything that checks look at. What was not asked for is not known.
pub(super) struct Facts {
    pub(super) now: Moment,
    /// The ServiceAccount that Weir runs as.
    pub(super) account: String,
    pub(super) cluster: Cluster,
    pub(super) shipped: Shipped,
    pub(super) running: Running,
    pub(super) enrolled: Enrolled,
    /// What of each right Weir's account lacks.
    pub(super) lacks: Vec<Fact<Vec<String>>>,
    pub(super) dns: Fact<Vec<NameServer>>,
}

/// A server of the cluster's DNS, as its Service knows it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct NameServer {
    /// Its pod, or its address if it is none.
    pub(super) name: String,
    /// Whether the Service sends anybody there.
    pub(super) ready: bool,
    /// What it answered through the API server, where it was asked.
    pub(super) answer: Option<Fact<()>>,
}

/// What the cluster is.
pub(super) struct Cluster {
    pub(super) version: Fact<Info>,
    /// Whether the gate policy would be taken.
    pub(super) takes_policy: Fact<()>,
    /// What the caller may create, of what an installation needs.
    pub(super) may_install: BTreeMap<&'static str, Fact<bool>>,
    /// Whether the account that the gate asks about may do everything.
    pub(super) approves_all: Fact<bool>,
    pub(super) addresses: Fact<usize>,
    pub(super) identities: Fact<usize>,
    pub(super) flow_schemas: Fact<Vec<FlowSchema>>,
}

/// What an installation is made of.
pub(super) struct Shipped {
    pub(super) kinds: BTreeMap<String, Fact<Option<CustomResourceDefinition>>>,
    pub(super) namespace: Fact<Option<Namespace>>,
    pub(super) check_namespace: Fact<Option<Namespace>>,
    pub(super) account: Fact<Option<ServiceAccount>>,
    pub(super) confining: Fact<Vec<ValidatingAdmissionPolicy>>,
    pub(super) confining_bindings: Fact<Vec<ValidatingAdmissionPolicyBinding>>,
    pub(super) gate_policy: Fact<Option<MutatingAdmissionPolicy>>,
    pub(super) gate_bindings: Vec<Fact<Option<MutatingAdmissionPolicyBinding>>>,
    pub(super) role_binding: Fact<Option<RoleBinding>>,
}

/// What there is only once Weir runs.
pub(super) struct Running {
    pub(super) gate: Fact<remote::Gate>,
    pub(super) role: Fact<Option<Role>>,
    pub(super) lease: Fact<Option<Lease>>,
    pub(super) control_plane: Fact<Option<ControlPlane>>,
    pub(super) policies: Fact<Vec<RolloutPolicy>>,
    pub(super) rollouts: Fact<Vec<GuardedRollout>>,
    pub(super) gated: Fact<Vec<Gated>>,
}

/// Who may be enrolled, and what accounts may do.
pub(super) struct Enrolled {
    pub(super) namespaces: Fact<Vec<Namespace>>,
    pub(super) daemon_sets: Fact<Vec<DaemonSet>>,
    pub(super) cluster_bindings: Fact<Vec<ClusterRoleBinding>>,
    pub(super) cluster_roles: Fact<Vec<ClusterRole>>,
}

/// What was not asked for.
fn unasked<T>() -> Fact<T> {
    Err("it was not asked for".to_owned())
}

impl Facts {
    /// Nothing is known.
    pub(super) fn none(now: Moment) -> Self {
        Self {
            now,
            account: ACCOUNT.to_owned(),
            cluster: Cluster::none(),
            shipped: Shipped::none(),
            running: Running::none(),
            enrolled: Enrolled::none(),
            lacks: Vec::new(),
            dns: unasked(),
        }
    }
}

impl Cluster {
    fn none() -> Self {
        Self {
            version: unasked(),
            takes_policy: unasked(),
            may_install: BTreeMap::new(),
            approves_all: unasked(),
            addresses: unasked(),
            identities: unasked(),
            flow_schemas: unasked(),
        }
    }
}

impl Shipped {
    fn none() -> Self {
        Self {
            kinds: BTreeMap::new(),
            namespace: unasked(),
            check_namespace: unasked(),
            account: unasked(),
            confining: unasked(),
            confining_bindings: unasked(),
            gate_policy: unasked(),
            gate_bindings: Vec::new(),
            role_binding: unasked(),
        }
    }
}

impl Running {
    fn none() -> Self {
        Self {
            gate: unasked(),
            role: unasked(),
            lease: unasked(),
            control_plane: unasked(),
            policies: unasked(),
            rollouts: unasked(),
            gated: unasked(),
        }
    }
}

impl Enrolled {
    fn none() -> Self {
        Self {
            namespaces: unasked(),
            daemon_sets: unasked(),
            cluster_bindings: unasked(),
            cluster_roles: unasked(),
        }
    }
}
