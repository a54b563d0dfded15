//! Who answers for the cluster's names.

use std::collections::{BTreeMap, BTreeSet};

use futures::future::join_all;
use kube::Client;

use super::{
    super::facts::{Fact, NameServer},
    endpoints,
};
use crate::client::chain;

/// Servers of the cluster's DNS that are asked whether they are ready.
const NAME_SERVERS: usize = 3;

/// The servers of the cluster's DNS, of which some are asked through the API server whether they are ready.
/// None is known where the cluster's DNS has another name.
pub(super) async fn of_dns(client: &Client) -> Fact<Vec<NameServer>> {
    let mut servers: BTreeMap<String, NameServer> = BTreeMap::new();
    let mut pods = BTreeSet::new();
    for endpoint in endpoints(client, "kube-system", "kube-dns").await? {
        let conditions = endpoint.conditions.unwrap_or_default();
        let pod = endpoint.target_ref.and_then(|target| target.name);
        pods.extend(pod.clone());
        let Some(name) = pod.or_else(|| endpoint.addresses.first().cloned()) else {
            continue;
        };
        let server = NameServer {
            name: name.clone(),
            ready: conditions.ready.unwrap_or(true),
            answer: None,
        };
        servers.insert(name, server);
    }
    let asked = pods.iter().take(NAME_SERVERS);
    let answers = asked.map(|pod| async move { (pod, is_ready(client, pod).await) });
    for (pod, answer) in join_all(answers).await {
        if let Some(server) = servers.get_mut(pod) {
            server.answer = answer;
        }
    }
    Ok(servers.into_values().collect())
}

/// What `CoreDNS` says of itself (its plugin `ready`); none where the caller may not ask through the API server,
/// or where it does not run that plugin.
async fn is_ready(client: &Client, pod: &str) -> Option<Fact<()>> {
    let path = format!("/api/v1/namespaces/kube-system/pods/http:{pod}:8181/proxy/ready");
    let request = http::Request::get(path).body(Vec::new()).ok()?;
    match client.request_text(request).await {
        Ok(_) => Some(Ok(())),
        Err(kube::Error::Api(status)) if matches!(status.code, 401 | 403 | 404 | 405) => None,
        Err(error) => Some(Err(chain(&error))),
    }
}
