//! A watch against a scripted API server, in paused time.

use serde_json::json;
use weir_core::{evidence::Reading, time::Span};

use super::*;
use crate::{
    client::fake::{Answer, Server, Then},
    clock::Clock,
    observe::watches::{instance::Instances, own::Policies},
};

/// An EndpointSlice, as the smallest kind that is watched.
fn slice(name: &str, version: u32, address: &str) -> serde_json::Value {
    json!({
        "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice",
        "metadata": { "name": name, "namespace": "default", "resourceVersion": version.to_string() },
        "endpoints": [{ "addresses": [address] }],
        "ports": [{ "name": "https", "port": 6443 }]
    })
}

fn event(kind: &str, object: &serde_json::Value) -> String {
    // As the API server writes it: `serde_json` would sort `object` before `type`.
    format!("{{\"type\":\"{kind}\",\"object\":{object}}}\n")
}

fn added(name: &str, version: u32) -> String {
    event("ADDED", &slice(name, version, "10.0.0.1"))
}

fn bookmark(version: u32, annotations: &serde_json::Value) -> String {
    let metadata = json!({ "resourceVersion": version.to_string(), "annotations": annotations });
    let object = json!({ "apiVersion": "discovery.k8s.io/v1", "kind": "EndpointSlice", "metadata": metadata });
    event("BOOKMARK", &object)
}

fn list_is_whole(version: u32) -> String {
    bookmark(version, &json!({ "k8s.io/initial-events-end": "true" }))
}

fn refusal(code: u16, reason: &str, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": reason, "code": code
    });
    Answer::whole(code, status.to_string())
}

/// The first answer of most tests: a list of one, after which nothing more comes.
fn list_of_one(then: Then) -> Answer {
    Answer::pieces([(0, added("a", 1)), (0, list_is_whole(1))], then)
}

/// A watch on its way.
struct Watching {
    clock: Clock,
    server: Server,
    kept: Arc<Kept<Instances>>,
    watch: std::pin::Pin<Box<dyn Future<Output = ()>>>,
}

impl Watching {
    fn a_server_that(answers: impl IntoIterator<Item = Answer>) -> Self {
        let clock = Clock::start();
        let server = Server::that(answers);
        let kept = Arc::new(Kept::new(Instances, clock));
        let watch = run(server.client(), Arc::clone(&kept), Selection::default());
        Self {
            clock,
            server,
            kept,
            watch: Box::pin(watch),
        }
    }

    /// Lets time pass, and tells what is known then.
    async fn after(&mut self, seconds: u64) -> Reading<Vec<String>> {
        self.pass(Duration::from_secs(seconds)).await
    }

    /// What is known before anything is tried a second time.
    async fn at_first(&mut self) -> Reading<Vec<String>> {
        self.pass(Duration::from_millis(1)).await
    }

    async fn pass(&mut self, time: Duration) -> Reading<Vec<String>> {
        let pass = tokio::time::timeout(time, &mut self.watch);
        assert!(pass.await.is_err(), "a watch never ends");
        let names =
            |rows: Arc<std::collections::BTreeMap<String, _>>| rows.keys().cloned().collect();
        crate::observe::join::map(self.kept.reading(self.clock.now()), names)
    }
}

fn fresh(names: &[&str]) -> Reading<Vec<String>> {
    Reading::Fresh(names.iter().map(|name| (*name).to_owned()).collect())
}

fn why(reading: Reading<Vec<String>>) -> String {
    match reading {
        Reading::Absent { why } => format!("absent: {why}"),
        Reading::Garbled { why } => format!("garbled: {why}"),
        Reading::Fresh(_) | Reading::Masked { .. } | Reading::Stale { .. } => {
            format!("{reading:?}")
        }
    }
}

#[tokio::test(start_paused = true)]
async fn a_list_and_what_comes_after_it_is_kept() {
    let mut watching = Watching::a_server_that([Answer::pieces(
        [
            (0, added("a", 1)),
            (0, added("b", 2)),
            (0, list_is_whole(2)),
            (5, added("c", 3)),
            (1, event("DELETED", &slice("a", 4, "10.0.0.1"))),
            (1, event("MODIFIED", &slice("b", 5, "10.0.0.9"))),
        ],
        Then::Hangs,
    )]);
    assert_eq!(watching.after(1).await, fresh(&["a", "b"]));
    assert_eq!(watching.after(10).await, fresh(&["b", "c"]));
    let rows = watching.kept.reading(watching.clock.now());
    assert!(rows.fresh().unwrap()["b"].contains("10.0.0.9:6443"));

    let asked = watching.server.asked();
    assert_eq!(asked.len(), 1, "{asked:?}");
    assert!(asked[0].contains("sendInitialEvents=true") && asked[0].ends_with("resourceVersion=0"));
    let timeout = asked[0]
        .split(['?', '&'])
        .find_map(|pair| pair.strip_prefix("timeoutSeconds="));
    assert!(timeout.unwrap().parse::<u32>().unwrap() <= 60);
}

#[tokio::test(start_paused = true)]
async fn whoever_waits_for_a_change_is_woken_by_each_and_by_nothing_else() {
    let mut watching = Watching::a_server_that([Answer::pieces(
        [
            (0, added("a", 1)),
            (0, list_is_whole(1)),
            (5, event("MODIFIED", &slice("a", 2, "10.0.0.1"))),
            (5, event("MODIFIED", &slice("a", 3, "10.0.0.9"))),
            (5, event("DELETED", &slice("a", 4, "10.0.0.9"))),
        ],
        Then::Hangs,
    )]);
    // A list, a change that changes nothing of what is kept, one that does, and the end.
    for (seconds, woken) in [(1, true), (5, false), (5, true), (5, true), (5, false)] {
        watching.after(seconds).await;
        let changed = watching.kept.changed();
        let found = tokio::time::timeout(Duration::ZERO, changed).await;
        assert_eq!(found.is_ok(), woken);
    }
}

#[tokio::test(start_paused = true)]
async fn half_a_list_is_nothing() {
    let half = Answer::pieces([(0, added("a", 1)), (0, added("b", 2))], Then::Hangs);
    let mut watching = Watching::a_server_that([half]);
    assert_eq!(
        why(watching.after(30).await),
        "absent: endpointslices.discovery.k8s.io have not been read yet"
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_does_not_change_what_is_kept_shares_the_rows() {
    let mut watching = Watching::a_server_that([Answer::pieces(
        [
            (0, added("a", 1)),
            (0, list_is_whole(1)),
            (5, event("MODIFIED", &slice("a", 2, "10.0.0.1"))),
        ],
        Then::Hangs,
    )]);
    watching.after(1).await;
    let before = watching.kept.reading(watching.clock.now());
    watching.after(10).await;
    let after = watching.kept.reading(watching.clock.now());
    assert!(Arc::ptr_eq(before.fresh().unwrap(), after.fresh().unwrap()));
}

#[tokio::test(start_paused = true)]
async fn bookmarks_and_new_beginnings_keep_a_silent_watch_fresh() {
    let resumed = || Answer::pieces([(48, bookmark(1, &json!({})))], Then::Ends);
    let mut watching = Watching::a_server_that([
        Answer::pieces(
            [
                (0, added("a", 1)),
                (0, list_is_whole(1)),
                (48, bookmark(1, &json!({}))),
            ],
            Then::Ends,
        ),
        resumed(),
        resumed(),
        resumed(),
    ]);
    for _ in 0..18 {
        assert_eq!(watching.after(10).await, fresh(&["a"]));
    }
    let asked = watching.server.asked();
    assert!(
        asked[1..]
            .iter()
            .all(|asked| !asked.contains("sendInitialEvents")),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_server_that_hangs_makes_what_is_known_stale_and_then_absent() {
    let mut watching = Watching::a_server_that([list_of_one(Then::Hangs)]);
    assert_eq!(watching.after(90).await, fresh(&["a"]));
    let stale = Reading::Stale {
        value: vec!["a".to_owned()],
        age: Span::from_secs(91),
    };
    assert_eq!(watching.after(1).await, stale);
    assert_eq!(
        why(watching.after(90).await),
        "absent: the watch on endpointslices.discovery.k8s.io has been silent for 181 s"
    );
}

#[tokio::test(start_paused = true)]
async fn while_listing_anew_the_old_rows_age_though_bytes_come_in() {
    let gone = json!({
        "kind": "Status", "apiVersion": "v1", "status": "Failure", "metadata": {},
        "message": "too old resource version", "reason": "Expired", "code": 410
    });
    let expires = Answer::pieces(
        [
            (0, added("a", 1)),
            (0, list_is_whole(1)),
            (10, event("ERROR", &gone)),
        ],
        Then::Ends,
    );
    // Each piece comes before the watch counts as dead.
    let dribbles = (2..6).map(|version| (40, added("b", version)));
    let whole = [(40, list_is_whole(6))];
    let mut watching =
        Watching::a_server_that([expires, Answer::pieces(dribbles.chain(whole), Then::Hangs)]);
    assert_eq!(watching.after(50).await, fresh(&["a"]));
    let aged = watching.after(70).await;
    assert!(
        matches!(&aged, Reading::Stale { value, .. } if value == &["a"]),
        "{aged:?}"
    );
    assert_eq!(watching.after(120).await, fresh(&["b"]));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_grant_and_is_tried_again() {
    let message = "endpointslices.discovery.k8s.io is forbidden: User \"weir\" cannot watch";
    let forbidden = || refusal(403, "Forbidden", message);
    let mut watching = Watching::a_server_that([forbidden(), list_of_one(Then::Hangs)]);
    let told = why(watching.at_first().await);
    assert!(
        told.starts_with(
            "absent: Weir may not read endpointslices.discovery.k8s.io: grant it the verbs list \
             and watch on them"
        ) && told.contains(message),
        "{told}"
    );
    assert_eq!(watching.after(10).await, fresh(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn a_permission_that_is_taken_away_is_absent_once_that_lasts_and_fresh_when_given_back() {
    let forbidden = (0..6).map(|_| refusal(403, "Forbidden", "may not"));
    let resumed = Answer::pieces::<&str>([], Then::Hangs);
    let answers = std::iter::once(list_of_one(Then::Ends)).chain(forbidden);
    let mut watching = Watching::a_server_that(answers.chain([resumed]));
    assert_eq!(watching.after(25).await, fresh(&["a"]));
    assert!(why(watching.after(10).await).starts_with("absent: Weir may not read"));
    // Nothing has changed meanwhile, so that nothing but the answer itself tells. When it comes
    // depends on the back-off's jitter.
    let mut told = watching.after(1).await;
    for _ in 0..120 {
        if told.fresh().is_some() {
            break;
        }
        told = watching.after(1).await;
    }
    assert_eq!(told, fresh(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn an_api_server_that_has_just_started_and_refuses_everybody_is_not_believed() {
    let forbidden = || refusal(403, "Forbidden", "may not");
    let resumed = Answer::pieces::<&str>([], Then::Hangs);
    let mut watching =
        Watching::a_server_that([list_of_one(Then::Breaks), forbidden(), forbidden(), resumed]);
    for _ in 0..40 {
        assert_eq!(watching.after(1).await, fresh(&["a"]));
    }
    assert_eq!(watching.server.asked().len(), 4);
}

#[tokio::test(start_paused = true)]
async fn refusals_are_asked_about_ever_more_rarely() {
    let refusals = (0..100).map(|_| refusal(403, "Forbidden", "may not"));
    let mut watching = Watching::a_server_that(refusals);
    watching.after(600).await;
    let asked = watching.server.asked().len();
    assert!((10..=40).contains(&asked), "{asked} times in ten minutes");
}

#[tokio::test(start_paused = true)]
async fn a_kind_that_is_not_there_says_to_apply_the_definitions() {
    let server = Server::that([refusal(404, "NotFound", "could not find the resource")]);
    let clock = Clock::start();
    let kept = Arc::new(Kept::new(Policies, clock));
    let watch = run(server.client(), Arc::clone(&kept), Selection::default());
    assert!(
        tokio::time::timeout(Duration::from_millis(1), watch)
            .await
            .is_err()
    );
    let Reading::Absent { why } = kept.reading(clock.now()) else {
        panic!("it is read");
    };
    assert_eq!(
        why,
        "the API server does not know rolloutpolicies.weir.dev: apply Weir's CRDs \
         (could not find the resource)"
    );
}

#[tokio::test(start_paused = true)]
async fn an_object_that_cannot_be_understood_is_told_not_kept_as_it_was_and_heals() {
    let mut odd = slice("a", 2, "10.0.0.1");
    odd["endpoints"] = json!("none");
    let mut watching = Watching::a_server_that([Answer::pieces(
        [
            (0, added("a", 1)),
            (0, added("b", 1)),
            (0, list_is_whole(1)),
            (10, event("MODIFIED", &odd)),
            (10, event("MODIFIED", &slice("a", 3, "10.0.0.1"))),
        ],
        Then::Hangs,
    )]);
    assert_eq!(watching.after(5).await, fresh(&["a", "b"]));
    let told = why(watching.after(10).await);
    assert!(
        told.starts_with(
            "garbled: 1 of the endpointslices.discovery.k8s.io could not be understood, among \
             them a: invalid type: string"
        ),
        "{told}"
    );
    assert_eq!(watching.after(10).await, fresh(&["a", "b"]));
}

#[tokio::test(start_paused = true)]
async fn a_garbled_object_that_is_deleted_is_forgotten() {
    let mut odd = slice("a", 1, "10.0.0.1");
    odd["ports"] = json!([]);
    let mut watching = Watching::a_server_that([Answer::pieces(
        [
            (0, event("ADDED", &odd)),
            (0, list_is_whole(1)),
            (10, event("DELETED", &odd)),
        ],
        Then::Hangs,
    )]);
    assert!(why(watching.after(5).await).contains("a: it has no port named https"));
    assert_eq!(watching.after(10).await, fresh(&[]));
}

#[tokio::test(start_paused = true)]
async fn what_is_no_object_at_all_makes_everything_doubtful_until_it_is_listed_anew() {
    let nonsense = Answer::pieces(
        [
            (0, added("a", 1)),
            (0, list_is_whole(1)),
            (5, "<html>\n".to_owned()),
        ],
        Then::Hangs,
    );
    let mut watching = Watching::a_server_that([nonsense, list_of_one(Then::Hangs)]);
    assert_eq!(watching.after(1).await, fresh(&["a"]));
    let told = why(watching.after(9).await);
    assert!(
        told.starts_with("garbled: the watch on endpointslices"),
        "{told}"
    );
    assert!(told.contains("is not an object"), "{told}");
    assert_eq!(watching.after(10).await, fresh(&["a"]));
}

#[tokio::test(start_paused = true)]
async fn where_lists_are_not_streamed_pages_are_read() {
    let unstreamed = refusal(
        422,
        "Invalid",
        "ListOptions.meta.k8s.io \"\" is invalid: sendInitialEvents: Forbidden: \
         sendInitialEvents is forbidden for watch unless the WatchList feature gate is enabled",
    );
    let page = |name: &str, next: &str| {
        let list = json!({
            "kind": "EndpointSliceList", "apiVersion": "discovery.k8s.io/v1",
            "metadata": { "resourceVersion": "7", "continue": next },
            "items": [slice(name, 1, "10.0.0.1")]
        });
        Answer::whole(200, list.to_string())
    };
    let watch = Answer::pieces([(5, added("c", 8))], Then::Hangs);
    let mut watching =
        Watching::a_server_that([unstreamed, page("a", "more"), page("b", ""), watch]);
    assert_eq!(watching.after(1).await, fresh(&["a", "b"]));
    assert_eq!(watching.after(10).await, fresh(&["a", "b", "c"]));
    let asked = watching.server.asked();
    assert!(
        asked[1].contains("limit=500") && asked[2].contains("continue=more"),
        "{asked:?}"
    );
}

#[tokio::test(start_paused = true)]
async fn a_connection_that_breaks_is_taken_up_where_it_broke() {
    let resumed = Answer::pieces([(0, added("b", 2))], Then::Hangs);
    let mut watching = Watching::a_server_that([list_of_one(Then::Breaks), resumed]);
    assert_eq!(watching.after(10).await, fresh(&["a", "b"]));
    assert!(watching.server.asked()[1].ends_with("resourceVersion=1"));
}
