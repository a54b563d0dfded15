//! What is in an archive, and what is not.

use std::io::Read;

use serde_json::json;

use super::*;
use crate::{
    cli::find::tests::{connection, refusal},
    client::fake::{Answer, Server},
};

fn args() -> SysdumpArgs {
    SysdumpArgs {
        weir: WeirArgs {
            weir_namespace: "weir-system".to_owned(),
            lease_name: "weir".to_owned(),
        },
        output_file: None,
        selector: crate::api::marks::INSTALLED.to_owned(),
    }
}

fn files(archive: &[u8]) -> Vec<(String, String)> {
    let mut tar = tar::Archive::new(flate2::read::GzDecoder::new(archive));
    let entries = tar.entries().unwrap();
    entries
        .map(|entry| {
            let mut entry = entry.unwrap();
            let name = entry.path().unwrap().to_string_lossy().into_owned();
            let mut text = String::new();
            entry.read_to_string(&mut text).unwrap();
            (name, text)
        })
        .collect()
}

#[tokio::test]
async fn an_operator_s_logs_and_pods_are_in_it_without_their_secrets() {
    let pods = json!({ "metadata": {}, "items": [{
        "metadata": { "namespace": "weir-system", "name": "weir-1" },
        "spec": { "containers": [{
            "name": "weir", "env": [{ "name": "PASSWORD", "value": "hunter2" }],
        }] },
    }] });
    let nothing = json!({ "metadata": {}, "items": [] }).to_string();
    let server = Server::that([
        Answer::whole(200, nothing),
        Answer::whole(200, pods.to_string()),
        Answer::whole(200, "begins with token=hunter2"),
        refusal(400),
    ]);
    let (connection, args) = (connection(&server), args());
    let mut dump = Dump::new(&connection, &args);
    dump.of_operator().await;
    for asked in &server.asked()[..2] {
        assert!(asked.contains("labelSelector=app.kubernetes.io"), "{asked}");
    }
    assert_eq!(dump.said(), "3 files");
    let files = files(&dump.finish().unwrap());
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(
        names,
        [
            "weir-sysdump/operator/deployments.json",
            "weir-sysdump/operator/pods.json",
            "weir-sysdump/operator/weir-1.log",
        ]
    );
    assert!(
        !files.iter().any(|(_, text)| text.contains("hunter2")),
        "{files:?}"
    );
    assert!(files[2].1.starts_with("begins with token=(redacted)"));
}

#[tokio::test]
async fn what_may_not_be_read_is_named_and_secrets_are_never_asked_for() {
    let server = Server::that((0..40).map(|_| refusal(403)));
    let (connection, args) = (connection(&server), args());
    let mut dump = Dump::new(&connection, &args);
    dump.collect().await;
    let asked = server.asked().join("\n");
    for never in ["/secrets", "/configmaps"] {
        assert!(!asked.contains(never), "{asked}");
    }
    assert!(!dump.errors.is_empty());
    let files = files(&dump.finish().unwrap());
    let names: Vec<_> = files.iter().map(|(name, _)| name.as_str()).collect();
    assert_eq!(names, ["weir-sysdump/errors.txt"], "nothing says `none`");
    let errors = &files[0].1;
    assert!(errors.contains("kinds/guardedrollouts: no"), "{errors}");
    // What is not Weir's is asked for by name only.
    for whole in [
        "GET /apis/apiextensions.k8s.io/v1/customresourcedefinitions?",
        "GET /apis/admissionregistration.k8s.io/v1/mutatingadmissionpolicies?",
    ] {
        assert!(!asked.contains(whole), "{asked}");
    }
}

#[tokio::test]
async fn an_api_server_that_refuses_its_version_may_answer_more() {
    for (code, goes_on) in [(401, false), (403, true), (429, true), (503, true)] {
        let server = Server::that([refusal(code)]);
        let (connection, args) = (connection(&server), args());
        let mut dump = Dump::new(&connection, &args);
        let asked = dump.versions("now").await;
        assert_eq!(asked.is_ok(), goes_on, "{code}");
        assert_eq!(dump.errors.len(), usize::from(goes_on), "{code}");
    }
}

#[tokio::test]
async fn what_errors_quote_is_redacted_too() {
    let server = Server::that([]);
    let (connection, args) = (connection(&server), args());
    let mut dump = Dump::new(&connection, &args);
    dump.errors.push("kinds: password=hunter2 is wrong".into());
    let files = files(&dump.finish().unwrap());
    assert_eq!(files[0].1, "kinds: password=(redacted) is wrong\n");
}

#[tokio::test]
async fn only_enrolled_workloads_are_in_it() {
    let namespaces = json!({ "metadata": {}, "items": [{ "metadata": { "name": "shop" } }] });
    let daemon_set = |namespace: &str, name: &str, labels: serde_json::Value| {
        json!({
            "metadata": { "namespace": namespace, "name": name },
            "spec": { "selector": {}, "template": { "metadata": { "labels": labels } } },
        })
    };
    let daemon_sets = json!({ "metadata": {}, "items": [
        daemon_set("shop", "logs", json!({})),
        daemon_set("bank", "vault", json!({ "app": "vault" })),
        daemon_set("bank", "agent", json!({ "weir.dev/guard": "shadow" })),
    ] });
    let server = Server::that([
        Answer::whole(200, namespaces.to_string()),
        Answer::whole(200, daemon_sets.to_string()),
        refusal(403),
    ]);
    let (connection, args) = (connection(&server), args());
    let mut dump = Dump::new(&connection, &args);
    dump.of_enrolled().await;
    let files = files(&dump.finish().unwrap());
    let found = &files[1].1;
    assert!(found.contains("logs") && found.contains("agent"), "{found}");
    assert!(!found.contains("vault"), "{found}");
}

#[test]
fn the_archive_is_the_caller_s_alone_and_replaces_nothing() {
    use std::os::unix::fs::PermissionsExt;

    let name = format!("weir-sysdump-test-{}.tar.gz", std::process::id());
    let path = std::env::temp_dir().join(name);
    may_write(&path).unwrap();
    assert!(!path.exists(), "an interruption leaves nothing");
    write(&path, b"one").unwrap();
    let known = may_write(&path).unwrap_err();
    let mode = std::fs::metadata(&path).unwrap().permissions().mode();
    let again = write(&path, b"two").unwrap_err();
    let kept = std::fs::read(&path).unwrap();
    std::fs::remove_file(&path).unwrap();
    assert_eq!(mode & 0o777, 0o600);
    for refused in [known, again] {
        assert_eq!(refused.kind(), io::ErrorKind::AlreadyExists);
    }
    assert_eq!(kept, b"one");
}
