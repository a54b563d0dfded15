//! Node → [`NodeView`]. Images, capacities and most labels, nearly all of a node, are not kept.

use std::{
    collections::{BTreeMap, BTreeSet},
    sync::{Arc, Mutex, MutexGuard, PoisonError},
};

use k8s_openapi::{
    api::core::v1::Node,
    apimachinery::pkg::apis::meta::v1::{ObjectMeta, Time},
};
use serde::Deserialize;

use super::slim::{Keep, Seen};
use crate::{api::times::moment, observe::cluster::NodeView};

/// How Nodes are read.
#[derive(Default)]
pub(in crate::observe) struct Nodes {
    /// The labels that are kept, shared by all rows.
    labels: Mutex<BTreeSet<Arc<str>>>,
}

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
struct Status {
    conditions: Option<Vec<Condition>>,
}

/// One condition of a node.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Condition {
    r#type: String,
    status: String,
    last_transition_time: Option<Time>,
}

impl Nodes {
    /// Keeps these labels of the nodes that are read from now on.
    pub(in crate::observe) fn keep_labels(&self, labels: &BTreeSet<String>) {
        *self.labels() = labels.iter().map(|label| label.as_str().into()).collect();
    }

    fn labels(&self) -> MutexGuard<'_, BTreeSet<Arc<str>>> {
        self.labels.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl Keep for Nodes {
    type Kind = Node;
    type Body = Body;
    type Key = String;
    type Row = NodeView;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Body,
        _: Seen<'_, NodeView>,
    ) -> Result<Option<NodeView>, String> {
        let joined = meta
            .creation_timestamp
            .as_ref()
            .ok_or("it has no creation time")?;
        let has = meta.labels.as_ref();
        let labels: BTreeMap<_, _> = self
            .labels()
            .iter()
            .filter_map(|label| Some((Arc::clone(label), has?.get(&**label)?.as_str().into())))
            .collect();
        let mut conditions = body.status.conditions.iter().flatten();
        let ready = conditions.find(|condition| condition.r#type == "Ready");
        let turned = ready.and_then(|ready| ready.last_transition_time.as_ref());
        Ok(Some(NodeView {
            ready: ready.is_some_and(|ready| ready.status == "True"),
            turned: moment(turned.unwrap_or(joined).0),
            joined: moment(joined.0),
            labels,
        }))
    }
}

#[cfg(test)]
mod tests;
