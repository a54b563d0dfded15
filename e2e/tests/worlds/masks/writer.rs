//! What the beacon costs others, and what is said when nobody writes it.

use std::time::Duration;

use anyhow::{Context, Result, ensure};
use jiff::Timestamp;
use k8s_openapi::api::rbac::v1::RoleBinding;
use kube::Api;
use kube::api::DeleteParams;
use weir_e2e::inside;
use weir_e2e::stage::Measured;
use weir_e2e::world::dns::{DnsSpec, Listening, sum};
use weir_e2e::world::{Asked, WorldSpec};

use super::small;

/// For how long it is counted.
const COUNTED: Duration = Duration::from_mins(1);

/// Beats in that time, one in ten seconds; one may lie just outside of it.
const BEATS: std::ops::RangeInclusive<f64> = 5.0..=7.0;

/// Longer than a mask takes to be seen.
const STOPPED: Duration = Duration::from_secs(30);

/// Three rounds of questions.
const AFTERWARDS: Duration = Duration::from_secs(15);

#[test]
fn the_beacon_is_heard_by_dns_alone_and_its_writer_is_named_when_it_stalls() -> Result<()> {
    inside!(async {
        let world = WorldSpec {
            audit: true,
            ..small()
        };
        let here = Measured::start(&world, &DnsSpec::default()).await?;
        here.fresh().await.context("before anything is wrong")?;
        counted(&here).await.context("a quiet minute")?;
        refused(&here).await.context("Weir may not write")?;
        stopped(&here).await.context("Weir stands still")?;
        here.world.check()
    })
}

/// P8: a minute of beats. Predicted: six writes, and no event for those who watch as kube-proxy does (kubelets watch
/// no EndpointSlices at all). If kube-proxy hears of beats, each costs one event on every node: the label
/// `service.kubernetes.io/headless` no longer keeps it away, and another carrier has to be found.
///
/// P7, where the zone is not cached (newer kubeadm): questions leave no denial behind.
async fn counted(here: &Measured) -> Result<()> {
    let kube_proxy = Listening::as_kube_proxy(here.world.client());
    let anybody = Listening::to_all(here.world.client());
    let from = Timestamp::now();
    let before = (told(here).await?, denials(here).await?);
    tokio::time::sleep(COUNTED).await;
    let after = (told(here).await?, denials(here).await?);
    let requests = here.world.weir_requests()?;
    let asked = Asked::between(requests, from, Timestamp::now());
    let beats = asked.number(|request| {
        request.target == "endpointslices" && request.is_write() && request.code == 200
    });
    println!(
        "in {COUNTED:?}: {beats} beats, {} events for one that watches all, {} for kube-proxy; API servers sent {} \
         events of EndpointSlices in all",
        anybody.of_beacon(),
        kube_proxy.of_beacon(),
        after.0 - before.0
    );
    ensure!(BEATS.contains(&beats), "{beats} beats: {}", asked.told());
    ensure!(
        anybody.of_beacon() >= 5 && kube_proxy.of_others() > 0,
        "the watches hear nothing: {anybody:?}, {kube_proxy:?}"
    );
    ensure!(kube_proxy.of_beacon() == 0, "kube-proxy hears of beats");
    ensure!(
        after.1 - before.1 < 1.0,
        "questions left {} denials in caches that are to keep none",
        after.1 - before.1
    );
    Ok(())
}

/// Events of EndpointSlices that API servers have sent to whoever watches.
async fn told(here: &Measured) -> Result<f64> {
    let request = http::Request::get("/metrics").body(Vec::new())?;
    let page = here.world.client().request_text(request).await?;
    Ok(sum(
        &page,
        "apiserver_watch_events_total",
        &["discovery.k8s.io"],
    ))
}

/// Denials in the caches of all replicas.
async fn denials(here: &Measured) -> Result<f64> {
    let mut all = 0.0;
    for replica in &here.dns.replicas {
        let page = replica.metrics().await?;
        all += sum(&page, "coredns_cache_entries", &["type=\"denial\""]);
    }
    Ok(all)
}

/// P6: the writer stalls, here since it may not write. Predicted: that is said of Weir, and no DNS server is blamed.
/// If one is, `Beats::source` is asked too late.
async fn refused(here: &Measured) -> Result<()> {
    let bindings: Api<RoleBinding> = Api::namespaced(here.world.client(), "weir-system");
    bindings
        .delete("weir-beacon", &DeleteParams::default())
        .await?;
    let stage = here.stage();
    let said = stage.control_plane_says("DNSFresh", "BeaconLagging");
    let (said, unmasked) = tokio::join!(said, here.nothing_masked_for(STOPPED));
    let (status, message) = said?;
    unmasked?;
    println!("{message}");
    ensure!(
        status == "False" && message.contains("may not write its beacon"),
        "{status}: {message}"
    );
    here.world.install_beacon().await?;
    here.fresh().await?;
    Ok(())
}

/// The same where Weir itself stands still: while it does nobody judges, and when it goes on what it saw last is old,
/// which is no mask. (With a second replica that one would lead by then, and have written.)
async fn stopped(here: &Measured) -> Result<()> {
    here.weir.program.pause()?;
    tokio::time::sleep(STOPPED).await;
    here.weir.program.resume()?;
    here.nothing_masked_for(AFTERWARDS).await?;
    here.fresh().await?;
    Ok(())
}
