//! Turns the bytes of one watch into the moment of its last sign of life.
//!
//! kube's watcher keeps bookmarks to itself, and they are the only life of a watch on which nothing
//! happens. So the bytes below it are what is listened to:
//!
//! ```text
//!  answer to a list, or to the watch that begins with one    no life: what is kept is still the old
//!  bytes of it once the list is whole ([`Pulse::caught_up`])  life
//!  answer to a resumed watch, and its bytes                   life
//! ```

use std::{
    pin::{Pin, pin},
    sync::{
        Arc,
        atomic::{AtomicBool, AtomicU64, Ordering::Relaxed},
    },
    task::{Context, Poll},
};

use bytes::Bytes;
use http::{Request, Response};
use http_body::Frame;
use kube::client::Body;
use weir_core::time::Moment;

use crate::clock::Clock;

/// The last sign of life of one watch.
#[derive(Debug)]
pub struct Pulse {
    clock: Clock,
    /// Milliseconds since the epoch; zero if there was none.
    last: AtomicU64,
    caught_up: AtomicBool,
}

impl Pulse {
    /// A pulse that has not beaten.
    #[must_use]
    pub fn new(clock: Clock) -> Self {
        Self {
            clock,
            last: AtomicU64::new(0),
            caught_up: AtomicBool::new(false),
        }
    }

    /// When it last beat.
    #[must_use]
    pub fn last(&self) -> Option<Moment> {
        let millis = self.last.load(Relaxed);
        (millis > 0).then(|| Moment::from_millis(millis))
    }

    /// Says that what is kept is whole and as new as the watch: its bytes are life from now on.
    pub fn caught_up(&self) {
        self.caught_up.store(true, Relaxed);
        self.beat();
    }

    /// Says that what is kept is being listed anew: no byte is life until it is whole.
    pub fn fell_behind(&self) {
        self.caught_up.store(false, Relaxed);
    }

    /// A client whose answers to watches make this pulse beat. It is for one watch.
    #[must_use]
    pub fn listen(self: &Arc<Self>, client: kube::Client) -> kube::Client {
        let pulse = Arc::clone(self);
        let namespace = client.default_namespace().to_owned();
        let service = tower::service_fn(move |request: Request<Body>| {
            let (client, pulse) = (client.clone(), Arc::clone(&pulse));
            async move {
                let stage = Stage::of(&request);
                let response = client.send(request).await?;
                Ok::<_, kube::Error>(listen(response, stage, pulse))
            }
        });
        kube::Client::new(service, namespace)
    }

    fn beat(&self) {
        self.last.store(self.clock.now().as_millis(), Relaxed);
    }
}

/// What an answer says about what is kept.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Stage {
    /// It takes up where the kept state ends.
    Resumed,
    /// It is, or begins with, a list.
    Listing,
}

impl Stage {
    fn of(request: &Request<Body>) -> Self {
        let query = request.uri().query().unwrap_or_default();
        let has = |pair| query.split('&').any(|part| part == pair);
        if has("watch=true") && !has("sendInitialEvents=true") {
            Self::Resumed
        } else {
            Self::Listing
        }
    }
}

fn listen(response: Response<Body>, stage: Stage, pulse: Arc<Pulse>) -> Response<Heard> {
    let pulse = response.status().is_success().then_some(pulse);
    if let Some(pulse) = pulse.as_ref().filter(|_| stage == Stage::Resumed) {
        pulse.beat();
    }
    response.map(|inner| Heard { inner, pulse })
}

/// A body that makes a pulse beat with each piece that comes in while the watch is caught up.
struct Heard {
    inner: Body,
    pulse: Option<Arc<Pulse>>,
}

impl http_body::Body for Heard {
    type Data = Bytes;
    type Error = kube::Error;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, kube::Error>>> {
        let frame = pin!(&mut self.inner).poll_frame(cx);
        if let (Poll::Ready(Some(Ok(_))), Some(pulse)) = (&frame, &self.pulse)
            && pulse.caught_up.load(Relaxed)
        {
            pulse.beat();
        }
        frame
    }

    fn is_end_stream(&self) -> bool {
        self.inner.is_end_stream()
    }
}

#[cfg(test)]
mod tests;
