//! When a wait is over, and what is written while somebody watches.

use std::sync::{Arc, Mutex};

use serde_json::{Value, json};

use super::{super::outcome, *};
use crate::{
    cli::{
        connect::WeirArgs,
        find::tests::{connection, refusal},
    },
    client::fake::{Answer, Server},
};

/// A page that can be read while it is written; after so many writes nobody reads it any longer.
#[derive(Clone, Default)]
struct Page {
    text: Arc<Mutex<String>>,
    lines: usize,
}

impl Write for Page {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let mut text = self.text.lock().unwrap();
        if text.lines().count() >= self.lines {
            return Err(io::ErrorKind::BrokenPipe.into());
        }
        text.push_str(std::str::from_utf8(bytes).unwrap());
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

fn args(timeout: f64) -> StatusArgs {
    StatusArgs {
        output: Output::Text,
        weir: WeirArgs {
            weir_namespace: "weir-system".to_owned(),
            lease_name: "weir".to_owned(),
        },
        watch: false,
        wait: true,
        timeout,
        interval: 5.0,
    }
}

/// What looks at all namespaces.
fn watch<'a>(connection: &'a Connection, args: &'a StatusArgs) -> Watch<'a> {
    Watch {
        connection,
        namespace: None,
        args,
    }
}

/// What writes to a page as to a file or a pipe.
fn off_a_terminal(page: &Page) -> Paper {
    Paper {
        out: Box::new(page.clone()),
        rows: None,
        plain: false,
        last: None,
    }
}

/// The three answers of one look.
fn answers(state: &str) -> [Answer; 3] {
    let rollout = json!({
        "metadata": { "namespace": "shop", "name": "logs-5d4f" },
        "spec": {
            "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
        },
        "status": { "state": state, "width": 4, "fullWidth": 200 },
    });
    let list: Value = json!({ "metadata": {}, "items": [rollout] });
    [
        refusal(404),
        Answer::whole(200, list.to_string()),
        refusal(404),
    ]
}

async fn waited(states: &[&str], timeout: f64) -> (Result<Status, CliError>, usize) {
    let server = Server::that(states.iter().flat_map(|state| answers(state)));
    let connection = connection(&server);
    let args = args(timeout);
    let watch = watch(&connection, &args);
    let ended = watch.wait(None).await;
    (ended, server.asked().len())
}

#[tokio::test(start_paused = true)]
async fn it_waits_until_nothing_is_on_its_way() {
    // Once nothing is, for ten seconds more: a record may be about to be made.
    let states = [
        "Held", "Complete", "Soaking", "Complete", "Complete", "Complete",
    ];
    let (ended, asked) = waited(&states, 600.0).await;
    assert_eq!(asked, 18);
    assert_eq!(under_way(&ended.unwrap()), [""; 0]);
}

#[tokio::test(start_paused = true)]
async fn what_takes_too_long_is_trouble() {
    let (status, asked) = waited(&["Held", "Held", "Held"], 10.0).await;
    assert_eq!(asked, 9);
    let trouble = status.unwrap().trouble;
    let last = trouble.last().map(String::as_str);
    assert_eq!(last, Some("still on its way in the end: shop/logs-5d4f"));
}

#[tokio::test(start_paused = true)]
async fn without_a_terminal_a_line_is_added_for_whatever_changes() {
    let states = ["Soaking", "Soaking", "Held", "Held", "Complete"];
    let server = Server::that(states.iter().flat_map(|state| answers(state)));
    let connection = connection(&server);
    let args = args(600.0);
    let watch = watch(&connection, &args);
    let page = Page {
        lines: 2,
        ..Page::default()
    };
    let mut paper = off_a_terminal(&page);
    drop(watch.watch(&mut paper).await.unwrap());
    let text = page.text.lock().unwrap().clone();
    let lines: Vec<_> = text.lines().collect();
    assert_eq!(lines.len(), 2, "{text}");
    assert!(lines[0].starts_with("1 in flight, 0 held"), "{text}");
    assert!(lines[1].starts_with("1 in flight, 1 held"), "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_terminal_is_drawn_on_in_place() {
    let server = Server::that(answers("Held"));
    let connection = connection(&server);
    let args = args(600.0);
    let watch = watch(&connection, &args);
    let page = Page {
        lines: 1000,
        ..Page::default()
    };
    let mut paper = Paper {
        out: Box::new(page.clone()),
        rows: Some(|| 6),
        plain: true,
        last: None,
    };
    let looked = watch.look().await;
    watch.shown(&mut paper, &looked).unwrap();
    let text = page.text.lock().unwrap().clone();
    assert!(text.starts_with("\x1b[?7l\x1b[H"), "{text:?}");
    assert_eq!(text.matches("\x1b[K").count(), 5, "{text:?}");
}

/// What was written, off a terminal, while the rollout went through these states.
async fn written(output: Output, states: &[&str]) -> String {
    let server = Server::that(states.iter().flat_map(|state| answers(state)));
    let connection = connection(&server);
    let args = StatusArgs {
        output,
        ..args(600.0)
    };
    let watch = watch(&connection, &args);
    let page = Page {
        lines: 1000,
        ..Page::default()
    };
    let mut paper = off_a_terminal(&page);
    for _ in states {
        let looked = watch.look().await;
        watch.shown(&mut paper, &looked).unwrap();
    }
    page.text.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn programs_get_a_document_for_whatever_changes() {
    let text = written(Output::Json, &["Soaking", "Soaking", "Held"]).await;
    let documents = serde_json::Deserializer::from_str(&text).into_iter::<Value>();
    let states: Vec<Value> = documents
        .map(|one| one.unwrap()["rollouts"]["open"][0]["state"].clone())
        .collect();
    assert_eq!(states, ["Soaking", "Held"]);
}

/// What was written, off a terminal, while somebody watched and waited.
async fn watched_to_the_end(output: Output, states: &[&str]) -> String {
    let server = Server::that(states.iter().flat_map(|state| answers(state)));
    let connection = connection(&server);
    let args = StatusArgs {
        output,
        watch: true,
        ..args(10.0)
    };
    let watch = watch(&connection, &args);
    let page = Page {
        lines: 1000,
        ..Page::default()
    };
    let mut paper = off_a_terminal(&page);
    let ended = watch.wait(Some(&mut paper)).await.unwrap();
    let rest = outcome(&ended, &args).unwrap();
    assert_eq!((rest.text.as_str(), rest.code), ("", 1));
    page.text.lock().unwrap().clone()
}

#[tokio::test(start_paused = true)]
async fn the_end_is_shown_once_and_the_documents_are_sound() {
    let states = ["Soaking", "Held", "Held"];
    let text = watched_to_the_end(Output::Yaml, &states).await;
    let documents: Vec<Value> = serde_saphyr::from_multiple(&text).unwrap();
    assert_eq!(documents.len(), 3, "{text}");
    let trouble = documents[2]["trouble"].as_array().unwrap();
    assert_eq!(
        trouble.last().unwrap(),
        "still on its way in the end: shop/logs-5d4f"
    );

    let text = watched_to_the_end(Output::Text, &states).await;
    assert_eq!(text.matches("in the end").count(), 1, "{text}");
    assert_eq!(text.lines().count(), 3, "{text}");
}

#[tokio::test(start_paused = true)]
async fn a_look_that_is_under_way_when_the_wait_is_over_is_given_up() {
    // Looks at 0 and 5 s; to the second one there is never an answer.
    for (timeout, ends) in [(8.0, 8), (5.5, 6), (5.0, 6)] {
        let server = Server::that(answers("Held"));
        let connection = connection(&server);
        let args = args(timeout);
        let error = watch(&connection, &args).wait(None).await.unwrap_err();
        assert_eq!(error.kind().code(), 3);
        assert!(error.report().contains("(--timeout)"), "{error}");
        assert_eq!(connection.clock.elapsed().as_secs(), ends);
        assert_eq!(server.asked().len(), 6);
    }
}

#[tokio::test(start_paused = true)]
async fn whoever_may_not_look_does_not_wait_for_it() {
    for (code, expected) in [(403, 3), (404, 2)] {
        let server = Server::that([refusal(403), refusal(code), refusal(403)]);
        let connection = connection(&server);
        let args = args(600.0);
        let watch = watch(&connection, &args);
        let error = watch.wait(None).await.unwrap_err();
        assert_eq!(error.kind().code(), expected, "{error}");
        assert_eq!(server.asked().len(), 3);
    }
}

#[tokio::test(start_paused = true)]
async fn what_lies_beyond_the_first_page_is_waited_for_too() {
    let page = |state: &str, next: &str| {
        let rollout = json!({
            "metadata": { "namespace": "shop", "name": format!("logs-{state}") },
            "spec": {
                "workload": { "kind": "DaemonSet", "name": "logs", "uid": "u" }, "revision": "5d4f",
            },
            "status": { "state": state, "width": 4, "fullWidth": 200 },
        });
        let list = json!({ "metadata": { "continue": next }, "items": [rollout] });
        Answer::whole(200, list.to_string())
    };
    let mut answers = Vec::new();
    for _ in 0..3 {
        answers.extend([
            refusal(404),
            page("Complete", "x"),
            refusal(404),
            page("Held", ""),
        ]);
    }
    let server = Server::that(answers);
    let connection = connection(&server);
    let args = args(10.0);
    let watch = watch(&connection, &args);
    let trouble = watch.wait(None).await.unwrap().trouble;
    let last = trouble.last().map(String::as_str);
    assert_eq!(last, Some("still on its way in the end: shop/logs-Held"));
}
