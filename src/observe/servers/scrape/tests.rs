//! Pages from a scripted API server, in paused time.

use std::collections::BTreeSet;

use tokio::sync::watch;
use weir_core::{evidence::Reading, servers::Fleet};

use super::*;
use crate::{
    client::fake::{Answer, Server, Then},
    clock::Clock,
    observe::Pace,
};

const PAGE: &str =
    include_str!("../../../../crates/weir-core/tests/fixtures/kube_apiserver_1_36_3_quiet.txt");

const WITHIN: Duration = Duration::from_secs(4);

async fn page(answer: Answer) -> (Result<Scrape, String>, Duration) {
    let clock = Clock::start();
    let client = Server::that([answer]).client();
    let Read { scrape, at, .. } = read(&client, false, WITHIN, || clock.now()).await;
    let head_after = at.since(clock.now() - span_of(clock.elapsed()));
    let head_after = Duration::from_millis(head_after.as_millis());
    (scrape.map_err(|error| error.to_string()), head_after)
}

fn span_of(duration: Duration) -> weir_core::time::Span {
    weir_core::time::Span::from_millis(u64::try_from(duration.as_millis()).unwrap())
}

async fn error(answer: Answer) -> String {
    page(answer).await.0.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_whole_page_is_read_in_whatever_pieces_it_comes() {
    let (whole, _) = page(Answer::whole(200, PAGE)).await;
    let (start, end) = PAGE.split_at(PAGE.len() / 3);
    let mut pieces = Answer::pieces([(1, start), (1, end)], Then::Ends);
    pieces.head_after = Duration::from_secs(1);
    let (in_pieces, head_after) = page(pieces).await;
    assert_eq!(whole, in_pieces);
    assert!(whole.unwrap().started > 0);
    assert_eq!(
        head_after,
        Duration::from_secs(1),
        "values are as old as the head"
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_hangs_tells_how_far_it_came() {
    let hangs = Answer::pieces([(0, &PAGE[..1000])], Then::Hangs);
    assert_eq!(
        error(hangs).await,
        "the metrics page could not be read: not whole within 4 s, as long as this one might \
         take: 1000 bytes came"
    );
    assert_eq!(
        error(Answer::never()).await,
        "the metrics page could not be read: not whole within 4 s, as long as this one might \
         take: 0 bytes came"
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_that_breaks_off_tells_where() {
    let told = error(Answer::pieces([(0, &PAGE[..1000])], Then::Breaks)).await;
    assert!(told.contains("it broke off after 1000 bytes: "), "{told}");
    assert!(told.contains("connection reset"), "{told}");
}

#[tokio::test(start_paused = true)]
async fn a_page_that_is_cut_or_is_none_is_garbled() {
    let cut = Answer::whole(200, &PAGE[..PAGE.len() - 100]);
    assert!(
        error(cut)
            .await
            .starts_with("the metrics page is garbled: ")
    );
    assert!(
        error(Answer::whole(200, "<html>"))
            .await
            .starts_with("the metrics page is garbled: ")
    );
    assert!(error(Answer::whole(200, "")).await.contains("it is empty"));
}

#[tokio::test(start_paused = true)]
async fn a_refusal_says_what_to_grant() {
    assert_eq!(
        error(Answer::whole(403, "{}")).await,
        "the metrics page may not be read: grant Weir the verb get on the \
         nonResourceURL /metrics, as the ClusterRole weir in deploy/rbac.yaml does"
    );
    let nobody = error(Answer::whole(401, "{}")).await;
    assert!(
        nobody.contains("check its ServiceAccount's token"),
        "{nobody}"
    );
    assert!(
        error(Answer::whole(500, ""))
            .await
            .contains("500 Internal Server Error")
    );
}

#[tokio::test(start_paused = true)]
async fn a_page_of_a_hundred_megabytes_is_read_like_any_other() {
    let unwanted = "apiserver_request_duration_seconds_bucket{le=\"1\"} 1\n";
    let mib = bytes::Bytes::from(unwanted.repeat((1 << 20) / unwanted.len()));
    let filler = (0..101).map(|_| (0, mib.clone()));
    let end = [(0, bytes::Bytes::from_static(PAGE.as_bytes()))];
    let (scrape, _) = page(Answer::pieces(filler.chain(end), Then::Ends)).await;
    assert_eq!(scrape, page(Answer::whole(200, PAGE)).await.0);
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_each_page_comes_over_a_connection_of_its_own() {
    for (balanced, asked) in [(false, "GET /metrics"), (true, "GET /metrics and closes")] {
        let server = Server::that([]);
        let clock = Clock::start();
        drop(read(&server.client(), balanced, WITHIN, || clock.now()).await);
        assert_eq!(server.asked(), [asked]);
    }
}

/// A scraper in its loop, which leads.
struct Scraping {
    server: Server,
    desk: Desk,
    tempo: watch::Sender<Tempo>,
    run: std::pin::Pin<Box<dyn Future<Output = ()>>>,
}

impl Scraping {
    fn at(pace: Pace, answers: impl IntoIterator<Item = Answer>) -> Self {
        let clock = Clock::start();
        let tempo = Tempo {
            pace,
            leading: true,
            ..Tempo::default()
        };
        let mut fleet = Fleet::new(tempo.cadence());
        fleet.endpoints(&BTreeSet::from(["a:1".to_owned()]), clock.now());
        let (tempo, paced) = watch::channel(tempo);
        let desk = Desk {
            clock,
            fleet: std::sync::Arc::new(fleet.into()),
            tempo: paced,
        };
        let server = Server::that(answers);
        let run = Box::pin(run(desk.clone(), server.client(), "a:1".to_owned()));
        Self {
            server,
            desk,
            tempo,
            run,
        }
    }

    /// How many pages it asks for in so many seconds.
    async fn asks_in(&mut self, seconds: u64) -> usize {
        let before = self.server.asked().len();
        let pass = Duration::from_millis(seconds * 1000 - 1);
        assert!(tokio::time::timeout(pass, &mut self.run).await.is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        self.server.asked().len() - before
    }

    /// What is known of the server's process, and how freshly.
    fn told(&self) -> Reading<()> {
        let now = self.desk.clock.now();
        let told = self.desk.fleet().evidence(&Reading::Fresh(1), now);
        told.into_values().next().unwrap().process.map(|_| ())
    }
}

/// A page that takes so many seconds, and has about so many MiB.
fn large(seconds: u64, mib: usize) -> Answer {
    // Long lines, which cost the test little.
    let some = bytes::Bytes::from(format!("#{}\n", " ".repeat(1022)).repeat(1024));
    let filler = (0..mib).map(|_| (0, some.clone()));
    let page = [(seconds, bytes::Bytes::from_static(PAGE.as_bytes()))];
    Answer::pieces(filler.chain(page), Then::Ends)
}

#[tokio::test(start_paused = true)]
async fn a_page_that_takes_longer_than_the_usual_limit_is_read_and_judged_by() {
    let pages = (0..10).map(|_| large(6, 1));
    let mut scraping = Scraping::at(Pace::InFlight, pages);
    assert_eq!(scraping.asks_in(54).await, 3, "a third of the time");
    for _ in 0..30 {
        scraping.asks_in(1).await;
        assert!(scraping.told().fresh().is_some(), "{:?}", scraping.told());
    }
}

#[tokio::test(start_paused = true)]
async fn bytes_are_budgeted_whatever_the_pace() {
    let pages = (0..20).map(|_| large(0, 160));
    let mut scraping = Scraping::at(Pace::InFlight, pages);
    assert_eq!(scraping.asks_in(60).await, 6, "16 MiB a second");
    for pace in [Pace::Idle, Pace::InFlight, Pace::Idle, Pace::InFlight] {
        scraping.tempo.send_modify(|tempo| tempo.pace = pace);
        scraping.asks_in(1).await;
    }
    assert!(
        scraping.asks_in(6).await <= 1,
        "a change of pace is no leave"
    );
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_takes_off_is_not_kept_waiting() {
    let pages = (0..9).map(|_| Answer::whole(200, PAGE));
    let mut scraping = Scraping::at(Pace::Idle, pages);
    assert_eq!(scraping.asks_in(30).await, 2, "rates need two pages");
    scraping
        .tempo
        .send_modify(|tempo| tempo.pace = Pace::InFlight);
    assert_eq!(scraping.asks_in(10).await, 2);
    scraping.tempo.send_modify(|tempo| tempo.leading = false);
    assert_eq!(scraping.asks_in(50).await, 0, "a follower reads as if idle");
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_pages_are_out_of_step_with_probes() {
    let pages = (0..9).map(|_| Answer::whole(200, PAGE));
    let mut scraping = Scraping::at(Pace::InFlight, pages);
    scraping.tempo.send_modify(|tempo| tempo.balanced = true);
    let mut asks = Vec::new();
    for _ in 0..23 {
        asks.push(scraping.asks_in(1).await);
    }
    let seconds: Vec<usize> = (0..23).filter(|second| asks[*second] > 0).collect();
    assert_eq!(seconds, [0, 6, 11, 17, 22]);
}
