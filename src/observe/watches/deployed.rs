//! Deployment, StatefulSet → the revision that it is at. Another revision is a deployment, whoever made it and
//! whatever it goes back to, and so is a workload that was deleted and made again; another number of pods is none.

use k8s_openapi::{
    api::apps::v1::{Deployment, StatefulSet},
    apimachinery::pkg::apis::meta::v1::ObjectMeta,
};
use kube::core::PartialObjectMeta;
use serde::{Deserialize, de::IgnoredAny};

use super::slim::{Keep, Seen};

/// What the Deployment controller numbers a Deployment's revisions by.
const REVISION: &str = "deployment.kubernetes.io/revision";

/// How Deployments are read: only metadata is asked for.
pub(in crate::observe) struct Deployments;

impl Keep for Deployments {
    type Kind = PartialObjectMeta<Deployment>;
    type Body = IgnoredAny;
    type Key = String;
    type Row = String;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        _: IgnoredAny,
        _: Seen<'_, String>,
    ) -> Result<Option<String>, String> {
        let annotations = meta.annotations.as_ref();
        // Before its controller has looked it has none, and no pod either.
        let revision = annotations.and_then(|has| has.get(REVISION));
        Ok(revision.map(|revision| of_this(meta, revision)))
    }
}

/// How StatefulSets are read.
pub(in crate::observe) struct StatefulSets;

#[derive(Debug, Clone, Deserialize)]
pub(in crate::observe) struct Body {
    #[serde(default)]
    status: Status,
}

#[derive(Debug, Clone, Default, Deserialize)]
#[serde(rename_all = "camelCase")]
struct Status {
    update_revision: Option<String>,
}

impl Keep for StatefulSets {
    type Kind = StatefulSet;
    type Body = Body;
    type Key = String;
    type Row = String;

    fn key(meta: &ObjectMeta) -> String {
        meta.name.clone().unwrap_or_default()
    }

    fn row(
        &self,
        meta: &ObjectMeta,
        body: Body,
        _: Seen<'_, String>,
    ) -> Result<Option<String>, String> {
        let revision = body.status.update_revision;
        Ok(revision.map(|revision| of_this(meta, &revision)))
    }
}

/// A revision of this very object: another that comes to have its name numbers and hashes its own alike.
fn of_this(meta: &ObjectMeta, revision: &str) -> String {
    let uid = meta.uid.as_deref().unwrap_or_default();
    format!("{uid}/{revision}")
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};
    use weir_core::time::Moment;

    use super::*;
    use crate::observe::watches::slim::Slim;

    fn row<K: Keep<Row = String>>(keep: &K, object: &Value) -> Option<String> {
        let object: Slim<K> = serde_json::from_str(&object.to_string()).unwrap();
        let seen = Seen {
            now: Moment::from_millis(0),
            before: None,
        };
        keep.row(&object.meta, object.body.unwrap(), seen).unwrap()
    }

    #[test]
    fn a_deployment_that_is_made_again_is_at_another_revision() {
        let web = |uid: &str, revision: &str| {
            let metadata = json!({
                "name": "web", "uid": uid, "annotations": { REVISION: revision },
            });
            row(&Deployments, &json!({ "metadata": metadata }))
        };
        assert_eq!(web("a", "1"), web("a", "1"));
        assert_ne!(web("a", "1"), web("a", "2"));
        assert_ne!(web("a", "1"), web("b", "1"));
        let unseen = json!({ "metadata": { "name": "web", "uid": "a" } });
        assert_eq!(row(&Deployments, &unseen), None);
    }

    #[test]
    fn a_stateful_set_that_is_made_again_is_at_another_revision() {
        let db = |uid: &str, revision: &str| {
            let metadata = json!({ "name": "db", "uid": uid });
            let status = json!({ "updateRevision": revision });
            let object = json!({ "metadata": metadata, "status": status });
            row(&StatefulSets, &object)
        };
        assert_eq!(db("a", "db-1"), db("a", "db-1"));
        assert_ne!(db("a", "db-1"), db("a", "db-2"));
        assert_ne!(db("a", "db-1"), db("b", "db-1"));
        let unseen = json!({ "metadata": { "name": "db", "uid": "a" } });
        assert_eq!(row(&StatefulSets, &unseen), None);
    }
}
