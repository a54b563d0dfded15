use std::{
    sync::{Arc, Mutex},
    time::Duration,
};

use http::{Method, Request, Response, StatusCode};
use kube::client::Body;
use serde_json::json;
use tokio::sync::watch;
use weir_core::{
    plan::Because,
    time::{Moment, Span},
};

use super::*;
use crate::{act::permit::Leadership, clock::Clock};

/// Paths of the requests that an API server saw, in order.
type Seen = Arc<Mutex<Vec<String>>>;

/// What the API server does with a request for this path; an answer of 0 never comes.
type Answers = fn(&str) -> u16;

struct Bench {
    hands: Hands,
    seen: Seen,
    now: Moment,
    _leadership: watch::Sender<Leadership>,
}

fn bench(answers: Answers) -> Bench {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (method, path) = (request.method().clone(), request.uri().path().to_owned());
        let code = answers(&path);
        log.lock().unwrap().push(path);
        async move {
            if code == 0 {
                std::future::pending::<()>().await;
            }
            let status = json!({
                "kind": "Status", "apiVersion": "v1", "status": "Failure",
                "message": "as the test wants it", "reason": "Test", "code": code,
            });
            let done = json!({
                "kind": "PartialObjectMetadata", "apiVersion": "meta.k8s.io/v1",
                "metadata": { "name": "x" }, "spec": { "adopted": true },
            });
            let role = json!({
                "kind": "Role", "apiVersion": "rbac.authorization.k8s.io/v1",
                "metadata": { "name": "weir-approved", "resourceVersion": "7" }, "rules": null,
            });
            let is_read = method == Method::GET;
            let body = match code {
                ..300 if is_read => role,
                ..300 => done,
                _ => status,
            };
            let body = Body::from(serde_json::to_vec(&body).unwrap());
            let answer = Response::builder()
                .status(StatusCode::from_u16(code).unwrap())
                .body(body);
            Ok::<_, std::convert::Infallible>(answer.unwrap())
        }
    });
    let client = Client::new(service, "shop");
    let clock = Clock::start();
    let now = clock.now();
    let (view, leadership) = watch::channel(Leadership {
        holder: None,
        until: Some(now + Span::from_secs(30)),
    });
    Bench {
        hands: Hands {
            api: client.clone(),
            releases: client,
            permit: Permit::new(leadership, clock),
        },
        seen,
        now,
        _leadership: view,
    }
}

fn pods(names: &[&str]) -> Vec<String> {
    names.iter().map(|name| (*name).to_owned()).collect()
}

impl Bench {
    fn order(&self, intents: Vec<Intent>) -> Order {
        Order {
            decision: "1-1".to_owned(),
            namespace: "shop".to_owned(),
            revision: "uid.hash".to_owned(),
            note: "shop/logs by weir".to_owned(),
            intents,
            warrant: Warrant::issue(self.now),
        }
    }

    fn release(&self, names: &[&str]) -> Order {
        self.order(vec![Intent::Release {
            pods: pods(names),
            because: Because::Wave,
        }])
    }

    fn seen(&self) -> Vec<String> {
        self.seen.lock().unwrap().clone()
    }
}

fn fates(outcome: &Outcome) -> Vec<(&str, Fate)> {
    outcome
        .pods
        .iter()
        .map(|(pod, fate)| (pod.as_str(), *fate))
        .collect()
}

#[tokio::test]
async fn each_pod_has_a_fate_and_a_pod_that_is_gone_needs_no_release() {
    let bench = bench(|path| match path.rsplit('/').next().unwrap() {
        "gone" => 404,
        "refused" => 422,
        "shed" => 429,
        "outrun" => 409,
        "broken" => 500,
        _ => 200,
    });
    let order = bench.release(&["fine", "gone", "shed", "outrun", "refused", "broken"]);
    let outcome = enact(&bench.hands, order).await;
    let expected = [
        ("fine", Fate::Released),
        ("gone", Fate::Released),
        ("shed", Fate::TurnedAway),
        ("outrun", Fate::TurnedAway),
        ("refused", Fate::Failed),
        ("broken", Fate::Unknown),
    ];
    assert_eq!(fates(&outcome), expected);
    let Some(Unwritten::Failed(error)) = outcome.error else {
        panic!("none is told");
    };
    let told = error.downcast_ref::<kube::Error>();
    assert!(
        matches!(told, Some(kube::Error::Api(status)) if status.code == 422),
        "{told:?}"
    );
    assert_eq!(bench.seen()[0], "/api/v1/namespaces/shop/pods/fine");
}

#[tokio::test]
async fn an_api_server_that_sheds_load_is_told_though_the_rest_was_taken_back() {
    let bench = bench(|_| 429);
    let names: Vec<String> = (0..40).map(|number| format!("pod-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = bench.release(&names);
    let warrant = order.warrant.clone();
    let revoke = async {
        while bench.seen().is_empty() {
            tokio::task::yield_now().await;
        }
        warrant.revoke();
    };
    let (outcome, ()) = tokio::join!(enact(&bench.hands, order), revoke);
    let fates: Vec<Fate> = outcome.pods.iter().map(|(_, fate)| *fate).collect();
    assert!(
        fates.contains(&Fate::TurnedAway) && fates.contains(&Fate::NotBegun),
        "{fates:?}"
    );
    let told = outcome.error.as_ref();
    assert!(told.is_some_and(is_turned_away), "{told:?}");
}

#[tokio::test]
async fn approval_comes_first_and_without_it_nothing_is_released() {
    let intents = vec![
        Intent::Approve,
        Intent::Release {
            pods: pods(&["a", "b"]),
            because: Because::Approved,
        },
    ];
    let fine = bench(|_| 200);
    let outcome = enact(&fine.hands, fine.order(intents.clone())).await;
    assert!(outcome.approved);
    let role = "/apis/rbac.authorization.k8s.io/v1/namespaces/weir-system/roles/weir-approved";
    // Read, and written.
    assert_eq!(fine.seen()[..2], [role, role]);
    assert_eq!(fine.seen().len(), 4);

    let refused = bench(|path| if path.contains("roles") { 403 } else { 200 });
    let outcome = enact(&refused.hands, refused.order(intents)).await;
    assert!(!outcome.approved);
    assert_eq!(
        fates(&outcome),
        [("a", Fate::NotBegun), ("b", Fate::NotBegun)]
    );
    assert_eq!(refused.seen(), [role]);
}

#[tokio::test]
async fn a_plan_that_was_taken_back_is_not_begun() {
    let bench = bench(|_| 200);
    let order = bench.release(&["a", "b"]);
    order.warrant.revoke();
    let outcome = enact(&bench.hands, order).await;
    assert_eq!(
        fates(&outcome),
        [("a", Fate::NotBegun), ("b", Fate::NotBegun)]
    );
    assert!(bench.seen().is_empty());
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_costs_as_many_requests_as_may_be_under_way_and_no_more() {
    let bench = bench(|_| 0);
    let names: Vec<String> = (0..40).map(|number| format!("pod-{number:02}")).collect();
    let names: Vec<&str> = names.iter().map(String::as_str).collect();
    let order = bench.release(&names);
    let warrant = order.warrant.clone();
    let hold = async {
        tokio::time::sleep(Duration::from_secs(2)).await;
        warrant.revoke();
    };
    let (outcome, ()) = tokio::join!(enact(&bench.hands, order), hold);
    assert_eq!(bench.seen().len(), RELEASES_AT_ONCE);
    let number = |which| {
        outcome
            .pods
            .iter()
            .filter(|(_, fate)| *fate == which)
            .count()
    };
    assert_eq!(number(Fate::Unknown), RELEASES_AT_ONCE);
    assert_eq!(number(Fate::NotBegun), 40 - RELEASES_AT_ONCE);
}
