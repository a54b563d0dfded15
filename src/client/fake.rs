//! An API server made of a script, behind a client, for tests in paused time.

use std::{
    collections::VecDeque,
    convert::Infallible,
    io,
    sync::{Arc, Mutex},
    time::Duration,
};

use bytes::Bytes;
use futures::stream;
use http::{Request, Response, header::CONNECTION};
use http_body::Frame;
use http_body_util::{BodyExt, StreamBody, combinators::UnsyncBoxBody};
use kube::client::Body;

/// How an answer goes on after its last piece.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Then {
    /// It ends.
    Ends,
    /// Nothing more comes.
    Hangs,
    /// The connection breaks.
    Breaks,
}

/// One answer: a status, then pieces, each after some time.
#[derive(Debug, Clone)]
pub(crate) struct Answer {
    /// How long the head takes.
    pub(crate) head_after: Duration,
    pub(crate) status: u16,
    pub(crate) pieces: VecDeque<(Duration, Bytes)>,
    pub(crate) then: Then,
}

impl Answer {
    /// A whole answer, at once.
    pub(crate) fn whole(status: u16, text: impl Into<Bytes>) -> Self {
        Self {
            head_after: Duration::ZERO,
            status,
            pieces: VecDeque::from([(Duration::ZERO, text.into())]),
            then: Then::Ends,
        }
    }

    /// An answer of status 200 whose pieces come so many seconds one after the other.
    pub(crate) fn pieces<T: Into<Bytes>>(
        pieces: impl IntoIterator<Item = (u64, T)>,
        then: Then,
    ) -> Self {
        let after = |(seconds, piece): (u64, T)| (Duration::from_secs(seconds), piece.into());
        Self {
            head_after: Duration::ZERO,
            status: 200,
            pieces: pieces.into_iter().map(after).collect(),
            then,
        }
    }

    /// Not even a head.
    pub(crate) fn never() -> Self {
        let mut never = Self::whole(200, "");
        never.head_after = Duration::MAX;
        never
    }
}

/// A server that gives its answers in order, and hangs once it has none left.
#[derive(Debug, Clone, Default)]
pub(crate) struct Server {
    answers: Arc<Mutex<VecDeque<Answer>>>,
    asked: Arc<Mutex<Vec<String>>>,
    said: Arc<Mutex<Vec<String>>>,
}

impl Server {
    pub(crate) fn that(answers: impl IntoIterator<Item = Answer>) -> Self {
        Self {
            answers: Arc::new(Mutex::new(answers.into_iter().collect())),
            asked: Arc::default(),
            said: Arc::default(),
        }
    }

    /// What it was asked for, in order: methods, paths and queries, and whether the connection is
    /// to be closed after it.
    pub(crate) fn asked(&self) -> Vec<String> {
        self.asked.lock().unwrap().clone()
    }

    /// The bodies of what it was asked for, in order.
    pub(crate) fn said(&self) -> Vec<String> {
        self.said.lock().unwrap().clone()
    }

    pub(crate) fn client(&self) -> kube::Client {
        let server = self.clone();
        let service = tower::service_fn(move |request: Request<Body>| {
            let last = request
                .headers()
                .get(CONNECTION)
                .is_some_and(|value| value == "close");
            let last = if last { " and closes" } else { "" };
            let asked = format!("{} {}{last}", request.method(), request.uri());
            server.asked.lock().unwrap().push(asked);
            let answer = server.answers.lock().unwrap().pop_front();
            let said = Arc::clone(&server.said);
            async move {
                let body = request.into_body().collect().await.unwrap().to_bytes();
                let body = String::from_utf8_lossy(&body).into_owned();
                said.lock().unwrap().push(body);
                Ok::<_, Infallible>(respond(answer.unwrap_or_else(Answer::never)).await)
            }
        });
        kube::Client::new(service, "default")
    }
}

async fn respond(answer: Answer) -> Response<UnsyncBoxBody<Bytes, io::Error>> {
    if answer.head_after == Duration::MAX {
        return std::future::pending().await;
    }
    tokio::time::sleep(answer.head_after).await;
    let (pieces, then) = (answer.pieces, answer.then);
    let frames = stream::unfold(pieces, move |mut pieces| async move {
        if let Some((after, piece)) = pieces.pop_front() {
            tokio::time::sleep(after).await;
            return Some((Ok(Frame::data(piece)), pieces));
        }
        match then {
            Then::Ends => None,
            Then::Hangs => std::future::pending().await,
            Then::Breaks => Some((Err(io::Error::from(io::ErrorKind::ConnectionReset)), pieces)),
        }
    });
    let body = StreamBody::new(frames).boxed_unsync();
    Response::builder()
        .status(answer.status)
        .body(body)
        .unwrap()
}
