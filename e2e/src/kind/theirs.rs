//! Whose a cluster is that was given: what is shown here takes its nodes' pods, kills its API server and
//! in the end removes Weir with its kinds, so that it must be nobody's but ours.

use std::net::IpAddr;

use anyhow::{Result, ensure};
use http::Uri;
use k8s_openapi::api::apps::v1::Deployment;
use k8s_openapi::api::core::v1::Secret;
use kube::api::{ListParams, PartialObjectMeta};
use kube::{Api, Client};
use weir::api::RolloutPolicy;

use super::{NAMESPACE, WEIR};
use crate::stage::LABEL;

/// Set to say that the cluster may be taken, whosever it seems to be.
const ANYBODYS: &str = "E2E_ANY_CLUSTER";

/// The label of Weir's release, where it was installed here.
pub(super) const RELEASE: &str = "e2e.weir.dev/release";

/// What the objects of the chart are labelled with, in whatever namespace it was installed.
const CHART: &str = "app.kubernetes.io/name=weir";

/// An error that says whose the cluster seems to be, unless it is nobody's, or that does not matter.
pub(super) async fn refuse(client: &Client, server: &Uri) -> Result<()> {
    if std::env::var_os(ANYBODYS).is_some_and(|value| value == "1") {
        return Ok(());
    }
    let mut theirs = Vec::new();
    if !is_local(server) {
        theirs.push(format!("its API server is not on this machine: {server}"));
    }
    let deployments: Api<Deployment> = Api::all(client.clone());
    let weirs = deployments
        .list_metadata(&ListParams::default().labels(CHART))
        .await?;
    let installed = installed_here(client).await?;
    theirs.extend(weirs.iter().filter_map(|one| another_weir(one, installed)));
    let policies: Api<RolloutPolicy> = Api::all(client.clone());
    match policies.list_metadata(&ListParams::default()).await {
        Ok(policies) => theirs.extend(policies.iter().filter_map(another_policy)),
        // There is no such kind where Weir never was.
        Err(kube::Error::Api(status)) if status.code == 404 => {}
        Err(error) => return Err(error.into()),
    }
    ensure!(
        theirs.is_empty(),
        "the cluster of E2E_KUBECONFIG seems to be somebody's: {}. What is shown here stops its API \
         server, and removes Weir with all policies. Make a cluster for it (kind create cluster), or \
         set {ANYBODYS}=1 if this one may be taken",
        theirs.join("; ")
    );
    Ok(())
}

/// Whether the release of Weir in its usual namespace was installed here. Of Secrets only the metadata is
/// asked for.
async fn installed_here(client: &Client) -> Result<bool> {
    let secrets: Api<Secret> = Api::namespaced(client.clone(), NAMESPACE);
    let release = format!("owner=helm,name={WEIR},{RELEASE}");
    let ours = ListParams::default().labels(&release);
    Ok(!secrets.list_metadata(&ours).await?.items.is_empty())
}

fn another_weir(found: &PartialObjectMeta<Deployment>, installed_here: bool) -> Option<String> {
    let namespace = found.metadata.namespace.as_deref().unwrap_or_default();
    let name = found.metadata.name.as_deref().unwrap_or_default();
    let is_ours = installed_here && namespace == NAMESPACE && name == WEIR;
    (!is_ours).then(|| format!("Weir is installed as {namespace}/{name}, and not from here"))
}

fn another_policy(found: &PartialObjectMeta<RolloutPolicy>) -> Option<String> {
    let labels = found.metadata.labels.as_ref();
    let is_ours = labels.is_some_and(|labels| labels.contains_key(LABEL));
    let name = found.metadata.name.as_deref().unwrap_or_default();
    (!is_ours).then(|| format!("it has the RolloutPolicy {name}"))
}

/// As kind's and the like are reached: on a loopback address, or the one that means any.
fn is_local(server: &Uri) -> bool {
    let host = server.host().unwrap_or_default();
    let address = host.trim_start_matches('[').trim_end_matches(']');
    let address = address.parse::<IpAddr>();
    host == "localhost"
        || address.is_ok_and(|address| address.is_loopback() || address.is_unspecified())
}

#[cfg(test)]
mod tests {
    use std::collections::BTreeMap;

    use kube::core::{ObjectMeta, PartialObjectMetaExt};

    use super::*;

    fn found<K>(namespace: Option<&str>, name: &str, label: Option<&str>) -> PartialObjectMeta<K> {
        let labels = label.map(|label| BTreeMap::from([(label.to_owned(), "x".to_owned())]));
        let metadata = ObjectMeta {
            name: Some(name.to_owned()),
            namespace: namespace.map(str::to_owned),
            labels,
            ..ObjectMeta::default()
        };
        metadata.into_response_partial()
    }

    #[test]
    fn a_server_is_local_on_a_loopback_address_only() -> Result<()> {
        for (server, local) in [
            ("https://127.0.0.1:6443/", true),
            ("https://[::1]:6443/", true),
            ("https://localhost:6443/", true),
            ("https://0.0.0.0:6443/", true),
            ("https://10.0.0.1:6443/", false),
            ("https://prod.example.com/", false),
            ("https://127.example.com/", false),
        ] {
            assert_eq!(is_local(&server.parse()?), local, "{server}");
        }
        Ok(())
    }

    #[test]
    fn weir_is_ours_only_where_it_was_installed_from_here() {
        let ours = found(Some(NAMESPACE), WEIR, None);
        assert_eq!(another_weir(&ours, true), None);
        assert!(another_weir(&ours, false).is_some());
        let elsewhere = another_weir(&found(Some("guard"), WEIR, None), true);
        assert!(elsewhere.is_some_and(|said| said.contains("guard/weir")));
    }

    #[test]
    fn a_policy_is_ours_by_its_label() {
        assert_eq!(another_policy(&found(None, "quick", Some(LABEL))), None);
        let theirs = another_policy(&found(None, "quick", Some("stage")));
        assert!(theirs.is_some_and(|said| said.contains("quick")));
    }
}
