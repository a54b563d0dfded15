use serde_json::{Value, json};

use super::*;
use crate::client::fake::{Answer, Server};

/// An identity Lease as kube-apiserver 1.36.3 keeps it, renewed so many seconds ago.
fn lease(clock: Clock, age: u64) -> Value {
    let renewed = clock.now() - Span::from_secs(age);
    let renewed =
        k8s_openapi::jiff::Timestamp::from_millisecond(i64::try_from(renewed.as_millis()).unwrap());
    json!({
        "metadata": { "name": format!("apiserver-{age}"), "namespace": "kube-system" },
        "spec": {
            "holderIdentity": "apiserver-wlv32tlttr4jl3gtroqexyxapa_866ad405",
            "leaseDurationSeconds": 3600, "renewTime": format!("{:.6}", renewed.unwrap())
        }
    })
}

fn page(items: &[Value], next: &str) -> Answer {
    let list = json!({
        "kind": "LeaseList", "apiVersion": "coordination.k8s.io/v1",
        "metadata": { "resourceVersion": "7", "continue": next }, "items": items
    });
    Answer::whole(200, list.to_string())
}

/// What is known after so many seconds of polling, idle.
async fn polled(identities: &Arc<Identities>, server: &Server, seconds: u64) -> Reading<u32> {
    let (_tempo, paced) = watch::channel(Tempo::default());
    let poll = Arc::clone(identities).poll(server.client(), paced);
    assert!(
        tokio::time::timeout(Duration::from_secs(seconds), poll)
            .await
            .is_err()
    );
    identities.reading(identities.clock.now())
}

#[tokio::test(start_paused = true)]
async fn leases_that_have_not_expired_are_counted_page_by_page() {
    let clock = Clock::start();
    let identities = Arc::new(Identities::new(clock));
    assert!(matches!(
        identities.reading(clock.now()),
        Reading::Absent { .. }
    ));
    let first = page(&[lease(clock, 5), lease(clock, 3000)], "more");
    let server = Server::that([first, page(&[lease(clock, 4000), lease(clock, 9)], "")]);
    assert_eq!(polled(&identities, &server, 30).await, Reading::Fresh(3));
    let asked = server.asked();
    assert!(
        asked[0].contains("limit=100") && asked[1].contains("continue=more"),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_count_that_is_not_renewed_ages() {
    let clock = Clock::start();
    let identities = Arc::new(Identities::new(clock));
    let server = Server::that([page(&[lease(clock, 5)], "")]);
    assert_eq!(polled(&identities, &server, 180).await, Reading::Fresh(1));
    let stale = identities.reading(clock.now() + Span::from_secs(60));
    assert_eq!(
        stale,
        Reading::Stale {
            value: 1,
            age: Span::from_secs(240)
        }
    );
    let absent = identities.reading(clock.now() + Span::from_secs(181));
    assert!(matches!(absent, Reading::Absent { .. }));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_and_a_cluster_without_identities_say_what_to_do() {
    let forbidden = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "leases is forbidden", "reason": "Forbidden", "code": 403
    });
    let why = |reading| match reading {
        Reading::Absent { why } => why,
        other => panic!("{other:?}"),
    };
    let identities = Arc::new(Identities::new(Clock::start()));
    let server = Server::that([Answer::whole(403, forbidden.to_string())]);
    assert_eq!(
        why(polled(&identities, &server, 1).await),
        "Weir may not list leases in kube-system: grant it the verb list on them there \
         (leases is forbidden)"
    );
    let server = Server::that([page(&[], "")]);
    assert!(why(polled(&identities, &server, 1).await).contains("required.apiServers"));
}
