//! What the valve asks of an API server: writing the parameter object, and whether the gate is in
//! force.
//!
//! Writes are merge patches that name only what changes. An approval made by hand at the same
//! moment, or a key that Weir has not seen yet, is therefore never overwritten; server-side apply
//! could do neither that nor remove a key that someone else had set.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::core::v1::{Capabilities, Container, Pod, PodSpec, SeccompProfile, SecurityContext},
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value, json};

use super::{CHECK_NAMESPACE, REVISION_HASH};
use crate::api::{MANAGER, SINGLETON, Valve, ValveSpec, marks};

/// The UID of the owner that the check's pods claim: no object has it, and nobody can approve it
/// by accident.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// What can go wrong between the valve and an API server.
#[derive(Debug, thiserror::Error)]
pub enum ValveError {
    /// The parameter object could not be written.
    #[error("could not write the Valve `{SINGLETON}`")]
    Write(#[source] kube::Error),
    /// A revision could not be approved.
    #[error("could not approve revision {key} in the Valve `{SINGLETON}`")]
    Approve {
        /// The revision's key.
        key: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// The dry run that shows whether the gate is in force was not answered with a pod.
    #[error("could not ask for a pod in {CHECK_NAMESPACE}, by dry run, to see whether it is gated")]
    Check(#[source] kube::Error),
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was to be written, and nothing was.
    Unchanged,
    /// The object was there and has been changed.
    Changed,
    /// The object was not there and has been created.
    Created,
}

/// Whether pods of unapproved revisions come back gated from the API server that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They do.
    InForce,
    /// They do not: the policy, a binding or the parameters are missing or not yet known there.
    Open {
        /// Pods of enrolled namespaces come back gated.
        namespaces: bool,
        /// Pods of enrolled templates come back gated.
        templates: bool,
    },
}

/// Makes the parameter object say what `desired` says, given what it says now.
pub async fn write(
    client: &Client,
    current: Option<&ValveSpec>,
    desired: &ValveSpec,
) -> Result<Effect, ValveError> {
    let valves: Api<Valve> = Api::all(client.clone());
    match current {
        None if *desired == ValveSpec::default() => Ok(Effect::Unchanged),
        None => {
            let valve = Valve::new(SINGLETON, desired.clone());
            let created = valves.create(&post(false), &valve).await;
            created.map_err(ValveError::Write)?;
            Ok(Effect::Created)
        }
        Some(current) => {
            let Some(difference) = difference(current, desired) else {
                return Ok(Effect::Unchanged);
            };
            let patched = valves
                .patch(SINGLETON, &by_weir(), &Patch::Merge(difference))
                .await;
            patched.map_err(ValveError::Write)?;
            Ok(Effect::Changed)
        }
    }
}

/// Approves one revision: its pods are born ungated from then on.
pub async fn approve(client: &Client, key: &str, note: &str) -> Result<(), ValveError> {
    let valves: Api<Valve> = Api::all(client.clone());
    let patch = json!({ "spec": { "approved": { key: note } } });
    let patched = valves
        .patch(SINGLETON, &by_weir(), &Patch::Merge(patch))
        .await;
    patched.map(|_| ()).map_err(|source| ValveError::Approve {
        key: key.to_owned(),
        source: Box::new(source),
    })
}

/// Asks, by dry run, whether pods of an unapproved revision come back gated, once as a member of an
/// enrolled namespace and once by a template's own label. Nothing is created.
///
/// It speaks for the API server that answers. It says `Open` as long as nothing is adopted.
pub async fn check_active(client: &Client) -> Result<Gate, ValveError> {
    let namespaces = comes_back_gated(client, None).await?;
    let templates = comes_back_gated(client, Some("enforce")).await?;
    Ok(if namespaces && templates {
        Gate::InForce
    } else {
        Gate::Open {
            namespaces,
            templates,
        }
    })
}

async fn comes_back_gated(client: &Client, label: Option<&str>) -> Result<bool, ValveError> {
    let pods: Api<Pod> = Api::namespaced(client.clone(), CHECK_NAMESPACE);
    let asked = check_pod(label);
    let pod = pods
        .create(&post(true), &asked)
        .await
        .map_err(ValveError::Check)?;
    let gates = pod.spec.and_then(|spec| spec.scheduling_gates);
    Ok(gates
        .into_iter()
        .flatten()
        .any(|gate| gate.name == marks::GATE))
}

/// A pod as a DaemonSet controller would make it, of a revision that cannot exist. It keeps to the
/// `restricted` Pod Security Standard, so that no cluster-wide default refuses it.
fn check_pod(label: Option<&str>) -> Pod {
    let mut labels = BTreeMap::from([(REVISION_HASH.to_owned(), "check".to_owned())]);
    labels.extend(label.map(|mode| (marks::GUARD.to_owned(), mode.to_owned())));
    Pod {
        metadata: ObjectMeta {
            name: Some("check".to_owned()),
            labels: Some(labels),
            owner_references: Some(vec![OwnerReference {
                api_version: "apps/v1".to_owned(),
                kind: "DaemonSet".to_owned(),
                name: "nobody".to_owned(),
                uid: NOBODY.to_owned(),
                controller: Some(true),
                block_owner_deletion: None,
            }]),
            ..ObjectMeta::default()
        },
        spec: Some(PodSpec {
            automount_service_account_token: Some(false),
            containers: vec![Container {
                name: "check".to_owned(),
                image: Some("none.invalid/check".to_owned()),
                security_context: Some(restricted()),
                ..Container::default()
            }],
            ..PodSpec::default()
        }),
        status: None,
    }
}

fn restricted() -> SecurityContext {
    SecurityContext {
        allow_privilege_escalation: Some(false),
        capabilities: Some(Capabilities {
            drop: Some(vec!["ALL".to_owned()]),
            add: None,
        }),
        run_as_non_root: Some(true),
        seccomp_profile: Some(SeccompProfile {
            type_: "RuntimeDefault".to_owned(),
            localhost_profile: None,
        }),
        ..SecurityContext::default()
    }
}

/// The merge patch that turns one spec into the other; `None` if they are the same.
fn difference(current: &ValveSpec, desired: &ValveSpec) -> Option<Value> {
    let mut spec = Map::new();
    if current.adopted != desired.adopted {
        spec.insert("adopted".to_owned(), desired.adopted.into());
    }
    let gone = current.approved.keys();
    let gone = gone.filter(|key| !desired.approved.contains_key(*key));
    let mut approved: Map<_, _> = gone.map(|key| (key.clone(), Value::Null)).collect();
    let set = desired.approved.iter();
    let set = set.filter(|(key, note)| current.approved.get(*key) != Some(*note));
    approved.extend(set.map(|(key, note)| (key.clone(), note.as_str().into())));
    if !approved.is_empty() {
        spec.insert("approved".to_owned(), approved.into());
    }
    (!spec.is_empty()).then(|| json!({ "spec": spec }))
}

fn post(dry_run: bool) -> PostParams {
    PostParams {
        dry_run,
        field_manager: Some(MANAGER.to_owned()),
    }
}

fn by_weir() -> PatchParams {
    PatchParams {
        field_manager: Some(MANAGER.to_owned()),
        ..PatchParams::default()
    }
}

#[cfg(test)]
mod tests;
