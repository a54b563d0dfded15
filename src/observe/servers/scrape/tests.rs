//! One page from a scripted API server, in paused time.

use super::*;
use crate::{
    client::fake::{Answer, Server, Then},
    clock::Clock,
};

const PAGE: &str =
    include_str!("../../../../crates/weir-core/tests/fixtures/kube_apiserver_1_36_3_quiet.txt");

async fn read(answer: Answer) -> (Result<Scrape, String>, Duration) {
    let clock = Clock::start();
    let (scrape, at) = scrape(&Server::that([answer]).client(), false, || clock.now()).await;
    let head_after = at.since(clock.now() - span_of(clock.elapsed()));
    let head_after = Duration::from_millis(head_after.as_millis());
    (scrape.map_err(|error| error.to_string()), head_after)
}

fn span_of(duration: Duration) -> weir_core::time::Span {
    weir_core::time::Span::from_millis(u64::try_from(duration.as_millis()).unwrap())
}

async fn error(answer: Answer) -> String {
    read(answer).await.0.unwrap_err()
}

#[tokio::test(start_paused = true)]
async fn a_whole_page_is_read_in_whatever_pieces_it_comes() {
    let (whole, _) = read(Answer::whole(200, PAGE)).await;
    let (start, end) = PAGE.split_at(PAGE.len() / 3);
    let mut pieces = Answer::pieces([(1, start), (1, end)], Then::Ends);
    pieces.head_after = Duration::from_secs(1);
    let (in_pieces, head_after) = read(pieces).await;
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
        "the metrics page could not be read: not whole within 4 s: 1000 bytes came"
    );
    assert_eq!(
        error(Answer::never()).await,
        "the metrics page could not be read: not whole within 4 s: 0 bytes came"
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
        "the metrics page could not be read: grant Weir the verb get on the nonResourceURL /metrics"
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
    let page = [(0, bytes::Bytes::from_static(PAGE.as_bytes()))];
    let (scrape, _) = read(Answer::pieces(filler.chain(page), Then::Ends)).await;
    assert_eq!(scrape, read(Answer::whole(200, PAGE)).await.0);
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_each_page_comes_over_a_connection_of_its_own() {
    for (balanced, asked) in [(false, "GET /metrics"), (true, "GET /metrics and closes")] {
        let server = Server::that([]);
        let clock = Clock::start();
        drop(scrape(&server.client(), balanced, || clock.now()).await);
        assert_eq!(server.asked(), [asked]);
    }
}
