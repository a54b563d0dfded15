//! All that a drill made is removed, and what is left is told with how to remove it.

use std::time::Duration;

use k8s_openapi::api::core::v1::Namespace;
use kube::{Api, api::DeleteParams};

use super::LOOK_EVERY;
use crate::{
    api::RolloutPolicy,
    cli::connect::Connection,
    client::{chain, is_missing},
};

/// How long everything may take to be gone again.
const GONE_WITHIN: Duration = Duration::from_secs(90);

/// What is left of it, in the end or when it is given up.
pub(super) async fn removed_or_left(
    removed: impl Future<Output = Vec<String>>,
    given_up: impl Future<Output = ()>,
    namespace: &str,
) -> Vec<String> {
    tokio::select! {
        left = removed => left,
        () = given_up => [how_policy(namespace), how_namespace(namespace)]
            .map(|how| format!("interrupted again, perhaps not gone: {how}"))
            .into(),
    }
}

/// Removes all of it; says what is left, and how to remove it.
///
/// Twice: a request that was under way when the drill was broken off may reach the API server after the first
/// look found nothing.
pub(super) async fn remove(connection: &Connection, namespace: &str) -> Vec<String> {
    let begun = connection.clock.elapsed();
    let first = delete(connection, namespace).await;
    if first.refused {
        return first.left;
    }
    if let Some(late) = wait(connection, namespace, begun).await {
        return [first.left, vec![late]].concat();
    }
    if first.missed {
        // What is not there yet comes soon, or never.
        tokio::time::sleep(LOOK_EVERY).await;
    }
    let second = delete(connection, namespace).await;
    let mut left = second.left;
    if !second.was_there {
        return left;
    }
    left.extend(wait(connection, namespace, begun).await);
    left
}

/// What came of asking for all of it to be deleted.
struct Deleted {
    /// What could not be.
    left: Vec<String>,
    /// Whether the namespace was there.
    was_there: bool,
    /// Whether something was not.
    missed: bool,
    /// Whether the namespace could not be: there is nothing to wait for.
    refused: bool,
}

async fn delete(connection: &Connection, namespace: &str) -> Deleted {
    let params = DeleteParams::default();
    let policies: Api<RolloutPolicy> = Api::all(connection.client.clone());
    let policy = was_there(policies.delete(namespace, &params).await.map(drop));
    let namespaces: Api<Namespace> = Api::all(connection.client.clone());
    let whole = was_there(namespaces.delete(namespace, &params).await.map(drop));
    let mut left = Vec::new();
    for (deleted, how) in [
        (&policy, how_policy(namespace)),
        (&whole, how_namespace(namespace)),
    ] {
        if let Err(error) = deleted {
            left.push(format!("{}: {how}", chain(error)));
        }
    }
    Deleted {
        left,
        was_there: matches!(whole, Ok(true)),
        missed: matches!(policy, Ok(false)) || matches!(whole, Ok(false)),
        refused: whole.is_err(),
    }
}

/// That it is not there is as good.
fn was_there(deleted: Result<(), kube::Error>) -> Result<bool, kube::Error> {
    match deleted {
        Ok(()) => Ok(true),
        Err(error) if is_missing(&error) => Ok(false),
        Err(error) => Err(error),
    }
}

/// Waits until the namespace is gone, which deletes what is in it; says that it is not.
async fn wait(connection: &Connection, namespace: &str, begun: Duration) -> Option<String> {
    let namespaces: Api<Namespace> = Api::all(connection.client.clone());
    loop {
        // Whatever else is answered is asked again: it is on its way.
        if let Ok(None) = namespaces.get_opt(namespace).await {
            return None;
        }
        if connection.clock.elapsed().saturating_sub(begun) > GONE_WITHIN {
            return Some(format!(
                "namespace {namespace} was still being deleted after {} s: kubectl get namespace {namespace}",
                GONE_WITHIN.as_secs()
            ));
        }
        tokio::time::sleep(LOOK_EVERY).await;
    }
}

fn how_policy(namespace: &str) -> String {
    format!("kubectl delete rolloutpolicy {namespace}")
}

fn how_namespace(namespace: &str) -> String {
    format!("kubectl delete namespace {namespace}")
}
