//! Dependencies that answer over a real network, and those that do not.

use std::{net::SocketAddr, sync::Arc, time::Duration};

use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, IsCa, KeyPair};
use rustls::{
    ServerConfig,
    pki_types::{PrivateKeyDer, pem::PemObject},
};
use tokio::{
    io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt},
    net::{TcpListener, TcpStream},
};
use tokio_rustls::TlsAcceptor;
use weir_core::evidence::Reading;

use super::*;
use crate::{
    client::fake::{self, Server},
    dependency::{SecretKey, Side, Signal, Threshold, Tls},
};

/// A site on this machine, and what it was asked.
struct Site {
    at: SocketAddr,
    asked: Arc<Mutex<Vec<String>>>,
}

impl Site {
    /// One that answers everything with these bytes, and then hangs or closes.
    async fn that_says(answer: impl Into<Vec<u8>>, hangs: bool) -> Self {
        Self::start(answer.into(), hangs, None).await
    }

    async fn start(answer: Vec<u8>, hangs: bool, tls: Option<TlsAcceptor>) -> Self {
        let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
        let at = listener.local_addr().unwrap();
        let asked = Arc::new(Mutex::new(Vec::new()));
        let heard = Arc::clone(&asked);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let (answer, heard, tls) = (answer.clone(), Arc::clone(&heard), tls.clone());
                tokio::spawn(async move { serve(stream, &answer, hangs, tls, &heard).await });
            }
        });
        Self { at, asked }
    }

    fn asked(&self) -> Vec<String> {
        lock(&self.asked).clone()
    }

    fn url(&self, path: &str) -> String {
        format!("http://{}{path}", self.at)
    }
}

async fn serve(
    stream: TcpStream,
    answer: &[u8],
    hangs: bool,
    tls: Option<TlsAcceptor>,
    heard: &Mutex<Vec<String>>,
) {
    match tls {
        None => exchange(stream, answer, hangs, heard).await,
        Some(tls) => {
            if let Ok(stream) = tls.accept(stream).await {
                exchange(stream, answer, hangs, heard).await;
            }
        }
    }
}

async fn exchange(
    mut stream: impl AsyncRead + AsyncWrite + Unpin,
    answer: &[u8],
    hangs: bool,
    heard: &Mutex<Vec<String>>,
) {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        match stream.read_u8().await {
            Ok(byte) => request.push(byte),
            Err(_) => return,
        }
    }
    lock(heard).push(String::from_utf8_lossy(&request).into_owned());
    // Whoever asked may have heard enough.
    drop(stream.write_all(answer).await);
    drop(stream.flush().await);
    if hangs {
        std::future::pending::<()>().await;
    }
    drop(stream.shutdown().await);
}

fn answer(status: &str, body: &str) -> String {
    format!(
        "HTTP/1.1 {status}\r\ncontent-length: {}\r\n\r\n{body}",
        body.len()
    )
}

const WELL: &str = r#"{"status":{"indicator":"none"}}"#;
const MAJOR: &str = r#"{"status":{"indicator":"major"}}"#;

fn question(url: String) -> Question {
    Question {
        every: Span::from_secs(1),
        timeout: Span::from_secs(2),
        url,
        signal: Signal::Json {
            path: "$.status.indicator".to_owned(),
            well: vec!["none".to_owned()],
        },
        tls: Tls::default(),
        bearer: None,
    }
}

fn no_secrets() -> Secrets {
    Secrets::new(Server::default().client(), "weir-system", Clock::start())
}

async fn told(question: &Question) -> Result<Health, Trouble> {
    ask::ask(question, &no_secrets()).await
}

#[tokio::test]
async fn a_page_tells_whether_all_is_well() {
    let site = Site::that_says(answer("200 OK", WELL), false).await;
    assert_eq!(
        told(&question(site.url("/s.json?a=b"))).await,
        Ok(Health::Well)
    );
    let request = site.asked().remove(0).to_ascii_lowercase();
    assert!(
        request.starts_with("get /s.json?a=b http/1.1\r\n"),
        "{request}"
    );
    assert!(
        request.contains("\r\naccept: application/json\r\n"),
        "{request}"
    );
    assert!(!request.contains("authorization"), "{request}");
    let site = Site::that_says(answer("200 OK", MAJOR), true).await;
    let what = "$.status.indicator is `major`, not `none`".to_owned();
    assert_eq!(
        told(&question(site.url("/"))).await,
        Ok(Health::Incident { what })
    );
}

#[tokio::test]
async fn whatever_is_no_answer_is_told_as_what_it_is() {
    let long = "x".repeat(10 << 20);
    let redirect = "HTTP/1.1 302 Found\r\nlocation: https://login.example.com/in?hush\r\n\r\n";
    let cut = "HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\n{\"status\":";
    for (says, hangs, expected, is_garbled) in [
        (String::new(), true, "no whole answer within 500 ms", false),
        (cut.to_owned(), true, "no whole answer within 500 ms", false),
        (cut.to_owned(), false, "its answer broke off", false),
        (
            redirect.to_owned(),
            true,
            "a redirect (302) to https://login.example.com/in,",
            false,
        ),
        (answer("200 OK", &long), false, "larger than 1 MiB", true),
        (
            answer("200 OK", "<html>hush</html>"),
            false,
            "its answer is not JSON",
            true,
        ),
        (
            answer("200 OK", r#"{"page":"hush"}"#),
            false,
            "nothing is at `$.status.indicator`",
            true,
        ),
        (answer("200 OK", ""), false, "its answer is empty", true),
        (
            answer("204 No Content", ""),
            false,
            "it answers with 204 No Content",
            false,
        ),
        (
            answer("500 Internal Server Error", &long),
            false,
            "it answers with 500 Internal",
            false,
        ),
        (
            answer("401 Unauthorized", "hush"),
            false,
            "it answers with 401 Unauthorized",
            false,
        ),
        ("SSH-2.0-hello\r\n".to_owned(), false, "", false),
        (String::new(), false, "", false),
    ] {
        let site = Site::that_says(says, hangs).await;
        let mut question = question(site.url("/a?hush"));
        question.timeout = Span::from_millis(500);
        let answer = told(&question).await;
        let why = match &answer {
            Err(Trouble::Garbled(why)) if is_garbled => why,
            Err(Trouble::Absent(why)) if !is_garbled => why,
            other => panic!("{expected}: {other:?}"),
        };
        assert!(why.starts_with(&format!("{}: ", site.url("/a"))), "{why}");
        assert!(why.contains(expected), "{why} is not: {expected}");
        assert!(!why.contains("hush"), "{why}");
        assert_eq!(site.asked().len(), 1, "{expected}: it is asked once");
    }
}

#[tokio::test]
async fn where_nobody_listens_is_absent() {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let at = listener.local_addr().unwrap();
    drop(listener);
    match told(&question(format!("http://{at}/"))).await {
        Err(Trouble::Absent(why)) => assert!(why.contains("refused"), "{why}"),
        other => panic!("{other:?}"),
    }
}

#[tokio::test]
async fn a_prometheus_is_asked_its_query() {
    let body = r#"{"status":"success","data":{"resultType":"vector","result":[{"metric":{},"value":[1,"0.25"]}]}}"#;
    let site = Site::that_says(answer("200 OK", body), false).await;
    let mut question = question(site.url("/base"));
    question.signal = Signal::Prometheus {
        query: "rate(errors{a=\"b\"}[5m])".to_owned(),
        threshold: Threshold(0.1),
        incident: Side::Above,
    };
    let what = "the query's value is 0.25, above 0.1".to_owned();
    assert_eq!(told(&question).await, Ok(Health::Incident { what }));
    let request = site.asked().remove(0);
    let path =
        "GET /base/api/v1/query?query=rate%28errors%7Ba%3D%22b%22%7D%5B5m%5D%29&timeout=2000ms ";
    assert!(request.starts_with(path), "{request}");
}

/// An authority, and the certificate of a server that has a name only.
fn authority() -> (CertifiedIssuer<'static, KeyPair>, TlsAcceptor) {
    let mut params = CertificateParams::default();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    let authority = CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap();
    let key = KeyPair::generate().unwrap();
    let params = CertificateParams::new(vec!["status.internal".to_owned()]).unwrap();
    let certificate = params.signed_by(&key, &authority).unwrap();
    let key = PrivateKeyDer::from_pem_slice(key.serialize_pem().as_bytes()).unwrap();
    let provider = Arc::new(rustls::crypto::ring::default_provider());
    let config = ServerConfig::builder_with_provider(provider)
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (authority, TlsAcceptor::from(Arc::new(config)))
}

fn secret(key: &str, value: &str) -> fake::Answer {
    let value = k8s_openapi::ByteString(value.as_bytes().to_vec());
    let value = serde_json::to_string(&value).unwrap();
    let json = format!(
        r#"{{"apiVersion":"v1","kind":"Secret","metadata":{{"name":"a"}},"data":{{"{key}":{value}}}}}"#
    );
    fake::Answer::whole(200, json)
}

#[tokio::test]
async fn a_token_goes_to_whom_the_policy_trusts_and_to_nobody_else() {
    let (authority, acceptor) = authority();
    let site = Site::start(answer("200 OK", WELL).into(), false, Some(acceptor)).await;
    let mut question = question(format!("https://{}/", site.at));
    question.tls = Tls {
        ca_secret: Some("our-ca".to_owned()),
        server_name: Some("status.internal".to_owned()),
    };
    question.bearer = Some(SecretKey {
        name: "status".to_owned(),
        key: "token".to_owned(),
    });
    let ask = async |question: &Question, bundle: &str| {
        let secrets = [secret("ca.crt", bundle), secret("token", "hush\n")];
        let api = Server::that(secrets);
        let secrets = Secrets::new(api.client(), "weir-system", Clock::start());
        ask::ask(question, &secrets).await
    };
    let bundle = authority.pem();
    assert_eq!(ask(&question, &bundle).await, Ok(Health::Well));
    let request = site.asked().remove(0).to_ascii_lowercase();
    assert!(
        request.contains("\r\nauthorization: bearer hush\r\n"),
        "{request}"
    );

    let (stranger, _) = self::authority();
    let mut unnamed = question.clone();
    unnamed.tls.server_name = None;
    for (question, bundle) in [(&question, stranger.pem()), (&unnamed, bundle)] {
        match ask(question, &bundle).await {
            Err(Trouble::Absent(why)) => assert!(why.contains("certificate"), "{why}"),
            other => panic!("{other:?}"),
        }
    }
    assert_eq!(site.asked().len(), 1, "nobody else was told the token");
}

#[tokio::test]
async fn a_secret_that_may_not_be_read_is_said_to_be_so() {
    let mut question = question("https://127.0.0.1:1/".to_owned());
    question.bearer = Some(SecretKey {
        name: "status".to_owned(),
        key: "token".to_owned(),
    });
    let refusal =
        r#"{"kind":"Status","apiVersion":"v1","status":"Failure","reason":"Forbidden","code":403}"#;
    let api = Server::that([fake::Answer::whole(403, refusal)]);
    let secrets = Secrets::new(api.client(), "weir-system", Clock::start());
    match ask::ask(&question, &secrets).await {
        Err(Trouble::Absent(why)) => {
            assert!(
                why.contains("Weir may not read the Secret `status` in `weir-system`"),
                "{why}"
            );
        }
        other => panic!("{other:?}"),
    }
}

/// What is known of a question, once that is so.
async fn eventually(
    dependencies: &Dependencies,
    question: &Arc<Question>,
    is_so: impl Fn(&DependencyView) -> bool,
) -> DependencyView {
    for _ in 0..500 {
        let views = dependencies.view(dependencies.clock.now());
        let view = views.and_then(|views| views.get(question).cloned());
        if let Some(view) = view.filter(|view| is_so(view)) {
            return view;
        }
        sleep(Duration::from_millis(10)).await;
    }
    panic!("it never was so");
}

#[tokio::test]
async fn the_leader_asks_each_on_its_own_and_one_that_hangs_delays_nobody() {
    let well = Site::that_says(answer("200 OK", WELL), false).await;
    let hangs = Site::that_says("", true).await;
    let (dependencies, desk) = Dependencies::new(Clock::start(), no_secrets());
    tokio::spawn(run(desk));
    let good = Arc::new(question(well.url("/")));
    let bad = Arc::new(question(hangs.url("/")));
    let both = BTreeSet::from([Arc::clone(&good), Arc::clone(&bad)]);
    dependencies.ask(both.clone(), true);
    sleep(Duration::from_millis(100)).await;
    assert_eq!(dependencies.view(dependencies.clock.now()), None);
    assert!(well.asked().is_empty(), "who does not lead asks nobody");

    dependencies.set_leading(true);
    let is_fresh = |view: &DependencyView| view.reading == Reading::Fresh(Health::Well);
    eventually(&dependencies, &good, is_fresh).await;
    let before = eventually(&dependencies, &bad, |_| true).await;
    assert!(!before.is_asked, "{before:?}");
    let after = eventually(&dependencies, &bad, |view| view.is_asked).await;
    assert!(matches!(after.reading, Reading::Absent { .. }), "{after:?}");
    assert!(well.asked().len() >= 2, "it was asked again meanwhile");

    dependencies.ask(BTreeSet::from([Arc::clone(&good)]), true);
    let views = dependencies.view(dependencies.clock.now()).unwrap();
    assert!(!views.contains_key(&bad));
    dependencies.set_leading(false);
    assert_eq!(dependencies.view(dependencies.clock.now()), None);
}

#[tokio::test]
async fn without_a_rollout_in_flight_it_is_asked_once_in_a_while_and_at_once_with_one() {
    let site = Site::that_says(answer("200 OK", WELL), false).await;
    let (dependencies, desk) = Dependencies::new(Clock::start(), no_secrets());
    tokio::spawn(run(desk));
    let one = Arc::new(question(site.url("/")));
    dependencies.set_leading(true);
    dependencies.ask(BTreeSet::from([Arc::clone(&one)]), false);
    let is_asked = |view: &DependencyView| view.is_asked;
    eventually(&dependencies, &one, is_asked).await;
    sleep(Duration::from_millis(2500)).await;
    assert_eq!(site.asked().len(), 1);
    dependencies.ask(BTreeSet::from([one]), true);
    sleep(Duration::from_millis(500)).await;
    assert_eq!(site.asked().len(), 2);
}
