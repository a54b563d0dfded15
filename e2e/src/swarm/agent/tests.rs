use std::{
    net::SocketAddr,
    sync::atomic::{AtomicU32, Ordering},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body_util::Full;
use tokio::sync::mpsc;

use super::*;
use crate::wire::stand::{Stand, authority};

/// An informer whose list is never made again by itself, and which asks again without a pause.
const INFORMER: &str = "
calls:
  - {verb: list, resource: v1/pods}
  - {verb: watch, resource: v1/pods, query: {resourceVersion: listed}, onError: retry-at-once}
";

/// The list is at version 5, and at 6 when it is made again.
const FIRST: u32 = 5;

/// How an API server says that a version is too old: by the status, or in a watch that is open.
const TOO_OLD: [(u16, &str); 2] = [
    (410, ""),
    (
        200,
        r#"{"type":"ERROR","object":{"kind":"Status","code":410}}"#,
    ),
];

/// Far above what a handful of requests takes.
const LIMIT: Duration = Duration::from_mins(1);

fn answer(status: u16, body: &str) -> Response<Full<Bytes>> {
    let body = Full::from(body.to_owned());
    Response::builder().status(status).body(body).unwrap()
}

/// A watch that says that it has come to this version, and ends.
fn come_to(version: &str) -> Response<Full<Bytes>> {
    answer(
        200,
        &format!(
            r#"{{"type":"BOOKMARK","object":{{"metadata":{{"resourceVersion":"{version}"}}}}}}"#
        ),
    )
}

fn cast(server: SocketAddr, ca_pem: &str) -> Cast {
    Cast {
        profile: Profile::parse(INFORMER, "informer").unwrap(),
        servers: Servers::new(vec![server], ca_pem.as_bytes()).unwrap(),
        caller: Caller {
            token: "secret".into(),
            user_agent: "test/1".to_owned(),
            gzip: false,
            http: Http::H2,
        },
        counters: Arc::default(),
        epoch: Instant::now(),
        playing: RefCell::default(),
    }
}

/// The first `count` things that an informer asks; a watch from a version is answered by `watch`.
async fn asks(
    count: usize,
    watch: impl Fn(&str) -> Response<Full<Bytes>> + Clone + Send + 'static,
) -> Vec<String> {
    let authority = authority();
    let (asked, mut questions) = mpsc::unbounded_channel();
    let lists = Arc::new(AtomicU32::new(FIRST));
    let answers = move |request: &Request<Incoming>| {
        let mut pairs = request.uri().query().unwrap_or_default().split('&');
        let version = pairs.find_map(|pair| pair.strip_prefix("resourceVersion="));
        let (question, answer) = if let Some(version) = version {
            (format!("watch from {version}"), watch(version))
        } else {
            let version = lists.fetch_add(1, Ordering::Relaxed);
            let list = format!(r#"{{"metadata":{{"resourceVersion":"{version}"}},"items":[]}}"#);
            ("list".to_owned(), answer(200, &list))
        };
        // Nobody listens any more once it has asked enough.
        asked.send(question).ok();
        answer
    };
    let server = Stand::open(&authority, Http::H2, answers).await;
    let cast = cast(server.address, &authority.pem());
    let pod = Pod {
        name: "agent-0".to_owned(),
        namespace: "agents".to_owned(),
        node: "node-0".to_owned(),
    };
    let part = Part {
        number: 0,
        leads: None,
    };
    let mut heard = Vec::new();
    let listening = async {
        while heard.len() < count {
            heard.push(questions.recv().await.expect("the server stands"));
        }
    };
    let enough = async {
        tokio::select! {
            () = play(Rc::new(cast), pod, part) => {}
            () = listening => {}
        }
    };
    let in_time = timeout(LIMIT, enough).await;
    assert!(in_time.is_ok(), "it has asked no more than {heard:?}");
    heard
}

#[tokio::test]
async fn a_list_that_is_too_old_for_the_first_watch_is_made_again() {
    for (status, body) in TOO_OLD {
        let heard = asks(4, move |version| match version {
            "5" => answer(status, body),
            _ => come_to("7"),
        });
        let expected = ["list", "watch from 5", "list", "watch from 6"];
        assert_eq!(heard.await, expected, "{status}");
    }
}

#[tokio::test]
async fn a_watch_that_has_fallen_behind_begins_with_a_list_again() {
    for (status, body) in TOO_OLD {
        let heard = asks(5, move |version| match version {
            "5" => come_to("50"),
            "50" => answer(status, body),
            _ => come_to("60"),
        });
        let expected = [
            "list",
            "watch from 5",
            "watch from 50",
            "list",
            "watch from 6",
        ];
        assert_eq!(heard.await, expected, "{status}");
    }
}

#[test]
fn the_first_of_those_that_play_leads_and_the_next_when_it_is_gone() {
    let cast = cast(([127, 0, 0, 1], 1).into(), &authority().pem());
    let of = |number| Part {
        number,
        leads: None,
    };
    let first = Place::take(&cast, of(3));
    let second = Place::take(&cast, of(7));
    assert!(first.leads() && !second.leads());
    drop(first);
    let later = Place::take(&cast, of(9));
    assert!(second.leads() && !later.leads());
}
