//! Turns a request into at most two, paid for, limited in time and counted.
//!
//! A request waits for its turn in its kind's bucket, or fails; it is sent; a whole answer must come
//! within its client's limit (a watch: its head). Only what can be repeated safely is tried again,
//! once, and only if the connection broke or the server said 429 with a short wait. A time-out is
//! never tried again: the server may still be at work on the first.

use std::{
    future::Future,
    pin::Pin,
    sync::Arc,
    task::{Context, Poll},
    time::Duration,
};

use bytes::Bytes;
use http::{
    Method, Request, Response, StatusCode,
    header::{CONTENT_TYPE, RETRY_AFTER},
};
use kube::client::Body;
use tokio::time::sleep;
use tower::{BoxError, Layer, Service, ServiceExt};
use weir_core::time::Span;

use super::{
    body::Metered,
    budget::{Bucket, Budget, OverBudget},
    causes::causes,
    spent::{Meter, Spent},
};
use crate::clock::Clock;

/// How long a whole answer may take as a rule. API servers cut requests at 60 s; an answer that takes longer
/// than this is one that Weir must not ask for again and again.
pub(super) const ANSWER_WITHIN: Duration = Duration::from_secs(10);
/// The longest `Retry-After` that is waited for; beyond it the caller is told instead.
const RETRY_AFTER_AT_MOST: Duration = Duration::from_secs(5);
/// The wait before a second try if the server names none.
const RETRY_AFTER_ELSE: Duration = Duration::from_secs(1);

/// No whole answer came within the time limit.
#[derive(Debug, Clone, thiserror::Error)]
#[error("no answer to {method} {path} within {} s", within.as_secs_f64())]
pub struct TimedOut {
    method: Method,
    path: String,
    within: Duration,
}

/// What all gates share.
pub(super) struct Shared {
    clock: Clock,
    meter: Arc<Meter>,
    retries: Bucket,
}

impl Shared {
    pub(super) fn new(clock: Clock, budget: &Budget) -> Self {
        Self {
            clock,
            meter: Arc::default(),
            retries: Bucket::new("second tries", budget.retries),
        }
    }

    pub(super) fn spent(&self) -> Spent {
        self.meter.spent()
    }
}

/// Which buckets a client's requests are paid from.
#[derive(Clone)]
pub(super) struct Tolls {
    pub(super) reads: Arc<Bucket>,
    pub(super) writes: Arc<Bucket>,
    /// Whether anything is tried a second time; what measures must not.
    pub(super) retries: bool,
    /// How long a whole answer may take.
    pub(super) answer_within: Duration,
}

/// Puts a [`Gate`] before a service.
#[derive(Clone)]
pub(super) struct GateLayer(Terms);

impl GateLayer {
    pub(super) fn new(shared: Arc<Shared>, tolls: Tolls) -> Self {
        Self(Terms { shared, tolls })
    }
}

impl<S> Layer<S> for GateLayer {
    type Service = Gate<S>;

    fn layer(&self, inner: S) -> Gate<S> {
        Gate {
            terms: self.0.clone(),
            inner,
        }
    }
}

/// A service that sends only what the budget allows.
#[derive(Clone)]
pub(super) struct Gate<S> {
    terms: Terms,
    inner: S,
}

impl<S, B> Service<Request<Body>> for Gate<S>
where
    S: Service<Request<Body>, Response = Response<B>> + Clone + Send + 'static,
    S::Error: Into<BoxError>,
    S::Future: Send,
    B: http_body::Body<Data = Bytes> + Unpin + Send + 'static,
    B::Error: Into<BoxError>,
{
    type Response = Response<Metered<B>>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        // The inner service's readiness is awaited with the budget paid, when it is needed.
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: Request<Body>) -> Self::Future {
        let (terms, inner) = (self.terms.clone(), self.inner.clone());
        Box::pin(async move { terms.pass(inner, request).await })
    }
}

/// What a request must keep to.
#[derive(Clone)]
struct Terms {
    shared: Arc<Shared>,
    tolls: Tolls,
}

impl Terms {
    /// Sends a request through `inner`, and if need be once more.
    async fn pass<S, B>(
        self,
        inner: S,
        request: Request<Body>,
    ) -> Result<Response<Metered<B>>, BoxError>
    where
        S: Service<Request<Body>, Response = Response<B>> + Clone,
        S::Error: Into<BoxError>,
    {
        let spare = self.spare(&request);
        let first = self.send(inner.clone(), request).await;
        let (Some(spare), Some(wait)) = (spare, wait_before_retry(&first)) else {
            return first;
        };
        if self.shared.retries.take(self.shared.clock.now()).is_err() {
            return first;
        }
        drop(first);
        sleep(wait).await;
        self.shared.meter.retries.add(1);
        self.send(inner, spare).await
    }

    /// Pays for one request and sends it.
    async fn send<S, B>(
        &self,
        inner: S,
        request: Request<Body>,
    ) -> Result<Response<Metered<B>>, BoxError>
    where
        S: Service<Request<Body>, Response = Response<B>>,
        S::Error: Into<BoxError>,
    {
        let meter = &self.shared.meter;
        let read = request.method() == Method::GET;
        self.pay(if read {
            &self.tolls.reads
        } else {
            &self.tolls.writes
        })
        .await?;
        meter.requests.add(1);
        meter.writes.add(u64::from(!read));

        let watch = is_watch(&request);
        let late = TimedOut {
            method: request.method().clone(),
            path: request.uri().path().to_owned(),
            within: self.tolls.answer_within,
        };
        let mut deadline = Box::pin(sleep(late.within));
        let answer = tokio::select! {
            answer = inner.oneshot(request) => answer.map_err(Into::into)?,
            () = &mut deadline => {
                meter.timed_out.add(1);
                return Err(late.into());
            }
        };
        let deadline = (!watch).then_some((deadline, late));
        Ok(answer.map(|body| Metered::new(body, Arc::clone(meter), deadline)))
    }

    async fn pay(&self, bucket: &Bucket) -> Result<(), OverBudget> {
        let turn = bucket
            .take(self.shared.clock.now())
            .inspect_err(|refused| {
                self.shared.meter.refused.add(1);
                tracing::warn!(%refused, "a request was not sent");
            })?;
        if turn > Span::ZERO {
            sleep(Duration::from_millis(turn.as_millis())).await;
        }
        Ok(())
    }

    /// A copy to try again with, of what may safely be sent twice.
    fn spare(&self, request: &Request<Body>) -> Option<Request<Body>> {
        // A watch has a back-off of its own.
        if !self.tolls.retries || !is_idempotent(request) || is_watch(request) {
            return None;
        }
        let mut spare = Request::new(request.body().try_clone()?);
        *spare.method_mut() = request.method().clone();
        *spare.uri_mut() = request.uri().clone();
        *spare.headers_mut() = request.headers().clone();
        Some(spare)
    }
}

fn is_watch(request: &Request<Body>) -> bool {
    let query = request.uri().query().unwrap_or_default();
    query.split('&').any(|pair| pair == "watch=true")
}

fn is_idempotent(request: &Request<Body>) -> bool {
    match *request.method() {
        Method::GET | Method::PUT | Method::DELETE => true,
        // A JSON patch appends or moves; the other kinds state what is to be.
        Method::PATCH => request
            .headers()
            .get(CONTENT_TYPE)
            .is_some_and(|kind| kind != "application/json-patch+json"),
        _ => false,
    }
}

/// How long to wait before a second try, if the first ended in a way that allows one.
fn wait_before_retry<B>(first: &Result<Response<B>, BoxError>) -> Option<Duration> {
    let wait = match first {
        Ok(response) if response.status() == StatusCode::TOO_MANY_REQUESTS => {
            match response.headers().get(RETRY_AFTER) {
                Some(after) => Duration::from_secs(after.to_str().ok()?.parse().ok()?),
                None => RETRY_AFTER_ELSE,
            }
        }
        Err(error) if connection_broke(error.as_ref()) => RETRY_AFTER_ELSE,
        Ok(_) | Err(_) => return None,
    };
    // Up to half as long again, so that clients that were refused together do not return together.
    (wait <= RETRY_AFTER_AT_MOST).then(|| wait.mul_f64(1.0 + fastrand::f64() / 2.0))
}

/// Whether the connection was refused or cut, as opposed to slow or never tried.
fn connection_broke(error: &(dyn std::error::Error + 'static)) -> bool {
    causes(error).any(|error| {
        let io = error.downcast_ref::<std::io::Error>();
        io.is_some_and(|io| io.kind() != std::io::ErrorKind::TimedOut)
            || error
                .downcast_ref::<hyper::Error>()
                .is_some_and(|error| !error.is_timeout())
    })
}

#[cfg(test)]
mod tests;
