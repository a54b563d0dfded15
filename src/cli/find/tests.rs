//! Names, candidates, requests and refusals.

use serde_json::json;

use super::*;
use crate::{
    client::fake::{Answer, Server},
    clock::Clock,
};

pub(in crate::cli) fn connection(server: &Server) -> Connection {
    Connection {
        client: server.client(),
        releases: server.client(),
        server: "https://10.0.0.1:6443/".to_owned(),
        namespace: "shop".to_owned(),
        clock: Clock::start(),
    }
}

pub(in crate::cli) fn refusal(code: u16) -> Answer {
    // What is not there is known by its reason.
    let reason = if code == 404 { "NotFound" } else { "" };
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": "no", "reason": reason, "code": code
    });
    Answer::whole(code, status.to_string())
}

fn list(rollouts: &[GuardedRollout]) -> Answer {
    let list = json!({ "metadata": { "continue": "x" }, "items": rollouts });
    Answer::whole(200, list.to_string())
}

fn rollout(workload: &str, hash: &str, state: Option<&str>) -> GuardedRollout {
    serde_json::from_value(json!({
        "metadata": { "namespace": "shop", "name": format!("{workload}-{hash}") },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": workload, "uid": "u" },
            "revision": hash,
        },
        "status": state.map(|state| json!({ "state": state })),
    }))
    .unwrap()
}

fn name(found: Result<GuardedRollout, (Why, Vec<String>)>) -> String {
    found.unwrap().metadata.name.unwrap()
}

#[test]
fn names_are_written_as_for_kubectl() {
    assert_eq!(parsed("logs", "shop").unwrap(), Asked::Any("logs"));
    assert_eq!(parsed("ds/logs", "shop").unwrap(), Asked::DaemonSet("logs"));
    assert_eq!(
        parsed("gro/logs-1", "shop").unwrap(),
        Asked::Rollout("logs-1")
    );
    let error = parsed("deployment/logs", "shop").unwrap_err();
    assert_eq!(error.kind().code(), 2);
    assert!(
        error.report().contains("neither a DaemonSet nor"),
        "{}",
        error.report()
    );
}

#[test]
fn of_several_revisions_the_one_under_way_is_meant() {
    let all = vec![
        rollout("logs", "1", Some("Superseded")),
        rollout("logs", "2", Some("Complete")),
        rollout("logs", "3", None),
        rollout("metrics", "1", Some("Held")),
    ];
    assert_eq!(name(chosen(Asked::Any("logs"), all.clone())), "logs-3");
    assert_eq!(
        name(chosen(Asked::DaemonSet("metrics"), all.clone())),
        "metrics-1"
    );
    assert_eq!(
        name(chosen(Asked::Any("logs"), all[..2].to_vec())),
        "logs-2"
    );
}

#[test]
fn where_it_is_not_clear_the_candidates_are_named() {
    let all = vec![
        rollout("logs", "1", Some("Held")),
        rollout("logs", "2", Some("Held")),
        rollout("metrics", "1", Some("Superseded")),
    ];
    let (why, names) = chosen(Asked::Any("logs"), all.clone()).unwrap_err();
    assert_eq!(why, Why::Several);
    assert_eq!(
        names,
        ["logs-1 of daemonset/logs", "logs-2 of daemonset/logs"]
    );
    let (why, names) = chosen(Asked::Any("metrics"), all.clone()).unwrap_err();
    assert_eq!((why, names.len()), (Why::Superseded, 1));
    let (why, names) = chosen(Asked::DaemonSet("lags"), all).unwrap_err();
    assert_eq!((why, names.len()), (Why::None, 2));
}

#[tokio::test]
async fn two_requests_are_enough() {
    let held = || vec![rollout("logs", "1", Some("Held"))];
    let answers = [refusal(404), list(&held())];
    let server = Server::that(answers);
    let found = super::rollout(&connection(&server), "logs").await.unwrap();
    assert_eq!(found.metadata.name.as_deref(), Some("logs-1"));
    let path = "/apis/weir.dev/v1alpha1/namespaces/shop/guardedrollouts";
    assert_eq!(
        server.asked(),
        [format!("GET {path}/logs"), format!("GET {path}?&limit=500")]
    );
    let server = Server::that([list(&held())]);
    super::rollout(&connection(&server), "ds/logs")
        .await
        .unwrap();
    assert_eq!(server.asked().len(), 1);
}

#[tokio::test]
async fn each_refusal_has_its_exit_code() {
    let cases = [
        (vec![refusal(404), refusal(404)], 2, "not installed"),
        (vec![refusal(404), list(&[])], 2, "no rollout of `logs`"),
        (vec![refusal(403)], 3, "refuses: no"),
        (vec![refusal(401)], 3, "credentials"),
        (vec![refusal(404), refusal(503)], 3, "answered with 503: no"),
    ];
    for (answers, code, said) in cases {
        let server = Server::that(answers);
        let error = super::rollout(&connection(&server), "logs")
            .await
            .unwrap_err();
        assert_eq!(error.kind().code(), code, "{said}");
        assert!(error.report().contains(said), "{}", error.report());
    }
}

#[test]
fn an_error_says_what_there_is() {
    let error = Unnamed {
        asked: "lags".to_owned(),
        namespace: "shop".to_owned(),
        why: Why::None,
        candidates: vec!["logs-1 of daemonset/logs".to_owned()],
        is_cut: true,
    };
    assert_eq!(
        error.to_string(),
        "there is no rollout of `lags` in namespace shop (there are logs-1 of daemonset/logs); \
         only the first 500 were looked at"
    );
}
