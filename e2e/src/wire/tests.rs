use tokio::net::TcpListener;

use super::{
    stand::{Authority, Stand, authority},
    *,
};

/// A server that answers as its paths say.
async fn stand(authority: &Authority, http: Http) -> Stand {
    Stand::open(authority, http, answer).await
}

fn answer(request: &Request<Incoming>) -> Response<Full<Bytes>> {
    let headers = request.headers();
    let known = headers[header::AUTHORIZATION] == "Bearer secret"
        && headers[header::USER_AGENT] == "test/1"
        && headers.contains_key(header::ACCEPT_ENCODING);
    let response = match request.uri().path() {
        "/busy" => Response::builder()
            .status(429)
            .header(header::RETRY_AFTER, "7"),
        "/bye" => Response::builder().header(header::CONNECTION, "close"),
        "/fine" if known => Response::builder(),
        _ => Response::builder().status(404),
    };
    response.body(Full::from("answer")).unwrap()
}

fn link(authority: &Authority, stands: &[&Stand], http: Http) -> Link {
    let addresses = stands.iter().map(|stand| stand.address).collect();
    let servers = Servers::new(addresses, authority.pem().as_bytes()).unwrap();
    let caller = Caller {
        token: "secret".into(),
        user_agent: "test/1".to_owned(),
        gzip: true,
        http,
    };
    Link::new(servers, caller, 0)
}

async fn get(link: &Link, path: &str) -> Result<usize, Trouble> {
    let request = Request::get(path).body(Full::default()).unwrap();
    let answer = link.send(request).await?;
    let bytes = AtomicUsize::new(0);
    read::to_end(answer, |more| {
        bytes.fetch_add(more, Ordering::Relaxed);
    })
    .await?;
    Ok(bytes.into_inner())
}

#[tokio::test]
async fn calls_at_the_same_time_share_an_http2_connection() {
    let authority = authority();
    let stand = stand(&authority, Http::H2).await;
    let link = link(&authority, &[&stand], Http::H2);
    let calls = (0..20).map(|_| get(&link, "/fine"));
    let answers = futures::future::join_all(calls).await;
    assert!(answers.iter().all(|answer| *answer == Ok(6)), "{answers:?}");
    assert_eq!(stand.connections.load(Ordering::Relaxed), 1);
}

#[tokio::test]
async fn refusals_and_errors_are_told_apart() {
    let authority = authority();
    let stand = stand(&authority, Http::H2).await;
    let link = link(&authority, &[&stand], Http::H2);
    let retry_after = Some(Duration::from_secs(7));
    assert_eq!(
        get(&link, "/busy").await,
        Err(Trouble::Refused { retry_after })
    );
    assert_eq!(
        get(&link, "/nothing").await,
        Err(Trouble::Status(StatusCode::NOT_FOUND))
    );
    assert_eq!(
        get(&link, "/fine").await,
        Ok(6),
        "the connection is still good"
    );
}

#[tokio::test]
async fn a_closed_connection_is_opened_again_to_the_next_server() {
    let authority = authority();
    let stands = [
        stand(&authority, Http::Http1).await,
        stand(&authority, Http::Http1).await,
    ];
    let link = link(&authority, &[&stands[0], &stands[1]], Http::Http1);
    assert_eq!(get(&link, "/fine").await, Ok(6));
    assert_eq!(get(&link, "/fine").await, Ok(6));
    assert_eq!(get(&link, "/bye").await, Ok(6));
    assert_eq!(get(&link, "/fine").await, Ok(6));
    let connections = stands
        .each_ref()
        .map(|stand| stand.connections.load(Ordering::Relaxed));
    assert_eq!(connections, [1, 1]);
}

#[tokio::test]
async fn a_server_of_another_cluster_is_not_talked_to() {
    let stand = stand(&authority(), Http::H2).await;
    let link = link(&authority(), &[&stand], Http::H2);
    assert_eq!(get(&link, "/fine").await, Err(Trouble::Broken));
}

#[tokio::test]
async fn nobody_at_home_is_a_broken_connection() {
    let authority = authority();
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    drop(listener);
    let gone = Stand {
        address,
        connections: Arc::default(),
    };
    assert_eq!(
        get(&link(&authority, &[&gone], Http::H2), "/fine").await,
        Err(Trouble::Broken)
    );
}
