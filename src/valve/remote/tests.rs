use std::sync::{Arc, Mutex};

use http::{Request, Response};
use http_body_util::BodyExt;
use kube::client::Body;
use proptest::prelude::*;

use super::*;

fn spec() -> impl Strategy<Value = ValveSpec> {
    let approved = proptest::collection::btree_map("[ab]\\.[cd]", "x|y", 0..4);
    (any::<bool>(), approved).prop_map(|(adopted, approved)| ValveSpec { adopted, approved })
}

/// RFC 7396, for objects of objects and scalars.
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

proptest! {
    #[test]
    fn the_difference_turns_any_spec_into_any_other(current in spec(), desired in spec()) {
        let mut valve = json!({ "spec": current });
        match difference(&current, &desired) {
            None => prop_assert_eq!(current, desired),
            Some(patch) => {
                prop_assert_ne!(&current, &desired);
                merge(&mut valve, &patch);
                let reached: ValveSpec = serde_json::from_value(valve["spec"].take()).unwrap();
                prop_assert_eq!(reached, desired);
            }
        }
    }

    #[test]
    fn an_approval_that_a_person_adds_meanwhile_is_left_alone(
        current in spec(), desired in spec(), theirs in "[e-h]\\.[ij]",
    ) {
        let mut valve = json!({ "spec": current });
        merge(&mut valve, &json!({ "spec": { "approved": { &theirs: "by hand" } } }));
        merge(&mut valve, &difference(&current, &desired).unwrap_or(json!({})));
        prop_assert_eq!(&valve["spec"]["approved"][&theirs], "by hand");
    }
}

/// A request as an API server would see it: method, path with query, body.
type Seen = Arc<Mutex<Vec<(String, String, Value)>>>;

/// A client whose API server answers each pod creation with the pod, gated if `gate` says so, and
/// anything else with a Valve.
fn client(gate: fn(&Value) -> bool) -> (Client, Seen) {
    let seen = Seen::default();
    let log = Arc::clone(&seen);
    let service = tower::service_fn(move |request: Request<Body>| {
        let log = Arc::clone(&log);
        async move {
            let (parts, body) = request.into_parts();
            let body = body.collect().await?.to_bytes();
            let asked: Value = serde_json::from_slice(&body).unwrap();
            let mut answer = json!(Valve::new(SINGLETON, ValveSpec::default()));
            if parts.uri.path().ends_with("/pods") {
                answer = asked.clone();
                if gate(&asked) {
                    answer["spec"]["schedulingGates"] = json!([{ "name": marks::GATE }]);
                }
            }
            let line = (parts.method.to_string(), parts.uri.to_string(), asked);
            log.lock().unwrap().push(line);
            Ok::<_, tower::BoxError>(Response::new(Body::from(answer.to_string().into_bytes())))
        }
    });
    (Client::new(service, "default"), seen)
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
    let spec = ValveSpec {
        adopted: true,
        approved: BTreeMap::from([("a.b".to_owned(), "note".to_owned())]),
    };
    let none = ValveSpec::default();
    assert_eq!(
        write(&client, Some(&spec), &spec).await.unwrap(),
        Effect::Unchanged
    );
    assert_eq!(
        write(&client, None, &none).await.unwrap(),
        Effect::Unchanged
    );
    assert!(seen.lock().unwrap().is_empty());
}

#[tokio::test]
async fn a_missing_object_is_created_and_an_emptied_one_is_filled() {
    let (client, seen) = client(|_| false);
    let spec = ValveSpec {
        adopted: true,
        approved: BTreeMap::from([("a.b".to_owned(), "note".to_owned())]),
    };
    assert_eq!(write(&client, None, &spec).await.unwrap(), Effect::Created);
    let emptied = ValveSpec::default();
    assert_eq!(
        write(&client, Some(&emptied), &spec).await.unwrap(),
        Effect::Changed
    );
    let seen = seen.lock().unwrap();
    assert_eq!(seen[0].0, "POST");
    assert_eq!(seen[0].2["spec"], json!(spec));
    assert_eq!(seen[1].0, "PATCH");
    assert_eq!(seen[1].2, json!({ "spec": spec }));
}

#[tokio::test]
async fn an_approval_names_one_key_and_nothing_else() {
    let (client, seen) = client(|_| false);
    approve(&client, "a.b", "shop/logs by weir").await.unwrap();
    let seen = seen.lock().unwrap();
    let (method, path, body) = &seen[0];
    assert_eq!(method, "PATCH");
    assert!(
        path.starts_with("/apis/weir.dev/v1alpha1/valves/cluster?"),
        "{path}"
    );
    assert_eq!(
        *body,
        json!({ "spec": { "approved": { "a.b": "shop/logs by weir" } } })
    );
}
