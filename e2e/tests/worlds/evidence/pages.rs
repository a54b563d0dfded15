//! Pages of metrics that are cut, garbled, enormous, or do not come.

use anyhow::{Result, ensure};
use weir_e2e::proxy::{Page, Proxy};
use weir_e2e::world::EndpointReconciler;

use super::*;

#[test]
fn a_page_that_is_not_as_it_should_be_holds_and_says_so() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            endpoints: EndpointReconciler::None,
            ..WorldSpec::bare()
        };
        let (world, weir) = guarded(spec).await?;
        let proxy = Proxy::start(&world).await?;
        proxy.publish(&world).await?;
        world.adopted(&weir).await?;
        for (page, says) in [
            (Page::Cut, "the metrics page is garbled: "),
            (Page::Garbled, "the metrics page is garbled: "),
            (Page::Hanging, "not whole within"),
        ] {
            let name = format!("{page:?}").to_lowercase();
            let agents = under_way(&world, &name).await?;
            proxy.alter(page);
            let finding = agents.until_held(&["EvidenceAbsent"], says, LIMIT).await?;
            println!("{page:?}: {}", finding.evidence);
            let width = agents.let_through().await?;
            proxy.alter(Page::Whole);
            goes_on(agents, width).await?;
        }
        enormous(&world, &proxy).await?;
        let peak = weir.program.peak_resident_bytes()?;
        println!("peak resident memory: {} KiB", peak >> 10);
        ensure!(
            peak <= MOST_RESIDENT_BYTES,
            "Weir has occupied {peak} bytes"
        );
        Ok(())
    })
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
    let width = agents.let_through().await?;
    proxy.alter(Page::Whole);
    goes_on(agents, width.min(NODES as usize - 1)).await
}
