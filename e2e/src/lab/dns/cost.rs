//! What the beacon and the questions cost others, with many replicas.

use std::time::Duration;

use anyhow::{Result, ensure};
use jiff::Timestamp;
use tokio::time::sleep;

use super::{DnsRun, Part};
use crate::{
    experiment::story::line,
    lab::{
        budget::{self, Figure},
        cells::none,
    },
    stage::Measured,
    world::{
        Asked, AuditedRequest, WorldSpec,
        dns::{DnsSpec, Listening, sum},
    },
};

/// CoreDNS processes, each with an address of its own.
const REPLICAS: u8 = 20;

/// For how long events are counted that API servers send, each time: a minute with what is around it.
const COUNTED: Duration = Duration::from_secs(58);

/// So long before that, and after it, all else is counted already, and still: what they send then was written then.
const AROUND: Duration = Duration::from_secs(1);

/// How often.
const TIMES: u32 = 3;

/// In one minute one more beat may lie than in most.
const BEATS_PER_10_S: f64 = 1.0 + 10.0 / 60.0;

/// The most that may be asked of all DNS servers together.
const QUESTIONS_PER_S: f64 = 5.0;

/// Bookmarks that one watch is sent in a minute at the most: one is due 60 s after the last (k8s.io/apiserver,
/// pkg/storage/cacher: `defaultBookmarkFrequency`).
const BOOKMARKS: f64 = 2.0;

/// What one minute cost.
struct Minute {
    tries: f64,
    questions: f64,
    to_kube_proxy: f64,
    to_anybody: f64,
    sent: f64,
    unexplained: f64,
}

/// What an API server says of EndpointSlices.
struct Told {
    /// Events that it has sent to anybody, bookmarks among them.
    events: f64,
    /// Watches that it has open.
    watches: f64,
}

pub(super) async fn run(args: &DnsRun) -> Result<Part> {
    let dns = DnsSpec {
        replicas: REPLICAS,
        ..DnsSpec::default()
    };
    // Whatever else changes an EndpointSlice would hide what the beacon costs.
    let quiet = WorldSpec {
        churn_per_second: 0.0,
        ..args.world.spec()
    };
    let here = args.start_in(quiet, &dns).await?;
    let mut minutes = vec![];
    for number in 1..=TIMES {
        minutes.push(minute(&here).await?);
        line(&format!("minute {number} of {TIMES} is counted"));
    }
    let figures = figures(&minutes);
    let unmet = figures.iter().filter(|figure| !figure.is_within());
    let unmet = unmet.map(|figure| format!("{}: {:?}", figure.what, figure.runs));
    Ok(Part {
        title: "What it costs".to_owned(),
        says: format!(
            "{REPLICAS} CoreDNS processes that all follow the API, each at its own address, with the Service's before \
             them; nothing rolls out, and no other pod is replaced. Tries to write the beacon are those in the API \
             servers' audit log, whatever came of them; questions are counted where they arrive (each packet), and \
             events of the beacon by a client that follows EndpointSlices with kube-proxy's own selector, and by one \
             without. Kubelets follow no EndpointSlices. The API server's own count (`apiserver_watch_events_total`) \
             is of all EndpointSlices, bookmarks among it, to all watches on them that it has open \
             (`apiserver_longrunning_requests`), and does not tell them apart: CoreDNS's, \
             kube-controller-manager's, its own, Weir's and those of the two clients here. Explained of it are one \
             event for each try and each of these watches but one (kube-proxy's), one for each other change and each \
             watch, and {BOOKMARKS:.0} bookmarks for each watch; nothing may be left."
        ),
        table: budget::table(&figures),
        unmet: unmet.collect(),
    })
}

async fn minute(here: &Measured) -> Result<Minute> {
    let kube_proxy = Listening::as_kube_proxy(here.world.client());
    let anybody = Listening::to_all(here.world.client());
    // The first thing that a watch tells is what there is.
    sleep(Duration::from_secs(2)).await;
    let heard = anybody.of_beacon();
    ensure!(
        kube_proxy.of_others() > 0 && heard > 0,
        "the watches hear nothing: {kube_proxy:?}, {anybody:?}"
    );
    let (from, asked, others) = (Timestamp::now(), here.dns.asked(), anybody.of_others());
    sleep(AROUND).await;
    let before = told(here).await?;
    sleep(COUNTED).await;
    let after = told(here).await?;
    sleep(AROUND).await;
    let requests = Asked::between(here.world.weir_requests()?, from, Timestamp::now());
    let tries = requests.number(is_try);
    let to_anybody = (anybody.of_beacon() - heard) as f64;
    ensure!(
        tries > 0.0 && to_anybody > 0.0,
        "there is no beacon to be counted: {}",
        requests.told()
    );
    let watches = before.watches.max(after.watches);
    ensure!(
        watches >= f64::from(REPLICAS) + 2.0,
        "an API server says that it has {watches} watches on EndpointSlices, fewer than there are"
    );
    let sent = after.events - before.events;
    let others = (anybody.of_others() - others) as f64;
    Ok(Minute {
        tries: 10.0 * tries / requests.seconds,
        questions: (here.dns.asked() - asked) as f64 / requests.seconds,
        to_kube_proxy: kube_proxy.of_beacon() as f64,
        to_anybody,
        sent,
        unexplained: (sent - explained(watches, tries, others)).max(0.0),
    })
}

/// A try to write the beacon: Weir writes no other EndpointSlice.
fn is_try(request: &AuditedRequest) -> bool {
    request.target == "endpointslices" && request.is_write()
}

/// The most events of EndpointSlices that so many watches are sent in a minute: each change once, but the beacon's not
/// to the one that is kube-proxy's.
fn explained(watches: f64, tries: f64, others: f64) -> f64 {
    (watches - 1.0) * tries + watches * (others + BOOKMARKS)
}

async fn told(here: &Measured) -> Result<Told> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let page = here.world.client().request_text(request).await?;
    let group = "group=\"discovery.k8s.io\"";
    let watches = [group, "verb=\"WATCH\""];
    Ok(Told {
        events: sum(&page, "apiserver_watch_events_total", &[group]),
        watches: sum(&page, "apiserver_longrunning_requests", &watches),
    })
}

fn figures(minutes: &[Minute]) -> Vec<Figure> {
    let number = |value: f64| {
        if value.is_finite() {
            format!("{value:.0}")
        } else {
            none()
        }
    };
    let figure = |what, of: fn(&Minute) -> f64, most, written| Figure {
        what,
        runs: minutes.iter().map(of).collect(),
        most,
        written,
    };
    let rate = |value: f64| format!("{value:.2}");
    // What others hear is told, and has no bound of its own.
    let all = f64::INFINITY;
    vec![
        figure(
            "tries to write the beacon in 10 s",
            |one| one.tries,
            BEATS_PER_10_S,
            rate,
        ),
        figure(
            "questions in a second",
            |one| one.questions,
            QUESTIONS_PER_S,
            rate,
        ),
        figure(
            "events of the beacon to kube-proxy, in a minute",
            |one| one.to_kube_proxy,
            0.0,
            number,
        ),
        figure(
            "… to who follows all EndpointSlices",
            |one| one.to_anybody,
            all,
            number,
        ),
        figure(
            "events of all EndpointSlices that an API server sent to all, by its own count",
            |one| one.sent,
            all,
            number,
        ),
        figure(
            "… of which are not explained",
            |one| one.unexplained,
            0.0,
            number,
        ),
    ]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_kube_proxy_hears_is_too_much_at_once() {
        let minute = |to_kube_proxy| Minute {
            tries: 1.0,
            questions: 4.4,
            to_kube_proxy,
            to_anybody: 6.0,
            sent: 170.0,
            unexplained: 0.0,
        };
        assert!(figures(&[minute(0.0)]).iter().all(Figure::is_within));
        let heard = figures(&[minute(0.0), minute(1.0)]);
        let over: Vec<_> = heard.iter().filter(|figure| !figure.is_within()).collect();
        assert_eq!(over.len(), 1);
        assert!(over[0].what.contains("kube-proxy"));
    }

    #[test]
    fn a_beat_is_explained_to_each_watch_but_one() {
        // 20 CoreDNS, the controllers, the API server itself, Weir and the two clients.
        let bookmarks = 25.0 * BOOKMARKS;
        assert!((explained(25.0, 6.0, 0.0) - bookmarks - 24.0 * 6.0).abs() < 1e-9);
        assert!((explained(25.0, 6.0, 1.0) - bookmarks - 24.0 * 6.0 - 25.0).abs() < 1e-9);
    }
}
