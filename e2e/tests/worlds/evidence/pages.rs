//! Pages of metrics that are cut, garbled, enormous, or do not come.

use anyhow::{Result, ensure};
use weir_e2e::proxy::{Page, Proxy};
use weir_e2e::world::EndpointReconciler;

use super::*;

/// What the design lets Weir occupy.
const MOST_RESIDENT_BYTES: u64 = 64 << 20;

#[test]
fn a_page_that_makes_no_sense_holds_and_says_so() -> Result<()> {
    inside!(async {
        let (world, weir, proxy) = behind_a_proxy().await?;
        let says = "the metrics page is garbled: ";
        held_by(&world, &proxy, Page::Cut, says).await?;
        held_by(&world, &proxy, Page::Garbled, says).await?;
        memory(&weir)
    })
}

#[test]
fn a_page_that_does_not_come_in_time_holds_and_says_so() -> Result<()> {
    inside!(async {
        let (world, weir, proxy) = behind_a_proxy().await?;
        held_by(&world, &proxy, Page::Hanging, "not whole within").await?;
        enormous(&world, &proxy).await?;
        memory(&weir)
    })
}

async fn behind_a_proxy() -> Result<(World, WeirProcess, Proxy)> {
    let spec = WorldSpec {
        endpoints: EndpointReconciler::None,
        ..WorldSpec::bare()
    };
    let (world, weir) = guarded(spec, SOAK).await?;
    let proxy = Proxy::start(&world).await?;
    proxy.publish(&world).await?;
    world.adopted(&weir).await?;
    Ok((world, weir, proxy))
}

async fn held_by(world: &World, proxy: &Proxy, page: Page, says: &str) -> Result<()> {
    let name = format!("{page:?}").to_lowercase();
    let agents = under_way(world, &name).await?;
    proxy.alter(page);
    let finding = agents.until_held(&["EvidenceAbsent"], says, LIMIT).await?;
    println!("{page:?}: {}", finding.evidence);
    let width = agents.let_through().await?;
    proxy.alter(Page::Whole);
    goes_on(agents, width).await
}

/// It is read whole in time and judged as any other, or told.
async fn enormous(world: &World, proxy: &Proxy) -> Result<()> {
    let agents = under_way(world, "large").await?;
    let width = u32::try_from(agents.let_through().await?)?;
    proxy.alter(Page::Large);
    let status = agents
        .until("read whole, or told", LIMIT, |status| {
            let mut findings = status.findings.iter();
            let told = findings.any(|one| one.evidence.contains("not whole within"));
            told || (proxy.large_sent() >= 2 && status.width > width)
        })
        .await?;
    println!(
        "large pages sent whole: {}; {} pods; {:?}",
        proxy.large_sent(),
        status.width,
        status.findings
    );
    proxy.alter(Page::Whole);
    agents
        .until("complete", LIMIT, |status| {
            status.state == Some(State::Complete)
        })
        .await?;
    agents.end().await
}

fn memory(weir: &WeirProcess) -> Result<()> {
    let peak = weir.program.peak_resident_bytes()?;
    println!("peak resident memory: {} KiB", peak >> 10);
    ensure!(
        peak <= MOST_RESIDENT_BYTES,
        "Weir has occupied {peak} bytes"
    );
    Ok(())
}
