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
        selector: "app.kubernetes.io/name=weir".to_owned(),
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
    let files = files(&dump.finish().unwrap());
    let errors = &files.last().unwrap().1;
    assert!(errors.contains("kinds/guardedrollouts: no"), "{errors}");
}
