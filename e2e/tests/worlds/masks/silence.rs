//! What CoreDNS says while it hears nothing of the API, for each way in which that comes about.

use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use weir_e2e::inside;
use weir_e2e::line::State;
use weir_e2e::stage::{Measured, Server, eventually};
use weir_e2e::world::dns::{DnsSpec, Replica, beacon, nonce, sum};

use super::{said, seen, small};

/// A connection that is refused is tried again after a back-off of client-go's.
const AT_ONCE: Duration = Duration::from_secs(20);

#[test]
fn coredns_answers_on_whatever_parts_it_from_the_api() -> Result<()> {
    inside!(async {
        let here = Measured::start(&small(), &DnsSpec::default()).await?;
        here.fresh().await.context("before anything is wrong")?;
        dropped(&here).await.context("packets are dropped")?;
        mended(&here).await.context("after silence")?;
        refused(&here).await.context("connections are refused")?;
        mended(&here).await.context("after refusal")?;
        store_stopped(&here).await.context("etcd stands still")?;
        here.world.check()
    })
}

/// P1: the way to the API drops all packets. Predicted: answers, TTL 30, AA, `/health` and `/ready` stay as they
/// are, nothing stale is counted, the serial stands still, and CoreDNS itself counts an error after some 45 s only
/// (30 s until client-go's HTTP/2 asks whether anybody is there, 15 s until it gives up). If any of that moved
/// sooner, it would be a signal beside the beacon; the detector rests on the serial alone. (A line that drops
/// everything is a peer that accepts and says nothing, so that CoreDNS's next attempt fails by the time-out of its
/// TLS handshake, 10 s later; with packets dropped it is that of the connection, 30 s.)
async fn dropped(here: &Measured) -> Result<()> {
    let [first, second] = replicas(here)?;
    let before = errors(first).await?;
    cut(here, State::Silent);
    let begun = Instant::now();
    let counted = async {
        eventually("CoreDNS counts errors", async || {
            Ok(errors(first).await? > before)
        })
        .await?;
        Ok(begun.elapsed())
    };
    let meanwhile = async {
        let all = ["coredns-1", "coredns-2", "kube-dns"];
        here.only("FrozenReplica", &all).await?;
        seen("all replicas cut off by silence were seen", begun.elapsed())?;
        // What was on its way when the lines were cut has long arrived.
        let known = as_ever(first).await?;
        restarted(here, second)
            .await
            .context("one is restarted meanwhile")?;
        anyhow::Ok(known)
    };
    let (took, known) = tokio::try_join!(counted, meanwhile)?;
    println!("CoreDNS counted an error after {:.1} s", took.as_secs_f64());
    ensure!(
        took > Duration::from_secs(25),
        "its own count of errors shows it after {took:?}: faster than was predicted"
    );
    ensure!(
        as_ever(first).await? == known,
        "the serial or the answer has moved"
    );
    Ok(())
}

/// P3: a replica that begins while it cannot reach the API. Predicted: it waits for 5 s, then answers SERVFAIL, with
/// a serial of 0, and `/ready` says 503. If it answered NXDOMAIN, clients would take names for gone, and
/// `Shown::Cold` would have to be told by the serial.
async fn restarted(here: &Measured, replica: &Replica) -> Result<()> {
    replica.program.restart()?;
    let begun = Instant::now();
    let mut answer = None;
    eventually("it answers", async || {
        answer = said(replica.own, &beacon()).await;
        Ok(answer.is_some())
    })
    .await?;
    let answer = answer.context("there is one")?;
    println!(
        "a restarted replica answered code {} after {:.1} s",
        answer.code,
        begun.elapsed().as_secs_f64()
    );
    ensure!(answer.code == 2, "{answer:?}");
    let denied = said(replica.own, &nonce()).await.context("no answer")?;
    ensure!(
        denied.code == 2 && denied.serial == Some(0),
        "SERVFAIL and a serial of 0 were predicted: {denied:?}"
    );
    let health = replica.health().await;
    ensure!(health == [Some(200), Some(503)], "{health:?}");
    let why = here.unseen(Server::Pod(replica.pod()), "SERVFAIL").await?;
    println!("{}: {why}", replica.pod());
    Ok(())
}

/// P2: connections are refused. Predicted: the same, but that CoreDNS counts errors at once. (That the mask is seen
/// goes by the serial as before; how soon where the API server itself is killed is measured by `lab dns`.)
async fn refused(here: &Measured) -> Result<()> {
    let [first, _] = replicas(here)?;
    let before = errors(first).await?;
    cut(here, State::Refused);
    let begun = Instant::now();
    eventually("CoreDNS counts errors", async || {
        Ok(errors(first).await? > before)
    })
    .await?;
    let took = begun.elapsed();
    println!("CoreDNS counted an error after {:.1} s", took.as_secs_f64());
    ensure!(took <= AT_ONCE, "not at once, but after {took:?}");
    as_ever(first).await?;
    Ok(())
}

/// The API stands, and its store does not answer: nobody learns of anything new, and nobody is told.
async fn store_stopped(here: &Measured) -> Result<()> {
    let [first, _] = replicas(here)?;
    here.world.etcd().pause()?;
    let begun = Instant::now();
    let all = ["coredns-1", "coredns-2", "kube-dns"];
    here.only("ControlPlane", &all).await?;
    seen("a store that stands still was seen", begun.elapsed())?;
    as_ever(first).await?;
    here.world.etcd().resume()?;
    here.fresh().await?;
    Ok(())
}

/// What it says of itself and of the beacon, all of it as on a good day; the addresses and the serial.
async fn as_ever(replica: &Replica) -> Result<(Vec<std::net::Ipv4Addr>, Option<u32>)> {
    let answer = said(replica.own, &beacon()).await.context("no answer")?;
    ensure!(
        (answer.code, answer.ttl, answer.authoritative) == (0, Some(30), true),
        "NOERROR, TTL 30 and AA were predicted: {answer:?}"
    );
    let health = replica.health().await;
    ensure!(health == [Some(200); 2], "{health:?}");
    let page = replica.metrics().await?;
    let stale = sum(&page, "coredns_cache_served_stale_total", &[]);
    let failed = sum(&page, "coredns_dns_responses_total", &["SERVFAIL"]);
    ensure!(
        stale + failed < 1.0,
        "{stale} stale answers and {failed} SERVFAIL are counted"
    );
    let denied = said(replica.own, &nonce()).await.context("no answer")?;
    ensure!(denied.code == 3, "{denied:?}");
    Ok((answer.addresses, denied.serial))
}

/// Requests of CoreDNS to the API that failed.
async fn errors(replica: &Replica) -> Result<f64> {
    let page = replica.metrics().await?;
    let requests = "coredns_kubernetes_rest_client_requests_total";
    Ok(sum(&page, requests, &["code=\"<error>\""]))
}

fn replicas(here: &Measured) -> Result<[&Replica; 2]> {
    match here.dns.replicas.as_slice() {
        [first, second] => Ok([first, second]),
        others => anyhow::bail!("{} replicas", others.len()),
    }
}

fn cut(here: &Measured, state: State) {
    for replica in &here.dns.replicas {
        replica.line(state);
    }
}

async fn mended(here: &Measured) -> Result<()> {
    cut(here, State::Whole);
    let took = here.fresh().await?;
    println!(
        "all was fresh {:.1} s after it was mended",
        took.as_secs_f64()
    );
    Ok(())
}
