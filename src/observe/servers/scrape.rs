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
    servers::{Collector, PageCost, Scrape, ScrapeError},
    time::{Moment, Span},
};

use super::{
    Desk,
    patience::{End, Patience},
    tempo::{Tempo, until},
};
use crate::client::chain;

/// What to do about a 401.
const UNAUTHORIZED: &str = "Weir's credentials are not accepted: check its ServiceAccount's token";
/// What to do about a 403.
const FORBIDDEN: &str = "grant Weir the verb get on the nonResourceURL /metrics, as the ClusterRole \
                         weir in deploy/rbac.yaml does";

/// Scrapes one API server for as long as it is polled: at once if a change of the tempo says so.
pub(super) async fn run(desk: Desk, client: kube::Client, address: String) {
    let mut tempo = desk.tempo.clone();
    let mut patience = Patience::default();
    let mut late = false;
    loop {
        let now = *tempo.borrow_and_update();
        let begun = desk.clock.elapsed();
        let within = patience.next_within(now.cadence());
        let read = read(&client, now.balanced, within, || desk.clock.now()).await;
        let took = desk.clock.elapsed().saturating_sub(begun);
        let cost = PageCost {
            took: Span::from_millis(u64::try_from(took.as_millis()).unwrap_or(u64::MAX)),
            bytes: read.bytes,
        };
        patience.learn(read.end(), cost);
        let begins = {
            let mut fleet = desk.fleet();
            if read.scrape.is_ok() {
                fleet.cost(&address, cost);
            }
            fleet.scraped(&address, read.scrape, read.at)
        };
        late = !late;
        let after = |now: Tempo| patience.next_after(now.cadence(), begins);
        let due = |now: Tempo| begun + after(now) + out_of_step(now, late);
        until(&mut tempo, desk.clock, due).await;
    }
}

/// By how much every other page comes late behind a balancer.
///
/// One that deals connections out in turn would hand the page to the same server for ever, wherever
/// the number of probes between two pages is in step with the number of servers.
fn out_of_step(tempo: Tempo, late: bool) -> Duration {
    if tempo.balanced && late {
        Duration::from_millis(tempo.cadence().probe_every.as_millis())
    } else {
        Duration::ZERO
    }
}

/// What came of asking for a page.
struct Read {
    scrape: Result<Scrape, ScrapeError>,
    /// When its head came: that is when its values were gathered.
    at: Moment,
    bytes: u64,
    /// It was given up while it was on its way.
    late: bool,
}

impl Read {
    const fn end(&self) -> End {
        match self.scrape {
            Ok(_) => End::Whole,
            Err(_) if self.late => End::Late,
            Err(_) => End::Failed,
        }
    }
}

/// Reads one page.
///
/// A `last` request of its connection lets a balancer choose anew for the next: all over one connection
/// would meet one server.
async fn read(
    client: &kube::Client,
    last: bool,
    within: Duration,
    now: impl Fn() -> Moment,
) -> Read {
    let mut page = Page::default();
    let whole = tokio::time::timeout(within, page.read(client, last, &now)).await;
    let (at, bytes) = (page.at.unwrap_or_else(now), page.bytes);
    let late = whole.is_err();
    let scrape = match whole {
        Ok(Ok(())) => page.collector.finish(),
        Ok(Err(error)) => Err(error),
        Err(_) => Err(ScrapeError::Failed {
            why: format!(
                "not whole within {} s, as long as this one might take: {bytes} bytes came",
                within.as_secs()
            ),
        }),
    };
    Read {
        scrape,
        at,
        bytes,
        late,
    }
}

/// A page on its way.
#[derive(Default)]
struct Page {
    collector: Collector,
    bytes: u64,
    at: Option<Moment>,
}

impl Page {
    async fn read(
        &mut self,
        client: &kube::Client,
        last: bool,
        now: impl Fn() -> Moment,
    ) -> Result<(), ScrapeError> {
        let mut request = Request::get("/metrics").header(ACCEPT, "text/plain");
        if last {
            request = request.header(CONNECTION, "close");
        }
        let request = request.body(Body::empty());
        let request = request.expect("all its parts are literals");
        let response = client.send(request).await;
        let response = response.map_err(|error| failed(chain(&error)))?;
        self.at = Some(now());
        match response.status() {
            StatusCode::OK => {}
            StatusCode::UNAUTHORIZED => return Err(denied(UNAUTHORIZED)),
            StatusCode::FORBIDDEN => return Err(denied(FORBIDDEN)),
            status => return Err(failed(format!("the API server answered {status}"))),
        }
        let mut body = response.into_body();
        while let Some(frame) = body.frame().await {
            let frame = frame.map_err(|error| {
                let (bytes, why) = (self.bytes, chain(&error));
                failed(format!("it broke off after {bytes} bytes: {why}"))
            })?;
            if let Some(data) = frame.data_ref() {
                self.bytes += data.len() as u64;
                self.collector.push(data);
            }
        }
        Ok(())
    }
}

const fn failed(why: String) -> ScrapeError {
    ScrapeError::Failed { why }
}

fn denied(why: &str) -> ScrapeError {
    ScrapeError::Denied {
        why: why.to_owned(),
    }
}

#[cfg(test)]
mod tests;
