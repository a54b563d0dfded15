//! Gated pods of a revision, or of all, and their release without the operator: for the plugin and the
//! end of an installation. What the operator lets through goes by its plans instead.

use std::{pin::pin, time::Duration};

use futures::{StreamExt, stream};
use k8s_openapi::api::core::v1::Pod;
use kube::{
    Api, Client,
    api::{ListParams, Patch, PatchParams},
};

use weir_core::time::Moment;

use super::{REVISION_HASH, release::gate_removal, revision_key};
use crate::{
    api::{marks, times::moment},
    client::{is_missing, list_all},
};

/// Releases under way at once.
const AT_ONCE: usize = 8;

/// A pod that Weir's gate holds.
#[derive(Debug, Clone, PartialEq, Eq, PartialOrd, Ord)]
pub struct Gated {
    /// Its namespace.
    pub namespace: String,
    /// Its name.
    pub name: String,
    /// The key of its revision, if its owner is known.
    pub revision: Option<String>,
    /// When it was created, and gated by that.
    pub since: Option<Moment>,
}

/// Which gated pods are meant.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Which<'a> {
    /// Those of one revision.
    Revision {
        /// The workload's namespace.
        namespace: &'a str,
        /// The workload's UID.
        uid: &'a str,
        /// The revision's hash.
        hash: &'a str,
    },
    /// All of them.
    All,
}

/// What became of gates that were to be removed.
#[derive(Debug, Default)]
pub struct Removed {
    /// Pods whose gate is gone.
    pub released: u32,
    /// Pods whose gate stays, each with why.
    pub refused: Vec<(Gated, kube::Error)>,
    /// Pods that were not tried any more, since all that were tried at first failed.
    pub untried: usize,
}

impl Removed {
    /// Pods whose gate stays.
    #[must_use]
    pub fn left(&self) -> usize {
        self.refused.len() + self.untried
    }
}

/// The gated pods that are meant, in order. What is placed on a node has no gate, so that the API server
/// sends no others.
pub async fn gated(client: &Client, which: Which<'_>) -> Result<Vec<Gated>, kube::Error> {
    let enrolled = marks::ENROLLED;
    let (api, labels): (Api<Pod>, String) = match which {
        Which::Revision {
            namespace, hash, ..
        } => (
            Api::namespaced(client.clone(), namespace),
            format!("{enrolled}=true,{REVISION_HASH}={hash}"),
        ),
        Which::All => (Api::all(client.clone()), format!("{enrolled}=true")),
    };
    let params = ListParams::default()
        .labels(&labels)
        .fields("spec.nodeName=");
    let pods = list_all(&api, params).await?;
    let gated = pods.iter().filter_map(held);
    let mut found: Vec<Gated> = gated.filter(|pod| is_meant(pod, which)).collect();
    found.sort();
    Ok(found)
}

/// The pod, if Weir's gate holds it and it is to stay.
fn held(pod: &Pod) -> Option<Gated> {
    let meta = &pod.metadata;
    let gates = pod.spec.as_ref()?.scheduling_gates.as_ref()?;
    let is_gated = gates.iter().any(|gate| gate.name == marks::GATE);
    let mut owners = meta.owner_references.iter().flatten();
    let owner = owners.find(|owner| owner.controller == Some(true));
    let hash = meta
        .labels
        .as_ref()
        .and_then(|labels| labels.get(REVISION_HASH));
    (is_gated && meta.deletion_timestamp.is_none()).then(|| Gated {
        namespace: meta.namespace.clone().unwrap_or_default(),
        name: meta.name.clone().unwrap_or_default(),
        revision: owner
            .zip(hash)
            .map(|(owner, hash)| revision_key(&owner.uid, hash)),
        since: meta.creation_timestamp.as_ref().map(|time| moment(time.0)),
    })
}

/// Another workload may have a revision of the same hash.
fn is_meant(pod: &Gated, which: Which<'_>) -> bool {
    match which {
        Which::All => true,
        Which::Revision { uid, hash, .. } => {
            pod.revision.as_deref() == Some(revision_key(uid, hash).as_str())
        }
    }
}

/// Removes the gate of these pods, so many a second at most; others' gates stay. One that is gone needs
/// no release. Where as many as are under way at once failed, and none went through, the rest are left: a
/// missing right, or an API server that hangs, would cost seconds for each.
pub async fn remove(
    client: &Client,
    pods: Vec<Gated>,
    per_second: u32,
    params: &PatchParams,
) -> Removed {
    let number = pods.len();
    let patch = Patch::Strategic(gate_removal());
    let step = Duration::from_secs(1) / per_second.max(1);
    let paced = stream::iter(pods.into_iter().enumerate()).then(|(number, pod)| async move {
        if number > 0 {
            tokio::time::sleep(step).await;
        }
        pod
    });
    let fates = paced
        .map(|pod| {
            let api: Api<Pod> = Api::namespaced(client.clone(), &pod.namespace);
            let patch = &patch;
            async move {
                // Only the metadata comes back: nobody reads the rest.
                let answer = api.patch_metadata(&pod.name, params, patch).await;
                (pod, answer.map(drop))
            }
        })
        .buffered(AT_ONCE);
    let mut fates = pin!(fates);
    let mut removed = Removed::default();
    while let Some((pod, fate)) = fates.next().await {
        match fate {
            Ok(()) => removed.released += 1,
            Err(error) if is_missing(&error) => removed.released += 1,
            Err(error) => removed.refused.push((pod, error)),
        }
        if removed.released == 0 && removed.refused.len() >= AT_ONCE {
            break;
        }
    }
    removed.untried = number - removed.released as usize - removed.refused.len();
    removed
}

#[cfg(test)]
mod tests {
    use serde_json::{Value, json};

    use super::*;
    use crate::client::fake::{Answer, Server};

    fn pod(name: &str, uid: &str, gates: &[&str]) -> Value {
        let gates: Vec<_> = gates.iter().map(|name| json!({ "name": name })).collect();
        json!({
            "metadata": {
                "namespace": "shop", "name": name, "labels": { REVISION_HASH: "7d9f" },
                "ownerReferences": [{
                    "apiVersion": "apps/v1", "kind": "DaemonSet", "name": "logs", "uid": uid,
                    "controller": true,
                }],
            },
            "spec": { "containers": [], "schedulingGates": gates },
        })
    }

    fn list(pods: &[Value]) -> Answer {
        Answer::whole(200, json!({ "metadata": {}, "items": pods }).to_string())
    }

    const OF_LOGS: Which<'_> = Which::Revision {
        namespace: "shop",
        uid: "u",
        hash: "7d9f",
    };

    #[tokio::test]
    async fn only_the_gated_pods_of_that_revision_are_meant() {
        let pods = [
            pod("b", "u", &["other.io/gate", marks::GATE]),
            pod("a", "u", &[marks::GATE]),
            pod("others", "u", &["other.io/gate"]),
            pod("free", "u", &[]),
            pod("of-another-workload", "v", &[marks::GATE]),
        ];
        let server = Server::that([list(&pods), list(&pods)]);
        let names = |pods: Vec<Gated>| pods.into_iter().map(|pod| pod.name).collect::<Vec<_>>();
        let found = gated(&server.client(), OF_LOGS).await.unwrap();
        assert_eq!(names(found), ["a", "b"]);
        assert_eq!(
            server.asked(),
            [
                "GET /api/v1/namespaces/shop/pods?&fieldSelector=spec.nodeName%3D\
              &labelSelector=weir.dev%2Fenrolled%3Dtrue%2Ccontroller-revision-hash%3D7d9f&limit=500"
            ]
        );
        let found = gated(&server.client(), Which::All).await.unwrap();
        assert_eq!(names(found), ["a", "b", "of-another-workload"]);
    }

    #[tokio::test(start_paused = true)]
    async fn gates_are_removed_at_the_pace_and_what_is_refused_is_told() {
        let meta = json!({ "metadata": { "name": "a" } }).to_string();
        let refusal = |code: u16| {
            let status =
                json!({ "kind": "Status", "status": "Failure", "message": "no", "code": code });
            Answer::whole(code, status.to_string())
        };
        let server = Server::that([Answer::whole(200, meta), refusal(404), refusal(403)]);
        let pods = ["a", "b", "c"].map(|name| Gated {
            namespace: "shop".to_owned(),
            name: name.to_owned(),
            revision: None,
            since: None,
        });
        let begun = tokio::time::Instant::now();
        let removed = remove(&server.client(), pods.to_vec(), 2, &PatchParams::default()).await;
        assert_eq!(begun.elapsed(), Duration::from_secs(1));
        assert_eq!((removed.released, removed.refused.len()), (2, 1));
        assert_eq!(removed.refused[0].0.name, "c");
        assert_eq!(server.said()[0], gate_removal().to_string());
    }

    #[tokio::test(start_paused = true)]
    async fn what_all_fails_at_first_is_not_tried_a_thousand_times() {
        let refusal =
            json!({ "kind": "Status", "status": "Failure", "message": "no", "code": 403 });
        let refusals = (0..100).map(|_| Answer::whole(403, refusal.to_string()));
        let server = Server::that(refusals);
        let pod = |number: usize| Gated {
            namespace: "shop".to_owned(),
            name: format!("logs-{number}"),
            revision: None,
            since: None,
        };
        let pods: Vec<Gated> = (0..100).map(pod).collect();
        let removed = remove(&server.client(), pods, 100, &PatchParams::default()).await;
        assert_eq!((removed.released, removed.left()), (0, 100));
        assert!(server.asked().len() <= 2 * AT_ONCE, "{:?}", server.asked());
    }
}
