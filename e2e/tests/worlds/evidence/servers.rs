//! API servers that restart, hang, or stand behind a balancer.

use std::cell::Cell;
use std::collections::BTreeSet;

use anyhow::{Context, Result, ensure};
use kube::Api;
use weir::api::{ControlPlane, SINGLETON};
use weir_e2e::proxy::Proxy;
use weir_e2e::world::EndpointReconciler;

use super::*;

#[test]
fn an_api_server_that_restarts_holds_until_it_has_run_for_a_while() -> Result<()> {
    inside!(async {
        let (world, weir) = guarded(WorldSpec::bare(), SOAK).await?;
        world.adopted(&weir).await?;
        let agents = under_way(&world, "restart").await?;
        world.api_servers()[0].restart()?;
        world.api_server_ready(0).await?;
        let finding = agents
            .until_held(&["ServerRestarted"], "restarted", LIMIT)
            .await?;
        ensure!(
            finding.clears_when.contains("it has run for 20 s"),
            "{finding:?}"
        );
        let width = agents.let_through().await?;
        goes_on(agents, width).await
    })
}

#[test]
fn a_hung_api_server_among_two_holds_by_its_name_until_it_answers() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            api_servers: 2,
            ..WorldSpec::bare()
        };
        let (world, weir) = guarded(spec, SOAK).await?;
        world.adopted(&weir).await?;
        let agents = under_way(&world, "hang").await?;
        let hung = world.addresses()[1].to_string();
        world.api_servers()[1].pause()?;
        let any = ["LatencyRegressed", "EvidenceStale", "EvidenceAbsent"];
        agents.until_held(&any, &hung, LIMIT).await?;
        let width = agents.let_through().await?;
        // By then it has been silent for so long that nothing is known of it.
        agents.until_held(&["EvidenceAbsent"], &hung, LIMIT).await?;
        let later = agents.let_through().await?;
        ensure!(
            later == width,
            "{width} pods were let through when it was held, and {later} later"
        );
        world.api_servers()[1].resume()?;
        goes_on(agents, width).await
    })
}

#[test]
fn behind_a_balancer_every_server_is_seen() -> Result<()> {
    inside!(async {
        let spec = WorldSpec {
            api_servers: 2,
            endpoints: EndpointReconciler::None,
            ..WorldSpec::bare()
        };
        let (world, weir) = guarded(spec, "1s").await?;
        let proxy = Proxy::start(&world).await?;
        proxy.publish(&world).await?;
        world.adopted(&weir).await?;
        let agents = world.enrol("balanced").await?;
        let held = Cell::new(false);
        agents
            .until("complete", LIMIT, |status| {
                held.set(held.get() || status.state == Some(State::Held));
                status.state == Some(State::Complete)
            })
            .await?;
        ensure!(!held.get(), "it was held, with both servers well");
        agents.end().await?;
        both_are_seen(&world).await
    })
}

/// One address, and two processes behind it, as many as their Leases say.
async fn both_are_seen(world: &World) -> Result<()> {
    let control_planes: Api<ControlPlane> = Api::all(world.client());
    let status = control_planes.get(SINGLETON).await?.status;
    let status = status.context("Weir tells of the API servers")?;
    let processes: BTreeSet<_> = status
        .servers
        .iter()
        .map(|server| server.started_at.as_ref().map(|time| time.0))
        .collect();
    let addresses: BTreeSet<_> = status.servers.iter().map(|one| &one.address).collect();
    ensure!(
        status.expected_servers == Some(2)
            && (status.servers.len(), addresses.len(), processes.len()) == (2, 1, 2)
            && !processes.contains(&None),
        "not both servers, by their starts, are seen: {status:#?}"
    );
    Ok(())
}
