//! A prober against a scripted API server, in paused time.

use std::collections::BTreeSet;

use tokio::sync::watch;
use weir_core::{evidence::Reading, servers::Fleet};

use super::{
    super::{Pace, Tempo},
    *,
};
use crate::{
    client::fake::{Answer, Server, Then},
    clock::Clock,
};

const LEASES: &str = "/apis/coordination.k8s.io/v1/namespaces/weir-system/leases";

fn refusal(code: u16, message: &str) -> Answer {
    let status = json!({
        "kind": "Status", "apiVersion": "v1", "metadata": {}, "status": "Failure",
        "message": message, "reason": "", "code": code
    });
    Answer::whole(code, status.to_string())
}

async fn one(kind: ProbeKind, answer: Answer) -> Option<ProbeResult> {
    let namespace: Arc<str> = "weir-system".into();
    let prober = Prober {
        client: Server::that([answer]).client(),
        namespace,
    };
    let clock = Clock::start();
    let asked = request::send(&prober.client, prober.request(kind, clock.now()));
    let answer = tokio::time::timeout(TIMEOUT, asked).await.ok();
    prober.result(kind, answer, clock.elapsed())
}

fn failed(result: Option<ProbeResult>) -> String {
    match result {
        Some(ProbeResult::Failed { why }) => why,
        other => panic!("{other:?}"),
    }
}

#[tokio::test(start_paused = true)]
async fn an_answer_is_measured_to_its_end() {
    let slow = Answer::pieces([(0, "{"), (2, "}")], Then::Ends);
    let took = one(ProbeKind::List, slow).await;
    assert_eq!(took, Some(ProbeResult::Served(Duration::from_secs(2))));
}

#[tokio::test(start_paused = true)]
async fn that_there_is_no_such_object_is_an_answer() {
    let took = one(
        ProbeKind::Get,
        refusal(404, "leases \"weir-probe\" not found"),
    )
    .await;
    assert_eq!(took, Some(ProbeResult::Served(Duration::ZERO)));
}

#[tokio::test(start_paused = true)]
async fn no_whole_answer_in_five_seconds_is_a_failure() {
    let hangs = Answer::pieces([(1, "{")], Then::Hangs);
    assert_eq!(
        failed(one(ProbeKind::Get, hangs).await),
        "no whole answer within 5 s"
    );
    assert_eq!(
        failed(one(ProbeKind::Get, Answer::never()).await),
        "no whole answer within 5 s"
    );
}

#[tokio::test(start_paused = true)]
async fn a_broken_connection_and_an_error_of_the_server_say_why() {
    let breaks = Answer::pieces([(1, "{")], Then::Breaks);
    assert!(failed(one(ProbeKind::Get, breaks).await).contains("connection reset"));
    let error = refusal(500, "etcdserver: request timed out");
    assert_eq!(
        failed(one(ProbeKind::Write, error).await),
        "etcdserver: request timed out"
    );
    let proxy = Answer::whole(502, "<html>");
    assert_eq!(failed(one(ProbeKind::Get, proxy).await), "502 Bad Gateway");
}

#[tokio::test(start_paused = true)]
async fn a_429_is_refused_and_a_403_says_what_to_grant() {
    assert_eq!(
        one(ProbeKind::Get, refusal(429, "too many")).await,
        Some(ProbeResult::Refused)
    );
    let denied = one(ProbeKind::Write, refusal(403, "leases is forbidden")).await;
    let why = "grant Weir the verb patch on leases in weir-system (leases is forbidden)".to_owned();
    assert_eq!(denied, Some(ProbeResult::Denied { why }));
}

/// A prober in its loop.
struct Probing {
    server: Server,
    desk: Desk,
    tempo: watch::Sender<Tempo>,
    run: std::pin::Pin<Box<dyn Future<Output = ()>>>,
}

impl Probing {
    fn at(tempo: Tempo, answers: impl IntoIterator<Item = Answer>) -> Self {
        let clock = Clock::start();
        let mut fleet = Fleet::new(tempo.cadence());
        fleet.endpoints(&BTreeSet::from(["a:1".to_owned()]), clock.now());
        let (tempo, paced) = watch::channel(tempo);
        let desk = Desk {
            clock,
            fleet: Arc::new(fleet.into()),
            tempo: paced,
        };
        let server = Server::that(answers);
        let run = probe_by(
            desk.clone(),
            server.client(),
            "a:1".to_owned(),
            "weir-system".into(),
            |rest| rest,
        );
        Self {
            server,
            desk,
            tempo,
            run: Box::pin(run),
        }
    }

    /// What it asks for in so many seconds.
    async fn asks_in(&mut self, seconds: u64) -> Vec<String> {
        let before = self.server.asked().len();
        let pass = Duration::from_millis(seconds * 1000 - 1);
        assert!(tokio::time::timeout(pass, &mut self.run).await.is_err());
        tokio::time::advance(Duration::from_millis(1)).await;
        let asked = self.server.asked().split_off(before);
        asked
            .iter()
            .map(|asked| asked.replace(LEASES, ""))
            .collect()
    }
}

fn served() -> impl Iterator<Item = Answer> {
    (0..100).map(|_| Answer::whole(200, "{}"))
}

#[tokio::test(start_paused = true)]
async fn in_flight_a_leader_reads_lists_and_writes_in_turn_once_a_second() {
    let tempo = Tempo {
        pace: Pace::InFlight,
        leading: true,
        ..Tempo::default()
    };
    let asked = Probing::at(tempo, served()).asks_in(4).await;
    let expected = [
        "GET /weir-probe",
        "GET ?limit=5",
        "PATCH /weir-probe?fieldManager=weir",
        "GET /weir-probe",
    ];
    assert_eq!(asked, expected);
}

#[tokio::test(start_paused = true)]
async fn behind_a_balancer_each_probe_goes_over_a_connection_of_its_own() {
    let tempo = Tempo {
        pace: Pace::InFlight,
        leading: true,
        ..Tempo::default()
    };
    let mut probing = Probing::at(tempo, served());
    let closes = |asked: &[String]| asked.iter().filter(|it| it.ends_with("and closes")).count();
    assert_eq!(closes(&probing.asks_in(4).await), 0);
    probing.tempo.send_modify(|tempo| tempo.balanced = true);
    let asked = probing.asks_in(4).await;
    assert_eq!((closes(&asked), asked.len()), (4, 4), "{asked:?}");
}

#[tokio::test(start_paused = true)]
async fn a_rollout_that_takes_off_is_not_kept_waiting() {
    let mut probing = Probing::at(Tempo::default(), served());
    assert_eq!(probing.asks_in(9).await, ["GET /weir-probe"]);
    probing
        .tempo
        .send_modify(|tempo| tempo.pace = Pace::InFlight);
    assert_eq!(probing.asks_in(3).await.len(), 3);
}

#[tokio::test(start_paused = true)]
async fn an_object_that_is_missing_is_made_by_the_write() {
    let answers = [
        refusal(404, "not found"),
        Answer::whole(200, "{}"),
        refusal(404, "not found"),
        Answer::whole(201, "{}"),
    ];
    let tempo = Tempo {
        pace: Pace::InFlight,
        leading: true,
        ..Tempo::default()
    };
    let mut probing = Probing::at(tempo, answers);
    let asked = probing.asks_in(3).await;
    assert_eq!(
        asked[2..],
        [
            "PATCH /weir-probe?fieldManager=weir",
            "POST ?fieldManager=weir"
        ]
    );
}

#[tokio::test(start_paused = true)]
async fn a_hung_server_is_told_after_six_seconds_and_asked_by_five_probes_at_once() {
    let tempo = Tempo {
        pace: Pace::InFlight,
        leading: false,
        ..Tempo::default()
    };
    let mut probing = Probing::at(tempo, []);
    assert_eq!(probing.asks_in(5).await.len(), 5);
    let asked = probing.asks_in(2).await.len();
    assert!(asked <= 2, "one for each that was given up, not {asked}");
    let now = probing.desk.clock.now();
    let expected = Reading::Fresh(1);
    let told = probing.desk.fleet().evidence(&expected, now);
    let latency = told.into_values().next().unwrap().latency;
    let latency = latency.fresh().unwrap();
    assert_eq!((latency.probes, latency.slow), (2, 2));
}

#[test]
fn a_denial_is_believed_once_it_has_lasted() {
    let mut denials = Denials::default();
    let at = |seconds: u64| Moment::from_millis(1_000_000 + seconds * 1000);
    let denied = || ProbeResult::Denied {
        why: "grant it".to_owned(),
    };
    let served = || ProbeResult::Served(Duration::from_millis(4));
    assert_eq!(denials.believe(ProbeKind::Get, denied(), at(0)), None);
    assert_eq!(denials.believe(ProbeKind::Get, denied(), at(29)), None);
    assert_eq!(
        denials.believe(ProbeKind::List, served(), at(29)),
        Some(served())
    );
    assert_eq!(
        denials.believe(ProbeKind::Get, denied(), at(30)),
        Some(denied())
    );
    assert_eq!(
        denials.believe(ProbeKind::Get, served(), at(31)),
        Some(served())
    );
    assert_eq!(denials.believe(ProbeKind::Get, denied(), at(32)), None);
}
