use std::{convert::Infallible, sync::atomic::AtomicU32};

use hyper::{server::conn, service::service_fn};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{ServerConfig, pki_types::PrivateKeyDer};
use tokio::net::TcpListener;
use tokio_rustls::TlsAcceptor;

use super::*;

/// A TLS server that answers as its paths say, and counts its connections.
struct Stand {
    address: SocketAddr,
    connections: Arc<AtomicU32>,
}

type Authority = CertifiedIssuer<'static, KeyPair>;

fn authority() -> Authority {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

async fn stand(authority: &Authority, http: Http) -> Stand {
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec![SERVER_NAME.to_owned()]).unwrap();
    let certificate = params.signed_by(&key, authority).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let mut config = ServerConfig::builder()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    config.alpn_protocols = vec![b"h2".to_vec(), b"http/1.1".to_vec()];
    let acceptor = TlsAcceptor::from(Arc::new(config));
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let address = listener.local_addr().unwrap();
    let connections = Arc::new(AtomicU32::new(0));
    let counted = Arc::clone(&connections);
    tokio::spawn(async move {
        loop {
            let (tcp, _) = listener.accept().await.unwrap();
            let Ok(tls) = acceptor.accept(tcp).await else {
                continue;
            };
            counted.fetch_add(1, Ordering::Relaxed);
            let (io, service) = (TokioIo::new(tls), service_fn(answer));
            match http {
                Http::H2 => drop(tokio::spawn(
                    conn::http2::Builder::new(TokioExecutor::new()).serve_connection(io, service),
                )),
                Http::Http1 => drop(tokio::spawn(
                    conn::http1::Builder::new().serve_connection(io, service),
                )),
            }
        }
    });
    Stand {
        address,
        connections,
    }
}

async fn answer(request: Request<Incoming>) -> Result<Response<Full<Bytes>>, Infallible> {
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
    Ok(response.body(Full::from("answer")).unwrap())
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
