//! The bystander: a quiet client with an account of its own, far from the rollout, that asks what
//! ordinary clients ask. Its latency is what everybody else feels.
//!
//! It asks ten times a second whatever the answers do (an open loop): a call is due at its time and
//! its latency counts from then, so that calls which had to wait for slow ones before them are not
//! forgotten. A call that fails counts as if it had run into its time-out.

mod log;
pub mod stats;

use std::{sync::Arc, thread, time::Duration};

use anyhow::{Context, Result};
use bytes::Bytes;
use http::{Method, Request, header};
use http_body_util::Full;
use serde_json::json;
use tokio::{
    sync::oneshot,
    task::{JoinSet, LocalSet},
    time::{Instant, MissedTickBehavior, interval_at, timeout},
};

use self::log::Log;
use crate::{
    profile::Http,
    wire::{Caller, Link, Servers, read},
};

/// Its namespace, and its ServiceAccount's name.
pub const NAMESPACE: &str = "bystander";
/// What each ConfigMap that it reads and writes is called, before a number below [`OBJECTS`].
pub const OBJECT: &str = "settings";
/// How many of them there are: a list of all is small.
pub const OBJECTS: u32 = 10;

/// Kinds of call: read, list, write.
const KINDS: u32 = 3;
/// Ten calls a second.
const PERIOD: Duration = Duration::from_millis(100);
/// How long it waits for an answer: what kubectl's users and controllers bear at most.
pub const TIMEOUT: Duration = Duration::from_secs(10);

/// One call.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Sample {
    /// When it was due.
    pub due: Instant,
    /// From when it was due to the end of its answer, in milliseconds; the time-out if it failed.
    pub ms: f64,
    /// How late it was sent, in milliseconds: the part of the latency that is this machine's.
    pub late_ms: f64,
    /// Whether it failed: refused, broken, an error, or timed out.
    pub failed: bool,
}

/// A bystander at work.
pub struct Bystander {
    log: Arc<Log>,
    stop: Option<oneshot::Sender<()>>,
    thread: Option<thread::JoinHandle<()>>,
}

impl Bystander {
    /// Begins to call, on a thread of its own, so that nothing else of this program delays it.
    pub fn start(servers: Servers, token: Arc<str>) -> Result<Self> {
        let log = Arc::new(Log::default());
        let shared = Arc::clone(&log);
        let (stop, stopped) = oneshot::channel();
        let runtime = tokio::runtime::Builder::new_current_thread()
            .enable_all()
            .build()
            .context("the bystander's runtime cannot start")?;
        let thread = thread::Builder::new()
            .name("bystander".to_owned())
            .spawn(move || {
                let calls = call_until(stopped, servers, token, shared);
                LocalSet::new().block_on(&runtime, calls);
            })
            .context("the bystander's thread cannot start")?;
        Ok(Self {
            log,
            stop: Some(stop),
            thread: Some(thread),
        })
    }

    /// The calls that were due from then on and have ended so far.
    #[must_use]
    pub fn since(&self, from: Instant) -> Vec<Sample> {
        self.log.ended_since(from)
    }

    /// The same and those under way, with the time that they have taken so far.
    #[must_use]
    pub fn felt_since(&self, from: Instant) -> Vec<Sample> {
        self.log.felt_since(from, Instant::now())
    }

    /// Makes no further call, waits for the answers of those under way, and returns all.
    #[must_use]
    pub fn stop(mut self) -> Vec<Sample> {
        self.end();
        self.log.take()
    }

    fn end(&mut self) {
        // Dropping the sender is the signal.
        self.stop = None;
        if let Some(thread) = self.thread.take() {
            // A panic of the thread has been printed by the thread.
            thread.join().ok();
        }
    }
}

impl Drop for Bystander {
    fn drop(&mut self) {
        self.end();
    }
}

async fn call_until(
    stopped: oneshot::Receiver<()>,
    servers: Servers,
    token: Arc<str>,
    log: Arc<Log>,
) {
    let caller = Caller {
        token,
        user_agent: "bystander/1.0".to_owned(),
        gzip: true,
        http: Http::H2,
    };
    // One for each API server: what only one of them suffers must be felt.
    let links: Vec<_> = (0..servers.count())
        .map(|index| Arc::new(Link::new(servers.only(index), caller.clone(), 0)))
        .collect();
    let mut calls = JoinSet::new();
    let mut ticks = interval_at(Instant::now(), PERIOD);
    // Ticks that this thread slept through are still due, each at its own time.
    ticks.set_missed_tick_behavior(MissedTickBehavior::Burst);
    let mut stopped = std::pin::pin!(stopped);
    for number in 0..u32::MAX {
        // Each server meets all three kinds of call in turn.
        let link = &links[(number / KINDS) as usize % links.len()];
        tokio::select! {
            due = ticks.tick() => {
                let (link, log) = (Arc::clone(link), Arc::clone(&log));
                log.begin(due);
                calls.spawn_local(async move {
                    log.end(measure(due, exchange(&link, number)).await);
                });
                while calls.try_join_next().is_some() {}
            }
            _ = &mut stopped => break,
        }
    }
    while calls.join_next().await.is_some() {}
}

/// Times a call from when it was due.
async fn measure(due: Instant, exchange: impl Future<Output = bool>) -> Sample {
    let late = due.elapsed();
    let answered = timeout(TIMEOUT.saturating_sub(late), exchange)
        .await
        .unwrap_or(false);
    let took = if answered { due.elapsed() } else { TIMEOUT };
    Sample {
        due,
        ms: took.as_secs_f64() * 1000.0,
        late_ms: late.as_secs_f64() * 1000.0,
        failed: !answered,
    }
}

/// Makes a call and reads its answer; says whether it was answered well.
async fn exchange(link: &Link, number: u32) -> bool {
    let Ok(request) = request(number) else {
        return false;
    };
    match link.send(request).await {
        Ok(answer) => read::to_end(answer, |_| ()).await.is_ok(),
        Err(_) => false,
    }
}

/// In turn: read one object, list a few, write one.
fn request(number: u32) -> http::Result<Request<Full<Bytes>>> {
    let collection = format!("/api/v1/namespaces/{NAMESPACE}/configmaps");
    let name = format!("{OBJECT}-{}", number % OBJECTS);
    match number % KINDS {
        0 => Request::get(format!("{collection}/{name}")).body(Full::default()),
        1 => Request::get(format!("{collection}?limit=100")).body(Full::default()),
        _ => Request::builder()
            .method(Method::PUT)
            .uri(format!("{collection}/{name}"))
            .header(header::CONTENT_TYPE, "application/json")
            .body(Full::from(object(&name, number).to_string())),
    }
}

/// A ConfigMap as the bystander writes it.
#[must_use]
pub fn object(name: &str, number: u32) -> serde_json::Value {
    json!({
        "apiVersion": "v1",
        "kind": "ConfigMap",
        "metadata": {"name": name, "namespace": NAMESPACE},
        "data": {"written": number.to_string(), "settings": "x".repeat(500)},
    })
}

#[cfg(test)]
mod tests {
    use tokio::time::sleep;

    use super::*;

    #[tokio::test(start_paused = true)]
    async fn latency_counts_from_when_a_call_was_due() {
        let due = Instant::now();
        sleep(Duration::from_millis(300)).await;
        let sample = measure(due, async {
            sleep(Duration::from_millis(50)).await;
            true
        })
        .await;
        assert!(!sample.failed);
        assert!((sample.ms - 350.0).abs() < 5.0, "{sample:?}");
        assert!((sample.late_ms - 300.0).abs() < 5.0, "{sample:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_that_fails_at_once_counts_as_its_time_out() {
        let sample = measure(Instant::now(), async { false }).await;
        assert!(sample.failed);
        assert!((sample.ms - 10_000.0).abs() < 1.0, "{sample:?}");
    }

    #[tokio::test(start_paused = true)]
    async fn a_call_without_an_answer_ends_at_its_time_out() {
        let began = Instant::now();
        let sample = measure(began, std::future::pending()).await;
        assert!(sample.failed);
        assert_eq!(began.elapsed().as_secs(), 10);
    }

    #[test]
    fn it_reads_lists_and_writes_in_turn() {
        let calls: Vec<String> = (0..6)
            .map(|number| {
                let request = request(number).expect("a good request");
                format!("{} {}", request.method(), request.uri())
            })
            .collect();
        let collection = "/api/v1/namespaces/bystander/configmaps";
        assert_eq!(calls[0], format!("GET {collection}/settings-0"));
        assert_eq!(calls[1], format!("GET {collection}?limit=100"));
        assert_eq!(calls[2], format!("PUT {collection}/settings-2"));
        assert_eq!(calls[3], format!("GET {collection}/settings-3"));
    }
}
