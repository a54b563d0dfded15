//! What Weir costs, as the API servers have written it down: requests, writes and what was refused,
//! idle and with a rollout in flight; and which of its rights it has used.

#![expect(
    clippy::print_stdout,
    reason = "what was measured is worth seeing where it passes too"
)]

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use kube::Api;
use kube::api::ListParams;
use weir::api::{
    ControlPlane, Harm, Pace, RolloutPolicy, RolloutPolicySpec, SINGLETON, State, forms,
};
use weir_e2e::inside;
use weir_e2e::rights;
use weir_e2e::world::{Asked, AuditedRequest, Ceiling, WeirProcess, World, WorldSpec};

const NODES: u32 = 16;

/// Far above what anything here takes on a busy machine.
const LIMIT: Duration = Duration::from_mins(3);

/// The sections of the design that are shown here: what Weir may cost when nothing rolls out …
const IDLE_REQUESTS_PER_SECOND: f64 = 1.0;
const IDLE_SECONDS_PER_WRITE: f64 = 10.0;
/// … and what it may occupy.
const MOST_RESIDENT_BYTES: u64 = 64 << 20;

/// What it may receive besides pages of metrics: answers are an object or a few …
const BYTES_PER_REQUEST: f64 = 4.0 * 1024.0;
/// … and watches tell of each pod and its node as often as they change.
const BYTES_PER_POD: f64 = 64.0 * 1024.0;

/// Rights that are used once a workload is gone, which is not waited for here.
const NOT_HERE: [rights::Excuse; 2] = [
    ("delete guardedrollouts.weir.dev", "once a workload is gone"),
    (
        "delete flowschemas.flowcontrol.apiserver.k8s.io",
        "once a workload is gone",
    ),
];

/// For how long it is watched idling: five renewals of its lease, a page, and each watch begun anew.
const IDLE: Duration = Duration::from_mins(1);

#[test]
fn weir_costs_next_to_nothing() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            nodes: NODES,
            audit: true,
            ..WorldSpec::bare()
        };
        let world = World::start(&spec).await?;
        world.install_weir(Ceiling::Enforce).await?;
        world.policy(&quick()).await?;
        let weir = world.start_weir(Ceiling::Enforce, &[]).await?;
        world.adopted(&weir).await?;
        settled(&world).await?;
        let mut failed = Vec::new();
        for ended in [
            idle(&world, &weir, "before the first rollout").await,
            in_flight(&world, &weir).await,
            idle(&world, &weir, "after it").await,
            refused(&world),
            unused(&world).await,
            memory(&weir),
        ] {
            failed.extend(ended.err().map(|error| format!("{error:#}")));
        }
        ensure!(failed.is_empty(), "{}", failed.join("\n"));
        Ok(())
    })
}

/// Waits until Weir has written what it writes once.
async fn settled(world: &World) -> Result<()> {
    let control_planes: Api<ControlPlane> = Api::all(world.client());
    let began = Instant::now();
    while control_planes
        .get_opt(SINGLETON)
        .await?
        .is_none_or(|one| one.status.is_none())
    {
        ensure!(
            began.elapsed() < LIMIT,
            "Weir tells nothing of the API servers"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

fn quick() -> RolloutPolicySpec {
    let span = |text: &str| Some(forms::Duration(text.to_owned()));
    RolloutPolicySpec {
        pace: Pace::Fast,
        soak: span("1s"),
        harm: Some(Harm {
            // What is slow here is the machine.
            latency_floor: span("1s"),
            ..Harm::default()
        }),
        ..RolloutPolicySpec::default()
    }
}

fn asked_since(world: &World, from: Timestamp) -> Result<Asked> {
    let to = Timestamp::now();
    Ok(Asked::between(world.weir_requests()?, from, to))
}

/// A minute in which nothing rolls out.
async fn idle(world: &World, weir: &WeirProcess, when: &str) -> Result<()> {
    let (from, before) = (Timestamp::now(), received(weir).await?);
    tokio::time::sleep(IDLE).await;
    let asked = asked_since(world, from)?;
    let bytes = received(weir).await? - before;
    println!("idle {when}, {bytes} bytes {}", asked.told());
    // One more for each edge of the minute.
    let most = IDLE_REQUESTS_PER_SECOND * asked.seconds + 1.0;
    let requests = asked.number(|_| true);
    let told = asked.told();
    ensure!(
        requests <= most,
        "{requests} requests while idle {when}: {told}"
    );
    let most = asked.seconds / IDLE_SECONDS_PER_WRITE + 1.0;
    let writes = asked.number(AuditedRequest::is_write);
    ensure!(writes <= most, "{writes} writes while idle {when}: {told}");
    let most = asked.seconds / 60.0 + 1.0;
    let pages = asked.number(is_page);
    ensure!(pages <= most, "{pages} pages while idle {when}: {told}");
    affordable(world, &asked, bytes, 0).await
}

/// Bytes are budgeted as requests are: so many whole pages as were asked for, and little else.
async fn affordable(world: &World, asked: &Asked, bytes: u64, pods: u32) -> Result<()> {
    let page = http::Request::get("/metrics").body(Vec::new())?;
    // It only grows with time: none was larger.
    let page = world.client().request_text(page).await?.len() as f64;
    // One more for one that was on its way at the beginning.
    let most = (asked.number(is_page) + 1.0) * page
        + asked.number(|_| true) * BYTES_PER_REQUEST
        + f64::from(pods) * BYTES_PER_POD;
    ensure!(
        bytes as f64 <= most,
        "{bytes} bytes received, at most {most:.0} with pages of {page}: {}",
        asked.told()
    );
    Ok(())
}

fn is_page(request: &AuditedRequest) -> bool {
    request.target == "/metrics"
}

/// A rollout from the creation of its DaemonSet to its approval.
async fn in_flight(world: &World, weir: &WeirProcess) -> Result<()> {
    let (from, before) = (Timestamp::now(), received(weir).await?);
    let agents = world.enrol("footprint").await?;
    agents
        .until("complete", LIMIT, |status| {
            status.state == Some(State::Complete)
        })
        .await?;
    let asked = asked_since(world, from)?;
    let bytes = received(weir).await? - before;
    println!("in flight, {bytes} bytes {}", asked.told());
    let told = asked.told();
    let is_probe = |request: &AuditedRequest| {
        request.target == "leases" && matches!(request.verb.as_str(), "get" | "list" | "patch")
    };
    // One for the edge, and one for the lease that is also read and for the servers' own.
    let others = asked.seconds / 5.0 + 5.0;
    let probes = asked.number(is_probe);
    ensure!(
        probes <= asked.seconds + others,
        "{probes} probes of one API server: {told}"
    );
    let pages = asked.number(is_page);
    ensure!(
        pages <= asked.seconds / 5.0 + 2.0,
        "{pages} pages of one API server: {told}"
    );
    let releases = asked.number(|request| request.target == "pods" && request.is_write());
    ensure!(
        releases <= f64::from(NODES),
        "{releases} patches for {NODES} pods: {told}"
    );
    affordable(world, &asked, bytes, NODES).await?;
    agents.end().await?;
    forgotten(world).await
}

/// Waits until Weir has told the policy that nothing is enrolled any more: the last that it writes.
async fn forgotten(world: &World) -> Result<()> {
    let policies: Api<RolloutPolicy> = Api::all(world.client());
    let began = Instant::now();
    let none = |policy: RolloutPolicy| policy.status.and_then(|status| status.matched) == Some(0);
    while !policies
        .list(&ListParams::default())
        .await?
        .into_iter()
        .all(none)
    {
        ensure!(
            began.elapsed() < LIMIT,
            "Weir still tells of the workload that is gone"
        );
        tokio::time::sleep(Duration::from_millis(200)).await;
    }
    Ok(())
}

/// Whatever Weir asks for it must have been granted.
fn refused(world: &World) -> Result<()> {
    let requests = world.weir_requests()?;
    let refused: Vec<_> = requests
        .iter()
        .filter(|request| matches!(request.code, 401 | 403))
        .map(|request| format!("{} {} at {}", request.verb, request.target, request.at))
        .collect();
    ensure!(refused.is_empty(), "refused: {}", refused.join(", "));
    Ok(())
}

/// Each right of Weir's roles has been used, but for those that only other times call for.
async fn unused(world: &World) -> Result<()> {
    let granted = rights::granted(&world.client(), "weir-system", "weir").await?;
    ensure!(granted.len() > 10, "Weir's roles were not found");
    let excuses = [rights::ELSEWHERE.as_slice(), &NOT_HERE].concat();
    let compared = rights::compare(&granted, &world.weir_requests()?, &excuses);
    println!("{}", compared.told());
    let unused = compared.unused;
    ensure!(unused.is_empty(), "granted, and never used: {unused:?}");
    Ok(())
}

async fn received(weir: &WeirProcess) -> Result<u64> {
    let bytes = weir.received_bytes().await;
    bytes.context("Weir does not say what it has received")
}

fn memory(weir: &WeirProcess) -> Result<()> {
    let peak = weir
        .program
        .peak_resident_bytes()
        .context("Weir's memory")?;
    println!("peak resident memory: {} KiB", peak >> 10);
    ensure!(peak <= MOST_RESIDENT_BYTES, "Weir occupied {peak} bytes");
    Ok(())
}
