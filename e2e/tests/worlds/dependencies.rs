//! What policies depend on outside the cluster: a provider's incident in the middle of a rollout, a status page that
//! falls silent, and pages that answer with whatever they like.

use std::collections::BTreeMap;
use std::net::SocketAddr;
use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use kube::Api;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::{TcpListener, TcpStream};
use weir::api::{DependencyState, DependencyStatus, RolloutPolicy, Severity, State};
use weir_e2e::inside;
use weir_e2e::stage::{PATIENCE, Stage, all_for, eventually, policy_for};
use weir_e2e::world::{World, WorldSpec};

/// Five waves.
const NODES: u32 = 12;

/// Each width soaks for so long that an incident finds the rollout in its middle: it is heard of within ten seconds.
const SOAK: Duration = Duration::from_secs(20);

/// For how long an incident lasts at least once it holds: a wave would be due in the middle of it.
const LASTS: Duration = Duration::from_secs(25);

#[test]
fn rollouts_wait_for_what_their_policies_depend_on() -> Result<()> {
    inside!(async {
        let world = World::start(&WorldSpec {
            nodes: NODES,
            ..WorldSpec::bare()
        })
        .await?;
        let page = Page::open().await?;
        let (stage, weir) = Stage::set(&world).await?;
        for (name, path, silent_for) in [("incident", "/a", "10m"), ("silence", "/b", "20s")] {
            let dependency = format!(
                "dependencies:\n- {{ name: cloud, every: 10s, timeout: 1s, silentFor: {silent_for}, \
                 http: {{ url: 'http://{}{path}', jsonPath: $.status.indicator, equals: none }} }}",
                page.at
            );
            let waves = "waves: { growth: 3, maxStep: 50% }";
            let soak = SOAK.as_secs();
            let spec = format!("pace: Fast\nsoak: {soak}s\n{waves}\n{PATIENCE}\n{dependency}");
            world.apply(&policy_for(name, &[name], &spec)).await?;
        }
        nonsense(&stage, &page).await.context("nonsense")?;
        // Each has a rollout, a policy and a page of its own.
        let (held, waited) = tokio::join!(incident(&stage, &page), silence(&stage, &page));
        held.context("an incident")?;
        waited.context("silence")?;
        let log = std::fs::read_to_string(weir.program.log())?;
        ensure!(!log.contains("hush"), "a secret is in its log");
        weir.program.check()
    })
}

/// The provider has an incident in the middle of a rollout: it is held, not blamed, and goes on by itself.
async fn incident(stage: &Stage<'_>, page: &Page) -> Result<()> {
    page.says("/a", WELL);
    let (logs, revision) = stage.soaking("incident", NODES / 2).await?;
    page.says("/a", MAJOR);
    let status = logs.until_state(&revision, State::Held).await?;
    let holds: Vec<_> = status
        .findings
        .iter()
        .filter(|finding| finding.severity == Severity::Hold)
        .collect();
    ensure!(
        holds.len() == 1 && holds[0].reason == "DependencyIncident" && holds[0].subject == "cloud",
        "{holds:?}"
    );
    ensure!(
        holds[0]
            .evidence
            .contains("$.status.indicator is `major`, not `none`"),
        "{holds:?}"
    );
    let before = logs.count(&revision).await?;
    all_for(LASTS, "no pod is let through", async || {
        Ok(logs.count(&revision).await?.gated == before.gated)
    })
    .await?;
    let told = told(stage, "incident").await?;
    ensure!(told["cloud"].state == DependencyState::Incident, "{told:?}");
    page.says("/a", WELL);
    logs.until_state(&revision, State::Complete).await?;
    Ok(())
}

/// The page hangs from then on: that holds until its deadline, and says so, and then the rollout goes on.
async fn silence(stage: &Stage<'_>, page: &Page) -> Result<()> {
    page.says("/b", WELL);
    let (logs, revision) = stage.soaking("silence", NODES / 2).await?;
    page.says("/b", HANGS);
    let status = logs.until_state(&revision, State::Held).await?;
    let worst = status.findings.first().context("it says why it is held")?;
    ensure!(
        ["EvidenceStale", "EvidenceAbsent"].contains(&worst.reason.as_str())
            && worst.subject == "cloud",
        "{worst:?}"
    );
    let (known, message) = stage
        .policy_says("silence", "DependenciesKnown", "DependencySilent")
        .await?;
    ensure!(
        known == "False" && message.contains("no whole answer within 1 s"),
        "{message}"
    );
    logs.until_state(&revision, State::Complete).await?;
    let told = told(stage, "silence").await?;
    ensure!(told["cloud"].state == DependencyState::Silent, "{told:?}");
    Ok(())
}

/// Each kind of answer that is none, by what the policy's status makes of it.
async fn nonsense(stage: &Stage<'_>, page: &Page) -> Result<()> {
    let kinds = [
        ("hangs", HANGS, "no whole answer within 1 s"),
        (
            "redirects",
            REDIRECT,
            "a redirect (302) to https://login.example.com/,",
        ),
        ("large", LARGE, "larger than 1 MiB"),
        ("html", HTML, "is not JSON"),
        ("other", OTHER, "nothing is at `$.status.indicator`"),
        ("fails", FAILS, "500 Internal Server Error"),
    ];
    let mut lines = vec!["pace: Fast".to_owned(), "dependencies:".to_owned()];
    for (name, says, _) in kinds {
        page.says(&format!("/{name}"), says);
        let url = format!("http://{}/{name}?key=hush", page.at);
        lines.push(format!(
            "- {{ name: {name}, timeout: 1s, \
             http: {{ url: '{url}', jsonPath: $.status.indicator, equals: none }} }}"
        ));
    }
    // Nobody granted Weir to read it.
    lines.push(format!(
        "- {{ name: secret, http: {{ url: 'https://{}/', jsonPath: $.a, equals: b, \
         bearerToken: {{ name: nobodys, key: token }} }} }}",
        page.at
    ));
    let spec = lines.join("\n");
    let manifest = policy_for("nonsense", &["nowhere"], &spec);
    stage.world.apply(&manifest).await?;
    stage
        .policy_says("nonsense", "DependenciesKnown", "DependencySilent")
        .await?;
    let told = told(stage, "nonsense").await?;
    let secret = ("secret", "", "Weir may not read the Secret `nobodys`");
    for (name, _, expected) in kinds.into_iter().chain([secret]) {
        let one = told
            .get(name)
            .with_context(|| format!("{name} is not told"))?;
        let what = one.what.as_deref().unwrap_or_default();
        ensure!(
            one.state == DependencyState::Silent && what.contains(expected),
            "{name} is not told as `{expected}`: {one:?}"
        );
        ensure!(!what.contains("hush"), "a secret is in the status: {what}");
    }
    Ok(())
}

/// What a policy's status says of what it depends on.
async fn told(stage: &Stage<'_>, policy: &str) -> Result<BTreeMap<String, DependencyStatus>> {
    let policies: Api<RolloutPolicy> = Api::all(stage.admin.clone());
    let mut told = BTreeMap::new();
    eventually("the policy says what it depends on", async || {
        let status = policies.get(policy).await?.status.unwrap_or_default();
        let named = |one: DependencyStatus| (one.name.clone(), one);
        told = status.dependencies.into_iter().map(named).collect();
        Ok(!told.is_empty())
    })
    .await?;
    Ok(told)
}

/// What a page may say: the head after the version, an empty line, and the body.
const WELL: &str = "200 OK\r\n\r\n{\"status\":{\"indicator\":\"none\"}}";
const MAJOR: &str = "200 OK\r\n\r\n{\"status\":{\"indicator\":\"major\"}}";
const OTHER: &str = "200 OK\r\n\r\n{\"page\":\"hush\"}";
const HTML: &str = "200 OK\r\n\r\n<html>hush</html>";
const FAILS: &str = "500 Internal Server Error\r\n\r\nhush";
const REDIRECT: &str = "302 Found\r\nlocation: https://login.example.com/?hush\r\n\r\n";
/// Nothing at all.
const HANGS: &str = "";
/// Ten megabytes.
const LARGE: &str = "200 OK\r\n\r\n[";

/// A provider's status pages, each by its path.
struct Page {
    at: SocketAddr,
    says: Arc<Mutex<BTreeMap<String, &'static str>>>,
}

impl Page {
    async fn open() -> Result<Self> {
        let listener = TcpListener::bind("127.0.0.1:0").await?;
        let at = listener.local_addr()?;
        let says = Arc::<Mutex<BTreeMap<String, &'static str>>>::default();
        let told = Arc::clone(&says);
        tokio::spawn(async move {
            while let Ok((stream, _)) = listener.accept().await {
                let told = Arc::clone(&told);
                // Whoever asks may leave in the middle of an answer.
                tokio::spawn(async move { drop(serve(stream, &told).await) });
            }
        });
        Ok(Self { at, says })
    }

    fn says(&self, path: &str, what: &'static str) {
        let mut says = self.says.lock().unwrap_or_else(PoisonError::into_inner);
        says.insert(path.to_owned(), what);
    }
}

async fn serve(mut stream: TcpStream, says: &Mutex<BTreeMap<String, &'static str>>) -> Result<()> {
    let mut request = Vec::new();
    while !request.ends_with(b"\r\n\r\n") {
        request.push(stream.read_u8().await?);
    }
    let request = String::from_utf8_lossy(&request);
    let path = request.split([' ', '?']).nth(1).unwrap_or_default();
    let what = {
        let says = says.lock().unwrap_or_else(PoisonError::into_inner);
        says.get(path).copied().unwrap_or(HANGS)
    };
    if what == HANGS {
        return std::future::pending().await;
    }
    let answer = format!(
        "HTTP/1.1 {}",
        what.replacen("\r\n", "\r\nconnection: close\r\n", 1)
    );
    stream.write_all(answer.as_bytes()).await?;
    if what == LARGE {
        for _ in 0..10 {
            stream.write_all(&vec![b' '; 1 << 20]).await?;
        }
    }
    stream.shutdown().await?;
    Ok(())
}
