//! Undoes what a case has done, whether it passed or not, so that the next finds the cluster as it was.

use anyhow::Result;
use k8s_openapi::api::core::v1::{ConfigMap, Namespace};
use k8s_openapi::api::rbac::v1::{ClusterRole, ClusterRoleBinding};
use kube::Api;
use kube::api::{DeleteParams, ListParams};
use serde::de::DeserializeOwned;
use weir::api::RolloutPolicy;

use super::{Cluster, NAMESPACE};
use crate::stage::{LABEL, QUICK, eventually};

impl Cluster {
    /// Removes the namespaces, rights, policies, nodes and consent of the cases before, starts what they
    /// stopped, and waits until all is as it was. The policy `quick` stays, and Weir.
    ///
    /// # Errors
    /// Something does not go, or does not come back.
    pub async fn tidy(&self) -> Result<()> {
        self.api_server_answers().await?;
        self.remove_namespaces().await?;
        self.remove_rights().await?;
        self.remove_policies().await?;
        self.remove_fake_nodes().await?;
        let consent: Api<ConfigMap> = Api::namespaced(self.client(), NAMESPACE);
        remove(&consent, |_| true).await?;
        if self.is_installed().await? {
            self.start_weir().await?;
        }
        Ok(())
    }

    async fn remove_namespaces(&self) -> Result<()> {
        let namespaces: Api<Namespace> = Api::all(self.client());
        let names = remove(&namespaces, |_| true).await?;
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

    async fn remove_rights(&self) -> Result<()> {
        let bindings: Api<ClusterRoleBinding> = Api::all(self.client());
        remove(&bindings, |_| true).await?;
        let roles: Api<ClusterRole> = Api::all(self.client());
        remove(&roles, |_| true).await?;
        Ok(())
    }

    async fn remove_policies(&self) -> Result<()> {
        let policies: Api<RolloutPolicy> = Api::all(self.client());
        match remove(&policies, |name| name != QUICK).await {
            // There is no such kind before Weir is installed, and after it is removed.
            Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
            removed => Ok(removed.map(drop)?),
        }
    }
}

/// Deletes what bears the [`LABEL`] and goes by such a name; returns what that was. Nothing else is
/// touched: the cluster may be somebody's.
async fn remove<K>(api: &Api<K>, is_to_go: fn(&str) -> bool) -> Result<Vec<String>, kube::Error>
where
    K: Clone + std::fmt::Debug + DeserializeOwned,
{
    let ours = ListParams::default().labels(LABEL);
    let found = api.list_metadata(&ours).await?.items.into_iter();
    let names = found.filter_map(|found| found.metadata.name);
    let names: Vec<_> = names.filter(|name| is_to_go(name)).collect();
    for name in &names {
        gone(api.delete(name, &DeleteParams::default()).await)?;
    }
    Ok(names)
}

/// That it is not there is as good.
fn gone<T>(deleted: Result<T, kube::Error>) -> Result<(), kube::Error> {
    match deleted {
        Err(kube::Error::Api(status)) if status.code == 404 => Ok(()),
        deleted => deleted.map(drop),
    }
}
