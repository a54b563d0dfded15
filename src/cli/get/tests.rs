//! Pages, order and forms.

use serde_json::{Value, json};

use super::*;
use crate::{
    cli::find::tests::{connection, refusal},
    client::fake::{Answer, Server},
};

fn rollout(namespace: &str, name: &str) -> Value {
    json!({
        "metadata": { "namespace": namespace, "name": name },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "r",
        },
    })
}

fn page(items: &[Value], next: &str) -> Answer {
    let list = json!({ "metadata": { "continue": next }, "items": items });
    Answer::whole(200, list.to_string())
}

#[tokio::test]
async fn all_pages_are_asked_for_and_sorted() {
    let pages = [
        page(&[rollout("shop", "logs-2"), rollout("shop", "logs-1")], "x"),
        page(&[rollout("ads", "logs-3")], ""),
    ];
    let server = Server::that(pages);
    let connection = connection(&server);
    let items = all(&connection, true).await.unwrap();
    let list = list(items, Scope::Cluster, &connection);
    assert_eq!(
        show(&list, Output::Name).unwrap(),
        "guardedrollout.weir.dev/logs-3\nguardedrollout.weir.dev/logs-1\n\
         guardedrollout.weir.dev/logs-2\n"
    );
    assert_eq!(
        server.asked(),
        [
            "GET /apis/weir.dev/v1alpha1/guardedrollouts?&limit=500",
            "GET /apis/weir.dev/v1alpha1/guardedrollouts?&limit=500&continue=x",
        ]
    );
    let document: Value = serde_json::from_str(&show(&list, Output::Json).unwrap()).unwrap();
    assert_eq!(document["kind"], "List");
    assert_eq!(document["items"][0]["kind"], "GuardedRollout");
    assert_eq!(document["items"][0]["metadata"]["namespace"], "ads");
}

#[tokio::test]
async fn without_the_kind_it_says_that_weir_is_not_installed() {
    let server = Server::that([Answer::whole(404, "404 page not found")]);
    let error = all(&connection(&server), false).await.unwrap_err();
    assert_eq!(error.kind().code(), 2);
    assert!(error.report().contains("Weir is not installed"), "{error}");
}

#[tokio::test]
async fn whoever_may_list_one_namespace_only_is_told_to_name_it() {
    for (all_namespaces, said) in [
        (true, "hint: give -n NAMESPACE"),
        (false, "in that namespace"),
    ] {
        let server = Server::that([refusal(403)]);
        let error = all(&connection(&server), all_namespaces).await.unwrap_err();
        assert_eq!(error.kind().code(), 3);
        assert!(error.report().contains(said), "{}", error.report());
    }
}

#[tokio::test]
async fn who_owns_which_field_is_shown_on_demand() {
    let server = Server::that([]);
    let connection = connection(&server);
    let mut rollout = rollout("shop", "logs-1");
    rollout["metadata"]["managedFields"] = json!([{ "manager": "weir" }]);
    for (name, output) in [
        ("", Output::Json),
        ("logs-1", Output::Json),
        ("logs-1", Output::Yaml),
    ] {
        for wanted in [false, true] {
            let args = RolloutsArgs {
                names: (!name.is_empty())
                    .then(|| name.to_owned())
                    .into_iter()
                    .collect(),
                output,
                show_managed_fields: wanted,
            };
            let items = vec![serde_json::from_value(rollout.clone()).unwrap()];
            let text = shown(list(items, Scope::Namespace, &connection), &args).unwrap();
            assert_eq!(text.contains("managedFields"), wanted, "{text}");
            assert!(text.contains("logs-1"), "{text}");
        }
    }
}

#[test]
fn that_there_is_nothing_is_said() {
    assert_eq!(
        nothing(Scope::Namespace, "shop"),
        "No rollouts found in namespace shop; -A looks in all.\n"
    );
}
