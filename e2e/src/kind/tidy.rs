//! Undoes what a case has done, whether it passed or not, so that the next finds the cluster as it was.

use anyhow::Result;
use k8s_openapi::api::core::v1::Namespace;
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use weir::api::RolloutPolicy;

use super::Cluster;
use crate::experiment::{needs, setup};
use crate::stage::eventually;

/// The policy that applies to everything, and stays.
const QUICK: &str = "quick";

impl Cluster {
    /// Removes the namespaces, rights, policies and nodes of the cases before, starts what they stopped,
    /// and waits until all is as it was.
    ///
    /// # Errors
    /// Something does not go, or does not come back.
    pub async fn tidy(&self) -> Result<()> {
        self.api_server_answers().await?;
        self.remove_namespaces().await?;
        self.remove_policies().await?;
        self.remove_fake_nodes().await?;
        if self.is_installed().await? {
            self.start_weir().await?;
        }
        Ok(())
    }

    async fn remove_namespaces(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let ours = ListParams::default().labels("stage");
        let found = namespaces.list_metadata(&ours).await?.items.into_iter();
        let mut names: Vec<_> = found.filter_map(|found| found.metadata.name).collect();
        for name in &names {
            let granted = format!("{name}-{}", setup::ACCOUNT);
            let roles: Api<ClusterRole> = Api::all(self.client());
            gone(roles.delete(&granted, &DeleteParams::default()).await)?;
            let bindings: Api<ClusterRoleBinding> = Api::all(self.client());
            gone(bindings.delete(&granted, &DeleteParams::default()).await)?;
        }
        names.push(needs::NAMESPACE.to_owned());
        for name in &names {
            gone(namespaces.delete(name, &DeleteParams::default()).await)?;
        }
        eventually("the namespaces of the last case are gone", async || {
            for name in &names {
                if namespaces.get_opt(name).await?.is_some() {
                    return Ok(false);
                }
            }
            Ok(true)
        })
        .await
    }

    async fn remove_policies(&self) -> Result<()> {
        let policies: Api<RolloutPolicy> = Api::all(self.client());
        let found = match policies.list_metadata(&ListParams::default()).await {
            Ok(found) => found.items,
            // There is no such kind before Weir is installed, and after it is removed.
            Err(kube::Error::Api(status)) if status.code == 404 => return Ok(()),
            Err(error) => return Err(error.into()),
        };
        let names = found.into_iter().filter_map(|found| found.metadata.name);
        for name in names.filter(|name| name != QUICK) {
            gone(policies.delete(&name, &DeleteParams::default()).await)?;
        }
        Ok(())
    }
}

/// That it is not there is as good.
fn gone<T>(deleted: Result<T, kube::Error>) -> Result<()> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => Ok(deleted.map(drop)?),
    }
}
