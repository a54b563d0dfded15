//! Each test is a caller, a gate and an API server made of a list of answers.

use std::{
    collections::VecDeque,
    io,
    sync::{Mutex, PoisonError},
};

use http_body_util::{BodyExt, Full};

use super::*;
use crate::client::budget::Allowance;

type Answer = Result<Response<Full<Bytes>>, BoxError>;

/// What the server does when it is asked.
enum Does {
    Answers(Answer),
    Hangs,
}

#[derive(Clone)]
struct Server(Arc<Mutex<VecDeque<Does>>>);

impl Server {
    fn that(does: impl IntoIterator<Item = Does>) -> Self {
        Self(Arc::new(Mutex::new(does.into_iter().collect())))
    }

    fn unasked(&self) -> usize {
        self.0.lock().unwrap_or_else(PoisonError::into_inner).len()
    }
}

impl Service<Request<Body>> for Server {
    type Response = Response<Full<Bytes>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Answer> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Request<Body>) -> Self::Future {
        let does = self
            .0
            .lock()
            .unwrap_or_else(PoisonError::into_inner)
            .pop_front();
        Box::pin(async move {
            match does.expect("one request too many") {
                Does::Answers(answer) => answer,
                Does::Hangs => std::future::pending().await,
            }
        })
    }
}

fn answer(status: u16, text: &'static str) -> Does {
    let response = Response::builder()
        .status(status)
        .body(Full::from(text))
        .unwrap();
    Does::Answers(Ok(response))
}

fn refused_for(after: &str) -> Does {
    let response = Response::builder().status(429).header(RETRY_AFTER, after);
    Does::Answers(Ok(response.body(Full::default()).unwrap()))
}

fn breaks() -> Does {
    Does::Answers(Err(Box::new(io::Error::from(
        io::ErrorKind::ConnectionReset,
    ))))
}

fn request(method: Method, path: &'static str) -> Request<Body> {
    Request::builder()
        .method(method)
        .uri(path)
        .body(Body::empty())
        .unwrap()
}

fn get() -> Request<Body> {
    request(Method::GET, "/api/v1/namespaces/default")
}

fn patch(kind: &'static str) -> Request<Body> {
    let mut request = request(Method::PATCH, "/api/v1/namespaces/a/pods/b");
    request
        .headers_mut()
        .insert(CONTENT_TYPE, kind.parse().unwrap());
    request
}

fn gate(server: Server, budget: &Budget) -> Gate<Server> {
    let tolls = Tolls {
        reads: Arc::new(Bucket::new("reads", budget.reads)),
        writes: Arc::new(Bucket::new("writes", budget.writes)),
        retries: true,
        answer_within: ANSWER_WITHIN,
    };
    GateLayer::new(Arc::new(Shared::new(Clock::start(), budget)), tolls).layer(server)
}

async fn ask(gate: &Gate<Server>, request: Request<Body>) -> Result<u16, String> {
    let response = gate
        .clone()
        .oneshot(request)
        .await
        .map_err(|error| error.to_string())?;
    Ok(response.status().as_u16())
}

#[tokio::test(start_paused = true)]
async fn requests_writes_and_bytes_are_counted() {
    let gate = gate(
        Server::that([answer(200, "seven b"), answer(201, "")]),
        &Budget::standard(),
    );
    let response = gate.clone().oneshot(get()).await.unwrap();
    assert_eq!(
        response.into_body().collect().await.unwrap().to_bytes(),
        "seven b"
    );
    assert_eq!(ask(&gate, request(Method::POST, "/x")).await, Ok(201));
    let spent = gate.terms.shared.spent();
    assert_eq!((spent.requests, spent.writes, spent.bytes), (2, 1, 7));
    assert_eq!((spent.retries, spent.refused, spent.timed_out), (0, 0, 0));
}

#[tokio::test(start_paused = true)]
async fn a_request_waits_for_its_turn_and_then_fails_without_being_sent() {
    let reads = Allowance {
        per_second: 1.0,
        burst: 1.0,
        wait: Span::from_secs(1),
    };
    let server = Server::that([answer(200, ""), answer(200, "")]);
    let gate = gate(
        server.clone(),
        &Budget {
            reads,
            ..Budget::standard()
        },
    );
    let clock = gate.terms.shared.clock;
    let (first, second, third) =
        tokio::join!(ask(&gate, get()), ask(&gate, get()), ask(&gate, get()));
    assert_eq!((first, second), (Ok(200), Ok(200)));
    assert_eq!(clock.elapsed(), Duration::from_secs(1));
    assert!(
        third
            .unwrap_err()
            .contains("budget for reads (1 a second) is spent")
    );
    let spent = gate.terms.shared.spent();
    assert_eq!((spent.requests, spent.refused), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn writes_do_not_wait_for_reads() {
    let none = Allowance {
        per_second: 0.0,
        burst: 0.0,
        wait: Span::ZERO,
    };
    let gate = gate(
        Server::that([answer(200, "")]),
        &Budget {
            reads: none,
            ..Budget::standard()
        },
    );
    assert!(ask(&gate, get()).await.is_err());
    assert_eq!(ask(&gate, request(Method::PUT, "/x")).await, Ok(200));
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_is_tried_once_more() {
    let gate = gate(
        Server::that([breaks(), answer(200, "")]),
        &Budget::standard(),
    );
    assert_eq!(ask(&gate, get()).await, Ok(200));
    let waited = gate.terms.shared.clock.elapsed();
    assert!((Duration::from_secs(1)..=Duration::from_millis(1501)).contains(&waited));
    let spent = gate.terms.shared.spent();
    assert_eq!((spent.requests, spent.retries), (2, 1));
}

#[tokio::test(start_paused = true)]
async fn never_more_than_once() {
    let server = Server::that([breaks(), breaks(), answer(200, "")]);
    let gate = gate(server.clone(), &Budget::standard());
    assert!(ask(&gate, get()).await.is_err());
    assert_eq!(server.unasked(), 1);
}

#[tokio::test(start_paused = true)]
async fn a_429_is_tried_again_after_the_time_it_names() {
    let gate = gate(
        Server::that([refused_for("3"), answer(200, "")]),
        &Budget::standard(),
    );
    assert_eq!(ask(&gate, get()).await, Ok(200));
    let waited = gate.terms.shared.clock.elapsed();
    assert!((Duration::from_secs(3)..=Duration::from_millis(4501)).contains(&waited));
}

#[tokio::test(start_paused = true)]
async fn a_429_that_names_a_long_time_or_none_in_seconds_is_told_to_the_caller() {
    for after in [
        "60",
        "Wed, 21 Oct 2026 07:28:00 GMT",
        "18446744073709551615",
    ] {
        let gate = gate(Server::that([refused_for(after)]), &Budget::standard());
        assert_eq!(ask(&gate, get()).await, Ok(429), "{after}");
        assert_eq!(gate.terms.shared.clock.elapsed(), Duration::ZERO, "{after}");
    }
}

#[tokio::test(start_paused = true)]
async fn only_what_can_be_sent_twice_is_tried_again() {
    let cases = [
        (get(), true),
        (request(Method::PUT, "/x"), true),
        (request(Method::DELETE, "/x"), true),
        (patch("application/strategic-merge-patch+json"), true),
        (patch("application/apply-patch+yaml"), true),
        (patch("application/json-patch+json"), false),
        (request(Method::POST, "/x"), false),
        (
            request(Method::GET, "/api/v1/pods?limit=1&watch=true"),
            false,
        ),
    ];
    for (request, again) in cases {
        let what = format!("{request:?}");
        let gate = gate(
            Server::that([breaks(), answer(200, "")]),
            &Budget::standard(),
        );
        assert_eq!(ask(&gate, request).await.is_ok(), again, "{what}");
    }
}

#[tokio::test(start_paused = true)]
async fn errors_other_than_of_the_connection_are_not_tried_again() {
    let refuses = Does::Answers(Err("no credentials".into()));
    let slow = Does::Answers(Err(Box::new(io::Error::from(io::ErrorKind::TimedOut))));
    for does in [refuses, slow, answer(503, "")] {
        let server = Server::that([does, answer(200, "")]);
        let gate = gate(server.clone(), &Budget::standard());
        assert_ne!(ask(&gate, get()).await, Ok(200));
        assert_eq!(server.unasked(), 1);
    }
}

#[tokio::test(start_paused = true)]
async fn second_tries_have_a_budget_of_their_own() {
    let retries = Allowance {
        per_second: 0.0,
        burst: 1.0,
        wait: Span::ZERO,
    };
    let server = Server::that([breaks(), answer(200, ""), breaks(), answer(200, "")]);
    let gate = gate(
        server.clone(),
        &Budget {
            retries,
            ..Budget::standard()
        },
    );
    assert_eq!(ask(&gate, get()).await, Ok(200));
    assert!(ask(&gate, get()).await.is_err());
    assert_eq!(server.unasked(), 1);
}

#[tokio::test(start_paused = true)]
async fn what_measures_is_never_tried_again() {
    let mut gate = gate(Server::that([breaks()]), &Budget::standard());
    gate.terms.tolls.retries = false;
    assert!(ask(&gate, get()).await.is_err());
}

#[tokio::test(start_paused = true)]
async fn a_hanging_server_is_given_up_and_not_asked_again() {
    let gate = gate(Server::that([Does::Hangs]), &Budget::standard());
    assert_eq!(
        ask(&gate, get()).await.unwrap_err(),
        "no answer to GET /api/v1/namespaces/default within 10 s"
    );
    assert_eq!(gate.terms.shared.clock.elapsed(), ANSWER_WITHIN);
    assert_eq!(gate.terms.shared.spent().timed_out, 1);
}

#[tokio::test(start_paused = true)]
async fn who_measures_is_given_longer() {
    let mut gate = gate(Server::that([Does::Hangs]), &Budget::standard());
    gate.terms.tolls.answer_within = Duration::from_secs(35);
    let late = ask(&gate, get()).await.unwrap_err();
    assert!(late.ends_with("within 35 s"), "{late}");
    assert_eq!(gate.terms.shared.clock.elapsed(), Duration::from_secs(35));
}

/// A body of which one piece comes and the rest never does.
struct Stuck(Option<Bytes>);

impl http_body::Body for Stuck {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<http_body::Frame<Bytes>, BoxError>>> {
        match self.0.take() {
            Some(piece) => Poll::Ready(Some(Ok(http_body::Frame::data(piece)))),
            None => Poll::Pending,
        }
    }
}

async fn read_stuck(path: &'static str) -> Result<Bytes, String> {
    let service = tower::service_fn(|_: Request<Body>| async {
        Ok::<_, BoxError>(Response::new(Stuck(Some(Bytes::from_static(b"piece")))))
    });
    let budget = Budget::standard();
    let shared = Arc::new(Shared::new(Clock::start(), &budget));
    let reads = Arc::new(Bucket::new("reads", budget.reads));
    let tolls = Tolls {
        writes: Arc::clone(&reads),
        reads,
        retries: true,
        answer_within: ANSWER_WITHIN,
    };
    let gate = GateLayer::new(shared, tolls).layer(service);
    let response = gate.oneshot(request(Method::GET, path)).await.unwrap();
    match response.into_body().collect().await {
        Ok(whole) => Ok(whole.to_bytes()),
        Err(error) => Err(error.to_string()),
    }
}

#[tokio::test(start_paused = true)]
async fn a_body_that_stops_half_way_is_given_up() {
    assert_eq!(
        read_stuck("/metrics").await.unwrap_err(),
        "no answer to GET /metrics within 10 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_watch_may_be_silent_for_longer() {
    let an_hour = Duration::from_hours(1);
    let watch = read_stuck("/api/v1/pods?watch=true");
    assert!(
        tokio::time::timeout(an_hour, watch).await.is_err(),
        "it ended"
    );
}
