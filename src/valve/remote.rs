//! What the valve asks of an API server: writing the Role of the approvals, and whether the gate is
//! in force.
//!
//! API servers know no keys among a Role's rules: whoever changes one writes them all. So each write
//! names the version that it was made from, and one that comes too late is refused: an approval made
//! by hand at the same moment is never overwritten.

use std::collections::BTreeMap;

use k8s_openapi::{
    api::{
        core::v1::{Capabilities, Container, Pod, PodSpec, SeccompProfile, SecurityContext},
        rbac::v1::Role,
    },
    apimachinery::pkg::apis::meta::v1::OwnerReference,
};
use kube::{
    Api, Client,
    api::{ObjectMeta, Patch, PatchParams, PostParams},
};
use serde_json::{Map, Value, json};

use super::{Approvals, CHECK_NAMESPACE, NAMESPACE, REVISION_HASH, ROLE, Standing};
use crate::api::{MANAGER, marks};

/// The UID of the owner that the check's pods claim: no object has it, and nobody can approve it
/// by accident.
const NOBODY: &str = "00000000-0000-0000-0000-000000000000";

/// How often an approval is tried while others write the Role.
const ATTEMPTS: u32 = 4;

/// What can go wrong between the valve and an API server.
#[derive(Debug, thiserror::Error)]
pub enum ValveError {
    /// The Role could not be written.
    #[error("could not write the Role `{ROLE}` in {NAMESPACE}")]
    Write(#[source] kube::Error),
    /// A revision could not be approved.
    #[error("could not approve revision {key} in the Role `{ROLE}` in {NAMESPACE}")]
    Approve {
        /// The revision's key.
        key: String,
        /// Why.
        source: Box<kube::Error>,
    },
    /// A revision was not approved, since the Role has to be put in order first.
    #[error("the Role `{ROLE}` in {NAMESPACE} approves every revision; it is put in order first")]
    Lost,
    /// The dry run that shows whether the gate is in force was not answered with a pod.
    #[error("could not ask for a pod in {CHECK_NAMESPACE}, by dry run, to see whether it is gated")]
    Check(#[source] kube::Error),
}

/// What a write did.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Effect {
    /// Nothing was to be written, and nothing was.
    Unchanged,
    /// The Role was there and has been changed.
    Changed,
    /// The Role was not there and has been created.
    Created,
    /// Somebody else has written it meanwhile: nothing was written, and it is to be looked at again.
    Overtaken,
}

/// Whether pods of unapproved revisions come back gated from the API server that was asked.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Gate {
    /// They do.
    InForce,
    /// They do not: the policy, a binding or the Role is missing or not yet known there, or
    /// the account that the policy asks about may do everything.
    Open {
        /// Pods of enrolled namespaces come back gated.
        namespaces: bool,
        /// Pods of enrolled templates come back gated.
        templates: bool,
    },
}

/// Makes the Role say what `desired` says, given how it was last seen.
pub async fn write(
    client: &Client,
    current: Option<&Standing>,
    desired: &Approvals,
) -> Result<Effect, ValveError> {
    let roles: Api<Role> = Api::namespaced(client.clone(), NAMESPACE);
    let (request, done) = match current {
        None if *desired == Approvals::default() => return Ok(Effect::Unchanged),
        None => {
            let created = roles.create(&post(false), &role(desired)).await;
            (created.map(drop), Effect::Created)
        }
        Some(current) if current.tidy && current.says == *desired => {
            return Ok(Effect::Unchanged);
        }
        Some(current) => {
            let patch = Patch::Merge(difference(current, desired));
            // Only the metadata comes back: nobody reads the rest.
            let patched = roles.patch_metadata(ROLE, &by_weir(), &patch).await;
            (patched.map(drop), Effect::Changed)
        }
    };
    match request {
        Ok(()) => Ok(done),
        Err(error) if is_conflict(&error) => Ok(Effect::Overtaken),
        Err(error) => Err(ValveError::Write(error)),
    }
}

/// Approves one revision: its pods are born ungated from then on.
pub async fn approve(client: &Client, key: &str, note: &str) -> Result<(), ValveError> {
    approve_as(client, key, note, &by_weir()).await.map(drop)
}

/// The same, in the name and by the way that `params` say. Gives back the note of an approval that was there
/// before.
pub async fn approve_as(
    client: &Client,
    key: &str,
    note: &str,
    params: &PatchParams,
) -> Result<Option<String>, ValveError> {
    let roles: Api<Role> = Api::namespaced(client.clone(), NAMESPACE);
    let failed = |source| ValveError::Approve {
        key: key.to_owned(),
        source: Box::new(source),
    };
    let mut attempts = 1;
    loop {
        let role = roles.get(ROLE).await.map_err(failed)?;
        let current = Standing::read(&role.metadata, role.rules.as_deref().unwrap_or_default());
        if current.approves_all {
            return Err(ValveError::Lost);
        }
        let mut desired = current.says.clone();
        let before = desired.approved.insert(key.to_owned(), note.to_owned());
        let patch = Patch::Merge(difference(&current, &desired));
        match roles.patch_metadata(ROLE, params, &patch).await {
            Err(error) if is_conflict(&error) && attempts < ATTEMPTS => attempts += 1,
            result => return result.map(|_| before).map_err(failed),
        }
    }
}

/// Whether the object has changed since it was read, or came to be.
fn is_conflict(error: &kube::Error) -> bool {
    matches!(error, kube::Error::Api(status) if status.code == 409)
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

/// The Role that says this.
fn role(approvals: &Approvals) -> Role {
    let label = ("app.kubernetes.io/name".to_owned(), "weir".to_owned());
    Role {
        metadata: ObjectMeta {
            name: Some(ROLE.to_owned()),
            labels: Some(BTreeMap::from([label])),
            annotations: Some(approvals.notes()),
            ..ObjectMeta::default()
        },
        rules: Some(approvals.rules()),
    }
}

/// The merge patch that makes the Role say this, if it still is of the version that was seen. Labels
/// and annotations of others are left alone.
fn difference(current: &Standing, desired: &Approvals) -> Value {
    let notes = desired.notes();
    let gone = current.notes.keys().filter(|key| !notes.contains_key(*key));
    let mut annotations: Map<_, _> = gone.map(|key| (key.clone(), Value::Null)).collect();
    let new = notes
        .iter()
        .filter(|(key, note)| current.notes.get(*key) != Some(*note));
    annotations.extend(new.map(|(key, note)| (key.clone(), note.as_str().into())));
    let mut metadata = Map::from_iter([(
        "resourceVersion".to_owned(),
        current.version.as_str().into(),
    )]);
    if !annotations.is_empty() {
        metadata.insert("annotations".to_owned(), annotations.into());
    }
    json!({ "metadata": metadata, "rules": desired.rules() })
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
