use std::time::Duration;

use http_body_util::BodyExt;

use super::*;

const LIST: &str = "/api/v1/pods?limit=500";
const FIRST: &str = "/api/v1/pods?watch=true&sendInitialEvents=true&resourceVersion=0";
const RESUMED: &str = "/api/v1/pods?timeoutSeconds=50&watch=true&resourceVersion=7";

fn pulse() -> Arc<Pulse> {
    Arc::new(Pulse::new(Clock::start()))
}

/// Asks for `path` of a server that answers with `status` and one piece of body, and reads the
/// piece a second after the head.
async fn ask(path: &str, status: u16, pulse: &Arc<Pulse>) {
    let server = tower::service_fn(move |_: Request<Body>| async move {
        let body = Body::from(b"a bookmark\n".to_vec());
        Ok::<_, kube::Error>(Response::builder().status(status).body(body).unwrap())
    });
    let client = pulse.listen(kube::Client::new(server, "default"));
    let request = Request::get(path).body(Body::empty()).unwrap();
    let answer = client.send(request).await.unwrap();
    tokio::time::advance(Duration::from_secs(1)).await;
    answer.into_body().collect().await.unwrap();
}

#[tokio::test(start_paused = true)]
async fn a_list_is_no_sign_of_life_of_what_is_kept() {
    for path in [LIST, FIRST] {
        let pulse = pulse();
        ask(path, 200, &pulse).await;
        assert_eq!(pulse.last(), None, "{path}");
    }
}

#[tokio::test(start_paused = true)]
async fn pieces_are_life_once_the_list_is_whole() {
    let pulse = pulse();
    pulse.caught_up();
    let then = pulse.last().unwrap();
    ask(FIRST, 200, &pulse).await;
    assert_eq!(pulse.last().unwrap().since(then).as_millis(), 1000);
}

#[tokio::test(start_paused = true)]
async fn a_resumed_watch_is_life_by_its_head_alone() {
    let pulse = pulse();
    ask(RESUMED, 200, &pulse).await;
    assert_eq!(
        pulse.last(),
        Some(Moment::from_millis(pulse.clock.now().as_millis() - 1000))
    );
}

#[tokio::test(start_paused = true)]
async fn while_listing_anew_nothing_is_life() {
    let pulse = pulse();
    pulse.caught_up();
    pulse.fell_behind();
    let then = pulse.last();
    ask(FIRST, 200, &pulse).await;
    assert_eq!(pulse.last(), then);
}

#[tokio::test(start_paused = true)]
async fn a_refusal_is_no_life() {
    let pulse = pulse();
    pulse.caught_up();
    let then = pulse.last();
    ask(RESUMED, 403, &pulse).await;
    assert_eq!(pulse.last(), then);
}
