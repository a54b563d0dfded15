//! Followed workloads against a scripted API server, in paused time.

use std::time::Duration;

use serde_json::json;

use super::*;
use crate::client::fake::{Answer, Server, Then};

fn key(name: &str) -> WorkloadKey {
    WorkloadKey {
        namespace: "shop".to_owned(),
        name: name.to_owned(),
    }
}

fn targets(pods: &[(&str, &str)], nodes: Option<&[&str]>) -> Targets {
    let pods_of = |(name, selector): &(&str, &str)| PodsOf {
        workload: key(name),
        selector: (*selector).to_owned(),
    };
    Targets {
        pods: pods.iter().map(pods_of).collect(),
        nodes: nodes.map(|labels| labels.iter().map(|label| (*label).to_owned()).collect()),
        deployed_in: BTreeSet::new(),
    }
}

/// A list of one node, after which nothing more comes.
fn a_node() -> Answer {
    let node = json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {
            "name": "node-1", "resourceVersion": "1", "creationTimestamp": "2026-11-21T21:37:20Z",
            "labels": { "zone": "z1", "rack": "r1" }
        }
    });
    let whole = json!({
        "kind": "Node", "apiVersion": "v1",
        "metadata": {
            "resourceVersion": "1", "annotations": { "k8s.io/initial-events-end": "true" }
        }
    });
    let lines = [("ADDED", node), ("BOOKMARK", whole)]
        .map(|(kind, object)| (0, format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")));
    Answer::pieces(lines, Then::Hangs)
}

struct Following {
    followed: Arc<Followed>,
    server: Server,
    targets: watch::Sender<Targets>,
    follow: std::pin::Pin<Box<dyn Future<Output = Result<(), TaskError>>>>,
}

impl Following {
    fn a_server_that(answers: impl IntoIterator<Item = Answer>) -> Self {
        let server = Server::that(answers);
        let followed = Arc::new(Followed::new(Clock::start()));
        let (targets, wanted) = watch::channel(Targets::default());
        let follow = Box::pin(Arc::clone(&followed).follow(server.client(), wanted));
        Self {
            followed,
            server,
            targets,
            follow,
        }
    }

    /// Follows these, and tells what is newly asked for.
    async fn set(&mut self, targets: Targets) -> Vec<String> {
        let before = self.server.asked().len();
        self.targets.send_replace(targets);
        let pass = tokio::time::timeout(Duration::from_secs(1), &mut self.follow);
        assert!(pass.await.is_err(), "it never ends");
        let mut asked = self.server.asked().split_off(before);
        asked.sort();
        asked
    }

    fn followed_pods(&self) -> Vec<String> {
        let now = self.followed.clock.now();
        self.followed
            .pods(now)
            .into_keys()
            .map(|key| key.name)
            .collect()
    }

    fn nodes(&self) -> Rows<String, NodeView> {
        self.followed.nodes(self.followed.clock.now())
    }
}

#[tokio::test(start_paused = true)]
async fn only_pods_of_the_selector_in_the_namespace_are_asked_for() {
    let mut following = Following::a_server_that([]);
    assert_eq!(following.set(Targets::default()).await.len(), 0);
    let asked = following
        .set(targets(&[("logs", "app=logs")], Some(&["zone"])))
        .await;
    assert!(
        asked[0].starts_with("GET /api/v1/namespaces/shop/pods?"),
        "{asked:?}"
    );
    assert!(asked[0].contains("labelSelector=app%3Dlogs"), "{asked:?}");
    assert!(asked[1].starts_with("GET /api/v1/nodes?"), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn what_is_followed_already_is_not_asked_for_again() {
    let mut following = Following::a_server_that([]);
    following
        .set(targets(&[("logs", "app=logs")], Some(&[])))
        .await;
    let asked = following
        .set(targets(
            &[("logs", "app=logs"), ("metrics", "app=metrics")],
            Some(&[]),
        ))
        .await;
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert_eq!(following.followed_pods(), ["logs", "metrics"]);
}

#[tokio::test(start_paused = true)]
async fn a_workload_that_came_back_with_another_selector_is_another_watch() {
    let mut following = Following::a_server_that([]);
    following.set(targets(&[("logs", "app=logs")], None)).await;
    let asked = following.set(targets(&[("logs", "app=new")], None)).await;
    assert!(asked[0].contains("labelSelector=app%3Dnew"), "{asked:?}");
    assert_eq!(following.followed_pods(), ["logs"]);
}

#[tokio::test(start_paused = true)]
async fn what_is_no_longer_followed_is_forgotten() {
    let mut following = Following::a_server_that([a_node()]);
    following.set(targets(&[], Some(&[]))).await;
    assert!(following.nodes().fresh().is_some());
    assert!(
        following
            .set(targets(&[("logs", "app=logs")], None))
            .await
            .len()
            == 1
    );
    assert!(following.nodes().last().is_none());
    following.set(Targets::default()).await;
    assert!(following.followed_pods().is_empty());
}

#[tokio::test(start_paused = true)]
async fn other_labels_are_read_anew_while_the_old_nodes_stay() {
    let mut slow = a_node();
    slow.head_after = Duration::from_secs(10);
    let mut following = Following::a_server_that([a_node(), slow]);
    let labels = |nodes: Rows<String, NodeView>| {
        let nodes = nodes.fresh().expect("they stay fresh").clone();
        nodes["node-1"]
            .labels
            .keys()
            .map(ToString::to_string)
            .collect::<Vec<_>>()
    };
    following.set(targets(&[], Some(&["zone"]))).await;
    assert_eq!(labels(following.nodes()), ["zone"]);
    following.set(targets(&[], Some(&["rack", "zone"]))).await;
    assert_eq!(labels(following.nodes()), ["zone"]);
    let pass = tokio::time::timeout(Duration::from_secs(10), &mut following.follow);
    assert!(pass.await.is_err());
    assert_eq!(labels(following.nodes()), ["rack", "zone"]);
}
