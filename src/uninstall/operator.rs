//! The operator's end: nobody may make again what is removed.
//!
//! It has ended once its Deployment counts no replica, no pod of it is there (one that is ending still
//! writes), and nobody renews the lease; at two looks in a row.

use std::time::Duration;

use k8s_openapi::api::{
    apps::v1::Deployment, autoscaling::v1::Scale, coordination::v1::Lease, core::v1::Pod,
};
use kube::{
    Api,
    api::{ListParams, Patch},
};
use serde_json::json;

use super::{
    ENDS_WITHIN, Removal, UninstallError,
    steps::{Steps, by_us},
};
use crate::{
    api::{leases, marks},
    client::{chain, is_missing, list_all},
};

/// Between two looks.
const LOOK_EVERY: Duration = Duration::from_secs(2);

/// A Deployment that was scaled to zero.
pub(super) struct Scaled {
    name: String,
    /// The replicas that it had.
    replicas: i32,
}

impl Steps<'_> {
    /// Ends the operator, or makes sure that it has ended.
    pub(super) async fn end_operator(
        &self,
        removal: &mut Removal,
    ) -> Result<Option<Scaled>, UninstallError> {
        let name = self.args.deployment.as_deref().unwrap_or_default();
        if name.is_empty() {
            return self.has_ended().await.map(|()| None);
        }
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let Some(scale) = scale(&api, name).await? else {
            // Gone already, or another's name: whether Weir has ended shows elsewhere.
            return self.has_ended().await.map(|()| None);
        };
        let replicas = scale.spec.and_then(|spec| spec.replicas);
        let scaled = Scaled {
            name: name.to_owned(),
            replicas: replicas.unwrap_or(1),
        };
        self.scale_to(&scaled.name, 0).await.map_err(failed)?;
        tracing::info!(deployment = name, "waiting for the operator to end");
        match self.wait_for_end(&api, name).await {
            Ok(()) => {
                let what = format!("all replicas of Deployment {name}");
                removal.removed.push(what);
                Ok(Some(scaled))
            }
            Err(error) => Err(self.undone(Some(&scaled), error).await),
        }
    }

    /// The error, once the operator runs again as it did.
    pub(super) async fn undone(
        &self,
        scaled: Option<&Scaled>,
        error: UninstallError,
    ) -> UninstallError {
        // One that stood at zero before stays there.
        let Some(Scaled { name, replicas }) = scaled.filter(|scaled| scaled.replicas > 0) else {
            return error;
        };
        let namespace = &self.args.namespace;
        let operator = match self.scale_to(name, *replicas).await {
            Ok(()) => {
                format!("Nothing was removed, and the operator runs again ({replicas} replicas).")
            }
            Err(why) => format!(
                "Nothing was removed, but the operator stands at zero ({}): bring it back with\nkubectl scale \
                 deployment {name} -n {namespace} --replicas={replicas}",
                chain(&why)
            ),
        };
        UninstallError::Undone {
            code: error.code(),
            why: chain(&error),
            operator,
        }
    }

    async fn scale_to(&self, name: &str, replicas: i32) -> Result<(), kube::Error> {
        let api: Api<Deployment> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let patch = json!({ "spec": { "replicas": replicas } });
        let answer = api.patch_scale(name, &by_us(), &Patch::Merge(&patch)).await;
        answer.map(drop)
    }

    async fn wait_for_end(&self, api: &Api<Deployment>, name: &str) -> Result<(), UninstallError> {
        let begun = self.clock.elapsed();
        let mut gone = 0;
        loop {
            let scale = scale(api, name).await?.unwrap_or_default();
            let status = scale.status.unwrap_or_default();
            let selector = status.selector.filter(|labels| !labels.is_empty());
            let pods = self
                .pods(selector.as_deref().unwrap_or(marks::INSTALLED))
                .await?;
            let leader = self.leader().await?;
            let is_gone = status.replicas == 0 && pods == 0 && leader.is_none();
            gone = if is_gone { gone + 1 } else { 0 };
            if gone == 2 {
                return Ok(());
            }
            if self.clock.elapsed().saturating_sub(begun) > ENDS_WITHIN || self.is_over() {
                let held = leader.map(|holder| format!(", and {holder} holds the lease"));
                return Err(UninstallError::Lingers {
                    what: format!("{pods} pods are there{}", held.unwrap_or_default()),
                    namespace: self.args.namespace.clone(),
                });
            }
            tokio::time::sleep(LOOK_EVERY).await;
        }
    }

    /// Refuses where Weir is at work.
    async fn has_ended(&self) -> Result<(), UninstallError> {
        if let Some(holder) = self.leader().await? {
            let who = format!("{holder} holds its lease");
            return Err(UninstallError::AtWork { who });
        }
        match self.pods(marks::INSTALLED).await? {
            0 => Ok(()),
            pods => {
                let namespace = &self.args.namespace;
                let who = format!("{pods} pods of it are in namespace {namespace}");
                Err(UninstallError::AtWork { who })
            }
        }
    }

    /// Who leads, if somebody does.
    async fn leader(&self) -> Result<Option<String>, UninstallError> {
        let api: Api<Lease> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let lease = api.get_opt(&self.args.lease_name).await;
        let lease = lease.map_err(|source| UninstallError::Read {
            what: "Weir's lease",
            source,
        })?;
        let spec = lease.and_then(|lease| lease.spec).unwrap_or_default();
        Ok(leases::leader(&spec, self.clock.now()).map(ToOwned::to_owned))
    }

    /// Pods of the operator that may still write: a Deployment's, and not ended. A Job's are not.
    async fn pods(&self, labels: &str) -> Result<usize, UninstallError> {
        let api: Api<Pod> = Api::namespaced(self.client.clone(), &self.args.namespace);
        let found = list_all(&api, ListParams::default().labels(labels)).await;
        let found = found.map_err(|source| UninstallError::Read {
            what: "the operator's pods",
            source,
        })?;
        Ok(found.iter().filter(|pod| may_write(pod)).count())
    }
}

fn may_write(pod: &Pod) -> bool {
    let mut owners = pod.metadata.owner_references.iter().flatten();
    let of_deployment = owners.any(|owner| owner.kind == "ReplicaSet");
    let phase = pod
        .status
        .as_ref()
        .and_then(|status| status.phase.as_deref());
    of_deployment && !matches!(phase, Some("Succeeded" | "Failed"))
}

async fn scale(api: &Api<Deployment>, name: &str) -> Result<Option<Scale>, UninstallError> {
    match api.get_scale(name).await {
        Ok(scale) => Ok(Some(scale)),
        Err(error) if is_missing(&error) => Ok(None),
        Err(source) => Err(failed(source)),
    }
}

fn failed(source: kube::Error) -> UninstallError {
    UninstallError::Read {
        what: "the scale of the operator's Deployment",
        source,
    }
}
