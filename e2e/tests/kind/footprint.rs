//! What Weir costs, as installed: its requests by the API server's audit log, its memory by the kernel,
//! both replicas together, idle and with a rollout in flight.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use weir_e2e::kind::{Cluster, NODE_PODS};
use weir_e2e::world::{Asked, AuditedRequest};

/// For how long it is watched idling.
const IDLE: Duration = Duration::from_mins(1);

/// What the design allows each process when nothing rolls out …
const REQUESTS_PER_SECOND: f64 = 1.0;
/// … and of writes all of them, since one only leads.
const SECONDS_PER_WRITE: f64 = 10.0;
/// In KiB.
const MOST_RESIDENT: u64 = 64 << 10;

pub(crate) async fn it_is_never_the_load(cluster: &Cluster) -> Result<()> {
    memory(cluster).await?;
    let Some(before) = cluster.weir_requests().await? else {
        cluster.tell("requests were not counted: the cluster keeps no audit log".to_owned());
        return Ok(());
    };
    ensure!(!before.is_empty(), "the audit log has no request of Weir's");
    // What the last case has left is judged and written within that time.
    tokio::time::sleep(IDLE / 2).await;
    idle(cluster).await?;
    in_flight(cluster).await
}

async fn memory(cluster: &Cluster) -> Result<()> {
    for replica in cluster.replicas().await? {
        let peak = cluster.peak_memory(&replica).await?;
        cluster.tell(format!("{}: at most {peak} KiB resident", replica.pod));
        ensure!(peak <= MOST_RESIDENT, "{} occupied {peak} KiB", replica.pod);
    }
    Ok(())
}

async fn idle(cluster: &Cluster) -> Result<()> {
    let replicas = cluster.replicas().await?.len() as f64;
    let from = Timestamp::now();
    tokio::time::sleep(IDLE).await;
    let asked = asked_since(cluster, from).await?;
    cluster.tell(format!("idle: {}", asked.told()));
    // One more for each edge of the minute.
    let most = replicas * (REQUESTS_PER_SECOND * asked.seconds + 1.0);
    let requests = asked.number(|_| true);
    ensure!(
        requests <= most,
        "{requests} requests while idle: {}",
        asked.told()
    );
    let most = asked.seconds / SECONDS_PER_WRITE + 1.0;
    let writes = asked.number(AuditedRequest::is_write);
    ensure!(
        writes <= most,
        "{writes} writes while idle: {}",
        asked.told()
    );
    let mut requests = asked.requests.iter();
    let refused = requests.find(|request| matches!(request.code, 401 | 403));
    ensure!(refused.is_none(), "Weir is refused: {refused:?}");
    Ok(())
}

async fn in_flight(cluster: &Cluster) -> Result<()> {
    let stage = cluster.stage();
    let from = Timestamp::now();
    let logs = stage.agents("footprint", NODE_PODS).await?;
    logs.completes(&stage).await?;
    let asked = asked_since(cluster, from).await?;
    cluster.tell(format!("in flight: {}", asked.told()));
    let pages = asked.number(|request| request.target == "/metrics");
    // Of the leader; and one of each replica for the minute.
    ensure!(
        pages <= asked.seconds / 5.0 + 4.0,
        "{pages} pages: {}",
        asked.told()
    );
    Ok(())
}

/// Everything since the cluster began, whatever was done to it.
pub(crate) async fn whole(cluster: &Cluster) -> Result<()> {
    let Some(requests) = cluster.weir_requests().await? else {
        return Ok(());
    };
    let asked = Asked::whole(requests).context("a request")?;
    let rate = asked.number(|_| true) / asked.seconds.max(1.0);
    let told = asked.told();
    cluster.tell(format!("in all, {rate:.1} requests a second: {told}"));
    Ok(())
}

async fn asked_since(cluster: &Cluster, from: Timestamp) -> Result<Asked> {
    let to = Timestamp::now();
    let requests = cluster.weir_requests().await?.context("a log")?;
    Ok(Asked::between(requests, from, to))
}
