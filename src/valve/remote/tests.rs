use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use proptest::prelude::*;

use super::*;

const KEY: &str = "11111111-2222-3333-4444-555555555555.7d9f8c6b5";

fn approvals() -> impl Strategy<Value = Approvals> {
    let approved = proptest::collection::btree_map("[ab]\\.[cd]", "|x|y", 0..4);
    (any::<bool>(), approved).prop_map(|(adopted, approved)| Approvals { adopted, approved })
}

/// RFC 7396, for objects of objects, lists and scalars.
fn merge(target: &mut Value, patch: &Value) {
    let Value::Object(patch) = patch else {
        *target = patch.clone();
        return;
    };
    if !target.is_object() {
        *target = json!({});
    }
    for (key, value) in patch {
        let fields = target.as_object_mut().unwrap();
        if value.is_null() {
            fields.remove(key);
        } else {
            merge(fields.entry(key.clone()).or_insert(Value::Null), value);
        }
    }
}

/// The Role that says this, as an API server has it, with an annotation of somebody else's.
fn stored(approvals: &Approvals, version: &str) -> Value {
    let mut stored = json!(role(approvals));
    stored["metadata"]["resourceVersion"] = json!(version);
    stored["metadata"]["annotations"]["example.com/theirs"] = json!("kept");
    stored
}

fn read(stored: &Value) -> Standing {
    let role: Role = serde_json::from_value(stored.clone()).unwrap();
    Standing::read(&role.metadata, &role.rules.unwrap_or_default())
}

fn approved(keys: &[&str]) -> Approvals {
    let note = |key: &&str| ((*key).to_owned(), "shop/logs by weir".to_owned());
    Approvals {
        adopted: true,
        approved: keys.iter().map(note).collect(),
    }
}

proptest! {
    #[test]
    fn the_difference_turns_any_role_into_any_other(
        current in approvals(), desired in approvals(),
    ) {
        let mut stored = stored(&current, "7");
        let patch = difference(&read(&stored), &desired);
        prop_assert_eq!(&patch["metadata"]["resourceVersion"], "7", "it would overwrite others'");
        merge(&mut stored, &patch);
        let reached = read(&stored);
        prop_assert_eq!(reached.says, desired);
        prop_assert!(reached.tidy);
        prop_assert_eq!(&stored["metadata"]["annotations"]["example.com/theirs"], "kept");
    }
}

/// A request as an API server would see it: method, path with query, body.
type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A client whose API server answers each pod creation with the pod, gated if `gate` says so, and
/// anything about a Role with `role`; it refuses so many patches as overtaken.
fn server(gate: fn(&Value) -> bool, role: Value, overtaken: usize) -> (Client, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let (log, role) = (Arc::clone(&log), role.clone());
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let asked: Value = serde_json::from_slice(&body).unwrap_or_default();
            let mut answer = role;
            if parts.uri.path().ends_with("/pods") {
                answer = asked.clone();
                if gate(&asked) {
                    answer["spec"]["schedulingGates"] = json!([{ "name": marks::GATE }]);
                }
            }
            let line = (parts.method.to_string(), parts.uri.to_string(), asked);
            let mut log = log.lock().unwrap();
            log.push(line);
            let writes = log.iter().filter(|(method, ..)| method != "GET").count();
            let mut code = 200;
            if parts.method != "GET" && writes <= overtaken {
                code = 409;
                answer = json!({
                    "kind": "Status", "apiVersion": "v1", "status": "Failure", "code": 409,
                    "reason": "Conflict", "message": "the object has been modified",
                });
            }
            let body = Body::from(answer.to_string().into_bytes());
            let answer = Response::builder().status(code).body(body).unwrap();
            Ok::<_, tower::BoxError>(answer)
        }
    });
    (Client::new(service, "default"), seen)
}

fn client(gate: fn(&Value) -> bool) -> (Client, Seen) {
    server(gate, stored(&approved(&[KEY]), "7"), 0)
}

#[tokio::test]
async fn the_check_asks_by_dry_run_only_and_in_its_own_namespace() {
    let (client, seen) = client(|_| true);
    assert_eq!(check_active(&client).await.unwrap(), Gate::InForce);
    let seen = seen.lock().unwrap();
    assert_eq!(seen.len(), 2);
    for (method, path, pod) in seen.iter() {
        assert_eq!(method, "POST");
        assert!(
            path.starts_with("/api/v1/namespaces/weir-check/pods?"),
            "{path}"
        );
        assert!(path.contains("dryRun=All"), "{path}");
        assert!(pod["spec"]["schedulingGates"].is_null());
    }
    assert!(seen[0].2["metadata"]["labels"][marks::GUARD].is_null());
    assert_eq!(seen[1].2["metadata"]["labels"][marks::GUARD], "enforce");
}

#[tokio::test]
async fn the_check_says_which_binding_is_missing() {
    let (client, _) = client(|pod| pod["metadata"]["labels"][marks::GUARD] == "enforce");
    let found = check_active(&client).await.unwrap();
    let expected = Gate::Open {
        namespaces: false,
        templates: true,
    };
    assert_eq!(found, expected);
}

#[tokio::test]
async fn nothing_is_written_where_nothing_changes() {
    let (client, seen) = client(|_| false);
    let approvals = approved(&[KEY]);
    let current = read(&stored(&approvals, "7"));
    let none = Approvals::default();
    for (current, desired) in [(Some(&current), &approvals), (None, &none)] {
        let written = write(&client, current, desired).await.unwrap();
        assert_eq!(written, Effect::Unchanged);
    }
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_role_is_created_and_an_emptied_or_untidy_one_is_written_anew() {
    let (client, seen) = client(|_| false);
    let desired = approved(&[KEY]);
    let written = write(&client, None, &desired).await.unwrap();
    assert_eq!(written, Effect::Created);
    let mut by_hand = stored(&desired, "9");
    by_hand["rules"] = json!(desired.rules().into_iter().rev().collect::<Vec<_>>());
    for current in [stored(&Approvals::default(), "8"), by_hand] {
        let written = write(&client, Some(&read(&current)), &desired).await;
        assert_eq!(written.unwrap(), Effect::Changed);
    }
    let seen = seen.lock().unwrap();
    let roles = "/apis/rbac.authorization.k8s.io/v1/namespaces/weir-system/roles";
    assert_eq!(seen[0].0, "POST");
    assert!(seen[0].1.starts_with(roles), "{}", seen[0].1);
    assert_eq!(seen[0].2["rules"], json!(desired.rules()));
    for (at, version) in [(1, "8"), (2, "9")] {
        assert_eq!(seen[at].0, "PATCH");
        assert!(seen[at].1.starts_with(&format!("{roles}/weir-approved?")));
        assert_eq!(seen[at].2["metadata"]["resourceVersion"], version);
        assert_eq!(seen[at].2["rules"], json!(desired.rules()));
    }
}

#[tokio::test]
async fn a_write_that_somebody_was_faster_than_changes_nothing_and_is_no_failure() {
    let current = read(&stored(&Approvals::default(), "8"));
    for current in [Some(&current), None] {
        let (client, _) = server(|_| false, json!({}), 1);
        let written = write(&client, current, &approved(&[KEY])).await;
        assert_eq!(written.unwrap(), Effect::Overtaken);
    }
}

#[tokio::test]
async fn an_approval_keeps_what_others_approved_and_is_tried_again_if_they_were_faster() {
    let others = stored(&approved(&[KEY]), "7");
    let (client, seen) = server(|_| false, others.clone(), 2);
    approve(&client, "a.b", "shop/agent by weir").await.unwrap();
    let seen = seen.lock().unwrap();
    let methods: Vec<&str> = seen.iter().map(|(method, ..)| method.as_str()).collect();
    assert_eq!(methods, ["GET", "PATCH", "GET", "PATCH", "GET", "PATCH"]);
    let mut reached = others;
    merge(&mut reached, &seen[5].2);
    let reached = read(&reached);
    assert!(reached.says.adopted && reached.tidy);
    assert!(reached.says.approved.keys().eq([KEY, "a.b"]));
    assert_eq!(reached.says.approved["a.b"], "shop/agent by weir");
}

#[tokio::test]
async fn nothing_is_approved_in_a_role_that_approves_everything() {
    let mut all = stored(&approved(&[]), "7");
    all["rules"][0]["resourceNames"] = json!([]);
    let (client, seen) = server(|_| false, all, 0);
    let lost = approve(&client, "a.b", "note").await;
    assert!(matches!(lost, Err(ValveError::Lost)));
    assert_eq!(seen.lock().unwrap().len(), 1, "it was only read");
}
