//! Turns one API server's `/metrics`, as it comes in, into a `Scrape` or a sentence.
//!
//! The page is parsed in pieces and never held, so that its size is bounded by time alone. It is asked
//! for without compression: a server that suffers must not be asked to compress 30 MB.

use std::time::Duration;

use http::{
    Request, StatusCode,
    header::{ACCEPT, CONNECTION},
};
use http_body_util::BodyExt;
use kube::client::Body;
use weir_core::{
    servers::{Collector, Scrape, ScrapeError},
    time::Moment,
};

use super::{Desk, tempo};
use crate::client::chain;

/// How long a page may take, from the request to its end.
const TIMEOUT: Duration = Duration::from_millis(tempo::SCRAPE_TIMEOUT.as_millis());

/// Scrapes one API server for as long as it is polled: at once when the pace changes.
pub(super) async fn run(desk: Desk, client: kube::Client, address: String) {
    let mut tempo = desk.tempo.clone();
    loop {
        let now = *tempo.borrow_and_update();
        let begun = desk.clock.elapsed();
        let (scrape, at) = scrape(&client, now.balanced, || desk.clock.now()).await;
        desk.fleet().scraped(&address, scrape, at);
        let every = Duration::from_millis(now.cadence().scrape_every.as_millis());
        let left = every.saturating_sub(desk.clock.elapsed().saturating_sub(begun));
        tempo::rest(&mut tempo, now.pace, left).await;
    }
}

/// Reads one page, and tells when its head came: that is when its values were gathered.
///
/// A `last` request of its connection lets a balancer choose anew for the next: all over one connection
/// would meet one server.
async fn scrape(
    client: &kube::Client,
    last: bool,
    now: impl Fn() -> Moment,
) -> (Result<Scrape, ScrapeError>, Moment) {
    let mut page = Page::default();
    let whole = tokio::time::timeout(TIMEOUT, page.read(client, last, &now)).await;
    let at = page.at.unwrap_or_else(now);
    let scrape = match whole {
        Ok(Ok(())) => page.collector.finish(),
        Ok(Err(why)) => Err(ScrapeError::Failed { why }),
        Err(_) => Err(ScrapeError::Failed {
            why: format!(
                "not whole within {} s: {} bytes came",
                TIMEOUT.as_secs(),
                page.bytes
            ),
        }),
    };
    (scrape, at)
}

/// A page on its way.
#[derive(Default)]
struct Page {
    collector: Collector,
    bytes: usize,
    at: Option<Moment>,
}

impl Page {
    async fn read(
        &mut self,
        client: &kube::Client,
        last: bool,
        now: impl Fn() -> Moment,
    ) -> Result<(), String> {
        let mut request = Request::get("/metrics").header(ACCEPT, "text/plain");
        if last {
            request = request.header(CONNECTION, "close");
        }
        let request = request.body(Body::empty());
        let request = request.expect("all its parts are literals");
        let response = client.send(request).await.map_err(|error| chain(&error))?;
        self.at = Some(now());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED | StatusCode::FORBIDDEN => {
                return Err("grant Weir the verb get on the nonResourceURL /metrics".to_owned());
            }
            status => return Err(format!("the API server answered {status}")),
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                format!("it broke off after {} bytes: {}", self.bytes, chain(&error))
            })?;
            if let Some(data) = frame.data_ref() {
                self.bytes += data.len();
                self.collector.push(data);
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests;
