//! ControllerRevision → which DaemonSet's revision it is, and its number. The template in it, which
//! makes these objects large, is not decoded.

use k8s_openapi::{
    api::apps::v1::ControllerRevision, apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use serde::Deserialize;

use super::slim::{Keep, Seen};
use crate::{
    observe::cluster::{RevisionView, WorkloadKey},
    valve::REVISION_HASH,
};

/// How each ControllerRevision is read.
pub(in crate::observe) struct Revisions;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    revision: i64,
}

/// A revision and whose it is.
#[derive(Debug, Clone, PartialEq)]
pub(in crate::observe) struct OwnedRevision {
    /// The DaemonSet's `metadata.uid`.
    pub(in crate::observe) owner: String,
    pub(in crate::observe) view: RevisionView,
}

impl Keep for Revisions {
    type Kind = ControllerRevision;
    type Body = Body;
    type Key = WorkloadKey;
    type Row = OwnedRevision;

    fn key(meta: &ObjectMeta) -> WorkloadKey {
        WorkloadKey::of(meta)
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Body,
        _: Seen<'_, OwnedRevision>,
    ) -> Result<Option<OwnedRevision>, String> {
        let mut owners = meta.owner_references.iter().flatten();
        let owner = owners.find(|owner| owner.controller == Some(true));
        let Some(owner) = owner.filter(|owner| owner.kind == "DaemonSet") else {
            return Ok(None);
        };
        let labels = meta.labels.as_ref();
        let hash = labels
            .and_then(|labels| labels.get(REVISION_HASH))
            .ok_or("it has no hash label")?;
        let view = RevisionView {
            hash: hash.clone(),
            number: body.revision,
        };
        Ok(Some(OwnedRevision {
            owner: owner.uid.clone(),
            view,
        }))
    }
}
